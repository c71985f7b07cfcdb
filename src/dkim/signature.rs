//! A DKIM-Signature field as received (§3.5): every tag that can be read, and every reason why it cannot be verified.
//!
//! Reading never fails. A field with [`Problem`]s is permerror, but what could be read of it still names the signature
//! in reports, and both digests are still compared where the tags for them are there.

use super::{
    Canon, KeyType,
    tag::{self, TagList, TagProblem},
};
use crate::name::{DomainName, NameError};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::{fmt, ops::Range};

/// A signature as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// d=.
    pub domain: Option<DomainName>,
    /// s=.
    pub selector: Option<DomainName>,
    /// a=, as received.
    pub algorithm_text: Option<String>,
    /// a=, if it is one.
    pub algorithm: Option<Algorithm>,
    /// c=, header and body; simple/simple where absent, in ARC relaxed/relaxed.
    pub canonicalization: Option<(Canon, Canon)>,
    /// i=, as received and decoded; `@` and d= where absent.
    pub identity: Option<String>,
    /// Is i= given at all?
    pub identity_given: bool,
    /// The domain of i=.
    pub identity_domain: Option<DomainName>,
    /// l=, in canonical octets.
    pub body_length: Option<u64>,
    /// t=, seconds since 1970.
    pub timestamp: Option<u64>,
    /// x=, seconds since 1970.
    pub expiration: Option<u64>,
    /// h=, as received, without blanks.
    pub fields: Vec<String>,
    /// bh=, decoded.
    pub body_hash: Option<Vec<u8>>,
    /// b=, decoded.
    pub signature: Option<Vec<u8>>,
    /// The first characters of b=, for header.b (RFC 6008).
    pub signature_text: String,
    /// Where the value of b= stands in the value of the field.
    pub signature_range: Option<Range<usize>>,
    /// Why it cannot be verified; the first one is the result's reason.
    pub problems: Vec<Problem>,
}

/// Which field a signature stands in: ARC signs with the same tags, but not with all of them (RFC 8617 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// DKIM-Signature.
    Dkim,
    /// ARC-Message-Signature: v= is ignored, i= is no identity, and From need not be signed.
    ArcMessage,
    /// ARC-Seal: neither body nor list of fields, and only the relaxed form.
    ArcSeal,
}

/// a= (§3.3, RFC 8463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// rsa-sha256.
    RsaSha256,
    /// ed25519-sha256.
    Ed25519Sha256,
    /// rsa-sha1, which must not be accepted any more (RFC 8301 §3.1).
    RsaSha1,
}

/// Why a signature is permerror before any question is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is no tag list.
    Tags(TagProblem),
    /// A required tag is missing.
    Missing(&'static str),
    /// v= is not 1.
    Version(String),
    /// a= is unknown.
    Algorithm(String),
    /// c= is unknown.
    Canonicalization(String),
    /// d= or s= is no name.
    Name(&'static str, NameError),
    /// i= is no identity.
    Identity(String),
    /// i= lies outside d= (§3.5).
    IdentityOutsideDomain,
    /// A number that is none.
    Number(&'static str, String),
    /// x= is not later than t=.
    ExpiresBeforeSigned,
    /// h= is empty or holds what is no field name.
    Fields(String),
    /// h= lacks From (§5.4).
    FromNotSigned,
    /// bh= or b= is not base64.
    Base64(&'static str),
    /// bh= has not the length of its hash, in octets.
    BodyHashLength(usize),
    /// q= names no method that we know.
    QueryMethod(String),
}

/// Base64 whose last character may carry unused bits: what it encodes is still certain.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

impl Signature {
    /// Reads the value of a DKIM-Signature field.
    pub fn read(value: &[u8]) -> Signature {
        Signature::read_list(&TagList::read(value), Form::Dkim)
    }

    /// Reads a signature from a tag list that is one of this form.
    pub fn read_list(list: &TagList<'_>, form: Form) -> Signature {
        let mut signature = Signature::default();
        signature.problems.extend(list.problems.iter().cloned().map(Problem::Tags));
        let required: &[&'static str] = match form {
            Form::Dkim => &["v", "a", "b", "bh", "d", "h", "s"],
            Form::ArcMessage => &["a", "b", "bh", "d", "h", "s"],
            Form::ArcSeal => &["a", "b", "d", "s"],
        };
        for name in required {
            if list.get(name).is_none() {
                signature.problems.push(Problem::Missing(name));
            }
        }
        if let Some(version) = list.value("v").filter(|version| form == Form::Dkim && *version != "1") {
            signature.problems.push(Problem::Version(short(version)));
        }
        signature.read_algorithm(list);
        signature.read_names(list);
        match form {
            Form::Dkim => signature.read_identity(list),
            // There is no identity that the key record could restrict.
            Form::ArcMessage | Form::ArcSeal => signature.identity_domain = signature.domain.clone(),
        }
        if form == Form::ArcSeal {
            signature.canonicalization = Some((Canon::Relaxed, Canon::Relaxed));
            signature.timestamp = signature.number(list, "t", 12);
        } else {
            // RFC 8617 takes over the default of §3.5, but sealers, dkimpy and ValiMail's suite know ARC as relaxed.
            let default = if form == Form::Dkim { "simple/simple" } else { "relaxed/relaxed" };
            signature.read_canonicalization(list, default);
            signature.read_numbers(list);
            signature.read_fields(list, form);
            signature.read_body_hash(list);
        }
        signature.read_signature(list);
        signature
    }

    /// Can its digests be compared at all?
    pub fn is_readable(&self) -> bool {
        self.problems.is_empty()
    }

    /// The name at which its key is published.
    pub fn key_name(&self) -> Option<String> {
        Some(format!("{}._domainkey.{}", self.selector.as_ref()?, self.domain.as_ref()?))
    }

    fn read_algorithm(&mut self, list: &TagList<'_>) {
        if let Some(text) = list.value("a") {
            self.algorithm_text = Some(short(text));
            self.algorithm = match text {
                "rsa-sha256" => Some(Algorithm::RsaSha256),
                "ed25519-sha256" => Some(Algorithm::Ed25519Sha256),
                "rsa-sha1" => Some(Algorithm::RsaSha1),
                _ => None,
            };
            if self.algorithm.is_none() {
                self.problems.push(Problem::Algorithm(short(text)));
            }
        }
    }

    fn read_canonicalization(&mut self, list: &TagList<'_>, default: &str) {
        let text = list.value("c").unwrap_or(default);
        let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
        match (header.parse(), body.parse()) {
            (Ok(header), Ok(body)) => self.canonicalization = Some((header, body)),
            _ => self.problems.push(Problem::Canonicalization(short(text))),
        }
        if let Some(methods) = list.value("q")
            && !methods.split(':').any(|method| tag::trim(method) == "dns/txt")
        {
            self.problems.push(Problem::QueryMethod(short(methods)));
        }
    }

    fn read_names(&mut self, list: &TagList<'_>) {
        // A top-level domain signs for nobody: d= has two labels (§3.5, domain-name), while s= may have one.
        for (tag, place, labels) in [("d", &mut self.domain, 2), ("s", &mut self.selector, 1)] {
            match list.value(tag).map(name) {
                Some(Ok(name)) if name.labels().count() < labels => {
                    self.problems.push(Problem::Name(tag, NameError::SingleLabel));
                }
                Some(Ok(name)) => *place = Some(name),
                Some(Err(error)) => self.problems.push(Problem::Name(tag, error)),
                None => {}
            }
        }
    }

    fn read_identity(&mut self, list: &TagList<'_>) {
        self.identity_given = list.get("i").is_some();
        let Some(identity) = list.value("i") else {
            self.identity = self.domain.as_ref().map(|domain| format!("@{domain}"));
            self.identity_domain = self.domain.clone();
            return;
        };
        let decoded = unquoted_printable(identity);
        let domain = decoded.as_deref().and_then(|text| text.rsplit_once('@')).map(|(_, host)| name(host));
        let Some(Ok(domain)) = domain else {
            self.problems.push(Problem::Identity(short(identity)));
            return;
        };
        if self.domain.as_ref().is_some_and(|own| !domain.is_within(own)) {
            self.problems.push(Problem::IdentityOutsideDomain);
        }
        self.identity = decoded;
        self.identity_domain = Some(domain);
    }

    fn read_numbers(&mut self, list: &TagList<'_>) {
        self.body_length = self.number(list, "l", 76);
        self.timestamp = self.number(list, "t", 12);
        self.expiration = self.number(list, "x", 12);
        if let (Some(timestamp), Some(expiration)) = (self.timestamp, self.expiration)
            && expiration <= timestamp
        {
            self.problems.push(Problem::ExpiresBeforeSigned);
        }
    }

    fn number(&mut self, list: &TagList<'_>, tag: &'static str, digits: usize) -> Option<u64> {
        let text = list.value(tag)?;
        let good = !text.is_empty() && text.len() <= digits && text.bytes().all(|b| b.is_ascii_digit());
        if !good {
            self.problems.push(Problem::Number(tag, short(text)));
            return None;
        }
        // More than fits is more than any body or date: the greatest number stands for it.
        Some(text.parse().unwrap_or(u64::MAX))
    }

    fn read_fields(&mut self, list: &TagList<'_>, form: Form) {
        let Some(text) = list.value("h") else { return };
        let field_character = |b: u8| matches!(b, 33..=57 | 59..=126);
        for name in text.split(':').map(tag::trim) {
            // Chains with empty items count as valid (ValiMail's suite), and no field has an empty name.
            if name.is_empty() && form == Form::ArcMessage {
                continue;
            }
            if name.is_empty() || !name.bytes().all(field_character) {
                self.problems.push(Problem::Fields(short(name)));
                break;
            }
            self.fields.push(name.into());
        }
        if form == Form::Dkim && !self.fields.iter().any(|name| name.eq_ignore_ascii_case("from")) {
            self.problems.push(Problem::FromNotSigned);
        }
    }

    fn read_body_hash(&mut self, list: &TagList<'_>) {
        let Some(text) = list.value("bh") else { return };
        let Ok(hash) = BASE64.decode(tag::without_blanks(text)) else {
            self.problems.push(Problem::Base64("bh"));
            return;
        };
        let length = match self.algorithm {
            Some(Algorithm::RsaSha1) => 20,
            _ => 32,
        };
        if hash.len() != length {
            self.problems.push(Problem::BodyHashLength(hash.len()));
        }
        self.body_hash = Some(hash);
    }

    fn read_signature(&mut self, list: &TagList<'_>) {
        let Some(tag) = list.get("b") else { return };
        let text = tag::without_blanks(tag.value);
        self.signature_range = Some(tag.range.clone());
        self.signature_text = text.chars().take(16).filter(char::is_ascii_graphic).collect();
        match BASE64.decode(&text) {
            Ok(signature) if !signature.is_empty() => self.signature = Some(signature),
            _ => self.problems.push(Problem::Base64("b")),
        }
    }
}

impl Algorithm {
    /// The type of key that it needs.
    pub fn key_type(self) -> KeyType {
        match self {
            Algorithm::RsaSha256 | Algorithm::RsaSha1 => KeyType::Rsa,
            Algorithm::Ed25519Sha256 => KeyType::Ed25519,
        }
    }
}

/// A name in d=, s= or i=: as anywhere in mail, but without a final dot (§3.5).
fn name(text: &str) -> Result<DomainName, NameError> {
    match text.ends_with('.') {
        true => Err(NameError::EmptyLabel),
        false => DomainName::new(text),
    }
}

/// Enough of a stranger's text for a report.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// DKIM-Quoted-Printable (§2.11) decoded; `None` if it is none or hides control characters.
fn unquoted_printable(text: &str) -> Option<String> {
    let text = tag::without_blanks(text);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'=' {
            let hex = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok().filter(|text| !text.contains(char::is_control))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Tags(problem) => write!(f, "not a tag list: {problem}"),
            Problem::Missing(tag) => write!(f, "the tag {tag}= is missing"),
            Problem::Version(text) => write!(f, "version {text:?} is not 1"),
            Problem::Algorithm(text) if text.is_empty() => write!(f, "a= is empty"),
            Problem::Algorithm(text) => write!(f, "unknown algorithm {text:?}"),
            Problem::Canonicalization(text) => write!(f, "unknown canonicalization {text:?}"),
            Problem::Name(tag, error) => write!(f, "{tag}= is not a domain name: {error}"),
            Problem::Identity(text) => write!(f, "i={text:?} is not an identity"),
            Problem::IdentityOutsideDomain => write!(f, "i= is not within d="),
            Problem::Number(tag, text) => write!(f, "{tag}={text:?} is not a number"),
            Problem::ExpiresBeforeSigned => write!(f, "x= is not later than t="),
            Problem::Fields(text) => write!(f, "h= holds {text:?}, which is no field name"),
            Problem::FromNotSigned => write!(f, "From is not signed"),
            Problem::Base64(tag) => write!(f, "{tag}= is not base64"),
            Problem::BodyHashLength(length) => write!(f, "bh= has {length} octets, not those of its hash"),
            Problem::QueryMethod(text) => write!(f, "unknown query method {text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = " v=1; a=rsa-sha256; c=relaxed/simple; d=Example.com;\r\n\ts=sel.a; t=100; x=200; h=From : To:\r\n\t Subject;\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=AA\r\n\t A=";

    #[test]
    fn a_signature_is_read() {
        let signature = Signature::read(GOOD.as_bytes());
        assert_eq!(signature.problems, []);
        assert_eq!(signature.key_name().as_deref(), Some("sel.a._domainkey.example.com"));
        assert_eq!(signature.canonicalization, Some((Canon::Relaxed, Canon::Simple)));
        assert_eq!(signature.fields, ["From", "To", "Subject"]);
        assert_eq!(signature.identity.as_deref(), Some("@example.com"));
        assert_eq!(signature.signature.as_deref(), Some(&[0, 0][..]));
        assert_eq!((signature.timestamp, signature.expiration), (Some(100), Some(200)));
    }

    #[test]
    fn what_cannot_be_verified_says_why() {
        for (from, to, want) in [
            ("v=1;", "", "the tag v= is missing"),
            ("v=1", "v=0.5", "version \"0.5\" is not 1"),
            ("a=rsa-sha256", "a=rsa-md5", "unknown algorithm \"rsa-md5\""),
            ("relaxed/simple", "nowsp", "unknown canonicalization \"nowsp\""),
            (
                "d=Example.com",
                "d=example.net(.example.com",
                "d= is not a domain name: the character '(' cannot stand in a domain name",
            ),
            ("s=sel.a", "s=a\\000b", "s= is not a domain name: the character '\\\\' cannot stand in a domain name"),
            ("t=100", "t=100; t=100", "not a tag list: the tag t= stands twice (octet 70)"),
            ("t=100", "t=-1", "t=\"-1\" is not a number"),
            ("x=200", "x=100", "x= is not later than t="),
            ("t=100", "i=a@notexample.com", "i= is not within d="),
            ("t=100", "i=nobody", "i=\"nobody\" is not an identity"),
            ("t=100", "q=http", "unknown query method \"http\""),
            ("t=100", "l=1e3", "l=\"1e3\" is not a number"),
            ("From : To", "To", "From is not signed"),
            ("From : To", "From::To", "h= holds \"\", which is no field name"),
            ("bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "bh=47DE", "bh= has 3 octets, not those of its hash"),
            ("bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "bh=!", "bh= is not base64"),
            ("b=AA\r\n\t A=", "b=", "b= is not base64"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let signature = Signature::read(text.as_bytes());
            assert_eq!(signature.problems.first().map(Problem::to_string).as_deref(), Some(want));
        }
    }

    #[test]
    fn an_identity_below_d_is_decoded() {
        let text = GOOD.replace("t=100", "i=a=3Db@x.example.com; q=foo:dns/txt");
        let signature = Signature::read(text.as_bytes());
        assert_eq!(signature.problems, []);
        assert_eq!(signature.identity.as_deref(), Some("a=b@x.example.com"));
    }
}
