//! The causes of failure: the list, and each at length, from the register.

use super::{text::sentence, whole};
use crate::diagnose::register::{self, Cause, Family, SEED_TITLE, SEED_URL};
use maud::{Markup, html};

/// Every cause, family by family.
pub(in crate::http) fn list(host: &str) -> String {
    let mut families: Vec<(Family, Vec<&Cause>)> = Vec::new();
    for cause in register::all() {
        match families.iter_mut().find(|(family, _)| *family == cause.family) {
            Some((_, causes)) => causes.push(cause),
            None => families.push((cause.family, vec![cause])),
        }
    }
    let contents = html! {
        div.intro { h1 { "Why mail fails" } p { "Every cause that Waxseal can name, with its page." } }
        @for (family, causes) in &families {
            section.panel aria-labelledby=(family.as_str()) {
                h2 id=(family.as_str()) { (name(*family)) }
                ul.plain.register {
                    @for cause in causes { li { (link(cause.code)) " " span.soft { (cause.title) } } }
                }
            }
        }
    };
    whole("Causes · Waxseal", host, &contents)
}

/// One cause at length.
pub(in crate::http) fn cause(host: &str, cause: &Cause) -> String {
    let page = cause.page();
    let contents = html! {
        article.cause {
            div.intro {
                p.crumbs { a href="/causes" { "Causes" } " / " (name(cause.family)) }
                h1 { (sentence(cause.title)) }
                p { code { (cause.code) } " " span.badge.(severity(cause)) { (cause.severity.as_str()) } }
            }
            div.panel {
                p.fact { (prose(&page.fact)) }
                @for (heading, text) in [
                    ("Why it fails", &page.why),
                    ("How it comes about", &page.how),
                    ("What to do", &page.fix),
                    ("Not this", &page.not_this),
                ] {
                    h2 { (heading) }
                    p { (prose(text)) }
                }
                @if cause.seed_section().is_some() || !cause.see.is_empty() {
                    h2 { "Documented" }
                    ul {
                        @if let Some(section) = cause.seed_section() {
                            li { a href=(SEED_URL) rel="noreferrer" { (SEED_TITLE) } ", " (section.title) }
                        }
                        @for see in cause.see { li { (see) } }
                    }
                }
            }
        }
    };
    whole(&format!("{} · Waxseal", cause.code), host, &contents)
}

/// A link to the page of a cause, where the register has it; a later version may have stored others.
pub(super) fn link(code: &str) -> Markup {
    match register::find(code) {
        Some(cause) => html! { a.code href=(format!("/causes/{}", cause.code)) { (cause.code) } },
        None => html! { code { (super::text::brief(code)) } },
    }
}

/// Text of the register: what stands in backquotes is code, and a code of the register is a link.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (linked(part)) }
        }
    }
}

fn linked(text: &str) -> Markup {
    let is_code =
        |word: &&str| word.contains('-') && register::find(word.trim_end_matches(['.', ',', ';', ':'])).is_some();
    html! {
        @for (at, word) in text.split(' ').enumerate() {
            @if at > 0 { " " }
            @if is_code(&word) {
                @let code = word.trim_end_matches(['.', ',', ';', ':']);
                (link(code)) (word[code.len()..])
            } @else { (word) }
        }
    }
}

/// What a family is about, for people.
fn name(family: Family) -> &'static str {
    match family {
        Family::DnsRecord => "The record in DNS",
        Family::Selector => "The selector",
        Family::Key => "The key",
        Family::Activation => "Activation",
        Family::Propagation => "Propagation",
        Family::Dns => "DNS itself",
        Family::Signer => "The signer",
        Family::Clock => "Time",
        Family::MessageModified => "A message that was changed",
        Family::Spf => "SPF",
        Family::Policy => "Policy and alignment",
        Family::Arc => "ARC",
        Family::VerifierLocal => "Here, where it is verified",
        Family::Postfix => "Postfix",
    }
}

fn severity(cause: &Cause) -> &'static str {
    match cause.severity.as_str() {
        "error" => "bad",
        "warning" => "wait",
        _ => "unknown",
    }
}
