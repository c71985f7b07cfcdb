//! `--against-signed`: a copy of a message that we signed, compared with the record of what was signed.

use crate::{
    cli::Mistake,
    config::DEFAULT_SIGNED,
    message::Header,
    signed::{
        Id,
        compare::Comparison,
        digests::LocalKey,
        folder::{find, read_key},
    },
    verify::dkim::DkimResult,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The record of what was signed on this host.
pub struct Record {
    folder: PathBuf,
    key: LocalKey,
}

/// What the record says of one message.
#[derive(Default)]
pub struct Compared {
    /// By the number of the signature.
    pub by_signature: HashMap<usize, Arc<Comparison>>,
    /// What there is to say about the comparison as a whole.
    pub note: Option<String>,
}

/// The record that was asked for. The value of the option may be a message, where people wrote no folder behind it: then
/// it goes to the messages.
pub fn record(given: Option<Option<PathBuf>>, files: &mut Vec<PathBuf>) -> Result<Option<Record>, Mistake> {
    let Some(given) = given else { return Ok(None) };
    let folder = match given {
        Some(path) if path.is_dir() || !files.is_empty() && !path.exists() => path,
        Some(file) => {
            files.insert(0, file);
            DEFAULT_SIGNED.into()
        }
        None => DEFAULT_SIGNED.into(),
    };
    if files.is_empty() {
        return Err(Mistake::new("no message is given; name a file, or \"-\" for standard input"));
    }
    match read_key(&folder) {
        Ok(key) => Ok(Some(Record { folder, key })),
        Err(error) => Err(Mistake::new(format!(
            "no record of what was signed in {}: {error}; domains are recorded with diagnostics = \"record\", and the \
             record is for the user of the service and for root",
            folder.display()
        ))),
    }
}

impl Record {
    /// Compares a message with what was signed under its signatures, or under its Message-ID.
    pub fn compare(&self, header: &Header, body: &[u8], results: &[DkimResult]) -> Compared {
        let of_signature = |result: &DkimResult| Some(self.key.of_signature(result.signature.signature.as_deref()?));
        let of_message = header.named("Message-ID").next().map(|field| self.key.of_message_id(field.value()));
        let wanted: Vec<Id> = results.iter().filter_map(of_signature).chain(of_message).collect();
        let entries = match find(&self.folder, &wanted) {
            Ok(entries) => entries,
            Err(error) => {
                return Compared::said(format!("the record of what was signed: {}", at(&self.folder, &error)));
            }
        };
        let mut compared = Compared::default();
        for result in results {
            let own = of_signature(result);
            let names = &result.signature.fields;
            if let Some(entry) = entries.iter().rev().find(|entry| own.is_some_and(|id| entry.ids.contains(&id))) {
                let comparison = Comparison::new(entry, &self.key, header, names, Some(body));
                compared.by_signature.insert(result.index, Arc::new(comparison));
            }
        }
        compared.note = match (compared.by_signature.values().next(), entries.last()) {
            (Some(found), _) => found.is_equal().then(|| {
                let time = crate::diagnose::report::time(found.time);
                format!("the message is as it was signed here at {time}")
            }),
            (None, Some(entry)) => {
                let time = crate::diagnose::report::time(entry.time);
                Some(format!(
                    "the record has a message of this Message-ID, signed at {time}, but none of these signatures"
                ))
            }
            (None, None) => Some("the record of what was signed has none of these signatures".into()),
        };
        compared
    }
}

impl Compared {
    fn said(note: String) -> Compared {
        Compared { note: Some(note), ..Compared::default() }
    }
}

fn at(folder: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", folder.display())
}
