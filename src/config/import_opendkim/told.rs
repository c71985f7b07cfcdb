//! What the operator has to know of an import: what was not carried, what is not quite the same, what needs nothing.

use super::{
    conf::{Conf, Entry, Place},
    dataset::{self, Refused, Row},
};
use crate::config::Mistake;
use std::fmt;

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The line that it is about; none for a default of OpenDKIM.
    pub place: Option<Place>,
    /// The option, or the row of a table.
    pub what: String,
    /// Why, and the nearest that there is: lower case, no full stop.
    pub why: String,
    /// How much it matters.
    pub weight: Weight,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// What it did is not done.
    Lost,
    /// It is done, and not quite as before.
    Changed,
    /// Nothing takes its place, because nothing is needed.
    Needless,
}

/// The options, and what came of reading them.
#[derive(Debug)]
pub struct Reading<'c> {
    /// The options.
    pub conf: &'c Conf,
    /// What there is to know.
    pub told: Vec<Told>,
    /// What OpenDKIM would refuse, or could not work with.
    pub mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    /// Something about an option.
    pub fn option(&mut self, weight: Weight, entry: &Entry, why: impl Into<String>) {
        let what = format!("{} {}", entry.name, entry.shown());
        self.told.push(Told { place: Some(entry.place.clone()), what, why: why.into(), weight });
    }

    /// Something about a row of a table.
    pub fn row(&mut self, weight: Weight, place: &Place, what: impl Into<String>, why: impl Into<String>) {
        self.told.push(Told { place: Some(place.clone()), what: what.into(), why: why.into(), weight });
    }

    /// Something about what is not there.
    pub fn absent(&mut self, weight: Weight, what: &str, why: impl Into<String>) {
        self.told.push(Told { place: None, what: what.into(), why: why.into(), weight });
    }

    /// A mistake at an option.
    pub fn mistake(&mut self, entry: &Entry, what: impl fmt::Display) {
        self.mistakes.push(entry.place.mistake(format!("{}: {what}", entry.name)));
    }

    /// The data set of an option, if there is one that can be read; `nearest` says what to do where it cannot.
    pub fn dataset(&mut self, name: &str, nearest: &str) -> Option<(Entry, bool, Vec<Row>)> {
        let entry = self.conf.get(name)?.clone();
        match dataset::read(self.conf, &entry) {
            Ok(set) => Some((entry, set.patterns, set.rows)),
            Err(Refused::Mistake(mistake)) => {
                self.mistakes.push(mistake);
                None
            }
            Err(Refused::Foreign(kind)) => {
                self.option(Weight::Lost, &entry, format!("a data set of type {kind} cannot be read; {nearest}"));
                None
            }
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.what.trim_end(), self.why)
    }
}
