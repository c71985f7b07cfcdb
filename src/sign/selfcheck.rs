//! The self-check: what we sign is verified by another implementation (mail-auth) before long use of a key.
//!
//! Once for each domain and the keys that it signs with, on a fixed probe, off the mail path and without a network: the record that we would
//! publish is handed to the verifier directly. A disagreement is a fault of ours and is logged as an error.

use super::{Plan, Signature};
use crate::{config::Domain, dns, key::PrivateKey, message::Message, name::DomainName};
use mail_auth::{
    AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt,
    common::{parse::TxtRecordParser, verify::DomainKey},
};
use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Folded and doubled fields, blanks at line ends, an 8-bit line, dots, and no empty line at the end: what signers get wrong,
/// but nothing on which mail-auth 0.13 itself is known to err.
const PROBE: &str = "Received: from probe.invalid by probe.invalid; Mon, 23 Nov 2026 04:00:00 +0000\r\n\
Received: from a.invalid by b.invalid\r\n\tfor <c@d.invalid>; Mon, 23 Nov 2026 03:59:59 +0000\r\n\
Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
From: \"Probe,  the\" <probe@probe.invalid>\r\n\
To: one@example.invalid,\r\n\ttwo@example.invalid\r\n\
Subject:   two  blanks\tand a tab  \r\n\
Message-ID: <probe@probe.invalid>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: 8bit\r\n\
List-Unsubscribe: <https://probe.invalid/u>\r\n\
\r\n\
A line  with two blanks, a\ttab and blanks at its end \t \r\n\
\r\n\
.\r\n\
8-bit: \u{acb0}\u{c81c}\r\n\
the end\r\n";

/// Which domains were checked with the keys that they sign with now. It outlives a reload: what is read again from its
/// file is not new by that, and what lies there now may be.
#[derive(Debug, Default)]
pub struct Checked {
    /// For each domain, its selectors and public keys as one number: a hundred octets a domain at most.
    known: Mutex<HashMap<DomainName, u64>>,
    numbers: RandomState,
}

impl Checked {
    /// Is a key, a selector or the domain itself new since this was last asked for the domain? Only one caller is told so.
    pub fn is_new(&self, domain: &Domain, keys: &[Arc<PrivateKey>]) -> bool {
        let signers: Vec<_> = domain.keys.iter().zip(keys).map(|(key, pair)| (&key.selector, pair.spki())).collect();
        let number = self.numbers.hash_one(signers);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&domain.name) == Some(&number) {
            return false;
        }
        known.insert(domain.name.clone(), number);
        true
    }
}

/// What another implementation says of our signatures on the probe, one sentence for each that it does not accept.
pub async fn disagreements(plan: &Plan, keys: &[Arc<PrivateKey>], now: u64) -> Vec<String> {
    let probe = Message::new(PROBE.as_bytes());
    let mut hasher = plan.body_hasher();
    hasher.write(probe.body);
    let signatures = match plan.sign(&probe.header, &hasher.finish(), keys, now) {
        Ok(signatures) => signatures,
        Err(refusal) => return vec![format!("the probe could not be signed: {refusal}")],
    };
    let records: HashMap<Box<str>, Txt> = signatures
        .iter()
        .zip(keys)
        .map(|(signature, key)| {
            let name = format!("{}._domainkey.{}.", signature.selector, signature.domain);
            let record = DomainKey::parse(key.public_record().as_bytes());
            (name.into(), record.map_or_else(Txt::Error, |record| Txt::DomainKey(Arc::new(record))))
        })
        .collect();
    let signed = prepend(&signatures);
    verify(&signed, &Published(records), &signatures).await
}

fn prepend(signatures: &[Signature]) -> Vec<u8> {
    let mut message = Vec::with_capacity(PROBE.len() + 1024 * signatures.len());
    for signature in signatures {
        message.extend_from_slice(format!("DKIM-Signature:{}\r\n", signature.value).as_bytes());
    }
    message.extend_from_slice(PROBE.as_bytes());
    message
}

async fn verify(message: &[u8], records: &Published, signatures: &[Signature]) -> Vec<String> {
    let (config, options) = dns::nowhere();
    let (Ok(authenticator), Some(message)) =
        (MessageAuthenticator::new(config, options), AuthenticatedMessage::parse(message))
    else {
        return vec!["the verifier could not be set up".into()];
    };
    let outputs = authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(records)).await;
    if outputs.len() != signatures.len() {
        return vec![format!("{} of {} signatures were found", outputs.len(), signatures.len())];
    }
    outputs
        .iter()
        .zip(signatures)
        .filter(|(output, _)| *output.result() != DkimResult::Pass)
        .map(|(output, signature)| {
            format!(
                "{} by {}._domainkey.{}: {:?}",
                signature.algorithm,
                signature.selector,
                signature.domain,
                output.result()
            )
        })
        .collect()
}

/// The records as they would be published, where the verifier looks before it would ask anybody.
struct Published(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Published {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}
