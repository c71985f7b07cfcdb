//! A private key where a public one belongs: found, so that it can be kept out of everything that is printed or written.
//!
//! Found wherever it stands in a record, cut short or not: half a private key is a secret too. What cannot be told from
//! other octets, such as the bare 32 of an Ed25519 seed, is not found.

use super::der;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// How [`stand_in`] begins.
const STAND_IN: &str = "private key withheld, SHA-256 of the record ";

/// The base64 digits from which [`der::is_private_key`] can tell; 48 octets.
const ENOUGH: usize = 64;

/// The fewest base64 digits that hold the type, the version and the next element of a private key.
const FEWEST: usize = 12;

/// The first line of a private key in the form of PEM (RFC 7468 §10) or of OpenSSH, blanks removed.
const PEM: &[u8] = b"PRIVATEKEY-----";

/// The `openssh-key-v1` that a key in the form of OpenSSH begins with.
const OPENSSH: &[u8] = b"b3BlbnNzaC1rZXktdjE";

/// Does the text of a TXT record, its character-strings joined, hold a private key anywhere?
pub fn holds_private_key(text: &[u8]) -> bool {
    // Blanks, quotes and backslashes come in where a key is published by hand.
    let text: Vec<u8> =
        text.iter().copied().filter(|byte| !byte.is_ascii_whitespace() && !b"\"\\".contains(byte)).collect();
    if [PEM, OPENSSH].iter().any(|mark| text.windows(mark.len()).any(|window| window == *mark)) {
        return true;
    }
    // Each such key is an ASN.1 SEQUENCE, 0x30, and so its first digit is an M.
    text.iter().enumerate().filter(|(_, byte)| **byte == b'M').any(|(at, _)| is_private_key_here(&text[at..]))
}

/// What stands in the place of a record with a private key: enough to see that two are the same, and nothing else.
/// Read as a key record, it has the same fault as the record itself.
pub fn stand_in(text: &[u8]) -> String {
    let digest: String = Sha256::digest(text).iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{STAND_IN}{digest}")
}

/// What two such records are compared by: the SHA-256 of the text, also where a stand-in is all that is left of it.
pub fn fingerprint(text: &[u8]) -> Option<String> {
    let stand_in = match text.strip_prefix(STAND_IN.as_bytes()) {
        Some(digest) => return Some(String::from_utf8_lossy(&digest[..digest.len().min(64)]).into_owned()),
        None if holds_private_key(text) => stand_in(text),
        None => return None,
    };
    stand_in.strip_prefix(STAND_IN).map(str::to_owned)
}

/// Is this what [`stand_in`] gave?
pub(super) fn is_stand_in(text: &[u8]) -> bool {
    text.starts_with(STAND_IN.as_bytes())
}

fn is_private_key_here(text: &[u8]) -> bool {
    let digits = text.iter().take(ENOUGH).take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte));
    let digits = digits.count() / 4 * 4;
    digits >= FEWEST && STANDARD.decode(&text[..digits]).is_ok_and(|octets| der::is_private_key(&octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::record::{KeyFault, KeyRecord};

    /// The first octets of an RSA key in PKCS#8 and of an Ed25519 key; what follows does not matter.
    const PKCS8: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDkHlOQoBTzWRiGs5V6NpP3";
    const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";

    #[test]
    fn a_private_key_is_found_wherever_it_stands() {
        for key in [PKCS8, ED25519] {
            for text in [
                format!("v=DKIM1; k=rsa; p={key}"),
                format!("v=DKIM1; k=rsa; p=\"{key}\""),
                format!("v=DKIM1\\; k=rsa\\; p={} \t{}", &key[..9], &key[9..]),
                format!("v=DKIM1; k=rsa {key}"),
                format!("v=DKIM1; p={}", &key[..21]),
                key.into(),
                format!("-----BEGIN PRIVATE KEY-----{key}"),
                format!("-----BEGIN RSA PRIVATE KEY-----\n{}", key.replace('M', "x")),
            ] {
                assert!(holds_private_key(text.as_bytes()), "{text}");
                let read = [KeyRecord::read(text.as_bytes()), KeyRecord::read(stand_in(text.as_bytes()).as_bytes())];
                assert!(read.iter().all(|record| record.fault == Some(KeyFault::PrivateKey)), "{text}: {read:?}");
                assert!(!stand_in(text.as_bytes()).contains(&key[..9]));
            }
        }
    }

    #[test]
    fn other_records_hold_none() {
        for text in [
            "",
            "MMMMMMMMMMMMMMMMMMMMMMMMMMMM",
            "v=spf1 include:_spf.example.com -all",
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ] {
            assert!(!holds_private_key(text.as_bytes()), "{text}");
        }
        assert_eq!(stand_in(b"a"), stand_in(b"a"));
        assert_ne!(stand_in(b"a"), stand_in(b"b"));
    }
}
