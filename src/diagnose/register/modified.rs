//! Causes: the message changed after it was signed.

causes! {
    MessageModified;
}
