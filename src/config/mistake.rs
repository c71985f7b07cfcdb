//! Mistakes in the settings: each with its file, its line and what to do, all of them at once.

use crate::provider::ProfileMistake;
use std::{borrow::Cow, fmt, path::PathBuf};

/// One mistake. `Display` gives `file:line: what`, as compilers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line, from 1; `None` where the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong, by name, and the fix: lower case, no full stop.
    pub what: String,
}

/// At least one mistake, in the order of the lines. `Display` gives one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Nothing, or the mistakes in the order of files and lines.
    pub(crate) fn none_or(mut mistakes: Vec<Mistake>) -> Result<(), Mistakes> {
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort_by(|a, b| (&a.file, a.line, &a.what).cmp(&(&b.file, b.line, &b.what)));
        Err(Mistakes(mistakes))
    }

    /// The mistakes.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.0.iter()
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Mistakes {
        Mistakes(vec![mistake])
    }
}

impl From<ProfileMistake> for Mistake {
    fn from(mistake: ProfileMistake) -> Mistake {
        Mistake { file: mistake.file, line: mistake.line, what: mistake.what }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", without_keys(&self.what))
    }
}

/// What is said of a value shows the value, and a value may be a private key that was put in place of its file's name.
/// From the first run of characters that looks like one to the last that could still belong to it, nothing is shown.
fn without_keys(what: &str) -> Cow<'_, str> {
    const RUN: usize = 64;
    const REST: usize = 8;
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_');
    let mixed = |run: &str| {
        let has = |kind: fn(&u8) -> bool| run.bytes().any(|octet| kind(&octet));
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
    };
    let runs = || {
        let at = |run: &str| run.as_ptr() as usize - what.as_ptr() as usize;
        what.split(|c: char| !base64(c)).map(move |run| (at(run), run))
    };
    let Some((start, _)) = runs().find(|(_, run)| run.len() >= RUN && mixed(run)) else { return what.into() };
    let last = runs().rfind(|(_, run)| run.len() >= REST && mixed(run));
    let end = last.map_or(start, |(at, run)| at + run.len());
    format!("{}(what looks like a private key){}", &what[..start], &what[end..]).into()
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistake {}
impl std::error::Error for Mistakes {}
