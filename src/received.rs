//! The trace that relays leave in a header: Received fields (RFC 5321 §4.4) and Return-Path.
//!
//! Every MTA writes the client in its own way, so what is read here is what Postfix, Sendmail, Exim, qmail, Exchange,
//! Gmail and NAVER write, not the grammar alone. Reading never fails: what a field does not say is absent.
//! Nothing here is evidence by itself: whoever hands in a message can write any trace below the fields of those that
//! the settings trust. Every octet is read a fixed number of times.

use crate::message::Header;
use std::net::IpAddr;

/// What one Received field says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// What the client called itself.
    pub helo: Option<Vec<u8>>,
    /// The client's address as the server saw it; an IPv4 address mapped into IPv6 is the IPv4 address.
    pub client_ip: Option<IpAddr>,
    /// Was the message taken over a network, address or not? A field without `from`, or from a local socket, is not.
    pub from_network: bool,
    /// Who wrote the field.
    pub by: Option<String>,
    /// The protocol.
    pub with: Option<String>,
    /// When, in seconds since 1970; before that negative.
    pub date: Option<i64>,
}

/// Who handed a message to the relays that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The client's address.
    pub client_ip: IpAddr,
    /// What it called itself; empty where the field does not say.
    pub helo: Vec<u8>,
}

/// Longest text between brackets that is tried as an address; the longest one has 45 octets, `IPv6:` and a zone.
const LONGEST_ADDRESS: usize = 80;

/// Longest date that is tried.
const LONGEST_DATE: usize = 120;

/// Reads the value of a Received field.
pub fn read(value: &[u8]) -> Received {
    let (clauses, date) = match value.iter().rposition(|&byte| byte == b';') {
        Some(at) => (&value[..at], read_date(&value[at + 1..])),
        None => (value, None),
    };
    let mut received = Received { date, ..Received::default() };
    let tokens = tokens(clauses);
    let mut rest = &tokens[..];
    if let Some(from) = rest.iter().position(|token| matches!(token, Token::Word(_)))
        && rest[from].is_word("from")
    {
        let end = clause_end(&rest[from + 1..], 1) + from + 1;
        received.read_client(&rest[from + 1..end]);
        rest = &rest[end..];
    }
    while let Some((keyword, after)) = rest.split_first() {
        let end = clause_end(after, usize::from(keyword.is_keyword()));
        if keyword.is_word("by") && received.by.is_none() {
            received.by = words(&after[..end.min(1)]);
        } else if keyword.is_word("with") && received.with.is_none() {
            received.with = words(&after[..end]);
        }
        rest = &after[end..];
    }
    received
}

/// The first client from the top that is no trusted relay.
///
/// Fields without a client are passed over, as long as the message came to them over no network. A field that took the
/// message from the network and does not say where from ends the search: below it, anybody could have written anything.
pub fn handover(header: &Header, trusted: impl Fn(IpAddr) -> bool) -> Option<Handover> {
    for field in header.named("Received") {
        let received = read(field.value());
        match received.client_ip {
            Some(client_ip) if trusted(client_ip) => {}
            Some(client_ip) => return Some(Handover { client_ip, helo: received.helo.unwrap_or_default() }),
            None if received.from_network => return None,
            None => {}
        }
    }
    None
}

/// The envelope sender that the last MTA wrote into the topmost Return-Path field, angle brackets included.
pub fn return_path(header: &Header) -> Option<Vec<u8>> {
    let value = header.named("Return-Path").next()?.value().trim_ascii();
    if !value.starts_with(b"<") {
        return (!value.is_empty()).then(|| value.to_vec());
    }
    // A quoted local part may hold an angle bracket; a comment may follow the path.
    let (mut quoted, mut escaped) = (false, false);
    let end = value.iter().position(|&byte| {
        let closes = byte == b'>' && !quoted;
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    Some(value[..end.map_or(value.len(), |end| end + 1)].to_vec())
}

/// A word, or a comment without its outer parentheses.
#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Word(&'a [u8]),
    Comment(&'a [u8]),
    /// What would be a comment and touches the word before it: a part of that word.
    Touching,
}

impl Token<'_> {
    fn is_word(&self, text: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(text.as_bytes()))
    }

    fn is_keyword(&self) -> bool {
        ["from", "by", "via", "with", "id", "for"].iter().any(|keyword| self.is_word(keyword))
    }
}

/// The words and comments of a value. A comment that is never closed ends with the value.
fn tokens(bytes: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        if bytes[at].is_ascii_whitespace() {
            at += 1;
        } else if bytes[at] == b'(' {
            at = comment_end(bytes, at);
            let inner = &bytes[start + 1..at];
            let inner = inner.strip_suffix(b")").unwrap_or(inner);
            // No server writes a comment without a blank before it; a client may have such a thing in its name.
            let touches = start > 0 && !bytes[start - 1].is_ascii_whitespace();
            tokens.push(match tokens.last() {
                Some(Token::Word(_)) if touches => Token::Touching,
                _ => Token::Comment(inner),
            });
        } else {
            while at < bytes.len() && !bytes[at].is_ascii_whitespace() && bytes[at] != b'(' {
                at += 1;
            }
            tokens.push(Token::Word(&bytes[start..at]));
        }
    }
    tokens
}

/// Where the comment that opens at `at` ends, its parenthesis included.
fn comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut escaped = false;
    for (place, &byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            _ if escaped => {}
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        if depth == 0 {
            return place + 1;
        }
    }
    bytes.len()
}

/// How many tokens come before the next keyword. The first `taken` are never one: a client may call itself `by`.
fn clause_end(tokens: &[Token<'_>], taken: usize) -> usize {
    let skip = taken.min(tokens.len());
    tokens[skip..].iter().position(Token::is_keyword).map_or(tokens.len(), |found| found + skip)
}

/// The words of a clause up to its first comment.
fn words(tokens: &[Token<'_>]) -> Option<String> {
    let words: Vec<_> = tokens
        .iter()
        .map_while(|token| match token {
            Token::Word(word) => Some(String::from_utf8_lossy(word)),
            Token::Comment(_) | Token::Touching => None,
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

impl Received {
    /// The `from` clause without its keyword: a name, and comments that say more.
    ///
    /// The name is the client's own word, and may hold what looks like a comment. So where comments name different
    /// addresses, or one has a place for an address and none that can be read, the field does not say who the client was.
    fn read_client(&mut self, tokens: &[Token<'_>]) {
        self.from_network = true;
        let mut name = None;
        let mut seen = Seen::Nothing;
        for token in tokens {
            match token {
                Token::Word(word) => name = name.or(Some(*word)),
                Token::Comment(comment) => seen = seen.and(self.read_comment(comment)),
                Token::Touching => {}
            }
        }
        // Exim names a client without a reverse name by its address, Yahoo every client.
        if seen == Seen::Nothing
            && let Some(address) = name.and_then(lone_address)
        {
            seen = Seen::Address(address);
            name = None;
        }
        if let Seen::Address(address) = seen {
            self.client_ip = Some(address);
        }
        if self.helo.is_none() {
            self.helo = name.map(<[u8]>::to_vec);
        }
    }

    fn read_comment(&mut self, comment: &[u8]) -> Seen {
        let words = || comment.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let first = words().next().unwrap_or_default();
        // qmail: the name before is the reverse name, and HELO stands in a comment of its own where it differs.
        if first.eq_ignore_ascii_case(b"helo") || first.eq_ignore_ascii_case(b"ehlo") {
            if self.helo.is_none() {
                self.helo = words().nth(1).map(<[u8]>::to_vec);
            }
            return Seen::Nothing;
        }
        // Postfix: the names in a client's certificate and of a user, whatever they are.
        if comment.starts_with(b"Client CN ") || comment.starts_with(b"Authenticated sender: ") {
            return Seen::Nothing;
        }
        // Cyrus: handed over on the same host.
        if comment.trim_ascii().eq_ignore_ascii_case(b"[unix socket]") {
            self.from_network = false;
            return Seen::Unclear;
        }
        // Exim: HELO, as one of several words beside the address.
        if self.helo.is_none() {
            self.helo = words().find_map(|word| word.strip_prefix(b"helo=")).map(<[u8]>::to_vec);
        }
        // What the client said of itself, as `helo=[192.0.2.1]` of Exim and the user that ident named, is no address.
        let said_here = || words().filter(|word| !word.contains(&b'='));
        let bracketed = said_here().map(behind_user).map(|word| match bracketed_address(word) {
            Some(address) => Seen::Address(address),
            None if word.contains(&b'[') => Seen::Unclear,
            None => Seen::Nothing,
        });
        match bracketed.fold(Seen::Nothing, Seen::and) {
            Seen::Nothing => {
                let lone = said_here().next().filter(|&word| word == first).and_then(lone_address);
                lone.map_or(Seen::Nothing, Seen::Address)
            }
            seen => seen,
        }
    }
}

/// What comments say of the client's address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Address(IpAddr),
    /// Several addresses, or the place of one that cannot be read.
    Unclear,
}

impl Seen {
    fn and(self, other: Seen) -> Seen {
        match (self, other) {
            (Seen::Nothing, seen) | (seen, Seen::Nothing) => seen,
            (Seen::Address(one), Seen::Address(other)) if one == other => self,
            _ => Seen::Unclear,
        }
    }
}

/// The first address in brackets: `host [192.0.2.1]`, `[IPv6:2001:db8::1]:25 helo=x`.
fn bracketed_address(text: &[u8]) -> Option<IpAddr> {
    let mut open = None;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'[' => open = Some(at + 1),
            b']' => {
                // Behind it may come a port or the end, not the rest of a name.
                let ends =
                    text.get(at + 1).is_none_or(|next| !(next.is_ascii_alphanumeric() || b".-_[".contains(next)));
                if let Some(found) = open.take().filter(|_| ends).and_then(|open| address(&text[open..at])) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

/// A word that is an address: bare, in brackets, or behind the user that ident named (qmail).
fn lone_address(word: &[u8]) -> Option<IpAddr> {
    let word = behind_user(word);
    bracketed_address(word).or_else(|| address(word))
}

fn behind_user(word: &[u8]) -> &[u8] {
    word.iter().rposition(|&byte| byte == b'@').map_or(word, |at| &word[at + 1..])
}

fn address(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let text = match text.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("ipv6:") => &text[5..],
        _ => text,
    };
    // Exchange writes the zone of a link-local address.
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// A date-time of RFC 5322 §3.3; the day of the week may be wrong, and comments may stand anywhere.
fn read_date(bytes: &[u8]) -> Option<i64> {
    let text = words_only(bytes)?;
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(&text).ok().map(|time| time.as_second())
}

fn words_only(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    for token in tokens(bytes) {
        if let Token::Word(word) = token {
            if text.len() + word.len() > LONGEST_DATE {
                return None;
            }
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(std::str::from_utf8(word).ok()?);
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    const MORNING: i64 = 1_795_406_400; // Mon, 23 Nov 2026 04:00:00 +0000

    /// A field, then what it says: HELO, client, server, protocol.
    type Row = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>, Option<&'static str>);

    const FIELDS: &[(&str, Row)] = &[
        (
            "Postfix",
            (
                " from mail.example.com (out1.example.com [192.0.2.7])\r\n\
                 \t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\
                 \t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\
                 \t(No client certificate requested)\r\n\
                 \tby mx.example.net (Postfix) with ESMTPS id 4XyZ1234\r\n\
                 \tfor <bob@example.net>; Mon, 23 Nov 2026 04:00:00 +0000 (UTC)",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("ESMTPS"),
            ),
        ),
        (
            "Postfix, IPv6 and a literal as HELO",
            (
                " from [IPv6:2001:db8::bad] (unknown [IPv6:2001:db8::7])\r\n\tby mx.example.net (Postfix) with SMTP id 4;\r\n\
                 \tMon, 23 Nov 2026 13:00:00 +0900 (KST)",
                Some("[IPv6:2001:db8::bad]"),
                Some("2001:db8::7"),
                Some("mx.example.net"),
                Some("SMTP"),
            ),
        ),
        (
            "Postfix, from its own user",
            (
                " by mx.example.net (Postfix, from userid 1000)\r\n\tid 4XyZ; Mon, 23 Nov 2026 04:00:00 +0000 (UTC)",
                None,
                None,
                Some("mx.example.net"),
                None,
            ),
        ),
        (
            "a client that calls itself by",
            (
                " from by (rdns.example [192.0.2.7]) by mx.example.net with ESMTP; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("by"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("ESMTP"),
            ),
        ),
        (
            "amavis",
            (
                " from mx.example.net ([127.0.0.1])\r\n\tby localhost (mx.example.net [127.0.0.1]) (amavis, port 10024)\r\n\
                 \twith ESMTP id abc for <bob@example.net>; Mon, 23 Nov 2026 04:00:00 +0000 (UTC)",
                Some("mx.example.net"),
                Some("127.0.0.1"),
                Some("localhost"),
                Some("ESMTP"),
            ),
        ),
        (
            "Exim",
            (
                " from mail.example.com ([192.0.2.7]:45678)\r\n\tby mx.example.net with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\
                 \t(Exim 4.98)\r\n\t(envelope-from <alice@example.com>)\r\n\tid 1tAbCd-000000001xY-0aBc\r\n\
                 \tfor bob@example.net;\r\n\tMon, 23 Nov 2026 04:00:00 +0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("esmtps"),
            ),
        ),
        (
            "Exim, another HELO",
            (
                " from out1.example.com ([2001:db8::7]:45678 helo=[10.0.0.1] ident=alice)\r\n\tby mx.example.net with esmtp (Exim 4.98)\r\n\
                 \tid 1t; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("[10.0.0.1]"),
                Some("2001:db8::7"),
                Some("mx.example.net"),
                Some("esmtp"),
            ),
        ),
        (
            "Exim, no reverse name",
            (
                " from [192.0.2.7] (port=3456 helo=mail.example.com)\r\n\tby mx.example.net with esmtpsa (Exim 4.98)\r\n\
                 \tid 1t; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("esmtpsa"),
            ),
        ),
        (
            "Exim, no reverse name and a literal as HELO",
            (
                " from [192.0.2.7] (helo=[198.51.100.1] ident=[198.51.100.2]) by mx.example.net with esmtp (Exim 4.98)\r\n\
                 \tid 1t; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("[198.51.100.1]"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("esmtp"),
            ),
        ),
        (
            "Exim, no reverse name and no HELO",
            (
                " from [192.0.2.7] by mx.example.net with smtp (Exim 4.98) id 1t; Mon, 23 Nov 2026 04:00:00 +0000",
                None,
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("smtp"),
            ),
        ),
        (
            "Sendmail",
            (
                " from mail.example.com (out1.example.com [192.0.2.7] (may be forged))\r\n\
                 \tby mx.example.net (8.18.1/8.18.1) with ESMTPS id 4AN400aB012345\r\n\
                 \t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NOT)\r\n\
                 \tfor <bob@example.net>; Mon, 23 Nov 2026 04:00:00 GMT",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("ESMTPS"),
            ),
        ),
        (
            "Sendmail, ident that is an address",
            (
                " from mail.example.com (IDENT:[198.51.100.1]@out1.example.com [192.0.2.7]) by mx.example.net (8.18.1/8.18.1)\r\n\
                 \twith ESMTP id 4A; Sun, 22 Nov 2026 20:00:00 -0800 (PST)",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("ESMTP"),
            ),
        ),
        (
            "Sendmail, ident and IPv6",
            (
                " from mail.example.com (IDENT:alice@out1.example.com [IPv6:2001:db8:0:0:0:0:0:7])\r\n\
                 \tby mx.example.net (8.18.1/8.18.1) with ESMTP id 4A; Sun, 22 Nov 2026 20:00:00 -0800 (PST)",
                Some("mail.example.com"),
                Some("2001:db8::7"),
                Some("mx.example.net"),
                Some("ESMTP"),
            ),
        ),
        (
            "Exchange online",
            (
                " from SEYPR01MB0001.apcprd01.prod.exchangelabs.com (2603:1096:101:1::10)\r\n\
                 \x20by PUZPR01MB0002.apcprd01.prod.exchangelabs.com (2603:1096:301:2::5) with\r\n\
                 \x20Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n\
                 \x2015.20.9343.10; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("SEYPR01MB0001.apcprd01.prod.exchangelabs.com"),
                Some("2603:1096:101:1::10"),
                Some("PUZPR01MB0002.apcprd01.prod.exchangelabs.com"),
                Some("Microsoft SMTP Server"),
            ),
        ),
        (
            "Exchange, from its own store",
            (
                " from EX01.corp.example ([fe80::1c2d:3e4f%12]) by EX01.corp.example\r\n ([fe80::1c2d:3e4f%12]) with mapi id\r\n\
                 \x2015.01.2507.044; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("EX01.corp.example"),
                Some("fe80::1c2d:3e4f"),
                Some("EX01.corp.example"),
                Some("mapi"),
            ),
        ),
        (
            "Gmail",
            (
                " from mail-sor-f41.google.com (mail-sor-f41.google.com. [2607:f8b0:4864:20::42e])\r\n\
                 \x20       by mx.google.com with SMTPS id d2e1a72fcca58sor0\r\n        for <bob@gmail.com>\r\n\
                 \x20       (Google Transport Security);\r\n        Sun, 22 Nov 2026 20:00:00 -0800 (PST)",
                Some("mail-sor-f41.google.com"),
                Some("2607:f8b0:4864:20::42e"),
                Some("mx.google.com"),
                Some("SMTPS"),
            ),
        ),
        (
            "Gmail, inside",
            (
                " by 2002:a05:6a10:1234:b0:5d1:1a2b:3c4d with SMTP id x1csp0;\r\n        Sun, 22 Nov 2026 20:00:00 -0800 (PST)",
                None,
                None,
                Some("2002:a05:6a10:1234:b0:5d1:1a2b:3c4d"),
                Some("SMTP"),
            ),
        ),
        (
            "NAVER",
            (
                " from mail.example.com (out1.example.com [192.0.2.7])\r\n  by crcvmail203.nm.naver.com with ESMTP id aB1cD2eF\r\n\
                 \x20 for <bob@naver.com>\r\n  (version=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384);\r\n\
                 \x20 Mon, 23 Nov 2026 04:00:00 -0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("crcvmail203.nm.naver.com"),
                Some("ESMTP"),
            ),
        ),
        (
            "qmail",
            (
                " from unknown (HELO mail.example.com) (alice@192.0.2.7)\r\n  by mx.example.net with ESMTPS; 23 Nov 2026 04:00:00 -0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("ESMTPS"),
            ),
        ),
        (
            "qmail, HELO and reverse name agree",
            (
                " from mail.example.com (192.0.2.7)\r\n  by mx.example.net with SMTP; 23 Nov 2026 04:00:00 -0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("SMTP"),
            ),
        ),
        ("qmail, inside", (" (qmail 1234 invoked from network); 23 Nov 2026 04:00:00 -0000", None, None, None, None)),
        (
            "Yahoo",
            (
                " from 192.0.2.7 (EHLO mail.example.com)\r\n by 10.253.1.2 with SMTPs\r\n (version=TLS1_3); Mon, 23 Nov 2026 04:00:00 +0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("10.253.1.2"),
                Some("SMTPs"),
            ),
        ),
        (
            "Courier",
            (
                " from mail.example.com (out1.example.com [::ffff:192.0.2.7])\r\n  (AUTH: LOGIN alice)\r\n\
                 \x20 by mx.example.net with ESMTPSA; Mon, 23 Nov 2026 04:00:00 +0000",
                Some("mail.example.com"),
                Some("192.0.2.7"),
                Some("mx.example.net"),
                Some("ESMTPSA"),
            ),
        ),
    ];

    /// A client may call itself anything, with parentheses and brackets in it; its address is what the server wrote.
    #[test]
    fn the_name_of_a_client_does_not_choose_its_address() {
        let field =
            |client: &str| read(format!(" from {client} by mx.example.net (Postfix) with ESMTP id 4").as_bytes());
        for client in [
            "x(192.0.2.9) (unknown [198.51.100.66])",
            "x([192.0.2.9]) (unknown [198.51.100.66])",
            "\"([192.0.2.9])\" (unknown [198.51.100.66])",
            "192.0.2.9 (unknown [198.51.100.66])",
            "[192.0.2.9] (unknown [198.51.100.66]) (using TLSv1.3 with cipher [192.0.2.9])",
            "x (unknown [198.51.100.66]) (Client CN \"[192.0.2.9]\", Issuer \"[192.0.2.9]\" (not verified))",
            "x (unknown [198.51.100.66]) (Authenticated sender: [192.0.2.9])",
            "x (HELO [192.0.2.9]) ([192.0.2.9]@198.51.100.66)",
            "(192.0.2.9 (unknown [198.51.100.66])",
        ] {
            let client_ip = field(client).client_ip.map(|ip| ip.to_string());
            assert!(matches!(client_ip.as_deref(), Some("198.51.100.66") | None), "{client}: {client_ip:?}");
        }
        for client in [
            "([192.0.2.9]) (unknown [198.51.100.66])",
            "(a.example [192.0.2.9]) (unknown [198.51.100.66])",
            "x([192.0.2.9] (unknown [198.51.100.66])",
            "x([192.0.2.9]) by other.example",
            "[192.0.2.9] (unknown [unknown])",
            "x (a[192.0.2.9].example [198.51.100.66])",
            "x (a.example [192.0.2.9] [198.51.100.66])",
        ] {
            let found = field(client);
            assert_eq!((found.client_ip, found.from_network), (None, true), "{client}");
        }
    }

    #[test]
    fn fields_as_the_mtas_write_them() {
        for (mta, (field, helo, client, by, with)) in FIELDS {
            let received = read(field.as_bytes());
            assert_eq!(received.helo.as_deref().map(|helo| helo.escape_ascii().to_string()).as_deref(), *helo, "{mta}");
            assert_eq!(received.client_ip.map(|ip| ip.to_string()).as_deref(), *client, "{mta}");
            assert_eq!(received.by.as_deref(), *by, "{mta}");
            assert_eq!(received.with.as_deref(), *with, "{mta}");
            assert_eq!(received.date, Some(MORNING), "{mta}");
            assert_eq!(received.from_network, client.is_some(), "{mta}");
        }
    }

    #[test]
    fn what_a_field_does_not_say_is_absent() {
        for field in
            ["", ";", " from", "from ;", "(", "from x (", "by", ") ( [ ]", "from ()[]", "from x ([999.1.1.1]) by"]
        {
            let received = read(field.as_bytes());
            assert_eq!((received.client_ip, received.date), (None, None), "{field:?}");
        }
        for date in ["Mon, 32 Nov 2026 04:00:00 +0000", "soon", "(Mon, 23 Nov 2026 04:00:00 +0000)", "\u{e9}"] {
            assert_eq!(read(format!("by a; {date}").as_bytes()).date, None, "{date:?}");
        }
        // The wrong day of the week, and a year of two digits.
        assert_eq!(read(b"by a; Tue, 23 Nov 26 04:00:00 GMT (why not)").date, Some(MORNING));
    }

    /// A reader that goes back over what it has seen would not come to an end here.
    #[test]
    fn hostile_fields_are_read_once() {
        for unit in ["(", "()", "[", "[]", "from ", "by ", ";", "\\(", "( helo=", "with (a", "[1.2.3.4", "a@"] {
            for front in ["", "from x ", "from x (", "from x ("] {
                let field = format!("{front}{}", unit.repeat(300_000 / unit.len()));
                assert_eq!(read(field.as_bytes()).date, None);
            }
        }
    }

    fn header(fields: &[&str]) -> Header {
        let text: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        Message::new(text.as_bytes()).header
    }

    #[test]
    fn the_client_that_handed_over_to_the_relays() {
        const STORE: &str =
            "Received: from mx ([unix socket]) by store (Cyrus) with LMTPA; Mon, 23 Nov 2026 04:00:03 +0000";
        const INSIDE: &str = "Received: by mx.example.net (Postfix) id 4; Mon, 23 Nov 2026 04:00:02 +0000";
        const RELAY: &str = "Received: from backup (backup.example.net [198.51.100.1]) by mx.example.net with ESMTP; x";
        const SILENT: &str = "Received: from mail.example.com by backup.example.net with ESMTP; x";
        const CLIENT: &str = "Received: from mail.example.com (rdns [192.0.2.7]) by backup.example.net with ESMTP; x";
        const FORGED: &str =
            "Received: from bank.example (bank.example [203.0.113.1]) by mail.example.com with ESMTP; x";
        const RELAYS: &[&str] = &["198.51.100.1"];
        for (fields, relays, want) in [
            (&[STORE, INSIDE, RELAY, CLIENT, FORGED][..], RELAYS, Some("192.0.2.7 mail.example.com")),
            (&[STORE, INSIDE, RELAY, CLIENT, FORGED], &[], Some("198.51.100.1 backup")),
            (&[RELAY, SILENT, FORGED], RELAYS, None),
            (&[RELAY, RELAY], RELAYS, None),
            (&[INSIDE], &[], None),
            (&["Subject: x"], &[], None),
            (&["Received: from [192.0.2.7] by a; x"], &[], Some("192.0.2.7 ")),
        ] {
            let found = handover(&header(fields), |ip| relays.contains(&ip.to_string().as_str()));
            let found = found.map(|found| format!("{} {}", found.client_ip, found.helo.escape_ascii()));
            assert_eq!(found.as_deref(), want, "{fields:?}");
        }
    }

    #[test]
    fn the_envelope_sender() {
        for (fields, want) in [
            (
                &["Return-Path: <alice@example.com>", "Return-Path: <forged@example.com>"][..],
                Some("<alice@example.com>"),
            ),
            (&["Return-path: <>"], Some("<>")),
            (&["Return-Path:\r\n <\"a>\\\"b\"@example.com> (a comment)"], Some("<\"a>\\\"b\"@example.com>")),
            (&["Return-Path: alice@example.com\r\n "], Some("alice@example.com")),
            (&["Return-Path: <alice"], Some("<alice")),
            (&["Return-Path:"], None),
            (&["Subject: x"], None),
        ] {
            let found = return_path(&header(fields)).map(|path| String::from_utf8(path).expect("text"));
            assert_eq!(found.as_deref(), want, "{fields:?}");
        }
    }
}
