//! Causes: a signed header field changed after it was signed.

causes! {
    MessageModified;

    /// A signed field has another space behind its colon than when it was signed, and c=simple counts it.
    ///
    /// # Why it fails
    /// c=simple takes a field as it is.
    /// # How it comes about
    /// A milter that did not negotiate SMFIP_HDR_LEADSPC sees fields without it, as signer or as verifier; a filter
    /// that writes fields anew.
    /// # What to do
    /// Let milters negotiate it, as Waxseal does; sign with c=relaxed.
    /// # Not this
    /// Other blanks and folds are header-refolded.
    LEADING_SPACE_LOST = "header-leading-space-lost", Header, Error, "the space behind the colon of a field was lost or added",
        seed [], see ["RFC 6376 §3.4.1"];

    /// Words were put into the subject after signing; without them the signature fits.
    ///
    /// # Why it fails
    /// Subject is signed by nearly everybody, and every character of it counts.
    /// # How it comes about
    /// A mailing list's name in brackets, a spam filter's mark, [EXTERNAL], (광고).
    /// # What to do
    /// Put the tag into a field of its own; or tag before signing.
    /// # Not this
    /// The same text in another encoding is header-subject-reencoded.
    SUBJECT_TAGGED = "header-subject-tagged", Header, Error, "a tag was put into the subject after signing",
        seed [], see ["RFC 6376 §5.4", "RFC 6377 §3.3"];

    /// The subject says the same in other encoded-words; in the form that was signed, the signature fits.
    ///
    /// # Why it fails
    /// The octets of encoded-words are signed and not what they say.
    /// # How it comes about
    /// A gateway or a script reads the message and writes it with its own encoder: base64 for Q, one word for two.
    /// # What to do
    /// Sign behind the relay that writes fields anew.
    /// # Not this
    /// Raw UTF-8 that was encoded is header-raw-8bit-encoded.
    SUBJECT_REENCODED = "header-subject-reencoded", Header, Error, "the subject was encoded in another way after signing",
        seed [], see ["RFC 2047", "RFC 6376 §5.3"];

    /// From names another author than the one that was signed.
    ///
    /// # Why it fails
    /// From is always signed.
    /// # How it comes about
    /// A mailing list writes its own address there ('via list') so that DMARC of the writer does not hit it.
    /// # What to do
    /// Nothing at the sender: the list signs for itself.
    /// # Not this
    /// The same author in another form is header-address-rewritten.
    FROM_REWRITTEN = "header-from-rewritten", Header, Error, "the author was rewritten after signing",
        seed [], see ["RFC 6377 §4", "RFC 7960 §4.1"];

    /// An address field was written in another form: quotes, brackets, comments, an appended domain.
    ///
    /// # Why it fails
    /// The form counts and not the address alone.
    /// # How it comes about
    /// A relay that completes addresses with its own domain, masquerades hosts, or writes display names with quotes.
    /// # What to do
    /// Rewrite before signing: in Postfix canonical_maps act before milters and smtp_generic_maps behind them.
    /// # Not this
    /// Another author altogether is header-from-rewritten.
    ADDRESS_REWRITTEN = "header-address-rewritten", Header, Error, "addresses were rewritten after signing",
        seed [], see ["RFC 5322 §3.4", "RFC 6376 §5.4"];

    /// h= names a field that was not there when the message was signed; without it the signature fits.
    ///
    /// # Why it fails
    /// A name in h= without a field signs that there is none (RFC 6376 §5.4.2). A field added later breaks that.
    /// # How it comes about
    /// The signer lists Message-ID, Date or Sender for every message, and a relay adds the one that is missing. Or
    /// somebody put a second From before readers' eyes.
    /// # What to do
    /// Let the sending program write these fields, or let the signing host add them before it signs.
    /// # Not this
    /// Another of several fields taken is header-duplicated.
    ADDED_AFTER_SIGNING = "header-added-after-signing", Header, Error, "a field was added after signing that h= names",
        seed [], see ["RFC 6376 §5.4.2"];

    /// Message-ID is signed, and the one that arrived is of a relay. The first one is gone, so this cannot be proven
    /// without a copy.
    ///
    /// # Why it fails
    /// Message-ID is in h=, and its value counts.
    /// # How it comes about
    /// Some sending services write their own Message-ID and say that it must not be signed.
    /// # What to do
    /// Leave it out of h= where such a service is on the way, or let the service sign.
    /// # Not this
    /// One that was not there is header-added-after-signing.
    MESSAGE_ID_REPLACED = "header-message-id-replaced", Header, Error, "the Message-ID was replaced after signing",
        seed [], see ["RFC 6376 §5.4.1"];

    /// A date field says the same moment in another form: GMT for +0000, a comment, another zone.
    ///
    /// # Why it fails
    /// The form counts and not the moment.
    /// # How it comes about
    /// A relay or a mail program that reads dates and writes them anew.
    /// # What to do
    /// Sign behind the relay that rewrites, or leave the field out of h=.
    /// # Not this
    /// A date that was not there is header-added-after-signing.
    DATE_REWRITTEN = "header-date-rewritten", Header, Error, "a date was written in another way after signing",
        seed [], see ["RFC 5322 §3.3"];

    /// Content-Type, Content-Transfer-Encoding or MIME-Version was written in another way.
    ///
    /// # Why it fails
    /// They are signed like any field that h= names.
    /// # How it comes about
    /// A gateway that converts the body writes these fields too; others only change quotes or the charset's name.
    /// # What to do
    /// Sign behind the gateway.
    /// # Not this
    /// What became of the body is said by a code of its own, body-transfer-encoding-converted for one.
    MIME_REWRITTEN = "header-mime-rewritten", Header, Error, "a MIME field was rewritten after signing",
        seed [], see ["RFC 2045", "RFC 6376 §5.4"];

    /// Fields were folded or spaced in another way, and the signature counts that.
    ///
    /// # Why it fails
    /// c=simple counts folds, blanks and the case of names; even relaxed counts a blank that a fold put into a word.
    /// # How it comes about
    /// Many programs fold fields anew when they write a message.
    /// # What to do
    /// Sign with c=relaxed/relaxed.
    /// # Not this
    /// A fold within a word because of its length is header-long-folded.
    REFOLDED = "header-refolded", Header, Error, "fields were folded or spaced in another way",
        seed [], see ["RFC 6376 §3.4.1", "RFC 6376 §3.4.2"];

    /// A line of a field was broken within a word on the way; joined again, the signature fits.
    ///
    /// # Why it fails
    /// relaxed makes a fold into one space. Where there was none, it is one space too many.
    /// # How it comes about
    /// A line of a field beyond 998 octets, References or To with many items, is broken by the next relay.
    /// # What to do
    /// Fold long fields before signing.
    /// # Not this
    /// Long lines of the body are body-long-lines-wrapped.
    LONG_FOLDED = "header-long-folded", Header, Error, "a long field was folded within a word",
        seed [], see ["RFC 5322 §2.1.1"];

    /// A field stands more than once, and the signature fits another one than the verifier must take.
    ///
    /// # Why it fails
    /// Of several fields of one name the lowest counts first (RFC 6376 §5.4.2).
    /// # How it comes about
    /// A relay adds a second one below, or the signer counted from the top. An attacker adds one for readers to see.
    /// # What to do
    /// Sign every name once more than it occurs; count from the bottom.
    /// # Not this
    /// The same fields in another order are header-reordered.
    DUPLICATED = "header-duplicated", Header, Error, "another field of the same name was signed",
        seed [], see ["RFC 6376 §5.4.2", "RFC 6376 §8.15"];

    /// Fields of one name are in another order than when they were signed.
    ///
    /// # Why it fails
    /// Their order counts.
    /// # How it comes about
    /// A program that sorts fields or takes them from the top when it signs.
    /// # What to do
    /// Let the signer count from the bottom, and no relay sort fields.
    /// # Not this
    /// One field too many is header-duplicated.
    REORDERED = "header-reordered", Header, Error, "fields of the same name are in another order",
        seed [], see ["RFC 6376 §5.4.2"];

    /// A field that was signed is not there.
    ///
    /// # Why it fails
    /// h= names it, and its value is missing in the hash.
    /// # How it comes about
    /// A relay takes out Bcc, Sender or fields of its own.
    /// # What to do
    /// Leave the field out of h=, or let the relay keep it.
    /// # Not this
    /// A name in h= without a field is no fault in itself: signers list what must not be added.
    REMOVED = "header-removed", Header, Error, "a signed field was removed",
        seed [], see ["RFC 6376 §5.4.2"];

    /// A field held raw UTF-8 when it was signed and arrived encoded.
    ///
    /// # Why it fails
    /// Encoded-words are other octets.
    /// # How it comes about
    /// A relay makes mail fit for hosts without SMTPUTF8, or a filter repairs raw octets.
    /// # What to do
    /// Let the sending program encode fields before signing.
    /// # Not this
    /// One encoding for another is header-subject-reencoded.
    RAW_8BIT_ENCODED = "header-raw-8bit-encoded", Header, Error, "raw UTF-8 in a field was encoded after signing",
        seed [], see ["RFC 6532", "RFC 2047"];

    /// The key made this signature over other fields than those that arrived, and none of the changes that can be
    /// undone leads back to them.
    ///
    /// # Why it fails
    /// The digest inside the signature is of other fields.
    /// # How it comes about
    /// A value that was replaced, or several changes at once.
    /// # What to do
    /// Send a test message with z= (copies of the fields) in the signature, and compare.
    /// # Not this
    /// Another key would not open the signature at all.
    UNATTRIBUTED = "header-changed-unattributed", Header, Error, "a signed field changed after signing, it is not known how",
        seed [], see ["RFC 6376 §3.7"];
}
