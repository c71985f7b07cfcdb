//! Causes: the signature's field and its signer.

causes! {
    Signer;
}
