//! What a cause is called, why it fails and what to do: stored events name causes, and the register has their texts.

use crate::diagnose::register;

/// What the register says about a cause, for the other operator.
pub struct Told {
    /// One line.
    pub title: String,
    /// Why it fails.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// Looks a cause up; `None` where the register does not know it, as one of a later version.
pub fn look_up(cause: &str) -> Option<Told> {
    let cause = register::find(cause)?;
    let page = cause.page();
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Told { title: cause.title.to_owned(), why: plain(&page.why), fix: plain(&page.fix) })
}
