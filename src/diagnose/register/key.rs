//! Causes: the key in the record.

causes! {
    Key;

    /// The published key is sound, and another one made the signature.
    ///
    /// # Why it fails
    /// Only the public half of the signing key verifies its signatures.
    /// # How it comes about
    /// The key was replaced at the signer and not in DNS, or in DNS and not at the signer; or the record of another
    /// domain or service was published.
    /// # What to do
    /// Publish the value that the signer shows, or let the signer load the private key that belongs to the record.
    /// # Not this
    /// A key that cannot be read is dkim-key-corrupt; one that the signer knows under another selector is
    /// signer-used-wrong-key.
    KEY_MISMATCH = "dkim-key-mismatch", Match, Error, "the published key is not the one that signed",
        seed [26..=26, 70..=71, 87..=87], see ["RFC 6376 §6.1.3"];
}
