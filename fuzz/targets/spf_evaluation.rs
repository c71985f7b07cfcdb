//! SPF evaluated: the client, HELO and MAIL FROM stand in the first lines, then `%%`, then the zone.
//!
//! Whatever the records say, the limits of RFC 7208 §4.6.4 hold, and the field about it has one line of printable text.

use super::{lines, parts, wait, zone::Zone};
use waxseal::verify::spf::{self, Limits, Query};

/// Evaluates MAIL FROM and HELO.
pub fn run(data: &[u8]) {
    let [envelope, zone] = parts(data);
    let mut envelope = lines(envelope);
    let client_ip = envelope.next().and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let query = Query {
        client_ip: client_ip.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
        helo: envelope.next().unwrap_or_default().to_vec(),
        mail_from: envelope.next().unwrap_or_default().to_vec(),
        receiver: "mx.example.net".into(),
        now: super::NOW,
    };
    let zone = Zone::read(zone);
    let limits = Limits::default();
    for outcome in [
        wait(spf::check(&zone.dns, &query, limits)),
        wait(spf::check_helo(&zone.dns, &query, limits)),
    ] {
        assert!(outcome.terms <= limits.terms + 1 && outcome.voids <= limits.voids + 1, "{outcome:?}");
        assert!(outcome.answers.len() <= limits.questions);
        assert!(outcome.path.iter().all(|place| place.visit < outcome.visits.len()));
        let explained = outcome.explanation.as_deref().unwrap_or_default();
        assert!(explained.len() <= 1024 && explained.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{explained:?}");
        let field = outcome.field_value("mx.example.net", &query.helo, &query.mail_from);
        for (number, line) in field.split("\r\n").enumerate() {
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')), "{field:?}");
            assert!(number == 0 || line.starts_with('\t') && line.len() > 1, "{field:?}");
        }
        assert!(!outcome.reason.to_string().is_empty());
    }
    assert!(zone.asked() <= 2 * limits.questions, "{} questions", zone.asked());
}
