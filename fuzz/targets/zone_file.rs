//! A master file: it is refused with a place for each mistake, or it answers.

use super::wait;
use waxseal::dns::{Outcome, RecordType, zone};

/// Reads the input as a master file and asks for what it might hold.
pub fn run(data: &[u8]) {
    match zone::parse(data, "input.zone") {
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty() && mistakes.to_string().starts_with("input.zone"), "{mistakes}");
        }
        Ok(dns) => {
            let words = data.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
            let words = words.map(|word| String::from_utf8_lossy(word).into_owned()).take(32);
            for name in words.chain(["example.com".into(), "a.example.com".into(), String::new()]) {
                for kind in RecordType::ALL {
                    let answer = wait(dns.query(&name, kind));
                    assert_eq!(answer.kind, kind);
                    assert!(answer.outcome != Outcome::Records || !answer.records.is_empty());
                }
            }
        }
    }
}
