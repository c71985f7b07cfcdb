//! Address fields: quotes, brackets, comments, appended and masqueraded domains, rewritten authors.

use super::{Edit, Signed, spaced, subject, unfolded, words};
use crate::{
    diagnose::register::{Cause, modified_header as causes},
    dkim::Canon,
    message::Field,
};

/// Mailboxes of a field that are looked at.
const MAX_MAILBOXES: usize = 20;
/// Mailboxes that are changed alone, where all at once did not fit.
const MAX_ALONE: usize = 4;
/// Other domains and addresses that a mailbox may have had.
const MAX_KNOWN: usize = 6;

/// A mailbox as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mailbox {
    /// Quotes and encoded-words as written.
    display: String,
    address: String,
    bracketed: bool,
    comment: String,
}

/// A way to write a mailbox, and how likely it is.
type Form = (String, &'static Cause, u8);

/// Guesses about an address field.
pub fn edits(signed: &Signed<'_>, at: usize, field: Field<'_>) -> Vec<Edit> {
    let text = unfolded(field.value());
    let name = String::from_utf8_lossy(field.name()).into_owned();
    let pieces = split(&text);
    let mut edits = Vec::new();
    let mut push = |value: String, cause: &'static Cause, rank: u8| {
        let claim = match cause == &causes::RAW_8BIT_ENCODED {
            true => format!("{name}, raw UTF-8 when it was signed, was encoded"),
            false => format!("{name} was rewritten after signing"),
        };
        edits.push(signed.value(at, field, &spaced(&value), cause, claim, rank));
    };
    if pieces.is_empty() || pieces.len() > MAX_MAILBOXES {
        return edits;
    }
    let (domains, addresses) = known(signed);
    let author = field.is("From");
    let forms: Vec<Vec<Form>> = pieces.iter().map(|piece| forms(piece, &domains, &addresses, author)).collect();
    if let [only] = &forms[..] {
        for (form, cause, rank) in only {
            push(form.clone(), cause, *rank);
        }
    } else {
        // The same change of every mailbox, then of one.
        let most = forms.iter().map(Vec::len).max().unwrap_or(0);
        for number in 0..most.min(12) {
            let value: Vec<&str> = forms
                .iter()
                .zip(&pieces)
                .map(|(forms, piece)| forms.get(number).map_or(piece.as_str(), |form| &form.0))
                .collect();
            push(value.join(", "), &causes::ADDRESS_REWRITTEN, 6);
            // Long lists are folded behind their commas.
            if signed.canon == Canon::Simple && number < 4 {
                push(value.join(",\r\n "), &causes::ADDRESS_REWRITTEN, 7);
                push(value.join(",\r\n\t"), &causes::ADDRESS_REWRITTEN, 7);
            }
        }
        push(pieces.join(","), &causes::ADDRESS_REWRITTEN, 6);
        push(pieces.join(", "), &causes::ADDRESS_REWRITTEN, 6);
        for (number, own) in forms.iter().enumerate().take(MAX_ALONE) {
            for (form, cause, rank) in own.iter().take(10) {
                let mut value = pieces.clone();
                value[number] = form.clone();
                push(value.join(", "), cause, rank + 10);
            }
        }
        for number in 0..pieces.len() {
            let mut value = pieces.clone();
            value.remove(number);
            push(value.join(", "), &causes::ADDRESS_REWRITTEN, 18);
        }
    }
    if author {
        for source in ["X-Original-From", "X-MailFrom", "Original-From", "X-From", "Reply-To", "Sender"] {
            for other in signed.fields.iter().filter(|field| field.is(source)).take(2) {
                push(unfolded(other.value()), &causes::FROM_REWRITTEN, 3);
            }
        }
    }
    edits
}

/// The ways in which one mailbox may have been written.
fn forms(piece: &str, domains: &[String], addresses: &[String], author: bool) -> Vec<Form> {
    let mailbox = Mailbox::read(piece);
    let rewritten = &causes::ADDRESS_REWRITTEN;
    let mut out: Vec<Form> = Vec::new();
    let plain = mailbox.plain_display();
    let address = &mailbox.address;
    if !plain.is_empty() {
        for form in [
            format!("{plain} <{address}>"),
            format!("\"{}\" <{address}>", plain.replace('\\', "\\\\").replace('"', "\\\"")),
            format!("{address} ({plain})"),
            format!("\"{plain}\"<{address}>"),
            format!("{plain}<{address}>"),
            format!("'{plain}' <{address}>"),
            format!("\"'{plain}'\" <{address}>"),
        ] {
            out.push((form, rewritten, 4));
        }
    }
    out.push((address.clone(), rewritten, 5));
    out.push((format!("<{address}>"), rewritten, 5));
    if let Some((local, domain)) = address.rsplit_once('@') {
        out.push((mailbox.with(local), rewritten, 4));
        for other in domains.iter().filter(|other| *other != domain) {
            out.push((mailbox.with(&format!("{local}@{other}")), rewritten, 7));
        }
        out.push((mailbox.with(&format!("{local}@{}", domain.to_ascii_lowercase())), rewritten, 7));
    }
    let (decoded, charset) = words::decoded(&plain);
    if decoded != plain {
        out.push((format!("{decoded} <{address}>"), &causes::RAW_8BIT_ENCODED, 8));
        out.push((format!("\"{decoded}\" <{address}>"), &causes::RAW_8BIT_ENCODED, 8));
    }
    if decoded != plain || !plain.is_ascii() {
        for form in words::encoded(&decoded, charset.as_deref(), 4).into_iter().take(30) {
            out.push((format!("{form} <{address}>"), rewritten, 9));
            out.push((format!("\"{form}\" <{address}>"), rewritten, 12));
        }
    }
    let other_author: &Cause = if author { &causes::FROM_REWRITTEN } else { rewritten };
    let mut names = vec![plain.clone()];
    names.extend(without_via(&decoded));
    names.extend(subject::untagged(&plain).into_iter().filter(|(_, rank)| *rank < 5).map(|(name, _)| name));
    names.dedup();
    for other in addresses.iter().chain([address]) {
        if other != address {
            out.push((mailbox.with(other), other_author, 5));
            out.push((other.clone(), other_author, 6));
            out.push((format!("<{other}>"), other_author, 6));
        }
        for name in names.iter().filter(|name| !name.is_empty()).take(4) {
            out.push((format!("{name} <{other}>"), other_author, 5));
            out.push((format!("\"{name}\" <{other}>"), other_author, 5));
        }
    }
    let mut seen = Vec::new();
    out.retain(|(form, _, _)| {
        form != piece && !seen.contains(form) && {
            seen.push(form.clone());
            true
        }
    });
    out
}

/// A display name without what lists put behind it.
fn without_via(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    for sign in [" via ", " (via ", " on behalf of "] {
        if let Some((name, _)) = name.rsplit_once(sign) {
            let bare = name.trim_matches(['\'', '"', ' ']);
            out.push(bare.to_owned());
            out.push(name.trim().to_owned());
        }
    }
    out
}

impl Mailbox {
    fn read(piece: &str) -> Mailbox {
        let piece = piece.trim();
        if let Some(start) = piece.rfind('<')
            && let Some(end) = piece[start..].find('>')
        {
            let address = piece[start + 1..start + end].trim().to_owned();
            return Mailbox {
                display: piece[..start].trim().to_owned(),
                address,
                bracketed: true,
                comment: String::new(),
            };
        }
        match piece.split_once('(') {
            Some((address, comment)) => Mailbox {
                address: address.trim().into(),
                comment: comment.trim_end_matches([')', ' ']).into(),
                ..Mailbox::default()
            },
            None => Mailbox { address: piece.into(), ..Mailbox::default() },
        }
    }

    /// The display name without quotes, or the comment in its place.
    fn plain_display(&self) -> String {
        let display = if self.display.is_empty() { &self.comment } else { &self.display };
        match display.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inside) => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
            None => display.clone(),
        }
    }

    /// The mailbox with another address.
    fn with(&self, address: &str) -> String {
        match (self.bracketed, self.display.is_empty()) {
            (true, true) => format!("<{address}>"),
            (true, false) => format!("{} <{address}>", self.display),
            (false, _) if !self.comment.is_empty() => format!("{address} ({})", self.comment),
            (false, _) => address.into(),
        }
    }
}

/// The mailboxes of a list, cut at the commas that stand outside of quotes, brackets and comments.
fn split(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut piece, mut quoted, mut depth, mut escaped) = (String::new(), false, 0i32, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' | '<' if !quoted => depth += 1,
            ')' | '>' if !quoted => depth -= 1,
            ',' if !quoted && depth <= 0 => {
                out.push(std::mem::take(&mut piece).trim().to_owned());
                continue;
            }
            _ => {}
        }
        piece.push(c);
    }
    out.push(piece.trim().to_owned());
    out.retain(|piece| !piece.is_empty());
    out
}

/// Domains and addresses that the message names elsewhere.
fn known(signed: &Signed<'_>) -> (Vec<String>, Vec<String>) {
    let mut addresses: Vec<String> = Vec::new();
    for name in [
        "X-Original-From",
        "X-MailFrom",
        "Reply-To",
        "Return-Path",
        "Sender",
        "From",
        "X-Original-To",
        "Delivered-To",
        "Errors-To",
        "Resent-From",
    ] {
        for field in signed.fields.iter().filter(|field| field.is(name)).take(2) {
            let of = split(&unfolded(field.value())).into_iter().map(|piece| Mailbox::read(&piece).address);
            addresses.extend(of.filter(|address| address.contains('@')));
        }
    }
    let mut domains: Vec<String> =
        signed.result.signature.domain.iter().map(|domain| domain.as_str().to_owned()).collect();
    domains.extend(addresses.iter().filter_map(|address| Some(address.rsplit_once('@')?.1.to_owned())));
    let id = signed.first("Message-ID").map(|field| unfolded(field.value()));
    domains.extend(id.and_then(|id| Some(id.trim_end_matches('>').rsplit_once('@')?.1.to_owned())));
    for field in signed.fields.iter().filter(|field| field.is("Received")).take(10) {
        domains.extend(crate::received::read(field.value()).by);
    }
    for list in [&mut domains, &mut addresses] {
        let mut seen = Vec::new();
        list.retain(|item| {
            !seen.contains(item) && {
                seen.push(item.clone());
                true
            }
        });
        list.truncate(MAX_KNOWN);
    }
    (domains, addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_cut_and_read() {
        assert_eq!(split("\"a, b\" <a@x>, c@y (d, e), <f@z>"), ["\"a, b\" <a@x>", "c@y (d, e)", "<f@z>"]);
        let mailbox = Mailbox::read("\"A \\\"B\\\"\" <a@x>");
        assert_eq!((mailbox.plain_display().as_str(), mailbox.address.as_str()), ("A \"B\"", "a@x"));
        let forms = forms("\"Ann via List\" <list@l.example>", &[], &["ann@example.com".into()], true);
        assert!(forms.iter().any(|(form, _, _)| form == "Ann <ann@example.com>"), "{forms:?}");
    }
}
