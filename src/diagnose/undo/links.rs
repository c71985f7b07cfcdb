//! Links and pictures that filters and trackers put into a text.

use super::oneshot::some;

/// Links in a text beyond which no more are looked at.
const MAX_LINKS: usize = 2000;

/// Hosts that wrap links to check them when they are clicked.
const PROTECTORS: [&str; 9] = [
    "safelinks.protection.outlook.com",
    "urldefense.com",
    "urldefense.proofpoint.com",
    "linkprotect.cudasvc.com",
    "protect-us.mimecast.com",
    "protect2.fireeye.com",
    "secure-web.cisco.com",
    "urlsand.esvalabs.com",
    "clicktime.symantec.com",
];

/// The text with its links as they were before they were wrapped.
pub fn unwrapped(text: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut out = Vec::with_capacity(text.len());
    let (mut count, mut at) = (0, 0);
    for _ in 0..MAX_LINKS {
        let Some((start, end)) = next_link(text, at) else { break };
        out.extend_from_slice(&text[at..start]);
        let link = &text[start..end];
        match original(link) {
            Some(original) => {
                count += 1;
                out.extend(original);
            }
            None => out.extend_from_slice(link),
        }
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    (count > 0).then(|| (out, format!("{} rewritten after signing", some(count, "link was", "links were"))))
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
    let (_, query) = text.split_once('?')?;
    let second = text.contains("urldefense.proofpoint.com/v2/");
    for pair in query.split('&') {
        let pair = pair.strip_prefix("amp;").unwrap_or(pair);
        let Some((_, value)) = pair.split_once('=') else { continue };
        let value = if second { value.replace('-', "%").replace('_', "/") } else { value.to_owned() };
        let value = unescaped(&value);
        if value.starts_with(b"http://") || value.starts_with(b"https://") {
            return Some(value);
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

/// Does this tag, or one within it, show a picture that nobody sees?
pub fn is_pixel(html: &[u8]) -> bool {
    let text = String::from_utf8_lossy(html).to_ascii_lowercase();
    if !text.contains("<img") {
        return false;
    }
    let text: String = text.chars().filter(|c| !matches!(c, '"' | '\'' | ' ' | '\r' | '\n')).collect();
    let text = text.replace("=3d", "=");
    let one = |name: &str| {
        [format!("{name}=1"), format!("{name}:1px"), format!("{name}=0"), format!("{name}:0")].iter().any(|sign| {
            text.match_indices(sign.as_str())
                .any(|(at, sign)| !text[at + sign.len()..].starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    one("width") && one("height")
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
        ] {
            let text = format!("see <{link}> now\r\n");
            let (undone, _) = unwrapped(text.as_bytes()).expect(link);
            assert_eq!(String::from_utf8_lossy(&undone), format!("see <{want}> now\r\n"));
        }
        assert_eq!(unwrapped(b"https://example.com/?a=b\r\n"), None);
        assert_eq!(wrapped(b"https://a.example/ https://x.safelinks.protection.outlook.com/?url=y"), (2, 1));
    }

    #[test]
    fn pixels() {
        let (undone, _) =
            without_pixels(b"<p>\r\n<img src=x width=\"1\" height=\"1\">\r\n<img src=y width=10 height=1></p>\r\n")
                .expect("one");
        assert_eq!(undone, b"<p>\r\n<img src=y width=10 height=1></p>\r\n");
    }
}
