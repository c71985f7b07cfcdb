//! The key files: may they stay where they are, and if not, by which commands do they come into the key directory?
//!
//! A key stays if the rules for key files hold where it lies and the service can read it there. OpenDKIM's own user can
//! read most keys, and nobody else, so most have to be copied.

use super::{
    conf::text,
    signing::Signer,
    tables::Source,
    told::{Reading, Weight},
};
use crate::{
    config::key_file_name,
    dkim::KeyType,
    key::{Inspector, PrivateKey},
};
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The user that the service runs as, where the package made it.
const SERVICE_USER: &str = "waxseal";

/// No key file is larger.
const GREATEST_FILE: u64 = 64 * 1024;

/// What becomes of the keys.
#[derive(Debug, Default)]
pub struct Keys {
    /// `key_directory`, if it is not the default.
    pub directory: Option<PathBuf>,
    /// The file of each signer, in their order.
    pub files: Vec<PathBuf>,
    /// Why a signer cannot sign with its key.
    pub unfit: Vec<Option<String>>,
    /// Commands that copy the keys.
    pub commands: Vec<String>,
}

/// Decides; `beside` is the folder of the new settings.
pub fn place(reading: &mut Reading<'_>, signers: &[Signer], beside: &Path) -> Keys {
    let unfit: Vec<_> = signers.iter().map(|signer| unfit(reading, signer)).collect();
    let fit = || signers.iter().zip(&unfit).filter(|(_, unfit)| unfit.is_none()).map(|(signer, _)| signer);
    if let Some(directory) = common_folder(fit())
        && fit().all(|signer| stays(&directory, &signer.made.source))
    {
        let files = signers.iter().map(|signer| own_file(&signer.made.source).unwrap_or_default()).collect();
        return Keys { directory: Some(directory), files, unfit, commands: Vec::new() };
    }
    let user = user_id(SERVICE_USER).map(|_| format!(" -o {SERVICE_USER} -g {SERVICE_USER}")).unwrap_or_default();
    let keys = beside.join("keys");
    let mut commands = Vec::new();
    let mut copies: HashMap<String, PathBuf> = HashMap::new();
    let mut files = Vec::new();
    for (signer, unfit) in signers.iter().zip(&unfit) {
        let own = keys.join(key_file_name(&signer.made.domain, &signer.made.selector));
        let source = format!("{:?}", signer.made.source);
        let copy = copies.get(&source).cloned().unwrap_or_else(|| own.clone());
        if unfit.is_none() && copies.insert(source, copy.clone()).is_none() {
            if commands.is_empty() {
                commands.push(format!("install -d -m 700{user} {}", shell(&keys)));
            }
            commands.push(copying(&signer.made.source, &copy, &user));
        }
        files.push(copy);
    }
    Keys { directory: None, files, unfit, commands }
}

fn own_file(source: &Source) -> Option<PathBuf> {
    match source {
        Source::File(path) => Some(path.clone()),
        Source::Inline(_) => None,
    }
}

/// Why the key of a signer cannot sign here; one that is not there is a mistake.
fn unfit(reading: &mut Reading<'_>, signer: &Signer) -> Option<String> {
    let Source::File(path) = &signer.made.source else { return None };
    let size = match fs::metadata(path) {
        Ok(facts) => facts.len(),
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::PermissionDenied => "may not be read by this user; run the import as root".into(),
                _ => format!("{}; restore it, or take the domain out of the tables", error.to_string().to_lowercase()),
            };
            let what = format!("the key of {}, {}: {why}", signer.made.domain, path.display());
            reading.mistakes.push(signer.place.mistake(what));
            return None;
        }
    };
    let read = if size > GREATEST_FILE { Err("is larger than any key".to_owned()) } else { text(path) };
    let pem = match read {
        Ok(pem) => Zeroizing::new(pem),
        Err(why) => {
            let what = format!("the key of {}, {}: {why}", signer.made.domain, path.display());
            reading.mistakes.push(signer.place.mistake(what));
            return None;
        }
    };
    let why = match PrivateKey::from_pem(pem.as_bytes()) {
        Ok(key) if key.algorithm() == KeyType::Rsa => return None,
        Ok(_) => "is no RSA key, and each domain needs one; an Ed25519 key may stand beside it".to_owned(),
        Err(reason) => format!("{reason}; {}", reason.fix(path)),
    };
    let what = format!("[domains.\"{}\"]", signer.made.domain);
    let text = format!("its key {} {why}", path.display());
    reading.row(Weight::Lost, &signer.place, what, text.clone());
    Some(text)
}

/// The folder that holds all key files, in it or below.
fn common_folder<'s>(signers: impl Iterator<Item = &'s Signer>) -> Option<PathBuf> {
    let mut common: Option<PathBuf> = None;
    for signer in signers {
        let Source::File(path) = &signer.made.source else { return None };
        let folder = path.parent()?;
        common = Some(match common {
            None => folder.to_owned(),
            Some(known) => known.ancestors().find(|above| folder.starts_with(above))?.to_owned(),
        });
    }
    // A folder just below the root holds too much else.
    common.filter(|folder| folder.is_absolute() && folder.components().count() > 2)
}

/// Do the rules for key files hold, and can the service read it?
fn stays(directory: &Path, source: &Source) -> bool {
    let Source::File(path) = source else { return false };
    let service = user_id(SERVICE_USER).unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let owned = fs::metadata(path).is_ok_and(|facts| facts.uid() == service);
    owned && Inspector::new(directory).inspect(path).is_ok()
}

fn copying(source: &Source, to: &Path, user: &str) -> String {
    match source {
        Source::File(from) => format!("install -m 600{user} {} {}", shell(from), shell(to)),
        Source::Inline(place) => {
            let owner = if user.is_empty() {
                String::new()
            } else {
                format!(" && chown {SERVICE_USER}:{SERVICE_USER} {}", shell(to))
            };
            format!(
                "(umask 077; sed -n '{}s/.*://p' {} | base64 -d | openssl pkey -inform DER -out {}){owner}",
                place.line,
                shell(&place.file),
                shell(to)
            )
        }
    }
}

/// A path as a word of the shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ',' | '@' | '%');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn user_id(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}
