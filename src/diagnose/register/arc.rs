//! Causes: the chain of seals.

causes! {
    Arc;
}
