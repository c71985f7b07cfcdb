//! Causes: times and clocks.

causes! {
    Clock;
}
