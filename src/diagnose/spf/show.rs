//! Records of strangers, shown: a line, and carets below what is meant.

use std::{fmt::Write, ops::Range};

/// Octets of a record shown before the place that is meant, and after it begins.
const BEFORE: usize = 60;
const AFTER: usize = 80;

/// The record around a place, with carets below it. What is not visible ASCII is shown as `\xNN`.
pub fn caret(record: &[u8], place: Range<usize>) -> String {
    let end = place.end.min(record.len());
    let start = place.start.min(end);
    let from = if start > BEFORE { start - BEFORE + 4 } else { 0 };
    let to = record.len().min(start + AFTER);
    let (mut line, mut marks) = (String::new(), String::new());
    if from > 0 {
        line.push_str("... ");
        marks.push_str("    ");
    }
    for (at, &byte) in record.iter().enumerate().take(to).skip(from) {
        let before = line.len();
        match byte {
            b' '..=b'~' => line.push(char::from(byte)),
            _ => write!(line, "\\x{byte:02x}").expect("writing to a String does not fail"),
        }
        let mark = if (start..end.max(start + 1)).contains(&at) { "^" } else { " " };
        marks.push_str(&mark.repeat(line.len() - before));
    }
    if to < record.len() {
        line.push_str(" ...");
    }
    if start >= record.len() {
        marks.push('^');
    }
    format!("{line}\n{}", marks.trim_end())
}

/// A text of a stranger in a sentence: at most 200 characters.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// `1 term`, `2 terms`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::caret;

    #[test]
    fn carets_stand_below_what_is_meant() {
        assert_eq!(caret(b"v=spf1 moo -all", 7..10), "v=spf1 moo -all\n       ^^^");
        assert_eq!(caret(b"v=spf1 \xe2\x80\x93all", 7..8), "v=spf1 \\xe2\\x80\\x93all\n       ^^^^");
        assert_eq!(caret(b"v=spf1 ip4:", 11..11), "v=spf1 ip4:\n           ^");
        let long = [&b"v=spf1"[..], &b" a:x.example".repeat(50)].concat();
        let shown = caret(&long, 307..318);
        let (line, marks) = shown.split_once('\n').expect("two lines");
        let place = marks.find('^').expect("a caret");
        assert_eq!(line.get(place..place + 11), Some("a:x.example"));
        assert!(line.starts_with("... ") && line.ends_with(" ...") && line.len() < 160);
    }
}
