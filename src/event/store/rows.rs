//! Events as rows and back.

use super::{
    database::{Database, Fault, Row, Value},
    schema::CLOCK_BITS,
};
use crate::{
    clock,
    event::{Action, Direction, Event},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

/// The columns of an event, in the order in which [`read`] takes them.
pub(super) const COLUMNS: [&str; 22] = [
    "id",
    "host",
    "action",
    "direction",
    "queue_id",
    "domain",
    "selector",
    "result",
    "reason",
    "signatures",
    "spf",
    "dmarc",
    "client_ip",
    "auth_user",
    "mail_from",
    "rcpt_to",
    "from_domain",
    "message_id",
    "size",
    "millis",
    "causes",
    "observed",
];

/// Rows that one statement inserts: few sizes, so that each is prepared once, and large ones, so that a server far away
/// answers seldom.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// An event with its id, which stays the same however often it is tried to be written.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: i64,
    pub(super) event: Event,
}

/// Gives ids.
pub(super) struct Ids(u64);

impl Ids {
    /// Starts anywhere, so that two processes of one host do not give the same ids.
    pub(super) fn new() -> Ids {
        Ids(RandomState::new().hash_one(0))
    }

    pub(super) fn give(&mut self, event: Event) -> Kept {
        self.0 = self.0.wrapping_add(1);
        let low = self.0 & ((1 << CLOCK_BITS) - 1);
        let id = at(millis(&event.time)) | i64::try_from(low).unwrap_or(0);
        Kept { id, event }
    }
}

/// The least id of a time, in milliseconds since 1970.
pub(super) fn at(millis: i64) -> i64 {
    millis.clamp(0, (1 << (63 - CLOCK_BITS)) - 1) << CLOCK_BITS
}

/// The time of an id, in milliseconds since 1970.
pub(super) fn millis_of(id: i64) -> i64 {
    id >> CLOCK_BITS
}

/// A time of an event in milliseconds since 1970; now, where it cannot be read.
fn millis(time: &str) -> i64 {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.as_millisecond(),
        Err(_) => i64::try_from(clock::unix_seconds()).unwrap_or(0) * 1000,
    }
}

/// Where rows go; a statement is long, so each is written once.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    statements: [OnceLock<String>; SIZES.len()],
}

static EVENTS: Table = Table::new("waxseal_events", &COLUMNS);
static NAMES: Table = Table::new("waxseal_names", &["name", "id", "host", "main", "action", "result", "dmarc"]);
static CAUSES: Table = Table::new("waxseal_causes", &["cause", "id", "host", "confidence", "name"]);

/// Writes events and what they are found by. Those that are there already stay as they are.
pub(super) fn insert(database: &mut dyn Database, batch: &[Kept]) -> Result<(), Fault> {
    let (mut events, mut names, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    for kept in batch {
        events.extend(values(kept));
        let (event, id) = (&kept.event, Value::Number(kept.id));
        let main = main_name(event);
        let mut found_by = names_of(event);
        found_by.insert(main.clone());
        let host = Value::from(event.host.as_str());
        names.extend(found_by.into_iter().flat_map(|name| {
            let is_main = Value::Number((name == main).into());
            let (action, result, dmarc) = (event.action.as_str(), event.result.clone(), event.dmarc.clone());
            [name.into(), id.clone(), host.clone(), is_main, action.into(), result.into(), dmarc.into()]
        }));
        causes.extend(event.causes.iter().flat_map(|cause| {
            let confidence = cause.confidence.as_str().into();
            [cause.cause.as_str().into(), id.clone(), host.clone(), confidence, main.as_str().into()]
        }));
    }
    EVENTS.insert(database, &events)?;
    NAMES.insert(database, &names)?;
    CAUSES.insert(database, &causes)
}

/// The domain under which an event is counted: that of From, or else that of the signature, or none.
fn main_name(event: &Event) -> String {
    event.from_domain.as_ref().or(event.domain.as_ref()).map(|name| name.to_ascii_lowercase()).unwrap_or_default()
}

/// Every domain that has to do with an event, in lower case.
pub(super) fn names_of(event: &Event) -> BTreeSet<String> {
    let signatures = event.signatures.iter().map(|signature| &signature.domain);
    let names = event.domain.iter().chain(&event.from_domain).chain(signatures);
    names.filter(|name| !name.is_empty()).map(|name| name.to_ascii_lowercase()).collect()
}

impl Table {
    const fn new(name: &'static str, columns: &'static [&'static str]) -> Table {
        Table { name, columns, statements: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// Inserts rows, given as one value after the other.
    fn insert(&self, database: &mut dyn Database, mut values: &[Value]) -> Result<(), Fault> {
        for (size, statement) in SIZES.into_iter().zip(&self.statements) {
            while let Some((now, later)) = values.split_at_checked(size * self.columns.len()) {
                database.change(statement.get_or_init(|| self.statement(size)), now)?;
                values = later;
            }
        }
        Ok(())
    }

    fn statement(&self, rows: usize) -> String {
        let row = |row: usize| {
            let places: Vec<_> =
                (1..=self.columns.len()).map(|at| format!("${}", row * self.columns.len() + at)).collect();
            format!("({})", places.join(", "))
        };
        let places: Vec<_> = (0..rows).map(row).collect();
        let (table, columns) = (self.name, self.columns.join(", "));
        format!("INSERT INTO {table} ({columns}) VALUES {} ON CONFLICT DO NOTHING", places.join(", "))
    }
}

fn values(kept: &Kept) -> [Value; COLUMNS.len()] {
    let event = kept.event.clone();
    [
        kept.id.into(),
        event.host.into(),
        event.action.as_str().into(),
        word(&event.direction).into(),
        event.queue_id.into(),
        event.domain.into(),
        event.selector.into(),
        event.result.into(),
        event.reason.into(),
        list(&event.signatures).into(),
        event.spf.into(),
        event.dmarc.into(),
        event.client_ip.into(),
        event.auth_user.into(),
        event.mail_from.into(),
        list(&event.rcpt_to).into(),
        event.from_domain.into(),
        event.message_id.into(),
        event.size.into(),
        event.millis.into(),
        list(&event.causes).into(),
        Value::Number(event.observed.into()),
    ]
}

/// The id and the event of a row with [`COLUMNS`].
pub(super) fn read(mut row: Row) -> Kept {
    let id = row.number();
    let event = Event {
        time: time(millis_of(id)),
        host: row.text().unwrap_or_default(),
        action: of_word(row.text(), Action::Pass),
        direction: of_word(row.text(), Direction::Unknown),
        queue_id: row.text().unwrap_or_default(),
        domain: row.text(),
        selector: row.text(),
        result: row.text(),
        reason: row.text(),
        signatures: of_list(row.text()),
        spf: row.text(),
        dmarc: row.text(),
        client_ip: row.text(),
        auth_user: row.text(),
        mail_from: row.text().unwrap_or_default(),
        rcpt_to: of_list(row.text()),
        from_domain: row.text(),
        message_id: row.text(),
        size: u64::try_from(row.number()).unwrap_or(0),
        millis: u64::try_from(row.number()).unwrap_or(0),
        causes: of_list(row.text()),
        observed: row.number() != 0,
    };
    Kept { id, event }
}

/// RFC 3339 in UTC with milliseconds, as events say it.
fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The word that JSON has for a value.
pub(super) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn of_word<T: DeserializeOwned>(word: Option<String>, unknown: T) -> T {
    word.and_then(|word| serde_json::from_value(word.into()).ok()).unwrap_or(unknown)
}

fn list<T: Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).unwrap_or_else(|_| "[]".into())
}

fn of_list<T: DeserializeOwned>(text: Option<String>) -> Vec<T> {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
