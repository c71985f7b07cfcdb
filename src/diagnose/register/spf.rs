//! Causes: SPF.

causes! {
    Spf;
}
