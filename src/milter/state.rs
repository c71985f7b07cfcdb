//! What all sessions share: the settings and keys in force, the journal, and how many sessions are open.

use super::diagnosing::Diagnosing;
use crate::{
    config::{MAX_CONNECTIONS, Settings, Verifying},
    dns::{Dns, cache, live},
    event::Journal,
    sign::{keys::Keys, selfcheck::Checked},
    signed::recorder::Recorder,
};
use arc_swap::ArcSwap;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};

/// Settings and the keys read under them; a reload replaces both at once.
pub struct Active {
    /// The settings.
    pub settings: Settings,
    /// The keys read so far.
    pub keys: Keys,
    /// Answers from DNS, kept over reloads that ask the same resolver.
    pub dns: Dns,
    /// Who we are in Authentication-Results.
    pub authserv_id: String,
    /// Where is kept what was signed, if any domain asks for it.
    pub recorder: Option<Arc<Recorder>>,
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
    /// Which domains and keys have had their self-check.
    pub checked: Checked,
    /// Failed messages that are looked into.
    pub diagnosing: Diagnosing,
}

impl Active {
    /// Settings with no key read yet, after those that were in force before.
    pub fn new(settings: Settings, before: Option<&Active>, host: &str) -> Active {
        let source = |verify: &Verifying| (verify.resolver, verify.stale);
        let dns = match before {
            Some(before) if source(&before.settings.verify) == source(&settings.verify) => before.dns.clone(),
            _ => resolver(&settings.verify),
        };
        let authserv_id = settings.verify.authserv_id.clone().unwrap_or_else(|| host.to_owned());
        let known = before.and_then(|before| before.recorder.clone());
        let recorder = settings.records().then(|| match known {
            Some(known) if *known.settings() == settings.signed => known,
            _ => Arc::new(Recorder::start(settings.signed.clone())),
        });
        Active { settings, keys: Keys::default(), dns, authserv_id, recorder }
    }
}

/// The resolver of the settings behind a cache. Without one, and without a readable resolv.conf(5), the name server of
/// this machine is asked, as the C library would do.
fn resolver(verify: &Verifying) -> Dns {
    let live = match verify.resolver {
        Some(address) => live::resolver(address),
        None => live::system().unwrap_or_else(|mistake| {
            tracing::warn!("asking the name server of this machine: {mistake}");
            live::resolver(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)))
        }),
    };
    let limits = cache::Limits { stale: verify.stale.unwrap_or(Duration::ZERO), ..cache::Limits::default() };
    Dns::new(cache::Cache::new(Dns::new(live), limits))
}

/// The connections of all listeners: how many are open, how many more may be served, and word when the last one closes.
#[derive(Debug)]
pub struct Open {
    count: AtomicUsize,
    closed: Notify,
    places: Arc<Semaphore>,
    ending: AtomicBool,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub struct OpenGuard(Arc<Open>);

impl Open {
    /// None open; so many may be served at once, at most [`MAX_CONNECTIONS`].
    pub fn new(limit: usize) -> Open {
        Open {
            count: AtomicUsize::new(0),
            closed: Notify::new(),
            places: Arc::new(Semaphore::new(limit.min(MAX_CONNECTIONS))),
            ending: AtomicBool::new(false),
        }
    }

    /// The places of connections that are served.
    pub fn places(&self) -> Arc<Semaphore> {
        self.places.clone()
    }

    /// From now on connections are ended by us.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

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

impl OpenGuard {
    /// Are connections being ended by us?
    pub fn is_ending(&self) -> bool {
        self.0.ending.load(Ordering::Acquire)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.closed.notify_waiters();
        }
    }
}
