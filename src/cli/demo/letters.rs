//! The messages of the demo: two of a domain that we sign for, and one that only passes through.

use super::Unexpected;
use jiff::{Timestamp, tz::TimeZone};
use std::net::{IpAddr, Ipv4Addr};

/// The domain of the demo, below a top-level domain that is reserved for examples (RFC 2606 §2).
pub const DOMAIN: &str = "shop.example";

/// A message, and how it comes to us.
#[derive(Clone, Debug)]
pub struct Letter {
    /// A word for it, for the reader of the demo.
    pub name: &'static str,
    /// What is particular about it.
    pub about: &'static str,
    /// The client that hands it over.
    pub client: IpAddr,
    /// Who authenticated, if anybody.
    pub user: Option<&'static str>,
    /// MAIL FROM.
    pub mail_from: &'static str,
    /// RCPT TO.
    pub rcpt_to: &'static str,
    /// Should it be signed?
    pub ours: bool,
    /// The message, lines in CRLF.
    pub text: Vec<u8>,
}

/// All letters of the demo, dated now.
pub fn all() -> Vec<Letter> {
    let own_host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    vec![
        Letter {
            name: "receipt",
            about: "Korean, text and HTML, from an application here",
            client: own_host,
            user: None,
            mail_from: "bounces@shop.example",
            rcpt_to: "customer@mailbox.example",
            ours: true,
            text: fill(include_str!("letters/receipt.eml")),
        },
        Letter {
            name: "note",
            about: "plain text, from a user who logged in elsewhere",
            // An address reserved for documentation (RFC 5737).
            client: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 25)),
            user: Some("warehouse@shop.example"),
            mail_from: "warehouse@shop.example",
            rcpt_to: "carrier@parcels.example",
            ours: true,
            text: fill(include_str!("letters/note.eml")),
        },
        Letter {
            name: "relayed",
            about: "somebody else's newsletter, passed on by an alias",
            client: own_host,
            user: None,
            mail_from: "news-bounces@partner.example",
            rcpt_to: "reader@mailbox.example",
            ours: false,
            text: fill(include_str!("letters/relayed.eml")),
        },
    ]
}

impl Letter {
    /// What its header says, decoded for people: From and Subject.
    pub fn headline(&self) -> (String, String) {
        let parsed = mail_parser::MessageParser::default().parse_headers(&self.text);
        let from = parsed.as_ref().and_then(|message| message.from()?.first()?.address().map(str::to_owned));
        let subject = parsed.as_ref().and_then(|message| message.subject().map(str::to_owned));
        (from.unwrap_or_default(), subject.unwrap_or_default())
    }
}

/// The price in a letter, and the one that somebody on the way would like to see.
pub const TAMPERING: (&str, &str) = ("KRW 39,000", "KRW 89,000");

/// The message with one byte changed in its body.
pub fn tamper(message: &[u8]) -> Result<Vec<u8>, Unexpected> {
    let (from, to) = TAMPERING;
    let at = message
        .windows(from.len())
        .position(|piece| piece == from.as_bytes())
        .ok_or_else(|| Unexpected::new(format!("the delivered message lacks {from:?}")))?;
    let mut changed = message.to_vec();
    changed[at..at + to.len()].copy_from_slice(to.as_bytes());
    Ok(changed)
}

/// The date of this moment, as a header field has it.
pub fn date() -> String {
    Timestamp::now().to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A message from its draft: dated, with a Message-ID of its own, lines in CRLF.
fn fill(draft: &str) -> Vec<u8> {
    let id = Timestamp::now().as_millisecond().to_string();
    draft.replace("{date}", &date()).replace("{id}", &id).replace('\n', "\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_are_decoded() {
        let headlines: Vec<_> = all().iter().map(Letter::headline).collect();
        assert_eq!(headlines[0].0, "billing@shop.example");
        assert_eq!(headlines[0].1, "[영수증] 주문 1042번 결제 완료");
        assert_eq!(headlines[2].0, "news@partner.example");
    }

    #[test]
    fn tampering_changes_one_byte() {
        let note = all().remove(1).text;
        let changed = tamper(&note).expect("the price is there");
        assert_eq!(note.iter().zip(&changed).filter(|(before, after)| before != after).count(), 1);
        assert_eq!(note.len(), changed.len());
    }
}
