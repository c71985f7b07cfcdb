//! Causes: the published key is not the other half of the key that signed.

causes! {
    Key;

    /// The published key is sound, and another key made the signature.
    ///
    /// # Why it fails
    /// A signature verifies only under the public half of the very key that made it.
    /// # How it comes about
    /// A value from another account, domain or region was published; or the signer was given a new key, or still has an
    /// old one.
    /// # What to do
    /// Compare the published p= with the one that the signer shows. Publish the signer's, or let the signer load the key
    /// whose public half is published.
    /// # Not this
    /// A signature that was damaged on its way is dkim-signature-corrupt. A key that is known under another selector is
    /// signer-used-wrong-key.
    KEY_MISMATCH = "dkim-key-mismatch", Match, Error, "another key made the signature",
        seed [25..=26, 70..=71, 87..=87], see ["RFC 6376 §6.1.3", "RFC 8017 §9.2"];
}
