//! Forgetting: events beyond the age and the size of the settings go, the oldest first.

use super::{
    database::{Database, Fault, Row},
    notes, rows,
};
use crate::{clock, config};

/// Events that one transaction deletes: few enough that nobody waits long for the lock.
const AT_ONCE: u64 = 50_000;

/// Deletes what is too old or too much.
pub(super) fn forget(database: &mut dyn Database, settings: &config::Store) -> Result<(), Fault> {
    let mut deleted = 0;
    if let Some(age) = settings.delete_after {
        let oldest = clock::unix_seconds().saturating_sub(age.as_secs());
        deleted += delete_before(database, rows::at(i64::try_from(oldest).unwrap_or(0) * 1000))?;
    }
    deleted += notes::forget(database, settings)?;
    while let Some(bytes) = database.bytes()?
        && bytes > settings.max_bytes
    {
        // A tenth at a time, so that the size settles a little below what is allowed.
        let count = number(database, "SELECT COUNT(*) FROM waxseal_events", &[])?.unwrap_or(0);
        let tenth = "SELECT id FROM waxseal_events ORDER BY id LIMIT 1 OFFSET $1";
        let Some(id) = number(database, tenth, &[(count / 10).into()])? else { break };
        let now = delete_before(database, id + 1)?;
        if now == 0 {
            break;
        }
        deleted += now;
    }
    if deleted > 0 {
        database.compact()?;
        tracing::debug!("{deleted} old events were deleted from the store");
    }
    database.learn()
}

fn delete_before(database: &mut dyn Database, end: i64) -> Result<u64, Fault> {
    let mut deleted = 0;
    loop {
        let step = "SELECT id FROM waxseal_events WHERE id < $1 ORDER BY id LIMIT 1 OFFSET $2";
        let until = number(database, step, &[end.into(), AT_ONCE.into()])?;
        database.run("BEGIN")?;
        let outcome = delete(database, until.unwrap_or(end));
        match &outcome {
            Ok(_) => database.run("COMMIT")?,
            Err(_) => drop(database.run("ROLLBACK")),
        }
        deleted += outcome?;
        if until.is_none() {
            return Ok(deleted);
        }
    }
}

fn delete(database: &mut dyn Database, end: i64) -> Result<u64, Fault> {
    let deleted = database.change("DELETE FROM waxseal_events WHERE id < $1", &[end.into()])?;
    // These have no index by id; where no event went, nothing of theirs goes.
    if deleted > 0 {
        database.change("DELETE FROM waxseal_names WHERE id < $1", &[end.into()])?;
        database.change("DELETE FROM waxseal_causes WHERE id < $1", &[end.into()])?;
    }
    Ok(deleted)
}

fn number(
    database: &mut dyn Database,
    question: &str,
    values: &[super::database::Value],
) -> Result<Option<i64>, Fault> {
    Ok(database.ask(question, values)?.first_mut().map(Row::number))
}
