//! Causes: a key record that was in use and was changed or removed.

causes! {
    Activation;

    /// The key record was in use and is no longer published.
    ///
    /// # Why it fails
    /// The signer goes on signing, and verifiers find no key.
    /// # How it comes about
    /// A zone was cleaned up or moved to another provider, and the record was taken for unused.
    /// # What to do
    /// Publish the record again exactly as it was, and leave it alone while anything signs under this selector.
    /// # Not this
    /// A record that was never there is dkim-record-not-found alone. One with another value is dkim-record-modified.
    RECORD_DELETED = "dkim-record-deleted", Shape, Error, "the key record was removed while it was in use",
        seed [67..=67], see ["RFC 6376 §3.6.2.1"];

    /// The key record was in use and now holds another value.
    ///
    /// # Why it fails
    /// The signer still signs with the key that belongs to the old value.
    /// # How it comes about
    /// The record was edited, replaced by that of another service, or the key was generated anew in the console without
    /// the signer knowing.
    /// # What to do
    /// Restore the old value. To change keys, publish the new one under a new selector first.
    /// # Not this
    /// A key that never fitted is dkim-key-mismatch. A record that is gone is dkim-record-deleted.
    RECORD_MODIFIED = "dkim-record-modified", Match, Error, "the key record was changed while it was in use",
        seed [67..=67], see ["RFC 6376 §3.6.1"];
}
