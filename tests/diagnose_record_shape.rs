//! How many records stand at a selector: split keys, several keys, foreign texts, and the seed document's own two examples.

mod common;

use common::{
    forge::{ED25519, Key, OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, Said, check, verify},
};
use std::sync::LazyLock;

static THIRD_2048: LazyLock<Key> = LazyLock::new(|| Key::rsa(2048));

const NAME: &str = "ncpcompubkr._domainkey.example.com";

/// A message signed under the selector of the seed document, judged with these lines at its name.
#[track_caller]
fn judged(lines: &[String]) -> Said {
    let mail = Signer::new(&RSA_2048, "example.com").set("s", "ncpcompubkr").sign(MAIL.as_bytes());
    verify(&mail, &zone(lines), &[])
}

fn zone(lines: &[String]) -> Zone {
    lines.iter().fold(Zone::default(), |zone, line| zone.line(&format!("{NAME}. 300 IN TXT {line}")))
}

/// The value as the seed document has it: 408 characters, the first string 255 of them.
fn value() -> String {
    let value = format!("v=DKIM1;k=rsa;p={}", RSA_2048.public());
    assert_eq!(value.len(), 408);
    value
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

const TROUBLE: [&str; 6] = [
    "dkim-key-split-across-records",
    "dkim-multiple-key-records",
    "dkim-key-truncated",
    "dkim-key-corrupt",
    "dkim-results-alternate",
    "dkim-foreign-txt-at-selector",
];

#[test]
fn the_seed_documents_correct_registration_passes() {
    let value = value();
    let (first, rest) = value.split_at(255);
    let said = judged(&[format!("{} {}", quoted(first), quoted(rest))]);
    said.healthy().never(&TROUBLE);
    assert_eq!(said.report["dkim"][0]["result"], "pass");
}

#[test]
fn the_seed_documents_incorrect_registration_is_a_split_key() {
    let value = value();
    let (first, rest) = value.split_at(255);
    for lines in [[quoted(first), quoted(rest)], [quoted(rest), quoted(first)]] {
        let said = judged(&lines);
        said.leads("dkim-key-split-across-records", "certain")
            .never(&["dkim-key-truncated", "dkim-multiple-key-records"]);
        assert_eq!((said.status, &said.report["dkim"][0]["result"]), (1, &"permerror".into()));
        let finding = said.finding("dkim-key-split-across-records");
        assert_eq!(finding["severity"], "error");
        assert_eq!(finding["publish"]["name"], NAME);
        assert_eq!(finding["publish"]["value"], value);
        assert_eq!(finding["publish"]["strings"], serde_json::json!([first, rest]));
        assert_eq!(finding["evidence"][0]["records"].as_array().map(Vec::len), Some(2));
        let text = finding.to_string();
        for part in ["one record, two strings", "unsplit and without quotes", "OpenDKIM up to 2.11", "2 TXT records"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let seed = &finding["documented"][0];
        assert_eq!(seed["title"], "Cloud Outbound Mailer troubleshooting");
        assert!(seed["lines"].as_array().is_some_and(|lines| lines.contains(&63.into())), "{seed}");
        assert_eq!(said.finding("dkim-results-alternate")["severity"], "note");
    }
}

/// The rest of what the document wants of a domain, and these lines at the key's name.
fn domain(lines: &[String]) -> Zone {
    zone(lines)
        .txt("example.com", "v=spf1 include:email.ncloud.com ~all")
        .txt("email.ncloud.com", "v=spf1 ip4:192.0.2.0/24 ~all")
        .txt("_dmarc.example.com", "v=DMARC1; p=none")
}

#[test]
fn the_seed_documents_two_examples_in_a_check() {
    let value = value();
    let (first, rest) = value.split_at(255);
    let place = ["--environment", "private", "--region", "kr"];
    let right = check(&domain(&[format!("{} {}", quoted(first), quoted(rest))]), &place);
    right.never(&TROUBLE);
    assert_eq!((right.status, &right.report["steps"][1]["status"]), (0, &"ok".into()), "{:#}", right.report);
    let wrong = check(&domain(&[quoted(first), quoted(rest)]), &place);
    // No key is at hand that could prove it.
    wrong.leads("dkim-key-split-across-records", "likely").never(&["dkim-key-truncated", "dkim-key-missing-p"]);
    assert_eq!((wrong.status, &wrong.report["steps"][1]["status"]), (1, &"failed".into()), "{:#}", wrong.report);
    assert_eq!(wrong.findings()[0]["publish"]["value"], value);
}

#[test]
fn a_check_with_the_key_at_hand_is_certain() {
    let value = value();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("record");
    std::fs::write(&file, &value).expect("written");
    let expect = ["--selector", "ncpcompubkr", "--expect", file.to_str().expect("a path")];
    let (first, rest) = value.split_at(255);
    for (cause, lines) in [
        ("dkim-key-split-across-records", vec![quoted(first), quoted(rest)]),
        ("dkim-key-truncated", vec![quoted(first)]),
        ("dkim-strings-missing-or-repeated", vec![format!("{} {}", quoted(&value[..200]), quoted(&value[260..]))]),
        ("dkim-multiple-key-records", vec![format!("{} {}", quoted(first), quoted(rest)), quoted(first)]),
        ("dkim-key-revoked", vec![quoted("v=DKIM1; p=")]),
    ] {
        let said = check(&domain(&lines), &expect);
        said.leads(cause, "certain");
        assert_eq!(said.findings()[0]["publish"]["value"], value, "{cause}");
        assert_eq!(said.report["steps"][1]["status"], "failed", "{cause}");
    }
}

#[test]
fn pieces_of_a_key_in_every_shape() {
    let value = value();
    let p = RSA_2048.public();
    for (why, lines) in [
        ("three pieces", vec![&value[..150], &value[150..300], &value[300..]]),
        ("three pieces in another order", vec![&value[300..], &value[..150], &value[150..300]]),
        ("tags in a record of their own", vec!["v=DKIM1; k=rsa; p=", &p]),
        ("four pieces", vec![&value[300..], &value[100..200], &value[..100], &value[200..300]]),
    ] {
        let lines: Vec<String> = lines.into_iter().map(quoted).collect();
        let lines: Vec<String> = lines
            .into_iter()
            .map(|line| if line.len() > 255 { format!("{}\" \"{}", &line[..200], &line[200..]) } else { line })
            .collect();
        let said = judged(&lines);
        eprintln!("{why}");
        said.leads("dkim-key-split-across-records", "certain");
        assert_eq!(said.findings()[0]["publish"]["value"], value, "{why}");
    }
    // Each piece with tags of its own, and pieces with quotes in them.
    for lines in [
        [format!("v=DKIM1; k=rsa; p={}", &p[..200]), format!("v=DKIM1; k=rsa; p={}", &p[200..])],
        [format!("\\\"v=DKIM1; k=rsa; p={}\\\"", &p[..200]), format!("\\\"{}\\\"", &p[200..])],
    ] {
        judged(&lines.map(|line| quoted(&line))).leads("dkim-key-split-across-records", "certain");
    }
}

#[test]
fn pieces_without_proof_are_likely() {
    let value = value();
    // The middle is missing: it is a split all the same, but no key comes of it.
    let lines = [&value[..150], &value[250..300]].map(quoted);
    judged(&lines).leads("dkim-key-split-across-records", "likely");
    // The key in pieces is another one than the signer's.
    let other = format!("v=DKIM1;k=rsa;p={}", OTHER_2048.public());
    let said = judged(&[quoted(&other[..255]), quoted(&other[255..])]);
    said.leads("dkim-key-split-across-records", "likely");
    assert!(said.findings()[0]["claim"].as_str().is_some_and(|claim| claim.contains("not the key that signed")));
}

#[test]
fn several_keys_pass_with_a_warning() {
    let right = format!("v=DKIM1; k=rsa; p={}", RSA_2048.public());
    let old = format!("v=DKIM1; k=rsa; p={}", OTHER_2048.public());
    let strings = |text: &str| format!("{} {}", quoted(&text[..255]), quoted(&text[255..]));
    for (why, other) in [
        ("an old key", strings(&old)),
        ("the beginning of the key", quoted(&right[..255])),
        ("the end of the key", quoted(&right[255..])),
        ("the record with quotes", format!("\"\\\"{}\" \"{}\\\"\"", &right[..200], &right[200..])),
        ("a revoked key", quoted("v=DKIM1; p=")),
        ("an Ed25519 key", quoted(&ED25519.record())),
    ] {
        for lines in [[strings(&right), other.clone()], [other.clone(), strings(&right)]] {
            eprintln!("{why}");
            let said = judged(&lines);
            said.healthy().leads("dkim-multiple-key-records", "certain").never(&["dkim-key-split-across-records"]);
            let finding = said.finding("dkim-multiple-key-records");
            assert_eq!(finding["severity"], "warning", "{why}");
            assert!(finding["publish"]["value"].as_str().is_some_and(|value| value.contains(&RSA_2048.public())));
            assert!(finding.to_string().contains("OpenDKIM up to 2.11"));
        }
    }
}

/// Other receivers may refuse two records, but whichever is taken, the result is the same.
#[test]
fn one_key_in_two_spellings_does_not_alternate() {
    let key = RSA_2048.public();
    let strings = |text: &str| format!("{} {}", quoted(&text[..255]), quoted(&text[255..]));
    let [one, two] = [format!("v=DKIM1; k=rsa; p={key}"), format!("v=DKIM1;k=rsa;p={key}")];
    let forbids = format!("v=DKIM1; k=rsa; h=sha1; p={key}");
    let said = judged(&[strings(&one), strings(&two)]);
    said.healthy().leads("dkim-multiple-key-records", "certain").never(&["dkim-results-alternate"]);
    judged(&[strings(&one), strings(&one)]).healthy().never(&TROUBLE);
    let said = judged(&[strings(&one), strings(&forbids)]);
    assert_eq!(said.finding("dkim-results-alternate")["severity"], "note");
}

/// What fails is that no key signed; a second record is one more fault, which mends nothing.
#[test]
fn several_keys_of_which_none_signed() {
    let strings = |text: &str| format!("{} {}", quoted(&text[..255]), quoted(&text[255..]));
    let other = |key: &Key| strings(&format!("v=DKIM1; k=rsa; p={}", key.public()));
    for lines in [[other(&OTHER_2048), other(&THIRD_2048)], [other(&THIRD_2048), other(&OTHER_2048)]] {
        let said = judged(&lines);
        said.leads("dkim-key-mismatch", "certain");
        let finding = said.finding("dkim-multiple-key-records");
        assert_eq!((&finding["severity"], &finding["primary"]), (&"warning".into(), &false.into()));
        let claim = finding["claim"].as_str().expect("a text");
        assert!(claim.contains("no key among them is the right one"), "{claim}");
    }
}

#[test]
fn foreign_texts_at_the_selector() {
    let right = format!("v=DKIM1; k=rsa; p={}", RSA_2048.public());
    let key = format!("{} {}", quoted(&right[..255]), quoted(&right[255..]));
    for foreign in
        ["v=spf1 include:email.ncloud.com ~all", "google-site-verification=abcdefghijklmnop", "MS=ms12345678"]
    {
        let said = judged(&[quoted(foreign), key.clone()]);
        said.healthy().leads("dkim-foreign-txt-at-selector", "certain").never(&["dkim-multiple-key-records"]);
        let said = judged(&[quoted(foreign)]);
        said.leads("dkim-foreign-txt-at-selector", "certain").never(&["dkim-key-missing-p", "dkim-key-corrupt"]);
        assert_eq!(said.findings()[0]["severity"], "error");
    }
}

#[test]
fn the_name_of_a_host_belongs_in_a_cname() {
    let said = judged(&[quoted("abcdef.dkim.amazonses.com.")]);
    said.leads("dkim-record-type-mixed-up", "certain").never(&["dkim-foreign-txt-at-selector"]);
    let publish = &said.findings()[0]["publish"];
    assert_eq!((&publish["type"], &publish["value"]), (&"CNAME".into(), &"abcdef.dkim.amazonses.com.".into()));
}

#[test]
fn unusual_and_right() {
    let p = RSA_2048.public();
    for (why, lines) in [
        ("five strings", vec![format!("\"v=DKIM1;\" \" k=rsa;\" \"\" \" p={}\" \"{}\"", &p[..200], &p[200..])]),
        ("no v= and no k=", vec![format!("\"p={}\" \"{}\"", &p[..200], &p[200..])]),
        ("unknown tags", vec![format!("\"v=DKIM1; x=y; s=*; h=sha256; p={}\" \"{}; z=1;\"", &p[..200], &p[200..])]),
        ("k= behind p=", vec![format!("\"v=DKIM1; p={}\" \"{}; k=rsa\"", &p[..200], &p[200..])]),
        ("blanks around tags", vec![format!("\" v = DKIM1 ;  k = rsa ; p = {}\" \"{} ; \"", &p[..200], &p[200..])]),
        (
            "the same value, split differently",
            vec![
                format!("\"v=DKIM1; p={}\" \"{}\"", &p[..200], &p[200..]),
                format!("\"v=DKIM1; p={}\" \"{}\"", &p[..100], &p[100..300]) + &format!(" \"{}\"", &p[300..]),
            ],
        ),
    ] {
        let said = judged(&lines);
        assert_eq!(said.report["dkim"][0]["result"], "pass", "{why}");
        said.healthy().never(&TROUBLE).never(&["txt-trailing-garbage", "dkim-key-whitespace", "dkim-tag-case"]);
    }
    // Keys of other regions stand at their own selectors.
    let mail = Signer::new(&RSA_2048, "example.com").set("s", "ncpcompubkr").sign(MAIL.as_bytes());
    let zone = Zone::default()
        .txt(NAME, &RSA_2048.record())
        .txt("ncpcompubjpn._domainkey.example.com", &OTHER_2048.record())
        .txt("example.com", "some-verification=1");
    verify(&mail, &zone, &[]).healthy().never(&TROUBLE);
}

#[test]
fn hostile_records_cost_little() {
    let mut lines: Vec<String> = Vec::new();
    for number in 0..100 {
        let strings: Vec<String> =
            (0..40).map(|_| quoted(&format!("{number}k=rsa p=\\\" ; {}", "MII".repeat(70)))).collect();
        lines.push(format!("( {} )", strings.join(" ")));
    }
    let started = std::time::Instant::now();
    let said = judged(&lines);
    assert_eq!(said.report["dkim"][0]["result"], "permerror");
    assert!(serde_json::to_string(said.findings()).expect("JSON").contains("84 more records were not examined"));
    // Seconds, in a build without optimisation.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
