//! Causes: DNS itself.

causes! {
    Dns;

    /// The resolver gave no usable answer.
    ///
    /// # Why it fails
    /// Without an answer nobody knows whether the record is there. The check is put off, not failed.
    /// # How it comes about
    /// The resolver is down, refuses, or does not reach the name servers of the domain in time.
    /// # What to do
    /// Ask again later; ask another resolver; if only yours fails, look at it.
    /// # Not this
    /// A server that says that the name does not exist has answered: dkim-record-not-found.
    LOOKUP_FAILED = "dns-lookup-failed", Transport, Error, "DNS gave no answer", seed [15..=16, 51..=56], see [];
}
