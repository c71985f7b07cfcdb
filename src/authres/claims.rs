//! Which Authentication-Results fields pretend to be ours (RFC 8601 §5).
//!
//! The rule: a field is ours if the first word of its value is our authserv-id in any reading that some reader might have.
//! So a forged field goes even where it is malformed, and a field of somebody else stays, byte for byte, even where it
//! names us further on, or has no authserv-id at all (as Microsoft's has not).

use crate::name::DomainName;

/// The first word is read up to this many octets: twice the longest name, so that no reader finds ours in a longer one,
/// and a header full of dots and blanks costs no more than a short one.
const LONGEST_WORD: usize = 512;

/// How a reader may treat what comes before and inside the first word.
#[derive(Clone, Copy)]
struct Reading {
    /// Does a backslash take the meaning from the octet behind it?
    escapes: bool,
    comments: Comments,
}

#[derive(Clone, Copy)]
enum Comments {
    /// As RFC 5322 has them.
    Nested,
    /// The first closing parenthesis ends them all.
    Flat,
    /// Parentheses mean nothing, and what they hold is text.
    Unknown,
}

/// Does this field value claim to come from `authserv_id`?
///
/// Case, folds, tabs, comments, quotes, backslashes, a version, final dots, control characters and the U-label form of
/// the name make no difference. Where the value starts with an encoded-word the answer is yes: no honest field does.
/// Where it starts with a comment that never ends, our name anywhere is enough.
pub fn claims(value: &[u8], authserv_id: &str) -> bool {
    let ours = Ours::new(authserv_id);
    if starts_with_endless_comment(value) && ours.is_part_of(value) {
        return true;
    }
    [Comments::Nested, Comments::Flat, Comments::Unknown]
        .into_iter()
        .any(|comments| [true, false].into_iter().any(|escapes| claims_in(value, &ours, Reading { escapes, comments })))
}

fn starts_with_endless_comment(value: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => {
                bytes.next();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if depth > 0 => {}
            _ => return false,
        }
    }
    depth > 0
}

/// Is the first word ours, in this reading? A gap around a dot does not end the word for readers of obsolete grammar
/// (RFC 5322 §4.4) and does for others, so the word is compared at every gap.
fn claims_in(value: &[u8], ours: &Ours, reading: Reading) -> bool {
    let mut word = Vec::new();
    let mut depth = 0_usize;
    let mut gap = false;
    let mut bytes = value.iter().copied();
    while let Some(mut byte) = bytes.next() {
        let mut escaped = false;
        if byte == b'\\' && reading.escapes {
            let Some(next) = bytes.next() else { break };
            (byte, escaped) = (next, true);
        }
        match (byte, reading.comments) {
            (b'(', Comments::Nested) if !escaped => depth += 1,
            (b'(', Comments::Flat) if !escaped => depth = 1,
            (b')', Comments::Nested | Comments::Flat) if !escaped && depth > 0 => depth -= 1,
            (b'(' | b')', _) if depth == 0 => {}
            _ if depth > 0 => continue,
            (b'"' | b'\\', _) => continue,
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            _ if byte.is_ascii_control() => continue,
            (b';', _) => break,
            _ => {
                if gap && byte != b'.' && word.last() != Some(&b'.') {
                    break;
                }
                gap = false;
                word.push(byte);
                if word.len() >= LONGEST_WORD {
                    break;
                }
                continue;
            }
        }
        // A blank or a comment.
        if !gap && !word.is_empty() {
            gap = true;
            if ours.is(&word) {
                return true;
            }
        }
    }
    ours.is(&word)
}

/// Our own authserv-id, as text and, where it is one, as a name.
struct Ours {
    text: String,
    name: Option<DomainName>,
}

impl Ours {
    fn new(authserv_id: &str) -> Ours {
        let text = authserv_id.trim().trim_end_matches('.').to_ascii_lowercase();
        Ours { name: DomainName::new(&text).ok(), text }
    }

    fn is_part_of(&self, value: &[u8]) -> bool {
        let ours = self.text.as_bytes();
        !ours.is_empty() && value.windows(ours.len()).any(|part| part.eq_ignore_ascii_case(ours))
    }

    /// Is this word ours, or ours with something behind it that cannot belong to an authserv-id?
    fn is(&self, word: &[u8]) -> bool {
        if word.starts_with(b"=?") {
            return true;
        }
        if self.text.is_empty() {
            return false;
        }
        // What can begin no authserv-id is nothing to some readers.
        let before = word.iter().take_while(|&&byte| byte.is_ascii() && !super::is_token_byte(byte)).count();
        let word = &word[before..];
        if let Some(front) = word.get(..self.text.len())
            && front.eq_ignore_ascii_case(self.text.as_bytes())
        {
            let rest = &word[self.text.len()..];
            let rest = &rest[rest.iter().take_while(|&&byte| byte == b'.').count()..];
            let dotted = rest.len() < word.len() - self.text.len();
            match rest.first() {
                None => return true,
                // `mx.example.net.other` is another name; so is `mx.example.net-2`.
                Some(&byte) if byte.is_ascii() => return !super::is_token_byte(byte) || (dotted && byte == b'='),
                // Blanks that are not ASCII, and characters that nobody sees, are nothing to some readers.
                Some(_) => {}
            }
        }
        // U-labels, full-width letters and the like mean the same name, whatever stands there that nobody sees.
        let text = std::str::from_utf8(word).ok().filter(|text| !text.is_ascii());
        let seen = text.map(|text| text.chars().filter(|&c| !is_hidden(c)).map(plain_dot).collect::<String>());
        let name = seen.and_then(|seen| DomainName::forgiving(seen.trim().trim_end_matches('.')).ok());
        name.is_some() && name == self.name
    }
}

/// Controls of direction and of layout, and tags: characters of no width that UTS 46 refuses or drops.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What looks like a full stop is one.
fn plain_dot(c: char) -> char {
    match c {
        '\u{2024}' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => '.',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_ours_is_found() {
        for value in [
            &b" mx.example.net; dkim=pass"[..],
            b"mx.example.net;none",
            b"mx.example.net",
            b" MX.Example.NET; dkim=pass",
            b"\r\n\tmx.example.net;\r\n\tdkim=pass",
            b"\n mx.example.net\n ;dkim=pass",
            b" (hello) mx.example.net; dkim=pass",
            b" (a (b) c)(d)\tmx.example.net(e); dkim=pass",
            b" \"mx.example.net\"; dkim=pass",
            b" \"m\\x.example.net\"; dkim=pass",
            b" \" mx.example.net \"; dkim=pass",
            b" mx.example.net 1; dkim=pass",
            b" mx.example.net(c)1; dkim=pass",
            b" mx.example.net.; dkim=pass",
            b" mx.example.net..; dkim=pass",
            b" mx.example.net. other; dkim=pass",
            b"\t\tmx.example.net\t;\tdkim=pass",
            b" mx . example . net; dkim=pass",
            b" mx.(c)example.net; dkim=pass",
            b" \"mx\".example.net; dkim=pass",
            b" mx.example.net dkim=pass",
            b" mx.example.net, dkim=pass",
            b" mx.example.net/1; dkim=pass",
            b" mx.example.net: dkim=pass",
            b" mx.exam\0ple.net; dkim=pass",
            b" \x01mx.example.net; dkim=pass",
            b" (unclosed mx.example.net; dkim=pass",
            b" (a (b) mx.example.net; dkim=pass",
            b" (a\\) mx.example.net; b) other.example; dkim=pass",
            b" \"mx.example.net; dkim=pass",
            b" (mx.example.net) other.example; dkim=pass",
            b" ) mx.example.net; dkim=pass",
            b" <mx.example.net>; dkim=pass",
            b" [mx.example.net]; dkim=pass",
            b" @mx.example.net; dkim=pass",
            b" ,:mx.example.net; dkim=pass",
            b" =?utf-8?q?mx.example.net?=; dkim=pass",
            " ｍｘ.example.net; dkim=pass".as_bytes(),
            "mx\u{200b}.example.net; dkim=pass".as_bytes(),
            "mx。example。net; dkim=pass".as_bytes(),
            "mx.example.net\u{200b}; dkim=pass".as_bytes(),
            "mx.example.net\u{a0}; dkim=pass".as_bytes(),
            "\u{a0}mx.example.net; dkim=pass".as_bytes(),
            "\u{202a}mx.example.net\u{202c}; dkim=pass".as_bytes(),
            "\u{e0001}mx.\u{2066}example\u{2069}.net; dkim=pass".as_bytes(),
            "mx\u{2024}example\u{ff61}net\u{3002}; dkim=pass".as_bytes(),
            "\u{3000}mx.example.net.\u{2003}; dkim=pass".as_bytes(),
        ] {
            assert!(claims(value, "mx.example.net"), "{}", value.escape_ascii());
        }
        assert!(claims("한국.example; dkim=pass".as_bytes(), "xn--3e0b707e.example"));
        assert!(claims(b"xn--3e0b707e.example; dkim=pass", "xn--3e0b707e.example."));
    }

    #[test]
    fn fields_of_others_stay() {
        for value in [
            &b""[..],
            b" ; dkim=pass",
            b" other.example; dkim=pass header.d=mx.example.net",
            b" other.example (mx.example.net); dkim=pass",
            b" other.example 1; spf=pass smtp.helo=mx.example.net",
            b" spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=mx.example.net; dkim=none",
            b" example.net; dkim=pass",
            b" notmx.example.net; dkim=pass",
            b" mx.example.net.attack.example; dkim=pass",
            b" mx.example.network; dkim=pass",
            b" mx.example.net-2; dkim=pass",
            b" mx.example.net+x; dkim=pass",
            b" 'mx.example.net'; dkim=pass",
            b" <other.example> mx.example.net; dkim=pass",
            b" amx.example.net 1; dkim=pass",
            b" other. mx.example.net; dkim=pass",
            b" broken \"quote; mx.example.net; dkim=pass",
            "한국.example; dkim=pass".as_bytes(),
            "mx.example.net한; dkim=pass".as_bytes(),
            "\u{202a}other.example\u{202c}; dkim=pass".as_bytes(),
            "mx\u{b7}example.net; dkim=pass".as_bytes(),
            b" mx.example.net\xff; dkim=pass",
        ] {
            assert!(!claims(value, "mx.example.net"), "{}", value.escape_ascii());
        }
        assert!(!claims(b"anything; dkim=pass", ""));
        assert!(!claims(b"mx 1; dkim=pass", "mx1"));
    }

    #[test]
    fn long_fields_are_judged_by_their_start() {
        let results = "; dkim=pass header.d=legit.example".repeat(40);
        let long = format!(" ({}) mx.example.net{results}", "c".repeat(5000));
        let gaps = ". ".repeat(100_000);
        assert!(claims(long.as_bytes(), "mx.example.net"));
        assert!(!claims(long.replace("mx.", "my.").as_bytes(), "mx.example.net"));
        assert!(!claims(gaps.as_bytes(), "mx.example.net"));
    }
}
