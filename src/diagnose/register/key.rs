//! Causes: the key in the record.

causes! {
    Key;

    /// The end of the key is missing.
    ///
    /// # Why it fails
    /// A key says in its first octets how long it is. What is published is shorter, so nobody can read it.
    /// # How it comes about
    /// A character-string of DNS holds 255 octets. Panels that take no more cut the rest off without a word: of the 392
    /// characters of a 2048-bit key, 239 remain.
    /// # What to do
    /// Publish the whole value: one TXT record with two quoted strings, or pasted whole where the DNS splits it by
    /// itself. Where the provider of the DNS refuses more than 255 characters, ask for it, use a CNAME if the signer
    /// offers one, or move the zone; a smaller key is no way out where 2048 bits are demanded.
    /// # Not this
    /// Where the missing piece stands in a second record: dkim-key-split-across-records. A piece that is missing in the
    /// middle is dkim-strings-missing-or-repeated.
    TRUNCATED = "dkim-key-truncated", Decode, Error, "the end of the key is missing",
        seed [12..=12, 37..=40], see ["RFC 1035 §3.3.14", "RFC 6376 §3.6.2.2"];

    /// The key has another size than the one demanded.
    ///
    /// # Why it fails
    /// A signature is as long as the modulus of the key that made it: a key of another size cannot have made it. And a
    /// provider that supports only 2048 bits signs with no other.
    /// # How it comes about
    /// A key from elsewhere was published, or a shorter one was made because the panel takes only 255 characters.
    /// # What to do
    /// Publish the value that the console of the provider gives, or make a key of the size that it demands.
    /// # Not this
    /// 1024 bits are legal DKIM; only a provider that demands more makes them wrong. Fewer are dkim-key-too-small.
    WRONG_SIZE = "dkim-key-wrong-size", Decode, Error, "the key has not the size that the provider demands",
        seed [41..=41], see ["RFC 8301 §3.2"];

    /// The key cannot be read, and no more specific cause explains why.
    ///
    /// # Why it fails
    /// p= is not base64, or what it holds is not a public key. An Ed25519 point of small order is none either: for it
    /// anybody can sign.
    /// # How it comes about
    /// A character was lost, added or replaced on the way: a URL-safe alphabet, an escape, a copying mistake. A point of
    /// small order is a key of zeros, or was chosen by somebody who wants forgeries to pass.
    /// # What to do
    /// Enter the value again as the signer gives it, and compare it with what DNS answers.
    /// # Not this
    /// A cut key is dkim-key-truncated, quotes are txt-literal-quotes, blanks are legal and at most dkim-key-whitespace.
    CORRUPT = "dkim-key-corrupt", Decode, Error, "the key cannot be read",
        seed [26..=26, 32..=32, 37..=37, 70..=71], see ["RFC 6376 §3.6.1"];

    /// The key is a bare RSAPublicKey without the wrapping that everybody else uses.
    ///
    /// # Why it fails
    /// RFC 6376 names RSAPublicKey, its erratum 3017 explains that SubjectPublicKeyInfo is meant as well. go-msgauth,
    /// mail-auth and KumoMTA read both; OpenDKIM, rspamd, dkimpy, mailauth and Exim read only the second.
    /// # How it comes about
    /// The key was written with `openssl rsa -RSAPublicKey_out`, or taken from a file `BEGIN RSA PUBLIC KEY`.
    /// # What to do
    /// Publish it as SubjectPublicKeyInfo: `openssl rsa -in private.pem -pubout`.
    /// # Not this
    /// A private key is dkim-private-key-published.
    PKCS1 = "dkim-key-pkcs1", Decode, Warning, "the key lacks the wrapping that most verifiers want",
        seed [], see ["RFC 6376 §3.6.1", "RFC 5280 §4.1"];

    /// The private key stands in DNS, where everybody can read it.
    ///
    /// # Why it fails
    /// p= wants the public key, so no signature verifies. Worse: whoever read it can sign as this domain.
    /// # How it comes about
    /// The wrong one of two files was pasted.
    /// # What to do
    /// Delete the record now. Make a new key pair, publish its public key under a new selector, and never use this
    /// key again: DNS answers are kept by others.
    /// # Not this
    /// A bare public key is dkim-key-pkcs1.
    PRIVATE_KEY = "dkim-private-key-published", Decode, Error, "the private key stands in DNS",
        seed [], see ["RFC 6376 §8.3"];

    /// p= holds a certificate instead of a key.
    ///
    /// # Why it fails
    /// Verifiers want the SubjectPublicKeyInfo alone.
    /// # How it comes about
    /// The certificate was pasted that was made together with the key.
    /// # What to do
    /// Publish the public key in it: `openssl x509 -in cert.pem -noout -pubkey`.
    /// # Not this
    /// A frame of a PEM file around a public key is dkim-pem-armor-in-key.
    CERTIFICATE = "dkim-key-is-certificate", Decode, Error, "a certificate is published instead of a key",
        seed [], see ["RFC 5280 §4.1", "RFC 6376 §3.6.1"];

    /// The record exists and its p= is empty: the owner withdrew the key.
    ///
    /// # Why it fails
    /// RFC 6376 §3.6.1: an empty value means that this public key has been revoked.
    /// # How it comes about
    /// The selector was retired in DNS while a signer still uses it.
    /// # What to do
    /// Sign with the selector that is published now, or publish the key again until the last signer has moved.
    /// # Not this
    /// No record at all is dkim-record-not-found, a record without p= is dkim-key-missing-p.
    REVOKED = "dkim-key-revoked", Decode, Error, "the key was withdrawn",
        seed [], see ["RFC 6376 §3.6.1", "RFC 6376 §6.1.2"];

    /// The record is a key record and has no p=.
    ///
    /// # Why it fails
    /// p= is the only tag that must be there.
    /// # How it comes about
    /// Only the first line of the value was entered, or the tag was deleted with its value.
    /// # What to do
    /// Enter the whole value as the signer gives it.
    /// # Not this
    /// An empty p= is dkim-key-revoked, `P=` is dkim-tag-case. A record of another kind is dkim-foreign-txt-at-selector.
    MISSING_P = "dkim-key-missing-p", Decode, Error, "the key record has no p=",
        seed [], see ["RFC 6376 §3.6.1"];

    /// The key is of another type than the signature, or than its own k= says.
    ///
    /// # Why it fails
    /// A verifier takes the algorithm from the signature and the type from k=; they must fit, and p= must be such a key.
    /// # How it comes about
    /// An RSA and an Ed25519 key were published under one selector, one over the other, or k= was forgotten: without it
    /// the key is RSA.
    /// # What to do
    /// Set k= to the type of the key; give each key a selector of its own.
    /// # Not this
    /// A k= that nobody knows is dkim-key-type-unknown. An Ed25519 key in the wrong wrapping is dkim-ed25519-spki.
    TYPE_MISMATCH = "dkim-key-type-mismatch", Decode, Error, "the key is of another type than said",
        seed [], see ["RFC 6376 §6.1.2", "RFC 8463 §4"];

    /// k= names a type of key that does not exist.
    ///
    /// # Why it fails
    /// RFC 6376 §3.6.1 knows rsa, RFC 8463 ed25519, both in small letters; a record with another type is ignored.
    /// # How it comes about
    /// `k=RSA`, `k=rsa-sha256` or `k=dkim` was typed by hand.
    /// # What to do
    /// Write `k=rsa` or `k=ed25519`, or leave k= out for RSA.
    /// # Not this
    /// A known type that does not fit the key is dkim-key-type-mismatch.
    TYPE_UNKNOWN = "dkim-key-type-unknown", Decode, Error, "the type of the key is unknown",
        seed [], see ["RFC 6376 §3.6.1", "RFC 8463 §2"];

    /// The Ed25519 key is published in a SubjectPublicKeyInfo.
    ///
    /// # Why it fails
    /// RFC 8463 §4.2 wants the 32 octets of the key alone, 44 characters of base64. Some verifiers accept the wrapping,
    /// most do not.
    /// # How it comes about
    /// The output of `openssl pkey -pubout` was pasted, as is right for RSA.
    /// # What to do
    /// Publish only the last 32 octets: `openssl pkey -pubin -outform DER | tail -c 32 | base64`.
    /// # Not this
    /// An Ed25519 key under k=rsa is dkim-key-type-mismatch.
    ED25519_SPKI = "dkim-ed25519-spki", Decode, Error, "the Ed25519 key has a wrapping that it must not have",
        seed [], see ["RFC 8463 §4.2"];

    /// h= of the key record does not allow the hash of the signature.
    ///
    /// # Why it fails
    /// RFC 6376 §6.1.2: such a signature is a permanent error.
    /// # How it comes about
    /// The record says `h=sha1` from old times, and the signer uses SHA-256, as it must.
    /// # What to do
    /// Remove h= from the record.
    /// # Not this
    /// A signature made with SHA-1 is a matter of the signer.
    HASH_NOT_ALLOWED = "dkim-hash-not-allowed", Decode, Error, "the key record does not allow the hash",
        seed [], see ["RFC 6376 §3.6.1", "RFC 8301 §3.1"];

    /// s= of the key record does not name mail.
    ///
    /// # Why it fails
    /// RFC 6376 §3.6.1: a key that is not for the service must be ignored; mail is `email` or `*`.
    /// # How it comes about
    /// The record was made for TLS reports (`s=tlsrpt`), or s= was taken for the selector.
    /// # What to do
    /// Remove s= from the record, or publish a key for mail under another selector.
    /// # Not this
    /// `s=tlsrpt` is right for a key that signs TLS reports.
    SERVICE_MISMATCH = "dkim-service-type-mismatch", Decode, Error, "the key record is not for mail",
        seed [], see ["RFC 6376 §3.6.1", "RFC 8460 §3"];

    /// The key record says t=s, and the signature's i= is of a subdomain of d=.
    ///
    /// # Why it fails
    /// RFC 6376 §3.6.1: with t=s the domain of i= must be d= itself.
    /// # How it comes about
    /// The record was published with t=s, and mail of a subdomain is signed with the key of its parent.
    /// # What to do
    /// Remove s from t=, or let the signer leave i= out.
    /// # Not this
    /// An i= that is not below d= at all is a fault of the signature.
    SUBDOMAIN_FORBIDDEN = "dkim-subdomain-forbidden", Decode, Error, "the key record forbids subdomains in i=",
        seed [], see ["RFC 6376 §3.6.1"];

    /// The key record says t=y: the domain is testing DKIM.
    ///
    /// # Why it fails
    /// It makes nothing fail. Some receivers treat such mail as unsigned, so a pass may count for nothing.
    /// # How it comes about
    /// The flag was set when DKIM was introduced, and stayed.
    /// # What to do
    /// Remove y from t= once mail verifies.
    /// # Not this
    /// A failure of the signature has another cause.
    TESTING = "dkim-testing-mode", Decode, Warning, "the key record says that the domain is testing",
        seed [], see ["RFC 6376 §3.6.1"];

    /// The key record has a g= tag.
    ///
    /// # Why it fails
    /// g= is of RFC 4871 and has no meaning today. Verifiers of that time let an empty g= match nothing, and another one
    /// only that local part.
    /// # How it comes about
    /// The record was made from a template of the year 2007.
    /// # What to do
    /// Remove g=.
    /// # Not this
    /// Verifiers of RFC 6376 ignore it: a failure elsewhere has another cause.
    GRANULARITY = "dkim-granularity-legacy", Decode, Warning, "the key record restricts local parts in the old way",
        seed [], see ["RFC 4871 §3.6.1", "RFC 6376 §3.6.1"];

    /// The RSA key has fewer than 1024 bits.
    ///
    /// # Why it fails
    /// RFC 8301 §3.2: verifiers must not accept it.
    /// # How it comes about
    /// The key dates from before 2012, or was made short to fit a panel.
    /// # What to do
    /// Make a key of 2048 bits, and publish it under a new selector.
    /// # Not this
    /// 1024 bits are legal; where a provider demands more: dkim-key-wrong-size.
    TOO_SMALL = "dkim-key-too-small", Decode, Error, "the key has fewer than 1024 bits",
        seed [], see ["RFC 8301 §3.2"];

    /// The RSA key has more than 4096 bits, or an exponent of more than 32 bits.
    ///
    /// # Why it fails
    /// RFC 8301 §3.2 obliges verifiers up to 4096 bits; many refuse more, because it costs them more. Waxseal does too.
    /// # How it comes about
    /// The largest size on offer was chosen.
    /// # What to do
    /// Make a key of 2048 bits with the exponent 65537, and publish it under a new selector.
    /// # Not this
    /// 3072 and 4096 bits are legal; where a provider demands 2048: dkim-key-wrong-size.
    TOO_LARGE = "dkim-key-too-large", Decode, Error, "the key is larger than verifiers must accept",
        seed [], see ["RFC 8301 §3.2"];

    /// The key was replaced while mail signed with the old one was still under way.
    ///
    /// # Why it fails
    /// The old key is gone from DNS when the message arrives.
    /// # How it comes about
    /// A key was changed under the same selector, or the old selector was removed at once; mail may wait in queues for
    /// five days.
    /// # What to do
    /// Give each new key a new selector, and keep the old record for at least seven days.
    /// # Not this
    /// A signer that still uses the old key signs with the wrong one from now on; that ends by itself only here.
    ROTATED_TOO_SOON = "dkim-key-rotated-too-soon", Decode, Error, "the key was replaced while its mail was under way",
        seed [], see ["RFC 6376 §3.1"];

    /// The published key is sound, and another one made the signature.
    ///
    /// # Why it fails
    /// Only the public half of the signing key verifies its signatures.
    /// # How it comes about
    /// The key was replaced at the signer and not in DNS, or in DNS and not at the signer; or the record of another
    /// domain or service was published.
    /// # What to do
    /// Publish the value that the signer shows, or let the signer load the private key that belongs to the record.
    /// # Not this
    /// A key that cannot be read is dkim-key-corrupt; one that the signer knows under another selector is
    /// signer-used-wrong-key.
    KEY_MISMATCH = "dkim-key-mismatch", Match, Error, "the published key is not the one that signed",
        seed [26..=26, 68..=71, 87..=87], see ["RFC 6376 §6.1.3"];
}
