//! What strangers wrote, on a page: markup is escaped by `maud`, what would reorder or hide text is made visible here.

use crate::event::bound::is_unsafe;
use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};

/// The most characters of one value that are shown; a Message-ID may have a thousand.
const MOST: usize = 300;
/// The most of a name or a word: enough for every domain that people know.
const BRIEF: usize = 60;

/// A value that a stranger may have written: bounded, its direction kept to itself, control characters visible.
pub(super) fn shown(text: &str) -> Markup {
    at_most(text, MOST)
}

/// The same for what is a name or a word, unless somebody is up to something.
pub(super) fn brief(text: &str) -> Markup {
    at_most(text, BRIEF)
}

fn at_most(text: &str, most: usize) -> Markup {
    let (mut parts, mut plain) = (Vec::new(), String::new());
    let cut = text.char_indices().nth(most).map(|(at, _)| at);
    for c in text[..cut.unwrap_or(text.len())].chars() {
        if is_unsafe(c) {
            parts.push((std::mem::take(&mut plain), format!("\\u{{{:x}}}", u32::from(c))));
        } else {
            plain.push(c);
        }
    }
    html! {
        bdi {
            @for (before, hidden) in &parts { (before) span.hidden { (hidden) } }
            (plain)
            @if cut.is_some() { span.hidden title="cut" { "…" } }
        }
    }
}

/// A whole page in which nothing is left that a reader cannot see, wherever it came from.
pub(super) fn swept(page: String) -> String {
    let hides = |c: char| is_unsafe(c) && c != '\n';
    if page.contains(hides) { page.replace(hides, "\u{fffd}") } else { page }
}

/// A point in time, for people and for programs.
pub(super) fn time(millis: i64, form: &str) -> Markup {
    let stamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    html! { time datetime=(stamp.strftime("%Y-%m-%dT%H:%M:%SZ")) { (local(stamp, form)) } }
}

/// The same without markup, for a label.
pub(super) fn plain_time(millis: i64, form: &str) -> String {
    local(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH), form)
}

fn local(stamp: Timestamp, form: &str) -> String {
    stamp.to_zoned(TimeZone::system()).strftime(form).to_string()
}

/// A number with its thousands apart: `12 345`, with a narrow blank that does not break.
pub(super) fn number(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut out = String::from(if count < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// One of it, or many.
pub(super) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// A sentence of what is written as a clause.
pub(super) fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_hides_or_runs_gets_onto_a_page() {
        let page = shown("a<script>\u{202e}\u{1b}[2J\r\nb&\"c").into_string();
        assert_eq!(
            page,
            "<bdi>a&lt;script&gt;<span class=\"hidden\">\\u{202e}</span><span class=\"hidden\">\\u{1b}</span>[2J\
             <span class=\"hidden\">\\u{d}</span><span class=\"hidden\">\\u{a}</span>b&amp;&quot;c</bdi>"
        );
        let long = shown(&"ü".repeat(100_000)).into_string();
        assert!(long.len() < 700 && long.contains('…'), "{long}");
        assert_eq!(swept("a\n\u{202e}b".into()), "a\n\u{fffd}b");
        assert_eq!(
            (number(1_234_567), number(999), number(-1000)),
            ("1\u{202f}234\u{202f}567".into(), "999".into(), "-1\u{202f}000".into())
        );
    }
}
