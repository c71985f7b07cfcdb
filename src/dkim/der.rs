//! As much DER as a public key needs: SubjectPublicKeyInfo (RFC 5280 §4.1) and RSAPublicKey (RFC 8017 A.1.1).
//!
//! Ours and not a library's, because the diagnosis wants what no library tells: how long a cut key says that it is.

/// A public key as it stands in p=.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// An RSA key in a SubjectPublicKeyInfo, as everybody publishes it.
    Spki(RsaNumbers<'a>),
    /// A bare RSAPublicKey, which RFC 6376 names and erratum 3017 explains; some verifiers refuse it.
    Pkcs1(RsaNumbers<'a>),
    /// A SubjectPublicKeyInfo that holds an Ed25519 key (RFC 8410); RFC 8463 wants the 32 octets alone.
    Ed25519Spki(&'a [u8]),
}

/// The modulus and the exponent of an RSA key, big-endian, without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaNumbers<'a> {
    /// n.
    pub modulus: &'a [u8],
    /// e.
    pub exponent: &'a [u8],
}

impl RsaNumbers<'_> {
    /// The size of the key in bits.
    pub fn bits(&self) -> usize {
        self.modulus.first().map_or(0, |first| self.modulus.len() * 8 - first.leading_zeros() as usize)
    }
}

/// Why octets are no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerError {
    /// They end before the length that they declare.
    Truncated {
        /// Octets that the outermost header declares, itself included.
        declared: usize,
        /// Octets that are there.
        present: usize,
    },
    /// They are no DER structure of a public key.
    NotAKey,
    /// They go on after the key.
    TrailingOctets(usize),
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
/// The version of a certificate, [0].
const VERSION: u8 = 0xa0;
/// 1.2.840.113549.1.5, PKCS #5: how a private key is encrypted.
const PKCS5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
/// 1.2.840.113549.1.1.1, rsaEncryption.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.3.101.112, id-Ed25519.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Do these octets begin as a private key does: PKCS#8 (RFC 5958), encrypted or not, PKCS#1 (RFC 8017 A.1.2) or SEC 1
/// (RFC 5915)? The first 20 are enough, and the rest may be cut off.
pub fn is_private_key(der: &[u8]) -> bool {
    let Some((SEQUENCE, start, _)) = header(der) else { return false };
    match &der[start..] {
        // A version, and then an algorithm, a modulus or the key itself. A public modulus is longer than one octet.
        [INTEGER, 1, 0 | 1, next, ..] => [SEQUENCE, INTEGER, OCTET_STRING].contains(next),
        [SEQUENCE, _, OID, length, oid @ ..] => usize::from(*length) > PKCS5.len() && oid.starts_with(PKCS5),
        _ => false,
    }
}

/// Reads a public key.
pub fn public_key(der: &[u8]) -> Result<PublicKey<'_>, DerError> {
    if let Some((SEQUENCE, header, length)) = header(der)
        && header + length > der.len()
    {
        return Err(DerError::Truncated { declared: header + length, present: der.len() });
    }
    let (content, rest) = element(der, SEQUENCE).ok_or(DerError::NotAKey)?;
    if !rest.is_empty() {
        return Err(DerError::TrailingOctets(rest.len()));
    }
    if content.first() == Some(&INTEGER) {
        return rsa_numbers(content).map(PublicKey::Pkcs1).ok_or(DerError::NotAKey);
    }
    spki(content).ok_or(DerError::NotAKey)
}

/// The octets that the outermost element of a cut or whole structure declares, its header included.
pub fn declared(der: &[u8]) -> Option<usize> {
    let (tag, header, length) = header(der)?;
    (tag == SEQUENCE).then_some(header + length)
}

/// Do these octets begin like an X.509 certificate (RFC 5280 §4.1)? A cut one counts as well.
pub fn is_certificate(der: &[u8]) -> bool {
    let Some((SEQUENCE, start, _)) = header(der) else { return false };
    let Some((SEQUENCE, inner, _)) = header(&der[start..]) else { return false };
    match &der[start + inner..] {
        [VERSION, 3, INTEGER, 1, ..] => true,
        [INTEGER, length, rest @ ..] => rest.get(usize::from(*length)) == Some(&SEQUENCE),
        _ => false,
    }
}

/// The SubjectPublicKeyInfo in a certificate.
pub fn certified_key(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if let Some((_, after)) = element(rest, VERSION) {
        rest = after;
    }
    // Serial number, algorithm, issuer, validity, subject.
    for kind in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        rest = element(rest, kind)?.1;
    }
    let (_, after) = element(rest, SEQUENCE)?;
    Some(&rest[..rest.len() - after.len()])
}

/// A bare RSAPublicKey in the SubjectPublicKeyInfo that everybody reads.
pub fn wrapped(rsa_public_key: &[u8]) -> Vec<u8> {
    // SEQUENCE { rsaEncryption, NULL }
    let algorithm = [&[SEQUENCE, 13, OID, 9][..], RSA_ENCRYPTION, &[5, 0]].concat();
    let bits = written(BIT_STRING, &[&[0], rsa_public_key].concat());
    written(SEQUENCE, &[algorithm, bits].concat())
}

/// One element.
fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [header, content.to_vec()].concat()
}

fn spki(content: &[u8]) -> Option<PublicKey<'_>> {
    let (algorithm, rest) = element(content, SEQUENCE)?;
    let (oid, _) = element(algorithm, OID)?;
    let (bits, rest) = element(rest, BIT_STRING)?;
    let key = bits.strip_prefix(&[0])?;
    if !rest.is_empty() {
        return None;
    }
    match oid {
        RSA_ENCRYPTION => {
            let (numbers, rest) = element(key, SEQUENCE)?;
            rest.is_empty().then(|| rsa_numbers(numbers).map(PublicKey::Spki))?
        }
        ED25519 => (key.len() == 32).then_some(PublicKey::Ed25519Spki(key)),
        _ => None,
    }
}

fn rsa_numbers(content: &[u8]) -> Option<RsaNumbers<'_>> {
    let (modulus, rest) = element(content, INTEGER)?;
    let (exponent, rest) = element(rest, INTEGER)?;
    let numbers = RsaNumbers { modulus: positive(modulus)?, exponent: positive(exponent)? };
    rest.is_empty().then_some(numbers)
}

/// A positive integer without its leading zero.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    let (first, rest) = integer.split_first()?;
    match first {
        0 if rest.is_empty() => None,
        0 => Some(rest),
        0x80.. => None,
        _ => Some(integer),
    }
}

/// The content of one element of this type, and what follows it.
fn element(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, start, length) = header(der)?;
    let content = der.get(start..start.checked_add(length)?)?;
    (tag == wanted).then_some((content, &der[start + length..]))
}

/// Tag, octets of the header, and declared octets of the content.
fn header(der: &[u8]) -> Option<(u8, usize, usize)> {
    match *der {
        [tag, length @ 0..=0x7f, ..] => Some((tag, 2, length.into())),
        [tag, 0x81, length, ..] => Some((tag, 3, length.into())),
        [tag, 0x82, high, low, ..] => Some((tag, 4, usize::from(high) << 8 | usize::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    /// The RSA key of RFC 8463 A.2 and the Ed25519 key of A.2, which is no DER at all.
    const RSA: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

    #[test]
    fn keys_are_read_in_both_forms() {
        let der = STANDARD.decode(RSA).unwrap();
        let Ok(PublicKey::Spki(numbers)) = public_key(&der) else { panic!("no SPKI") };
        assert_eq!((numbers.bits(), numbers.exponent), (1024, &[1, 0, 1][..]));
        // The RSAPublicKey starts after the 22 octets of the algorithm and the bit string's header.
        let Ok(PublicKey::Pkcs1(bare)) = public_key(&der[22..]) else { panic!("no RSAPublicKey") };
        assert_eq!(bare, numbers);
    }

    #[test]
    fn a_cut_key_says_how_long_it_was() {
        let der = STANDARD.decode(RSA).unwrap();
        assert_eq!(public_key(&der[..100]), Err(DerError::Truncated { declared: 162, present: 100 }));
        let long = [&der[..], &[0; 3]].concat();
        assert_eq!(public_key(&long), Err(DerError::TrailingOctets(3)));
        for cut in 0..4 {
            assert!(public_key(&der[..cut]).is_err());
        }
        assert_eq!(public_key(b"v=DKIM1; not DER"), Err(DerError::NotAKey));
    }

    #[test]
    fn a_bare_key_is_wrapped() {
        let der = STANDARD.decode(RSA).unwrap();
        assert_eq!(wrapped(&der[22..]), der);
        assert_eq!(declared(&der[..60]), Some(162));
    }

    #[test]
    fn real_private_keys_are_told_from_public_ones() {
        use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPrivateKey, pkcs8::EncodePrivateKey, rand_core::OsRng};
        let key = RsaPrivateKey::new(&mut OsRng, 1024).expect("a key");
        let (old, new) = (key.to_pkcs1_der().expect("a form"), key.to_pkcs8_der().expect("a form"));
        for private in [old.as_bytes(), new.as_bytes()] {
            assert!(is_private_key(private) && is_private_key(&private[..40]));
            assert!(!is_certificate(private));
        }
        let public = STANDARD.decode(RSA).unwrap();
        for other in [&public[..], &public[22..], &[], b"0", b"no key at all"] {
            assert!(!is_private_key(other) && !is_certificate(other), "{other:?}");
        }
        // The head of an encrypted PKCS #8 key, and of an Ed25519 one.
        assert!(is_private_key(&STANDARD.decode("MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI").unwrap()));
        assert!(is_private_key(&STANDARD.decode("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp").unwrap()));
    }

    #[test]
    fn private_keys_are_told_from_public_ones() {
        for (text, want) in [
            // PKCS#8: RSA-2048, RSA-1024, Ed25519, encrypted; PKCS#1: 1024, 2048; SEC 1.
            ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", true),
            ("MIICdgIBADANBgkqhkiG9w0BAQEFAASC", true),
            ("MC4CAQAwBQYDK2VwBCIEIAAA", true),
            ("MIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkq", true),
            ("MIICXAIBAAKBgQDkHlOQoBTzWRiGs5V6", true),
            ("MIIEowIBAAKCAQEA5B5TkKAU81kYhrOV", true),
            ("MHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAA", true),
            (RSA, false),
            ("MIGJAoGBAOQeU5CgFPNZGIazlXo2k/eJ", false),
            ("MIIBCgKCAQEA5B5TkKAU81kYhrOV5B5T", false),
            ("MCowBQYDK2VwAyEA11qYAYKxCrfVS/7T", false),
            ("AAAA", false),
        ] {
            let der = STANDARD.decode(text).unwrap();
            assert_eq!(is_private_key(&der), want, "{text}");
        }
    }

    /// Every cut and every changed octet gives an answer and no panic.
    #[test]
    fn hostile_octets() {
        let der = STANDARD.decode(RSA).unwrap();
        for at in 0..der.len() {
            let _ = (public_key(&der[..at]), is_private_key(&der[..at]), certified_key(&der[..at]));
            for value in [0, 0x7f, 0x80, 0x81, 0x82, 0x83, 0xff] {
                let mut changed = der.clone();
                changed[at] = value;
                let _ = (public_key(&changed), is_private_key(&changed), is_certificate(&changed));
                let _ = certified_key(&changed);
            }
        }
    }
}
