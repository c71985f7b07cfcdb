//! A DMARC record, and where it would be looked for.

use super::{parts, wait, zone::Zone};
use waxseal::{
    name::DomainName,
    verify::dmarc::{self, Record, Standing},
};

/// Reads the input as a record; then as a domain, `%%` and a zone in which its record is discovered.
pub fn run(data: &[u8]) {
    if let Some(record) = Record::read(data) {
        let standing = record.standing();
        assert!(standing == Standing::Good || !record.problems.is_empty(), "a record without problems is good");
    }
    let [domain, zone] = parts(data);
    let Ok(domain) = DomainName::from_bytes(domain.trim_ascii()) else { return };
    assert!(domain.as_str().len() <= 253);
    let zone = Zone::read(zone);
    wait(async {
        let discovery = dmarc::discover(&zone.dns, Ok(domain.clone())).await;
        assert!(zone.asked() <= 8, "RFC 9989 §4.10 stops the walk after eight questions, not {}", zone.asked());
        let verdict = discovery.judge(&zone.dns, &[], None).await;
        assert!(verdict.method_result().method() == "dmarc");
    });
}
