//! The register of causes: every code, once, with its page.
//!
//! The comment above a cause is its page: `waxseal explain`, `docs/causes/` and the README's table are made from it. Its
//! first line is the fact; the headings are fixed and tested. Codes are never reused and never renamed. Order in a file is
//! order in the docs; the order of blame among causes is their [`Stage`].

#[macro_use]
mod form;
pub mod activation;
pub mod arc;
pub mod changed;
pub mod clock;
pub mod delegation;
pub mod dns;
pub mod dns_record;
pub mod key;
pub mod local;
pub mod modified;
pub mod modified_header;
pub mod place;
pub mod policy;
pub mod propagation;
pub mod selector;
pub mod signer;
pub mod spf;

pub use form::{Cause, Family, Page, SEED_TITLE, SEED_URL, SeedSection, Stage};

/// Every cause, family by family.
pub fn all() -> impl Iterator<Item = &'static Cause> {
    [
        place::ALL,
        dns_record::ALL,
        selector::ALL,
        key::ALL,
        activation::ALL,
        changed::ALL,
        propagation::ALL,
        dns::ALL,
        delegation::ALL,
        signer::ALL,
        clock::ALL,
        modified::ALL,
        modified_header::ALL,
        spf::ALL,
        policy::ALL,
        arc::ALL,
        local::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The cause of this code.
pub fn find(code: &str) -> Option<&'static Cause> {
    all().find(|cause| cause.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_in_form() {
        let mut seen = HashSet::new();
        for cause in all() {
            assert!(seen.insert(cause.code), "{} stands twice", cause.code);
            assert!(
                cause.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                cause.code
            );
        }
    }

    #[test]
    fn pages_are_whole() {
        for cause in all() {
            let page = cause.page();
            for (heading, text) in [
                ("the first line", &page.fact),
                ("Why it fails", &page.why),
                ("How it comes about", &page.how),
                ("What to do", &page.fix),
                ("Not this", &page.not_this),
            ] {
                assert!(!text.is_empty(), "{} has nothing under {heading}", cause.code);
            }
            let first = cause.title.chars().next().expect("a title");
            assert!(!cause.title.ends_with('.'), "{}: the title ends with a full stop", cause.code);
            assert!(
                !first.is_uppercase()
                    || cause.title.starts_with(|c: char| c.is_uppercase())
                        && cause
                            .title
                            .split(' ')
                            .next()
                            .is_some_and(|word| word.chars().skip(1).all(|c| !c.is_lowercase())),
                "{}: the title starts with a capital",
                cause.code
            );
        }
    }

    #[test]
    fn neighbours_named_exist() {
        for cause in all() {
            for word in cause.page().not_this.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                let prefixed =
                    ["dkim-", "spf-", "dns-", "txt-", "dmarc-", "arc-", "body-", "header-", "provider-", "signer-"]
                        .iter()
                        .any(|prefix| word.starts_with(prefix));
                assert!(!prefixed || find(word).is_some(), "{}: no cause is called {word}", cause.code);
            }
        }
    }
}
