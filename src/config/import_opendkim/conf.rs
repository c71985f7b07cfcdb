//! The lines of opendkim.conf, those of included files among them, as OpenDKIM itself reads them.
//!
//! A name is looked up in [`options`](super::options) whatever its case, a hash starts a comment anywhere, and of two
//! lines with the same name the later one holds. A line that OpenDKIM would refuse is a mistake.

use super::options::{self, Kind};
use crate::config::Mistake;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};

/// OpenDKIM follows files that include files so far.
const DEEPEST: usize = 5;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Rc<Path>,
    /// The line, from 1.
    pub line: usize,
}

/// One option as it stands there.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, in the spelling of the manual where it is known.
    pub name: String,
    /// Its value, trimmed.
    pub value: String,
    /// Where.
    pub place: Place,
}

/// All options, in order.
#[derive(Debug, Default)]
pub struct Conf {
    entries: Vec<Entry>,
}

impl Place {
    /// A mistake here.
    pub fn mistake(&self, what: impl Into<String>) -> Mistake {
        Mistake { file: self.file.to_path_buf(), line: Some(self.line), what: what.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl Conf {
    /// Reads a file and those that it includes.
    pub fn read(path: &Path, mistakes: &mut Vec<Mistake>) -> Conf {
        let mut conf = Conf::default();
        match text(path) {
            Ok(text) => conf.file(path.into(), &text, 0, mistakes),
            Err(why) => mistakes.push(Mistake {
                file: path.to_owned(),
                line: None,
                what: format!("{why}; name the opendkim.conf of the instance that is to be replaced"),
            }),
        }
        conf
    }

    /// Every option that holds, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let holds = |entry: &&Entry| self.get(&entry.name).is_some_and(|last| last.place == entry.place);
        self.entries.iter().filter(holds)
    }

    /// The line that holds for a name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.name == name)
    }

    /// Is it there, and true?
    pub fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(Entry::is_true)
    }

    /// A path: a relative one starts where OpenDKIM stands (BaseDirectory), or beside the file that names it.
    pub fn path(&self, path: &str, place: &Place) -> PathBuf {
        let base = self.get("BaseDirectory").map(|entry| PathBuf::from(&entry.value));
        base.or_else(|| place.file.parent().map(Path::to_owned)).unwrap_or_default().join(path)
    }

    fn file(&mut self, file: Rc<Path>, text: &str, depth: usize, mistakes: &mut Vec<Mistake>) {
        for (line, number) in text.lines().zip(1..) {
            let line = line.split(['#', '\r']).next().unwrap_or_default().trim_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let place = Place { file: file.clone(), line: number };
            let known = options::find(name);
            let name = known.map_or(name, |option| option.name).to_owned();
            let entry = Entry { name, value: value.trim_matches([' ', '\t']).to_owned(), place };
            if let Err(what) = entry.judge(known.map(|option| option.kind)) {
                mistakes.push(entry.place.mistake(format!("{}: {what}", entry.name)));
            } else if entry.name == "Include" {
                self.include(&entry, depth, mistakes);
            } else {
                self.entries.push(entry);
            }
        }
    }

    fn include(&mut self, entry: &Entry, depth: usize, mistakes: &mut Vec<Mistake>) {
        let path = self.path(&entry.value, &entry.place);
        match text(&path) {
            Err(why) => mistakes.push(entry.place.mistake(format!("Include {}: {why}", path.display()))),
            Ok(_) if depth == DEEPEST => {
                mistakes.push(entry.place.mistake(format!("Include: files include each other over {DEEPEST} deep")));
            }
            Ok(text) => self.file(path.into(), &text, depth + 1, mistakes),
        }
    }
}

impl Entry {
    /// As OpenDKIM reads a Boolean: by its first letter.
    pub fn is_true(&self) -> bool {
        self.value.starts_with(['t', 'T', 'y', 'Y', '1'])
    }

    /// As OpenDKIM reads an integer: decimal, octal after 0, hexadecimal after 0x.
    pub fn number(&self) -> Option<u64> {
        let text = self.value.as_str();
        match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
            None => text.parse().ok(),
        }
    }

    /// Its value as it may be shown: those of databases hold passwords.
    pub fn shown(&self) -> &str {
        let secret = self.name.contains("Password") || self.value.contains("://");
        if secret { "(its value is not shown)" } else { &self.value }
    }

    fn judge(&self, kind: Option<Kind>) -> Result<(), String> {
        let is_word = |first: &str| first.starts_with(['t', 'T', 'y', 'Y', '1', 'f', 'F', 'n', 'N', '0']);
        match kind {
            _ if self.value.is_empty() => Err("has no value; write one, or remove the line".into()),
            Some(Kind::Bool) if !is_word(&self.value) => {
                Err(format!("{:?} is neither yes nor no; write one of the two", self.value))
            }
            Some(Kind::Number) if self.number().is_none() => {
                Err(format!("{:?} is not a number; write one", self.value))
            }
            _ => Ok(()),
        }
    }
}

/// The text of a file; octets that are no UTF-8 are replaced, since only comments have any.
pub fn text(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user; run the import as root".to_owned(),
        _ => format!("cannot be read: {}", error.to_string().to_lowercase()),
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
