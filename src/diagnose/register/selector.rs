//! Causes: the wrong selector.

causes! {
    Selector;
}
