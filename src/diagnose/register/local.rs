//! Causes: the verifier's own side, to be excluded before the sender is blamed.

causes! {
    VerifierLocal;
}
