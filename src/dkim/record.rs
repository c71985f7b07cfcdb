//! A key record as published (§3.6.1), readable or not.
//!
//! Reading never fails: a record that cannot be used has a [`KeyFault`], and keeps whatever could be read.

use super::{
    KeyType,
    der::{self, DerError, PublicKey},
    secret,
    signature::BASE64,
    tag::{self, TagList, TagProblem},
};
use base64::Engine;
use std::fmt;

/// A key record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRecord {
    /// k=; RSA where absent.
    pub key_type: Option<KeyType>,
    /// The key, if there is a usable one.
    pub key: Option<Key>,
    /// h=, the hashes that it allows; `None` where absent: all.
    pub hashes: Option<Vec<String>>,
    /// s=, the services that it serves; `None` where absent: all.
    pub services: Option<Vec<String>>,
    /// t=y: the domain is testing.
    pub testing: bool,
    /// t=s: i= must have the very domain of d=.
    pub strict_identity: bool,
    /// Why it cannot be used.
    pub fault: Option<KeyFault>,
}

/// A public key in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// An RSA key.
    Rsa {
        /// The DER octets as published: a SubjectPublicKeyInfo or a bare RSAPublicKey.
        der: Vec<u8>,
        /// Is it a bare RSAPublicKey, which some verifiers refuse?
        pkcs1: bool,
        /// The size of its modulus.
        bits: usize,
    },
    /// An Ed25519 key.
    Ed25519([u8; 32]),
}

/// Why a record holds no usable key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It is no tag list.
    Tags(TagProblem),
    /// v= is not DKIM1, or not the first tag.
    Version(String),
    /// k= is unknown.
    KeyType(String),
    /// There is no p=: no key record at all, or a broken one.
    NoKey,
    /// p= is empty: the key was revoked.
    Revoked,
    /// p= is not base64.
    Base64,
    /// p= is no key of the type that k= says.
    Der(DerError),
    /// It holds a private key, which from now on is everybody's. Nothing of the record may be printed.
    PrivateKey,
    /// An Ed25519 key in a SubjectPublicKeyInfo; RFC 8463 §4 wants its 32 octets alone.
    Ed25519Spki,
    /// An Ed25519 key of small order: signatures by it can be made without any private key.
    SmallOrder,
}

impl KeyRecord {
    /// Reads a record, its character-strings joined without separator.
    pub fn read(text: &[u8]) -> KeyRecord {
        if secret::holds_private_key(text) || secret::is_stand_in(text) {
            return KeyRecord { fault: Some(KeyFault::PrivateKey), ..KeyRecord::default() };
        }
        let list = TagList::read(text);
        let mut record = KeyRecord {
            hashes: list.value("h").map(items),
            services: list.value("s").map(items),
            testing: list.value("t").is_some_and(|flags| items(flags).iter().any(|flag| flag == "y")),
            strict_identity: list.value("t").is_some_and(|flags| items(flags).iter().any(|flag| flag == "s")),
            ..KeyRecord::default()
        };
        record.key_type = match list.value("k") {
            None | Some("rsa") => Some(KeyType::Rsa),
            Some("ed25519") => Some(KeyType::Ed25519),
            Some(_) => None,
        };
        match record.read_key(&list) {
            Ok(key) => record.key = Some(key),
            Err(fault) => record.fault = Some(fault),
        }
        record
    }

    fn read_key(&self, list: &TagList<'_>) -> Result<Key, KeyFault> {
        if let Some(problem) = list.problems.first() {
            return Err(KeyFault::Tags(problem.clone()));
        }
        if let Some(version) = list.value("v")
            && (version != "DKIM1" || list.tags.first().is_some_and(|tag| tag.name != "v"))
        {
            return Err(KeyFault::Version(version.chars().take(60).collect()));
        }
        let key_type = self
            .key_type
            .ok_or_else(|| KeyFault::KeyType(list.value("k").unwrap_or_default().chars().take(60).collect()))?;
        let text = tag::without_blanks(list.value("p").ok_or(KeyFault::NoKey)?);
        if text.is_empty() {
            return Err(KeyFault::Revoked);
        }
        let octets = BASE64.decode(text).map_err(|_| KeyFault::Base64)?;
        match key_type {
            KeyType::Rsa => rsa_key(octets),
            KeyType::Ed25519 => match <[u8; 32]>::try_from(&octets[..]) {
                Ok(key) if is_of_small_order(&key) => Err(KeyFault::SmallOrder),
                Ok(key) => Ok(Key::Ed25519(key)),
                Err(_) if matches!(der::public_key(&octets), Ok(PublicKey::Ed25519Spki(_))) => {
                    Err(KeyFault::Ed25519Spki)
                }
                Err(_) => Err(KeyFault::Der(DerError::NotAKey)),
            },
        }
    }

    /// Does h= allow SHA-256?
    pub fn allows_sha256(&self) -> bool {
        self.hashes.as_ref().is_none_or(|hashes| hashes.iter().any(|hash| hash == "sha256"))
    }

    /// Does s= allow mail?
    pub fn serves_mail(&self) -> bool {
        self.services
            .as_ref()
            .is_none_or(|services| services.iter().any(|service| service == "*" || service == "email"))
    }
}

fn rsa_key(octets: Vec<u8>) -> Result<Key, KeyFault> {
    let (pkcs1, bits) = match der::public_key(&octets) {
        Ok(PublicKey::Spki(numbers)) => (false, numbers.bits()),
        Ok(PublicKey::Pkcs1(numbers)) => (true, numbers.bits()),
        Ok(PublicKey::Ed25519Spki(_)) => return Err(KeyFault::Der(DerError::NotAKey)),
        Err(error) => return Err(KeyFault::Der(error)),
    };
    Ok(Key::Rsa { der: octets, pkcs1, bits })
}

/// Is a point of Edwards25519 one of the eight whose order divides the cofactor 8? Against them a signature whose R is one
/// of them too, and whose S is 0, verifies for one message in eight or for all, whoever made it (RFC 8032 §8.9 leaves the
/// check to the user).
fn is_of_small_order(key: &[u8; 32]) -> bool {
    /// y of the points of order 8, little end first; the other two of them have the negatives of these.
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *key;
    // The sign of x: a point and its negative have the same order.
    y[31] &= 0x7f;
    let [first, middle @ .., last] = y;
    match (first, last) {
        // 0 and 1: the points of order 4, and the neutral one.
        (0 | 1, 0) => middle == [0; 30],
        // p-1, the point of order 2; p and p+1 are 0 and 1 again, in a form that RFC 8032 §5.1.3 forbids and many read.
        (0xec..=0xee, 0x7f) => middle == [0xff; 30],
        _ => ORDER_8.contains(&y),
    }
}

/// The items of a list of words between colons.
fn items(text: &str) -> Vec<String> {
    text.split(':').map(|item| tag::trim(item).to_owned()).collect()
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFault::Tags(problem) => write!(f, "the key record is not a tag list: {problem}"),
            KeyFault::Version(text) => write!(f, "v={text:?} of the key record is not DKIM1 as its first tag"),
            KeyFault::KeyType(text) => write!(f, "unknown key type {text:?}"),
            KeyFault::NoKey => write!(f, "the key record has no p="),
            KeyFault::Revoked => write!(f, "the key was revoked"),
            KeyFault::Base64 => write!(f, "p= of the key record is not base64"),
            KeyFault::Der(DerError::Truncated { declared, present }) => {
                write!(f, "the key is cut: {present} of {declared} octets are there")
            }
            KeyFault::Der(_) => write!(f, "p= of the key record is no public key"),
            KeyFault::PrivateKey => write!(f, "the key record holds a private key"),
            KeyFault::Ed25519Spki => {
                write!(f, "the Ed25519 key is published in a wrapping that RFC 8463 does not know")
            }
            KeyFault::SmallOrder => {
                write!(f, "the Ed25519 key is a point of small order: anybody can sign for it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    const ED: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn records_are_read() {
        let record = KeyRecord::read(
            format!("v=DKIM1; k=rsa; t=y:s; h=sha256 : sha1; s=email; n=a note; p={} {}", &RSA[..50], &RSA[50..])
                .as_bytes(),
        );
        assert!(matches!(record.key, Some(Key::Rsa { bits: 1024, pkcs1: false, .. })), "{record:?}");
        assert!(record.testing && record.strict_identity && record.allows_sha256() && record.serves_mail());
        let record = KeyRecord::read(format!("p={RSA}").as_bytes());
        assert!(record.key.is_some() && record.fault.is_none());
        let record = KeyRecord::read(format!("v=DKIM1;k=ed25519;p={ED}").as_bytes());
        assert!(matches!(record.key, Some(Key::Ed25519(_))));
        let record = KeyRecord::read(format!("h=sha1; s=tlsrpt; p={RSA}").as_bytes());
        assert!(!record.allows_sha256() && !record.serves_mail());
    }

    #[test]
    fn what_is_no_key_says_why() {
        for (text, want) in [
            ("v=DKIM1; p=".to_owned(), "the key was revoked"),
            ("v=DKIM1; k=rsa".into(), "the key record has no p="),
            (format!("v=dkim1; p={RSA}"), "v=\"dkim1\" of the key record is not DKIM1 as its first tag"),
            (format!("k=rsa; v=DKIM1; p={RSA}"), "v=\"DKIM1\" of the key record is not DKIM1 as its first tag"),
            (format!("k=RSA; p={RSA}"), "unknown key type \"RSA\""),
            ("v=DKIM1; k=rsa p=AAAA".into(), "unknown key type \"rsa p=AAAA\""),
            (format!("v=DKIM1; p=\"{RSA}\""), "p= of the key record is not base64"),
            (format!("v=DKIM1; p={}", &RSA[..200]), "the key is cut: 150 of 162 octets are there"),
            ("v=DKIM1; p=MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj".into(), "the key record holds a private key"),
            (format!("v=DKIM1; k=ed25519; p={RSA}"), "p= of the key record is no public key"),
            (format!("v=DKIM1; p={ED}"), "p= of the key record is no public key"),
            (
                "v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into(),
                "the Ed25519 key is published in a wrapping that RFC 8463 does not know",
            ),
            (format!("p={RSA}; p={RSA}"), "the key record is not a tag list: the tag p= stands twice (octet 219)"),
        ] {
            let record = KeyRecord::read(text.as_bytes());
            assert_eq!(record.fault.map(|fault| fault.to_string()).as_deref(), Some(want), "{text}");
            assert_eq!(record.key, None);
        }
    }
    /// The points follow from the curve (RFC 8032 §5.1): multiples of any point by the order of the base point.
    #[test]
    fn points_of_small_order_are_no_keys() {
        let p_minus = |below: u8| [&[0xed - below][..], &[0xff; 30], &[0x7f]].concat();
        let small = |octet: u8| [&[octet][..], &[0; 31]].concat();
        let of_order_8 = [
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ]
        .map(|hex| {
            (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("two digits")).collect::<Vec<u8>>()
        });
        let read = |y: &[u8]| KeyRecord::read(format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(y)).as_bytes());
        let p_plus_1 = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
        let weak = [small(0), small(1), p_minus(1), p_minus(0), p_plus_1].into_iter().chain(of_order_8);
        for y in weak {
            let negative = [&y[..31], &[y[31] | 0x80]].concat();
            for point in [y, negative] {
                let record = read(&point);
                assert_eq!((record.fault, record.key), (Some(KeyFault::SmallOrder), None), "{point:02x?}");
            }
        }
        for sound in [small(2), p_minus(2), [&[1][..], &[0; 30], &[1]].concat(), [0x66; 32].to_vec()] {
            assert!(read(&sound).key.is_some(), "{sound:02x?}");
        }
    }
}
