//! Causes: nothing at the key's name, or not there, or by way of an alias.

causes! {
    DnsRecord;

    /// There is no TXT record at the name where the signature says that its key stands.
    ///
    /// # Why it fails
    /// A verifier asks for `{selector}._domainkey.{domain}` and for nothing else. Without a record there it has no key,
    /// and the signature is a permanent error.
    /// # How it comes about
    /// The record was never published, was published under another name, or was removed while a signer still uses it.
    /// # What to do
    /// Publish the record that the signer gives, at exactly this name. Where the panel adds the domain by itself, enter
    /// only `{selector}._domainkey`.
    /// # Not this
    /// A server that does not answer is dns-lookup-failed: the record may well be there. A record that was found under
    /// another name is dkim-record-wrong-host, one under another selector of the provider dkim-selector-mismatch.
    RECORD_NOT_FOUND = "dkim-record-not-found", Shape, Error, "there is no key record at the selector",
        seed [11..=12, 15..=16, 33..=36, 51..=56], see ["RFC 6376 §3.6.2.1", "RFC 6376 §6.1.2"];

    /// The key record is published, but under another name than the one that verifiers ask for.
    ///
    /// # Why it fails
    /// The name is put together from the signature: `{selector}._domainkey.{domain}`. One label more or less, and the
    /// record is never seen.
    /// # How it comes about
    /// A panel that adds the domain by itself was given the full name, and the domain now stands twice. `_domainkey` was
    /// left out, or lost its underscore in a panel that refuses it. The value was put at the domain itself or at
    /// `_domainkey`, at the parent domain, or under a name copied from an example, braces and all.
    /// # What to do
    /// Create the record at the name that verifiers ask for, and delete the misplaced one. Where the panel adds the
    /// domain by itself, enter only `{selector}._domainkey`.
    /// # Not this
    /// A key under another selector of the same provider is dkim-selector-mismatch. A zone where every name answers is
    /// dkim-wildcard-answer.
    RECORD_WRONG_HOST = "dkim-record-wrong-host", Shape, Error, "the key record stands under another name",
        seed [10..=12, 33..=36], see ["RFC 6376 §3.6.2.1"];

    /// The answer at the selector comes from a wildcard: any other name below `_domainkey` has the same.
    ///
    /// # Why it fails
    /// Nobody published a record for this selector. What the wildcard holds (SPF, a verification text, another key, an
    /// empty p=) is taken for the key record.
    /// # How it comes about
    /// A record `*.example.com` or `*._domainkey.example.com` of type TXT stands in the zone, for another purpose.
    /// # What to do
    /// Publish the key record explicitly at the name of the selector: it then hides the wildcard there.
    /// # Not this
    /// A foreign record at the selector alone, while other names have none.
    WILDCARD_ANSWER = "dkim-wildcard-answer", Shape, Error, "a wildcard answers for the selector",
        seed [], see ["RFC 4592 §2.1.1", "RFC 6376 §3.6.2.1"];

    /// The name of the key is an alias (CNAME) of a name that has no TXT record.
    ///
    /// # Why it fails
    /// DNS follows the alias, and there is no key at its end.
    /// # How it comes about
    /// The target was mistyped, is of another account, or the provider has not published the key yet or has withdrawn it.
    /// # What to do
    /// Copy the target from the provider's console again, with a dot at its end in a master file. If it is right, ask the
    /// provider to publish the key.
    /// # Not this
    /// A target with the zone appended is dkim-cname-wrong-target. No record at all is dkim-record-not-found.
    CNAME_TARGET_MISSING = "dkim-cname-target-missing", Shape, Error, "the alias at the selector leads to nothing",
        seed [], see ["RFC 1034 §3.6.2", "RFC 6376 §3.6.2.1"];

    /// The name of the key is an alias (CNAME) of the wrong name.
    ///
    /// # Why it fails
    /// The alias leads to no key, or to the key of another selector or account.
    /// # How it comes about
    /// The final dot was left out in a master file, so that the zone was appended to the target. Or two aliases of one
    /// provider were swapped.
    /// # What to do
    /// Correct the target; in a master file end it with a dot.
    /// # Not this
    /// A target in the right form that does not exist is dkim-cname-target-missing.
    CNAME_WRONG_TARGET = "dkim-cname-wrong-target", Shape, Error, "the alias at the selector leads to the wrong name",
        seed [], see ["RFC 1035 §5.1", "RFC 1034 §3.6.2"];

    /// An alias (CNAME) and a TXT record stand at the name of the key together.
    ///
    /// # Why it fails
    /// A name with a CNAME may have no other record. Servers and resolvers disagree on which one counts, so that some
    /// receivers see the key and some do not.
    /// # How it comes about
    /// The provider moved from TXT to CNAME (or back) and the old record stayed.
    /// # What to do
    /// Keep the one that the provider documents today and delete the other.
    /// # Not this
    /// Two TXT records at one name. A CNAME that leads to a TXT record at another name is right.
    CNAME_AND_TXT = "dkim-cname-and-txt", Shape, Error, "an alias and a TXT record stand at one name",
        seed [], see ["RFC 1034 §3.6.2", "RFC 2181 §10.1"];

    /// The name of the key has an address and neither a TXT record nor an alias.
    ///
    /// # Why it fails
    /// No key name needs an address. A DNS service that proxies a CNAME answers with its own addresses and hides the
    /// alias, and the key with it.
    /// # How it comes about
    /// The alias was entered with the proxy switched on, or the service flattens all aliases.
    /// # What to do
    /// Set the record to "DNS only", or exempt it from flattening.
    /// # Not this
    /// A name with nothing at all is dkim-record-not-found. A zone where every name has an address is no sign of a proxy.
    CNAME_PROXIED = "dkim-cname-proxied", Shape, Error, "the alias at the selector is hidden by a proxy",
        seed [], see ["RFC 6376 §3.6.2.1"];

    /// The aliases (CNAME) at the name of the key go round in a circle, or are more than resolvers follow.
    ///
    /// # Why it fails
    /// Resolvers give up after a number of their own, 8 to 16 as a rule. The question then has no answer.
    /// # How it comes about
    /// An alias that leads to itself by way of others, or aliases of aliases through several providers.
    /// # What to do
    /// Let the name of the key lead to the provider's name in one step.
    /// # Not this
    /// A chain that ends at a name without a record is dkim-cname-target-missing.
    CNAME_CHAIN_TOO_LONG = "dkim-cname-chain-too-long", Shape, Error, "the aliases at the selector do not come to an end",
        seed [], see ["RFC 1034 §5.2.2"];

    /// The record at the selector is of the wrong type: the text of a key in a CNAME, or a host name in a TXT record.
    ///
    /// # Why it fails
    /// A CNAME is followed as a name, and no name is called `v=DKIM1; ...`. A host name in a TXT record is never followed.
    /// # How it comes about
    /// The provider gives both kinds of records, and the type in the panel was left at another one.
    /// # What to do
    /// Delete the record and create it with the type that the provider names.
    /// # Not this
    /// An alias of an existing name without a key is dkim-cname-target-missing.
    RECORD_TYPE_MIXED_UP = "dkim-record-type-mixed-up", Shape, Error, "the record at the selector has the wrong type",
        seed [], see ["RFC 6376 §3.6.2.1"];
}
