//! What all sessions share: the settings and keys in force, the journal, and how many sessions are open.

use crate::{config::Settings, event::Journal, sign::keys::Keys};
use arc_swap::ArcSwap;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Settings and the keys read under them; a reload replaces both at once.
pub struct Active {
    /// The settings.
    pub settings: Settings,
    /// The keys read so far.
    pub keys: Keys,
}

/// What all sessions share.
pub struct Shared {
    /// What is in force for messages that begin now.
    pub active: ArcSwap<Active>,
    /// Where events go.
    pub journal: Journal,
    /// The name of this host.
    pub host: String,
    /// Connections that are open.
    pub open: Arc<Open>,
}

impl Active {
    /// Settings with no key read yet.
    pub fn new(settings: Settings) -> Arc<Active> {
        Arc::new(Active { settings, keys: Keys::default() })
    }
}

/// How many connections are open, and word when the last one closes.
#[derive(Debug, Default)]
pub struct Open {
    count: AtomicUsize,
    closed: Notify,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub struct OpenGuard(Arc<Open>);

impl Open {
    /// Counts a connection.
    pub fn enter(self: &Arc<Open>) -> OpenGuard {
        self.count.fetch_add(1, Ordering::AcqRel);
        OpenGuard(self.clone())
    }

    /// Connections open now.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until no connection is open.
    pub async fn none(&self) {
        loop {
            let closed = self.closed.notified();
            if self.count() == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.closed.notify_waiters();
        }
    }
}
