//! Causes: DNS itself.

causes! {
    Dns;
}
