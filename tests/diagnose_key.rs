//! The key in the record: cut, damaged, of the wrong kind or size, withdrawn, restricted, or the private one.

mod common;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    desk::Desk,
    forge::{ED25519, Key, OTHER_2048, RSA_1024, RSA_2048, Signer, Zone, giant},
    scene::{MAIL, Said, verify},
};
use rsa::{
    pkcs1::EncodeRsaPrivateKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};

const NAME: &str = "sel._domainkey.example.com";

/// A message signed with this key, judged with this text as the value of its key record.
#[track_caller]
fn by(key: &Key, text: &str, arguments: &[&str]) -> Said {
    let mail = Signer::new(key, "example.com").sign(MAIL.as_bytes());
    verify(&mail, &Zone::default().txt(NAME, text), arguments)
}

#[track_caller]
fn judged(text: &str) -> Said {
    by(&RSA_2048, text, &[])
}

#[test]
fn a_cut_key() {
    let value = format!("v=DKIM1;k=rsa;p={}", RSA_2048.public());
    for (length, want) in [(255, 239), (254, 238), (250, 234), (256, 240), (128, 112)] {
        let said = judged(&value[..length]);
        said.leads("dkim-key-truncated", "likely").never(&["dkim-key-corrupt", "dkim-key-mismatch"]);
        let finding = &said.findings()[0];
        let claim = finding["claim"].as_str().expect("a text");
        assert!(claim.contains(&format!("{want} of 392 characters of p=")), "{claim}");
        assert!(finding.to_string().contains("two quoted strings"));
    }
    // What is missing lies within the exponent, which is the same in nearly every key.
    let said = judged(&value[..value.len() - 3]);
    said.leads("dkim-key-truncated", "certain");
    assert_eq!(said.findings()[0]["publish"]["value"], value);
}

#[test]
fn a_damaged_key() {
    let p = RSA_2048.public();
    let escaped = p.replace('+', "-").replace('/', "_");
    assert_ne!(p, escaped, "the key has a sign of the standard alphabet");
    let head = format!("{}x{}", &p[..8], &p[9..]);
    for text in [
        format!("v=DKIM1; k=rsa; p={escaped}"),
        format!("v=DKIM1; k=rsa; p={}", p.replace('+', "%2B").replace('/', "%2F")),
        format!("v=DKIM1; k=rsa; p={}*{}", &p[..100], &p[100..]),
        format!("v=DKIM1; k=rsa; p={};{}", &p[..100], &p[100..]),
        format!("v=DKIM1; k=rsa; p={p}=="),
        format!("v:DKIM1; k:rsa; p:{p}"),
        format!("v=DKIM1; k=rsa; p={}", p.replace('+', " ")),
        format!("v=DKIM1; k=rsa; p={head}"),
        // Characters that somebody typed into it.
        format!("v=DKIM1; k=rsa; p={}~Kq{}", &p[..150], &p[150..]).replace('~', "w"),
    ] {
        let said = judged(&text);
        eprintln!("{}", &text[..60]);
        said.leads("dkim-key-corrupt", "certain").never(&["dkim-key-truncated"]);
        assert_eq!(said.findings()[0]["publish"]["value"], format!("v=DKIM1;k=rsa;p={p}"));
    }
    for text in ["v=DKIM1; k=rsa; p=!!!!".into(), format!("v=DKIM1; k=rsa; p={}", STANDARD.encode([7; 294]))] {
        judged(&text).leads("dkim-key-corrupt", "likely");
    }
    // Ed25519 without its padding.
    let p = ED25519.public();
    by(&ED25519, &format!("v=DKIM1; k=ed25519; p={}", p.trim_end_matches('=')), &[])
        .leads("dkim-key-corrupt", "certain");
}

/// The end of a key of another size is spelt in another way, because its length leaves a remainder.
#[test]
fn a_hole_in_keys_of_every_size() {
    for key in [&*RSA_1024, &RSA_2048, &Key::rsa(3072), &Key::rsa(4096)] {
        let p = key.public();
        for missing in 1..=5 {
            by(key, &format!("v=DKIM1; k=rsa; p={}{}", &p[..100], &p[100 + missing..]), &[])
                .leads("dkim-strings-missing-or-repeated", "likely")
                .never(&["dkim-key-truncated"]);
        }
    }
}

/// What is published anew must be the key that signs: another one's, mended, is not.
#[test]
fn another_signers_key_is_not_offered() {
    let other = OTHER_2048.public();
    for text in [
        format!("v=DKIM1; h=sha1; k=rsa; p={other}"),
        format!("v=DKIM1; k=rsa; p={} {}", &other[..100], &other[100..]),
        format!("v=DKIM1; k=rsa; p=\"{other}\""),
    ] {
        let said = judged(&text);
        let offered = said.findings().iter().filter(|finding| finding["publish"]["name"] == NAME);
        assert_eq!(offered.count(), 0, "{:#}", said.report);
    }
}

#[test]
fn withdrawn_or_without_a_key() {
    judged("v=DKIM1; k=rsa; p=").leads("dkim-key-revoked", "certain").never(&["dkim-key-missing-p"]);
    judged("v=DKIM1; p=; t=y").leads("dkim-key-revoked", "certain");
    judged("v=DKIM1; k=rsa").leads("dkim-key-missing-p", "certain").never(&["dkim-key-revoked"]);
    judged("v=DKIM1; k=rsa; t=s").leads("dkim-key-missing-p", "certain");
    judged(&RSA_2048.public()).leads("dkim-key-missing-p", "certain");
}

#[test]
fn types_of_keys() {
    let (rsa, ed) = (RSA_2048.public(), ED25519.public());
    let spki = format!("MCowBQYDK2VwAyEA{ed}");
    for (cause, confidence, key, text) in [
        ("dkim-key-type-mismatch", "certain", &RSA_2048, ED25519.record()),
        ("dkim-key-type-mismatch", "certain", &ED25519, RSA_2048.record()),
        ("dkim-key-type-mismatch", "certain", &ED25519, format!("v=DKIM1; p={ed}")),
        ("dkim-key-type-mismatch", "certain", &ED25519, format!("v=DKIM1; k=rsa; p={ed}")),
        ("dkim-key-type-mismatch", "certain", &RSA_2048, format!("v=DKIM1; k=ed25519; p={rsa}")),
        ("dkim-key-type-unknown", "certain", &RSA_2048, format!("v=DKIM1; k=RSA; p={rsa}")),
        ("dkim-key-type-unknown", "certain", &RSA_2048, format!("v=DKIM1; k=rsa-sha256; p={rsa}")),
        ("dkim-key-type-unknown", "certain", &RSA_2048, format!("v=DKIM1; k=dkim; p={rsa}")),
        ("dkim-ed25519-spki", "certain", &ED25519, format!("v=DKIM1; k=ed25519; p={spki}")),
    ] {
        let said = by(key, &text, &[]);
        said.leads(cause, confidence).never(&["dkim-key-corrupt", "dkim-key-truncated"]);
        assert_eq!(said.findings()[0]["severity"], "error");
    }
    // An Ed25519 key does not verify an RSA signature, whatever k= says: it is not offered for that.
    let said = by(&RSA_2048, &format!("v=DKIM1; k=rsa; p={ed}"), &[]);
    said.leads("dkim-key-type-mismatch", "certain");
    assert!(said.findings()[0]["publish"].is_null(), "{:#}", said.report);
    by(&ED25519, &ED25519.record(), &[]).healthy().never(&["dkim-key-type-mismatch", "dkim-ed25519-spki"]);
    let said = by(&RSA_2048, &format!("v=DKIM1; k=rsa; p={}", RSA_2048.public_pkcs1()), &[]);
    said.healthy().leads("dkim-key-pkcs1", "certain");
    assert_eq!(said.findings()[0]["publish"]["value"], format!("v=DKIM1;k=rsa;p={rsa}"));
}

#[test]
fn what_the_record_forbids() {
    let p = RSA_2048.public();
    for (cause, text) in [
        ("dkim-hash-not-allowed", format!("v=DKIM1; k=rsa; h=sha1; p={p}")),
        ("dkim-service-type-mismatch", format!("v=DKIM1; k=rsa; s=tlsrpt; p={p}")),
    ] {
        let said = judged(&text);
        said.leads(cause, "certain");
        assert_eq!(said.findings()[0]["publish"]["value"], format!("v=DKIM1;k=rsa;p={p}"));
    }
    let mail = Signer::new(&RSA_2048, "example.com").set("i", "@mail.example.com").sign(MAIL.as_bytes());
    let strict = Zone::default().txt(NAME, &format!("v=DKIM1; k=rsa; t=s; p={p}"));
    verify(&mail, &strict, &[]).leads("dkim-subdomain-forbidden", "certain");
    let forbidden = ["dkim-hash-not-allowed", "dkim-service-type-mismatch", "dkim-subdomain-forbidden"];
    for text in
        [format!("v=DKIM1; k=rsa; t=s; h=sha1:sha256; s=*; p={p}"), format!("v=DKIM1; k=rsa; s=tlsrpt:email; p={p}")]
    {
        judged(&text).healthy().never(&forbidden);
    }
}

#[test]
fn flags_of_another_time() {
    let p = RSA_2048.public();
    let said = judged(&format!("v=DKIM1; k=rsa; t=y; p={p}"));
    said.healthy();
    let finding = said.finding("dkim-testing-mode");
    assert_eq!((&finding["severity"], &finding["confidence"]), (&"warning".into(), &"possible".into()));
    // Where some receivers count it for nothing, a pass is luck.
    assert_eq!(finding["primary"], true);
    let cut = format!("v=DKIM1; t=y; k=rsa; p={p}");
    judged(&cut[..255]).leads("dkim-key-truncated", "likely");
    let said = judged(&format!("v=DKIM1; g=; k=rsa; p={p}"));
    said.healthy().leads("dkim-granularity-legacy", "likely");
    judged(&format!("v=DKIM1; k=rsa; p={p}")).healthy().never(&["dkim-testing-mode", "dkim-granularity-legacy"]);
}

#[test]
fn sizes() {
    let small = Key::rsa(768);
    by(&small, &small.record(), &[]).leads("dkim-key-too-small", "certain");
    judged(&format!("v=DKIM1; k=rsa; p={}", giant(8192))).leads("dkim-key-too-large", "likely");
    let (private, demanded) = (["--provider", "ncloud"], "dkim-key-wrong-size");
    let said = by(&RSA_1024, &RSA_1024.record(), &private);
    said.healthy().leads(demanded, "certain");
    assert_eq!(said.findings()[0]["severity"], "warning");
    // The selector alone tells the provider.
    let mail = Signer::new(&RSA_1024, "example.com").set("s", "ncpcompubkr").sign(MAIL.as_bytes());
    let zone = Zone::default().txt("ncpcompubkr._domainkey.example.com", &RSA_1024.record());
    let said = verify(&mail, &zone, &[]);
    said.healthy().leads(demanded, "certain");
    assert!(
        said.findings()[0]["claim"]
            .as_str()
            .is_some_and(|claim| claim.contains("ncloud, whose selector ncpcompubkr is"))
    );
    by(&RSA_1024, &RSA_1024.record(), &[]).healthy().never(&[demanded, "dkim-key-too-small"]);
    // Published in another size than the signature: with a profile that demands one, the size leads.
    let said = by(&RSA_2048, &RSA_1024.record(), &private);
    said.leads(demanded, "certain").never(&["dkim-key-too-small"]);
    assert_eq!(said.findings()[0]["severity"], "error");
    by(&RSA_2048, &RSA_1024.record(), &[]).never(&[demanded]);
    by(&RSA_2048, &OTHER_2048.record(), &private).never(&[demanded]);
    // 3072 and 4096 bits are legal everywhere else.
    let large = Key::rsa(3072);
    by(&large, &large.record(), &[]).healthy().never(&[demanded, "dkim-key-too-large"]);
}

#[test]
fn a_private_key_is_never_shown() {
    let Key::Rsa(key) = &*RSA_2048 else { panic!("an RSA key") };
    let new = STANDARD.encode(key.to_pkcs8_der().expect("a form").as_bytes());
    let old = STANDARD.encode(key.to_pkcs1_der().expect("a form").as_bytes());
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a form").replace('\n', "");
    for text in [
        format!("v=DKIM1; k=rsa; p={new}"),
        format!("v=DKIM1; k=rsa; p={old}"),
        format!("v=DKIM1; k=rsa; p={}", &new[..700]),
        format!("\"v=DKIM1; k=rsa; p={new}\""),
        format!("v=DKIM1; k=rsa; p={pem}"),
        pem,
    ] {
        let said = judged(&text);
        said.leads("dkim-private-key-published", "certain").never(&["dkim-key-corrupt", "dkim-key-truncated"]);
        let shown = said.report.to_string();
        for secret in [&new, &old] {
            // Past the public modulus, piece by piece.
            let pieces = secret.as_bytes()[420..].chunks(24).filter(|piece| piece.len() == 24);
            for piece in pieces {
                assert!(!shown.contains(std::str::from_utf8(piece).expect("ASCII")), "{:#}", said.report);
            }
        }
        assert!(shown.contains("SHA-256"));
    }
    // The screen for people.
    let desk = Desk::new(&Zone::default().txt(NAME, &format!("v=DKIM1; k=rsa; p={old}")));
    desk.put("mail", Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes()));
    let screen = String::from_utf8(desk.verify(["--dns", "zone", "mail"]).stdout).expect("text");
    assert!(screen.contains("dkim-private-key-published") && !screen.contains(&old[..24]), "{screen}");
    // Spread over records, and beside the right key.
    let mail = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    let zone = Zone::default().txt(NAME, &format!("v=DKIM1; k=rsa; p={}", &old[..200])).txt(NAME, &old[200..440]);
    let said = verify(&mail, &zone, &[]);
    said.leads("dkim-private-key-published", "certain");
    assert!(!said.report.to_string().contains(&old[300..340]));
    let zone = zone.txt(NAME, &RSA_2048.record());
    verify(&mail, &zone, &[]).healthy().leads("dkim-private-key-published", "certain");
}

#[test]
fn a_certificate_is_no_key() {
    let said = judged(&format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(certificate())));
    said.leads("dkim-key-is-certificate", "certain").never(&["dkim-key-corrupt"]);
    assert_eq!(said.findings()[0]["publish"]["value"], format!("v=DKIM1;k=rsa;p={}", RSA_2048.public()));
}

/// As much of an X.509 certificate as there is around its key.
fn certificate() -> Vec<u8> {
    let sequence = |parts: &[&[u8]]| {
        let content = parts.concat();
        [&[0x30, 0x82, (content.len() >> 8) as u8, content.len() as u8][..], &content].concat()
    };
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
    let name = [0x30, 0];
    let times = b"\x30\x1e\x17\x0d260101000000Z\x17\x0d360101000000Z";
    let key = STANDARD.decode(RSA_2048.public()).expect("base64");
    let serial = [2, 2, 0x12, 0x34];
    let body = sequence(&[&[0xa0, 3, 2, 1, 2], &serial, &algorithm, &name, times, &name, &key]);
    let signature = [&[3, 0x82, 1, 1, 0][..], &[0x55; 256]].concat();
    sequence(&[&body, &algorithm, &signature])
}
