//! What the store remembers of earlier days, read back off the mail path.
//!
//! One connection, opened when it is first needed. A store that does not answer is not asked again for a minute, and what
//! it would have told is as good as nothing.

use crate::{
    config::Place,
    diagnose::history::Published,
    event::{
        Journal,
        store::{Archive, Fault, FaultKind, Watched},
    },
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a store that failed is left alone.
const AGAIN: Duration = Duration::from_secs(60);

/// The keys that are read back at most: as many domains as one host is made for.
const MOST_WATCHED: usize = 200_000;

/// Reads the store that the journal writes.
#[derive(Clone)]
pub struct Recall {
    journal: Journal,
    state: Arc<Mutex<Connection>>,
}

#[derive(Default)]
struct Connection {
    open: Option<(Place, Archive)>,
    failed: Option<Instant>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A connection to a server holds a runtime of its own, which must not end inside of another one.
        if let Some(open) = self.open.take() {
            let _ = std::thread::Builder::new().name("recall".into()).spawn(move || drop(open));
        }
    }
}

impl Recall {
    /// With no connection yet.
    pub fn new(journal: Journal) -> Recall {
        Recall { journal, state: Arc::default() }
    }

    /// What was published at this name; `None` if the store cannot be read now.
    pub async fn published(&self, name: String) -> Option<Vec<Published>> {
        self.ask(move |archive| archive.published(&name)).await
    }

    /// The keys that this host signed with since then (seconds since 1970); `None` if the store cannot be read now.
    pub(super) async fn watched(&self, host: String, since: u64) -> Option<Vec<Watched>> {
        self.ask(move |archive| archive.watched(&host, since, MOST_WATCHED)).await
    }

    async fn ask<T: Default + Send + 'static>(
        &self,
        question: impl FnOnce(&mut Archive) -> Result<T, Fault> + Send + 'static,
    ) -> Option<T> {
        let recall = self.clone();
        // Databases block, and a server far away blocks for long.
        tokio::task::spawn_blocking(move || recall.ask_now(question)).await.ok().flatten()
    }

    fn ask_now<T: Default>(&self, question: impl FnOnce(&mut Archive) -> Result<T, Fault>) -> Option<T> {
        let Some(place) = self.journal.place() else { return Some(T::default()) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed.is_some_and(|failed| failed.elapsed() < AGAIN) {
            return None;
        }
        let open = match state.open.take().filter(|(opened, _)| *opened == place) {
            Some((_, archive)) => Ok(archive),
            None => Archive::open(&place),
        };
        let outcome = open.and_then(|mut archive| question(&mut archive).map(|told| (archive, told)));
        match outcome {
            Ok((archive, told)) => {
                *state = Connection { open: Some((place, archive)), failed: None };
                Some(told)
            }
            // Nothing was ever stored, or the thread that writes has not made the tables yet.
            Err(fault) if fault.kind == FaultKind::Missing => Some(T::default()),
            Err(fault) => {
                tracing::debug!("what was published before cannot be read: {fault}");
                state.failed = Some(Instant::now());
                None
            }
        }
    }
}
