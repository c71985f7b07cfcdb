//! Causes: the key in the record.

causes! {
    Key;
}
