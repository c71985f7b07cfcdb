//! Authentication-Results as we write them about values that strangers chose: they read back the same.
//!
//! Each line of the input is a result: two octets choose method, word and properties, the rest is what the properties,
//! the reason and the comment hold, cut at `|`.

use super::{authres_read::shape, lines};
use waxseal::{
    address::Mailbox,
    authres::{AuthResults, MethodResult, claims, read},
    name::DomainName,
};

const METHODS: [&str; 4] = ["dkim", "spf", "dmarc", "arc"];
const WORDS: [&str; 8] = ["pass", "fail", "none", "neutral", "softfail", "policy", "temperror", "permerror"];
const PROPERTIES: [(&str, &str); 8] = [
    ("header", "d"),
    ("header", "i"),
    ("header", "s"),
    ("header", "b"),
    ("header", "from"),
    ("smtp", "helo"),
    ("smtp", "mailfrom"),
    ("policy", "dmarc"),
];

/// Writes what the input says, and reads it.
pub fn run(data: &[u8]) {
    let field = field(data);
    let want = listing(&field);
    for text in [field.value(), field.field().replacen("Authentication-Results: ", "", 1), field.to_string()] {
        let (found, problems) = read(text.as_bytes());
        assert!(problems.is_empty(), "{problems:?}: {text}");
        assert_eq!(listing(&found), want, "{text}");
    }
    shape(&field.value());
    assert!(claims(field.value().as_bytes(), "MX.example.net"));
}

/// The field that an input describes.
pub fn field(data: &[u8]) -> AuthResults {
    let results = lines(data).filter(|line| line.len() > 2).take(16).map(result).collect();
    AuthResults { authserv_id: "mx.example.net".into(), results }
}

fn result(line: &[u8]) -> MethodResult {
    let (method, word) = (usize::from(line[0]), usize::from(line[1]));
    let mut result = MethodResult::new(METHODS[method % 4], WORDS[word % 8]);
    for (number, value) in line[2..].split(|&byte| byte == b'|').take(8).enumerate() {
        result = match (number + word / 8) % 8 {
            0 => result.with_comment(&String::from_utf8_lossy(value)),
            1 => result.with_reason(&String::from_utf8_lossy(value)),
            2 => {
                let local_part = String::from_utf8_lossy(value).into_owned();
                let domain = DomainName::new("sender.example").expect("it is a name");
                result.with_address("smtp", "mailfrom", &Mailbox { local_part, domain })
            }
            _ => {
                let (ptype, name) = PROPERTIES[(method / 4 + number) % 8];
                result.with_property(ptype, name, value)
            }
        };
    }
    result
}

/// What any reader must find, one line a result: the words, and reason and properties in hexadecimal.
pub fn listing(field: &AuthResults) -> String {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut list = vec![field.authserv_id.clone()];
    for result in &field.results {
        let reason = hex(result.reason().unwrap_or_default());
        let mut line = format!("{}={} [{reason}]", result.method(), result.result());
        for property in result.properties() {
            line += &format!(" {}.{}={}", property.ptype, property.name, hex(&property.value));
        }
        list.push(line);
    }
    list.join("\n") + "\n\n"
}
