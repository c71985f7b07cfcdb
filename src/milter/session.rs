//! One connection of the MTA, and one message while it streams: fields kept, body hashed, nothing else.
//!
//! Nothing here knows the milter protocol: callbacks come in as plain values, and what is to be done goes out as
//! [`Verdict`] and [`Edit`]. Nothing of one message survives into the next.

use super::{
    diagnosing,
    edits::{Edit, Removable},
    policy,
    route::{self, Client, Facts, Route},
    state::{Active, Shared},
    verifying::{self, Verifying},
};
use crate::{
    clock,
    config::{Action, Domain, Listener, Mode, WhenNotReady},
    dkim::{digest::BodyHasher, write},
    event::{self, Direction, Event, MAX_RECIPIENTS, SignatureEvent},
    key::PrivateKey,
    message::Header,
    received::{self, Handover},
    sign::{
        Plan, Signature,
        selfcheck::{self, Checked},
    },
    signed::recorder::Recording,
    verify::{
        message::{Envelope, Verdicts},
        spf,
    },
    watch::Readiness,
};
use arc_swap::ArcSwap;
use std::{sync::Arc, time::Instant};

/// One connection of the MTA.
pub struct Session {
    shared: Arc<Shared>,
    listener: Arc<ArcSwap<Listener>>,
    client: Client,
    helo: Vec<u8>,
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
    removable: Removable,
    /// It is to be signed with a key whose published record cannot verify it.
    not_ready: Option<Arc<Readiness>>,
    body_size: u64,
    work: Work,
}

/// What a message needs while its body streams.
enum Work {
    /// Nothing, or not decided yet.
    None,
    Sign(Signing),
    Verify(Verifying),
    /// Only what must not leave goes: see [`Transaction::cleaning_edits`].
    Clean {
        behind_filter: bool,
    },
}

/// What signing needs.
struct Signing {
    plan: Plan,
    keys: Vec<Arc<PrivateKey>>,
    hasher: BodyHasher,
    recording: Option<Box<Recording>>,
}

/// Why mail that should be signed is not.
struct Unsigned {
    reason: String,
    /// Would it be the same at every further try?
    lasting: bool,
}

/// The answer to the MTA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Done with this message.
    Accept,
    /// Try again later; with a text for the sender's side.
    Tempfail(policy::Reply),
    /// Refused for good; with a text for the sender's side.
    Reject(policy::Reply),
}

const CANNOT_SIGN: &str = "Message cannot be signed at the moment";
const CANNOT_VERIFY: &str = "Message cannot be verified at the moment";

impl Session {
    /// A fresh connection.
    pub fn new(shared: Arc<Shared>, listener: Arc<ArcSwap<Listener>>) -> Session {
        Session { shared, listener, client: Client::Unknown, helo: Vec::new(), message: None }
    }

    /// The client has connected.
    pub fn connect(&mut self, client: Client) {
        self.client = client;
    }

    /// HELO or EHLO.
    pub fn helo(&mut self, name: &[u8]) {
        self.helo = name.to_vec();
    }

    /// MAIL FROM: a message begins, under the settings of this moment.
    pub fn mail(&mut self, mail_from: &[u8], auth_user: Option<String>) {
        let mut message = Box::new(Transaction {
            active: self.shared.active.load_full(),
            listener: self.listener.load_full(),
            started: Instant::now(),
            mail_from: mail_from.to_vec(),
            recipients: Vec::new(),
            auth_user: auth_user.filter(|user| !user.is_empty()),
            header: Header::new(),
            overflowed: false,
            removable: Removable::default(),
            not_ready: None,
            body_size: 0,
            work: Work::None,
        });
        if route::will_verify(&message.facts(self.client)) {
            // Behind a relay of ours the header must say first who handed over to it.
            let envelope = (!message.is_relay(self.client)).then(|| self.envelope(mail_from));
            message.work = Work::Verify(Verifying::begin(&message.active, envelope, clock::unix_seconds()));
        }
        self.message = Some(message);
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
            message.keep(name, value);
        }
    }

    /// The header is complete: the one decision.
    pub fn end_of_header(&mut self, queue_id: &str) -> Verdict {
        let client = self.client;
        let Some(message) = &mut self.message else { return Verdict::Accept };
        let answer = match route::route(&message.facts(client)) {
            Route::Sign(domain) => self.before_signing(queue_id, &domain),
            Route::Hold => {
                let reason = message.too_large();
                self.unsigned(queue_id, None, reason.into())
            }
            Route::Verify => {
                message.go_on_verifying(client, self.shared.diagnosing.copy());
                Verdict::Continue
            }
            Route::Pass(why) => {
                let behind_filter = message.listener.reinjected;
                self.pass_on(queue_id, why.direction(), why.to_string(), behind_filter)
            }
        };
        if answer != Verdict::Continue {
            self.message = None;
        }
        answer
    }

    /// Readies a message to be signed, unless its record is not ready and the domain rather waits or goes without.
    fn before_signing(&mut self, queue_id: &str, domain: &Arc<Domain>) -> Verdict {
        let Some(message) = &mut self.message else { return Verdict::Accept };
        let when = domain.when_not_ready.unwrap_or(message.active.settings.signing.when_not_ready);
        message.not_ready = self.shared.watch.signs(domain, clock::unix_seconds());
        if let Some(readiness) = message.not_ready.clone() {
            let cause = readiness.causes.first().map(|cause| format!(": {}", cause.cause)).unwrap_or_default();
            let reason = format!("the published record of {} cannot verify it{cause}", readiness.selector);
            match when {
                WhenNotReady::Sign => {}
                WhenNotReady::Skip => {
                    let reason = format!("{reason} (when_not_ready = \"skip\")");
                    return self.pass_on(queue_id, Direction::Out, reason, true);
                }
                WhenNotReady::Tempfail => {
                    let reason = format!("{reason} (when_not_ready = \"tempfail\")");
                    return self.unsigned(queue_id, Some(&domain.name.to_string()), reason.into());
                }
            }
        }
        match message.begin_signing(domain, &self.shared.checked) {
            Ok(()) => Verdict::Continue,
            Err(reason) => self.unsigned(queue_id, Some(&domain.name.to_string()), reason.into()),
        }
    }

    /// Lets a message pass unsigned and unjudged; without what must not leave.
    fn pass_on(&mut self, queue_id: &str, direction: Direction, reason: String, behind_filter: bool) -> Verdict {
        let answer = self.passed(queue_id, direction, reason);
        let client = self.client;
        match &mut self.message {
            Some(message) if !message.cleaning_edits(client, behind_filter).is_empty() => {
                message.work = Work::Clean { behind_filter };
                Verdict::Continue
            }
            _ => answer,
        }
    }

    /// The next piece of the body.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(message) = &mut self.message {
            message.body_size += piece.len() as u64;
            match &mut message.work {
                Work::Sign(signing) => {
                    signing.hasher.write(piece);
                    signing.recording.iter_mut().for_each(|recording| recording.write(piece));
                }
                Work::Verify(verifying) => verifying.body(piece),
                Work::None | Work::Clean { .. } => {}
            }
        }
    }

    /// The message is complete: what to change, and the answer.
    pub async fn end_of_message(&mut self, queue_id: &str) -> (Vec<Edit>, Verdict) {
        let Some(message) = &mut self.message else { return (Vec::new(), Verdict::Accept) };
        let observe = message.listener.observe;
        let asked = Instant::now();
        let metrics = self.shared.journal.metrics().clone();
        let (edits, verdict) = match std::mem::replace(&mut message.work, Work::None) {
            Work::Sign(signing) => {
                let answer = self.sign(queue_id, signing);
                metrics.sign.observe(asked.elapsed());
                answer
            }
            Work::Verify(verifying) => {
                let answer = match verifying.finish(&message.header).await {
                    Some(judged) => self.verified(queue_id, judged),
                    None => (Vec::new(), Verdict::Tempfail(CANNOT_VERIFY.into())),
                };
                metrics.verify.observe(asked.elapsed());
                answer
            }
            Work::Clean { behind_filter } => (message.cleaning_edits(self.client, behind_filter), Verdict::Accept),
            Work::None => (Vec::new(), Verdict::Accept),
        };
        self.message = None;
        // Who only observes decides and logs everything, and changes nothing.
        if observe { (Vec::new(), Verdict::Accept) } else { (edits, verdict) }
    }

    /// The MTA gave up on the message.
    pub fn abort(&mut self) {
        self.message = None;
    }

    fn envelope(&self, mail_from: &[u8]) -> Envelope {
        Envelope { client_ip: self.client.address(), helo: self.helo.clone(), mail_from: mail_from.to_vec() }
    }

    fn sign(&mut self, queue_id: &str, work: Signing) -> (Vec<Edit>, Verdict) {
        let Some(message) = &self.message else { return (Vec::new(), Verdict::Accept) };
        let domain = work.plan.domain().name.to_string();
        let now = clock::unix_seconds();
        match work.plan.sign(&message.header, &work.hasher.finish(), &work.keys, now) {
            Ok(signatures) => {
                if let (Some(recorder), Some(recording)) = (&message.active.recorder, work.recording) {
                    recorder.keep(&recording.finish(&work.plan, &message.header, &signatures, now));
                }
                let edits = message.signing_edits(self.client, &signatures);
                self.signed(queue_id, &signatures);
                (edits, Verdict::Accept)
            }
            Err(refusal) => {
                let why = Unsigned { reason: refusal.to_string(), lasting: refusal.is_lasting() };
                (Vec::new(), self.unsigned(queue_id, Some(&domain), why))
            }
        }
    }

    fn signed(&self, queue_id: &str, signatures: &[Signature]) {
        let made = signatures.iter().map(|signature| SignatureEvent {
            domain: signature.domain.clone(),
            selector: signature.selector.clone(),
            algorithm: signature.algorithm.into(),
            result: "pass".into(),
            reason: None,
        });
        if let Some(event) = self.event(queue_id, event::Action::Sign, Direction::Out) {
            self.shared.journal.write(event.with_signatures(made.collect()));
        }
    }

    /// Mail that should be signed and cannot be is never sent unsigned: it waits, or goes back where waiting is in vain.
    fn unsigned(&self, queue_id: &str, domain: Option<&str>, why: Unsigned) -> Verdict {
        let observe = self.message.as_ref().is_some_and(|message| message.listener.observe);
        if let Some(mut event) = self.event(queue_id, event::Action::Sign, Direction::Out) {
            event.result = Some(if why.lasting { "permerror" } else { "temperror" }.into());
            event.domain = domain.map(Into::into);
            event.reason = Some(why.reason.clone());
            self.shared.journal.write(event);
        }
        match why.lasting {
            _ if observe => Verdict::Accept,
            true => Verdict::Reject(policy::Reply {
                status: "6.0",
                text: format!("Message cannot be signed: {}", why.reason),
            }),
            false => Verdict::Tempfail(CANNOT_SIGN.into()),
        }
    }

    fn passed(&self, queue_id: &str, direction: Direction, reason: String) -> Verdict {
        if let Some(mut event) = self.event(queue_id, event::Action::Pass, direction) {
            event.reason = Some(reason);
            self.shared.journal.write(event);
        }
        Verdict::Accept
    }

    fn verified(&mut self, queue_id: &str, judged: verifying::Judged) -> (Vec<Edit>, Verdict) {
        let verifying::Judged { verdicts, body } = judged;
        let answer = self.answer(queue_id, &verdicts);
        if !diagnosing::is_suspicious(&verdicts) {
            return answer;
        }
        // The MTA has its answer before anybody asks why.
        if let (Some(event), Some(message)) =
            (self.event(queue_id, event::Action::Verify, Direction::In), self.message.take())
        {
            let envelope = verdicts.spf.as_ref().map(|spf| spf.envelope.clone());
            let judged = diagnosing::Judged {
                envelope: envelope.unwrap_or_else(|| self.envelope(&message.mail_from)),
                event: event.with_verdicts(&verdicts),
                header: message.header,
                at: clock::unix_seconds(),
                verdicts,
                body,
            };
            self.shared.diagnosing.begin(&self.shared, &message.active, judged);
        }
        answer
    }

    fn answer(&self, queue_id: &str, verdicts: &Verdicts) -> (Vec<Edit>, Verdict) {
        let Some(message) = &self.message else { return (Vec::new(), Verdict::Accept) };
        let decision = policy::decide(&message.active.settings.verify.actions, verdicts);
        if let Some(event) = self.event(queue_id, event::Action::Verify, Direction::In) {
            let mut event = event.with_verdicts(verdicts);
            if self.no_address(verdicts) {
                event.spf = Some("none".into());
            }
            if !decision.why.text.is_empty() {
                event.reason = Some(decision.why.text.clone());
            }
            self.shared.journal.write(event);
        }
        let mut edits = message.removable.without_results();
        edits.extend(message.result_fields(verdicts, self.no_address(verdicts)));
        match decision.action {
            Action::Accept => (edits, Verdict::Accept),
            Action::Quarantine => {
                edits.push(Edit::Quarantine(decision.why.text));
                (edits, Verdict::Accept)
            }
            Action::Tempfail => (Vec::new(), Verdict::Tempfail(decision.why)),
            Action::Reject => (Vec::new(), Verdict::Reject(decision.why)),
        }
    }

    /// Was there nothing that SPF could be asked about, since the client has no address?
    fn no_address(&self, verdicts: &Verdicts) -> bool {
        verdicts.spf.is_none() && self.client.address().is_none()
    }

    /// What every event of this message says.
    fn event(&self, queue_id: &str, action: event::Action, direction: Direction) -> Option<Event> {
        let message = self.message.as_ref()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        Some(Event {
            time: clock::timestamp(),
            host: self.shared.host.clone(),
            queue_id: queue_id.into(),
            action,
            direction,
            client_ip: self.client.address().map(|ip| ip.to_canonical().to_string()),
            auth_user: message.auth_user.clone(),
            mail_from: text(&message.mail_from),
            rcpt_to: message.recipients.clone(),
            from_domain: crate::address::author_domain(&message.header).ok().map(|domain| domain.to_string()),
            message_id: message.header.named("Message-ID").next().map(|field| text(field.value())),
            size: message.header.size() as u64 + message.body_size,
            millis: message.started.elapsed().as_millis() as u64,
            causes: message.not_ready.as_ref().map(|readiness| readiness.causes.clone()).unwrap_or_default(),
            observed: message.listener.observe,
            ..Event::default()
        })
    }
}

impl Transaction {
    fn facts(&self, client: Client) -> Facts<'_> {
        Facts {
            settings: &self.active.settings,
            authserv_id: &self.active.authserv_id,
            listener: &self.listener,
            client,
            auth_user: self.auth_user.as_deref(),
            mail_from: &self.mail_from,
            header: &self.header,
            overflowed: self.overflowed,
        }
    }

    /// Keeps a field while there is room. From fields have as much room again: who wrote a message must be known,
    /// whatever stands before.
    fn keep(&mut self, name: &[u8], value: &[u8]) {
        self.removable.note(&self.active, name, value);
        let limit = self.active.settings.limits.header_bytes;
        let is_from = name.trim_ascii_end().eq_ignore_ascii_case(b"From");
        let room = if is_from { limit.saturating_mul(2) } else { limit };
        if self.header.size() + name.len() + value.len() > room {
            self.overflowed = true;
        } else {
            self.header.push_lf(name, value);
        }
    }

    fn is_relay(&self, client: Client) -> bool {
        self.facts(client).is_in(&self.active.settings.verify.trusted_relays)
    }

    /// Reads the keys and starts the hash; the reason if that cannot be.
    fn begin_signing(&mut self, domain: &Arc<Domain>, checked: &Checked) -> Result<(), String> {
        if self.overflowed {
            return Err(self.too_large());
        }
        let directory = &self.active.settings.key_directory;
        let keys = self.active.keys.of(domain, directory).map_err(|mistake| mistake.to_string())?;
        let plan = Plan::new(&self.active.settings.signing, domain);
        if checked.is_new(domain, &keys) {
            self_check(plan.clone(), keys.clone());
        }
        let recorder = self.active.recorder.as_ref().filter(|_| plan.diagnostics().record);
        let recording = recorder.and_then(|recorder| recorder.begin(plan.canonicalization())).map(Box::new);
        self.work = Work::Sign(Signing { hasher: plan.body_hasher(), plan, keys, recording });
        Ok(())
    }

    fn too_large(&self) -> String {
        format!("its header is larger than limits.header_bytes = {}", self.active.settings.limits.header_bytes)
    }

    fn go_on_verifying(&mut self, client: Client, copy: diagnosing::Copy) {
        let now = clock::unix_seconds();
        let handover = if self.is_relay(client) { self.handover() } else { None };
        if let Work::Verify(verifying) = &mut self.work {
            if let Some(envelope) = handover {
                verifying.ask_spf(&self.active, envelope, now);
            }
            verifying.end_of_header(&self.active, &self.header, copy, now);
        }
    }

    /// The client that handed over to our relays, as their Received fields tell; the relays themselves say nothing to SPF.
    fn handover(&self) -> Option<Envelope> {
        let relays = &self.active.settings.verify.trusted_relays;
        let found = received::handover(&self.header, |ip| relays.iter().any(|network| network.contains(ip)))?;
        let Handover { client_ip, helo } = found;
        Some(Envelope { client_ip: Some(client_ip), helo, mail_from: self.mail_from.clone() })
    }

    /// What must not leave goes, the signatures come: the first one ends up on top.
    fn signing_edits(&self, client: Client, signatures: &[Signature]) -> Vec<Edit> {
        let mut edits = self.cleaning_edits(client, true);
        let signatures = signatures.iter().rev();
        edits.extend(
            signatures.map(|signature| Edit::Insert { name: write::FIELD_NAME, value: signature.value.clone() }),
        );
        edits
    }

    /// What goes from mail that is not judged: results in our name, which are forged, and the secret mark. The mark stays
    /// on mail that passes on its way to the filter, which it must survive.
    fn cleaning_edits(&self, client: Client, behind_filter: bool) -> Vec<Edit> {
        let mut edits = match self.may_bear_our_results(client) {
            true => Vec::new(),
            false => self.removable.without_results(),
        };
        if behind_filter {
            edits.extend(self.removable.without_mark(&self.active));
        }
        edits
    }

    /// May results in our name be our own? A relay of ours has judged, and a filter hands back what we judged before it.
    /// At a listener that only signs somebody else judges, perhaps under the same name. A user is never a relay.
    fn may_bear_our_results(&self, client: Client) -> bool {
        let from_relay = self.auth_user.is_none() && self.is_relay(client);
        from_relay || self.listener.reinjected || self.listener.mode == Mode::Sign
    }

    /// Our results, on top, and Received-SPF below them where it is wanted.
    fn result_fields(&self, verdicts: &Verdicts, no_address: bool) -> Vec<Edit> {
        let id = &self.active.authserv_id;
        let mut fields = Vec::new();
        if let Some(spf) = verdicts.spf.as_ref().filter(|_| self.active.settings.verify.received_spf) {
            fields.push(Edit::Insert { name: spf::field::FIELD_NAME, value: format!(" {}", spf.field_value(id)) });
        }
        let results = verdicts.results(id, no_address.then_some("the client has no address"));
        let value = format!(" {}", results.value());
        fields.push(Edit::Insert { name: verifying::FIELD_NAME, value });
        fields
    }
}

impl From<String> for Unsigned {
    /// A reason that may be gone at the next try.
    fn from(reason: String) -> Unsigned {
        Unsigned { reason, lasting: false }
    }
}

/// Off the mail path: another implementation must accept what a domain signs with keys that are new to it.
fn self_check(plan: Plan, keys: Vec<Arc<PrivateKey>>) {
    tokio::spawn(async move {
        let disagreements = selfcheck::disagreements(&plan, &keys, clock::unix_seconds()).await;
        if disagreements.is_empty() {
            tracing::debug!("self-check: an independent verifier accepts our signature for {}", plan.domain().name);
        }
        for sentence in disagreements {
            tracing::error!("self-check: an independent verifier does not accept our signature: {sentence}");
        }
    });
}
