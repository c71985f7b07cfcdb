//! The record to publish for a key, in the forms that name servers, panels and scripts want it; and the key in a record.
//!
//! A TXT record is a list of character-strings of at most 255 octets, which verifiers join (RFC 6376 §3.6.2.2): one
//! record of two strings is right, two records of one string each are the mistake that this project knows best.

use crate::name::{DomainName, NameError};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

/// A character-string in DNS holds no more octets than this (RFC 1035 §3.3).
const STRING_OCTETS: usize = 255;
/// How long resolvers may keep a record as we print it, in seconds: an hour, the most that providers advise.
const TTL: u32 = 3600;

/// One TXT record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub name: DomainName,
    /// Its whole value, unsplit.
    pub value: String,
}

/// A way to write a record down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordForm {
    /// A line for a master file (RFC 1035 §5), the strings in parentheses.
    Zone,
    /// The strings in quotes, side by side: for panels that want the split made.
    Strings,
    /// The value in one line: for panels that split it themselves.
    Single,
    /// An object with `name`, `type`, `value` and `strings`.
    Json,
}

/// What a TXT record at the name of a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A key: its octets, or `None` where p= is not base64.
    Key(Option<Vec<u8>>),
    /// An empty p=: the key was withdrawn (§3.6.1).
    Revoked,
    /// Something without p=.
    Foreign,
}

impl Record {
    /// Where the record of a key stands: `selector._domainkey.domain` (§3.6.2.1).
    pub fn dkim_name(selector: &DomainName, domain: &DomainName) -> Result<DomainName, NameError> {
        DomainName::new(&format!("{selector}._domainkey.{domain}"))
    }

    /// The value as character-strings: as few as it takes, all but the last of them full. The value must be ASCII, as
    /// every record of mail authentication is; elsewhere a string may be shorter.
    pub fn strings(&self) -> Vec<&str> {
        let mut strings = Vec::new();
        let mut rest = self.value.as_str();
        while !rest.is_empty() || strings.is_empty() {
            let (string, next) = rest.split_at(rest.floor_char_boundary(STRING_OCTETS));
            strings.push(string);
            rest = next;
        }
        strings
    }

    /// The record, written down; without a line break at the end.
    pub fn write(&self, form: RecordForm) -> String {
        let quoted: Vec<_> = self.strings().into_iter().map(quote).collect();
        match form {
            RecordForm::Zone if quoted.len() == 1 => format!("{}. {TTL} IN TXT {}", self.name, quoted[0]),
            RecordForm::Zone => format!("{}. {TTL} IN TXT ( {} )", self.name, quoted.join("\n    ")),
            RecordForm::Strings => quoted.join(" "),
            RecordForm::Single => self.value.clone(),
            RecordForm::Json => json!({
                "name": self.name.as_str(),
                "type": "TXT",
                "value": self.value,
                "strings": self.strings(),
            })
            .to_string(),
        }
    }
}

/// Reads the joined strings of a TXT record just far enough to tell a key from something else; judging it is another's
/// work.
pub fn published_key(value: &[u8]) -> Published {
    let p = value.split(|octet| *octet == b';').find_map(|tag| {
        let (name, value) = tag.split_at(tag.iter().position(|octet| *octet == b'=')?);
        (name.trim_ascii() == b"p").then(|| value[1..].to_vec())
    });
    let Some(mut base64) = p else { return Published::Foreign };
    base64.retain(|octet| !octet.is_ascii_whitespace());
    if base64.is_empty() { Published::Revoked } else { Published::Key(STANDARD.decode(&base64).ok()) }
}

/// A character-string as a master file writes it: `"` and `\` are escaped (RFC 1035 §5.1).
fn quote(string: &str) -> String {
    format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: String) -> Record {
        let name = |text| DomainName::new(text).expect("a name");
        let name = Record::dkim_name(&name("ncpcompubkr"), &name("example.com")).expect("short enough");
        Record { name, value }
    }

    #[test]
    fn a_long_value_is_one_record_of_full_strings() {
        let value = format!("v=DKIM1;k=rsa;p={}", "A".repeat(392));
        let record = record(value.clone());
        let (first, second) = (&value[..255], &value[255..]);
        assert_eq!(record.strings(), [first, second]);
        assert_eq!(second.len(), 153);
        assert_eq!(
            record.write(RecordForm::Zone),
            format!("ncpcompubkr._domainkey.example.com. 3600 IN TXT ( \"{first}\"\n    \"{second}\" )")
        );
        assert_eq!(record.write(RecordForm::Strings), format!("\"{first}\" \"{second}\""));
        assert_eq!(record.write(RecordForm::Single), value);
        let json: serde_json::Value = serde_json::from_str(&record.write(RecordForm::Json)).expect("JSON");
        assert_eq!(json["name"], "ncpcompubkr._domainkey.example.com");
        assert_eq!(json["type"], "TXT");
        assert_eq!(json["value"], value);
        assert_eq!(json["strings"], serde_json::json!([first, second]));
    }

    #[test]
    fn what_would_end_a_string_in_a_master_file_is_escaped() {
        assert_eq!(record(r#"a"b\c"#.into()).write(RecordForm::Strings), r#""a\"b\\c""#);
    }

    #[test]
    fn a_key_is_told_from_a_withdrawn_one_and_from_something_else() {
        for (value, want) in [
            ("v=DKIM1;k=rsa;p=AAEC", Published::Key(Some(vec![0, 1, 2]))),
            ("v=DKIM1; p = AA\tEC ;", Published::Key(Some(vec![0, 1, 2]))),
            ("p=AAEC", Published::Key(Some(vec![0, 1, 2]))),
            ("v=DKIM1;p=“AAEC”", Published::Key(None)),
            ("v=DKIM1;p=", Published::Revoked),
            ("v=spf1 include:email.ncloud.com ~all", Published::Foreign),
        ] {
            assert_eq!(published_key(value.as_bytes()), want, "{value}");
        }
    }

    #[test]
    fn a_name_that_dns_cannot_hold_is_refused() {
        let name = |text: &str| DomainName::new(text).expect("a name");
        let long = [["a"; 60].join("."), ["b"; 60].join(".")].join(".");
        assert_eq!(Record::dkim_name(&name("selector"), &name(&long)), Err(NameError::TooLong));
    }
}
