//! Causes: the signature's field and its signer.

causes! {
    Signer;

    /// The DKIM-Signature field breaks the grammar: not a tag list, a tag missing, twice, or with a value that is none.
    ///
    /// # Why it fails
    /// A verifier that cannot read v=, a=, b=, bh=, d=, h= and s= has nothing to verify, and must ignore the signature.
    /// # How it comes about
    /// A signer of one's own making, a template that was filled in by hand, or a gateway that rewrote the field.
    /// # What to do
    /// Mend or replace the signer; every known one writes the field right.
    /// # Not this
    /// An unknown tag must be ignored and breaks nothing. A b= that is damaged is dkim-signature-corrupt.
    SIGNATURE_MALFORMED = "dkim-signature-malformed", Signature, Error, "the signature field breaks the grammar",
        seed [], see ["RFC 6376 §3.5", "RFC 6376 §6.1.1"];

    /// The signature does not cover the From field.
    ///
    /// # Why it fails
    /// A signature that leaves the author open proves nothing; h= must name From.
    /// # How it comes about
    /// The list of signed fields was set by hand and lacks it.
    /// # What to do
    /// Add `from` to the fields that the signer signs, or use its default list.
    /// # Not this
    /// A From field that was changed after signing breaks the signature in another way.
    FROM_NOT_SIGNED = "dkim-from-not-signed", Signature, Error, "the author is not signed",
        seed [], see ["RFC 6376 §5.4", "RFC 6376 §6.1.1"];

    /// The identity in i= lies outside the signing domain.
    ///
    /// # Why it fails
    /// A domain may speak for itself and for names below it, and i= claims another one.
    /// # How it comes about
    /// The signer puts the author's address into i= and its own domain into d=.
    /// # What to do
    /// Leave i= out, or set it to `@` and the domain of d= or a name below it.
    /// # Not this
    /// An i= below d= under a key record with t=s is refused by the record.
    IDENTITY_OUTSIDE_DOMAIN = "dkim-identity-outside-domain", Signature, Error, "i= is not within d=",
        seed [], see ["RFC 6376 §3.5", "RFC 6376 §6.1.1"];

    /// The signature uses an algorithm that no verifier accepts: rsa-sha1, or one that does not exist.
    ///
    /// # Why it fails
    /// RFC 8301 forbids rsa-sha1. Verifiers know rsa-sha256 and, many of them, ed25519-sha256.
    /// # How it comes about
    /// A signer from before 2018 with its default, or a value typed by hand.
    /// # What to do
    /// Set the signer to rsa-sha256.
    /// # Not this
    /// A known algorithm with a body hash of the wrong length is dkim-bh-length-mismatch.
    ALGORITHM_UNSUPPORTED = "dkim-algorithm-unsupported", Signature, Error, "the algorithm is not accepted",
        seed [], see ["RFC 8301 §3.1", "RFC 6376 §3.3"];

    /// b= or bh= was damaged: it is not base64, or b= has a length that no key gives.
    ///
    /// # Why it fails
    /// A signature has exactly the length of its key. What is cut or altered verifies under no key.
    /// # How it comes about
    /// A relay cut a long header line, refolded the field inside a tag, or replaced characters.
    /// # What to do
    /// Raise the limit for header lines at the relay, or let the signer fold the field into lines of less than 78
    /// characters.
    /// # Not this
    /// A signature of the right length by another key is dkim-key-mismatch, found where the key is compared.
    SIGNATURE_CORRUPT = "dkim-signature-corrupt", Signature, Error, "the signature value is damaged",
        seed [], see ["RFC 6376 §3.5", "RFC 8017 §8.2.2"];

    /// bh= has not the length of the hash that a= names.
    ///
    /// # Why it fails
    /// SHA-256 gives 32 octets, SHA-1 gave 20. A body hash of another length was made by another algorithm, or is cut.
    /// # How it comes about
    /// The signer computes one hash and names the other.
    /// # What to do
    /// Set the signer to rsa-sha256 for both hashes, or replace it.
    /// # Not this
    /// A bh= that is no base64 is dkim-signature-corrupt.
    BH_LENGTH_MISMATCH = "dkim-bh-length-mismatch", Signature, Error, "bh= has the wrong length for its algorithm",
        seed [], see ["RFC 6376 §3.5"];

    /// l= says that more of the body was signed than there is.
    ///
    /// # Why it fails
    /// The signed octets are not all there.
    /// # How it comes about
    /// The message was cut on its way, or the signer counted octets before canonicalization.
    /// # What to do
    /// Leave l= out, as nearly everybody does, and find the relay that cuts messages.
    /// # Not this
    /// A body that goes on after l= is dkim-body-length-appended.
    BODY_LENGTH_EXCEEDS = "dkim-body-length-exceeds", Body, Error, "l= is more than the body has",
        seed [], see ["RFC 6376 §3.5", "RFC 6376 §6.1.1"];

    /// The signed part of the body is intact, and unsigned text follows it.
    ///
    /// # Why it fails
    /// l= leaves the rest of the body open: anybody may append anything, and readers cannot see where the signed part
    /// ends. Such a signature does not count here, nor at many receivers.
    /// # How it comes about
    /// The signer uses l=, and a list or a filter appended a footer. Or somebody appended an advertisement.
    /// # What to do
    /// Leave l= out. Look at the appended text before trusting the message.
    /// # Not this
    /// A body that is shorter than l= is dkim-body-length-exceeds.
    BODY_LENGTH_APPENDED = "dkim-body-length-appended", Body, Error, "unsigned text follows the signed part of the body",
        seed [], see ["RFC 6376 §8.2"];

    /// The signature verifies under another canonicalization than the one it names.
    ///
    /// # Why it fails
    /// Verifiers prepare header and body as c= says. The signer prepared them otherwise.
    /// # How it comes about
    /// An error in the signer. A frequent one: `c=relaxed` alone means relaxed/simple, not relaxed/relaxed.
    /// # What to do
    /// Set c= to relaxed/relaxed and the signer to the same, or replace the signer.
    /// # Not this
    /// Blanks that were added to a message that is signed as simple are dkim-simple-fragile.
    CANONICALIZATION_MISLABELLED = "dkim-canonicalization-mislabelled", Signature, Error,
        "c= names another canonicalization than was used", seed [], see ["RFC 6376 §3.4", "RFC 6376 §3.5"];

    /// The message is signed as simple, and only blanks or folds were changed on its way.
    ///
    /// # Why it fails
    /// The simple canonicalization bears no change at all, and relays trim blanks and fold lines anew.
    /// # How it comes about
    /// c= was left at its default, which is simple/simple.
    /// # What to do
    /// Sign with c=relaxed/relaxed.
    /// # Not this
    /// A signer that says simple and does relaxed is dkim-canonicalization-mislabelled.
    SIMPLE_FRAGILE = "dkim-simple-fragile", Body, Error, "only blanks changed, which simple does not bear",
        seed [], see ["RFC 6376 §3.4"];

    /// bh= is the hash of an empty body, and the body is not empty.
    ///
    /// # Why it fails
    /// The signer signed before it had seen the body.
    /// # How it comes about
    /// A signing milter that did not ask for the body, or a program that signs the header and adds the body afterwards.
    /// # What to do
    /// Let the signer wait for the whole body.
    /// # Not this
    /// l=0 signs nothing of the body on purpose: dkim-body-length-appended.
    HASHED_EMPTY_BODY = "signer-hashed-empty-body", Body, Error, "the signer hashed an empty body",
        seed [], see ["RFC 6376 §3.4.4"];

    /// bh= is the hash of the body with bare line feeds.
    ///
    /// # Why it fails
    /// Mail travels with CR LF at the end of each line, and that is what verifiers hash.
    /// # How it comes about
    /// A program signs the text as it lies in a file on Unix, before it becomes mail.
    /// # What to do
    /// Turn every line end into CR LF before signing.
    /// # Not this
    /// Line ends that a relay changed after signing.
    HASHED_BARE_LF = "signer-hashed-bare-lf", Body, Error, "the signer hashed bare line feeds",
        seed [], see ["RFC 6376 §5.3"];

    /// bh= is the hash of the body with a second dot in front of each line that starts with one.
    ///
    /// # Why it fails
    /// SMTP doubles such dots for the transfer alone; they are no part of the message.
    /// # How it comes about
    /// The signer works on the text as it is sent, after the dots were doubled.
    /// # What to do
    /// Sign before the dots are doubled, or take them away for the hash.
    /// # Not this
    /// A relay that takes away a dot that is part of the text.
    HASHED_DOT_STUFFED = "signer-hashed-dot-stuffed", Body, Error, "the signer hashed doubled dots",
        seed [], see ["RFC 5321 §4.5.2"];

    /// The signature was made with a key that is known under another selector or domain.
    ///
    /// # Why it fails
    /// Verifiers use the key at the selector in the signature, and that is another one.
    /// # How it comes about
    /// The signer's table of keys pairs a selector with the key file of another one.
    /// # What to do
    /// Correct the table: each selector with its own key file.
    /// # Not this
    /// A key that nobody knows is dkim-key-mismatch. Where nothing is published under the selector at all, it is
    /// dkim-selector-mismatch.
    USED_WRONG_KEY = "signer-used-wrong-key", Match, Error, "the signer used the key of another selector",
        seed [], see ["RFC 6376 §6.1.3"];

    /// The message is signed twice under the same selector, and one of the two passes.
    ///
    /// # Why it fails
    /// The other one was made before something changed the message, as a rule by the same host.
    /// # How it comes about
    /// The message passes the signer twice: before and after a content filter.
    /// # What to do
    /// Sign only once, after everything that changes messages. The passing signature is enough.
    /// # Not this
    /// A mailing list that signs with its own domain is usual.
    DOUBLE_SIGNED = "dkim-double-signed", Signature, Warning, "signed twice under one selector, and one of the two passes",
        seed [], see ["RFC 6376 §4.2"];

    /// The message has more signatures than are judged.
    ///
    /// # Why it fails
    /// Each signature costs the verifier a question and a verification; beyond a number of its own it stops.
    /// # How it comes about
    /// Many hops that all sign, or an attempt to keep verifiers busy.
    /// # What to do
    /// Remove signatures that no longer verify where the message is changed.
    /// # Not this
    /// A limit on something else than signatures is verifier-size-limit.
    SIGNATURE_LIMIT = "dkim-signature-limit", Signature, Warning, "more signatures than are judged",
        seed [], see ["RFC 6376 §6.1"];

    /// This signature fails, and another one that aligns with From passes.
    ///
    /// # Why it fails
    /// It does no harm: one passing signature of the author's domain is enough.
    /// # How it comes about
    /// Several hops sign, and a later change broke one of their signatures.
    /// # What to do
    /// Nothing.
    /// # Not this
    /// Two signatures under the same selector are dkim-double-signed.
    PASSING_ELSEWHERE = "dkim-passing-signature-elsewhere", Signature, Note, "another signature passes and aligns",
        seed [], see ["RFC 6376 §6.1"];
}
