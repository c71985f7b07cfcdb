//! What the watch of our own records keeps: what was published at each name, and how each key that signs stands.
//!
//! Both are bounded by the names that are signed for: at most [`MOST_RECORDS`] contents a name, forgotten with the events.

use super::database::{Database, Fault, Row, Value};
use crate::{
    clock, config,
    diagnose::history::Published,
    event::{CauseEvent, bound},
};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Contents of one name that are kept, those seen last: a rotation leaves two, and an accident a few more.
const MOST_RECORDS: usize = 8;

/// Octets of a content that are kept; what is longer is no key's.
const LONGEST_RECORD: usize = 8192;

/// A key that has not signed for so long (in seconds) is forgotten: twice as long as it is watched.
const UNUSED: u64 = 14 * 86_400;

/// Something to keep beside events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A content that was seen.
    Published(Published),
    /// How a key stands.
    Watched(Watched),
}

/// How a key that signs stands, as one host knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The host that signs.
    pub host: String,
    /// d=.
    pub domain: String,
    /// s=.
    pub selector: String,
    /// When it last signed, in seconds since 1970.
    pub signed: u64,
    /// How its record stands.
    pub state: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Why.
    pub causes: Vec<CauseEvent>,
}

impl Note {
    /// What it takes in memory beside itself, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Note::Published(published) => published.name.len() + published.record.len(),
            Note::Watched(watched) => {
                let cause = |cause: &CauseEvent| {
                    let texts = [&cause.claim, &cause.documented, &cause.fix].into_iter().flatten();
                    256 + texts.map(String::len).sum::<usize>()
                };
                watched.domain.len() + watched.selector.len() + watched.causes.iter().map(cause).sum::<usize>()
            }
        }
    }
}

/// Writes notes; of what is there already, the later one holds.
pub(super) fn write(database: &mut dyn Database, notes: &[Note]) -> Result<(), Fault> {
    for note in notes {
        match note {
            Note::Published(published) => write_published(database, published)?,
            Note::Watched(watched) => write_watched(database, watched)?,
        }
    }
    Ok(())
}

fn write_published(database: &mut dyn Database, published: &Published) -> Result<(), Fault> {
    if published.record.len() > LONGEST_RECORD {
        return Ok(());
    }
    let name = published.name.to_ascii_lowercase();
    let values: [Value; 7] = [
        name.as_str().into(),
        digest(&published.record).into(),
        published.record.replace('\0', "\u{fffd}").into(),
        Value::Number(published.ours.into()),
        published.first.into(),
        published.last.into(),
        published.times.into(),
    ];
    // Several hosts write the same row; each knows a part of what was seen.
    let statement = "INSERT INTO waxseal_published (name, digest, record, ours, first_seen, last_seen, times)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name, digest) DO UPDATE SET
        ours = CASE WHEN excluded.ours > waxseal_published.ours THEN excluded.ours ELSE waxseal_published.ours END,
        last_seen = CASE WHEN excluded.last_seen > waxseal_published.last_seen
            THEN excluded.last_seen ELSE waxseal_published.last_seen END,
        times = CASE WHEN excluded.times > waxseal_published.times
            THEN excluded.times ELSE waxseal_published.times END";
    database.change(statement, &values)?;
    let most = i64::try_from(MOST_RECORDS).unwrap_or(i64::MAX);
    let surplus = "DELETE FROM waxseal_published WHERE name = $1 AND digest NOT IN
        (SELECT digest FROM waxseal_published WHERE name = $1 ORDER BY last_seen DESC, digest LIMIT $2)";
    database.change(surplus, &[name.into(), Value::Number(most)]).map(|_| ())
}

fn write_watched(database: &mut dyn Database, watched: &Watched) -> Result<(), Fault> {
    let mut causes = watched.causes.clone();
    causes.iter_mut().for_each(bound::bounded_cause);
    let causes = serde_json::to_string(&causes).unwrap_or_else(|_| "[]".into());
    let values: [Value; 7] = [
        watched.host.as_str().into(),
        watched.domain.as_str().into(),
        watched.selector.as_str().into(),
        watched.signed.into(),
        watched.state.as_str().into(),
        watched.since.into(),
        causes.into(),
    ];
    let statement = "INSERT INTO waxseal_watched (host, domain, selector, signed, state, since, causes)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (host, domain, selector) DO UPDATE SET
        signed = excluded.signed, state = excluded.state, since = excluded.since, causes = excluded.causes";
    database.change(statement, &values).map(|_| ())
}

/// What was published at a name.
pub(super) fn published(database: &mut dyn Database, name: &str) -> Result<Vec<Published>, Fault> {
    let question = "SELECT record, ours, first_seen, last_seen, times FROM waxseal_published WHERE name = $1
        ORDER BY last_seen";
    let name = name.to_ascii_lowercase();
    let rows = database.ask(question, &[name.as_str().into()])?;
    let read = |mut row: Row| Published {
        name: name.clone(),
        record: row.text().unwrap_or_default(),
        ours: row.number() != 0,
        first: unsigned(row.number()),
        last: unsigned(row.number()),
        times: unsigned(row.number()),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// What a host watched.
pub(super) fn watched(database: &mut dyn Database, host: &str, since: u64, most: usize) -> Result<Vec<Watched>, Fault> {
    let question = format!(
        "SELECT domain, selector, signed, state, since, causes FROM waxseal_watched
         WHERE host = $1 AND signed >= $2 ORDER BY signed DESC LIMIT {most}"
    );
    let rows = database.ask(&question, &[host.into(), since.into()])?;
    let read = |mut row: Row| Watched {
        host: host.to_owned(),
        domain: row.text().unwrap_or_default(),
        selector: row.text().unwrap_or_default(),
        signed: unsigned(row.number()),
        state: row.text().unwrap_or_default(),
        since: unsigned(row.number()),
        causes: row.text().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Deletes what is as old as the events that go, and what no longer signs.
pub(super) fn forget(database: &mut dyn Database, settings: &config::Store) -> Result<u64, Fault> {
    let before = |age: u64| Value::from(clock::unix_seconds().saturating_sub(age));
    let mut deleted = 0;
    if let Some(age) = settings.delete_after {
        let statement = "DELETE FROM waxseal_published WHERE last_seen < $1";
        deleted += database.change(statement, &[before(age.as_secs())])?;
    }
    deleted += database.change("DELETE FROM waxseal_watched WHERE signed < $1", &[before(UNUSED)])?;
    Ok(deleted)
}

fn digest(record: &str) -> String {
    Sha256::digest(record).iter().take(16).fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
