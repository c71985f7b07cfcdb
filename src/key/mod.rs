//! Private keys: inspected cheaply at start, read in full on first use, generated, and described as the record to publish.
//!
//! A key file is trusted only if nobody but its owner could have read or replaced it ([`Inspector`]); what it holds is
//! judged by [`PrivateKey::load`]. Everything wrong with a key is a [`KeyMistake`]: the file, the reason, the fix.
//! Key material is wiped when it is dropped and never appears in `Debug`, in an error or in the log.
//! Signing is done by aws-lc-rs alone; the `rsa` crate only generates and reads (RUSTSEC-2023-0071).

mod generate;
mod inspect;
mod mistake;
mod pem;
mod record;

pub use generate::{GenerateError, NewKey, generate};
pub use inspect::Inspector;
pub use mistake::{KeyMistake, KeyReason};
pub use record::{Published, Record, RecordForm, published_key};

use crate::dkim::KeyType;
use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa as aws_rsa,
    signature::{self, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pem::Encoding;
use rsa::{
    pkcs1,
    pkcs8::{
        self, ObjectIdentifier, SubjectPublicKeyInfoRef,
        der::{Encode, asn1::BitStringRef},
    },
};
use std::{fmt, io::Read, path::Path};
use zeroize::Zeroizing;

/// The least size of an RSA key that a verifier may accept (RFC 8301 §3.2).
const LEAST_BITS: usize = 1024;
/// The least size of an RSA key that aws-lc-rs signs with; RFC 8301 §3.2 recommends no less.
const LEAST_SIGNING_BITS: usize = 2048;
/// The greatest size that every verifier must be able to check (RFC 8301 §3.2).
const GREATEST_BITS: usize = 4096;
/// No key file is larger: RSA of 4096 bits takes 3.3 KB as PEM, and some tools write text before it.
const GREATEST_FILE: u64 = 64 * 1024;

const OID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const OID_RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const OID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A private key that can sign. `Debug` shows the type, the size and the fingerprint of its public half.
pub struct PrivateKey {
    pair: Pair,
    /// SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
}

enum Pair {
    Rsa { pair: aws_rsa::KeyPair, bits: usize },
    Ed25519(Ed25519KeyPair),
}

/// The library would not sign; nothing about the key or the data is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignFault;

impl PrivateKey {
    /// Reads the key of a file that lies in `directory`: inspects the file as [`Inspector`] does, on the handle that it
    /// then reads from, and judges what it holds. RSA as PKCS#1 or PKCS#8, Ed25519 as PKCS#8 v1 or v2, all PEM.
    pub fn load(
        path: &Path,
        directory: &Path,
        wanted: KeyType,
        required_bits: Option<usize>,
    ) -> Result<PrivateKey, KeyMistake> {
        let mistake = |reason| KeyMistake { file: path.to_owned(), reason };
        let pem = read_file(path, directory)?;
        let key = PrivateKey::from_pem(&pem).map_err(|reason| mistake(reason.demanding(required_bits)))?;
        key.fits(wanted, required_bits).map_err(mistake)?;
        Ok(key)
    }

    /// The value to publish for the key of a file, of either type and also of a size that we cannot sign with.
    pub fn record_of(path: &Path, directory: &Path) -> Result<String, KeyMistake> {
        let pem = read_file(path, directory)?;
        let record = match PrivateKey::from_pem(&pem) {
            Ok(key) => Ok(key.public_record()),
            Err(reason @ (KeyReason::TooShort(_) | KeyReason::TooShortToSign(_) | KeyReason::TooLong(_))) => {
                rsa_record(&pem).ok_or(reason)
            }
            Err(reason) => Err(reason),
        };
        record.map_err(|reason| KeyMistake { file: path.to_owned(), reason })
    }

    /// Reads a key from the text of a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<PrivateKey, KeyReason> {
        match pem::read(pem)? {
            (Encoding::Pkcs1, der) => PrivateKey::from_pkcs1(der.as_bytes()),
            (Encoding::Pkcs8, der) => PrivateKey::from_pkcs8(der.as_bytes()),
        }
    }

    /// Signs `data`: RSA PKCS#1 v1.5 over its SHA-256 (§3.3.1), Ed25519 over its SHA-256 digest (RFC 8463 §3).
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>, SignFault> {
        match &self.pair {
            Pair::Rsa { pair, .. } => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut out).map_err(|_| SignFault)?;
                Ok(out)
            }
            Pair::Ed25519(pair) => {
                let digest = digest::digest(&digest::SHA256, data);
                pair.try_sign(digest.as_ref()).map(|out| out.as_ref().to_vec()).map_err(|_| SignFault)
            }
        }
    }

    /// The type of the key.
    pub fn algorithm(&self) -> KeyType {
        match self.pair {
            Pair::Rsa { .. } => KeyType::Rsa,
            Pair::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// The size of the modulus, or 256 for Ed25519.
    pub fn bits(&self) -> usize {
        match self.pair {
            Pair::Rsa { bits, .. } => bits,
            Pair::Ed25519(_) => 256,
        }
    }

    /// The value to publish, spelled as providers document it: `v=DKIM1;k=rsa;p=` and the SubjectPublicKeyInfo (§3.6.1),
    /// 392 characters of base64 for 2048 bits; or `v=DKIM1;k=ed25519;p=` and the 32 octets of the key (RFC 8463 §4).
    pub fn public_record(&self) -> String {
        match &self.pair {
            Pair::Rsa { .. } => format!("v=DKIM1;k=rsa;p={}", STANDARD.encode(&self.spki)),
            Pair::Ed25519(pair) => format!("v=DKIM1;k=ed25519;p={}", STANDARD.encode(pair.public_key())),
        }
    }

    /// The public half as SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What people compare keys by: see [`fingerprint`].
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.spki)
    }

    fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, KeyReason> {
        let bits = rsa_bits(der)?;
        let pair = aws_rsa::KeyPair::from_der(der).map_err(|error| KeyReason::Corrupt(error.to_string()))?;
        PrivateKey::with_rsa(pair, bits)
    }

    fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, KeyReason> {
        let info = pkcs8::PrivateKeyInfo::try_from(der)
            .map_err(|error| KeyReason::Corrupt(error.to_string().to_lowercase()))?;
        match info.algorithm.oid {
            OID_RSA => PrivateKey::from_pkcs1(info.private_key),
            OID_ED25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                    .map_err(|error| KeyReason::Corrupt(error.to_string()))?;
                let spki = public_der(pair.public_key())?;
                Ok(PrivateKey { pair: Pair::Ed25519(pair), spki })
            }
            OID_RSA_PSS => Err(KeyReason::NotAPrivateKey("an RSA-PSS key, which DKIM does not know".into())),
            other => {
                Err(KeyReason::NotAPrivateKey(format!("a key of the algorithm {other}, which DKIM does not know")))
            }
        }
    }

    fn with_rsa(pair: aws_rsa::KeyPair, bits: usize) -> Result<PrivateKey, KeyReason> {
        let spki = public_der(pair.public_key())?;
        Ok(PrivateKey { pair: Pair::Rsa { pair, bits }, spki })
    }

    /// Is it of the type wanted and of the size demanded?
    fn fits(&self, wanted: KeyType, required_bits: Option<usize>) -> Result<(), KeyReason> {
        if self.algorithm() != wanted {
            return Err(KeyReason::WrongType { found: self.algorithm(), wanted });
        }
        match required_bits {
            Some(demanded) if self.bits() != demanded => Err(KeyReason::WrongBits { bits: self.bits(), demanded }),
            _ => Ok(()),
        }
    }
}

/// The text of a key file that nobody but its owner could have read or replaced.
fn read_file(path: &Path, directory: &Path) -> Result<Zeroizing<Vec<u8>>, KeyMistake> {
    let mistake = |reason| KeyMistake { file: path.to_owned(), reason };
    let mut file = Inspector::new(directory).open(path)?;
    // Room for all from the start: growing would leave copies behind that nobody wipes.
    let mut pem = Zeroizing::new(Vec::with_capacity(GREATEST_FILE as usize + 1));
    (&mut file)
        .take(GREATEST_FILE + 1)
        .read_to_end(&mut pem)
        .map_err(|error| mistake(KeyReason::Unreadable(error.to_string())))?;
    match pem.len() as u64 > GREATEST_FILE {
        true => Err(mistake(KeyReason::TooLarge)),
        false => Ok(pem),
    }
}

/// The record of an RSA key of any size.
fn rsa_record(pem: &[u8]) -> Option<String> {
    let (encoding, der) = pem::read(pem).ok()?;
    let pkcs1 = match encoding {
        Encoding::Pkcs1 => der.as_bytes(),
        Encoding::Pkcs8 => pkcs8::PrivateKeyInfo::try_from(der.as_bytes()).ok()?.private_key,
    };
    let key = pkcs1::RsaPrivateKey::try_from(pkcs1).ok()?;
    let spki = key.public_key().to_der().ok()?;
    let info = SubjectPublicKeyInfoRef {
        algorithm: pkcs1::ALGORITHM_ID,
        subject_public_key: BitStringRef::from_bytes(&spki).ok()?,
    };
    Some(format!("v=DKIM1;k=rsa;p={}", STANDARD.encode(info.to_der().ok()?)))
}

/// The SHA-256 of a SubjectPublicKeyInfo, its first eight octets as hexadecimal digits: enough to tell keys apart by eye.
pub fn fingerprint(spki: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, spki);
    digest.as_ref()[..8].iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The size of an RSA key in PKCS#1, if it is one that we can sign with.
fn rsa_bits(der: &[u8]) -> Result<usize, KeyReason> {
    let key =
        pkcs1::RsaPrivateKey::try_from(der).map_err(|error| KeyReason::Corrupt(error.to_string().to_lowercase()))?;
    let modulus = key.modulus.as_bytes();
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |octet| octet.leading_zeros() as usize);
    match bits {
        0..LEAST_BITS => Err(KeyReason::TooShort(bits)),
        LEAST_BITS..LEAST_SIGNING_BITS => Err(KeyReason::TooShortToSign(bits)),
        LEAST_SIGNING_BITS..=GREATEST_BITS => Ok(bits),
        _ => Err(KeyReason::TooLong(bits)),
    }
}

fn public_der<'a>(key: &impl AsDer<PublicKeyX509Der<'a>>) -> Result<Vec<u8>, KeyReason> {
    let der = key.as_der().map_err(|_| KeyReason::Corrupt("its public half cannot be written".into()))?;
    Ok(der.as_ref().to_vec())
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?}, {} bits, {})", self.algorithm(), self.bits(), self.fingerprint())
    }
}

impl fmt::Display for SignFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cryptographic library refused to sign")
    }
}

impl std::error::Error for SignFault {}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::UnparsedPublicKey;
    use rsa::{
        RsaPrivateKey,
        pkcs1::EncodeRsaPrivateKey,
        pkcs8::{EncodePrivateKey, LineEnding, SecretDocument},
        rand_core::OsRng,
    };
    use std::{fs, os::unix::fs::PermissionsExt};

    fn rsa_key(bits: usize) -> RsaPrivateKey {
        RsaPrivateKey::new(&mut OsRng, bits).expect("made")
    }

    fn pkcs8_pem(der: &[u8]) -> Zeroizing<String> {
        SecretDocument::try_from(der).and_then(|document| document.to_pem("PRIVATE KEY", LineEnding::LF)).expect("PEM")
    }

    /// A key file as an operator would have it, in a key directory of its own.
    fn load(pem: &str, wanted: KeyType, required_bits: Option<usize>) -> Result<PrivateKey, KeyMistake> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        fs::write(&path, pem).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode set");
        PrivateKey::load(&path, folder.path(), wanted, required_bits)
    }

    #[test]
    fn rsa_is_read_as_pkcs1_and_pkcs8_and_published_as_documented() {
        let key = rsa_key(2048);
        let pkcs1 = key.to_pkcs1_pem(LineEnding::LF).expect("PEM");
        let pkcs8 = key.to_pkcs8_pem(LineEnding::CRLF).expect("PEM");
        let commented = format!("Made by hand.\n{}", &*pkcs8);
        for pem in [&*pkcs1, &*pkcs8, &commented] {
            let key = load(pem, KeyType::Rsa, Some(2048)).expect("a good key");
            let record = key.public_record();
            let p = record.strip_prefix("v=DKIM1;k=rsa;p=").expect("the documented tags");
            assert_eq!(p.len(), 392);
            assert!(p.starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA") && p.ends_with("IDAQAB"), "{p}");
            assert_eq!(key.bits(), 2048);
            let signature = key.sign(b"data").expect("signed");
            UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key.spki())
                .verify(b"data", &signature)
                .expect("the public half verifies it");
        }
    }

    #[test]
    fn ed25519_is_read_as_pkcs8_of_both_versions_and_signs_the_digest() {
        let pair = Ed25519KeyPair::generate().expect("made");
        let v1 = pair.to_pkcs8v1().expect("DER");
        let v2 = pair.to_pkcs8().expect("DER");
        for der in [v1.as_ref(), v2.as_ref()] {
            let key = load(&pkcs8_pem(der), KeyType::Ed25519, None).expect("a good key");
            let signature = key.sign(b"data").expect("signed");
            let digest = digest::digest(&digest::SHA256, b"data");
            UnparsedPublicKey::new(&signature::ED25519, pair.public_key().as_ref())
                .verify(digest.as_ref(), &signature)
                .expect("the public half verifies it");
        }
    }

    #[test]
    fn the_ed25519_record_is_that_of_rfc_8463_appendix_a() {
        // OCTET STRING { OCTET STRING { seed } } of PKCS#8 v1, around the seed of A.2.
        let seed = STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("base64");
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = load(&pkcs8_pem(&[&head[..], &seed].concat()), KeyType::Ed25519, None).expect("a good key");
        assert_eq!(key.public_record(), "v=DKIM1;k=ed25519;p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn keys_that_cannot_do_the_work_are_refused_with_the_reason() {
        let pem = |bits| rsa_key(bits).to_pkcs8_pem(LineEnding::LF).expect("PEM");
        let good = pem(2048);
        let public = good.replace("PRIVATE", "PUBLIC");
        let encrypted = good.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let cut = format!("{}\n-----END PRIVATE KEY-----\n", &good[..500]);
        let ed25519 = pkcs8_pem(Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).expect("made").as_ref());
        for (text, wanted, required, want) in [
            (pem(512).as_str(), KeyType::Rsa, None, "has 512 bits, and verifiers refuse RSA keys under 1024"),
            (pem(1024).as_str(), KeyType::Rsa, None, "has 1024 bits, and we sign with no RSA key under 2048"),
            (pem(1024).as_str(), KeyType::Rsa, Some(2048), "has 1024 bits, but the provider demands exactly 2048"),
            (pem(3072).as_str(), KeyType::Rsa, Some(2048), "has 3072 bits, but the provider demands exactly 2048"),
            (good.as_str(), KeyType::Ed25519, None, "holds a key of type rsa, not ed25519"),
            (ed25519.as_str(), KeyType::Rsa, Some(2048), "holds a key of type ed25519, not rsa"),
            (public.as_str(), KeyType::Rsa, None, "holds a public key"),
            (encrypted.as_str(), KeyType::Rsa, None, "holds an encrypted private key"),
            (cut.as_str(), KeyType::Rsa, None, "holds a damaged key"),
            ("", KeyType::Rsa, None, "is empty"),
            ("v=DKIM1;k=rsa;p=MIIB", KeyType::Rsa, None, "is not a key in PEM form"),
        ] {
            let mistake = load(text, wanted, required).expect_err(want).to_string();
            assert!(mistake.contains(want) && mistake.contains("key.pem"), "{mistake}\nwanted: {want}");
            assert!(mistake.contains("; "), "no fix: {mistake}");
        }
        let huge = "x".repeat(GREATEST_FILE as usize + 1);
        assert_eq!(load(&huge, KeyType::Rsa, None).expect_err("too large").reason, KeyReason::TooLarge);
    }

    #[test]
    fn debug_shows_no_key_material() {
        let new = generate(KeyType::Rsa).expect("made");
        let shown = format!("{new:?}");
        assert_eq!(shown, format!("NewKey {{ key: PrivateKey(Rsa, 2048 bits, {}), pem: … }}", new.key.fingerprint()));
    }
}
