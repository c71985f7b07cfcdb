//! Why a message from outside failed: looked into after the MTA has its answer, off the mail path, within bounds.
//!
//! While a signed message streams, a copy of its body is kept, of at most [`COPY`] octets and of [`COPIES`] for all
//! messages together; a copy that would be larger is dropped, and the finding says less. Of messages that failed,
//! [`AT_ONCE`] are looked into at a time and [`WAITING`] wait; beyond that they are left, counted and said once.
//! A diagnosis changes no verdict: it ends in an event of action `diagnose`.
//!
//! Where they decide between causes, the name servers of the key's zone are asked directly. Whoever wrote the message chose
//! them: so only public addresses are asked ([`Reach`]), no faster than [`A_SECOND`] for all messages together, and what
//! they said is remembered for [`REMEMBERED`].

use super::state::{Active, Shared};
use crate::{
    config::{NameServers, Settings},
    diagnose::{
        Placed,
        case::{Asked, Expected, Servers},
        finding::Effect,
        history::Published,
    },
    dns::{RecordType, pace::Pace},
    event::{CauseEvent, Event},
    inquire::{self, Bounds, Inquiry, Reach},
    message::Header,
    verify::{
        Word,
        dmarc::DmarcResult,
        message::{Envelope, Verdicts},
        spf::SpfResult,
    },
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// The most of one body that is kept for the diagnosis.
const COPY: usize = 256 * 1024;

/// The most of all bodies together.
const COPIES: usize = 8 * 1024 * 1024;

/// Diagnoses at a time. Each may compute for a third of a second, on a thread of its own.
const AT_ONCE: usize = 2;

/// Messages that wait for a diagnosis. Each holds its header, its verdicts and its copy.
const WAITING: usize = 64;

/// Packets in any second to name servers that the resolver did not ask for us: nobody can have us flood a third one.
const A_SECOND: usize = 20;

/// How long what the servers of a name said is good for further messages: those that come in one go. Longer, and what was
/// mended meanwhile would still be called broken.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Names whose servers are remembered.
const NAMES: usize = 256;

/// What all sessions share.
pub struct Diagnosing {
    room: Arc<Room>,
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    overrun: Arc<AtomicBool>,
    pace: Pace,
    servers: Mutex<HashMap<Asked, (Instant, Arc<Servers>)>>,
}

/// What is left for copies of bodies.
#[derive(Debug)]
struct Room {
    left: AtomicUsize,
}

/// The beginning of a body; all of it unless it was too long.
#[derive(Debug)]
pub struct Copy {
    room: Arc<Room>,
    bytes: Vec<u8>,
    dropped: bool,
}

/// A message that was judged.
pub struct Judged {
    /// Its header.
    pub header: Header,
    /// Its body, if a copy was kept.
    pub body: Option<Copy>,
    /// What SPF was judged for.
    pub envelope: Envelope,
    /// The verdicts.
    pub verdicts: Verdicts,
    /// The event that told them.
    pub event: Event,
    /// When it was judged, in seconds since 1970.
    pub at: u64,
}

impl Default for Diagnosing {
    fn default() -> Diagnosing {
        Diagnosing {
            room: Arc::new(Room { left: AtomicUsize::new(COPIES) }),
            running: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::default(),
            overrun: Arc::default(),
            pace: Pace::new(A_SECOND),
            servers: Mutex::default(),
        }
    }
}

impl Diagnosing {
    /// An empty copy.
    pub fn copy(&self) -> Copy {
        Copy { room: self.room.clone(), bytes: Vec::new(), dropped: false }
    }

    /// Looks into a message that [`is_suspicious`] in the background, if there is room for it.
    pub fn begin(&self, shared: &Arc<Shared>, active: &Arc<Active>, judged: Judged) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            if !self.overrun.swap(true, Ordering::AcqRel) {
                tracing::warn!("more messages fail than can be diagnosed: some are left without a cause");
            }
            return;
        }
        let expected = Expected {
            trusted_sealers: active.settings.verify.trusted_sealers.clone(),
            known: Some(Arc::new(active.settings.profiles.clone())),
            ..Expected::default()
        };
        let (shared, active) = (shared.clone(), active.clone());
        let (running, waiting, overrun) = (self.running.clone(), self.waiting.clone(), self.overrun.clone());
        tokio::spawn(async move {
            if let Ok(permit) = running.acquire_owned().await {
                // The search computes for long: it must not hold up the threads that serve mail.
                let runtime = tokio::runtime::Handle::current();
                let task = move || runtime.block_on(look_into(&shared, &active, expected, judged));
                if tokio::task::spawn_blocking(task).await.is_err() {
                    tracing::error!("a diagnosis ended with a fault of ours; the mail is not affected");
                }
                drop(permit);
            }
            if waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                overrun.store(false, Ordering::Release);
            }
        });
    }
}

impl Diagnosing {
    /// What the servers of a name said a moment ago.
    fn recall(&self, asked: &Asked) -> Option<Arc<Servers>> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(asked).filter(|(at, _)| at.elapsed() < REMEMBERED).map(|(_, servers)| servers.clone())
    }

    fn remember(&self, asked: Asked, said: Arc<Servers>) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= NAMES {
            servers.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        }
        if servers.len() < NAMES && !said.answers.is_empty() {
            servers.entry(asked).or_insert_with(|| (Instant::now(), said));
        }
    }
}

/// Whose servers may be asked under these settings.
fn reach(settings: &Settings) -> Reach {
    match settings.verify.name_servers {
        NameServers::Public => Reach::Public(settings.trusted_networks.clone()),
        NameServers::All => Reach::Everybody,
        NameServers::None => Reach::Nobody,
    }
}

/// Did something fail, or pass by luck?
pub fn is_suspicious(verdicts: &Verdicts) -> bool {
    let dkim =
        verdicts.dkim.iter().any(|result| result.result != Word::Pass || !result.warnings.is_empty() || result.testing);
    let spf = verdicts.spf.as_ref().is_some_and(|spf| !matches!(spf.main.result, SpfResult::Pass | SpfResult::None));
    let dmarc = !matches!(verdicts.dmarc.result, DmarcResult::Pass | DmarcResult::None);
    dkim || spf || dmarc || verdicts.arc.result == Word::Fail
}

async fn look_into(shared: &Shared, active: &Active, mut expected: Expected, judged: Judged) {
    expected.history = history(shared, active, &judged.verdicts).await;
    let standing = judged.verdicts.standing(&active.dns).await;
    let query = judged.envelope.query(&active.authserv_id, judged.at);
    let mut inquiry = Inquiry::new(&active.dns, query, inquire::MILTER);
    let diagnosing = &shared.diagnosing;
    inquiry.live_at(Bounds { reach: reach(&active.settings), pace: Some(diagnosing.pace.clone()) });
    let keys = || {
        let names = judged.verdicts.dkim.iter().filter_map(|result| result.signature.key_name());
        names.map(|name| (name.to_ascii_lowercase(), RecordType::Txt))
    };
    for asked in keys() {
        if let Some(servers) = diagnosing.recall(&asked) {
            inquiry.take_servers(asked, servers);
        }
    }
    let message = inquire::Judged {
        header: &judged.header,
        body: judged.body.as_ref().and_then(Copy::whole),
        verdicts: &judged.verdicts,
        standing: &standing,
        at: judged.at,
        expected: &expected,
    };
    let findings = inquiry.message(message).await;
    for asked in keys() {
        if let Some(servers) = inquiry.facts().known_servers(&asked) {
            diagnosing.remember(asked, servers.clone());
        }
    }
    let causes = causes(&findings);
    if !causes.is_empty() {
        shared.journal.write(judged.event.diagnosis(causes));
    }
}

/// What was published for the signatures of our own domains: nobody keeps that of strangers.
async fn history(shared: &Shared, active: &Active, verdicts: &Verdicts) -> Vec<Published> {
    let mut history: Vec<Published> = Vec::new();
    for signature in verdicts.dkim.iter().map(|result| &result.signature) {
        let ours = signature.domain.as_ref().is_some_and(|domain| active.settings.domains.contains_key(domain));
        if let Some(name) = signature.key_name().filter(|_| ours)
            && history.iter().all(|known| known.name != name)
        {
            history.extend(shared.recall.published(name).await.unwrap_or_default());
        }
    }
    history
}

/// What the event tells: causes, the message's own first; what merely informs only where nothing else is found.
fn causes(findings: &[Placed]) -> Vec<CauseEvent> {
    let told = findings.iter().filter(|placed| placed.finding.effect != Effect::Note);
    told.map(|placed| CauseEvent::of(&placed.finding)).collect()
}

impl Copy {
    /// Takes the next piece, or drops everything if there is no room for it.
    pub fn take(&mut self, piece: &[u8]) {
        if self.dropped {
            return;
        }
        let fits = self.bytes.len() + piece.len() <= COPY && self.room.reserve(piece.len());
        if fits {
            self.bytes.extend_from_slice(piece);
        } else {
            self.dropped = true;
            self.room.release(self.bytes.len());
            self.bytes = Vec::new();
        }
    }

    /// The body, if all of it was kept.
    fn whole(&self) -> Option<&[u8]> {
        (!self.dropped).then_some(&self.bytes)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.room.release(self.bytes.len());
    }
}

impl Room {
    fn reserve(&self, octets: usize) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(octets)).is_ok()
    }

    fn release(&self, octets: usize) {
        self.left.fetch_add(octets, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_bounded_each_and_together() {
        let diagnosing = Diagnosing::default();
        let mut small = diagnosing.copy();
        small.take(b"a piece ");
        small.take(b"and another");
        assert_eq!(small.whole(), Some(&b"a piece and another"[..]));
        let mut large = diagnosing.copy();
        (0..5).for_each(|_| large.take(&[b'x'; 64 * 1024]));
        assert_eq!(large.whole(), None, "over the bound of one");
        let copies: Vec<Copy> = (0..40)
            .map(|_| {
                let mut copy = diagnosing.copy();
                copy.take(&vec![b'x'; COPY]);
                copy
            })
            .collect();
        let kept = copies.iter().filter(|copy| copy.whole().is_some()).count();
        assert_eq!(kept, 31, "a little less than 32 times a quarter of a mebibyte");
        drop((small, large, copies));
        assert_eq!(diagnosing.room.left.load(Ordering::Acquire), COPIES, "everything is given back");
    }
}
