//! Causes: alignment and policy.

causes! {
    Policy;
}
