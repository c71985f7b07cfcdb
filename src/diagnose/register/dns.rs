//! Causes: DNS gives no answer, or a wrong one.

causes! {
    Dns;

    /// A question to DNS had no answer: time ran out, or the server failed or refused.
    ///
    /// # Why it fails
    /// Without an answer nobody knows whether the record is there. The result is temporary, and receivers defer or ignore the
    /// check.
    /// # How it comes about
    /// The resolver is overloaded, unreachable or not meant for this client; or the servers of the zone fail.
    /// # What to do
    /// Ask again. If the answer stays away, ask another resolver: where that one answers, mend the first; where none
    /// does, mend the servers of the zone.
    /// # Not this
    /// An answer that says "there is nothing" is dkim-record-not-found. An answer that is too large for UDP is
    /// dns-truncated-no-tcp.
    LOOKUP_FAILED = "dns-lookup-failed", Transport, Error, "DNS gave no answer",
        seed [15..=16, 51..=56, 76..=77], see ["RFC 6376 §6.1.2"];

    /// The answer was too large for UDP, and could not be had over TCP.
    ///
    /// # Why it fails
    /// A server that cannot fit its answer into a datagram cuts it and expects the question again over TCP. Where port
    /// 53/TCP is closed, the answer never comes.
    /// # How it comes about
    /// A firewall lets only UDP through. Large keys, several records at one name and signed zones make answers large.
    /// # What to do
    /// Open 53/TCP at the name servers and at the resolver. Remove records that do not belong at this name.
    /// # Not this
    /// No answer at all is dns-lookup-failed.
    TRUNCATED_NO_TCP = "dns-truncated-no-tcp", Transport, Error, "the answer is too large for UDP, and TCP is closed",
        seed [], see ["RFC 7766 §5", "RFC 1035 §4.2.1"];

    /// The name server denies `_domainkey` although there are records below it.
    ///
    /// # Why it fails
    /// "This name does not exist" also means that nothing exists below it. Resolvers that ask label by label, or that
    /// remember the denial, stop there and never see the key.
    /// # How it comes about
    /// A name server, usually home-made or old, that knows only names which have records of their own.
    /// # What to do
    /// Mend or replace the name server. Until then a TXT record at `_domainkey` itself, with any text, makes the name
    /// exist.
    /// # Not this
    /// A selector that does not exist either is dkim-record-not-found.
    ENT_NXDOMAIN = "dns-ent-nxdomain", Transport, Error, "the name server denies a name that has names below it",
        seed [], see ["RFC 8020 §2", "RFC 9156 §2.3"];
}
