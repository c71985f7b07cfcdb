//! A private key where everybody can read it: found in texts, and replaced by its fingerprint wherever they are shown.
//!
//! Whatever shows records or texts of strangers asks here first ([`records`], [`text`]). A key is recognised by the DER
//! of its first octets or by its PEM armour, through quotes, blanks and backslashes; what was cut off before its first
//! octet cannot be.

use crate::{
    dkim::secret,
    dns::{Answer, Data, Record},
};
use base64::{
    alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::borrow::Cow;

/// Any group of base64 characters, padded or not: a cut key is one too.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stands for a record beside a private key.
const HIDDEN_PART: &[u8] = b"(not shown: a part of a private key)";

/// The private key in a text, by the SHA-256 of the record that holds it.
pub fn fingerprint(text: &[u8]) -> Option<String> {
    // What a panel makes of a key is seen through, but the text itself is what a recording keeps the digest of.
    secret::fingerprint(text).or_else(|| secret::fingerprint(&plain(text)))
}

/// A text as it may be shown.
pub fn text(text: &str) -> Cow<'_, str> {
    match fingerprint(text.as_bytes()) {
        Some(fingerprint) => Cow::Owned(instead(&fingerprint)),
        None => Cow::Borrowed(text),
    }
}

/// The records of an answer as they may be shown: the character-strings of each TXT record one by one, others as one text.
///
/// Where one record holds a private key, those beside it that are nothing but base64 may be the rest of it.
pub fn records(answer: &Answer) -> Vec<(&Record, Vec<Cow<'_, [u8]>>)> {
    let secrets: Vec<Option<String>> = answer.records.iter().map(secret_of).collect();
    let any = secrets.iter().any(Option::is_some);
    answer
        .records
        .iter()
        .zip(&secrets)
        .map(|(record, secret)| {
            let strings = match (&record.data, secret) {
                (_, Some(fingerprint)) => vec![Cow::Owned(instead(fingerprint).into_bytes())],
                (Data::Txt(strings), None) if any && is_base64(&strings.concat()) => vec![Cow::Borrowed(HIDDEN_PART)],
                (Data::Txt(strings), None) => strings.iter().map(|string| Cow::Borrowed(&string[..])).collect(),
                (other, None) => vec![Cow::Owned(super::report::shown(other).into_bytes())],
            };
            (record, strings)
        })
        .collect()
}

fn secret_of(record: &Record) -> Option<String> {
    match &record.data {
        Data::Txt(strings) => fingerprint(&strings.concat()),
        _ => None,
    }
}

fn instead(fingerprint: &str) -> String {
    format!("(not shown: a private key, SHA-256 of the record {fingerprint})")
}

/// Nothing but base64, and enough of it to be worth hiding.
fn is_base64(text: &[u8]) -> bool {
    let plain = plain(text);
    plain.len() >= 16 && plain.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b))
}

/// Without what a panel puts between the characters of a key: blanks, quotes, backslashes and an `n` after them.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut escaped = false;
    for &octet in text {
        let skipped = octet.is_ascii_whitespace() || b"\"'\\".contains(&octet) || escaped && b"nrt".contains(&octet);
        escaped = octet == b'\\';
        if !skipped {
            plain.push(octet);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use rsa::{
        RsaPrivateKey,
        pkcs1::EncodeRsaPrivateKey,
        pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding},
        rand_core::OsRng,
    };

    #[test]
    fn private_keys_are_found_through_what_panels_do() {
        let key = RsaPrivateKey::new(&mut OsRng, 1024).expect("a key");
        let new = STANDARD.encode(key.to_pkcs8_der().expect("a form").as_bytes());
        let old = STANDARD.encode(key.to_pkcs1_der().expect("a form").as_bytes());
        let pem = key.to_pkcs8_pem(LineEnding::CRLF).expect("a form").to_string();
        for text in [
            format!("v=DKIM1; k=rsa; p={new}"),
            format!("v=DKIM1; k=rsa; p={old}"),
            format!("p={}", &old[..200]),
            format!("\"v=DKIM1; p={}\" \"{}\"", &new[..20], &new[20..]),
            pem.replace("\r\n", "\\n"),
            pem,
        ] {
            assert!(fingerprint(text.as_bytes()).is_some(), "{text}");
            assert!(!super::text(&text).contains(&old[40..60]), "{text}");
        }
        let public = STANDARD.encode(key.to_public_key().to_public_key_der().expect("a form").as_bytes());
        for text in [format!("v=DKIM1; k=rsa; p={public}"), "MX MIME MIMI".into(), "v=spf1 -all".into(), String::new()]
        {
            assert_eq!(fingerprint(text.as_bytes()), None, "{text}");
        }
    }
}
