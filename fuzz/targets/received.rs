//! Trace fields: Received and Return-Path.

use waxseal::{message::Message, received};

/// Reads the input as the value of a Received field, and as a header of several.
pub fn run(data: &[u8]) {
    let value = received::read(data);
    assert!(value.helo.is_none_or(|helo| helo.len() <= data.len()));
    let message = Message::new(data);
    for field in message.header.fields() {
        received::read(field.value());
    }
    for trusts_all in [false, true] {
        let handover = received::handover(&message.header, |_| trusts_all);
        assert!(handover.is_none() || !trusts_all, "the client of a handover is none that is trusted");
    }
    received::return_path(&message.header);
}
