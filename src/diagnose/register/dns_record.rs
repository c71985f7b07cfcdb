//! Causes: how many records stand at the name, and what the DNS panel made of their text.

causes! {
    DnsRecord;
}
