//! Causes: the name servers of a zone, and the way to them.

causes! {
    Dns;

    /// No name server of the zone answers for it: they fail or refuse.
    ///
    /// # Why it fails
    /// Every resolver ends at these servers. While none of them has the zone, nobody can look anything up in it: no key,
    /// no SPF record, no policy. Checks are put off, and mail may wait.
    /// # How it comes about
    /// The zone file has a mistake and was not loaded; the zone was removed from the server, or its copy has expired
    /// because the primary could not be reached.
    /// # What to do
    /// Load the zone at its name servers; their log names the mistake. Where the zone has moved, change the delegation.
    /// # Not this
    /// If some of the servers answer, it is dns-lame-delegation. If all answer and only the resolver fails, it is
    /// dns-lookup-failed.
    SERVFAIL_AUTHORITATIVE = "dns-servfail-authoritative", Transport, Error, "the name servers of the zone fail",
        seed [], see ["RFC 1035 §4.1.1"];

    /// The resolver throws the answer away because its DNSSEC signatures do not hold.
    ///
    /// # Why it fails
    /// A resolver that validates gives SERVFAIL instead of an answer that it cannot prove. Resolvers that do not validate
    /// give the answer: mail passes at some receivers and not at others.
    /// # How it comes about
    /// The signatures have expired because the signer stopped; the zone moved to servers that sign with another key, or
    /// not at all, while the registrar still publishes the old DS record.
    /// # What to do
    /// Sign the zone again, or have the DS record at the registrar changed to the present key. To publish no DS record is
    /// better than a wrong one.
    /// # Not this
    /// A resolver that fails without DNSSEC checks too is dns-lookup-failed or dns-servfail-authoritative.
    DNSSEC_BOGUS = "dns-dnssec-bogus", Transport, Error, "the zone's DNSSEC signatures do not hold",
        seed [], see ["RFC 4035 §4.3", "RFC 8914 §4"];

    /// The delegation names a server that does not serve the zone.
    ///
    /// # Why it fails
    /// Resolvers choose among the servers of the delegation. Whoever asks this one loses time or gets no answer.
    /// # How it comes about
    /// A secondary that was given up, a zone that moved to another provider, or a server whose copy has expired; the
    /// delegation still names it.
    /// # What to do
    /// Load the zone at that server, or remove it from the delegation at the registrar.
    /// # Not this
    /// A server that has the zone but not the latest state of it is dns-propagation-pending. If no server has the zone,
    /// it is dns-servfail-authoritative.
    LAME_DELEGATION = "dns-lame-delegation", Transport, Error, "a name server of the delegation does not serve the zone",
        seed [], see ["RFC 1912 §2.8"];

    /// The name servers hold different records, and that will not mend itself.
    ///
    /// # Why it fails
    /// Which record a receiver gets depends on the server that its resolver asks: success and failure alternate.
    /// # How it comes about
    /// Two DNS providers serve the zone and the change was made at one of them; or a secondary no longer copies from the
    /// primary; or two servers read the same entry differently (one adds quotes, one does not).
    /// # What to do
    /// Make the servers alike: repair the transfer, or make the change at each provider.
    /// # Not this
    /// Right after a change a secondary may be behind for a while: dns-propagation-pending.
    AUTHORITATIVE_INCONSISTENT = "dns-authoritative-inconsistent", Transport, Error,
        "the name servers hold different records", seed [63..=63, 80..=85], see ["RFC 1034 §4.3.5"];

    /// The name servers do not answer questions that carry EDNS.
    ///
    /// # Why it fails
    /// Every resolver of today asks with EDNS, which allows answers above 512 octets. A server that stays silent then, or
    /// takes it for a mistake, is asked again without it by patient resolvers, and given up by others.
    /// # How it comes about
    /// Very old name server software, or a firewall in front of it that drops what it does not know.
    /// # What to do
    /// Update the name server, and let the firewall pass DNS over UDP up to 1232 octets, with options.
    /// # Not this
    /// An answer that was cut and cannot be had over TCP is dns-truncated-no-tcp.
    EDNS_BROKEN = "dns-edns-broken", Transport, Error, "a name server does not answer questions with EDNS",
        seed [], see ["RFC 6891 §7"];

    /// The record stands on a name server that the domain is not delegated to.
    ///
    /// # Why it fails
    /// Resolvers ask the servers that the delegation names. What stands elsewhere does not exist for them.
    /// # How it comes about
    /// The domain has moved to another DNS provider, and the record was entered in the panel of the former one.
    /// # What to do
    /// Enter the record at the servers of the delegation; or change the delegation at the registrar.
    /// # Not this
    /// A record that stands nowhere is dkim-record-not-found.
    ZONE_NOT_AUTHORITATIVE = "dns-zone-not-authoritative", Transport, Error,
        "the record stands on a server that the domain is not delegated to", seed [], see [];

    /// The registry does not know the domain.
    ///
    /// # Why it fails
    /// Without a delegation nothing at the domain exists, its keys and its mail included.
    /// # How it comes about
    /// The registration was not renewed, or was put on hold; or the name is misspelt.
    /// # What to do
    /// Renew the domain at the registrar.
    /// # Not this
    /// A domain that exists without the key is dkim-record-not-found.
    DOMAIN_EXPIRED = "dns-domain-expired", Transport, Error, "the domain is not registered",
        seed [], see ["RFC 8020 §2"];

    /// The resolver has a zone of its own in place of the public one.
    ///
    /// # Why it fails
    /// Inside the network other records stand than outside. What is checked here says nothing about what receivers see,
    /// and mail that is verified here is judged by records that nobody else has.
    /// # How it comes about
    /// An internal view of the domain, to which the new record was not added.
    /// # What to do
    /// Add the record to the internal zone too, or let the verifier ask a resolver that sees the public one.
    /// # Not this
    /// A copy that is merely old is dns-stale-cache.
    SPLIT_HORIZON = "dns-split-horizon", Transport, Error, "the resolver has a zone of its own for the domain",
        seed [], see ["RFC 8499 §7"];
}
