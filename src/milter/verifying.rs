//! A message from outside while it streams: questions asked as early as they can be, results at the end.
//!
//! SPF is asked for at MAIL FROM, keys and policies at the end of the header, so that waiting for DNS overlaps the
//! transfer. Tasks that wait for DNS end with the message, answered or not.

use super::{diagnosing::Copy, state::Active};
use crate::{
    address,
    authres::claims,
    dns::{Dns, budget},
    message::Header,
    verify::{
        early::Early,
        message::{self, Answers, Envelope, Questions, SpfVerdict, Verdicts, Verifier},
    },
};
use std::sync::Arc;

/// The name of the field that carries our results.
pub const FIELD_NAME: &str = "Authentication-Results";

/// A message being verified.
pub struct Verifying {
    active: Arc<Active>,
    dns: Dns,
    spf: Option<Early<Option<SpfVerdict>>>,
    header: Option<AtHeader>,
}

/// What the header adds.
struct AtHeader {
    verifier: Verifier,
    answers: Early<Answers>,
    /// The body, kept while a signature is undecided.
    copy: Option<Copy>,
}

/// A message that was judged.
pub struct Judged {
    /// The verdicts.
    pub verdicts: Verdicts,
    /// The body, if a copy was kept.
    pub body: Option<Copy>,
}

impl Verifying {
    /// At MAIL FROM. Without an envelope, SPF waits for [`Verifying::ask_spf`].
    pub fn begin(active: &Arc<Active>, envelope: Option<Envelope>, now: u64) -> Verifying {
        let timeout = active.settings.verify.dns_timeout;
        let dns = Dns::new(budget::Budget::new(active.dns.clone(), budget::QUESTIONS, timeout));
        let mut verifying = Verifying { active: active.clone(), dns, spf: None, header: None };
        if let Some(envelope) = envelope {
            verifying.ask_spf(active, envelope, now);
        }
        verifying
    }

    /// Asks for SPF, once.
    pub fn ask_spf(&mut self, active: &Arc<Active>, envelope: Envelope, now: u64) {
        let (dns, receiver) = (self.dns.clone(), active.authserv_id.clone());
        self.spf = Some(Early::begin(async move { message::ask_spf(&dns, &envelope, &receiver, now).await }));
    }

    /// The header is complete: asks for what its signatures and its author need.
    /// `copy` is where the body is kept if there is a signature to be looked into.
    pub fn end_of_header(&mut self, active: &Arc<Active>, header: &Header, copy: Copy, now: u64) {
        let author = address::author_domain(header).ok();
        let own = active.settings.domains.keys();
        // Our own domains matter only where there are few: a hundred thousand are not compared with every signature.
        let preferred: Vec<_> = author.into_iter().chain(own.take(16).cloned()).collect();
        let verifier = Verifier::new(header, &preferred, now);
        let questions = Questions::new(header, &verifier);
        let dns = self.dns.clone();
        let answers = Early::begin(async move { questions.ask(&dns).await });
        let copy = verifier.is_signed().then_some(copy);
        self.header = Some(AtHeader { verifier, answers, copy });
    }

    /// The next piece of the body.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(at_header) = &mut self.header {
            at_header.verifier.body(piece);
            if let Some(copy) = &mut at_header.copy {
                copy.take(piece);
            }
        }
    }

    /// The body is through: waits for what is still asked, and judges. `None` if a task of ours died.
    pub async fn finish(mut self, header: &Header) -> Option<Judged> {
        let AtHeader { verifier, answers, copy } = self.header.take()?;
        let spf = match self.spf.take() {
            Some(spf) => spf.finish().await?,
            None => None,
        };
        let answers = answers.finish().await?;
        let mut verdicts = Verdicts::conclude(&self.dns, header, verifier, answers, spf).await;
        verdicts.believe(header, &self.active.settings.verify.trusted_sealers);
        Some(Judged { verdicts, body: copy })
    }
}

/// The Authentication-Results fields that claim to be ours, by their number among the fields of that name, from 1;
/// the lowest first, so that none shifts the number of another when they are deleted in this order.
pub fn forged(header: &Header, authserv_id: &str) -> Vec<i32> {
    let mut found: Vec<i32> = header
        .named(FIELD_NAME)
        .zip(1..)
        .filter(|(field, _)| claims(field.value(), authserv_id))
        .map(|(_, at)| at)
        .collect();
    found.reverse();
    found
}
