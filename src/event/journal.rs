//! Writing events: one line of the log each, and a row of the store where one is kept.
//!
//! Both go through bounded queues, so that writing never waits and never fails; what a queue cannot take is counted.

use super::{
    Action, Event,
    bound::{self, pair},
    log,
    metrics::Metrics,
    store::{Note, Store},
};
use crate::config::{self, Place};
use arc_swap::ArcSwapOption;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::Level;

/// Where events are written; clones write to the same place.
#[derive(Clone, Debug)]
pub struct Journal {
    json: bool,
    store: Arc<ArcSwapOption<Store>>,
    dropped: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl Journal {
    /// A journal in the form that the settings ask for, which keeps nothing; [`log::start`] must have been called for
    /// lines to appear.
    pub fn new(log: &config::Log) -> Journal {
        Journal { json: log.json, store: Arc::default(), dropped: Arc::default(), metrics: Arc::default() }
    }

    /// Keeps events where the settings say from now on; what still waits for another store goes there in the background.
    pub fn keep_in(&self, settings: &config::Store) {
        if self.store.load().as_ref().is_some_and(|store| store.settings() == settings) {
            return;
        }
        let store = settings.place.is_some().then(|| Arc::new(Store::start(settings.clone(), self.dropped.clone())));
        self.store.store(store);
    }

    /// Writes one event: an error where mail that was to be signed was not, a warning where its signature will fail or the
    /// record of one of our keys is not in order, else for information.
    pub fn write(&self, event: Event) {
        let event = bound::bounded(event);
        self.metrics.count(&event);
        match (self.json, level(&event)) {
            (true, Level::ERROR) => tracing::error!(target: log::EVENT, json = %Json(&event)),
            (true, Level::WARN) => tracing::warn!(target: log::EVENT, json = %Json(&event)),
            (true, _) => tracing::info!(target: log::EVENT, json = %Json(&event)),
            (false, Level::ERROR) => tracing::error!(target: log::EVENT, "{}", Text(&event)),
            (false, Level::WARN) => tracing::warn!(target: log::EVENT, "{}", Text(&event)),
            (false, _) => tracing::info!(target: log::EVENT, "{}", Text(&event)),
        }
        if let Some(store) = &*self.store.load() {
            store.keep(event);
        }
    }

    /// The numbers of this process; every event that is written is counted there.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Keeps a note in the store, where there is one; the log has nothing of it.
    pub fn note(&self, note: Note) {
        if let Some(store) = &*self.store.load() {
            store.note(note);
        }
    }

    /// Where events and notes are kept.
    pub fn place(&self) -> Option<Place> {
        self.store.load().as_ref().and_then(|store| store.settings().place.clone())
    }

    /// How many events the store could not keep since the process started (`waxseal_events_dropped_total`).
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what still waits for the store, for some seconds at most.
    pub async fn close(&self) {
        if let Some(store) = self.store.swap(None) {
            store.close().await;
        }
    }
}

fn level(event: &Event) -> Level {
    let passed = event.result.as_deref() == Some("pass");
    match event.action {
        Action::Sign if !passed => Level::ERROR,
        Action::Sign | Action::Watch if !event.causes.is_empty() => Level::WARN,
        _ => Level::INFO,
    }
}

struct Json<'a>(&'a Event);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bound::safe_json(serde_json::to_string(self.0).map_err(|_| fmt::Error)?))
    }
}

/// `QUEUEID: action=sign result=pass domain=…`: what an operator greps for comes first.
struct Text<'a>(&'a Event);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        write!(f, "{}: action={}", if event.queue_id.is_empty() { "NOQUEUE" } else { &event.queue_id }, event.action)?;
        pair(f, "result", event.result.as_deref())?;
        pair(f, "reason", event.reason.as_deref())?;
        for signature in &event.signatures {
            pair(f, "domain", Some(&signature.domain))?;
            pair(f, "selector", Some(&signature.selector))?;
            pair(f, "algorithm", Some(&signature.algorithm))?;
            if event.action == Action::Verify {
                pair(f, "dkim", Some(&signature.result))?;
            }
        }
        pair(f, "spf", event.spf.as_deref())?;
        pair(f, "dmarc", event.dmarc.as_deref())?;
        if event.signatures.is_empty() {
            pair(f, "domain", event.domain.as_deref())?;
            pair(f, "selector", event.selector.as_deref())?;
        }
        if event.observed {
            pair(f, "observed", Some("yes"))?;
        }
        pair(f, "from_domain", event.from_domain.as_deref())?;
        let is_mail = event.action != Action::Watch;
        pair(f, "mail_from", is_mail.then_some(&event.mail_from))?;
        pair(f, "client_ip", event.client_ip.as_deref())?;
        pair(f, "auth_user", event.auth_user.as_deref())?;
        pair(f, "rcpt_to", event.rcpt_to.first().map(String::as_str))?;
        if event.rcpt_to.len() > 1 {
            write!(f, " rcpts={}", event.rcpt_to.len())?;
        }
        pair(f, "message_id", event.message_id.as_deref())?;
        for cause in &event.causes {
            pair(f, "cause", Some(&cause.cause))?;
            pair(f, "confidence", Some(&cause.confidence))?;
        }
        if let Some(first) = event.causes.first() {
            pair(f, "claim", first.claim.as_deref())?;
            pair(f, "documented", first.documented.as_deref())?;
            pair(f, "fix", first.fix.as_deref())?;
        }
        match is_mail {
            true => write!(f, " size={} millis={}", event.size, event.millis),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_starts_with_the_queue_id_and_quotes_what_strangers_wrote() {
        let event = Event {
            queue_id: "4ABC".into(),
            action: Action::Pass,
            reason: Some("the From domain has no key here".into()),
            mail_from: "a@b\r\nDec 1 forged: \u{202e}line".into(),
            size: 7,
            ..Event::default()
        };
        assert_eq!(
            Text(&event).to_string(),
            "4ABC: action=pass reason=\"the From domain has no key here\" \
             mail_from=\"a@b\\u{d}\\u{a}Dec 1 forged: \\u{202e}line\" size=7 millis=0"
        );
    }
}
