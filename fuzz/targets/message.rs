//! A whole message verified: client, HELO and MAIL FROM, `%%`, the zone, `%%`, the message.
//!
//! Whatever stands there, the questions stay within the budget, the results do not depend on where the body is cut, and
//! our Authentication-Results read back the same.

use super::{
    authres_read::shape,
    authres_round_trip::listing,
    lines, parts, wait,
    zone::Zone,
};
use waxseal::{
    authres,
    dns::{
        Dns,
        budget::{self, Budget},
    },
    message::Message,
    name::DomainName,
    verify::message::{Envelope, Questions, Verdicts, Verifier, ask_spf},
};

/// Verifies the input.
pub fn run(data: &[u8]) {
    let [envelope, zone, mail] = parts(data);
    let envelope = read_envelope(envelope);
    let message = Message::new(mail);
    let zone = Zone::read(zone);
    let results = wait(verify(&zone.dns, &envelope, &message, &[message.body])).results("mx.example.net", None);
    assert!(zone.asked() <= budget::QUESTIONS, "{} questions", zone.asked());
    let text = results.value();
    shape(&text);
    let (again, problems) = authres::read(text.as_bytes());
    assert!(problems.is_empty(), "{problems:?}: {text}");
    assert_eq!(listing(&again), listing(&results));

    let cut: Vec<&[u8]> = message.body.chunks(7).collect();
    let again = wait(verify(&zone.dns, &envelope, &message, &cut));
    assert_eq!(again.results("mx.example.net", None).value(), text, "a body is the same however it is cut");
}

/// Our Authentication-Results for an input.
pub fn results(data: &[u8]) -> String {
    let [envelope, zone, mail] = parts(data);
    let message = Message::new(mail);
    let verdicts = wait(verify(&Zone::read(zone).dns, &read_envelope(envelope), &message, &[message.body]));
    verdicts.results("mx.example.net", None).value()
}

/// The first lines of an input.
pub fn read_envelope(part: &[u8]) -> Envelope {
    let mut lines = lines(part);
    let client_ip = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let mut next = || lines.next().unwrap_or_default().to_vec();
    Envelope { client_ip, helo: next(), mail_from: next() }
}

/// Judges a message whose body comes in these pieces.
pub async fn verify(dns: &Dns, envelope: &Envelope, message: &Message<'_>, pieces: &[&[u8]]) -> Verdicts {
    let dns = Dns::new(Budget::new(dns.clone(), budget::QUESTIONS, budget::PATIENCE));
    let header = &message.header;
    let mut verifier = Verifier::new(header, &[], super::NOW);
    let questions = Questions::new(header, &verifier);
    let spf = ask_spf(&dns, envelope, "mx.example.net", super::NOW).await;
    let answers = questions.ask(&dns).await;
    for piece in pieces {
        verifier.body(piece);
    }
    let mut verdicts = Verdicts::conclude(&dns, header, verifier, answers, spf).await;
    let trusted = DomainName::new("relay.example").expect("it is a name");
    verdicts.believe(header, &[trusted]);
    verdicts
}
