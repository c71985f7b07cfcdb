//! Causes: changes of DNS on their way.

causes! {
    Propagation;
}
