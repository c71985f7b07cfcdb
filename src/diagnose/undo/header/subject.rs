//! Subjects: tags before and behind, and other encodings.

use super::{Edit, Signed, unfolded, words};
use crate::{diagnose::register::modified_header as causes, message::Field};

/// Tags that are taken off one behind the other.
const MAX_TAGS: usize = 3;
/// Words at either end that are taken off whatever they are.
const MAX_WORDS: usize = 5;
/// A longer text is not cut into words of every length.
const MAX_TEXT: usize = 600;
const TAGGED: &str = "a tag was put into the subject after signing";

/// Guesses about a subject.
pub fn edits(signed: &Signed<'_>, at: usize, field: Field<'_>) -> Vec<Edit> {
    let raw = String::from_utf8_lossy(field.value());
    let text = raw.trim_start_matches([' ', '\t', '\r', '\n']);
    let mut edits = Vec::new();
    for (form, rank) in untagged(text) {
        edits.push(signed.value(at, field, format!(" {form}").as_bytes(), &causes::SUBJECT_TAGGED, TAGGED, rank));
    }
    // Invalid UTF-8 was decoded with replacement, and cannot be put back.
    let flat = unfolded(field.value());
    if raw.contains('\u{fffd}') || !flat.contains("=?") && flat.is_ascii() {
        return edits;
    }
    let (decoded, charset) = words::decoded(&flat);
    let was_encoded = flat != decoded;
    if was_encoded {
        let (cause, claim) = match decoded.is_ascii() {
            true => (&causes::SUBJECT_REENCODED, "the subject, plain when it was signed, was encoded"),
            false => (&causes::RAW_8BIT_ENCODED, "the subject, raw UTF-8 when it was signed, was encoded"),
        };
        edits.push(signed.value(at, field, format!(" {decoded}").as_bytes(), cause, claim, 8));
    }
    for form in words::encoded(&decoded, charset.as_deref(), "Subject".len()) {
        let claim = if was_encoded {
            "the subject was encoded in another way after signing"
        } else {
            "the subject, encoded when it was signed, was decoded"
        };
        edits.push(signed.value(at, field, format!(" {form}").as_bytes(), &causes::SUBJECT_REENCODED, claim, 9));
    }
    // A tag put into the decoded text, and all of it encoded again: one change, in two steps.
    for (form, _) in untagged(&decoded).into_iter().take(4) {
        edits.push(signed.value(at, field, format!(" {form}").as_bytes(), &causes::SUBJECT_TAGGED, TAGGED, 9));
        for encoded in words::encoded(&form, charset.as_deref(), "Subject".len()).into_iter().take(20) {
            edits.push(signed.value(at, field, format!(" {encoded}").as_bytes(), &causes::SUBJECT_TAGGED, TAGGED, 11));
        }
    }
    edits
}

/// What the subject may have been where it was cut into encoded-words in a way of its own, the likeliest first; `true` for one
/// without a tag that it has now.
pub fn rewritten(field: Field<'_>) -> impl Iterator<Item = (String, bool)> {
    let flat = unfolded(field.value());
    let readable = !String::from_utf8_lossy(field.value()).contains('\u{fffd}');
    let (decoded, charset) = words::decoded(&flat);
    let tagged = untagged(&decoded).into_iter().take(3).map(|(form, _)| (form, true));
    let texts: Vec<(String, bool)> = std::iter::once((decoded.clone(), false))
        .chain(tagged)
        .filter(|(text, _)| readable && text.len() <= MAX_TEXT)
        .collect();
    texts.into_iter().flat_map(move |(text, tagged)| {
        words::in_every_length(&text, charset.as_deref(), "Subject".len()).into_iter().map(move |form| (form, tagged))
    })
}

/// The guess that the subject was this form of [`rewritten`].
pub fn edit(signed: &Signed<'_>, at: usize, field: Field<'_>, form: &str, tagged: bool) -> Edit {
    let (cause, claim) = match tagged {
        true => (&causes::SUBJECT_TAGGED, TAGGED),
        false => (&causes::SUBJECT_REENCODED, "the subject was encoded in another way after signing"),
    };
    signed.value(at, field, format!(" {form}").as_bytes(), cause, claim, 30)
}

/// The subject without its tags: known forms first, then words at either end whatever they are.
pub fn untagged(text: &str) -> Vec<(String, u8)> {
    let mut out: Vec<(String, u8)> = Vec::new();
    let mut push = |form: String, rank: u8| {
        if form != text && !out.iter().any(|(known, _)| *known == form) {
            out.push((form, rank));
        }
    };
    let mut rest = text;
    for _ in 0..MAX_TAGS {
        let Some(without) = tag_off(rest) else { break };
        push(without.into(), 1);
        rest = without;
    }
    // A reply keeps its `Re:` before the tag.
    for reply in ["Re: ", "RE: ", "Fwd: ", "FW: ", "Fw: ", "AW: "] {
        if let Some(behind) = text.strip_prefix(reply) {
            let mut rest = behind;
            for _ in 0..MAX_TAGS {
                let Some(without) = tag_off(rest) else { break };
                push(format!("{reply}{without}"), 1);
                rest = without;
            }
        }
        // A tag before the reply may have been written behind it, and once more.
        if let Some(without) = tag_off(text).and_then(|rest| tag_off(rest.strip_prefix(reply)?)) {
            push(format!("{reply}{without}"), 2);
        }
    }
    for (open, close) in [('[', ']'), ('(', ')'), ('{', '}'), ('【', '】')] {
        let end = text.trim_end();
        if end.ends_with(close)
            && let Some(start) = end.rfind(open)
        {
            push(text[..start].trim_end().into(), 2);
        }
    }
    let starts = text.char_indices().filter(|(_, c)| *c == ' ').take(MAX_WORDS);
    let fronts: Vec<String> = starts.map(|(at, _)| text[at + 1..].trim_start().into()).collect();
    let ends = text.char_indices().rev().filter(|(_, c)| *c == ' ').take(3);
    let backs: Vec<String> = ends.map(|(at, _)| text[..at].trim_end().into()).collect();
    for form in fronts.into_iter().chain(backs).filter(|form| !form.is_empty()) {
        push(form, 5);
    }
    out
}

/// The text without the tag that it starts with.
fn tag_off(text: &str) -> Option<&str> {
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("{", "}"),
        ("【", "】"),
        ("<", ">"),
        ("***", "***"),
        ("**", "**"),
        ("*", "*"),
        ("#", "#"),
        ("|", "|"),
    ] {
        if let Some(inside) = text.strip_prefix(open)
            && let Some(end) = inside.find(close).filter(|&end| end > 0 && end < 80)
        {
            let rest = inside[end + close.len()..].trim_start_matches(['*', ':', '-', '|']);
            return Some(rest.trim_start_matches([' ', '\t', '\r', '\n']));
        }
    }
    let (word, rest) = text.split_once([':', '-'])?;
    let replies = ["re", "fwd", "fw", "aw", "wg"];
    let tag = !word.is_empty()
        && word.len() < 30
        && !word.contains(' ')
        && !replies.contains(&word.to_ascii_lowercase().as_str());
    tag.then(|| rest.trim_start_matches([' ', '\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::untagged;

    #[test]
    fn tags_are_taken_off() {
        for (tagged, plain) in [
            ("[list] hello", "hello"),
            ("[a] [b] (c) hello", "hello"),
            ("***SPAM*** hello", "hello"),
            ("[EXTERNAL] Re: hello", "Re: hello"),
            ("Re: [list] hello", "Re: hello"),
            ("(광고) 안녕", "안녕"),
            ("SPAM: hello", "hello"),
            ("hello [EXTERNAL]", "hello"),
            ("CAUTION EXTERNAL hello", "hello"),
            ("[list]\r\n hello", "hello"),
        ] {
            assert!(untagged(tagged).iter().any(|(form, _)| form == plain), "{tagged}: {:?}", untagged(tagged));
        }
    }
}
