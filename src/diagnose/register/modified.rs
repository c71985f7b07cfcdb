//! Causes: the body changed after it was signed, and who stands behind it.

causes! {
    MessageModified;

    /// Text was added at the end of the body, or at the end of a text part, after the message was signed; without it
    /// the body hash is the signed one.
    ///
    /// # Why it fails
    /// bh= is a hash of the whole body. One octet more, and it is another hash.
    /// # How it comes about
    /// A disclaimer filter, a virus scanner's notice, the footer of a mailing list, the advertising of a free mail
    /// service.
    /// # What to do
    /// Sign after the filter that adds the text: on the sending host the signer comes last. Where the receiving side
    /// adds it, verify before it is added.
    /// # Not this
    /// Text at the start is body-banner-inserted. A message wrapped in a new one with a footer beside it is
    /// body-mime-wrapped. Text behind l= is no change for that signature.
    FOOTER_APPENDED = "body-footer-appended", Body, Error, "text was added at the end of the body after signing",
        seed [], see ["RFC 6376 §3.7", "RFC 6376 §8.2"];

    /// Text was added at the start of the body or of a text part after the message was signed; without it the body hash
    /// is the signed one.
    ///
    /// # Why it fails
    /// bh= is a hash of the whole body, its start included.
    /// # How it comes about
    /// A gateway marks mail from outside ('This message came from outside of your organization'), usually on the
    /// receiving side, before DKIM is verified.
    /// # What to do
    /// Verify before the gateway that inserts the banner, or let it trust the results of the hop before. On the sending
    /// side, sign after it.
    /// # Not this
    /// Text at the end is body-footer-appended. A picture of one pixel is body-tracking-inserted.
    BANNER_INSERTED = "body-banner-inserted", Body, Error, "text was added at the start of the body after signing",
        seed [], see ["RFC 6376 §3.7"];

    /// The body that was signed is one part of the body that arrived: the message was wrapped in a new MIME structure.
    ///
    /// # Why it fails
    /// The delimiter lines and the part's own header are body now, and bh= was made without them. Content-Type changed
    /// with it, which breaks the header where h= names it.
    /// # How it comes about
    /// Mailman wraps a message to put its footer beside it; Exchange and some gateways wrap to add a disclaimer.
    /// # What to do
    /// Sign behind the gateway that wraps. For a mailing list the change is expected: rely on the list's own signature
    /// or on ARC.
    /// # Not this
    /// A part added to a multipart that was there is body-footer-appended.
    MIME_WRAPPED = "body-mime-wrapped", Body, Error, "the body was wrapped in a multipart after signing",
        seed [], see ["RFC 6376 §3.7", "RFC 6377 §3.3"];

    /// The same text arrived in another Content-Transfer-Encoding; converted back, the body hash is the signed one.
    ///
    /// # Why it fails
    /// DKIM signs the octets as they travel and not what they mean: quoted-printable and 8bit of one text have
    /// different hashes.
    /// # How it comes about
    /// A relay without 8BITMIME makes 8bit into quoted-printable, as Postfix does on delivery; a gateway decodes base64
    /// to look inside and encodes it anew.
    /// # What to do
    /// Sign mail that needs no conversion: let the sending program encode text beyond ASCII as quoted-printable or
    /// base64.
    /// # Not this
    /// Another charset is body-charset-converted. Broken lines alone are body-long-lines-wrapped.
    TRANSFER_ENCODING_CONVERTED = "body-transfer-encoding-converted", Body, Error, "the transfer encoding was converted after signing",
        seed [], see ["RFC 6376 §5.3", "RFC 6152"];

    /// Lines beyond the limit of SMTP were broken on the way; joined again, the body hash is the signed one.
    ///
    /// # Why it fails
    /// The line end that was put in is part of the body, and neither canonicalization takes it out.
    /// # How it comes about
    /// SMTP allows 998 octets in a line (RFC 5321 §4.5.3.1.6). Postfix breaks longer ones at smtp_line_length_limit
    /// with a line end and a space, on delivery and behind its milters.
    /// # What to do
    /// Encode such text before it is signed (quoted-printable or base64), or wrap it in the program that writes it.
    /// # Not this
    /// A header field that was folded within a word is header-long-folded.
    LONG_LINES_WRAPPED = "body-long-lines-wrapped", Body, Error, "long lines were broken after signing",
        seed [], see ["RFC 5321 §4.5.3.1.6", "RFC 6376 §5.3"];

    /// CR or LF that stood alone were changed, or line ends became such; changed back, the body hash is the signed one.
    ///
    /// # Why it fails
    /// Only CRLF ends a line for DKIM. A bare CR or LF is content and counts as it is.
    /// # How it comes about
    /// A script or a gateway that reads a message as text of its own system; a relay that repairs bare line ends behind
    /// the signer.
    /// # What to do
    /// Let the signer see the message as it will travel: Postfix repairs stray CR and LF before milters with
    /// cleanup_replace_stray_cr_lf.
    /// # Not this
    /// A signer that hashed LF everywhere made its mistake before sending.
    LINE_ENDINGS_CHANGED = "body-line-endings-changed", Body, Error, "line ends were changed after signing",
        seed [], see ["RFC 6376 §3.4", "RFC 5321 §2.3.8"];

    /// Lines that start with `From ` were written with a mark before them, as mbox files need it; without it the body
    /// hash is the signed one.
    ///
    /// # Why it fails
    /// The mark is one octet more in the body.
    /// # How it comes about
    /// The message went through an mbox file and back: a mailing list archive, a fetch program, a script. Some programs
    /// write =46rom instead.
    /// # What to do
    /// Take the mbox file out of the way, or store mail in maildirs.
    /// # Not this
    /// Dots at the start of a line are body-dot-changed.
    FROM_ESCAPED = "body-from-escaped", Body, Error, "lines that start with From were escaped after signing",
        seed [], see ["RFC 4155", "RFC 6376 §5.3"];

    /// Lines that start with a dot arrived with two; with one the body hash is the signed one.
    ///
    /// # Why it fails
    /// SMTP doubles a leading dot in transfer and takes it back on arrival (RFC 5321 §4.5.2). What stays doubled is
    /// another body.
    /// # How it comes about
    /// A relay, a proxy or a script that stuffs dots and leaves it to nobody to take them back.
    /// # What to do
    /// Repair that relay: it stands between the signer and the host that shows the doubled dots first.
    /// # Not this
    /// A signer that hashed the stuffed form made its mistake before sending.
    DOT_CHANGED = "body-dot-changed", Body, Error, "leading dots were doubled after signing",
        seed [], see ["RFC 5321 §4.5.2"];

    /// The body has an empty line at its start that was not signed, or lacks one that was.
    ///
    /// # Why it fails
    /// Empty lines at the end of a body do not count; those at its start do.
    /// # How it comes about
    /// A program that writes header and body by hand gets the line between them wrong.
    /// # What to do
    /// Repair the program: exactly one empty line stands between header and body.
    /// # Not this
    /// Text at the start is body-banner-inserted.
    LEADING_BLANK_LINE = "body-leading-blank-line", Body, Error, "an empty line at the start of the body was added or lost",
        seed [], see ["RFC 6376 §3.4.3"];

    /// Blanks at the ends of lines were added or lost, and the signature counts them because its body is signed as
    /// simple.
    ///
    /// # Why it fails
    /// c=simple takes the body nearly as it is; relaxed drops blanks at the ends of lines.
    /// # How it comes about
    /// Gateways, editors and copying by hand strip or add blanks at the ends of lines; the blank behind `--` goes
    /// first.
    /// # What to do
    /// Sign with c=relaxed/relaxed.
    /// # Not this
    /// With c=relaxed blanks at the ends of lines change nothing, and the cause is another.
    TRAILING_WHITESPACE = "body-trailing-whitespace", Body, Error, "blanks at the ends of lines were changed",
        seed [], see ["RFC 6376 §3.4.3", "RFC 6376 §3.4.4"];

    /// The same text arrived in another charset; converted back, the body hash is the signed one.
    ///
    /// # Why it fails
    /// Each charset has other octets for the same letters, and octets are what is hashed.
    /// # How it comes about
    /// A gateway that makes everything UTF-8, or ISO-2022-KR and EUC-KR out of it for old readers.
    /// # What to do
    /// Write mail as UTF-8 in the first place, and exempt signed mail from conversion.
    /// # Not this
    /// Another transfer encoding of the same octets is body-transfer-encoding-converted.
    CHARSET_CONVERTED = "body-charset-converted", Body, Error, "the charset of the text was converted after signing",
        seed [], see ["RFC 2045", "RFC 6376 §5.3"];

    /// Links were replaced by links through a filter that checks them when they are clicked.
    ///
    /// # Why it fails
    /// The text of a link is text of the body.
    /// # How it comes about
    /// Safe Links, URL Defense, Link Protect and their like, usually on the receiving side and before somebody verifies
    /// again.
    /// # What to do
    /// Verify before links are rewritten, and let hosts behind trust that result.
    /// # Not this
    /// Pictures and links for counting readers are body-tracking-inserted.
    URLS_REWRITTEN = "body-urls-rewritten", Body, Error, "links were rewritten after signing",
        seed [], see ["RFC 6376 §3.7"];

    /// A part of the body is a notice that an attachment was taken out. What was in its place is gone, so this cannot
    /// be proven.
    ///
    /// # Why it fails
    /// The part was signed and is not there.
    /// # How it comes about
    /// A virus scanner or a policy for file types, on either side.
    /// # What to do
    /// Verify before the filter. On the sending side, sign behind it.
    /// # Not this
    /// A body that ends too early is body-truncated.
    ATTACHMENT_REMOVED = "body-attachment-removed", Body, Error, "an attachment was taken out after signing",
        seed [], see ["RFC 6376 §3.7"];

    /// The body ends before its end: a multipart has no last delimiter line, or the last line has no end.
    ///
    /// # Why it fails
    /// What is missing was signed.
    /// # How it comes about
    /// A size limit, a connection lost during DATA by a program that delivers what it has, or copying by hand.
    /// # What to do
    /// Look for the hop that logs a smaller size than the one before it.
    /// # Not this
    /// With l= greater than the body, that is the finding.
    TRUNCATED = "body-truncated", Body, Error, "the end of the body is missing",
        seed [], see ["RFC 2046 §5.1"];

    /// A picture of one pixel was added to the HTML text after signing; without it the body hash is the signed one.
    ///
    /// # Why it fails
    /// The tag is text of the body.
    /// # How it comes about
    /// A sending service or a relay counts readers, behind the customer's own signature.
    /// # What to do
    /// Let the service sign, behind what it adds; or switch its counting off.
    /// # Not this
    /// Rewritten links are body-urls-rewritten.
    TRACKING_INSERTED = "body-tracking-inserted", Body, Error, "a tracking picture was added after signing",
        seed [], see ["RFC 6376 §3.7"];

    /// The body is not the one that was signed, and none of the changes that can be undone leads back to it.
    ///
    /// # Why it fails
    /// The body hash of the signature is of another body.
    /// # How it comes about
    /// A change that loses something (text that was taken out, wrapped anew, converted for good), or several at once.
    /// # What to do
    /// Compare the body with the sender's copy. The hosts between the signature and here are the ones to look at.
    /// # Not this
    /// Every other code of this family names a change that was proven or has a sign of its own.
    CHANGED_UNATTRIBUTED = "body-changed-unattributed", Body, Error, "the body changed after signing, it is not known how",
        seed [], see ["RFC 6376 §3.7"];

    /// A field that a content filter puts in stands above the signature, with no hop between them.
    ///
    /// # Why it fails
    /// Whatever the filter changes, the signature does not cover.
    /// # How it comes about
    /// The signing milter runs first, and mail is re-injected from content_filter behind it; or milters stand in the
    /// wrong order.
    /// # What to do
    /// Put the signer last: as the last of smtpd_milters, or on the listener behind content_filter, and not on both.
    /// # Not this
    /// A filter of a later host stands above a Received line of its own.
    SIGNING_BEFORE_MODIFIER = "signing-before-modifier", Body, Note, "a filter ran behind the signer on the same host",
        seed [], see ["RFC 6376 §5"];

    /// A mailing list put its fields in after the message was signed; lists change messages.
    ///
    /// # Why it fails
    /// Subject tags, footers and another author break the writer's signature.
    /// # How it comes about
    /// A list that tags or adds a footer, as most do by default.
    /// # What to do
    /// Expect it: rely on the list's own signature, or on ARC. A list that changes nothing keeps signatures alive.
    /// # Not this
    /// Newsletters sign their own list fields.
    MAILING_LIST_MODIFIED = "mailing-list-modified", Body, Note, "the message came through a mailing list",
        seed [], see ["RFC 6377"];

    /// The message has fields of a resender.
    ///
    /// # Why it fails
    /// A program that sends a message again may write it anew.
    /// # How it comes about
    /// Redirecting in a mail program, or a server rule that forwards.
    /// # What to do
    /// Nothing at the sender: who sends a message again should sign it again.
    /// # Not this
    /// Forwarding by the server without a change keeps DKIM and breaks SPF.
    RESENT = "resent-or-forwarded-inline", Body, Note, "the message was sent again by a recipient",
        seed [], see ["RFC 5322 §3.6.6"];
}
