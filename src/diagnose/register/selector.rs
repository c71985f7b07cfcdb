//! Causes: the selector is not that of the sender's environment and region.

causes! {
    Selector;

    /// The message is signed under one selector of the provider, and the key is published under another one.
    ///
    /// # Why it fails
    /// Each environment and region of the provider signs under a selector of its own. Verifiers ask for the one in the
    /// signature alone.
    /// # How it comes about
    /// The record was made for another region or environment than the one that sends, or under the selector that the
    /// provider gave out in former times.
    /// # What to do
    /// Publish the value that the console of the sending region shows, at the host of that region's selector. Keep the
    /// other record only if that region sends too.
    /// # Not this
    /// Records for several regions side by side are right. A selector under which nothing is published, nor under its
    /// siblings, is dkim-record-not-found.
    SELECTOR_MISMATCH = "dkim-selector-mismatch", Shape, Error, "the key is published under another selector",
        seed [13..=14, 25..=25, 42..=50], see ["RFC 6376 §3.1"];
}
