//! Causes: nothing at the key's name, or not there, or by way of an alias.

causes! {
    DnsRecord;

    /// There is no TXT record at the name where the signature says that its key stands.
    ///
    /// # Why it fails
    /// A verifier asks for `{selector}._domainkey.{domain}` and for nothing else. Without a record there it has no key,
    /// and the signature is a permanent error.
    /// # How it comes about
    /// The record was never published, was published under another name, or was removed while a signer still uses it.
    /// # What to do
    /// Publish the record that the signer gives, at exactly this name. Where the panel adds the domain by itself, enter
    /// only `{selector}._domainkey`.
    /// # Not this
    /// A server that does not answer: the record may well be there.
    RECORD_NOT_FOUND = "dkim-record-not-found", Shape, Error, "there is no key record at the selector",
        seed [11..=11, 16..=16, 33..=36, 51..=56], see ["RFC 6376 §3.6.2.1", "RFC 6376 §6.1.2"];
}
