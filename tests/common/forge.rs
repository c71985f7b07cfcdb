//! Messages signed by hand, rightly or wrongly: whatever a signature says, its digests are those of a sloppy signer.
//!
//! Nothing of the library is used, so that a mistake in it cannot hide itself. The canonicalizations are those of
//! RFC 6376 §3.4, written for plainness and not for speed.

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    encoding::AsBigEndian,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey, pkcs8::EncodePublicKey, rand_core::OsRng, traits::PublicKeyParts};
use std::{fmt::Write, sync::LazyLock};

/// A private key of any size, sound or not.
pub enum Key {
    Rsa(Box<RsaPrivateKey>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// The keys that tests share, made once.
pub static RSA_2048: LazyLock<Key> = LazyLock::new(|| Key::rsa(2048));
pub static RSA_1024: LazyLock<Key> = LazyLock::new(|| Key::rsa(1024));
pub static OTHER_2048: LazyLock<Key> = LazyLock::new(|| Key::rsa(2048));
pub static ED25519: LazyLock<Key> =
    LazyLock::new(|| Key::Ed25519(Box::new(Ed25519KeyPair::generate().expect("a key"))));

impl Key {
    pub fn rsa(bits: usize) -> Key {
        Key::Rsa(Box::new(RsaPrivateKey::new(&mut OsRng, bits).expect("a key")))
    }

    /// p=, as it is to be published.
    pub fn public(&self) -> String {
        match self {
            Key::Rsa(key) => STANDARD.encode(key.to_public_key().to_public_key_der().expect("a key has a form")),
            Key::Ed25519(pair) => STANDARD.encode(pair.public_key().as_ref()),
        }
    }

    /// p= as a bare RSAPublicKey.
    pub fn public_pkcs1(&self) -> String {
        use rsa::pkcs1::EncodeRsaPublicKey;
        match self {
            Key::Rsa(key) => STANDARD.encode(key.to_public_key().to_pkcs1_der().expect("a key has a form")),
            Key::Ed25519(_) => panic!("only RSA keys have it"),
        }
    }

    /// What must never stand in p=, and does where somebody publishes the wrong file: the private key in both forms.
    pub fn private(&self) -> [String; 2] {
        use rsa::{pkcs1::EncodeRsaPrivateKey, pkcs8::EncodePrivateKey};
        match self {
            Key::Rsa(key) => {
                let (pkcs8, pkcs1) = (key.to_pkcs8_der(), key.to_pkcs1_der());
                let form = "a key has a form";
                [STANDARD.encode(pkcs8.expect(form).as_bytes()), STANDARD.encode(pkcs1.expect(form).as_bytes())]
            }
            Key::Ed25519(_) => panic!("only RSA keys have both"),
        }
    }

    /// The private key in the form of PEM, as PKCS#8.
    pub fn pem(&self) -> String {
        let der = match self {
            Key::Rsa(_) => self.private()[0].clone(),
            Key::Ed25519(pair) => STANDARD.encode(pair.to_pkcs8v1().expect("a key has a form").as_ref()),
        };
        let lines: Vec<&str> = der.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    /// The seed of an Ed25519 key, in base64.
    pub fn seed(&self) -> String {
        match self {
            Key::Ed25519(pair) => {
                STANDARD.encode(pair.seed().and_then(|seed| seed.as_be_bytes()).expect("it has one").as_ref())
            }
            Key::Rsa(_) => panic!("only Ed25519 keys have one"),
        }
    }

    /// The whole key record.
    pub fn record(&self) -> String {
        match self {
            Key::Rsa(_) => format!("v=DKIM1; k=rsa; p={}", self.public()),
            Key::Ed25519(_) => format!("v=DKIM1; k=ed25519; p={}", self.public()),
        }
    }

    /// Signs octets that are canonical already.
    pub fn sign(&self, octets: &[u8], sha1: bool) -> Vec<u8> {
        match self {
            Key::Ed25519(pair) => pair.sign(digest(&SHA256, octets).as_ref()).as_ref().to_vec(),
            Key::Rsa(key) => {
                let (digest, info) = match sha1 {
                    true => (digest(&SHA1_FOR_LEGACY_USE_ONLY, octets), SHA1_INFO),
                    false => (digest(&SHA256, octets), SHA256_INFO),
                };
                let scheme = Pkcs1v15Sign { hash_len: Some(digest.as_ref().len()), prefix: info.into() };
                // Keys too small for the padding of PKCS#1 sign nothing; then any octets do.
                key.sign(scheme, digest.as_ref()).unwrap_or_else(|_| vec![0x42; key.size()])
            }
        }
    }
}

/// DigestInfo of RFC 8017 §9.2, note 1.
const SHA1_INFO: &[u8] = &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
const SHA256_INFO: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// A public RSA key of any size that nobody has the other half of: p=.
pub fn giant(bits: usize) -> String {
    let modulus = (BigUint::from(1u8) << (bits - 1)) + BigUint::from(0x0001_0001u32);
    let key =
        rsa::RsaPublicKey::new_with_max_size(modulus, BigUint::from(65537u32), bits).expect("odd, and large enough");
    STANDARD.encode(key.to_public_key_der().expect("a key has a form"))
}

/// A DKIM-Signature to be made.
#[derive(Clone)]
pub struct Signer<'a> {
    name: &'static str,
    key: &'a Key,
    tags: Vec<(String, Vec<u8>)>,
    suffix: Vec<u8>,
    prepared_as: Option<&'static str>,
}

impl<'a> Signer<'a> {
    /// A sound signature of `domain`, under the selector `sel`.
    pub fn new(key: &'a Key, domain: &str) -> Signer<'a> {
        let algorithm = match key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let tags = [
            ("v", "1"),
            ("a", algorithm),
            ("c", "relaxed/relaxed"),
            ("d", domain),
            ("s", "sel"),
            ("h", "from:to:subject:date"),
            ("bh", ""),
            ("b", ""),
        ];
        let tags = tags.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        Signer { name: "DKIM-Signature", key, tags: tags.into(), suffix: Vec::new(), prepared_as: None }
    }

    /// For another field than DKIM-Signature.
    pub fn named(mut self, name: &'static str) -> Signer<'a> {
        self.name = name;
        self
    }

    /// Prepares header and body in this form, whatever c= says.
    pub fn prepared_as(mut self, form: &'static str) -> Signer<'a> {
        self.prepared_as = Some(form);
        self
    }

    /// With this value of a tag; where there is none yet, it comes before bh=. `bh` and `b` are then not computed.
    pub fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Signer<'a> {
        let value = value.as_ref().to_vec();
        match self.tags.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.tags.insert(self.tags.len() - 2, (name.to_owned(), value)),
        }
        self
    }

    /// With one more tag, even if there is one of this name.
    pub fn add(mut self, name: &str, value: impl AsRef<[u8]>) -> Signer<'a> {
        self.tags.insert(self.tags.len() - 2, (name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Without a tag.
    pub fn without(mut self, name: &str) -> Signer<'a> {
        self.tags.retain(|(known, _)| known != name);
        self
    }

    /// The message with its signature on top.
    pub fn sign(&self, mail: &[u8]) -> Vec<u8> {
        [self.field(mail), mail.to_vec()].concat()
    }

    /// The signature field of a message, its line end included.
    pub fn field(&self, mail: &[u8]) -> Vec<u8> {
        let (header, body) = split(mail);
        let (canon_header, canon_body) = self.canonicalization();
        let sha1 = self.get("a") == b"rsa-sha1";
        let mut body = body_form(canon_body, body);
        let length = String::from_utf8_lossy(self.get("l")).parse().unwrap_or(usize::MAX);
        body.truncate(length);
        let hash = match sha1 {
            true => digest(&SHA1_FOR_LEGACY_USE_ONLY, &body),
            false => digest(&SHA256, &body),
        };
        let unsigned = self.text(&STANDARD.encode(hash.as_ref()), "");
        let mut octets = Vec::new();
        for field in selected(&header, self.get("h")) {
            octets.extend(header_form(canon_header, field));
            octets.extend(b"\r\n");
        }
        octets.extend(header_form(canon_header, &unsigned));
        let signature = STANDARD.encode(self.key.sign(&octets, sha1));
        [self.text(&STANDARD.encode(hash.as_ref()), &signature), b"\r\n".to_vec()].concat()
    }

    fn get(&self, name: &str) -> &[u8] {
        self.tags.iter().find(|(known, _)| known == name).map_or(b"", |(_, value)| value)
    }

    fn canonicalization(&self) -> (bool, bool) {
        let text = match self.get("c") {
            _ if self.prepared_as.is_some() => self.prepared_as.unwrap_or_default().into(),
            b"" if self.name != "DKIM-Signature" => "relaxed/relaxed".into(),
            text => String::from_utf8_lossy(text).into_owned(),
        };
        let (header, body) = text.split_once('/').unwrap_or((&text, "simple"));
        (header == "relaxed", body == "relaxed")
    }

    fn text(&self, hash: &str, signature: &str) -> Vec<u8> {
        let mut field = format!("{}:", self.name).into_bytes();
        for (at, (name, value)) in self.tags.iter().enumerate() {
            field.extend(if at == 0 { &b" "[..] } else { b"; " });
            field.extend(name.as_bytes());
            field.push(b'=');
            match (name.as_str(), value.as_slice()) {
                ("bh", b"") => field.extend(hash.as_bytes()),
                ("b", b"") => field.extend(signature.as_bytes()),
                (_, value) => field.extend(value),
            }
        }
        field.extend(&self.suffix);
        field
    }
}

/// The fields of a header, top first, and the body.
pub(super) fn split(mail: &[u8]) -> (Vec<Vec<u8>>, &[u8]) {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let mut rest = mail;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest.len(), |at| at + 2);
        let (line, after) = rest.split_at(end);
        rest = after;
        match (line, fields.last_mut()) {
            (b"\r\n", _) => return (fields, rest),
            ([b' ' | b'\t', ..], Some(field)) => field.extend(line),
            _ => fields.push(line.to_vec()),
        }
    }
    (fields, b"")
}

pub(super) fn name_of(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == b':').unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).trim().to_ascii_lowercase()
}

/// What h= names, the lowest field of each name first (§5.4.2).
fn selected<'h>(header: &'h [Vec<u8>], names: &[u8]) -> Vec<&'h [u8]> {
    let mut left: Vec<&[u8]> = header.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    for name in String::from_utf8_lossy(names).split(':') {
        if let Some(at) = left.iter().rposition(|field| name_of(field) == name.trim().to_ascii_lowercase()) {
            out.push(left.remove(at));
        }
    }
    out
}

/// One field, without its line end.
pub(super) fn header_form(relaxed: bool, field: &[u8]) -> Vec<u8> {
    let field = field.strip_suffix(b"\r\n").unwrap_or(field);
    if !relaxed {
        return field.to_vec();
    }
    let colon = field.iter().position(|&byte| byte == b':').unwrap_or(field.len());
    let mut out = name_of(field).into_bytes();
    out.push(b':');
    let value: Vec<u8> =
        field[(colon + 1).min(field.len())..].iter().copied().filter(|b| !b"\r\n".contains(b)).collect();
    let words = value.split(|b| b" \t".contains(b)).filter(|word| !word.is_empty());
    out.extend(words.collect::<Vec<_>>().join(&b' '));
    out
}

/// A body whose lines end in CRLF.
fn body_form(relaxed: bool, body: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap_or(rest.len());
        lines.push(if relaxed { relaxed_line(&rest[..end]) } else { rest[..end].to_vec() });
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    let mut out: Vec<u8> = lines.into_iter().flat_map(|line| [line, b"\r\n".to_vec()].concat()).collect();
    if out.is_empty() && !relaxed {
        out.extend(b"\r\n");
    }
    out
}

fn relaxed_line(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for &byte in line {
        match byte {
            b' ' | b'\t' if out.last() == Some(&b' ') => {}
            b' ' | b'\t' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out
}

/// A master file under construction.
#[derive(Clone, Default)]
pub struct Zone(String);

impl Zone {
    /// With a TXT record, cut into strings of at most 255 octets.
    pub fn txt(mut self, name: &str, text: &str) -> Zone {
        let strings: Vec<String> = text.as_bytes().chunks(255).map(quoted).collect();
        writeln!(self.0, "{name}. 300 IN TXT ( {} )", strings.join("\n\t")).expect("a String takes it");
        self
    }

    /// With any line.
    pub fn line(mut self, line: &str) -> Zone {
        writeln!(self.0, "{line}").expect("a String takes it");
        self
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

fn quoted(octets: &[u8]) -> String {
    let mut out = String::from("\"");
    for &octet in octets {
        match octet {
            b'"' | b'\\' => out.extend(['\\', octet as char]),
            b' '..=b'~' => out.push(octet as char),
            _ => write!(out, "\\{octet:03}").expect("a String takes it"),
        }
    }
    out + "\""
}
