//! Forensics: one of our signed messages with the input's edits, judged and diagnosed.
//!
//! The first octet chooses the message. Then come edits: an octet for the kind, two for the place, one for the length, and
//! the octets to put there. So every input is a message that was sound once, and the search for what was done to it runs.

use super::{
    message::{read_envelope, verify},
    parts, wait,
    zone::Zone,
};
use std::{ops::Range, sync::Arc, time::Duration};
use waxseal::{
    diagnose::{case::Expected, report},
    inquire::{Allowance, Inquiry, Judged},
    message::Message,
    provider::Profiles,
};

/// Signed messages with envelope and zone, as the target `message` takes them.
const SIGNED: [&[u8]; 3] = [
    include_bytes!("../corpus/message/simple"),
    include_bytes!("../corpus/message/relaxed"),
    include_bytes!("../corpus/message/two-signatures"),
];

/// More than the milter allows, as DNS costs nothing here.
const ALLOWANCE: Allowance = Allowance { questions: 64, trials: 64, time: Duration::from_secs(60) };

/// Judges and diagnoses the message that the input makes.
pub fn run(data: &[u8]) {
    let Some((&which, edits)) = data.split_first() else { return };
    let [envelope, zone, mail] = parts(SIGNED[usize::from(which) % SIGNED.len()]);
    let (envelope, zone, mail) = (read_envelope(envelope), Zone::read(zone), edited(mail, edits));
    let message = Message::new(&mail);
    let expected = Expected { known: Some(Arc::new(Profiles::built_in())), ..Expected::default() };
    wait(async {
        let verdicts = verify(&zone.dns, &envelope, &message, &[message.body]).await;
        let standing = verdicts.standing(&zone.dns).await;
        let mut inquiry = Inquiry::new(&zone.dns, envelope.query("mx.example.net", super::NOW), ALLOWANCE);
        let judged = Judged {
            header: &message.header,
            body: Some(message.body),
            verdicts: &verdicts,
            standing: &standing,
            at: super::NOW,
            expected: &expected,
        };
        let findings = inquiry.message(judged).await;
        assert!(standing.authenticates || !findings.is_empty(), "what does not authenticate has a cause");
        let primary = findings.iter().filter(|placed| placed.primary).count();
        assert!(standing.authenticates || primary > 0, "one cause leads");
        assert_eq!(report::entries(&findings).len(), findings.len());
    });
}

fn edited(mail: &[u8], mut edits: &[u8]) -> Vec<u8> {
    let mut mail = mail.to_vec();
    for _ in 0..8 {
        let [kind, high, low, length, rest @ ..] = edits else { break };
        let (text, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (mail.len() + 1);
        let end = (at + usize::from(*length)).min(mail.len());
        match kind % 6 {
            0 => splice(&mut mail, at..at, text),
            1 => splice(&mut mail, at..end, text),
            2 => splice(&mut mail, at..end, b""),
            3 => mail.extend_from_slice(text),
            4 => splice(&mut mail, 0..0, text),
            _ => {
                // At the start of a line, where most of what relays add begins.
                let line = mail[at..].windows(2).position(|pair| pair == b"\r\n").map_or(mail.len(), |end| at + end + 2);
                splice(&mut mail, line..line, text);
            }
        }
        edits = rest;
    }
    mail
}

fn splice(mail: &mut Vec<u8>, range: Range<usize>, text: &[u8]) {
    mail.splice(range, text.iter().copied()).for_each(drop);
}
