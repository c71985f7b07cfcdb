//! Causes: this side, which must be excluded before a sender is blamed.

causes! {
    VerifierLocal;

    /// The resolver here answers nothing, whatever it is asked.
    ///
    /// # Why it fails
    /// Keys and policies of domains that have nothing to do with each other could not be looked up.
    /// # How it comes about
    /// The resolver is down, unreachable, or refuses this host.
    /// # What to do
    /// Look at the resolver that this host uses. The sender can do nothing.
    /// # Not this
    /// Where only one domain has no answer it is dns-lookup-failed.
    RESOLVER_FAILURE = "verifier-resolver-failure", Local, Error, "the resolver here answers nothing",
        seed [77..=77], see ["RFC 6376 §6.1.2"];

    /// The clock of this host is behind the time that its own mail server wrote into the message.
    ///
    /// # Why it fails
    /// Signatures seem to come from the future.
    /// # How it comes about
    /// The host does not follow a time server, or a message was judged as of a time before it arrived.
    /// # What to do
    /// Let the host follow a time server.
    /// # Not this
    /// What it does to one signature is clock-verifier-skew.
    CLOCK_SKEW = "verifier-clock-skew", Local, Warning, "the clock of this host is behind", seed [], see [];

    /// A filter of this host changed the message before it was verified.
    ///
    /// # Why it fails
    /// The verifier sees what the filter made of the message, not what was sent.
    /// # How it comes about
    /// The verifier stands behind a milter that changes messages, or behind a content filter that hands them back.
    /// # What to do
    /// Verify first: put the verifier in front of everything that changes messages.
    /// # Not this
    /// A change that was made before the message arrived here.
    AFTER_MODIFICATION = "verifier-after-modification", Local, Error, "a filter here changed the message first",
        seed [], see ["RFC 6376 §6"];

    /// The folds of a header field reached the verifier as bare line feeds.
    ///
    /// # Why it fails
    /// The simple canonicalization keeps folds as they are, and these were CR LF when the field was signed.
    /// # How it comes about
    /// The mail server hands folded fields to its milters with bare line feeds.
    /// # What to do
    /// Let the verifier turn them into CR LF before it hashes.
    /// # Not this
    /// A body with bare line feeds that the signer hashed is signer-hashed-bare-lf.
    LF_NORMALISATION = "verifier-lf-normalisation", Local, Error, "folds were verified as bare line feeds",
        seed [], see ["RFC 6376 §3.4.1"];

    /// The relay in front of this host is not known as one, and its address was judged in place of the sender's.
    ///
    /// # Why it fails
    /// SPF asks about the client's address, and the client is one's own relay.
    /// # How it comes about
    /// Mail passes a gateway that is not among the trusted relays.
    /// # What to do
    /// Name the gateway as a trusted relay.
    /// # Not this
    /// A relay of somebody else's is plain forwarding.
    TRUSTED_RELAY_MISSING = "verifier-trusted-relay-missing", Local, Warning, "a relay of one's own is not trusted",
        seed [], see ["RFC 7208 §9.1"];

    /// A limit of this verifier kept it from judging the signature.
    ///
    /// # Why it fails
    /// Against messages that are made to keep verifiers busy, work per message has limits.
    /// # How it comes about
    /// h= with hundreds of names, or so many questions for one message that the last ones were not asked.
    /// # What to do
    /// Look at the message: ordinary mail stays far below every limit.
    /// # Not this
    /// Too many signatures are dkim-signature-limit.
    SIZE_LIMIT = "verifier-size-limit", Local, Warning, "a limit here left the signature unjudged",
        seed [], see ["RFC 6376 §6.1"];
}
