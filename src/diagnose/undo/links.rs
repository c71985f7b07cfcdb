//! Links and pictures that filters and trackers put into a text.

use super::oneshot::some;

/// Links in a text beyond which no more are looked at.
const MAX_LINKS: usize = 2000;

/// Hosts that wrap links to check them when they are clicked.
const PROTECTORS: [&str; 11] = [
    "safelinks.protection.outlook.com",
    "urldefense.com",
    "urldefense.proofpoint.com",
    "linkprotect.cudasvc.com",
    "mimecast.com",
    "mimecastprotect.com",
    "protect2.fireeye.com",
    "secure-web.cisco.com",
    "protection.sophos.com",
    "urlsand.esvalabs.com",
    "clicktime.symantec.com",
];

/// Attributes that a filter puts behind the link that it wrapped.
const ATTRIBUTES: [&[u8]; 3] = [b"originalsrc=", b"shash=", b"data-auth="];

/// How the link inside a wrapped one is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ampersands {
    /// `&` is `&amp;` where the wrapped link stands in HTML.
    ByPlace,
    /// `&` is itself everywhere.
    Bare,
}

/// The text with its links as they were before they were wrapped.
pub fn unwrapped(text: &[u8], ampersands: Ampersands) -> Option<(Vec<u8>, String)> {
    let mut out = Vec::with_capacity(text.len());
    let (mut count, mut at, mut escaped) = (0, 0, 0);
    for _ in 0..MAX_LINKS {
        let Some((start, end)) = next_link(text, at) else { break };
        out.extend_from_slice(&text[at..start]);
        let link = &text[start..end];
        at = end;
        match original(link) {
            Some(original) => {
                count += 1;
                let in_html = text[..start].ends_with(b"\"") || link.windows(5).any(|five| five == b"&amp;");
                match in_html && ampersands == Ampersands::ByPlace && original.contains(&b'&') {
                    true => {
                        escaped += 1;
                        out.extend(with_entities(&original));
                    }
                    false => out.extend(original),
                }
                if text[end..].starts_with(b"\"") {
                    out.push(b'"');
                    at = behind_attributes(text, end + 1);
                }
            }
            None => out.extend_from_slice(link),
        }
    }
    // Nothing was written as an entity: the other way is the same.
    if ampersands == Ampersands::ByPlace && escaped == 0 {
        return None;
    }
    out.extend_from_slice(&text[at..]);
    (count > 0).then(|| (out, format!("{} rewritten after signing", some(count, "link was", "links were"))))
}

/// Each `&` that does not begin an entity already becomes one.
fn with_entities(link: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(link.len() + 16);
    for (at, &byte) in link.iter().enumerate() {
        out.push(byte);
        if byte == b'&' && !link[at..].starts_with(b"&amp;") {
            out.extend_from_slice(b"amp;");
        }
    }
    out
}

/// Where the text goes on behind what a filter wrote beside the link.
fn behind_attributes(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(name) =
        ATTRIBUTES.iter().find(|name| text[at..].strip_prefix(b" ").is_some_and(|rest| rest.starts_with(name)))
    {
        let value = at + 1 + name.len();
        let quoted = text.get(value) == Some(&b'"');
        let Some(end) = text[value..].iter().skip(1).position(|&b| b == b'"').filter(|_| quoted) else { break };
        at = value + end + 2;
    }
    at
}

/// How many links a text has, and how many of them a filter wrapped.
pub fn wrapped(text: &[u8]) -> (usize, usize) {
    let (mut all, mut wrapped, mut at) = (0, 0, 0);
    while let Some((start, end)) = next_link(text, at).filter(|_| all < MAX_LINKS) {
        all += 1;
        let link = String::from_utf8_lossy(&text[start..end]).to_ascii_lowercase();
        wrapped += usize::from(PROTECTORS.iter().any(|host| link.contains(host)));
        at = end;
    }
    (all, wrapped)
}

fn next_link(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        at += text.get(at..)?.windows(4).position(|four| four.eq_ignore_ascii_case(b"http"))?;
        let rest = &text[at..];
        let scheme = [&b"http://"[..], b"https://"]
            .iter()
            .any(|scheme| rest.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
        if scheme {
            let length =
                rest.iter().position(|b| b.is_ascii_whitespace() || b"<>\"'".contains(b)).unwrap_or(rest.len());
            return Some((at, at + length));
        }
        at += 4;
    }
}

/// The link inside a wrapped one.
fn original(link: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(link).ok()?;
    if let Some(rest) = text.split_once("urldefense.com/v3/__").map(|(_, rest)| rest) {
        return urldefense_v3(rest);
    }
    let is_link = |value: &[u8]| value.starts_with(b"http://") || value.starts_with(b"https://");
    let Some((_, query)) = text.split_once('?') else {
        // As the last piece of the path.
        return text.rsplit_once('/').map(|(_, last)| unescaped(last)).filter(|link| is_link(link));
    };
    let second = text.contains("urldefense.proofpoint.com/v2/");
    for pair in query.split('&') {
        let pair = pair.strip_prefix("amp;").unwrap_or(pair);
        let Some((_, value)) = pair.split_once('=') else { continue };
        let value = if second { value.replace('-', "%").replace('_', "/") } else { value.to_owned() };
        let value = unescaped(&value);
        if is_link(&value) {
            return Some(value);
        }
        if let Some(link) = super::encode::unbase64(&value).filter(|link| is_link(link)) {
            return Some(link);
        }
    }
    None
}

/// `http://host/a*b__;Kw!!…`: each star stands for a character that is given, in base64, behind the semicolon.
fn urldefense_v3(rest: &str) -> Option<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let (link, rest) = rest.rsplit_once("__;")?;
    let given = rest.split('!').next().unwrap_or_default().trim_end_matches('=');
    let given = URL_SAFE_NO_PAD.decode(given).ok()?;
    let given = String::from_utf8(given).ok()?;
    let mut given = given.chars();
    let mut out = String::with_capacity(link.len());
    for c in link.chars() {
        match c {
            '*' => out.push(given.next()?),
            c => out.push(c),
        }
    }
    // The scheme's second slash is lost in some versions.
    if !out.contains("://") {
        out = out.replacen(":/", "://", 1);
    }
    Some(out.into_bytes())
}

fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(octet) if byte == b'%' => {
                out.push(octet);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// The text without pictures of one pixel, and the line that held nothing else.
pub fn without_pixels(text: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut out = Vec::with_capacity(text.len());
    let (mut count, mut at) = (0, 0);
    while count < MAX_LINKS {
        let Some(found) = text[at..].windows(4).position(|four| four.eq_ignore_ascii_case(b"<img")) else { break };
        let start = at + found;
        let Some(length) = text[start..].iter().position(|&b| b == b'>') else { break };
        let mut end = start + length + 1;
        out.extend_from_slice(&text[at..start]);
        if is_pixel(&text[start..end]) {
            count += 1;
            let alone = out.is_empty() || out.ends_with(b"\r\n");
            if alone && text[end..].starts_with(b"\r\n") {
                end += 2;
            }
        } else {
            out.extend_from_slice(&text[start..end]);
        }
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    (count > 0).then(|| {
        (out, format!("{} added after signing", some(count, "picture of one pixel was", "pictures of one pixel were")))
    })
}

/// Is it a picture that nobody sees, with nothing to read beside it?
pub fn is_pixel(html: &[u8]) -> bool {
    let text = String::from_utf8_lossy(html).to_ascii_lowercase();
    let (mut hidden, mut rest) = (false, &text[..]);
    while let Some((before, behind)) = rest.split_once('<') {
        let Some((tag, behind)) = behind.split_once('>') else { break };
        if !before.trim().is_empty() {
            return false;
        }
        hidden |= tag.starts_with("img") && is_hidden(tag);
        rest = behind;
    }
    hidden && rest.trim().is_empty()
}

/// Is this picture, the inside of its tag in small letters, too small to be seen, or not shown?
fn is_hidden(tag: &str) -> bool {
    let text: String = tag.chars().filter(|c| !matches!(c, '"' | '\'' | ' ' | '\r' | '\n')).collect();
    let text = text.replace("=3d", "=");
    let one = |name: &str| {
        [format!("{name}=1"), format!("{name}:1px"), format!("{name}=0"), format!("{name}:0")].iter().any(|sign| {
            text.match_indices(sign.as_str())
                .any(|(at, sign)| !text[at + sign.len()..].starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    one("width") && one("height") || text.contains("display:none") || text.contains("visibility:hidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_links() {
        for (link, want) in [
            (
                "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com%2Fa%3Fb%3D1&data=05%7C&reserved=0",
                "https://example.com/a?b=1",
            ),
            (
                "https://urldefense.proofpoint.com/v2/url?u=https-3A__example.com_a-2Db&d=Dw&c=x",
                "https://example.com/a-b",
            ),
            ("https://urldefense.com/v3/__https://example.com/a*b__;Kw!!abc$", "https://example.com/a+b"),
            ("https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fexample.com&c=E,1", "https://example.com"),
            ("https://secure-web.cisco.com/1aB/https%3A%2F%2Fexample.com%2Fa", "https://example.com/a"),
            (
                "https://eu-west-1.protection.sophos.com?d=example.com&u=aHR0cHM6Ly9leGFtcGxlLmNvbS9h&i=x",
                "https://example.com/a",
            ),
        ] {
            let text = format!("see <{link}> now\r\n");
            let (undone, _) = unwrapped(text.as_bytes(), Ampersands::Bare).expect(link);
            assert_eq!(String::from_utf8_lossy(&undone), format!("see <{want}> now\r\n"));
        }
        assert_eq!(unwrapped(b"https://example.com/?a=b\r\n", Ampersands::Bare), None);
        assert_eq!(wrapped(b"https://a.example/ https://x.safelinks.protection.outlook.com/?url=y"), (2, 1));
    }

    #[test]
    fn pixels() {
        let (undone, _) =
            without_pixels(b"<p>\r\n<img src=x width=\"1\" height=\"1\">\r\n<img src=y width=10 height=1></p>\r\n")
                .expect("one");
        assert_eq!(undone, b"<p>\r\n<img src=y width=10 height=1></p>\r\n");
        assert!(is_pixel(b"<a href=x><img src=x style=\"display:none\"></a>\r\n"));
        assert!(!is_pixel(b"<p>Read me</p><img src=x width=1 height=1>"));
    }
}
