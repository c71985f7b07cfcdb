//! What strangers wrote, made safe to keep and to show: bounded in length, and without what a terminal would obey.
//!
//! Kept values stay as they came but for their length and NUL, which PostgreSQL cannot hold; whoever shows one escapes it.

use super::{CauseEvent, Event, MAX_CAUSES, MAX_RECIPIENTS, MAX_SIGNATURES};
use std::fmt::{self, Write};

/// The longest name of a domain or selector, in octets (RFC 1035 §2.3.4), and of a word.
const NAME: usize = 255;
/// The longest path: 256 octets (RFC 5321 §4.5.3.1.3), and some for what breaks the rule.
const ADDRESS: usize = 512;
/// The longest line of a header (RFC 5322 §2.1.1), which a Message-ID or a reason may fill.
const LINE: usize = 998;

/// The event with every list and every text cut to what is worth keeping.
pub fn bounded(mut event: Event) -> Event {
    for (text, most) in
        [(&mut event.time, NAME), (&mut event.host, NAME), (&mut event.queue_id, NAME), (&mut event.mail_from, ADDRESS)]
    {
        cut(text, most);
    }
    for (text, most) in [
        (&mut event.domain, NAME),
        (&mut event.selector, NAME),
        (&mut event.result, NAME),
        (&mut event.reason, LINE),
        (&mut event.spf, NAME),
        (&mut event.dmarc, NAME),
        (&mut event.client_ip, NAME),
        (&mut event.auth_user, ADDRESS),
        (&mut event.from_domain, NAME),
        (&mut event.message_id, LINE),
    ] {
        if let Some(text) = text {
            cut(text, most);
        }
    }
    event.rcpt_to.truncate(MAX_RECIPIENTS);
    event.rcpt_to.iter_mut().for_each(|recipient| cut(recipient, ADDRESS));
    event.signatures.truncate(MAX_SIGNATURES);
    for signature in &mut event.signatures {
        for text in [&mut signature.domain, &mut signature.selector, &mut signature.algorithm, &mut signature.result] {
            cut(text, NAME);
        }
        if let Some(reason) = &mut signature.reason {
            cut(reason, LINE);
        }
    }
    event.causes.truncate(MAX_CAUSES);
    event.causes.iter_mut().for_each(bounded_cause);
    event
}

/// Cuts the texts of a cause.
pub(super) fn bounded_cause(cause: &mut CauseEvent) {
    cut(&mut cause.cause, NAME);
    cut(&mut cause.confidence, NAME);
    for text in [&mut cause.claim, &mut cause.documented, &mut cause.fix].into_iter().flatten() {
        cut(text, LINE);
    }
}

/// Cuts a text to a number of octets, with an ellipsis for what is gone, and makes NUL visible.
fn cut(text: &mut String, most: usize) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
        // The capacity counts against what may wait for the store.
        text.shrink_to_fit();
    }
}

/// Is it a control character, or one that reorders or hides text on a terminal?
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text for a terminal: what is unsafe is written as `\u{1b}`, and at most `most` characters are shown.
pub fn shown(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for (at, c) in text.chars().enumerate() {
        if at == most {
            out.push('…');
            break;
        }
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// JSON for a terminal: the same JSON, with what is unsafe inside its strings escaped as JSON escapes it.
pub fn safe_json(json: String) -> String {
    if !json.chars().any(is_unsafe) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    let mut units = [0; 2];
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// ` key=value`; a value with anything but plain characters is quoted, and what is unsafe never reaches the log.
pub(super) fn pair(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if !value.is_empty() && value.chars().all(plain) {
        return write!(f, " {key}={value}");
    }
    write!(f, " {key}=\"")?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if is_unsafe(c) => write!(f, "{}", c.escape_unicode())?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SignatureEvent;

    #[test]
    fn an_event_of_any_length_stays_small() {
        let long = "ü".repeat(100_000);
        let signature = SignatureEvent { domain: long.clone(), reason: Some(long.clone()), ..Default::default() };
        let event = bounded(Event {
            queue_id: long.clone(),
            mail_from: format!("a\0b{long}"),
            message_id: Some(long.clone()),
            rcpt_to: vec![long.clone(); 1000],
            signatures: vec![signature; 100],
            ..Event::default()
        });
        assert!(serde_json::to_string(&event).expect("JSON").len() < 100_000);
        assert!(event.mail_from.starts_with("a\u{fffd}bü") && event.mail_from.ends_with("ü…"));
        assert!(event.mail_from.len() <= ADDRESS);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let hostile = "\u{1b}[2J\r\n\u{9b}31m\u{202e}abc\u{e0041}";
        assert_eq!(shown(hostile, 100), "\\u{1b}[2J\\u{d}\\u{a}\\u{9b}31m\\u{202e}abc\\u{e0041}");
        assert_eq!(shown("abcdef", 3), "abc…");
        let json = serde_json::to_string(hostile).expect("JSON");
        let safe = safe_json(json.clone());
        assert!(!safe.chars().any(is_unsafe), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).expect("still JSON"), hostile);
        assert_eq!(safe_json("{\"a\":\"b\"}".into()), "{\"a\":\"b\"}");
    }
}
