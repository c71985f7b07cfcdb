//! The tables, and the steps from any earlier version of them to this one.
//!
//! An event has an id that holds its time (milliseconds since 1970, shifted left by [`CLOCK_BITS`]), so that one index
//! serves order and time; within a shared database it is unique together with the name of the host.

use super::database::{Database, Dialect, Fault, FaultKind};

/// Bits of an id below the time: they tell the events of one millisecond apart.
pub(super) const CLOCK_BITS: u32 = 21;

/// Each step makes the version of its number, from 1. `{key}`, `{id}` and `{only}` differ between the databases.
///
/// What was published at a name is told apart by a digest, since a record can be longer than an index takes.
///
/// A name repeats what is counted, so that a domain's summary reads one stretch of one table; `main` marks the one name
/// under which an event is counted.
const STEPS: [&str; 2] = [
    "
CREATE TABLE waxseal_events (
    id {id}, host TEXT NOT NULL, action TEXT NOT NULL, direction TEXT NOT NULL, queue_id TEXT NOT NULL,
    domain TEXT, selector TEXT, result TEXT, reason TEXT, signatures TEXT NOT NULL, spf TEXT, dmarc TEXT,
    client_ip TEXT, auth_user TEXT, mail_from TEXT NOT NULL, rcpt_to TEXT NOT NULL, from_domain TEXT, message_id TEXT,
    size BIGINT NOT NULL, millis BIGINT NOT NULL, causes TEXT NOT NULL, observed BIGINT NOT NULL{key});
CREATE INDEX waxseal_events_queue_id ON waxseal_events (queue_id, id);
CREATE INDEX waxseal_events_message_id ON waxseal_events (message_id, id);
CREATE INDEX waxseal_events_counts ON waxseal_events (id, action, result, dmarc);
CREATE INDEX waxseal_events_outcomes ON waxseal_events (action, result, id);
CREATE INDEX waxseal_events_unsigned ON waxseal_events (reason, id)
    WHERE reason IS NOT NULL AND action IN ('sign', 'pass');
CREATE TABLE waxseal_names (
    name TEXT NOT NULL, id BIGINT NOT NULL, host TEXT NOT NULL, main BIGINT NOT NULL,
    action TEXT NOT NULL, result TEXT, dmarc TEXT, PRIMARY KEY (name, id, host)){only};
CREATE TABLE waxseal_causes (
    cause TEXT NOT NULL, id BIGINT NOT NULL, host TEXT NOT NULL, confidence TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (cause, id, host)){only};
",
    "
CREATE TABLE waxseal_published (
    name TEXT NOT NULL, digest TEXT NOT NULL, record TEXT NOT NULL, ours BIGINT NOT NULL, first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL, times BIGINT NOT NULL, PRIMARY KEY (name, digest)){only};
CREATE TABLE waxseal_watched (
    host TEXT NOT NULL, domain TEXT NOT NULL, selector TEXT NOT NULL, signed BIGINT NOT NULL, state TEXT NOT NULL,
    since BIGINT NOT NULL, causes TEXT NOT NULL, PRIMARY KEY (host, domain, selector)){only};
",
];

/// Brings the tables up to date; makes them in an empty database.
pub(super) fn migrate(database: &mut dyn Database) -> Result<(), Fault> {
    let version = version(database)?;
    let steps = steps(version)?;
    if steps.is_empty() {
        return Ok(());
    }
    let (id, key, only) = match database.dialect() {
        Dialect::Sqlite => ("INTEGER PRIMARY KEY", "", " WITHOUT ROWID"),
        Dialect::Postgres => ("BIGINT NOT NULL", ", PRIMARY KEY (id, host)", ""),
    };
    // One transaction: a kill on the way leaves the tables as they were.
    let mut statements = String::from("BEGIN;");
    if version == 0 {
        statements += "CREATE TABLE IF NOT EXISTS waxseal_schema (version BIGINT PRIMARY KEY);";
    }
    for (step, number) in steps.iter().zip(version + 1..) {
        statements += &step.replace("{id}", id).replace("{key}", key).replace("{only}", only);
        // Of two hosts that come at the same time, the second fails here or before, and finds all done when it tries again.
        statements += &format!("INSERT INTO waxseal_schema (version) VALUES ({number});");
    }
    database.run(&(statements + "COMMIT;")).inspect_err(|_| {
        let _ = database.run("ROLLBACK");
    })
}

/// The version of the tables that are there; 0 for none.
pub(super) fn version(database: &mut dyn Database) -> Result<usize, Fault> {
    let tables = match database.dialect() {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'waxseal_schema'",
        Dialect::Postgres => {
            "SELECT COUNT(*) FROM information_schema.tables
             WHERE table_name = 'waxseal_schema' AND table_schema = ANY (current_schemas(false))"
        }
    };
    let mut number = |question| -> Result<i64, Fault> {
        Ok(database.ask(question, &[])?.first_mut().map_or(0, super::database::Row::number))
    };
    if number(tables)? == 0 {
        return Ok(0);
    }
    number("SELECT MAX(version) FROM waxseal_schema").map(|version| usize::try_from(version).unwrap_or(0))
}

pub(super) fn steps(version: usize) -> Result<&'static [&'static str], Fault> {
    STEPS.get(version..).ok_or_else(|| {
        let text = format!(
            "the store is of version {version}, made by a later Waxseal than this one, which knows {}; run that one, or \
             name another store",
            STEPS.len()
        );
        Fault::new(FaultKind::Newer, text)
    })
}
