//! New keys: made, and written so that nothing is ever overwritten and nobody else can read them, not even for a moment.
//!
//! RSA comes from the `rsa` crate and Ed25519 from aws-lc-rs, both fed by the operating system's randomness.
//! Both are written as PKCS#8 PEM, the form that every tool reads.

use super::{KeyReason, PrivateKey};
use crate::dkim::KeyType;
use aws_lc_rs::signature::Ed25519KeyPair;
use rsa::{
    RsaPrivateKey,
    pkcs8::{EncodePrivateKey, LineEnding, SecretDocument},
    rand_core::OsRng,
};
use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The size of a new RSA key: what RFC 8301 §3.2 recommends, and what providers demand.
const RSA_BITS: usize = 2048;

/// A key that is not yet in a file.
#[derive(Debug)]
pub struct NewKey {
    /// The key.
    pub key: PrivateKey,
    pem: Pem,
}

/// PEM text; `Debug` does not show it.
struct Pem(Zeroizing<String>);

/// Why a key could not be made or written.
#[derive(Debug)]
pub enum GenerateError {
    /// The library could not make it.
    Make(String),
    /// Something stands at that path already; it was not touched.
    Exists(PathBuf),
    /// The file could not be written.
    Write(PathBuf, io::Error),
}

/// Makes a key: RSA of 2048 bits, or Ed25519.
pub fn generate(algorithm: KeyType) -> Result<NewKey, GenerateError> {
    let make = |error: &dyn fmt::Display| GenerateError::Make(error.to_string());
    let pem = match algorithm {
        KeyType::Rsa => {
            let key = RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(|error| make(&error))?;
            key.to_pkcs8_pem(LineEnding::LF).map_err(|error| make(&error))?
        }
        KeyType::Ed25519 => {
            let pair = Ed25519KeyPair::generate().map_err(|error| make(&error))?;
            let der = pair.to_pkcs8v1().map_err(|error| make(&error))?;
            let document = SecretDocument::try_from(der.as_ref()).map_err(|error| make(&error))?;
            document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|error| make(&error))?
        }
    };
    let key = PrivateKey::from_pem(pem.as_bytes()).map_err(|reason: KeyReason| make(&reason))?;
    Ok(NewKey { key, pem: Pem(pem) })
}

impl NewKey {
    /// Writes the key to a new file with mode 0600. What stands at `path`, a symbolic link included, is left alone.
    /// Root gives the file to the owner of the folder, so that the service that owns its keys can read it.
    pub fn write(&self, path: &Path) -> Result<(), GenerateError> {
        let failed = |error| GenerateError::Write(path.to_owned(), error);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => GenerateError::Exists(path.to_owned()),
                _ => failed(error),
            }
        })?;
        let mut write = || {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(self.pem.0.as_bytes())?;
            if rustix::process::geteuid().is_root() {
                let owner = fs::metadata(folder)?;
                std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
            file.sync_all()?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|error| {
            // Half a key is worse than none; the error that matters is the first one.
            let _ = fs::remove_file(path);
            failed(error)
        })
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GenerateError::Make(why) => write!(f, "the key could not be made: {why}"),
            GenerateError::Exists(path) => {
                write!(f, "{} exists and is not overwritten; move it away, or choose another folder", path.display())
            }
            GenerateError::Write(path, error) => write!(f, "{} cannot be written: {error}", path.display()),
        }
    }
}

impl std::error::Error for GenerateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_new_key_is_for_its_owner_alone_and_never_replaces_anything() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new.pem");
        let new = generate(KeyType::Ed25519).expect("made");
        new.write(&path).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, 0o600);
        let before = fs::read(&path).expect("readable");
        assert!(matches!(generate(KeyType::Ed25519).expect("made").write(&path), Err(GenerateError::Exists(_))));
        assert_eq!(fs::read(&path).expect("readable"), before);

        let link = folder.path().join("link.pem");
        symlink(folder.path().join("elsewhere"), &link).expect("linked");
        assert!(matches!(new.write(&link), Err(GenerateError::Exists(_))));
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn a_new_key_reads_back_as_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        for algorithm in [KeyType::Rsa, KeyType::Ed25519] {
            let path = folder.path().join(algorithm.as_str());
            let new = generate(algorithm).expect("made");
            new.write(&path).expect("written");
            let read = PrivateKey::load(&path, folder.path(), algorithm, None).expect("loaded");
            assert_eq!(read.public_record(), new.key.public_record());
        }
    }
}
