//! RFC 8463 appendix A: the message signed with Ed25519 and RSA verifies, and the Ed25519 signature is made again to the bit.

mod common_verify;

use base64::{Engine, engine::general_purpose::STANDARD};
use common_verify::verify;
use waxseal::{
    dkim::{Canon, canon},
    key::PrivateKey,
    message::Message,
    verify::Word,
};

const ZONE: &str = "$TTL 300\n\
brisbane._domainkey.football.example.com. IN TXT \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n\
test._domainkey.football.example.com. IN TXT \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"\n";

const SIGNED: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

/// A.1: the private key, 32 octets in base64.
const SECRET: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

#[test]
fn both_signatures_verify() {
    let results = verify(SIGNED.as_bytes(), ZONE, 1_528_640_000);
    let words: Vec<_> = results.iter().map(|result| (result.result, result.key_bits)).collect();
    assert_eq!(words, [(Word::Pass, Some(256)), (Word::Pass, Some(1024))], "{results:?}");
}

#[test]
fn the_ed25519_signature_is_made_again() {
    let message = Message::new(SIGNED.as_bytes());
    let named = |name: &'static str| message.header.named(name).next().expect("the field");
    let mut hashed = Vec::new();
    for name in ["from", "to", "subject", "date", "message-id"] {
        canon::header_field(Canon::Relaxed, named(name), &mut hashed);
    }
    let own = named("DKIM-Signature").raw();
    let end = own.windows(6).position(|text| text == b"/gCrin").expect("the value of b=");
    canon::header_field_open(Canon::Relaxed, &own[..end], &mut hashed);
    assert!(hashed.ends_with(b"bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b="));

    let secret = STANDARD.decode(SECRET).expect("base64");
    // OneAsymmetricKey of RFC 8410 §7, which holds nothing but the algorithm and the 32 octets.
    let pkcs8 = [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &secret].concat();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8));
    let key = PrivateKey::from_pem(pem.as_bytes()).expect("a key");
    assert!(
        key.public_record().ends_with(";p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        "{}",
        key.public_record()
    );
    let made = STANDARD.encode(key.sign(&hashed).expect("a signature"));
    assert_eq!(made, "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==");
}
