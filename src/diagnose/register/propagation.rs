//! Causes: changes of DNS on their way, and how long answers may be kept.

causes! {
    Propagation;

    /// A record may be kept for so long, or so shortly, that a change does harm.
    ///
    /// # Why it fails
    /// Nothing fails by it alone. But a record with a long time to live goes on being used for that long after it was
    /// changed, and one with almost none is asked for again with every message.
    /// # How it comes about
    /// The panel's default is a day or a week; or a short value of a test was left standing.
    /// # What to do
    /// Set the time to live to 300 to 3600 seconds.
    /// # Not this
    /// A resolver that still gives the old record is dns-stale-cache.
    TTL_OUT_OF_RANGE = "dns-ttl-out-of-range", Transport, Warning, "the time to live is out of the advised range",
        seed [79..=79], see [];

    /// The authoritative servers are not yet all at the same state, or all have the new record and the resolver has not.
    ///
    /// # Why it fails
    /// Some receivers ask a server, or a cache, that does not know the change yet.
    /// # How it comes about
    /// The record was published minutes or hours ago.
    /// # What to do
    /// Wait until the time named, then try again. Nothing needs to be changed.
    /// # Not this
    /// Where no authoritative server has the record, waiting does not help: dkim-record-not-found.
    PROPAGATION_PENDING = "dns-propagation-pending", Transport, Error, "a change of DNS is still on its way",
        seed [72..=72, 75..=76], see ["RFC 1034 §4.3.5"];

    /// The resolver gives an old record that the authoritative servers have replaced.
    ///
    /// # Why it fails
    /// A resolver keeps an answer for the record's time to live; until then it gives the old key.
    /// # How it comes about
    /// The record was changed while its old time to live was long.
    /// # What to do
    /// Wait until it has run out, or flush the cache of your own resolver.
    /// # Not this
    /// Authoritative servers that differ among themselves are dns-authoritative-inconsistent.
    STALE_CACHE = "dns-stale-cache", Transport, Error, "the resolver still has the old record",
        seed [78..=78], see [];

    /// The resolver remembers that there was no record, and there is one by now.
    ///
    /// # Why it fails
    /// That a name does not exist is kept too, as long as the zone's SOA record says.
    /// # How it comes about
    /// Somebody looked the record up before it was published.
    /// # What to do
    /// Wait until the time named, or flush the cache of your own resolver.
    /// # Not this
    /// Where the authoritative servers do not have it either, it is dkim-record-not-found.
    NEGATIVE_CACHE = "dns-negative-cache", Transport, Error, "the resolver remembers that there was no record",
        seed [76..=77], see ["RFC 2308 §5"];

    /// The resolver and the authoritative servers give different answers, and no time to live explains it.
    ///
    /// # Why it fails
    /// Receivers see one answer or the other, depending on where they ask.
    /// # How it comes about
    /// Another view of the zone inside the network, a resolver that rewrites answers, or a forwarder with a zone of its own.
    /// # What to do
    /// Ask a resolver outside your network, and make the two answer alike.
    /// # Not this
    /// An older copy that runs out by itself is dns-stale-cache.
    RESOLVER_DISAGREEMENT = "dns-resolver-disagreement", Transport, Warning,
        "the resolver and the authoritative servers differ", seed [16..=16, 77..=77], see [];

    /// Success and failure alternate for the same key.
    ///
    /// # Why it fails
    /// What stands in DNS can be read in two ways, and which one a receiver meets is chance: the order of records, or the
    /// server that answers.
    /// # How it comes about
    /// The key was published as several records, or the authoritative servers do not hold the same.
    /// # What to do
    /// Mend the cause that stands beside this finding.
    /// # Not this
    /// Failures that go with certain messages (long lines, attachments) come from changes on the way.
    RESULTS_ALTERNATE = "dkim-results-alternate", Transport, Warning, "success and failure alternate",
        seed [63..=63, 80..=85, 95..=95], see [];
}
