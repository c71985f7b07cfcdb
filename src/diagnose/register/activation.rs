//! Causes: signing is not switched on.

causes! {
    Activation;
}
