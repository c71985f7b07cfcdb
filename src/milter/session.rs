//! One connection of the MTA, and one message while it streams: fields kept, body hashed, nothing else.
//!
//! Nothing here knows the milter protocol: callbacks come in as plain values, and what is to be done goes out as
//! [`Verdict`] and [`Edit`]. Nothing of one message survives into the next.

use super::{
    route::{self, Facts, Route},
    state::{Active, Shared},
};
use crate::{
    config::Listener,
    dkim::{digest::BodyHasher, write},
    event::{Action, Direction, Event, MAX_RECIPIENTS, SignatureEvent},
    key::PrivateKey,
    message::Header,
    sign::{Plan, Signature, selfcheck},
};
use arc_swap::ArcSwap;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// One connection of the MTA.
pub struct Session {
    shared: Arc<Shared>,
    listener: Arc<ArcSwap<Listener>>,
    client: Option<IpAddr>,
    message: Option<Box<Transaction>>,
}

/// One message, from MAIL FROM to its answer.
struct Transaction {
    active: Arc<Active>,
    listener: Arc<Listener>,
    started: Instant,
    mail_from: Vec<u8>,
    recipients: Vec<String>,
    auth_user: Option<String>,
    header: Header,
    /// The header has outgrown the limit and is no longer complete.
    overflowed: bool,
    body_size: u64,
    signing: Option<SigningWork>,
}

/// What signing a message needs while its body streams.
struct SigningWork {
    plan: Plan,
    keys: Vec<Arc<PrivateKey>>,
    hasher: BodyHasher,
}

/// The answer to the MTA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Done with this message.
    Accept,
    /// Try again later; with a text for the sender's side.
    Tempfail(&'static str),
}

/// A change to the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Insert a field on top.
    Insert {
        /// Its name.
        name: &'static str,
        /// What follows the colon, leading blank included, folds as CR LF TAB.
        value: String,
    },
    /// Delete one instance of a field.
    Delete {
        /// Its name.
        name: String,
        /// Which one, from 1 at the top.
        instance: i32,
    },
}

const CANNOT_SIGN: &str = "Message cannot be signed at the moment";

impl Session {
    /// A fresh connection.
    pub fn new(shared: Arc<Shared>, listener: Arc<ArcSwap<Listener>>) -> Session {
        Session { shared, listener, client: None, message: None }
    }

    /// The client has connected; `None` if it has no address.
    pub fn connect(&mut self, client: Option<IpAddr>) {
        self.client = client;
    }

    /// MAIL FROM: a message begins, under the settings of this moment.
    pub fn mail(&mut self, mail_from: &[u8], auth_user: Option<String>) {
        self.message = Some(Box::new(Transaction {
            active: self.shared.active.load_full(),
            listener: self.listener.load_full(),
            started: Instant::now(),
            mail_from: mail_from.to_vec(),
            recipients: Vec::new(),
            auth_user: auth_user.filter(|user| !user.is_empty()),
            header: Header::new(),
            overflowed: false,
            body_size: 0,
            signing: None,
        }));
    }

    /// RCPT TO.
    pub fn rcpt(&mut self, recipient: &[u8]) {
        if let Some(message) = &mut self.message
            && message.recipients.len() < MAX_RECIPIENTS
        {
            message.recipients.push(String::from_utf8_lossy(recipient).into_owned());
        }
    }

    /// One header field; folds may be CRLF or LF.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        if let Some(message) = &mut self.message {
            if message.header.size() + name.len() + value.len() > message.active.settings.limits.header_bytes {
                message.overflowed = true;
            } else {
                message.header.push_lf(name, value);
            }
        }
    }

    /// The header is complete: the one decision.
    pub fn end_of_header(&mut self, queue_id: &str) -> Verdict {
        let Some(message) = &mut self.message else { return Verdict::Accept };
        let route = route::route(&Facts {
            settings: &message.active.settings,
            listener: &message.listener,
            client: self.client,
            auth_user: message.auth_user.as_deref(),
            mail_from: &message.mail_from,
            header: &message.header,
        });
        let failure = match route {
            Route::Sign(domain) => match message.begin_signing(&domain) {
                Ok(()) => return Verdict::Continue,
                Err(reason) => self.unsigned(queue_id, Some(&domain.name.to_string()), reason),
            },
            Route::Verify => self.passed(queue_id, Direction::In, None),
            Route::Pass(why) => self.passed(queue_id, Direction::Out, Some(why.to_string())),
        };
        self.message = None;
        failure
    }

    /// The next piece of the body.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(message) = &mut self.message {
            message.body_size += piece.len() as u64;
            if let Some(work) = &mut message.signing {
                work.hasher.write(piece);
            }
        }
    }

    /// The message is complete: what to change, and the answer.
    pub fn end_of_message(&mut self, queue_id: &str) -> (Vec<Edit>, Verdict) {
        let Some(work) = self.message.as_mut().and_then(|message| message.signing.take()) else {
            self.message = None;
            return (Vec::new(), Verdict::Accept);
        };
        let answer = self.sign(queue_id, work);
        self.message = None;
        answer
    }

    /// The MTA gave up on the message.
    pub fn abort(&mut self) {
        self.message = None;
    }

    fn sign(&mut self, queue_id: &str, work: SigningWork) -> (Vec<Edit>, Verdict) {
        let Some(message) = &self.message else { return (Vec::new(), Verdict::Accept) };
        let domain = work.plan.domain().name.to_string();
        match work.plan.sign(&message.header, &work.hasher.finish(), &work.keys, unix_time()) {
            Ok(signatures) => {
                let edits = if message.listener.observe { Vec::new() } else { message.edits(&signatures) };
                self.signed(queue_id, &signatures);
                (edits, Verdict::Accept)
            }
            Err(refusal) => (Vec::new(), self.unsigned(queue_id, Some(&domain), refusal.to_string())),
        }
    }

    fn signed(&self, queue_id: &str, signatures: &[Signature]) {
        let Some(mut event) = self.event(queue_id, Action::Sign, Direction::Out) else { return };
        event.result = Some("pass".into());
        event.domain = signatures.first().map(|signature| signature.domain.clone());
        event.selector = signatures.first().map(|signature| signature.selector.clone());
        event.signatures = signatures
            .iter()
            .map(|signature| SignatureEvent {
                domain: signature.domain.clone(),
                selector: signature.selector.clone(),
                algorithm: signature.algorithm.into(),
                result: "pass".into(),
                reason: None,
            })
            .collect();
        self.shared.journal.write(&event);
    }

    /// Mail that should be signed and cannot be: a temporary failure, so that it is never sent unsigned.
    fn unsigned(&self, queue_id: &str, domain: Option<&str>, reason: String) -> Verdict {
        let observe = self.message.as_ref().is_some_and(|message| message.listener.observe);
        if let Some(mut event) = self.event(queue_id, Action::Sign, Direction::Out) {
            event.result = Some("temperror".into());
            event.domain = domain.map(Into::into);
            event.reason = Some(reason);
            self.shared.journal.write(&event);
        }
        if observe { Verdict::Accept } else { Verdict::Tempfail(CANNOT_SIGN) }
    }

    fn passed(&self, queue_id: &str, direction: Direction, reason: Option<String>) -> Verdict {
        if let Some(mut event) = self.event(queue_id, Action::Pass, direction) {
            event.reason = reason;
            self.shared.journal.write(&event);
        }
        Verdict::Accept
    }

    /// What every event of this message says.
    fn event(&self, queue_id: &str, action: Action, direction: Direction) -> Option<Event> {
        let message = self.message.as_ref()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        Some(Event {
            time: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            host: self.shared.host.clone(),
            queue_id: queue_id.into(),
            action,
            direction,
            client_ip: self.client.map(|ip| ip.to_canonical().to_string()),
            auth_user: message.auth_user.clone(),
            mail_from: text(&message.mail_from),
            rcpt_to: message.recipients.clone(),
            from_domain: crate::address::author_domain(&message.header).ok().map(|domain| domain.to_string()),
            message_id: message.header.named("Message-ID").next().map(|field| text(field.value())),
            size: message.header.size() as u64 + message.body_size,
            millis: message.started.elapsed().as_millis() as u64,
            observed: message.listener.observe,
            ..Event::default()
        })
    }
}

impl Transaction {
    /// Reads the keys and starts the hash; the reason if that cannot be.
    fn begin_signing(&mut self, domain: &Arc<crate::config::Domain>) -> Result<(), String> {
        if self.overflowed {
            let limit = self.active.settings.limits.header_bytes;
            return Err(format!("its header is larger than limits.header_bytes = {limit}"));
        }
        let found =
            self.active.keys.of(domain, &self.active.settings.key_directory).map_err(|mistake| mistake.to_string())?;
        let plan = Plan::new(&self.active.settings.signing, domain);
        if found.fresh {
            self_check(plan.clone(), found.keys.clone());
        }
        self.signing = Some(SigningWork { hasher: plan.body_hasher(), plan, keys: found.keys });
        Ok(())
    }

    /// The secret mark goes, the signatures come: the first one ends up on top.
    fn edits(&self, signatures: &[Signature]) -> Vec<Edit> {
        let mut edits = Vec::new();
        if let Some((name, value)) = &self.active.settings.signing.outbound_mark {
            let marked = self
                .header
                .named(name)
                .zip(1..)
                .filter(|(field, _)| field.value().trim_ascii() == value.as_bytes())
                .map(|(_, instance)| Edit::Delete { name: name.clone(), instance });
            // From the bottom up, so that no deletion shifts the number of another.
            edits.extend(marked);
            edits.reverse();
        }
        edits.extend(
            signatures
                .iter()
                .rev()
                .map(|signature| Edit::Insert { name: write::FIELD_NAME, value: signature.value.clone() }),
        );
        edits
    }
}

/// Off the mail path: another implementation must accept what a newly read key signs.
fn self_check(plan: Plan, keys: Vec<Arc<PrivateKey>>) {
    tokio::spawn(async move {
        for sentence in selfcheck::disagreements(&plan, &keys, unix_time()).await {
            tracing::error!("self-check: an independent verifier does not accept our signature: {sentence}");
        }
    });
}

/// Seconds since 1970; zero on a clock before that.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
