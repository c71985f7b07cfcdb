//! Causes: what Postfix's own settings do to signatures, before they are made and after.

causes! {
    Postfix;

    /// A service of Postfix takes mail and asks no listener of Waxseal about it.
    ///
    /// # Why it fails
    /// Mail that comes in there leaves unsigned, or arrives without having been judged.
    /// # How it comes about
    /// smtpd_milters is empty, names another socket, or is emptied for the service in master.cf.
    /// # What to do
    /// Name the socket of the listener in smtpd_milters, and take an empty -o smtpd_milters= away from the service.
    /// # Not this
    /// Mail that does not come in by SMTP is postfix-local-mail-unsigned. A socket that is named and cannot be reached from
    /// the chroot is postfix-socket-outside-chroot.
    NOT_ATTACHED = "postfix-milter-missing", Local, Error, "a service takes mail without asking Waxseal", seed [], see [];

    /// The option no_milters turns off the milters of a service, or of all.
    ///
    /// # Why it fails
    /// With no_milters, smtpd_milters and non_smtpd_milters mean nothing there: mail passes unsigned and unjudged.
    /// # How it comes about
    /// Examples for content filters have it on the way back from the filter, which is where mail should be signed.
    /// # What to do
    /// Take no_milters out of receive_override_options; to have no milters at one service, empty its smtpd_milters instead.
    /// # Not this
    /// A service whose list of milters lacks Waxseal is postfix-milter-missing.
    MILTERS_SKIPPED = "postfix-milters-skipped", Local, Error, "milters are turned off by no_milters", seed [], see [];

    /// A process in the chroot looks for the socket below the queue directory, and it lies elsewhere.
    ///
    /// # Why it fails
    /// In the chroot the queue directory is the root of the file system, so Postfix finds no socket and every message waits
    /// (or passes unsigned, with milter_default_action = accept).
    /// # How it comes about
    /// master.cf has y in the column for the chroot, as on Debian, and main.cf names the socket by its full path.
    /// # What to do
    /// Let the socket lie below the queue directory and name it from there, as unix:waxseal/milter.sock; or use inet:.
    /// # Not this
    /// A socket that nobody names is postfix-milter-missing.
    SOCKET_OUTSIDE_CHROOT = "postfix-socket-outside-chroot", Local, Error, "the chroot hides the socket", seed [], see [];

    /// Mail is signed before a content filter, and once more when it comes back.
    ///
    /// # Why it fails
    /// What the filter changes breaks the first signature, and receivers see one that fails beside one that passes.
    /// # How it comes about
    /// The service that takes mail back from the filter inherits smtpd_milters of main.cf.
    /// # What to do
    /// Sign behind the filter alone: give the services before it an empty smtpd_milters, or one that only verifies.
    /// # Not this
    /// Signing before the filter and not behind it is postfix-signed-before-filter.
    SIGNED_TWICE = "postfix-signed-twice", Local, Warning, "mail is signed before and behind a content filter", seed [], see [];

    /// Mail is signed, and then handed to a content filter.
    ///
    /// # Why it fails
    /// A footer, a banner or a mark in the subject breaks the signature.
    /// # How it comes about
    /// content_filter and smtpd_milters stand at the same service, and the way back has no milter.
    /// # What to do
    /// Sign where mail comes back from the filter; conf/postfix/master.cf.content-filter.example has the lines.
    /// # Not this
    /// A filter between two signatures is postfix-signed-twice. A change that was seen in a message is body-footer-appended
    /// or one of its neighbours.
    SIGNED_BEFORE_FILTER = "postfix-signed-before-filter", Local, Warning, "a content filter comes after the signature", seed [], see [];

    /// Another milter stands behind Waxseal, or before it where it verifies.
    ///
    /// # Why it fails
    /// Milters are asked in their order: what a later one changes was signed as it was before.
    /// # How it comes about
    /// A spam filter was added at the end of smtpd_milters.
    /// # What to do
    /// Let Waxseal be the last of smtpd_milters and of non_smtpd_milters.
    /// # Not this
    /// A filter that is no milter is postfix-signed-before-filter.
    MILTER_ORDER = "postfix-milter-order", Local, Warning, "another milter comes after the signature", seed [], see [];

    /// Addresses are rewritten while mail is delivered, after it was signed.
    ///
    /// # Why it fails
    /// The generic maps change From, To and other fields that the signature covers, and d= may no longer align.
    /// # How it comes about
    /// smtp_generic_maps turns local addresses into valid ones, as in the examples for hosts without a domain.
    /// # What to do
    /// Rewrite before the milters: canonical_maps or sender_canonical_maps do the same at the right time.
    /// # Not this
    /// canonical_maps and masquerade_domains come before the signature and do no harm. A changed address that was seen in a
    /// message is header-address-rewritten.
    ADDRESS_REWRITTEN = "postfix-address-rewritten", Local, Error, "addresses are rewritten after the signature", seed [], see [];

    /// A check edits header fields or the body while mail is delivered, or edits what a milter adds.
    ///
    /// # Why it fails
    /// smtp_header_checks and smtp_body_checks come after the signature; milter_header_checks sees the fields that Waxseal
    /// adds, and can drop them.
    /// # How it comes about
    /// A rule that hides internal hosts or programs names a field that is signed.
    /// # What to do
    /// Move the rule to header_checks or body_checks, which come before the milters.
    /// # Not this
    /// Rules of header_checks are postfix-edited-before-verifying.
    EDITED_AFTER_SIGNING = "postfix-edited-after-signing", Local, Error, "a check edits mail after the signature", seed [], see [];

    /// A check edits signed fields of all mail before it is judged.
    ///
    /// # Why it fails
    /// header_checks also sees mail from outside: a field that its sender signed and that is changed here fails to verify.
    /// # How it comes about
    /// A rule for mail of our own users (hiding a program, marking a subject) is not limited to it.
    /// # What to do
    /// Put the rule where only mail of our users goes: a cleanup service of its own for submission.
    /// # Not this
    /// Rules that act on delivery are postfix-edited-after-signing.
    EDITED_BEFORE_VERIFYING = "postfix-edited-before-verifying", Local, Warning, "a check edits signed fields before they are verified", seed [], see [];

    /// A check removes or replaces Received fields.
    ///
    /// # Why it fails
    /// Signatures do not cover Received, but SPF behind a relay of ours is judged by it, and loops are found by it.
    /// # How it comes about
    /// A rule hides the addresses of users.
    /// # What to do
    /// Limit the rule to mail of authenticated users: a cleanup service of its own for submission.
    /// # Not this
    /// Rules on fields that are signed are postfix-edited-before-verifying.
    RECEIVED_REMOVED = "postfix-received-removed", Local, Note, "a check removes Received fields", seed [], see ["RFC 5321 §4.4"];

    /// Postfix adds fields that are missing to mail from outside, before it is judged.
    ///
    /// # Why it fails
    /// A signer that lists an absent field says that it shall stay absent: adding it breaks the signature.
    /// # How it comes about
    /// always_add_missing_headers = yes, for the sake of mail programs that leave out Date or Message-ID.
    /// # What to do
    /// Set it to no, and local_header_rewrite_clients=static:all at submission alone, where mail is still to be signed.
    /// # Not this
    /// An added field that was seen in a message is header-added-after-signing.
    FIELDS_ADDED = "postfix-fields-added", Local, Warning, "missing fields are added before mail is verified", seed [], see ["RFC 6376 §5.4"];

    /// Long lines are broken while mail is delivered, after it was signed.
    ///
    /// # Why it fails
    /// Postfix inserts CR LF and a blank after smtp_line_length_limit octets (998 by default), which changes the body.
    /// # How it comes about
    /// It is the default; mail from programs that write a document in one line has such lines.
    /// # What to do
    /// Set smtp_line_length_limit to 0 and have such programs write quoted-printable or base64.
    /// # Not this
    /// A broken line that was seen in a message is body-long-lines-wrapped.
    LINES_BROKEN = "postfix-lines-broken", Local, Warning, "lines over the limit are broken after the signature", seed [], see ["RFC 5321 §4.5.3.1.6"];

    /// 8-bit text is always rewritten for delivery, after it was signed.
    ///
    /// # Why it fails
    /// Where 8BITMIME is not used, Postfix turns 8-bit text into quoted-printable: another body than was signed.
    /// # How it comes about
    /// smtp_discard_ehlo_keywords names 8bitmime, so Postfix takes every receiver for one that cannot read it.
    /// # What to do
    /// Take 8bitmime out of smtp_discard_ehlo_keywords, or set disable_mime_output_conversion to yes.
    /// # Not this
    /// A conversion that was seen in a message is body-transfer-encoding-converted.
    MIME_CONVERTED = "postfix-mime-converted", Local, Error, "8-bit text is rewritten after the signature", seed [], see ["RFC 6376 §5.3"];

    /// Mail passes unsigned and unjudged while the milter does not answer.
    ///
    /// # Why it fails
    /// With milter_default_action = accept nobody notices that the milter is away, and a DMARC policy has the mail refused.
    /// # How it comes about
    /// Guides for OpenDKIM recommend it, so that a milter that died stops no mail.
    /// # What to do
    /// Set it to tempfail, the default: mail waits at its sender until the milter is back.
    /// # Not this
    /// A milter that is never asked is postfix-milter-missing.
    FAILS_OPEN = "postfix-milter-fails-open", Local, Warning, "mail passes when the milter is away", seed [], see [];

    /// Mail that does not come in by SMTP is not signed.
    ///
    /// # Why it fails
    /// sendmail(1), cron, forwards and Postfix's own notices never pass smtpd; non_smtpd_milters alone asks for them.
    /// # How it comes about
    /// Only smtpd_milters was set.
    /// # What to do
    /// Set non_smtpd_milters to $smtpd_milters.
    /// # Not this
    /// Bounces need one more line: postfix-bounces-unsigned.
    LOCAL_UNSIGNED = "postfix-local-mail-unsigned", Local, Warning, "mail of this host is not signed", seed [], see [];

    /// Bounces that Postfix writes are not signed.
    ///
    /// # Why it fails
    /// They have an empty envelope sender, so SPF says little for them; without DKIM they fail DMARC.
    /// # How it comes about
    /// internal_mail_filter_classes is empty by default, and Postfix asks no milter about mail of its own.
    /// # What to do
    /// Set internal_mail_filter_classes to bounce.
    /// # Not this
    /// All other mail of this host is postfix-local-mail-unsigned.
    BOUNCES_UNSIGNED = "postfix-bounces-unsigned", Local, Warning, "bounces are not signed", seed [], see [];

    /// The milter protocol is older than version 6.
    ///
    /// # Why it fails
    /// Values of fields lose their leading blank on the way, so that simple canonicalization can fail, and features by which
    /// a milter saves work are missing.
    /// # How it comes about
    /// An old main.cf, or a guide for Postfix 2.5, sets milter_protocol to 2.
    /// # What to do
    /// Set milter_protocol to 6, the default.
    /// # Not this
    /// A blank that was lost in a message is header-leading-space-lost.
    PROTOCOL_OLD = "postfix-milter-protocol-old", Local, Warning, "an old version of the milter protocol is set", seed [], see [];

    /// Mail with UTF-8 addresses is not taken.
    ///
    /// # Why it fails
    /// With smtputf8_enable = no, such mail is refused or, where it comes in without SMTPUTF8, forwarded in a form that its
    /// next relay may rewrite.
    /// # How it comes about
    /// It was turned off on a host whose next relay does not announce SMTPUTF8.
    /// # What to do
    /// Leave smtputf8_enable at yes, unless the next relay needs otherwise.
    /// # Not this
    /// 8-bit text in the body is postfix-mime-converted.
    SMTPUTF8_OFF = "postfix-smtputf8-off", Local, Note, "mail with UTF-8 addresses is not taken", seed [], see ["RFC 6531"];
}
