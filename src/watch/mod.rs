//! Is what we sign with published? The key records of our own domains, compared with our keys over time.
//!
//! Signing tells [`Watch`] which domain it signs for and is told how the record stands, without ever waiting. Those that
//! signed within [`REMEMBERED`] are looked at by one task of its own, at the pace of their records' times to live and never
//! faster than [`A_SECOND`]. What is seen goes into the history of published records (`event::store`), and each change
//! is one event. A question without an answer changes nothing of what was known.

mod keeper;
mod kept;
mod look;
mod recall;
mod rotation;
#[cfg(test)]
mod tests;

pub use keeper::{Basis, Keeper};
pub use recall::Recall;
pub use rotation::{Ground, Rotor};

use crate::{config::Domain, diagnose::finding::Publish, dkim::KeyType, event::CauseEvent, name::DomainName};
use arc_swap::ArcSwap;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, mpsc};

/// A domain that has not signed for so long (7 days, in seconds) is no longer looked at.
pub const REMEMBERED: u64 = 7 * 86_400;

/// Packets in any second, for all domains together: a resolver does not notice it, and ten thousand records are asked for
/// in nine minutes.
pub const A_SECOND: usize = 20;

/// Domains that wait to be looked at for the first time. One that finds no room comes again with its next message.
const ARRIVING: usize = 4096;

/// How the record of a key stands, as it was last known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not asked for yet, or never answered.
    Unknown,
    /// Receivers find our key there.
    Ready,
    /// They do not, or cannot use it.
    NotReady,
}

/// What is known of one key that we sign with.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// d=.
    pub domain: DomainName,
    /// s=.
    pub selector: DomainName,
    /// The type of the key.
    pub algorithm: KeyType,
    /// How it stands.
    pub state: State,
    /// Why it is not ready, or cannot be asked for; where it is ready: what will bite some receivers, or soon. The first
    /// one leads.
    pub causes: Vec<CauseEvent>,
    /// The record to publish, where it is not ready.
    pub publish: Option<Publish>,
    /// Since when the state is this, in seconds since 1970; of an unknown one, since when it is watched.
    pub since: u64,
    /// When the last answer came, in seconds since 1970.
    pub asked: Option<u64>,
    /// Why the last look told nothing, if it did not; the state is then the one known before.
    pub fault: Option<String>,
}

/// What all sessions, the status page and the metrics read.
pub struct Watch {
    domains: RwLock<HashMap<DomainName, Arc<Watched>>>,
    /// Domains that signed and are not watched yet; the other end is for the one who looks.
    arrivals: mpsc::Sender<DomainName>,
    arriving: Mutex<Option<mpsc::Receiver<DomainName>>>,
    reloaded: Notify,
}

/// A domain that is watched.
#[derive(Default)]
struct Watched {
    /// When it last signed, in seconds since 1970.
    signed: AtomicU64,
    /// Its keys.
    keys: ArcSwap<Vec<Arc<Readiness>>>,
}

impl Default for Watch {
    /// Nothing is watched yet.
    fn default() -> Watch {
        let (arrivals, arriving) = mpsc::channel(ARRIVING);
        Watch { domains: RwLock::default(), arrivals, arriving: Mutex::new(Some(arriving)), reloaded: Notify::new() }
    }
}

impl Watch {
    /// Every key that is watched, in the order of the names.
    pub fn readiness(&self) -> Vec<Arc<Readiness>> {
        let domains = self.domains.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            domains.values().flat_map(|watched| watched.keys.load().iter().cloned().collect::<Vec<_>>()).collect();
        drop(domains);
        all.sort_by(|one, other| (&one.domain, &one.selector).cmp(&(&other.domain, &other.selector)));
        all
    }

    /// The domains that signed and are not watched yet; only the first who asks gets them.
    fn arriving(&self) -> Option<mpsc::Receiver<DomainName>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Other settings are in force: everything is looked at again.
    pub fn reload(&self) {
        self.reloaded.notify_one();
    }

    /// Other keys sign for this domain from now on: they are looked at.
    pub fn rotated(&self, domain: &DomainName) {
        let _ = self.arrivals.try_send(domain.clone());
    }

    /// A message of this domain is to be signed now (seconds since 1970): how its first key stands, if that one is known
    /// not to be ready.
    ///
    /// The first key is the RSA key: where a second one is not ready, receivers do without its signature.
    pub fn signs(&self, domain: &Domain, now: u64) -> Option<Arc<Readiness>> {
        let domains = self.domains.read().unwrap_or_else(PoisonError::into_inner);
        let Some(watched) = domains.get(&domain.name) else {
            drop(domains);
            let _ = self.arrivals.try_send(domain.name.clone());
            return None;
        };
        watched.signed.fetch_max(now, Ordering::Relaxed);
        let selector = &domain.keys.first()?.selector;
        let keys = watched.keys.load();
        keys.iter().find(|key| key.selector == *selector && key.state == State::NotReady).cloned()
    }
}

impl fmt::Display for State {
    /// `unknown`, `ready` or `not-ready`, as events and the status page say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Unknown => "unknown",
            State::Ready => "ready",
            State::NotReady => "not-ready",
        })
    }
}
