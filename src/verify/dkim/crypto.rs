//! The two operations on public keys: does this key verify, and what did the signer hash.

use crate::dkim::{
    der::{self, PublicKey, RsaNumbers},
    record::Key,
    signature::Algorithm,
};
use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents, UnparsedPublicKey},
};
use rsa::BigUint;

/// What a key says about a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The key made the signature over exactly this.
    Verified,
    /// The key made the signature over something else, whose SHA-256 this is.
    SignedOther([u8; 32]),
    /// Another key made it.
    OtherKey,
    /// It does not verify, and no more can be told.
    Failed,
}

/// Exponents beyond this make one recovery as dear as thousands of verifications, and no signer uses them.
const MAX_EXPONENT_OCTETS: usize = 5;

/// Tries one key; `digest` is the SHA-256 of the canonical header with the signature's own field at its end.
pub fn prove(key: &Key, algorithm: Algorithm, digest: &[u8; 32], signature: &[u8]) -> Proof {
    match (key, algorithm) {
        (Key::Ed25519(key), Algorithm::Ed25519Sha256) => {
            match UnparsedPublicKey::new(&ED25519, key).verify(digest, signature) {
                Ok(()) => Proof::Verified,
                Err(_) => Proof::Failed,
            }
        }
        (Key::Rsa { der, .. }, Algorithm::RsaSha256) => match der::public_key(der) {
            Ok(PublicKey::Spki(numbers) | PublicKey::Pkcs1(numbers)) => prove_rsa(numbers, digest, signature),
            _ => Proof::Failed,
        },
        _ => Proof::Failed,
    }
}

fn prove_rsa(numbers: RsaNumbers<'_>, digest: &[u8; 32], signature: &[u8]) -> Proof {
    if signature.len() != numbers.modulus.len() {
        return Proof::OtherKey;
    }
    let key = RsaPublicKeyComponents { n: numbers.modulus, e: numbers.exponent };
    if let Ok(key) = key.to_parsed_public_key(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)
        && let Ok(digest) = Digest::import_less_safe(digest, &SHA256)
        && key.verify_digest_sig(&digest, signature).is_ok()
    {
        return Proof::Verified;
    }
    recover(numbers, signature)
}

/// s^e mod n: under the right key it is the padded digest that the signer hashed (RFC 8017 §9.2), under any other noise.
fn recover(numbers: RsaNumbers<'_>, signature: &[u8]) -> Proof {
    if numbers.exponent.len() > MAX_EXPONENT_OCTETS {
        return Proof::Failed;
    }
    let modulus = BigUint::from_bytes_be(numbers.modulus);
    let exponent = BigUint::from_bytes_be(numbers.exponent);
    let number = BigUint::from_bytes_be(signature);
    if number >= modulus {
        return Proof::OtherKey;
    }
    let opened = number.modpow(&exponent, &modulus).to_bytes_be();
    // The leading zero octet of the padding is lost in the number.
    match padded_digest(&opened, numbers.modulus.len() - 1) {
        Some(digest) => Proof::SignedOther(digest),
        None => Proof::OtherKey,
    }
}

/// The digest in `01 FF … FF 00 DigestInfo(SHA-256)`, every octet of which is checked.
fn padded_digest(opened: &[u8], length: usize) -> Option<[u8; 32]> {
    const DIGEST_INFO: &[u8] = &[
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ];
    if opened.len() != length {
        return None;
    }
    let padding = opened.strip_prefix(&[0x01])?;
    let filled = padding.iter().take_while(|&&b| b == 0xff).count();
    let digest = padding[filled..].strip_prefix(&[0x00])?.strip_prefix(DIGEST_INFO)?;
    (filled >= 8).then(|| digest.try_into().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why [`KeyFault::SmallOrder`](crate::dkim::record::KeyFault) exists: RFC 8032 lets a verifier take any point.
    #[test]
    fn the_library_takes_the_neutral_point_for_a_key() {
        let neutral: [u8; 32] = std::array::from_fn(|at| u8::from(at == 0));
        let forged = [neutral, [0; 32]].concat();
        for digest in [[0; 32], [0x5a; 32]] {
            let proof = prove(&Key::Ed25519(neutral), Algorithm::Ed25519Sha256, &digest, &forged);
            assert_eq!(proof, Proof::Verified);
        }
    }
}
