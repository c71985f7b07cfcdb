//! Signed messages, and what befalls them: key records of every kind, signatures with odd tags that are otherwise sound,
//! and messages changed on their way in ways that matter and in ways that must not.

use super::{
    forge::{ED25519, Key, OTHER_2048, RSA_1024, RSA_2048, Signer},
    mail::Random,
};
use std::sync::LazyLock;

/// The domain that signs.
pub const DOMAIN: &str = "example.com";

static RSA_768: LazyLock<Key> = LazyLock::new(|| Key::rsa(768));

/// A selector, its record, and the key that signs under it.
pub struct Selector {
    pub name: String,
    pub record: String,
    key: &'static Key,
}

/// Key records of every kind, each under a selector of its own.
pub fn selectors() -> Vec<Selector> {
    let (rsa, ed, pkcs1) = (RSA_1024.public(), ED25519.public(), RSA_2048.public_pkcs1());
    let broken = format!("{} {}", &rsa[..40], &rsa[40..]);
    let rows: Vec<(String, &'static Key)> = vec![
        (RSA_1024.record(), &RSA_1024),
        (RSA_1024.record(), &RSA_1024),
        (RSA_2048.record(), &RSA_2048),
        (ED25519.record(), &ED25519),
        (RSA_768.record(), &RSA_768),
        (OTHER_2048.record(), &RSA_2048),
        (format!("p={rsa}"), &RSA_1024),
        (format!("k=rsa;p={rsa};"), &RSA_1024),
        (format!(" v = DKIM1 ; k = rsa ; p = {broken} ; "), &RSA_1024),
        (format!("v=DKIM1;\tk=rsa;\tp={rsa}\t"), &RSA_1024),
        (format!("v=DKIM1; p={pkcs1}"), &RSA_2048),
        (format!("v=DKIM1; h=sha256; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; h=sha1:sha256; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; h=sha1; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; h=; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; s=email; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; s=*; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; s=other:email; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; s=other; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; s=tlsrpt; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; t=y; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; t=s; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; t=y:s; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; g=*; n=a note; x-y=1; z_=2; p={rsa}"), &RSA_1024),
        (format!("v=DKIM2; p={rsa}"), &RSA_1024),
        (format!("v=dkim1; p={rsa}"), &RSA_1024),
        (format!("k=rsa; v=DKIM1; p={rsa}"), &RSA_1024),
        (format!("V=DKIM1; P={rsa}"), &RSA_1024),
        (format!("v=DKIM1; k=RSA; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; k=ed25519; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; k=dsa; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; p={rsa}; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1;; p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; p={rsa};;"), &RSA_1024),
        (format!("v=DKIM1; p={}", rsa.trim_end_matches('=')), &RSA_1024),
        (format!("v=DKIM1; p={}", &rsa[..100]), &RSA_1024),
        (format!("v=DKIM1; p={rsa}AAAA"), &RSA_1024),
        (format!("v=DKIM1; p=\"{rsa}\""), &RSA_1024),
        (format!("v=DKIM1 k=rsa p={rsa}"), &RSA_1024),
        (format!("v=DKIM1; k=ed25519; p={ed} "), &ED25519),
        (format!("v=DKIM1; k=ed25519; p={}", ed.trim_end_matches('=')), &ED25519),
        (format!("v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA{ed}"), &ED25519),
        (format!("v=DKIM1; p={ed}"), &ED25519),
        ("v=DKIM1; p=".into(), &RSA_1024),
        ("v=DKIM1; k=rsa".into(), &RSA_1024),
        ("a note of no concern".into(), &RSA_1024),
    ];
    let named = |(number, (record, key))| Selector { name: format!("s{number}"), record, key };
    rows.into_iter().enumerate().map(named).collect()
}

/// A message of random fields and lines, with one signature; `now` is in seconds since 1970.
pub fn signed(random: &mut Random, selectors: &[Selector], now: u64) -> Vec<u8> {
    let mail = plain(random);
    // Half of the messages have nothing odd about their key.
    let selector = &selectors[if random.below(2) == 0 { random.below(4) } else { random.below(selectors.len()) }];
    let canonicalization =
        random.pick(&["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed", "relaxed/relaxed"]);
    let fields = random.pick(&[
        "from:to:subject:date",
        "From : To : Subject",
        "from",
        "from:from:to:to:subject:subject:x-none",
        "x-a:from:x-a:message-id:mime-version",
        "Subject:From:To:Date:Message-ID:Content-Type:X-A:X-A:X-A",
    ]);
    let mut signer = Signer::new(selector.key, DOMAIN)
        .set("s", &selector.name)
        .set("c", canonicalization)
        .set("h", fields)
        .set("t", (now - 1000).to_string());
    for _ in 0..[0, 0, 0, 1, 2][random.below(5)] {
        signer = odd_tag(random, signer, now);
    }
    signer.sign(&mail)
}

fn plain(random: &mut Random) -> Vec<u8> {
    let mut mail = Vec::new();
    let values: [&[u8]; 8] = [
        b" plain words",
        b" two  blanks\tand a tab ",
        b"no blank",
        b" folded\r\n here\r\n\tand here",
        b"\r\n on the next line",
        b"",
        b" \xed\x95\x9c\xea\xb8\x80",
        b" a:b; c=d \"q\" <x@y>",
    ];
    for name in ["Received", "From", "To", "Subject", "Date", "Message-ID", "X-A", "X-A", "Content-Type"] {
        if name != "From" && random.below(4) == 0 {
            continue;
        }
        mail.extend(name.as_bytes());
        mail.push(b':');
        match name {
            "From" => mail.extend(b" A <a@example.com>"),
            _ => mail.extend(random.pick(&values)),
        }
        mail.extend(b"\r\n");
    }
    mail.extend(b"\r\n");
    let lines: [&[u8]; 8] =
        [b"Hello there", b"", b"", b"  indented  and\twide \t", b" ", b".", b"\xed\x95\x9c\xea\xb8\x80", b"From here"];
    for _ in 0..random.below(8) {
        mail.extend(random.pick(&lines));
        mail.extend(b"\r\n");
    }
    if random.below(5) == 0 {
        mail.extend(b"no line end");
    }
    mail
}

/// What a signer may write, rightly or wrongly; its digests are right for it.
fn odd_tag<'a>(random: &mut Random, signer: Signer<'a>, now: u64) -> Signer<'a> {
    let values: [(&str, &[&str]); 13] = [
        (
            "i",
            &[
                "@example.com",
                "a@sub.example.com",
                "@EXAMPLE.com",
                "a=40b@example.com",
                "@example.org",
                "@notexample.com",
                "example.com",
                "",
            ],
        ),
        ("q", &["dns/txt", "dns", "dns/txt:http/x", " dns/txt ", "http/x", ""]),
        ("l", &["0", "3", "5", "11", "1000", "007", "-1", "1e3", "", "99999999999999999999999"]),
        ("z", &["From:a@b|To:c", "x", ""]),
        ("v", &["1", "2", "1.0", ""]),
        ("a", &["rsa-sha1", "RSA-SHA256", "rsa-md5", "rsa", "ed25519-sha256", "rsa-sha256"]),
        ("c", &["relaxed", "simple", "Relaxed/simple", "nofws", "relaxed/relaxed/relaxed", "simple/", ""]),
        (
            "d",
            &[
                "EXAMPLE.COM",
                "example.com.",
                "example.com'",
                "example.com\"",
                "exam ple.com",
                "(example.com",
                "com",
                "",
            ],
        ),
        ("h", &["to:subject", "from:to:", ":from", "FROM:to", "from:b\u{e9}", "from from", "from\r\n\t:to", ""]),
        ("zz", &["", "1", "a=b=c", "\u{e9}", "a\\000", "a\tb"]),
        ("ZZ", &["1"]),
        ("_y", &["1"]),
        ("y-y", &["1"]),
    ];
    match random.below(values.len() + 5) {
        at if at < values.len() => {
            let (name, values) = values[at];
            signer.set(name, random.pick(values))
        }
        0 => signer,
        other => match other - values.len() {
            0 => {
                let name = random.pick(&["v", "a", "c", "d", "s", "h", "t", "bh", "zz"]);
                signer.add(name, "1").add(name, "1")
            }
            1 => signer.without(random.pick(&["v", "a", "c", "d", "s", "h", "bh", "b", "t"])),
            2 => {
                let past = random.pick(&["-1000", "-7200", "-100000", "7200", "100000"]);
                signer.set("t", shifted(now, past))
            }
            3 => {
                let at = random.pick(&["-1001", "-1000", "-999", "-7200", "-100000", "100000", "x"]);
                signer.set("x", shifted(now, at))
            }
            _ => {
                let bodyless = random.pick(&["AAAA", "!!!!", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", " "]);
                signer.set("bh", bodyless)
            }
        },
    }
}

fn shifted(now: u64, by: &str) -> String {
    match by.parse::<i64>() {
        Ok(by) => now.saturating_add_signed(by).to_string(),
        Err(_) => by.to_owned(),
    }
}

/// The message after one mishap.
pub fn mishap(random: &mut Random, mail: &[u8]) -> Vec<u8> {
    let mut mail = mail.to_vec();
    let body = mail.windows(4).position(|four| four == b"\r\n\r\n").map_or(mail.len(), |at| at + 4);
    let lines: Vec<usize> = mail.windows(2).enumerate().filter(|(_, two)| two == b"\r\n").map(|(at, _)| at).collect();
    let any = random.below(mail.len());
    let line = lines[random.below(lines.len())];
    match random.below(20) {
        0 => mail.extend(b"\r\n\r\n"),
        1 => mail.extend(b"appended\r\n"),
        2 => mail.extend(b" \t"),
        3 => insert(&mut mail, line, b" "),
        4 => insert(&mut mail, line, b" \t "),
        5 => insert(&mut mail, line + 2, b"\t"),
        6 => mail[any] ^= 1 << random.below(7),
        7 => drop(mail.remove(any)),
        8 => insert(&mut mail, any, random.pick(&[&b" "[..], b"\r\n ", b"\r\n\t", b";", b"=", b"\0", b"\xff", b"x"])),
        9 => mail.truncate(body + (mail.len() - body) / 2),
        10 => replace(&mut mail, b"\r\n\r\n", b"\r\n"),
        11 => replace(&mut mail, b"Subject:", b"SUBJECT:"),
        12 => replace(&mut mail, b"Subject:", b"Subject :"),
        13 => replace(&mut mail, b"To:", b"To: "),
        14 => mail.splice(0..0, *b"Received: from x by y\r\n").for_each(drop),
        15 => {
            let field: &[u8] = random.pick(&[
                &b"From: <x@example.org>\r\n"[..],
                b"Subject: another\r\n",
                b"X-A: another\r\n",
                b"From x@y Mon Nov 23 04:00:00 2026\r\n",
                b"DKIM-Signature: v=1\r\n",
            ]);
            mail.splice(0..0, field.iter().copied()).for_each(drop);
        }
        16 => replace(&mut mail, b"; b=", b";\r\n\tb="),
        17 => replace(&mut mail, b"bh=", b"bh= "),
        18 => replace(&mut mail, b"=relaxed", b"= relaxed"),
        // Bare CR and LF, form feed and their like: rarely, as nobody agrees on them.
        _ if random.below(4) == 0 => insert(&mut mail, any, random.pick(&[&b"\r"[..], b"\n", b"\x0b", b"\x0c"])),
        _ => replace(&mut mail, b"  ", b" "),
    }
    mail
}

fn insert(mail: &mut Vec<u8>, at: usize, what: &[u8]) {
    mail.splice(at..at, what.iter().copied()).for_each(drop);
}

fn replace(mail: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    if let Some(at) = mail.windows(from.len()).position(|part| part == from) {
        mail.splice(at..at + from.len(), to.iter().copied()).for_each(drop);
    }
}
