//! DKIM of one message against a zone file, for the tests of what an RFC prints.

use std::collections::HashMap;
use waxseal::{
    dns::{RecordType, zone},
    message::Message,
    verify::dkim::{DkimResult, Verifier},
};

/// Every signature judged, at `now` in seconds since 1970.
pub fn verify(mail: &[u8], zone: &str, now: u64) -> Vec<DkimResult> {
    let dns = zone::parse(zone, "zone").unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let message = Message::new(mail);
    let mut verifier = Verifier::new(&message.header, &[], now);
    message.body.chunks(3).for_each(|piece| verifier.body(piece));
    let ask = |name: String| {
        let answer = runtime.block_on(dns.query(&name, RecordType::Txt));
        (name, answer)
    };
    let answers: HashMap<_, _> = verifier.questions().into_iter().map(ask).collect();
    verifier.finish(&message.header, &answers)
}
