//! Reading TOML by name: every value with its line, every mistake noted, nothing fatal.
//!
//! A [`Section`] is asked for each name that it may hold; what was never asked for is a name that does not exist, so
//! there is no second list of names. A value that cannot be read is noted, and its default stands in, so that one run
//! finds all mistakes. This is why the tables are walked by hand: a derived reader stops at the first one.

use super::{
    Mistake,
    kind::{self, Kind},
};
use std::{
    borrow::Cow,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

/// A setting with its value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its full name, as `signing.expire`.
    pub name: String,
    /// Its value, as TOML writes it.
    pub value: Value,
    /// The line of the settings file; `None` for a default.
    pub line: Option<usize>,
}

/// No section has more names, so that the list of them never grows.
const MOST_NAMES: usize = 14;

/// A name that its table does not know; what is meant is told when all names of all tables are known.
struct Unknown {
    span: Range<usize>,
    name: String,
    full: String,
    known: Vec<&'static str>,
}

/// What is noted while a file is read.
pub(super) struct Reader<'t> {
    file: &'t Path,
    folder: &'t Path,
    line_ends: Vec<usize>,
    pub(super) mistakes: Vec<Mistake>,
    /// Every setting in the order of reading, if somebody wants to see them.
    pub(super) shown: Option<Vec<Shown>>,
    unknown: Vec<Unknown>,
    /// The names of every kind of table, under the name by which the kind is written.
    kinds: Vec<(String, Vec<&'static str>)>,
}

/// One table of the file, or the lack of it.
pub(super) struct Section<'t> {
    name: String,
    /// How tables of its kind are written, where that is not its name in brackets.
    written: Option<&'static str>,
    table: Option<&'t DeTable<'t>>,
    span: Option<Range<usize>>,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &str, file: &'t Path, show: bool) -> Reader<'t> {
        Reader {
            file,
            folder: file.parent().unwrap_or(Path::new("")),
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            mistakes: Vec::new(),
            shown: show.then(Vec::new),
            unknown: Vec::new(),
            kinds: Vec::new(),
        }
    }

    /// Notes a mistake at a place in the file.
    pub(super) fn mistake(&mut self, span: Option<Range<usize>>, what: impl Into<String>) {
        let line = span.map(|span| self.line(&span));
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, what: what.into() });
    }

    /// Notes a duration that is out of its range, both ends included.
    pub(super) fn within(
        &mut self,
        section: &Section<'_>,
        name: &str,
        value: Duration,
        range: RangeInclusive<Duration>,
    ) {
        if !range.contains(&value) {
            let [value, least, most] = [value, *range.start(), *range.end()].map(kind::duration);
            let what = format!("{}: {value:?} is out of range; from {least:?} to {most:?}", section.full(name));
            self.mistake(section.span_of(name), what);
        }
    }

    /// Notes every name that no table knew, once all tables are read: with the table that it belongs in, or with the
    /// name that is near.
    pub(super) fn judge_unknown_names(&mut self) {
        for Unknown { span, name, full, known } in std::mem::take(&mut self.unknown) {
            let homes: Vec<_> = self.kinds.iter().filter(|(_, names)| names.contains(&&*name)).collect();
            let hint = match (&homes[..], nearest(&name, &known)) {
                ([], Some(near)) => format!("did you mean {near:?}?"),
                ([], None) => format!("known here: {}", known.join(", ")),
                (homes, _) => {
                    let homes: Vec<_> = homes.iter().map(|(written, _)| written.as_str()).collect();
                    format!("it belongs in {}", homes.join(" or "))
                }
            };
            self.mistake(Some(span), format!("unknown name {full:?}; {hint}"));
        }
    }

    /// A path of the settings: relative ones start at the folder of the file.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        1 + self.line_ends.partition_point(|end| *end < span.start)
    }

    pub(super) fn show(&mut self, section: &Section<'_>, name: &str, value: impl FnOnce() -> Value, given: bool) {
        if self.shown.is_none() {
            return;
        }
        let line = section.span_of(name).filter(|_| given).map(|span| self.line(&span));
        if let Some(all) = &mut self.shown {
            all.push(Shown { name: section.full(name), value: value(), line });
        }
    }
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn root(table: &'t Spanned<DeTable<'t>>) -> Section<'t> {
        Section::new(String::new(), Some(table.get_ref()), None)
    }

    /// A value that must be a table; something else is noted and counts as an empty one.
    pub(super) fn of(reader: &mut Reader<'_>, name: String, value: &'t Spanned<DeValue<'t>>) -> Section<'t> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            reader.mistake(Some(value.span()), format!("{name}: expected a table, found {}", found(value.get_ref())));
        }
        Section::new(name, table, Some(value.span()))
    }

    /// A table of this name that is not in the file.
    pub(super) fn empty(name: &str) -> Section<'t> {
        Section::new(name.to_owned(), None, None)
    }

    fn new(name: String, table: Option<&'t DeTable<'t>>, span: Option<Range<usize>>) -> Section<'t> {
        Section { name, written: None, table, span, known: Vec::with_capacity(MOST_NAMES) }
    }

    /// The same table, of a kind that is written like this.
    pub(super) fn known_as(mut self, written: &'static str) -> Section<'t> {
        self.written = Some(written);
        self
    }

    /// Its own name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A table by its name; `None` where it is not there.
    pub(super) fn table(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Option<Section<'t>> {
        let value = self.take(name)?;
        Some(Section::of(reader, self.full(name), value))
    }

    /// A table by its name, empty where it is not there.
    pub(super) fn table_or_empty(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Section<'t> {
        let empty = Section::empty(&self.full(name));
        self.table(reader, name).unwrap_or(empty)
    }

    /// A value, or its default.
    pub(super) fn value<T>(&mut self, reader: &mut Reader<'_>, name: &'static str, kind: &Kind<T>, default: T) -> T {
        let given = self.read(reader, name, kind);
        let is_given = given.is_some();
        let value = given.unwrap_or(default);
        reader.show(self, name, || (kind.show)(&value), is_given);
        value
    }

    /// A value that need not be there and has no default of its own.
    pub(super) fn option<T>(&mut self, reader: &mut Reader<'_>, name: &'static str, kind: &Kind<T>) -> Option<T> {
        let value = self.read(reader, name, kind)?;
        reader.show(self, name, || (kind.show)(&value), true);
        Some(value)
    }

    /// A path, resolved against the folder of the file, or its default.
    pub(super) fn path(&mut self, reader: &mut Reader<'_>, name: &'static str, default: PathBuf) -> PathBuf {
        let given = self.read(reader, name, &kind::TEXT).map(|path| reader.resolve(&path));
        let is_given = given.is_some();
        let path = given.unwrap_or(default);
        reader.show(self, name, || Value::String(path.display().to_string()), is_given);
        path
    }

    /// A value as it stands, for the caller to judge.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(name);
        self.table?.get(name)
    }

    /// All entries, whatever their names: for tables whose names are the operator's.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t Spanned<Cow<'t, str>>, &'t Spanned<DeValue<'t>>)> {
        self.table.into_iter().flatten()
    }

    /// Notes every name that was never asked for, and for the names of other tables those that were.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        for (key, _) in self.entries() {
            let name = key.get_ref();
            if !self.known.iter().any(|known| known == name) {
                let (name, full) = (name.to_string(), self.full(name));
                reader.unknown.push(Unknown { span: key.span(), name, full, known: self.known.clone() });
            }
        }
        let is_kind = |written: &str| match self.written {
            Some(own) => own == written,
            None => written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) == Some(&self.name),
        };
        if !self.name.is_empty() && !reader.kinds.iter().any(|(written, _)| is_kind(written)) {
            let written = self.written.map_or_else(|| format!("[{}]", self.name), str::to_owned);
            reader.kinds.push((written, self.known));
        }
    }

    /// Where a name stands, or else the section itself.
    pub(super) fn span_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.and_then(|table| table.get(name)).map(Spanned::span).or_else(|| self.span.clone())
    }

    /// Is the name there, whatever its value?
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// A name with the names of the tables around it.
    pub(super) fn full(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) }
    }

    fn read<T>(&mut self, reader: &mut Reader<'_>, name: &'static str, kind: &Kind<T>) -> Option<T> {
        let value = self.take(name)?;
        match (kind.read)(value.get_ref()) {
            Ok(read) => Some(read),
            Err(why) => {
                reader.mistake(Some(value.span()), format!("{}: {why}", self.full(name)));
                None
            }
        }
    }
}

/// What a value is, for people.
pub(super) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known word that is meant, if one is near: at most a third of the letters differ.
pub(super) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
