//! Causes: SPF.

causes! {
    Spf;

    /// The domain of the envelope sender has no SPF record.
    ///
    /// # Why it fails
    /// SPF gives `none`: no TXT record at the domain begins with `v=spf1` and a blank, so nobody is allowed and nobody
    /// is refused. `none` counts as not passing.
    /// # How it comes about
    /// The record was never published, was published for another name, or the envelope sender is of another domain than
    /// From: SPF looks at MAIL FROM.
    /// # What to do
    /// Publish one TXT record at the domain: `v=spf1`, a term for each host and service that sends, and `~all`.
    /// # Not this
    /// A text that was meant to be a record is spf-version-malformed, spf-missing-space or spf-non-ascii. A record at a
    /// name nearby is spf-wrong-host. A server that does not answer is spf-dns-temperror.
    RECORD_MISSING = "spf-record-missing", Spf, Error, "the sender's domain has no SPF record",
        seed [9..=9, 27..=27, 31..=31], see ["RFC 7208 §4.5"];

    /// The SPF record lacks the include of the provider that sends, and with it SPF passes.
    ///
    /// # Why it fails
    /// A provider lists its hosts in a record of its own. Only a record that includes it lets these hosts send.
    /// # How it comes about
    /// The domain had a record before the provider came, or the include was replaced when another service was added.
    /// # What to do
    /// Put the include before `all` in the one record that exists. Do not publish a second record.
    /// # Not this
    /// A host that is not the provider's is spf-ip-not-authorized. An include after `all` is spf-terms-after-all.
    PROVIDER_INCLUDE_MISSING = "spf-provider-include-missing", Spf, Error, "the provider's include is missing",
        seed [9..=9, 27..=27, 31..=31, 101..=105], see ["RFC 7208 §5.2"];

    /// The SPF record breaks the grammar.
    ///
    /// # Why it fails
    /// One term that cannot be read makes the whole record a permanent error, whoever sends and however right the other
    /// terms are.
    /// # How it comes about
    /// Quotes that were pasted along, a blank inside a term, a value where none may stand, a name that is none.
    /// # What to do
    /// Correct the term above the caret.
    /// # Not this
    /// Mistakes with a code of their own: spf-unknown-mechanism, spf-ip-mechanism-wrong, spf-missing-space,
    /// spf-comma-or-semicolon, spf-macro-invalid, spf-duplicate-modifier, spf-non-ascii. Without `v=spf1` at its start the
    /// text is no record: spf-version-malformed.
    SYNTAX_ERROR = "spf-syntax-error", Spf, Error, "the SPF record breaks the grammar",
        seed [9..=9, 27..=27, 31..=31, 96..=99], see ["RFC 7208 §4.6", "RFC 7208 §12"];

    /// The terms of the SPF record are spread over several TXT records.
    ///
    /// # Why it fails
    /// Receivers take the one TXT record that begins with `v=spf1` and nothing else. The strings of one record are
    /// joined, separate records never are.
    /// # How it comes about
    /// A panel with a short value field, or one that makes a record of each line.
    /// # What to do
    /// Publish one TXT record with the whole value, in one string or several, and delete the parts.
    /// # Not this
    /// Two records that both begin with `v=spf1` are spf-multiple-records. Strings that touch inside one record are
    /// spf-strings-misjoined.
    SPLIT_ACROSS_RECORDS = "spf-split-across-records", Spf, Error, "the SPF record is split over several TXT records",
        seed [96..=105], see ["RFC 7208 §3.2", "RFC 7208 §3.3"];

    /// The strings of the SPF record touch without a blank, and two terms become one.
    ///
    /// # Why it fails
    /// The strings of a TXT record are joined as they are, without a blank: `"v=spf1 include:a.example"` and `"~all"` give
    /// `include:a.example~all`. Without the blank after `v=spf1` there is no record at all.
    /// # How it comes about
    /// The value was split by hand between two terms, or entered without quotes at a DNS service that makes a string of
    /// every word.
    /// # What to do
    /// Enter the value as one string in quotes, or begin each further string with a blank.
    /// # Not this
    /// A blank that is missing inside one string is spf-missing-space. Several strings with blanks in place are sound.
    STRINGS_MISJOINED = "spf-strings-misjoined", Spf, Error, "the strings of the SPF record touch without a blank",
        seed [96..=105], see ["RFC 7208 §3.3"];

    /// Several TXT records at the domain begin with `v=spf1`.
    ///
    /// # Why it fails
    /// SPF demands exactly one record. With two, no receiver chooses: the result is a permanent error, even if both are
    /// the same.
    /// # How it comes about
    /// A second service told its customer to "add an SPF record", and a second record was added.
    /// # What to do
    /// Merge the terms into one record with one `all` at its end, and delete the others.
    /// # Not this
    /// One record whose terms go on in another TXT record is spf-split-across-records.
    MULTIPLE_RECORDS = "spf-multiple-records", Spf, Error, "the domain has several SPF records",
        seed [96..=99], see ["RFC 7208 §3.2", "RFC 7208 §4.5"];

    /// The record is sound, and the client is not among those it lets send.
    ///
    /// # Why it fails
    /// No term before `all` names the client, or a term refuses it.
    /// # How it comes about
    /// A host or service sends that nobody added to the record; or somebody else uses the domain.
    /// # What to do
    /// If the address is yours, or of a service that you use, add it or the include of the service before `all`. If you do
    /// not know it, change nothing.
    /// # Not this
    /// Where one change is known to help, that is named: spf-provider-include-missing, spf-terms-after-all,
    /// spf-ipv6-egress-unlisted. Forwarded mail is spf-forwarded.
    IP_NOT_AUTHORIZED = "spf-ip-not-authorized", Spf, Error, "the client is not among those the record lets send",
        seed [], see ["RFC 7208 §8.4"];

    /// The host sent by IPv6, and only its IPv4 address is in the record.
    ///
    /// # Why it fails
    /// The IPv6 address of a host is another address: the record must name it too.
    /// # How it comes about
    /// The host got IPv6, and mail goes out by it wherever the receiver has it.
    /// # What to do
    /// Add the address with `ip6:`, or let the host send by IPv4 alone.
    /// # Not this
    /// A host whose IPv4 address is not in the record either is spf-ip-not-authorized.
    IPV6_EGRESS_UNLISTED = "spf-ipv6-egress-unlisted", Spf, Error, "the host sends by an IPv6 address that is not in the record",
        seed [], see ["RFC 7208 §5.6"];

    /// The record, with all that it includes, has more than ten terms that ask DNS.
    ///
    /// # Why it fails
    /// Receivers stop at the eleventh with a permanent error. `include`, `a`, `mx`, `ptr`, `exists` and `redirect=` count,
    /// in the record and in every record that it leads to.
    /// # How it comes about
    /// One service after another was included; some include many more.
    /// # What to do
    /// Remove what no longer sends, replace `a` and `mx` by addresses, and give services with many includes a subdomain
    /// of their own.
    /// # Not this
    /// Records that lead back to themselves are spf-include-loop or spf-redirect-loop. A client that matches before the
    /// eleventh term passes.
    TOO_MANY_LOOKUPS = "spf-too-many-lookups", Spf, Error, "more than ten terms of the record ask DNS",
        seed [], see ["RFC 7208 §4.6.4"];

    /// More than two terms of the record find nothing in DNS.
    ///
    /// # Why it fails
    /// Receivers should stop at the third with a permanent error, as such records are used to attack name servers.
    /// # How it comes about
    /// Hosts were removed from DNS and stayed in the record.
    /// # What to do
    /// Remove the terms whose names no longer exist.
    /// # Not this
    /// An `include` of a domain without record is spf-include-no-record, and fails at the first.
    TOO_MANY_VOID_LOOKUPS = "spf-too-many-void-lookups", Spf, Error, "more than two terms of the record find nothing in DNS",
        seed [], see ["RFC 7208 §4.6.4"];

    /// An `include` leads to a domain without SPF record.
    ///
    /// # Why it fails
    /// The whole check is a permanent error, whatever else the record says.
    /// # How it comes about
    /// The name is misspelled, the service was given up, or its record moved.
    /// # What to do
    /// Correct the name, or remove the term.
    /// # Not this
    /// A domain whose servers do not answer is spf-include-temperror. The same with `redirect=` is spf-redirect-no-record.
    INCLUDE_NO_RECORD = "spf-include-no-record", Spf, Error, "an include leads to a domain without SPF record",
        seed [], see ["RFC 7208 §5.2"];

    /// DNS gave no answer for a record that is included.
    ///
    /// # Why it fails
    /// Whether the client may send cannot be told: a temporary error, and the message may be tried again.
    /// # How it comes about
    /// The name servers of the included domain fail, or the receiver's resolver does.
    /// # What to do
    /// Wait for the next attempt. If it stays, tell the owner of the included domain.
    /// # Not this
    /// The domain's own servers are spf-dns-temperror. A name that does not exist is spf-include-no-record.
    INCLUDE_TEMPERROR = "spf-include-temperror", Spf, Error, "DNS gave no answer for an included record",
        seed [], see ["RFC 7208 §4.6.4", "RFC 7208 §5.2"];

    /// DNS gave no answer for the domain's own record, or for a name in it.
    ///
    /// # Why it fails
    /// Whether the client may send cannot be told: a temporary error.
    /// # How it comes about
    /// The domain's name servers fail or cannot be reached, CNAMEs lead nowhere, or the receiver's resolver fails.
    /// # What to do
    /// Ask the name servers of the domain yourself. If they answer, look at the resolver.
    /// # Not this
    /// An answer that says that nothing is there is spf-record-missing.
    DNS_TEMPERROR = "spf-dns-temperror", Spf, Error, "DNS gave no answer for the SPF record",
        seed [], see ["RFC 7208 §2.6.6"];

    /// Records include each other in a circle.
    ///
    /// # Why it fails
    /// The check goes round until it has used ten terms, and ends in a permanent error.
    /// # How it comes about
    /// A domain includes itself, or two domains of one owner include each other.
    /// # What to do
    /// Remove the `include` that leads back.
    /// # Not this
    /// Many different includes are spf-too-many-lookups. A circle by `redirect=` is spf-redirect-loop.
    INCLUDE_LOOP = "spf-include-loop", Spf, Error, "records include each other in a circle",
        seed [], see ["RFC 7208 §4.6.4"];

    /// Records redirect to each other in a circle.
    ///
    /// # Why it fails
    /// The check goes round until it has used ten terms, and ends in a permanent error.
    /// # How it comes about
    /// `redirect=` names the domain itself, or two domains redirect to each other.
    /// # What to do
    /// Let `redirect=` name the domain that has the terms.
    /// # Not this
    /// A circle by `include` is spf-include-loop.
    REDIRECT_LOOP = "spf-redirect-loop", Spf, Error, "records redirect to each other in a circle",
        seed [], see ["RFC 7208 §6.1"];

    /// `redirect=` leads to a domain without SPF record.
    ///
    /// # Why it fails
    /// The whole check is a permanent error.
    /// # How it comes about
    /// The name is misspelled, or the record there was removed.
    /// # What to do
    /// Correct the name, or put the terms into the record itself.
    /// # Not this
    /// The same with `include` is spf-include-no-record.
    REDIRECT_NO_RECORD = "spf-redirect-no-record", Spf, Error, "redirect= leads to a domain without SPF record",
        seed [], see ["RFC 7208 §6.1"];

    /// `redirect=` stands in a record that has `all`, and has no effect.
    ///
    /// # Why it fails
    /// `redirect=` counts only where no mechanism matches, and `all` always matches.
    /// # How it comes about
    /// A record was moved behind a redirect, and the old `all` stayed.
    /// # What to do
    /// Remove `all`, or remove `redirect=`.
    /// # Not this
    /// Mechanisms after `all` are spf-terms-after-all.
    REDIRECT_IGNORED = "spf-redirect-ignored", Spf, Error, "redirect= has no effect beside all",
        seed [], see ["RFC 7208 §6.1"];

    /// Mechanisms stand after `all`, where nothing has an effect.
    ///
    /// # Why it fails
    /// Terms are read from the left, `all` always matches, and the check ends there.
    /// # How it comes about
    /// A term was appended to the end of a record that was complete.
    /// # What to do
    /// Move `all` to the end.
    /// # Not this
    /// A modifier may stand anywhere; `redirect=` beside `all` is spf-redirect-ignored.
    TERMS_AFTER_ALL = "spf-terms-after-all", Spf, Error, "terms stand after all",
        seed [], see ["RFC 7208 §5.1"];

    /// A TXT record is meant to be SPF and does not begin with `v=spf1` and a blank.
    ///
    /// # Why it fails
    /// Such a text is no SPF record to any receiver: the domain has none.
    /// # How it comes about
    /// `v=spf1;`, `spf1`, `v = spf1`, `v=SPF2.0`, a quote or another word before the version.
    /// # What to do
    /// Let the value begin with exactly `v=spf1` and one blank.
    /// # Not this
    /// A term that follows at once is spf-missing-space. Other characters than ASCII are spf-non-ascii.
    VERSION_MALFORMED = "spf-version-malformed", Spf, Error, "the record does not begin with v=spf1 and a blank",
        seed [], see ["RFC 7208 §4.5", "RFC 7208 §12"];

    /// A blank between two terms is missing.
    ///
    /// # Why it fails
    /// The two are read as one term, which breaks the grammar, or as one name, which does not exist.
    /// # How it comes about
    /// Terms were appended without a blank: `include:a.example~all`, `ip4:192.0.2.1ip4:192.0.2.2`.
    /// # What to do
    /// Put a blank between the terms.
    /// # Not this
    /// Where strings touch, it is spf-strings-misjoined. Commas between terms are spf-comma-or-semicolon.
    MISSING_SPACE = "spf-missing-space", Spf, Error, "a blank between two terms is missing",
        seed [], see ["RFC 7208 §4.6.1"];

    /// Terms are separated by commas or semicolons.
    ///
    /// # Why it fails
    /// Only a blank ends a term: the sign becomes a part of the term, which breaks the grammar.
    /// # How it comes about
    /// The form of DKIM and DMARC records, or of a list, was carried over.
    /// # What to do
    /// Replace each by one blank.
    /// # Not this
    /// A semicolon right after `v=spf1` is spf-version-malformed.
    COMMA_OR_SEMICOLON = "spf-comma-or-semicolon", Spf, Error, "terms are separated by commas or semicolons",
        seed [], see ["RFC 7208 §4.6.1"];

    /// An address stands under the wrong name or in the wrong form.
    ///
    /// # Why it fails
    /// Addresses need `ip4:` or `ip6:`, of their family, with a prefix of at most 32 or 128, and names need another
    /// mechanism. Anything else breaks the grammar.
    /// # How it comes about
    /// `ip:`, `ipv4:`, `ip4:` before a host name or an IPv6 address, `a:192.0.2.1`, a blank after the colon, a netmask.
    /// # What to do
    /// Write `ip4:192.0.2.1`, `ip4:192.0.2.0/24` or `ip6:2001:db8::/32`; a host name takes `a:`.
    /// # Not this
    /// Other unknown names are spf-unknown-mechanism.
    IP_MECHANISM_WRONG = "spf-ip-mechanism-wrong", Spf, Error, "an address stands under the wrong name or in the wrong form",
        seed [], see ["RFC 7208 §5.6"];

    /// A term has the name of no mechanism.
    ///
    /// # Why it fails
    /// An unknown mechanism makes the whole record a permanent error.
    /// # How it comes about
    /// A typing mistake such as `inlcude:`, or a bare host name.
    /// # What to do
    /// Correct the name: `all`, `include`, `a`, `mx`, `ip4`, `ip6` or `exists`.
    /// # Not this
    /// Names for addresses are spf-ip-mechanism-wrong. Unknown modifiers, with `=`, are legal and have no effect.
    UNKNOWN_MECHANISM = "spf-unknown-mechanism", Spf, Error, "a term has the name of no mechanism",
        seed [], see ["RFC 7208 §4.6.1", "RFC 7208 §12"];

    /// A macro in the record cannot be read.
    ///
    /// # Why it fails
    /// After `%` only `{`, `%`, `_` or `-` may stand, and `%{` needs a known letter and `}`. Anything else is a permanent
    /// error.
    /// # How it comes about
    /// A macro was typed from memory, or a template was published with its placeholders.
    /// # What to do
    /// Copy the term from the provider's page again.
    /// # Not this
    /// Other mistakes in a term are spf-syntax-error.
    MACRO_INVALID = "spf-macro-invalid", Spf, Error, "a macro in the record cannot be read",
        seed [], see ["RFC 7208 §7.1"];

    /// `redirect=` or `exp=` stands twice.
    ///
    /// # Why it fails
    /// Each may stand once; twice is a permanent error.
    /// # How it comes about
    /// Two records were merged with the modifiers of both.
    /// # What to do
    /// Leave one. What a second redirect leads to can be included.
    /// # Not this
    /// The same mechanism twice is legal.
    DUPLICATE_MODIFIER = "spf-duplicate-modifier", Spf, Error, "redirect= or exp= stands twice",
        seed [], see ["RFC 7208 §6"];

    /// The record uses `ptr`.
    ///
    /// # Why it fails
    /// It does not fail by itself. `ptr` should not be published: it is slow, rests on names that the client's owner sets,
    /// and some receivers skip it.
    /// # How it comes about
    /// An old template.
    /// # What to do
    /// Replace it by `ip4:` and `ip6:`.
    /// # Not this
    /// A client without a name of its own is spf-ip-not-authorized.
    PTR_USED = "spf-ptr-used", Spf, Warning, "the record uses ptr",
        seed [], see ["RFC 7208 §5.5"];

    /// The record ends in `+all`: everybody may send for the domain.
    ///
    /// # Why it fails
    /// It never fails, and so proves nothing. Receivers may distrust the domain for it.
    /// # How it comes about
    /// It was set to make a failure go away, or `all` was written without a sign.
    /// # What to do
    /// Name the hosts that send, and end with `~all` or `-all`.
    /// # Not this
    /// Large networks in the record are spf-too-broad.
    PLUS_ALL = "spf-plus-all", Spf, Warning, "everybody may send for the domain",
        seed [], see ["RFC 7208 §5.1"];

    /// The record ends in `?all`: it says nothing about clients that it does not name.
    ///
    /// # Why it fails
    /// The result for them is `neutral`, which does not pass.
    /// # How it comes about
    /// The record is still being tried out.
    /// # What to do
    /// Name the hosts that send, then end with `~all` or `-all`.
    /// # Not this
    /// No `all` at all is spf-no-all.
    NEUTRAL_ALL = "spf-neutral-all", Spf, Warning, "the record ends in ?all",
        seed [], see ["RFC 7208 §8.2"];

    /// The record has neither `all` nor `redirect=`.
    ///
    /// # Why it fails
    /// For clients that it does not name, the result is `neutral`, which does not pass.
    /// # How it comes about
    /// The end of the record was forgotten or cut off.
    /// # What to do
    /// End the record with `~all` or `-all`.
    /// # Not this
    /// An end that stands in another TXT record is spf-split-across-records.
    NO_ALL = "spf-no-all", Spf, Warning, "the record has no all",
        seed [], see ["RFC 7208 §4.7"];

    /// The mechanism `mx` leads to more than ten mail exchangers.
    ///
    /// # Why it fails
    /// More than ten MX records are a permanent error.
    /// # How it comes about
    /// `mx` was used for a domain with a large farm of inbound hosts.
    /// # What to do
    /// Replace `mx` by the addresses of the hosts that send.
    /// # Not this
    /// Too many terms are spf-too-many-lookups.
    MX_LIMIT = "spf-mx-limit", Spf, Error, "mx leads to more than ten mail exchangers",
        seed [], see ["RFC 7208 §4.6.4"];

    /// The TXT records of the domain make an answer that does not fit into a small UDP packet.
    ///
    /// # Why it fails
    /// It fails only where the answer is cut and TCP is blocked on the way.
    /// # How it comes about
    /// Many tokens for site verification pile up at the domain.
    /// # What to do
    /// Remove TXT records that nobody needs, and keep port 53 open for TCP.
    /// # Not this
    /// A record of several strings is legal, however long.
    RECORD_TOO_LARGE = "spf-record-too-large", Spf, Note, "the answer with the SPF record is large",
        seed [], see ["RFC 7208 §3.4"];

    /// The only SPF record is of the abolished type SPF (99).
    ///
    /// # Why it fails
    /// Receivers ask for TXT records alone, and find none.
    /// # How it comes about
    /// A panel offers the type, or a zone is older than 2014.
    /// # What to do
    /// Publish the same text as a TXT record.
    /// # Not this
    /// A record of type SPF beside the TXT record does no harm.
    RECORD_TYPE_99 = "spf-record-type-99", Spf, Error, "the SPF record is of the abolished type SPF",
        seed [], see ["RFC 7208 §3.1"];

    /// The SPF record stands at another name than the envelope sender's domain.
    ///
    /// # Why it fails
    /// Receivers ask for TXT at the domain of MAIL FROM, and nowhere else. The record of the domain above does not count.
    /// # How it comes about
    /// `_spf`, `spf` or `www` was entered as host, the panel appended the domain to the full name, or mail is sent from a
    /// subdomain that has no record of its own.
    /// # What to do
    /// Publish the record at the domain that the sender is of.
    /// # Not this
    /// No record anywhere near is spf-record-missing.
    WRONG_HOST = "spf-wrong-host", Spf, Error, "the SPF record stands at another name",
        seed [], see ["RFC 7208 §4.4"];

    /// Characters beyond ASCII stand in the record.
    ///
    /// # Why it fails
    /// A record may hold visible ASCII and blanks alone; anything else is a permanent error, or hides the version.
    /// # How it comes about
    /// A dash, a blank or a quote was changed by an editor or a web page: `–all`, a blank that does not break, `“v=spf1`.
    /// # What to do
    /// Type the record again in plain ASCII.
    /// # Not this
    /// Plain quotes are spf-version-malformed or spf-syntax-error.
    NON_ASCII = "spf-non-ascii", Spf, Error, "characters beyond ASCII stand in the record",
        seed [], see ["RFC 7208 §3.1", "RFC 7208 §12"];

    /// The envelope sender is null, so SPF judges the HELO name, and that does not pass.
    ///
    /// # Why it fails
    /// Bounces have no sender. SPF then looks at the name that the host gave at HELO, which seldom has a record.
    /// # How it comes about
    /// Only the domain of the addresses got a record, not the names of the hosts.
    /// # What to do
    /// Publish a record such as `v=spf1 a -all` at the HELO name of each host that sends.
    /// # Not this
    /// With a sender, the HELO name does not count.
    HELO_ONLY = "spf-helo-only", Spf, Error, "the sender is null and the HELO name does not pass",
        seed [], see ["RFC 7208 §2.3", "RFC 7208 §2.4"];

    /// The message was forwarded: the client is the forwarder's, not the sender's.
    ///
    /// # Why it fails
    /// SPF names the hosts of the sender. A forwarder that keeps the envelope sender is none of them.
    /// # How it comes about
    /// A mailing list, an alias or a redirection at the former address.
    /// # What to do
    /// At the sender, nothing: DKIM carries such mail. At the forwarder: SRS or ARC.
    /// # Not this
    /// Without a signature of From that holds, nobody can tell it from spf-ip-not-authorized.
    FORWARDED = "spf-forwarded", Spf, Warning, "the message was forwarded",
        seed [], see ["RFC 7208 §10.3", "RFC 7208 §2.4"];

    /// SPF was judged behind a relay of the receiver's own.
    ///
    /// # Why it fails
    /// The client that was judged is our own relay, which no sender names. For the client that came to it, SPF passes.
    /// # How it comes about
    /// A gateway, a second exchanger or a load balancer stands before the host that checks.
    /// # What to do
    /// Check where mail enters, or name the relay as trusted, so that the client before it is judged.
    /// # Not this
    /// A relay of somebody else is spf-forwarded.
    CHECKED_BEHIND_RELAY = "spf-checked-behind-relay", Spf, Error, "SPF was judged behind a relay of our own",
        seed [], see ["RFC 7208 §9.2"];

    /// The record ends in `~all`, and that is what matched.
    ///
    /// # Why it fails
    /// `softfail` does not pass. Most receivers take such mail and mark it.
    /// # How it comes about
    /// `~all` is what most records end in, rightly.
    /// # What to do
    /// Nothing about `~all`; find out why no term before it matched.
    /// # Not this
    /// Why the client is not named is spf-ip-not-authorized or a more exact cause.
    SOFTFAIL_POLICY = "spf-softfail-policy", Spf, Note, "~all matched",
        seed [], see ["RFC 7208 §8.5"];

    /// The record lets so many hosts send that it proves nothing.
    ///
    /// # Why it fails
    /// It never fails by it: mail of strangers passes.
    /// # How it comes about
    /// A network was entered with a prefix such as `/0` or `/8`, or a record is included that lets everybody send.
    /// Where the client was let in by a network larger than a /16, a note says so: providers have such blocks, and share
    /// them among their customers.
    /// # What to do
    /// Name the addresses that send, and no more.
    /// # Not this
    /// `+all` in the record itself is spf-plus-all.
    TOO_BROAD = "spf-too-broad", Spf, Warning, "the record lets far too many hosts send",
        seed [], see ["RFC 7208 §11.5"];
}
