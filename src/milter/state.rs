//! What all sessions share: the settings and keys in force, the journal, and how many sessions are open.

use super::diagnosing::Diagnosing;
use crate::{
    config::{Domain, MAX_CONNECTIONS, Rotating, Settings, Verifying},
    dns::{self, Dns, cache, live, pace::Pace},
    event::{Journal, metrics::Metrics},
    key::{KeyMistake, PrivateKey},
    name::DomainName,
    provider::Profile,
    sign::{keys::Keys, selfcheck::Checked},
    signed::recorder::Recorder,
    watch::{self, Basis, Ground, Recall, Watch},
};
use arc_swap::ArcSwap;
use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
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
    /// The same resolver without what is kept of it, and with little patience: does it answer now?
    pub probe: Dns,
    /// The same resolver for the watch: at its pace, and with what it keeps for itself.
    watch: Dns,
    /// How fast the watch asks, over all reloads.
    pace: Pace,
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
    /// Are we on our way out?
    pub stopping: AtomicBool,
    /// How the records of our own keys stand.
    pub watch: Arc<Watch>,
    /// What was published at their names before.
    pub recall: Recall,
    /// Held by whoever replaces what is in force, from reading it to the end.
    pub changing: Mutex<()>,
}

impl Shared {
    /// Puts the rotations that are written down now in force, on the settings and keys that are. Reads files.
    pub fn rotate(&self) -> Result<(), String> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.active.load_full();
        let rotations = Rotating::read_all(&before.settings.rotation.path).map_err(|mistakes| mistakes.to_string())?;
        if rotations == before.settings.rotations {
            return Ok(());
        }
        let mut settings = before.settings.clone();
        settings.rotate(rotations);
        let names = before.settings.configured.keys().chain(settings.configured.keys());
        let changed: HashSet<DomainName> =
            names.filter(|name| before.settings.domains.get(*name) != settings.domains.get(*name)).cloned().collect();
        let keys = before.keys.kept();
        let active = Active { keys, ..Active::new(settings, Some(&before), &self.host, self.journal.metrics()) };
        for domain in changed.iter().filter_map(|name| active.settings.domains.get(name)) {
            let read = active.keys.of(domain, &active.settings.key_directory);
            read.map_err(|mistake| active.settings.key_mistake(domain, &mistake).to_string())?;
        }
        self.active.store(Arc::new(active));
        changed.iter().for_each(|name| self.watch.rotated(name));
        Ok(())
    }
}

impl Active {
    /// Settings with no key read yet, after those that were in force before.
    pub fn new(settings: Settings, before: Option<&Active>, host: &str, metrics: &Arc<Metrics>) -> Active {
        let source = |verify: &Verifying| (verify.resolver, verify.stale);
        let pace = before.map_or_else(|| Pace::new(watch::A_SECOND), |before| before.pace.clone());
        let (dns, probe, watch) = match before {
            Some(before) if source(&before.settings.verify) == source(&settings.verify) => {
                (before.dns.clone(), before.probe.clone(), before.watch.clone())
            }
            _ => {
                let measured = |live| Dns::new(Measured { live, metrics: metrics.clone() });
                let stale = settings.verify.stale.unwrap_or(Duration::ZERO);
                let limits = cache::Limits { stale, ..cache::Limits::default() };
                let dns = Dns::new(cache::Cache::new(measured(resolver(&settings.verify)), limits));
                let probe = Dns::new(resolver(&settings.verify).deadline(PROBE));
                let watch = measured(resolver(&settings.verify).paced(pace.clone()).deadline(WATCH));
                let limits = cache::Limits { entries: 2048, octets: 1 << 20, ..cache::Limits::default() };
                (dns, probe, Dns::new(cache::Cache::new(watch, limits)))
            }
        };
        let authserv_id = settings.verify.authserv_id.clone().unwrap_or_else(|| host.to_owned());
        let known = before.and_then(|before| before.recorder.clone());
        let recorder = settings.records().then(|| match known {
            Some(known) if *known.settings() == settings.signed => known,
            _ => Arc::new(Recorder::start(settings.signed.clone())),
        });
        Active { settings, keys: Keys::default(), dns, probe, watch, pace, authserv_id, recorder }
    }
}

impl Basis for Active {
    fn domain(&self, name: &DomainName) -> Option<Arc<Domain>> {
        self.settings.domains.get(name).cloned()
    }

    fn keys(&self, domain: &Domain) -> Result<Vec<Arc<PrivateKey>>, KeyMistake> {
        self.keys.of(domain, &self.settings.key_directory)
    }

    fn profile(&self, domain: &Domain, selector: &DomainName) -> Option<Arc<Profile>> {
        let chosen =
            domain.provider.as_ref().filter(|_| domain.keys.first().is_some_and(|key| key.selector == *selector));
        chosen.map(|choice| choice.profile.clone())
    }

    fn dns(&self) -> Option<Dns> {
        self.settings.watch.then(|| self.watch.clone())
    }
}

impl Ground for Active {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn dns(&self) -> Option<Dns> {
        Basis::dns(self)
    }
}

/// How long a resolver may take to show that it answers: less than whoever watches the service waits.
const PROBE: Duration = Duration::from_secs(2);

/// How long a resolver may take to answer the watch, for which nothing waits. A second and a third one are asked in time
/// even while each packet waits for its turn.
const WATCH: Duration = Duration::from_secs(10);

/// Name servers, and how long each of their answers took.
struct Measured {
    live: live::Live,
    metrics: Arc<Metrics>,
}

impl dns::Source for Measured {
    fn query<'a>(&'a self, name: &'a str, kind: dns::RecordType) -> dns::Pending<'a> {
        Box::pin(async move {
            let answer = self.live.query(name, kind).await;
            self.metrics.answered(&answer);
            answer
        })
    }

    fn resolvers(&self) -> Vec<SocketAddr> {
        self.live.resolvers()
    }

    fn pace(&self) -> Option<Pace> {
        self.live.pace()
    }
}

/// The resolver of the settings. Without one, and without a readable resolv.conf(5), the name server of
/// this machine is asked, as the C library would do.
fn resolver(verify: &Verifying) -> live::Live {
    match verify.resolver {
        Some(address) => live::resolver(address),
        None => live::system().unwrap_or_else(|mistake| {
            tracing::warn!("asking the name server of this machine: {mistake}");
            live::resolver(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)))
        }),
    }
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
