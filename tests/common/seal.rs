//! ARC sets made by hand (RFC 8617), rightly or wrongly, with nothing of the library (see [`super::forge`]); and judged.

use super::forge::{Key, Signer, header_form, name_of, split};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::collections::HashMap;
use waxseal::{
    dns::{Dns, RecordType},
    message::Message,
    verify::arc::{ArcResult, Verifier},
};

/// The morning of Monday, 23 November 2026.
pub const NOW: u64 = 1_795_406_400;

/// The fields of an ARC set, in the order in which a seal signs them (RFC 8617 §5.1.1).
const ORDER: [&str; 3] = ["arc-authentication-results", "arc-message-signature", "arc-seal"];

/// A set to be added.
#[derive(Clone)]
pub struct Sealer<'a> {
    key: &'a Key,
    domain: &'a str,
    instance: String,
    status: String,
    results: Option<String>,
    message: Signer<'a>,
    extra: String,
    algorithm: &'a str,
}

impl<'a> Sealer<'a> {
    /// A sound set of `domain`, under the selector `sel`.
    pub fn new(key: &'a Key, domain: &'a str, instance: usize) -> Sealer<'a> {
        Sealer {
            key,
            domain,
            instance: instance.to_string(),
            status: if instance == 1 { "none".into() } else { "pass".into() },
            results: None,
            message: Signer::new(key, domain)
                .named("ARC-Message-Signature")
                .without("v")
                .set("i", instance.to_string()),
            extra: String::new(),
            algorithm: match key {
                Key::Rsa(_) => "rsa-sha256",
                Key::Ed25519(_) => "ed25519-sha256",
            },
        }
    }

    /// With this i= in all three fields.
    pub fn instance(mut self, instance: &str) -> Sealer<'a> {
        self.instance = instance.into();
        self.message = self.message.set("i", instance);
        self
    }

    /// With this cv=.
    pub fn status(mut self, status: &str) -> Sealer<'a> {
        self.status = status.into();
        self
    }

    /// With this value of ARC-Authentication-Results.
    pub fn results(mut self, value: &str) -> Sealer<'a> {
        self.results = Some(value.into());
        self
    }

    /// With a changed ARC-Message-Signature.
    pub fn message(mut self, change: impl Fn(Signer<'a>) -> Signer<'a>) -> Sealer<'a> {
        self.message = change(self.message);
        self
    }

    /// With this a= in the seal.
    pub fn algorithm(mut self, algorithm: &'a str) -> Sealer<'a> {
        self.algorithm = algorithm;
        self
    }

    /// With these tags in the seal, before b=: `h=from; `.
    pub fn extra(mut self, tags: &str) -> Sealer<'a> {
        self.extra = tags.into();
        self
    }

    /// The message with this set on top: seal, signature, results.
    pub fn seal(&self, mail: &[u8]) -> Vec<u8> {
        let results = self.results.clone().unwrap_or_else(|| format!("i={}; {}; none", self.instance, self.domain));
        let message = self.message.field(mail);
        let mail = [&message, format!("ARC-Authentication-Results: {results}\r\n").as_bytes(), mail].concat();
        let seal = |signature: &str| {
            let Sealer { instance, status, domain, extra, algorithm, .. } = self;
            let unsigned = format!("ARC-Seal: i={instance}; a={algorithm}; cv={status}; d={domain}; s=sel; {extra}b=");
            (unsigned + signature).into_bytes()
        };
        let (header, _) = split(&mail);
        let mut octets = Vec::new();
        // The sets stand newest first, each with its results lowest: from the bottom they come in the order of signing.
        let chain: Vec<&Vec<u8>> = header.iter().filter(|field| ORDER.contains(&name_of(field).as_str())).collect();
        for field in chain.into_iter().rev() {
            octets.extend(header_form(true, field));
            octets.extend(b"\r\n");
        }
        octets.extend(header_form(true, &seal("")));
        let signature = STANDARD.encode(self.key.sign(&octets, false));
        [seal(&signature), b"\r\n".to_vec(), mail].concat()
    }
}

/// Judges the chain of a message.
pub async fn judge(dns: &Dns, mail: &[u8]) -> ArcResult {
    let message = Message::new(mail);
    let mut verifier = Verifier::new(&message.header, NOW);
    let mut answers = HashMap::new();
    for name in verifier.questions() {
        let answer = dns.query(&name, RecordType::Txt).await;
        answers.insert(name, answer);
    }
    for piece in message.body.chunks(7) {
        verifier.body(piece);
    }
    verifier.finish(&message.header, &answers)
}

/// The result and, if it failed, why.
pub fn said(result: &ArcResult) -> String {
    match &result.reason {
        Some(reason) => format!("{}: {reason}", result.result),
        None => result.result.to_string(),
    }
}
