//! A header: fields, the author's domain, addresses, and who claims to be us.

use waxseal::{
    address,
    authres::claims,
    message::{Header, Message},
};

/// Reads the input as a message, and each value as what it might be.
pub fn run(data: &[u8]) {
    let message = Message::new(data);
    let header = &message.header;
    assert!(header.size() <= data.len() + 2 * header.len(), "fields are no longer than what they were read from");
    let mut again = Header::new();
    for field in header.fields() {
        let (name, value) = (field.name(), field.value());
        assert!(name.len() + value.len() <= field.raw().len());
        again.push_lf(name, value);
        let _ = address::mailboxes(value);
        let _ = address::reverse_path(value.trim_ascii());
        claims(value, "mx.example.net");
    }
    assert_eq!(again.len(), header.len());
    if let Ok(domain) = address::author_domain(header) {
        assert!(!domain.as_str().is_empty() && domain.as_str().len() <= 253 && domain.as_str().is_ascii());
    }
    assert!(data.ends_with(message.body), "the body is the end of the message, octet for octet");
}
