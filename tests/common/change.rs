//! Messages that were changed after they were signed, and what `waxseal verify` says of the change.

use super::{
    forge::{Key, RSA_2048, Signer, Zone},
    scene::{Said, verify},
};

/// The fields before those that a test adds.
pub const HEAD: &str = "From: Billing <billing@example.com>\r\nTo: a@example.net\r\nSubject: an invoice\r\n\
                        Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n";

/// A message with further fields (each with its CRLF) and a body.
pub fn mail(fields: &str, body: &str) -> Vec<u8> {
    format!("{HEAD}{fields}\r\n{body}").into_bytes()
}

/// A signer of everything that tests change.
pub fn signer(key: &Key) -> Signer<'_> {
    Signer::new(key, "example.com").set("h", "from:to:subject:date:mime-version:content-type:content-transfer-encoding")
}

/// The key of [`signer`], published.
pub fn zone(key: &Key) -> Zone {
    Zone::default().txt("sel._domainkey.example.com", &key.record())
}

/// What is said of a message that was signed and then became another.
#[track_caller]
pub fn changed(before: &[u8], after: &[u8]) -> Said {
    changed_with(&signer(&RSA_2048), &RSA_2048, before, after)
}

/// As [`changed`], signed with c=.
#[track_caller]
pub fn changed_under(canonicalization: &str, before: &[u8], after: &[u8]) -> Said {
    changed_with(&signer(&RSA_2048).set("c", canonicalization), &RSA_2048, before, after)
}

/// As [`changed`], by any signer.
#[track_caller]
pub fn changed_with(signer: &Signer<'_>, key: &Key, before: &[u8], after: &[u8]) -> Said {
    let mail = [signer.field(before), after.to_vec()].concat();
    verify(&mail, &zone(key), &[])
}

/// A text put in place of another, which must be there.
#[track_caller]
pub fn with(mail: &[u8], old: &str, new: &str) -> Vec<u8> {
    let at =
        mail.windows(old.len()).position(|window| window == old.as_bytes()).unwrap_or_else(|| panic!("no {old:?}"));
    [&mail[..at], new.as_bytes(), &mail[at + old.len()..]].concat()
}

/// The codes of the changes that were found.
pub fn changes(said: &Said) -> Vec<&str> {
    let found = said.findings().iter().filter(|finding| finding["family"] == "message-modified");
    found.filter_map(|finding| finding["cause"].as_str()).collect()
}
