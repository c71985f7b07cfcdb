//! Causes: how many records stand at the name, and what the DNS panel made of their text.

causes! {
    DnsRecord;

    /// The key is spread over several TXT records, none of which is a key by itself.
    ///
    /// # Why it fails
    /// A name may have several TXT records, and DNS does not keep them in order. No verifier joins them (RFC 6376
    /// §3.6.2.2): OpenDKIM up to 2.11 and go-msgauth refuse more than one record, most others read the first, and none
    /// of the pieces is a key.
    /// # How it comes about
    /// A character-string of DNS holds 255 octets, and a 2048-bit key needs 408. Panels with a limit of 255, and advice to
    /// use "multiple TXT records", lead to one record for each piece.
    /// # What to do
    /// Delete the pieces. Publish one TXT record with two quoted strings: one record, two strings. Where the DNS splits
    /// long values by itself (NAVER Cloud Global DNS does), paste the value whole and without quotes.
    /// # Not this
    /// One record with two strings is right, and dig shows it on one line. Several records of which one is a whole key
    /// are dkim-multiple-key-records. One record that ends too early is dkim-key-truncated.
    KEY_SPLIT = "dkim-key-split-across-records", Shape, Error, "the key is split across several TXT records",
        seed [12..=12, 17..=17, 38..=38, 57..=63, 80..=95], see ["RFC 6376 §3.6.2.2"];

    /// Several key records stand at the selector, and at least one of them is a whole key.
    ///
    /// # Why it fails
    /// A selector has one record (RFC 6376 §3.6.2.2); with more, the result is undefined. DNS gives them in any order.
    /// OpenDKIM up to 2.11 and go-msgauth refuse them; OpenDKIM since 2026, dkimpy, Mail::DKIM, mailauth and Exim take
    /// the first; rspamd and Stalwart the first that can be read; KumoMTA tries each. So mail passes here and fails there,
    /// and may pass now and fail later.
    /// # How it comes about
    /// A key was changed by adding a record instead of replacing it, a piece of an earlier attempt stayed, or the record
    /// was entered a second time with quotes.
    /// # What to do
    /// Keep exactly the record whose key signs, and delete the others. For a new key use a new selector.
    /// # Not this
    /// Several regions of a provider have a selector each, with one record at each. Pieces without any whole key are
    /// dkim-key-split-across-records. A record that has nothing to do with DKIM is dkim-foreign-txt-at-selector.
    MULTIPLE_KEYS = "dkim-multiple-key-records", Shape, Error, "several key records stand at the selector",
        seed [17..=17, 57..=63, 80..=95], see ["RFC 6376 §3.6.2.2", "RFC 6376 §6.1.2"];

    /// A TXT record that has nothing to do with DKIM stands at the selector's name.
    ///
    /// # Why it fails
    /// Verifiers read whatever TXT record they find there. Alone, it is no key; beside the key, it is a second record, and
    /// those that take the first or refuse several fail.
    /// # How it comes about
    /// An SPF or DMARC record, or a proof of ownership, was entered in the wrong line of the panel.
    /// # What to do
    /// Move it to the name where it belongs, and leave only the key record here.
    /// # Not this
    /// A second key, or a piece of one, is dkim-multiple-key-records. The name of a host is dkim-record-type-mixed-up.
    FOREIGN_TXT = "dkim-foreign-txt-at-selector", Shape, Warning, "a TXT record that is no key stands at the selector",
        seed [], see ["RFC 6376 §3.6.2.2"];

    /// The quotes that belong to the notation of a zone file stand in the value itself.
    ///
    /// # Why it fails
    /// `"v=DKIM1` is no tag, and a quote is no character of base64: the record cannot be read.
    /// # How it comes about
    /// The value was pasted with its quotes into a panel that adds them by itself, often as `"..." "..."` for two strings.
    /// # What to do
    /// Enter the value without any quotes, or in the one way that the panel wants strings split.
    /// # Not this
    /// The quotes that dig and nslookup print are their own. Curved or other foreign quotes are txt-smart-quotes.
    LITERAL_QUOTES = "txt-literal-quotes", Syntax, Error, "quotes stand in the value of the record",
        seed [39..=39], see ["RFC 1035 §5.1"];

    /// Each semicolon in the value has a backslash before it.
    ///
    /// # Why it fails
    /// The backslash becomes part of the tag before it: `v=DKIM1\` is no version.
    /// # How it comes about
    /// In a zone file a semicolon begins a comment and is escaped; a panel needs no escape and keeps it.
    /// # What to do
    /// Enter the value without backslashes.
    /// # Not this
    /// Some tools print `\;` for a plain semicolon; what counts are the octets of the answer. A backslash at the end of
    /// a line is txt-trailing-backslash.
    ESCAPED_SEMICOLON = "txt-escaped-semicolon", Syntax, Error, "semicolons are escaped with backslashes",
        seed [], see ["RFC 1035 §5.1", "RFC 6376 §3.2"];

    /// The value, or one of its strings, ends in a backslash.
    ///
    /// # Why it fails
    /// A backslash is no character of base64, and of no version or key type.
    /// # How it comes about
    /// The value was copied from a shell command or a configuration file that continues lines with a backslash.
    /// # What to do
    /// Enter the value without it.
    /// # Not this
    /// Backslashes before semicolons are txt-escaped-semicolon.
    TRAILING_BACKSLASH = "txt-trailing-backslash", Syntax, Error, "a backslash stands at the end of the value",
        seed [], see ["RFC 6376 §3.2"];

    /// Line breaks, or the characters `\n`, stand in the value.
    ///
    /// # Why it fails
    /// A bare line break is no blank of a tag list, and `\n` is no base64. Where the break happens to be legal, some
    /// verifiers refuse it all the same.
    /// # How it comes about
    /// The key was pasted as the lines of its file, or a program wrote the escape instead of the line.
    /// # What to do
    /// Enter the value as one line.
    /// # Not this
    /// Blanks in the key are dkim-key-whitespace. Two strings of one record are no line break, whatever a panel shows.
    LITERAL_NEWLINE = "txt-literal-newline", Syntax, Error, "line breaks stand in the value",
        seed [], see ["RFC 6376 §3.2"];

    /// Blanks stand inside p=.
    ///
    /// # Why it fails
    /// RFC 6376 allows them, and most verifiers drop them; hMailServer and some others take them for damage.
    /// # How it comes about
    /// The key was pasted as several lines that the panel joined with blanks, or two strings have a blank between them.
    /// # What to do
    /// Enter the key without blanks.
    /// # Not this
    /// Line breaks are txt-literal-newline. Blanks around tags harm nobody.
    KEY_WHITESPACE = "dkim-key-whitespace", Syntax, Warning, "blanks stand inside the key",
        seed [], see ["RFC 6376 §3.6.1"];

    /// A semicolon between two tags is missing.
    ///
    /// # Why it fails
    /// Without it the second tag is part of the value of the first: `v=DKIM1 k=rsa` is a version that does not exist.
    /// # How it comes about
    /// The record was typed by hand, or a panel or template dropped the semicolon, or joined lines without one.
    /// # What to do
    /// Put a semicolon between the tags.
    /// # Not this
    /// A version that is wrong by itself is dkim-version-invalid. Text behind the key is txt-trailing-garbage.
    MISSING_SEMICOLON = "dkim-missing-semicolon", Syntax, Error, "a semicolon between tags is missing",
        seed [], see ["RFC 6376 §3.2"];

    /// v= is there and not DKIM1, or it is not the first tag.
    ///
    /// # Why it fails
    /// RFC 6376 §3.6.1: such a record must be discarded. Some verifiers are lenient, which hides it.
    /// # How it comes about
    /// The value was typed by hand: `v=dkim1`, `v=DKIM2`, or the tags were put in another order.
    /// # What to do
    /// Begin the record with `v=DKIM1;`.
    /// # Not this
    /// A record without v= is legal. Other text before v= is dkim-tag-prefix-garbage.
    VERSION_INVALID = "dkim-version-invalid", Syntax, Error, "the version of the key record is not DKIM1",
        seed [], see ["RFC 6376 §3.6.1"];

    /// Names of tags are in capitals.
    ///
    /// # Why it fails
    /// Names of tags are case-sensitive (RFC 6376 §3.2): `P=` is not p=, and a record without p= holds no key.
    /// # How it comes about
    /// A panel or a spreadsheet changed the case, or the record was typed by hand.
    /// # What to do
    /// Write the names in small letters.
    /// # Not this
    /// `v=dkim1` is dkim-version-invalid, `k=RSA` is dkim-key-type-unknown.
    TAG_CASE = "dkim-tag-case", Syntax, Error, "names of tags are in capitals",
        seed [], see ["RFC 6376 §3.2"];

    /// Something stands before the tags that does not belong there.
    ///
    /// # Why it fails
    /// It becomes part of the name of a tag: `_p=` is not p=, and `DKIM1;` is no tag at all.
    /// # How it comes about
    /// A word of the instructions, or a sign of the panel, was pasted with the value.
    /// # What to do
    /// Enter the value from `v=DKIM1` on.
    /// # Not this
    /// A whole line of a zone file is dkim-zone-line-in-value. A byte-order mark is txt-smart-quotes.
    TAG_PREFIX = "dkim-tag-prefix-garbage", Syntax, Error, "something else stands before the tags",
        seed [], see ["RFC 6376 §3.2"];

    /// A tag stands twice in one record.
    ///
    /// # Why it fails
    /// RFC 6376 §3.2: a tag list with a duplicate tag is invalid.
    /// # How it comes about
    /// The value was pasted twice into one field, or a new key was added to the record of the old one.
    /// # What to do
    /// Keep one of each; of two keys the one that signs.
    /// # Not this
    /// Two records are dkim-multiple-key-records. Text of another kind behind the key is txt-trailing-garbage.
    DUPLICATE_TAG = "dkim-duplicate-tag", Syntax, Error, "a tag stands twice in the record",
        seed [], see ["RFC 6376 §3.2"];

    /// The value holds a whole line of a zone file.
    ///
    /// # Why it fails
    /// `selector._domainkey IN TXT ( "v=DKIM1` is no tag: the record cannot be read.
    /// # How it comes about
    /// The file that opendkim-genkey writes is a zone line, and it was pasted whole into the value.
    /// # What to do
    /// Enter only the text between the quotes, joined.
    /// # Not this
    /// Quotes alone are txt-literal-quotes, another word before the tags is dkim-tag-prefix-garbage.
    ZONE_LINE = "dkim-zone-line-in-value", Syntax, Error, "a line of a zone file stands in the value",
        seed [], see ["RFC 1035 §5.1"];

    /// The frame of a PEM file stands in the value.
    ///
    /// # Why it fails
    /// `-----BEGIN PUBLIC KEY-----` is no base64.
    /// # How it comes about
    /// The file of the public key was pasted whole into p=.
    /// # What to do
    /// Enter only the base64 between the two lines, as one line.
    /// # Not this
    /// The frame of a private key is dkim-private-key-published.
    PEM_ARMOR = "dkim-pem-armor-in-key", Syntax, Error, "the frame of a PEM file stands in the key",
        seed [], see ["RFC 7468 §13", "RFC 6376 §3.6.1"];

    /// Characters that are not ASCII stand in the value: curved quotes, full-width signs, invisible ones.
    ///
    /// # Why it fails
    /// They look like the right ones and are others: `；` ends no tag, and nothing of this is base64.
    /// # How it comes about
    /// The value went through a word processor, a chat or a web page, or was typed with a Chinese, Japanese or Korean
    /// input method in full width.
    /// # What to do
    /// Enter the value again as plain ASCII text, from the console of the signer.
    /// # Not this
    /// Plain quotes are txt-literal-quotes.
    SMART_QUOTES = "txt-smart-quotes", Syntax, Error, "characters that are not ASCII stand in the value",
        seed [], see ["RFC 6376 §3.2"];

    /// Something that does not belong to the key follows it.
    ///
    /// # Why it fails
    /// It is read as part of the key, or as a tag that is none.
    /// # How it comes about
    /// An SPF record, a token or a comment was pasted into the same value.
    /// # What to do
    /// Publish it as a record of its own where it belongs, and leave the key record alone.
    /// # Not this
    /// Unknown tags after a semicolon are legal and ignored. A tag that stands twice is dkim-duplicate-tag.
    TRAILING_GARBAGE = "txt-trailing-garbage", Syntax, Error, "something else follows the key",
        seed [], see ["RFC 6376 §3.2"];

    /// The record holds the placeholder of its instructions instead of a key.
    ///
    /// # Why it fails
    /// There is no key in it.
    /// # How it comes about
    /// An example was published as it stands in a guide.
    /// # What to do
    /// Enter the value that the console of the signer gives.
    /// # Not this
    /// A key that ends too early is dkim-key-truncated, an empty one is dkim-key-revoked.
    PLACEHOLDER = "dkim-placeholder-value", Syntax, Error, "the key is a placeholder",
        seed [], see ["RFC 6376 §3.6.1"];

    /// The strings of the record stand in the wrong order.
    ///
    /// # Why it fails
    /// The strings of one record are joined as they come. In another order they are another key, or none.
    /// # How it comes about
    /// They were entered in the wrong fields of a panel, or a program sorted them.
    /// # What to do
    /// Put the string that begins with `v=DKIM1` first, and the rest as the signer gives it.
    /// # Not this
    /// Several records have no order at all: dkim-key-split-across-records.
    STRINGS_ORDER = "dkim-strings-out-of-order", Syntax, Error, "the strings of the record are in the wrong order",
        seed [], see ["RFC 6376 §3.6.2.2"];

    /// A piece of the key is missing in its middle, or stands there twice.
    ///
    /// # Why it fails
    /// The key is longer or shorter than it says: it cannot be read, or is another one.
    /// # How it comes about
    /// The value was split by hand and pasted piece by piece; one piece was left out, or two overlap.
    /// # What to do
    /// Enter the whole value again.
    /// # Not this
    /// A missing end is dkim-key-truncated. Pieces in the wrong order are dkim-strings-out-of-order.
    STRINGS_MISSING = "dkim-strings-missing-or-repeated", Syntax, Error, "a piece of the key is missing or repeated",
        seed [], see ["RFC 6376 §3.6.2.2"];
}
