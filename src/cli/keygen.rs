//! `waxseal keygen`: a new key in a file of its own, and the record to publish for it.
//!
//! Nothing is ever overwritten. The name in DNS is looked up before the key is made, so a refusal leaves nothing behind.

use super::{
    Exit, Mistake, output,
    publish::{self, Look, Place},
    rotate::{self, Order},
};
use crate::{
    config,
    dkim::KeyType,
    key::{self, GenerateError, Inspector, NewKey, PrivateKey, Record, RecordForm},
    name::DomainName,
};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The domain that signs
    #[arg(long, value_name = "NAME", value_parser = publish::name, required_unless_present = "rotate")]
    domain: Option<DomainName>,
    #[command(flatten)]
    place: Place,
    /// The folder for the key file, {domain}.{selector}.pem
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Print only the record: as a line of a zone file, as quoted strings, as one value, or as JSON
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Make an Ed25519 key instead of RSA, for a second signature under a selector of its own
    #[arg(long)]
    ed25519: bool,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    order: Order,
}

/// How the record is printed.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Format {
    Dns,
    Strings,
    Single,
    Json,
}

/// Makes the key and prints the record.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let place = &options.place;
    if let Some(domain) = &options.order.rotate {
        let selector = place.selector.as_ref();
        return rotate::run(&options.order, domain, options.ed25519, selector, options.format, &options.look);
    }
    let Some(domain) = &options.domain else { return Err(Mistake::new("a domain is needed: give --domain")) };
    let chosen = place.choose()?;
    let algorithm = if options.ed25519 { KeyType::Ed25519 } else { KeyType::Rsa };
    chosen.admits(algorithm)?;
    let path = options.out.join(config::key_file_name(domain, &chosen.selector));
    refuse_existing(&path)?;
    let name = publish::record_name(&chosen.selector, domain)?;
    let look_note = options.look.at(&name)?;
    make_folder(&options.out)?;
    let new = make_key(&path, algorithm)?;
    let record = Record { name, value: new.key.public_record() };
    let written = match options.format {
        Some(format) => {
            output::say(describe(&path, &new.key));
            output::write(record.write(format.form()) + "\n")
        }
        None => output::write(format!(
            "{}\npublish at {}, type TXT, one record, in the form that your DNS takes\n\n{}",
            describe(&path, &new.key),
            record.name,
            publish::all_forms(&record)
        )),
    };
    for note in look_note.into_iter().chain(publish::notes(&chosen)).chain(owner_note(&path)) {
        output::say(format_args!("note: {note}"));
    }
    written.map_err(|mistake| kept(&mistake, &path, &record)).map(|()| Exit::Good)
}

/// The key was made, and what there was to say of it could not be written: nothing of it may be lost.
pub fn kept(mistake: &Mistake, path: &Path, record: &Record) -> Mistake {
    Mistake::new(format!(
        "{mistake}\nthe key was made and stays in {}; publish at {}, type TXT, one record:\n{}",
        path.display(),
        record.name,
        record.write(RecordForm::Single)
    ))
}

impl Format {
    /// The form of the record.
    pub fn form(self) -> RecordForm {
        match self {
            Format::Dns => RecordForm::Zone,
            Format::Strings => RecordForm::Strings,
            Format::Single => RecordForm::Single,
            Format::Json => RecordForm::Json,
        }
    }
}

/// One line about a key.
pub fn describe(path: &Path, key: &PrivateKey) -> String {
    format!(
        "key in {} ({}, {} bits, fingerprint {}, mode 0600)",
        path.display(),
        key.algorithm().as_str(),
        key.bits(),
        key.fingerprint()
    )
}

/// What to know where root made a key that belongs to root: the service may run as another user.
pub fn owner_note(path: &Path) -> Option<String> {
    let facts = fs::metadata(path).ok()?;
    let ours = rustix::process::geteuid().is_root() && facts.uid() == 0;
    let folder = path.parent().unwrap_or(path).display();
    ours.then(|| format!("the key belongs to root; if the service runs as user waxseal: chown -R waxseal: {folder}"))
}

/// Refuses where anything stands at the path already, a symbolic link that leads nowhere included.
pub fn refuse_existing(path: &Path) -> Result<(), Mistake> {
    match path.symlink_metadata() {
        Ok(_) => Err(Mistake::new(GenerateError::Exists(path.to_owned()).to_string())),
        Err(_) => Ok(()),
    }
}

/// Makes a folder for keys, for its owner alone; one that exists must be safe.
/// Root gives a new one to the owner of the folder around it, as keys are given to the owner of theirs.
pub fn make_folder(folder: &Path) -> Result<(), Mistake> {
    let make = || {
        if folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let around = fs::metadata(folder.join(".."))?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder, Some(around.uid()), Some(around.gid()))?;
        }
        Ok(())
    };
    make().map_err(|error: io::Error| Mistake::new(format!("{} cannot be made: {error}", folder.display())))?;
    let judged = Inspector::new(folder).folder(folder);
    judged.map_err(|reason| {
        Mistake::new(format!("no key is put into {}: {reason}; {}", folder.display(), reason.fix(folder)))
    })
}

/// Makes a key and writes it.
pub fn make_key(path: &Path, algorithm: KeyType) -> Result<NewKey, Mistake> {
    let new = key::generate(algorithm).map_err(|error| Mistake::new(error.to_string()))?;
    new.write(path).map_err(|error| Mistake::new(error.to_string()))?;
    Ok(new)
}
