//! What can be wrong with a key file: typed reasons, each with its words and its fix.
//!
//! Nothing here looks at a file, and no reason holds key material.

use super::{GREATEST_BITS, GREATEST_FILE, LEAST_BITS, LEAST_SIGNING_BITS};
use crate::dkim::KeyType;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A key file that cannot be used: which, why, and what to do. `Display` says all three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMistake {
    /// The key file.
    pub file: PathBuf,
    /// Why it cannot be used.
    pub reason: KeyReason,
}

/// Why a key file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyReason {
    /// There is no such file.
    Missing,
    /// The system refused to open or read it, for this reason.
    Unreadable(String),
    /// A folder, a device, a pipe.
    NotAFile,
    /// It lies, or a symbolic link leads, outside of the key directory.
    Outside {
        /// Where it really is.
        real: PathBuf,
        /// The key directory.
        directory: PathBuf,
    },
    /// Neither root nor the user that we run as owns the file, but this user id.
    FileOwner(u32),
    /// Its mode gives group or others a right.
    FileMode(u32),
    /// Neither root nor the user that we run as owns the folder, but this user id.
    FolderOwner(PathBuf, u32),
    /// Others than its owner may replace files in the folder.
    FolderMode(PathBuf, u32),
    /// Larger than any key.
    TooLarge,
    /// There is nothing in it.
    Empty,
    /// There is no PEM in it.
    NotPem(String),
    /// It holds the octets of a key, not their text.
    Der,
    /// The PEM holds these things; a private key may be among them.
    NotAlone(Vec<String>),
    /// The PEM holds something else: a public key, a certificate, an encrypted key.
    NotAPrivateKey(String),
    /// The key itself is damaged or contradicts itself.
    Corrupt(String),
    /// A key, but of another type than the settings say.
    WrongType {
        /// What it is.
        found: KeyType,
        /// What it should be.
        wanted: KeyType,
    },
    /// RSA of a size that the provider does not accept.
    WrongBits {
        /// Its size.
        bits: usize,
        /// The size that the profile demands.
        demanded: usize,
    },
    /// RSA of a size that no verifier accepts.
    TooShort(usize),
    /// RSA of a size that verifiers accept, but that we cannot sign with.
    TooShortToSign(usize),
    /// RSA of a size that verifiers need not be able to check.
    TooLong(usize),
}

impl fmt::Display for KeyMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {:?}: {}; {}", self.file, self.reason, self.reason.fix(&self.file))
    }
}

impl std::error::Error for KeyMistake {}

impl KeyReason {
    /// The same, said with the provider's demand where a size is wrong and a profile demands one.
    pub(super) fn demanding(self, required_bits: Option<usize>) -> KeyReason {
        match (self, required_bits) {
            (
                KeyReason::TooShort(bits) | KeyReason::TooShortToSign(bits) | KeyReason::TooLong(bits),
                Some(demanded),
            ) => KeyReason::WrongBits { bits, demanded },
            (reason, _) => reason,
        }
    }

    /// What to do about it.
    pub fn fix(&self, file: &Path) -> String {
        match self {
            KeyReason::Missing => "make it with `waxseal keygen`, or name the file that you have".into(),
            KeyReason::Unreadable(_) | KeyReason::FileOwner(_) => {
                format!("give it to the user of the service: chown USER {}", file.display())
            }
            KeyReason::Outside { .. } => "put the file itself into the key directory, or set key_directory".into(),
            KeyReason::FileMode(_) => format!("chmod 600 {}", file.display()),
            KeyReason::FolderOwner(folder, _) => format!("chown USER {}", folder.display()),
            KeyReason::FolderMode(folder, _) => format!("chmod go-w {}", folder.display()),
            KeyReason::WrongBits { demanded, .. } => {
                format!("make one of {demanded} bits with `waxseal keygen` and publish its record")
            }
            KeyReason::TooShort(_) | KeyReason::TooShortToSign(_) | KeyReason::TooLong(_) => {
                "make one of 2048 bits with `waxseal keygen` and publish its record".into()
            }
            KeyReason::NotAFile => "name the key file itself".into(),
            KeyReason::TooLarge => "name the file that holds the private key and nothing else".into(),
            KeyReason::Empty => "put the private key there, or remove it and make one with `waxseal keygen`".into(),
            KeyReason::NotPem(_) => "name the file of the private key, or make one with `waxseal keygen`".into(),
            KeyReason::Der => format!("convert it: openssl pkey -inform DER -in {} -out NEW", file.display()),
            KeyReason::NotAlone(_) => {
                format!("copy the key alone into a file of its own: openssl pkey -in {} -out NEW", file.display())
            }
            KeyReason::NotAPrivateKey(what) if what.contains("encrypted") => {
                format!("decrypt it: openssl pkey -in {} -out NEW", file.display())
            }
            KeyReason::NotAPrivateKey(what) if what.contains("public key") || what.contains("certificate") => {
                "name the file of the private key that belongs to it".into()
            }
            KeyReason::NotAPrivateKey(_) => {
                "make an RSA key with `waxseal keygen`, name it, and publish its record".into()
            }
            KeyReason::Corrupt(_) => {
                "restore it from a copy, or make a new one with `waxseal keygen` and publish its record".into()
            }
            KeyReason::WrongType { wanted: KeyType::Rsa, .. } => {
                "name an RSA key in `key` (`waxseal keygen` makes one), and this one in `key` of ed25519".into()
            }
            KeyReason::WrongType { wanted: KeyType::Ed25519, .. } => {
                "name an Ed25519 key in `key` of ed25519; `waxseal keygen --ed25519` makes one".into()
            }
        }
    }
}

impl fmt::Display for KeyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyReason::Missing => write!(f, "no such file"),
            KeyReason::Unreadable(why) => write!(f, "cannot be read: {why}"),
            KeyReason::NotAFile => write!(f, "is not a regular file"),
            KeyReason::Outside { real, directory } => {
                write!(f, "is really {real:?}, outside of the key directory {directory:?}")
            }
            KeyReason::FileOwner(owner) => {
                write!(f, "belongs to user id {owner}, neither to root nor to the user that reads it")
            }
            KeyReason::FileMode(mode) => write!(f, "group or others have rights on it (mode {mode:03o})"),
            KeyReason::FolderOwner(folder, owner) => write!(
                f,
                "its folder {folder:?} belongs to user id {owner}, neither to root nor to the user that reads it"
            ),
            KeyReason::FolderMode(folder, mode) => {
                write!(f, "others could replace it: its folder {folder:?} has mode {mode:04o}")
            }
            KeyReason::TooLarge => write!(f, "is larger than any key (over {GREATEST_FILE} bytes)"),
            KeyReason::Empty => write!(f, "is empty"),
            KeyReason::NotPem(why) => write!(f, "is not a key in PEM form: {why}"),
            KeyReason::Der => write!(f, "is in DER form, not in PEM"),
            KeyReason::NotAlone(things) => {
                write!(f, "holds {}, and should hold one private key alone", things.join(" and "))
            }
            KeyReason::NotAPrivateKey(what) => write!(f, "holds {what}, not a private key that can sign"),
            KeyReason::Corrupt(why) => write!(f, "holds a damaged key: {why}"),
            KeyReason::WrongType { found, wanted } => {
                write!(f, "holds a key of type {}, not {}", found.as_str(), wanted.as_str())
            }
            KeyReason::WrongBits { bits, demanded } => {
                write!(f, "has {bits} bits, but the provider demands exactly {demanded}")
            }
            KeyReason::TooShort(bits) => {
                write!(f, "has {bits} bits, and verifiers refuse RSA keys under {LEAST_BITS} (RFC 8301)")
            }
            KeyReason::TooShortToSign(bits) => write!(
                f,
                "has {bits} bits, and we sign with no RSA key under {LEAST_SIGNING_BITS} (RFC 8301 recommends no less)"
            ),
            KeyReason::TooLong(bits) => {
                write!(f, "has {bits} bits, and verifiers need not accept RSA keys over {GREATEST_BITS} (RFC 8301)")
            }
        }
    }
}
