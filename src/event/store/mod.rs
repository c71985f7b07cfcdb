//! Events kept for later questions: in an embedded SQLite file, or in a PostgreSQL-wire server that several hosts share.
//!
//! [`Store`] takes events off the mail path: a bounded queue, and one thread that writes them in batches. Whatever
//! befalls the database, taking an event never waits; what the queue cannot hold is counted and said once. [`Archive`]
//! reads them back. Both kinds of database are asked the same questions; only this folder knows their crates.

mod archive;
mod database;
mod notes;
mod postgres;
mod retention;
mod rows;
mod schema;
mod sqlite;
mod tls;
mod writer;

pub use archive::{Archive, CauseCount, Cursor, DomainCount, Filter, Outcome, Slot};
pub use database::{Fault, FaultKind};
pub use notes::{Note, Watched};

use super::Event;
use crate::config;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::watch;

/// Events that may wait for the store: a minute of a busy server, or hours of a small one.
const MOST_WAITING: usize = 16_384;
/// Octets that they may take: hostile events are a hundred times larger than ordinary ones.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How long the events that still wait at the end may take to be written.
const CLOSING: Duration = Duration::from_secs(5);

/// Takes events to be kept; dropping it ends its thread once what waits is written or has failed to be.
#[derive(Debug)]
pub struct Store {
    settings: config::Store,
    queue: Arc<Queue>,
    ended: watch::Receiver<bool>,
}

/// What waits for the store.
#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    woken: Condvar,
    /// Events that could not be kept, over all stores of the process.
    dropped: Arc<AtomicU64>,
    /// Has a loss been said that is not over yet?
    losing: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    closing: bool,
}

/// One thing that waits.
#[derive(Debug)]
enum Item {
    Event(Box<Event>),
    Note(Note),
}

impl Store {
    /// Starts the thread that writes; it opens the database itself, so that a start never waits for one. Events that
    /// cannot be kept are added to `dropped`.
    pub fn start(settings: config::Store, dropped: Arc<AtomicU64>) -> Store {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            woken: Condvar::new(),
            dropped,
            losing: AtomicBool::new(false),
        });
        let (end, ended) = watch::channel(false);
        let (work, limits) = (queue.clone(), settings.clone());
        let started = thread::Builder::new().name("events".into()).spawn(move || {
            writer::write(&work, &limits);
            let _ = end.send(true);
        });
        if let Err(error) = started {
            tracing::error!("events are not stored: no thread for them: {error}");
        }
        Store { settings, queue, ended }
    }

    /// The settings that it was started with.
    pub fn settings(&self) -> &config::Store {
        &self.settings
    }

    /// How many events wait to be written.
    pub fn waiting(&self) -> usize {
        self.queue.lock().items.len()
    }

    /// Takes an event, without waiting.
    pub fn keep(&self, event: Event) {
        let Err(count) = self.queue.take(Item::Event(Box::new(event))) else { return };
        self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        if !self.queue.losing.swap(true, Ordering::Relaxed) {
            tracing::error!("events are being lost for the store, {count} wait for it already; the log has them");
        }
    }

    /// Takes a note, without waiting. One that finds no room is written when it is made anew.
    pub fn note(&self, note: Note) {
        let _ = self.queue.take(Item::Note(note));
    }

    /// Writes what waits and ends, after some seconds at most.
    pub async fn close(&self) {
        self.queue.close();
        let mut ended = self.ended.clone();
        if tokio::time::timeout(CLOSING, ended.wait_for(|ended| *ended)).await.is_err() {
            let left = self.queue.lock().items.len();
            tracing::warn!("the store did not take its last events in time; {left} or more are only in the log");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // What a panicking thread left behind is still a queue.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a thing, if there is room for it; otherwise tells how many wait.
    fn take(&self, item: Item) -> Result<(), usize> {
        let size = size(&item);
        let mut waiting = self.lock();
        if waiting.items.len() >= MOST_WAITING || waiting.bytes + size > MOST_BYTES {
            return Err(waiting.items.len());
        }
        waiting.bytes += size;
        waiting.items.push_back(item);
        // Between the first event of a batch and the one that fills it the thread sleeps: to wake it for each costs more
        // than to write it.
        let wakes = matches!(waiting.items.len(), 1 | writer::BATCH);
        drop(waiting);
        if wakes {
            self.woken.notify_one();
        }
        Ok(())
    }

    fn close(&self) {
        self.lock().closing = true;
        self.woken.notify_all();
    }
}

/// What a thing takes in memory, about.
fn size(item: &Item) -> usize {
    let event = match item {
        Item::Event(event) => event,
        Item::Note(note) => return size_of::<Item>() + note.size(),
    };
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
    let signatures = event.signatures.iter().map(|signature| {
        128 + signature.domain.capacity()
            + signature.selector.capacity()
            + signature.algorithm.capacity()
            + signature.result.capacity()
            + text(&signature.reason)
    });
    let causes = event.causes.iter().map(|cause| 48 + cause.cause.capacity() + cause.confidence.capacity());
    let options = [
        &event.domain,
        &event.selector,
        &event.result,
        &event.reason,
        &event.spf,
        &event.dmarc,
        &event.client_ip,
        &event.auth_user,
        &event.from_domain,
        &event.message_id,
    ];
    size_of::<Item>()
        + size_of::<Event>()
        + [&event.time, &event.host, &event.queue_id, &event.mail_from].map(String::capacity).iter().sum::<usize>()
        + options.into_iter().map(text).sum::<usize>()
        + event.rcpt_to.iter().map(|recipient| 24 + recipient.capacity()).sum::<usize>()
        + signatures.sum::<usize>()
        + causes.sum::<usize>()
}
