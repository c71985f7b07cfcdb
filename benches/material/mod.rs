//! What the benchmarks work on: bodies of several kinds, a header like that of real mail, and settings with new keys.

#![allow(dead_code, reason = "each benchmark uses its own share")]

use std::{fmt::Write, path::Path};
use waxseal::{config::Settings, dkim::KeyType, key, message::Header};

/// Postfix hands a body over in pieces of at most this size.
pub const PIECE: usize = 65_535;

/// A kind of text that bodies consist of.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Words in lines of about 70 characters: canonical as it is.
    Plain,
    /// Lines of 76 characters without a blank, as attachments are written.
    Base64,
    /// Indented, with tabs, runs of blanks and blanks at the line ends: nothing passes unchanged.
    Whitespace,
    /// Words, and not one line end.
    OneLine,
    /// Lines of two or three characters.
    ShortLines,
    /// Nothing but empty lines.
    EmptyLines,
}

/// Every kind.
pub const KINDS: [Kind; 6] =
    [Kind::Plain, Kind::Base64, Kind::Whitespace, Kind::OneLine, Kind::ShortLines, Kind::EmptyLines];

/// A body of exactly `size` octets, the same at every run.
pub fn body(kind: Kind, size: usize) -> Vec<u8> {
    const WORDS: [&str; 12] =
        ["the", "invoice", "of", "November", "is", "attached", "and", "due", "within", "thirty", "days,", "please"];
    let mut words = WORDS.iter().cycle();
    let mut word = || *words.next().expect("a cycle has no end");
    let mut text = String::with_capacity(size + 128);
    let mut number = 0_usize;
    while text.len() < size {
        number += 1;
        match kind {
            Kind::Plain => {
                let line: Vec<&str> = (0..10 + number % 4).map(|_| word()).collect();
                text += &line.join(" ");
                text += "\r\n";
            }
            Kind::Base64 => {
                const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
                text.extend((0..76).map(|at| char::from(ALPHABET[(at * 37 + number * 11) % 64])));
                text += "\r\n";
            }
            Kind::Whitespace => {
                for _ in 0..8 {
                    let _ = write!(text, "  \t{}  {}\t", word(), word());
                }
                text += " \t \r\n";
            }
            Kind::OneLine => {
                text += word();
                text.push(' ');
            }
            Kind::ShortLines => text += ["ab\r\n", "abc\r\n"][number % 2],
            Kind::EmptyLines => text += "\r\n",
        }
    }
    text.truncate(size);
    text.into_bytes()
}

/// Names and values, values with their leading blank, as Postfix hands them over.
pub const FIELDS: [(&str, &str); 20] = [
    (
        "Received",
        " from app1.example.com (app1.example.com [192.0.2.7])\n\tby mail.example.com (Postfix) with ESMTPSA id 4bWq3T1zKpz9vK\n\tfor <bob@example.net>; Mon, 23 Nov 2026 04:00:00 +0000 (UTC)",
    ),
    (
        "Received",
        " from localhost (localhost [127.0.0.1])\n\tby app1.example.com (Postfix) with ESMTP id 4bWq3S0zKpz9vK\n\tfor <bob@example.net>; Mon, 23 Nov 2026 03:59:59 +0000 (UTC)",
    ),
    ("Date", " Mon, 23 Nov 2026 04:00:00 +0000"),
    ("From", " \"Example Billing\" <billing@example.com>"),
    ("Sender", " <app@example.com>"),
    ("Reply-To", " <support@example.com>"),
    ("To", " Bob <bob@example.net>,\n\tCarol <carol@example.org>"),
    ("Cc", " <archive@example.com>"),
    ("Subject", " Your invoice of November 2026, number 2026-11-0815"),
    ("Message-ID", " <20261123040000.4711@example.com>"),
    ("In-Reply-To", " <20261120093000.4699@example.com>"),
    ("References", " <20261119101500.4690@example.com>\n\t<20261120093000.4699@example.com>"),
    ("MIME-Version", " 1.0"),
    ("Content-Type", " text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", " 7bit"),
    ("List-Unsubscribe", " <https://example.com/unsubscribe/4711>"),
    ("List-Unsubscribe-Post", " List-Unsubscribe=One-Click"),
    ("X-Mailer", " Example Billing 7.3"),
    ("X-Priority", " 3"),
    ("Auto-Submitted", " auto-generated"),
];

/// The header that consists of [`FIELDS`].
pub fn header() -> Header {
    let mut header = Header::new();
    for (name, value) in FIELDS {
        header.push_lf(name.as_bytes(), value.as_bytes());
    }
    header
}

/// Settings with one listener and new keys below `folder`: example.com has an RSA key, example.org an RSA and an Ed25519 key.
pub fn settings(folder: &Path, socket: &str) -> Settings {
    let keys = folder.join("keys");
    std::fs::create_dir(&keys).expect("a new folder");
    for (name, algorithm) in [
        ("example.com.bench.pem", KeyType::Rsa),
        ("example.org.bench.pem", KeyType::Rsa),
        ("example.org.ed.pem", KeyType::Ed25519),
    ] {
        key::generate(algorithm).expect("a key").write(&keys.join(name)).expect("written");
    }
    let text = format!(
        "[[listener]]\nsocket = \"{socket}\"\nmode = \"sign\"\n\
         [domains.\"example.com\"]\nselector = \"bench\"\n\
         [domains.\"example.org\"]\nselector = \"bench\"\ned25519 = {{ selector = \"ed\" }}\n"
    );
    Settings::parse(&text, &folder.join("waxseal.toml")).expect("settings")
}
