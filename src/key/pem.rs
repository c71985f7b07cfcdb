//! The one private key of a PEM file (RFC 7468), found and decoded; which algorithm it is, others judge.
//!
//! Operators put other things where a key should be: nothing, a certificate beside it, a public key, DER. Each is told by
//! its own reason, because what the decoder of a library says of it helps nobody.

use super::KeyReason;
use rsa::pkcs8::SecretDocument;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The encodings of a private key that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `RSA PRIVATE KEY`
    Pkcs1,
    /// `PRIVATE KEY`
    Pkcs8,
}

/// Finds and decodes the key.
pub(super) fn read(file: &[u8]) -> Result<(Encoding, SecretDocument), KeyReason> {
    if file.trim_ascii().is_empty() {
        return Err(KeyReason::Empty);
    }
    // SEQUENCE with a length of two octets, as every RSA key is, or with a short one, as Ed25519 keys are.
    if matches!(file, [0x30, 0x82, ..])
        || matches!(file, [0x30, length, rest @ ..] if rest.len() == usize::from(*length))
    {
        return Err(KeyReason::Der);
    }
    let text = std::str::from_utf8(file).map_err(|_| KeyReason::NotPem("it is not text".into()))?;
    let starts: Vec<(usize, &str)> = labels(text).collect();
    let (start, label) = match &starts[..] {
        [] => return Err(KeyReason::NotPem(format!("it has no line \"{BEGIN}PRIVATE KEY{DASHES}\""))),
        [one] => *one,
        several => return Err(not_alone(several.iter().map(|(_, label)| *label).collect())),
    };
    let encoding = match label {
        "RSA PRIVATE KEY" if text.contains("Proc-Type: 4,ENCRYPTED") => {
            return Err(KeyReason::NotAPrivateKey("an encrypted private key".into()));
        }
        "RSA PRIVATE KEY" => Encoding::Pkcs1,
        "PRIVATE KEY" => Encoding::Pkcs8,
        other => return Err(KeyReason::NotAPrivateKey(described(other))),
    };
    let last = format!("{END}{label}{DASHES}");
    let block = &text[start..];
    let first = block.lines().next().unwrap_or_default();
    if first.trim_end().len() > BEGIN.len() + label.len() + DASHES.len() {
        return Err(KeyReason::Corrupt(format!(
            "its line ends are missing, from that after \"{BEGIN}{label}{DASHES}\" on"
        )));
    }
    let Some(length) = block.find(&last) else {
        return Err(KeyReason::Corrupt(format!("its text ends before the line \"{last}\"")));
    };
    let decoded = SecretDocument::from_pem(&block[..length + last.len()]);
    let (_, key) =
        decoded.map_err(|_| KeyReason::Corrupt(format!("what stands before \"{last}\" is no base64 of a key")))?;
    Ok((encoding, key))
}

/// Where each block begins, and its label. The label ends at its dashes, whatever follows on the line: where line ends
/// were lost, that is the key.
fn labels(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices(BEGIN).filter_map(|(at, _)| {
        let line = text[at + BEGIN.len()..].lines().next()?;
        Some((at, line.split_once(DASHES)?.0))
    })
}

/// Several blocks: an EC key comes with its parameters and is one thing; else the key has company.
fn not_alone(labels: Vec<&str>) -> KeyReason {
    match labels[..] {
        ["EC PARAMETERS", key] => KeyReason::NotAPrivateKey(described(key)),
        _ => KeyReason::NotAlone(labels.into_iter().map(described).collect()),
    }
}

/// A label, as people say it.
fn described(label: &str) -> String {
    match label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" => "a private key".into(),
        "ENCRYPTED PRIVATE KEY" => "an encrypted private key".into(),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key".into(),
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => "a certificate".into(),
        "OPENSSH PRIVATE KEY" => "a key in the format of OpenSSH".into(),
        "EC PRIVATE KEY" => "an EC key, which DKIM does not know".into(),
        "DSA PRIVATE KEY" => "a DSA key, which DKIM does not know".into(),
        other if is_label(other) => format!("{other:?}"),
        _ => "something else".into(),
    }
}

/// A label as programs write it. Anything else may be a key that lost its place, and is not to be shown.
fn is_label(text: &str) -> bool {
    let good = |octet: u8| octet.is_ascii_uppercase() || octet.is_ascii_digit() || octet == b' ';
    text.len() <= 40 && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_by_what_it_is() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let with =
            |text: &str| read(text.as_bytes()).map(|(encoding, _)| encoding).map_err(|reason| reason.to_string());
        let several = [block("PRIVATE KEY"), block("CERTIFICATE")].concat();
        for (text, want) in [
            ("", "is empty"),
            (" \r\n\t\n", "is empty"),
            ("0\u{2}\u{1}a", "is in DER form, not in PEM"),
            ("hello", "is not a key in PEM form: it has no line \"-----BEGIN PRIVATE KEY-----\""),
            ("-----BEGIN PRIVATE KEY", "is not a key in PEM form: it has no line"),
            (&block("CERTIFICATE"), "holds a certificate, not a private key"),
            (&several, "holds a private key and a certificate, and should hold one private key alone"),
            (&[block("EC PARAMETERS"), block("EC PRIVATE KEY")].concat(), "holds an EC key"),
            (&block("THING"), "holds \"THING\", not a private key"),
            (&block("Thing"), "holds something else, not a private key"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "ends before the line \"-----END PRIVATE KEY-----\""),
            ("-----BEGIN PRIVATE KEY-----\nA*AA\n-----END PRIVATE KEY-----\n", "is no base64 of a key"),
        ] {
            let told = with(text).expect_err(want);
            assert!(told.contains(want), "{text:?}: {told}\nwanted: {want}");
        }
        let lost = "-----BEGIN PRIVATE KEY-----MIIEsecret-----END PRIVATE KEY-----";
        for text in [lost.to_owned(), format!("{lost}\n"), lost.replace('-', "---"), [lost, lost].concat()] {
            let told = with(&text).expect_err("no line ends");
            assert!(!told.contains("secret"), "{text}: {told}");
        }
        assert!(with(lost).is_err_and(|told| told.contains("its line ends are missing")));
        assert!(read(b"\xff\xfe-\0").is_err_and(|reason| reason.to_string().ends_with("it is not text")));
    }
}
