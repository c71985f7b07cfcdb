//! Data sets: the lists and tables that options name, as text in the option or as a file.
//!
//! Those that only a database, a script or a server can answer are not read; they cannot be written down here.

use super::conf::{Conf, Entry, Place, text};
use crate::config::Mistake;
use std::rc::Rc;

/// One element, or one row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The element, or the key of the row.
    pub key: String,
    /// The value behind it, in a table.
    pub value: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// A data set that was read.
#[derive(Debug)]
pub struct Dataset {
    /// Are its keys wildcard patterns, the first of which holds?
    pub patterns: bool,
    /// The rows, in order.
    pub rows: Vec<Row>,
}

/// Why there is no data set.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read, and OpenDKIM could not either.
    Mistake(Mistake),
    /// It is of this type, which lives outside of files.
    Foreign(String),
}

/// Types that live outside of files.
const FOREIGN: &[&str] = &["db", "bdb", "dsn", "ldap", "ldaps", "ldapi", "lua", "memcache", "erlang", "mdb", "socket"];

/// Reads the data set that an option names.
pub fn read(conf: &Conf, entry: &Entry) -> Result<Dataset, Refused> {
    let value = entry.value.as_str();
    // As OpenDKIM: a colon behind the first comma belongs to an element.
    let typed = value.split_once(':').filter(|(kind, _)| !kind.contains(','));
    match typed.map(|(kind, rest)| (kind.to_ascii_lowercase(), rest)) {
        None if value.starts_with('/') && !value.ends_with(".db") => file(conf, entry, value, false),
        None if value.ends_with(".db") => Err(Refused::Foreign("db".into())),
        None => Ok(list(entry, value)),
        Some((kind, rest)) => match kind.as_str() {
            "file" => file(conf, entry, rest, false),
            "refile" => file(conf, entry, rest, true),
            "csl" => Ok(list(entry, rest)),
            foreign if FOREIGN.contains(&foreign) => Err(Refused::Foreign(kind)),
            _ => Err(Refused::Mistake(entry.place.mistake(format!(
                "{}: OpenDKIM knows no data set of type {kind:?}; name a file: file:/PATH or refile:/PATH",
                entry.name
            )))),
        },
    }
}

fn list(entry: &Entry, value: &str) -> Dataset {
    let row = |item: &str| {
        let (key, value) = match item.split_once('=') {
            Some((key, value)) => (key, Some(value.trim().to_owned())),
            None => (item, None),
        };
        Row { key: key.trim().to_owned(), value, place: entry.place.clone() }
    };
    let rows = value.split(',').map(row).filter(|row| !row.key.is_empty()).collect();
    Dataset { patterns: false, rows }
}

fn file(conf: &Conf, entry: &Entry, path: &str, patterns: bool) -> Result<Dataset, Refused> {
    let path = conf.path(path.trim(), &entry.place);
    let text = text(&path)
        .map_err(|why| Refused::Mistake(entry.place.mistake(format!("{} {}: {why}", entry.name, path.display()))))?;
    let path: Rc<std::path::Path> = path.into();
    let mut rows = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) = match line.split_once(|c: char| c.is_ascii_whitespace()) {
            Some((key, value)) => (key, Some(value.trim().to_owned())),
            None => (line, None),
        };
        rows.push(Row { key: key.to_owned(), value, place: Place { file: path.clone(), line: number } });
    }
    Ok(Dataset { patterns, rows })
}
