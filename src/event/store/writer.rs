//! The thread that writes: batches from the queue into the database, whatever becomes of it.
//!
//! A database that fails is tried again, seldom, until it works or the process ends; meanwhile the queue fills. What is
//! wrong is said once, and once more when it is over. A damaged file is moved aside.

use super::{
    Item, Queue,
    database::{self, Database, Fault, FaultKind},
    notes::{self, Note},
    retention,
    rows::{self, Ids, Kept},
    schema, sqlite,
};
use crate::{
    clock,
    config::{self, Place},
};
use std::{
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// Events in one transaction.
pub(super) const BATCH: usize = 512;
/// How long the first event of a batch waits for others.
const GATHER: Duration = Duration::from_millis(100);
/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often old events are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(3600);
/// After so many new events they are looked for earlier.
const TIDY_AFTER: usize = 50_000;
/// A second file that is found damaged within this time stays where it is: the disk is to blame, and moving helps nobody.
const MOVE_AGAIN: Duration = Duration::from_secs(3600);

/// Writes until the queue is closed.
pub(super) fn write(queue: &Queue, settings: &config::Store) {
    let Some(place) = &settings.place else { return };
    let mut writer = Writer {
        queue,
        settings,
        place,
        database: None,
        ids: Ids::new(),
        trouble: None,
        lost_before: queue.dropped.load(Ordering::Relaxed),
        moved: None,
        tidy_at: Instant::now(),
        since_tidy: 0,
    };
    // Said at the start and not with the first message, where the operator still looks.
    match writer.attempt(&Batch::default()) {
        Err(fault) if fault.kind == FaultKind::Corrupt && writer.moved_aside(&fault) => {}
        Err(fault) => writer.failed(&fault),
        Ok(()) => {}
    }
    while let Some(batch) = writer.next_batch() {
        writer.store(batch);
    }
}

struct Writer<'a> {
    queue: &'a Queue,
    settings: &'a config::Store,
    place: &'a Place,
    database: Option<Box<dyn Database>>,
    ids: Ids,
    /// Since when it fails.
    trouble: Option<Instant>,
    /// What had been lost when all was well.
    lost_before: u64,
    moved: Option<Instant>,
    tidy_at: Instant,
    since_tidy: usize,
}

/// What one transaction writes.
#[derive(Default)]
struct Batch {
    events: Vec<Kept>,
    notes: Vec<Note>,
}

impl Batch {
    fn len(&self) -> usize {
        self.events.len() + self.notes.len()
    }

    /// Each thing by itself.
    fn apart(self) -> impl Iterator<Item = Batch> {
        let events = self.events.into_iter().map(|event| Batch { events: vec![event], notes: Vec::new() });
        events.chain(self.notes.into_iter().map(|note| Batch { events: Vec::new(), notes: vec![note] }))
    }
}

impl Writer<'_> {
    /// Waits for events; `None` when no more will come.
    fn next_batch(&mut self) -> Option<Batch> {
        let mut waiting = self.queue.lock();
        while waiting.items.is_empty() {
            if waiting.closing {
                return None;
            }
            let until_tidy = self.tidy_at.saturating_duration_since(Instant::now());
            if until_tidy.is_zero() || self.since_tidy >= TIDY_AFTER {
                drop(waiting);
                self.tidy();
                waiting = self.queue.lock();
                continue;
            }
            let woken = self.queue.woken.wait_timeout(waiting, until_tidy);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let until = Instant::now() + GATHER;
        while waiting.items.len() < BATCH && !waiting.closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = self.queue.woken.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = waiting.items.len().min(BATCH);
        let items: Vec<_> = waiting.items.drain(..count).collect();
        let bytes: usize = items.iter().map(super::size).sum();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        drop(waiting);
        let mut batch = Batch::default();
        for item in items {
            match item {
                Item::Event(event) => batch.events.push(self.ids.give(*event)),
                Item::Note(note) => batch.notes.push(note),
            }
        }
        Some(batch)
    }

    /// Writes a batch, however long that takes; gives it up only when the store is closed.
    fn store(&mut self, batch: Batch) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(&batch) {
                Ok(()) => {
                    self.since_tidy += batch.len();
                    return self.succeeded();
                }
                Err(fault) if fault.kind == FaultKind::Event && batch.len() > 1 => {
                    return batch.apart().for_each(|one| self.store(one));
                }
                Err(fault) if fault.kind == FaultKind::Event => {
                    tracing::warn!("one event is not stored: {fault}");
                    self.queue.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(fault) if fault.kind == FaultKind::Corrupt && self.moved_aside(&fault) => continue,
                Err(fault) => self.failed(&fault),
            }
            if !self.paused(pause) {
                self.give_up(batch.len());
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One try, on a database that is opened for it where none is open.
    fn attempt(&mut self, batch: &Batch) -> Result<(), Fault> {
        let database = match &mut self.database {
            Some(database) => database,
            None => {
                let mut opened = database::open(self.place)?;
                schema::migrate(opened.as_mut())?;
                self.database.insert(opened)
            }
        };
        let mut write = || {
            database.run("BEGIN")?;
            rows::insert(database.as_mut(), &batch.events)?;
            notes::write(database.as_mut(), &batch.notes)?;
            database.run("COMMIT")
        };
        let outcome = if batch.len() == 0 { Ok(()) } else { write() };
        if let Err(fault) = &outcome {
            let usable = database.run("ROLLBACK").is_ok() && fault.kind == FaultKind::Event;
            self.database = self.database.take().filter(|_| usable);
        }
        outcome
    }

    fn tidy(&mut self) {
        (self.tidy_at, self.since_tidy) = (Instant::now() + TIDY_EVERY, 0);
        let Some(database) = &mut self.database else { return };
        if let Err(fault) = retention::forget(database.as_mut(), self.settings) {
            tracing::warn!("old events are not deleted from the store: {fault}");
            self.database = None;
        }
    }

    fn failed(&mut self, fault: &Fault) {
        if self.trouble.is_none() {
            self.trouble = Some(Instant::now());
            let hint = match fault.kind {
                FaultKind::Missing | FaultKind::Denied => {
                    "; the user that waxseal runs as must be able to write there; store.url = \"\" keeps none"
                }
                _ => "",
            };
            tracing::error!("events are not stored, mail flows and the log has them: {fault}{hint}");
        }
    }

    /// Says that trouble or a loss is over, once what waited is written too.
    fn succeeded(&mut self) {
        let losing = self.queue.losing.load(Ordering::Relaxed);
        if self.trouble.is_none() && !losing {
            return;
        }
        if losing && !self.queue.lock().items.is_empty() {
            return;
        }
        let lost = self.queue.dropped.load(Ordering::Relaxed);
        let missing = lost - std::mem::replace(&mut self.lost_before, lost);
        match self.trouble.take() {
            Some(since) => {
                tracing::warn!("events are stored again after {} s; {missing} were lost", since.elapsed().as_secs())
            }
            None => tracing::warn!("the store keeps up again; {missing} events were lost"),
        }
        self.queue.losing.store(false, Ordering::Relaxed);
    }

    /// Moves a damaged file aside, so that a new one can be begun; false where that cannot be or was done just before.
    fn moved_aside(&mut self, fault: &Fault) -> bool {
        let Place::Sqlite(path) = self.place else { return false };
        if self.moved.is_some_and(|moved| moved.elapsed() < MOVE_AGAIN) {
            return false;
        }
        self.database = None;
        match sqlite::move_aside(path, &clock::timestamp().replace(':', "")) {
            Ok(aside) => {
                self.moved = Some(Instant::now());
                tracing::error!("the store is damaged ({fault}): moved to {}, and a new one begun", aside.display());
                true
            }
            Err(error) => {
                self.failed(&Fault::new(FaultKind::Corrupt, format!("{fault}; it cannot be moved aside: {error}")));
                false
            }
        }
    }

    /// Waits; false when the store is closed meanwhile.
    fn paused(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut waiting = self.queue.lock();
        while !waiting.closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            waiting = self.queue.woken.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// The store was closed while its database failed.
    fn give_up(&self, batch: usize) {
        let mut waiting = self.queue.lock();
        let count = batch + waiting.items.len();
        waiting.items.clear();
        drop(waiting);
        self.queue.dropped.fetch_add(count as u64, Ordering::Relaxed);
        tracing::warn!("{count} events are not stored; the log has them");
    }
}
