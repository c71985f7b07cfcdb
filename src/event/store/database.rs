//! What both kinds of database can do, and what can go wrong with them.
//!
//! Statements are written once, with `$1`, `$2` in the order of their first use, which PostgreSQL and SQLite both read.

use super::{postgres, sqlite};
use crate::config::{self, Place};
use std::fmt;

/// A value in a row or for a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// NULL.
    Null,
    /// BIGINT.
    Number(i64),
    /// TEXT.
    Text(String),
}

/// A row of an answer, read from the left.
pub(super) struct Row(std::vec::IntoIter<Value>);

/// An open database.
pub(super) trait Database: Send {
    /// Runs statements without values.
    fn run(&mut self, statements: &str) -> Result<(), Fault>;
    /// Runs one statement, and gives the number of rows that it changed.
    fn change(&mut self, statement: &str, values: &[Value]) -> Result<u64, Fault>;
    /// Asks one question.
    fn ask(&mut self, question: &str, values: &[Value]) -> Result<Vec<Row>, Fault>;
    /// The kind of statements that make tables.
    fn dialect(&self) -> Dialect;
    /// Octets on disk, as far as that can be known.
    fn bytes(&mut self) -> Result<Option<u64>, Fault>;
    /// Gives back what deleted rows leave behind.
    fn compact(&mut self) -> Result<(), Fault>;
    /// Looks at the tables, so that questions are planned by what they hold; a server does that by itself.
    fn learn(&mut self) -> Result<(), Fault>;
}

/// Where the two differ in the making of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// What is wrong with a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of trouble.
    pub kind: FaultKind,
    /// What the database said, with its name: lower case, no full stop.
    pub text: String,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no such file, folder or database.
    Missing,
    /// We may not read or write it.
    Denied,
    /// Its server does not answer.
    Unreachable,
    /// Its disk is full.
    Full,
    /// The file is damaged, or no database at all.
    Corrupt,
    /// A later version of this program made its tables.
    Newer,
    /// It takes everything but this one event.
    Event,
    /// Anything else.
    Other,
}

/// Opens the database for writing.
pub(super) fn open(place: &Place) -> Result<Box<dyn Database>, Fault> {
    match place {
        Place::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path)?)),
        Place::Postgres(url) => Ok(Box::new(postgres::Postgres::open(url)?)),
    }
}

/// Opens the database for questions; makes nothing that is not there.
pub(super) fn open_to_read(place: &config::Place) -> Result<Box<dyn Database>, Fault> {
    match place {
        Place::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open_to_read(path)?)),
        Place::Postgres(url) => Ok(Box::new(postgres::Postgres::open(url)?)),
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, text: impl Into<String>) -> Fault {
        Fault { kind, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Row {
        Row(values.into_iter())
    }

    /// The next value as a text, if it is one.
    pub(super) fn text(&mut self) -> Option<String> {
        match self.0.next() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The next value as a number; 0 for anything else.
    pub(super) fn number(&mut self) -> i64 {
        match self.0.next() {
            Some(Value::Number(number)) => number,
            _ => 0,
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Value {
        text.map_or(Value::Null, Value::Text)
    }
}
