//! What panels, editors and hands make of the text of a key record, each with its neighbour that must not be named.

mod common;

use common::{
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, Said, verify},
};
use std::fmt::Write;

const NAME: &str = "sel._domainkey.example.com";

/// A message judged with this text as the value of its key record, cut into strings of 255 octets.
#[track_caller]
fn judged(text: &str) -> Said {
    let mail = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    verify(&mail, &Zone::default().txt(NAME, text), &[])
}

/// The same with these strings.
#[track_caller]
fn strings(strings: &[&str]) -> Said {
    let mail = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    let mut line = format!("{NAME}. 300 IN TXT");
    for string in strings {
        write!(line, " \"{}\"", string.replace('\\', "\\\\").replace('"', "\\\"")).expect("a String takes it");
    }
    verify(&mail, &Zone::default().line(&line), &[])
}

/// The key as p= has it.
fn p() -> String {
    RSA_2048.public()
}

/// Every text with its cause; each fails, is certain, and gives the record that mends it.
#[track_caller]
fn each(rows: &[(&str, String)]) {
    for (cause, text) in rows {
        eprintln!("{cause}: {}", &text[..40.min(text.len())].escape_debug());
        let said = judged(text);
        said.leads(cause, "certain");
        let finding = said.finding(cause);
        assert_eq!(finding["severity"], "error");
        assert_eq!(finding["publish"]["value"], format!("v=DKIM1;k=rsa;p={}", p()), "{text}");
        assert!(!finding["fix"].as_array().expect("a list").is_empty());
        assert_ne!(said.report["dkim"][0]["result"], "pass");
    }
}

#[test]
fn quotes_backslashes_and_line_breaks() {
    let p = p();
    each(&[
        ("txt-literal-quotes", format!("\"v=DKIM1; k=rsa; p={p}\"")),
        ("txt-literal-quotes", format!("\"v=DKIM1; k=rsa; p={}\" \"{}\"", &p[..220], &p[220..])),
        ("txt-literal-quotes", format!("v=DKIM1; k=rsa; p=\"{p}\"")),
        ("txt-literal-quotes", format!("\\\"v=DKIM1; k=rsa; p={p}\\\"")),
        ("txt-literal-quotes", format!("'v=DKIM1; k=rsa; p={p}'")),
        ("txt-escaped-semicolon", format!("v=DKIM1\\; k=rsa\\; p={p}")),
        ("txt-escaped-semicolon", format!("v=DKIM1\\;k=rsa\\;p={p}\\;")),
        ("txt-trailing-backslash", format!("v=DKIM1; k=rsa; p={p}\\")),
        ("txt-literal-newline", format!("v=DKIM1; k=rsa; p={}\\n{}", &p[..64], &p[64..])),
        ("txt-literal-newline", format!("v=DKIM1; k=rsa; p={}\n{}\n", &p[..64], &p[64..])),
        ("txt-literal-newline", format!("v=DKIM1; k=rsa; p={}\r\n{}", &p[..64], &p[64..])),
        ("txt-literal-newline", format!("v=DKIM1\nk=rsa\np={p}")),
    ]);
    let said = strings(&[&format!("v=DKIM1; k=rsa; p={}\\", &p[..200]), &p[200..]]);
    said.leads("txt-trailing-backslash", "certain");
}

#[test]
fn tags_that_are_none() {
    let p = p();
    each(&[
        ("dkim-missing-semicolon", format!("v=DKIM1 k=rsa p={p}")),
        ("dkim-missing-semicolon", format!("v=DKIM1; k=rsap={p}")),
        ("dkim-missing-semicolon", format!("v=DKIM1, k=rsa, p={p}")),
        ("dkim-missing-semicolon", format!("v=DKIM1;k=rsa p={p}")),
        ("dkim-missing-semicolon", format!("v=DKIM1: k=rsa: p={p}")),
        ("dkim-missing-semicolon", format!("v=DKIM1k=rsap={p}")),
        ("dkim-tag-case", format!("V=DKIM1; K=rsa; P={p}")),
        ("dkim-tag-case", format!("v=DKIM1; k=rsa; P={p}")),
        ("dkim-tag-prefix-garbage", format!("_v=DKIM1; _k=rsa; _p={p}")),
        ("dkim-tag-prefix-garbage", format!("DKIM1; k=rsa; p={p}")),
        ("dkim-tag-prefix-garbage", format!("TXT v=DKIM1; k=rsa; p={p}")),
        ("dkim-tag-prefix-garbage", format!("=v=DKIM1; k=rsa; p={p}")),
        ("dkim-tag-prefix-garbage", format!("v=DKIM1;; k=rsa; p={p}")),
        ("dkim-tag-prefix-garbage", format!("v=DKIM1; k=rsa; p=p={p}")),
        // No name of a tag has a hyphen.
        ("dkim-tag-prefix-garbage", format!("v=DKIM1; made-by=us; k=rsa; p={p}")),
        ("dkim-version-invalid", format!("v=dkim1; k=rsa; p={p}")),
        ("dkim-version-invalid", format!("v=DKIM2; k=rsa; p={p}")),
        ("dkim-version-invalid", format!("k=rsa; v=DKIM1; p={p}")),
        ("dkim-version-invalid", format!("p={p}; k=rsa; v=DKIM1")),
        ("dkim-duplicate-tag", format!("v=DKIM1; k=rsa; k=rsa; p={p}")),
        ("dkim-duplicate-tag", format!("v=DKIM1; k=rsa; p={p}; p={p}")),
        ("dkim-duplicate-tag", format!("v=DKIM1; k=rsa; p={}; p={p}", OTHER_2048.public())),
        ("dkim-duplicate-tag", format!("v=DKIM1; k=rsa; p={p}v=DKIM1; k=rsa; p={p}")),
    ]);
}

#[test]
fn pasted_with_something_else() {
    let p = p();
    each(&[
        ("dkim-zone-line-in-value", format!("sel._domainkey IN TXT ( \"v=DKIM1; k=rsa; \" \"p={}\" \"{}\" )", &p[..200], &p[200..])),
        (
            "dkim-zone-line-in-value",
            format!("sel._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=rsa; \" \"p={p}\" )  ; ----- DKIM key sel for example.com")
                .replace(" h=sha256;", ""),
        ),
        ("dkim-zone-line-in-value", format!("{NAME}. 300 IN TXT \"v=DKIM1; k=rsa; p={p}\"")),
        (
            "dkim-zone-line-in-value",
            format!(
                "sel._domainkey\tIN\tTXT\t( \"v=DKIM1; k=rsa; \"\n\t  \"p={}\"\n\t  \"{}\" )  ; ----- DKIM key sel for example.com\n",
                &p[..200],
                &p[200..]
            ),
        ),
        ("dkim-pem-armor-in-key", format!("v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----{p}-----END PUBLIC KEY-----")),
        ("dkim-pem-armor-in-key", format!("v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----\\n{p}\\n-----END PUBLIC KEY-----\\n")),
        ("dkim-pem-armor-in-key", format!("v=DKIM1; k=rsa; p=BEGINPUBLICKEY{p}ENDPUBLICKEY")),
        ("dkim-pem-armor-in-key", format!("v=DKIM1; k=rsa; p={p}-----END PUBLIC KEY-----")),
        ("dkim-pem-armor-in-key", format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----", &p[..64], &p[64..])),
        ("txt-trailing-garbage", format!("v=DKIM1; k=rsa; p={p} v=spf1 include:email.ncloud.com ~all")),
        ("txt-trailing-garbage", format!("v=DKIM1; k=rsa; p={p}; v=spf1 -all")),
        ("txt-trailing-garbage", format!("v=DKIM1; k=rsa; p={p}google-site-verification=abcdef")),
        ("txt-trailing-garbage", format!("v=DKIM1; k=rsa; p={p}; google-site-verification=abcdef")),
        ("txt-trailing-garbage", format!("v=DKIM1; k=rsa; p={p} # the key of 2026")),
        ("txt-trailing-garbage", format!("v=DKIM1; k=rsa; p={p};;")),
        ("txt-smart-quotes", format!("\u{201c}v=DKIM1; k=rsa; p={p}\u{201d}")),
        ("txt-smart-quotes", format!("v=DKIM1\u{ff1b} k\u{ff1d}rsa; p={p}")),
        ("txt-smart-quotes", format!("\u{feff}v=DKIM1; k=rsa; p={p}")),
        ("txt-smart-quotes", format!("v=DKIM1; k=rsa; p={}\u{200b}{}", &p[..100], &p[100..])),
        ("txt-smart-quotes", format!("v=DKIM1;\u{a0}k=rsa;\u{a0}p={p}")),
    ]);
}

#[test]
fn placeholders() {
    for text in [
        "v=DKIM1; k=rsa; p=YOUR_PUBLIC_KEY",
        "v=DKIM1; k=rsa; p=\u{c5ec}\u{ae30}\u{c5d0} \u{d0a4}",
        "v=DKIM1;k=rsa;p=MIIB...",
        "v=DKIM1; k=rsa; p=<your public key>",
        "v=DKIM1; k=rsa; p={public_key}",
        "v=DKIM1; p=...",
        "v=DKIM1; k=rsa; p=example",
    ] {
        let said = judged(text);
        said.leads("dkim-placeholder-value", "certain").never(&["dkim-key-corrupt", "dkim-key-truncated"]);
    }
    // The seed document's correct example, as it is printed.
    strings(&["v=DKIM1;k=rsa;p=MIIB...", "..."]).leads("dkim-placeholder-value", "certain");
}

#[test]
fn strings_in_disorder() {
    let value = format!("v=DKIM1;k=rsa;p={}", p());
    let (a, b, c) = (&value[..150], &value[150..300], &value[300..]);
    for wrong in [vec![&value[255..], &value[..255]], vec![b, a, c], vec![a, c, b], vec![c, b, a]] {
        let said = strings(&wrong);
        said.leads("dkim-strings-out-of-order", "certain").never(&["dkim-key-split-across-records"]);
        assert_eq!(said.findings()[0]["publish"]["value"], value);
    }
    for wrong in [
        vec![a, b, b, c],
        vec![a, a, b, c],
        // An overlap, and the key twice.
        vec![&value[..200], &value[190..380], &value[380..]],
        vec![&value[..255], &value[255..], &value[16..200], &value[200..]],
    ] {
        let said = strings(&wrong);
        said.leads("dkim-strings-missing-or-repeated", "certain");
        assert_eq!(said.findings()[0]["publish"]["value"], value);
    }
    // A piece is missing in the middle: nothing can be tried.
    strings(&[a, c]).leads("dkim-strings-missing-or-repeated", "likely").never(&["dkim-key-truncated"]);
    // And at the end: that is another cause.
    strings(&[a, b]).leads("dkim-key-truncated", "likely").never(&["dkim-strings-missing-or-repeated"]);
}

#[test]
fn two_faults_at_once() {
    let p = p();
    for (cause, other, text) in [
        ("txt-literal-quotes", "dkim-missing-semicolon", format!("\"v=DKIM1 k=rsa p={p}\"")),
        (
            "txt-escaped-semicolon",
            "txt-literal-quotes",
            format!("\"v=DKIM1\\; k=rsa\\; p={}\" \"{}\"", &p[..200], &p[200..]),
        ),
        ("txt-literal-quotes", "txt-literal-newline", format!("\"v=DKIM1; k=rsa; p={}\\n{}\"", &p[..64], &p[64..])),
    ] {
        let said = judged(&text);
        said.leads(cause, "certain");
        assert!(said.findings()[0].to_string().contains(other), "{other}: {:#}", said.report);
    }
}

#[test]
fn a_repair_that_gives_another_key_is_not_certain() {
    let said = judged(&format!("\"v=DKIM1; k=rsa; p={}\"", OTHER_2048.public()));
    said.leads("txt-literal-quotes", "likely");
    assert!(said.findings()[0]["claim"].as_str().is_some_and(|claim| claim.contains("not the key that signed")));
    // It would not verify this signature, and is not given as if it did.
    assert!(said.findings()[0]["publish"].is_null());
}

#[test]
fn blanks_in_the_key_pass_with_a_warning() {
    let p = p();
    let said = judged(&format!("v=DKIM1; k=rsa; p={} {}", &p[..64], &p[64..]));
    said.healthy().leads("dkim-key-whitespace", "likely").never(&["dkim-key-corrupt", "txt-literal-newline"]);
    assert_eq!(said.findings()[0]["severity"], "warning");
    let said = judged(&format!("v=DKIM1; k=rsa; p={}\r\n {}", &p[..64], &p[64..]));
    said.healthy().never(&["dkim-key-corrupt"]);
    // A tab is what a line of a file was indented with.
    let said = judged(&format!("v=DKIM1; k=rsa; p={}\t{}", &p[..64], &p[64..]));
    said.healthy().leads("txt-literal-newline", "likely").never(&["dkim-key-whitespace"]);
    assert!(said.findings()[0]["claim"].as_str().is_some_and(|claim| claim.contains("1 character in all")));
}

#[test]
fn legal_oddities_are_not_named() {
    let p = p();
    for text in [
        format!("v=DKIM1; k=rsa; n=it=3Bs \u{fc}mlaut; p={p}"),
        format!("v=DKIM1; k=rsa; p={p};"),
        format!("v=DKIM1; k=rsa; p={p}; unknown=\"quoted\""),
        format!("v=DKIM1;\tk=rsa;\tp={p}"),
        format!("v=DKIM1;\r\n k=rsa;\r\n p={p}"),
        format!("p={p}; k=rsa; t=s"),
        format!("v = DKIM1 ; p = {p} ;"),
    ] {
        let said = judged(&text);
        said.healthy();
        assert!(said.causes().iter().all(|cause| !cause.starts_with("txt-") && !cause.starts_with("dkim-")), "{text}");
    }
}
