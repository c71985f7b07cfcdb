//! Causes: the chain of seals.

causes! {
    Arc;

    /// A seal of the chain does not verify.
    ///
    /// # Why it fails
    /// Each seal covers all sets before it; one that does not verify leaves the whole chain without proof.
    /// # How it comes about
    /// A relay changed or removed an ARC field, or a sealer's key is gone from DNS.
    /// # What to do
    /// Whoever runs the sealing relay checks its key and that nothing behind it edits ARC fields.
    /// # Not this
    /// A gap in the numbering is arc-chain-broken.
    SEAL_INVALID = "arc-seal-invalid", Policy, Warning, "an ARC seal does not verify", seed [], see ["RFC 8617 §5.2"];

    /// The ARC sets are not a chain: a number is missing or twice there, a field lacks, or a sealer said that it was broken.
    ///
    /// # Why it fails
    /// A chain counts only as a whole, from the first set to the last.
    /// # How it comes about
    /// A relay removed or copied single ARC fields, or sealed although the chain had failed before it.
    /// # What to do
    /// Find the relay between the last sealer that saw a whole chain and this one; it must pass ARC fields untouched.
    /// # Not this
    /// A whole chain whose seal does not verify is arc-seal-invalid.
    CHAIN_BROKEN = "arc-chain-broken", Policy, Warning, "the ARC chain has a gap", seed [], see ["RFC 8617 §5.2"];

    /// The newest ARC-Message-Signature does not verify.
    ///
    /// # Why it fails
    /// The message changed after the last sealer had it, so what the chain vouches for is not this message.
    /// # How it comes about
    /// Something between the last sealer and here edits mail: a footer, a subject tag, a virus filter.
    /// # What to do
    /// Verify before that filter, or let the filter's host seal after it.
    /// # Not this
    /// A seal that does not verify is arc-seal-invalid.
    AMS_FAIL_NEWEST = "arc-ams-fail-newest", Policy, Warning, "the message changed after the last ARC sealer",
        seed [], see ["RFC 8617 §5.2"];

    /// The chain is whole, and its sealer is not among those that are trusted here.
    ///
    /// # Why it fails
    /// Anybody can seal. What a chain says counts only from sealers that the receiver trusts.
    /// # How it comes about
    /// The mail came through a list or a forwarder that the settings do not name.
    /// # What to do
    /// If you know the forwarder and trust what it verifies, name its domain in `trusted_sealers`.
    /// # Not this
    /// A broken chain is arc-chain-broken.
    UNTRUSTED_SEALER = "arc-untrusted-sealer", Policy, Note, "the ARC sealer is not trusted here",
        seed [], see ["RFC 8617 §5.2"];

    /// The first sealer saw the author's signature pass; it broke later.
    ///
    /// # Why it fails
    /// Something after the first sealer changed the message: the signature was good when the sealer had it.
    /// # How it comes about
    /// A mailing list or a forwarder verifies, changes and sends on, and seals what it saw.
    /// # What to do
    /// Nothing at the author's side. Receivers that trust the sealer may accept the message for its sake.
    /// # Not this
    /// A chain that does not hold says nothing about the original.
    ORIGINAL_PASS = "arc-original-pass", Policy, Note, "the signature passed at the first ARC sealer",
        seed [], see ["RFC 8617 §4.1.1"];
}
