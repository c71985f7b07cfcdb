//! A key record, and the DER of a key inside it and by itself.

use waxseal::{
    dkim::{
        der::{self, PublicKey},
        record::{Key, KeyRecord},
        secret,
    },
    key::{Published, published_key},
};

/// Reads the input as a record, then as DER.
pub fn run(data: &[u8]) {
    let record = KeyRecord::read(data);
    assert!(record.key.is_none() || record.fault.is_none(), "a key that can be used has no fault");
    record.allows_sha256();
    record.serves_mail();
    match &record.key {
        Some(Key::Rsa { der, pkcs1, bits }) => {
            let numbers = match der::public_key(der).expect("what is a key reads as one") {
                PublicKey::Pkcs1(numbers) => (true, numbers.bits()),
                PublicKey::Spki(numbers) => (false, numbers.bits()),
                PublicKey::Ed25519Spki(_) => panic!("an Ed25519 key is no RSA key"),
            };
            assert_eq!(numbers, (*pkcs1, *bits));
        }
        Some(Key::Ed25519(_)) | None => {}
    }
    if let Some(fault) = &record.fault {
        assert!(!fault.to_string().is_empty());
    }
    if published_key(data) == Published::Revoked {
        assert!(record.key.is_none());
    }
    if secret::holds_private_key(data) {
        let shown = secret::stand_in(data);
        assert!(shown.is_ascii() && shown.len() < 300, "{shown}");
    }
    secret::fingerprint(data);
    octets(data);
}

fn octets(data: &[u8]) {
    let key = der::public_key(data);
    if let Ok(PublicKey::Pkcs1(numbers)) = &key {
        let bits = numbers.bits();
        let wrapped = der::wrapped(data);
        let Ok(PublicKey::Spki(again)) = der::public_key(&wrapped) else { panic!("a wrapped key is a key") };
        assert_eq!(again.bits(), bits);
    }
    der::declared(data);
    der::is_private_key(data);
    der::is_certificate(data);
    if let Some(key) = der::certified_key(data) {
        assert!(key.len() <= data.len());
    }
}
