//! The one task that looks: whose turn it is, so many at a time, and what came of it.

use super::{
    REMEMBERED, Readiness, State, Watch, Watched,
    kept::{Change, Kept},
    look::{Look, Seen},
    recall::Recall,
};
use crate::{
    clock,
    config::Domain,
    diagnose::history::Published,
    dkim::record::KeyRecord,
    dns::Dns,
    event::{
        Action, Direction, Event, Journal, SignatureEvent,
        store::{Note, Watched as WatchedNote},
    },
    key::{KeyMistake, PrivateKey},
    name::DomainName,
    provider::Profile,
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

/// Looks under way: enough that those that wait for a silent server do not hold up the others.
const AT_ONCE: usize = 64;

/// A key that goes on signing is written down this often, in seconds.
const NOTE_AGAIN: u64 = 600;

/// How long a store that could not be read at the start is waited for.
const RECALL_AGAIN: Duration = Duration::from_secs(60);

/// What looks need of the settings in force.
pub trait Basis: Send + Sync {
    /// The entry of a domain.
    fn domain(&self, name: &DomainName) -> Option<Arc<Domain>>;
    /// Its keys, in the order of the entry. May read files.
    fn keys(&self, domain: &Domain) -> Result<Vec<Arc<PrivateKey>>, KeyMistake>;
    /// The profile that a key belongs to.
    fn profile(&self, domain: &Domain, selector: &DomainName) -> Option<Arc<Profile>>;
    /// Whom to ask, at the pace of the watch; `None` if nobody may be asked.
    fn dns(&self) -> Option<Dns>;
}

/// Gives the settings in force.
type Current = Arc<dyn Fn() -> Arc<dyn Basis> + Send + Sync>;

/// The task; dropping it ends it.
pub struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Begins to look, on behalf of this host; needs a tokio runtime. `None` if somebody looks already.
    pub fn begin(
        watch: &Arc<Watch>,
        recall: Recall,
        current: impl Fn() -> Arc<dyn Basis> + Send + Sync + 'static,
        journal: Journal,
        host: String,
    ) -> Option<Keeper> {
        let arriving = watch.arriving()?;
        let rounds = Rounds {
            watch: watch.clone(),
            current: Arc::new(current),
            recall,
            journal,
            host,
            searching: None,
            keys: HashMap::new(),
            due: BinaryHeap::new(),
            looks: JoinSet::new(),
            random: RandomState::new(),
            looked: 0,
        };
        Some(Keeper(tokio::spawn(rounds.run(arriving))))
    }
}

/// A key by its domain and selector.
type Name = (DomainName, DomainName);

/// What a look came to.
struct Looked {
    name: Name,
    /// Its number among the looks at this key.
    number: usize,
    recalled: Option<Vec<Published>>,
    seen: Seen,
}

struct Rounds {
    watch: Arc<Watch>,
    current: Current,
    journal: Journal,
    recall: Recall,
    host: String,
    /// The key whose name servers are asked though nothing is wrong: one at a time, so that nobody waits for it.
    searching: Option<Name>,
    keys: HashMap<Name, Kept>,
    /// What is due when; an entry that is not the key's own time any more counts for nothing.
    due: BinaryHeap<Reverse<(Instant, Name)>>,
    looks: JoinSet<Looked>,
    random: RandomState,
    looked: u64,
}

impl Rounds {
    async fn run(mut self, mut arriving: mpsc::Receiver<DomainName>) {
        let mut recall_at = Some(Instant::now());
        loop {
            self.start_looks();
            let room = self.looks.len() < AT_ONCE;
            let next = self.due.peek().map(|Reverse((at, _))| *at).filter(|_| room);
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                Some(domain) = arriving.recv() => self.arrive(&domain, clock::unix_seconds()),
                Some(done) = self.looks.join_next() => match done {
                    Ok(looked) => self.conclude(looked),
                    // A look that died is made up for when its key is due again; see `start_looks`.
                    Err(error) => {
                        self.searching = None;
                        tracing::error!("a look at a key record ended with a fault of ours: {error}");
                    }
                },
                () = self.watch.reloaded.notified() => self.look_again(),
                () = sleep_until(recall_at.unwrap_or(far)), if recall_at.is_some() => {
                    recall_at = (!self.recall_watched().await).then(|| Instant::now() + RECALL_AGAIN);
                }
                () = sleep_until(next.unwrap_or(far)), if next.is_some() => {}
                else => return,
            }
        }
    }

    /// Begins the looks that are due, as many as there is room for.
    fn start_looks(&mut self) {
        let (now, basis) = (Instant::now(), (self.current)());
        while self.looks.len() < AT_ONCE
            && let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
        {
            let Some(Reverse((at, name))) = self.due.pop() else { break };
            if self.keys.get(&name).is_none_or(|kept| kept.due != at) {
                continue;
            }
            match basis.domain(&name.0).filter(|_| self.is_in_use(&name.0)) {
                Some(domain) => self.start_look(&basis, domain, name),
                None => self.forget(&name.0),
            }
        }
    }

    fn start_look(&mut self, basis: &Arc<dyn Basis>, domain: Arc<Domain>, name: Name) {
        let Some(kept) = self.keys.get_mut(&name) else { return };
        // If the look dies, the key is due again by itself.
        kept.due = Instant::now() + Duration::from_secs(3600);
        self.due.push(Reverse((kept.due, name.clone())));
        let Some(dns) = basis.dns() else { return };
        kept.looks += 1;
        let (number, key) = (kept.looks, kept.key.clone());
        let search = kept.is_unsearched() && self.searching.is_none();
        if search {
            self.searching = Some(name.clone());
        }
        let before = kept.before(search);
        let (mut history, recalled) = (kept.history.clone(), kept.recalled);
        let (basis, recall) = (basis.clone(), self.recall.clone());
        self.looks.spawn(async move {
            let recalled = match recalled {
                true => None,
                false => recall.published(format!("{}._domainkey.{}", name.1, name.0)).await,
            };
            history.extend(recalled.clone().unwrap_or_default());
            let profile = basis.profile(&domain, &key.selector);
            let (entry, reference) = (domain.clone(), key.clone());
            let ours = tokio::task::spawn_blocking(move || our_key(&*basis, &entry, &reference)).await;
            let seen = match ours {
                Ok(Ok(ours)) => {
                    let at = clock::unix_seconds();
                    Look { domain, key, ours, profile, dns, history, at, before }.look().await
                }
                Ok(Err(why)) => Seen::Nothing { why, findings: Vec::new() },
                Err(_) => Seen::Nothing { why: "the key could not be read".into(), findings: Vec::new() },
            };
            Looked { name, number, recalled, seen }
        });
    }

    fn is_in_use(&self, domain: &DomainName) -> bool {
        let domains = self.watch.domains.read().unwrap_or_else(PoisonError::into_inner);
        let signed = domains.get(domain).map(|watched| watched.signed.load(Ordering::Relaxed));
        signed.is_some_and(|signed| signed + REMEMBERED > clock::unix_seconds())
    }

    /// A domain that signs (`signed`: when, in seconds since 1970) is watched from now on.
    fn arrive(&mut self, name: &DomainName, signed: u64) {
        let basis = (self.current)();
        let Some(domain) = basis.domain(name).filter(|_| basis.dns().is_some()) else { return };
        let watched = {
            let mut domains = self.watch.domains.write().unwrap_or_else(PoisonError::into_inner);
            domains.entry(name.clone()).or_default().clone()
        };
        watched.signed.fetch_max(signed, Ordering::Relaxed);
        self.enter_keys(&domain, &watched);
    }

    /// Watches the keys of a domain, and no others.
    fn enter_keys(&mut self, domain: &Domain, watched: &Watched) {
        let now = clock::unix_seconds();
        for key in &domain.keys {
            let name = (domain.name.clone(), key.selector.clone());
            if self.keys.get(&name).is_some_and(|kept| kept.key == *key) {
                continue;
            }
            let kept = Kept::new(&domain.name, key, now);
            self.due.push(Reverse((kept.due, name.clone())));
            self.keys.insert(name, kept);
        }
        for gone in
            watched.keys.load().iter().filter(|known| domain.keys.iter().all(|key| key.selector != known.selector))
        {
            self.keys.remove(&(domain.name.clone(), gone.selector.clone()));
        }
        let of = |key: &crate::config::KeyRef| {
            self.keys.get(&(domain.name.clone(), key.selector.clone())).map(|kept| kept.readiness.clone())
        };
        watched.keys.store(Arc::new(domain.keys.iter().filter_map(of).collect()));
    }

    fn forget(&mut self, domain: &DomainName) {
        let watched = self.watch.domains.write().unwrap_or_else(PoisonError::into_inner).remove(domain);
        for key in watched.iter().flat_map(|watched| watched.keys.load().iter().cloned().collect::<Vec<_>>()) {
            self.keys.remove(&(domain.clone(), key.selector.clone()));
        }
    }

    /// After a reload: other keys may be in force, and whoever reloads wants to know how things stand.
    fn look_again(&mut self) {
        let basis = (self.current)();
        let all: Vec<(DomainName, Arc<Watched>)> = {
            let domains = self.watch.domains.read().unwrap_or_else(PoisonError::into_inner);
            domains.iter().map(|(name, watched)| (name.clone(), watched.clone())).collect()
        };
        for (name, watched) in all {
            match basis.domain(&name).filter(|_| basis.dns().is_some()) {
                Some(domain) => self.enter_keys(&domain, &watched),
                None => self.forget(&name),
            }
        }
        let now = Instant::now();
        // Those that were due already stay in front, or reloads that come quickly would never let the last ones be looked at.
        self.due.clear();
        for (name, kept) in &mut self.keys {
            kept.due = kept.due.min(now);
            self.due.push(Reverse((kept.due, name.clone())));
        }
    }

    /// Takes up what was watched before a restart; false if the store could not be read.
    async fn recall_watched(&mut self) -> bool {
        let since = clock::unix_seconds().saturating_sub(REMEMBERED);
        let Some(watched) = self.recall.watched(self.host.clone(), since).await else { return false };
        for note in watched {
            let (Ok(domain), Ok(selector)) = (DomainName::new(&note.domain), DomainName::new(&note.selector)) else {
                continue;
            };
            self.arrive(&domain, note.signed);
            if let Some(kept) = self.keys.get_mut(&(domain, selector)).filter(|kept| kept.readiness.asked.is_none()) {
                let readiness = Arc::make_mut(&mut kept.readiness);
                readiness.state = match note.state.as_str() {
                    "ready" => State::Ready,
                    "not-ready" => State::NotReady,
                    _ => State::Unknown,
                };
                (readiness.since, readiness.causes) = (note.since, note.causes);
                let readiness = kept.readiness.clone();
                self.show(&readiness);
            }
        }
        true
    }

    /// Takes in what a look found.
    fn conclude(&mut self, looked: Looked) {
        let Looked { name, number, recalled, seen } = looked;
        let name = &name;
        if self.searching.as_ref() == Some(name) {
            self.searching = None;
        }
        let now = clock::unix_seconds();
        self.looked += 1;
        let jitter = (self.random.hash_one(self.looked) % 1000) as f64 / 1000.0;
        // Since then a reload may have put another key in force, and begun another look.
        let Some(kept) = self.keys.get_mut(name).filter(|kept| kept.looks == number) else { return };
        if let Some(recalled) = recalled {
            kept.recall(recalled);
        }
        let change = kept.take(seen, now, jitter);
        self.due.push(Reverse((kept.due, name.clone())));
        let readiness = kept.readiness.clone();
        self.show(&readiness);
        self.write(name, change, now);
    }

    /// Lets sessions see how a key stands.
    fn show(&self, readiness: &Arc<Readiness>) {
        let domains = self.watch.domains.read().unwrap_or_else(PoisonError::into_inner);
        let Some(watched) = domains.get(&readiness.domain) else { return };
        let mut keys = Vec::clone(&watched.keys.load());
        match keys.iter_mut().find(|key| key.selector == readiness.selector) {
            Some(key) => *key = readiness.clone(),
            None => keys.push(readiness.clone()),
        }
        watched.keys.store(Arc::new(keys));
    }

    /// Into the log what changed, and into the store what has to outlast a restart.
    fn write(&mut self, name: &Name, change: Change, now: u64) {
        let Some(kept) = self.keys.get_mut(name) else { return };
        if change.told {
            self.journal.write(event(kept, &self.host));
        }
        if !change.told && !change.content && now < kept.noted + NOTE_AGAIN {
            return;
        }
        kept.noted = now;
        if let Some(published) = kept.present() {
            self.journal.note(Note::Published(published.clone()));
        }
        let domains = self.watch.domains.read().unwrap_or_else(PoisonError::into_inner);
        let signed = domains.get(&name.0).map_or(now, |watched| watched.signed.load(Ordering::Relaxed));
        drop(domains);
        let readiness = &kept.readiness;
        self.journal.note(Note::Watched(WatchedNote {
            host: self.host.clone(),
            domain: readiness.domain.to_string(),
            selector: readiness.selector.to_string(),
            signed,
            state: readiness.state.to_string(),
            since: readiness.since,
            causes: readiness.causes.clone(),
        }));
    }
}

/// The public half of the key that this entry signs with.
fn our_key(
    basis: &dyn Basis,
    domain: &Domain,
    key: &crate::config::KeyRef,
) -> Result<crate::dkim::record::Key, String> {
    let keys = basis.keys(domain).map_err(|mistake| mistake.to_string())?;
    let place = domain.keys.iter().position(|known| known == key).ok_or("the key is no longer configured")?;
    let record = keys.get(place).ok_or("the key is no longer configured")?.public_record();
    KeyRecord::read(record.as_bytes()).key.ok_or_else(|| "the public half of the key cannot be read".to_owned())
}

/// What the log says of a change.
fn event(kept: &Kept, host: &str) -> Event {
    let readiness = &kept.readiness;
    let state = readiness.state.to_string();
    let signature = SignatureEvent {
        domain: readiness.domain.to_string(),
        selector: readiness.selector.to_string(),
        algorithm: readiness.algorithm.as_str().into(),
        result: state,
        reason: readiness.fault.clone().filter(|_| kept.is_silent()),
    };
    let event = Event {
        time: clock::timestamp(),
        host: host.to_owned(),
        action: Action::Watch,
        direction: Direction::Out,
        causes: if kept.is_silent() { kept.silence.clone() } else { readiness.causes.clone() },
        ..Event::default()
    };
    event.with_signatures(vec![signature])
}
