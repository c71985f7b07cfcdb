//! Causes: times in signatures, and the clocks they came from.

causes! {
    Clock;

    /// The signature had expired when it was judged.
    ///
    /// # Why it fails
    /// x= is the time after which the signer no longer stands by the signature.
    /// # How it comes about
    /// The message waited in a queue for longer than the signer allows, or was judged again long after it arrived.
    /// # What to do
    /// Let signatures live for at least a week, longer than any queue, or leave x= out.
    /// # Not this
    /// An x= that is not later than t= is dkim-signature-x-before-t.
    SIGNATURE_EXPIRED = "dkim-signature-expired", Clock, Error, "the signature had expired",
        seed [], see ["RFC 6376 §3.5"];

    /// The signature says that it was made in the future.
    ///
    /// # Why it fails
    /// More than five minutes ahead is more than clocks differ, and such a signature does not count here. Other receivers
    /// may let it pass.
    /// # How it comes about
    /// One of two clocks is wrong, the signer's or this one.
    /// # What to do
    /// Compare both with a time server.
    /// # Not this
    /// Where the trace says which of the clocks is wrong, it is clock-signer-skew or clock-verifier-skew.
    SIGNATURE_FROM_FUTURE = "dkim-signature-from-future", Clock, Error, "the signature is from the future",
        seed [], see ["RFC 6376 §3.5"];

    /// The signature is from the future, and the servers that handled the message agree with this clock.
    ///
    /// # Why it fails
    /// t= is ahead of every other time in the message.
    /// # How it comes about
    /// The signer's clock is ahead: no time server, or a local time taken for UTC.
    /// # What to do
    /// Let the signing host follow a time server.
    /// # Not this
    /// If the other servers agree with the signer, it is clock-verifier-skew.
    SIGNER_SKEW = "clock-signer-skew", Clock, Error, "the signer's clock is ahead", seed [], see ["RFC 6376 §3.5"];

    /// The signature is from the future, and so is everything else: this clock is behind.
    ///
    /// # Why it fails
    /// Signers that have nothing to do with each other, or the servers that handled the message, are all ahead of the time
    /// at which it was judged.
    /// # How it comes about
    /// This host does not follow a time server, or the message was judged as of a time before it was sent.
    /// # What to do
    /// Let this host follow a time server.
    /// # Not this
    /// One signer that is ahead of everybody is clock-signer-skew.
    VERIFIER_SKEW = "clock-verifier-skew", Clock, Error, "the verifier's clock is behind", seed [], see ["RFC 6376 §3.5"];

    /// The signature expires before it was made, or in the same second.
    ///
    /// # Why it fails
    /// x= must be later than t=.
    /// # How it comes about
    /// The signer counts x= from another time, or is set to a life of zero.
    /// # What to do
    /// Set x= to at least a week after t=, or leave it out.
    /// # Not this
    /// A signature that was good and ran out is dkim-signature-expired.
    X_BEFORE_T = "dkim-signature-x-before-t", Clock, Error, "x= is not later than t=", seed [], see ["RFC 6376 §3.5"];
}
