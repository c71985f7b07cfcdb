//! Answers from RFC 1035 master files alone, without any network.
//!
//! Several zones may stand in one file or in many, in any order; what belongs together across files is merged.
//! Wildcards follow RFC 4592, CNAMEs are followed through all zones, and a negative answer bears the SOA above the name.
//! A name that is nowhere in the files does not exist; a name with something below it does. What a recording states of a
//! question (a time-out, say) is answered as stated. Reading the files may fail with [`Mistakes`]; answering never does.

use super::labels::{self, Labels};
use super::master;
use super::{Answer, Data, Dns, Fault, MAX_CNAMES, Outcome, Pending, Record, RecordType, Source};
use std::{
    collections::{HashMap, HashSet},
    future::ready,
    path::PathBuf,
    sync::Arc,
};

pub use super::master::{Mistake, Mistakes};

/// Reads master files and answers from them.
pub fn load(files: &[PathBuf]) -> Result<Dns, Mistakes> {
    let mut zones = Builder::default();
    for file in files {
        let shown = file.display().to_string();
        match std::fs::read(file) {
            Ok(text) => zones.read(&text, &shown),
            Err(error) => {
                zones.mistakes.push(Mistake { file: shown, line: 0, what: format!("cannot be read: {error}") })
            }
        }
    }
    zones.finish()
}

/// Answers from the text of one master file; `name` stands for the file in mistakes.
pub fn parse(text: impl AsRef<[u8]>, name: &str) -> Result<Dns, Mistakes> {
    let mut zones = Builder::default();
    zones.read(text.as_ref(), name);
    zones.finish()
}

/// What one name holds; nothing, if only names below it hold something.
type Node = Vec<Held>;

struct Held {
    kind: RecordType,
    ttl: u32,
    data: Data,
    target: Option<Labels>,
    /// Does it stand in the files more than once?
    repeated: bool,
}

#[derive(Default)]
struct Zones {
    /// All names of all zones, by the octets of the name ([`Labels::as_wire`]).
    nodes: HashMap<Box<[u8]>, Node>,
    /// What questions come to, whatever the records say.
    stated: HashMap<(Labels, RecordType), Outcome>,
}

#[derive(Default)]
struct Builder {
    zones: Zones,
    /// Where each record stands in its node.
    seen: HashMap<(Labels, RecordType, Data), usize>,
    mistakes: Vec<Mistake>,
}

impl Builder {
    fn read(&mut self, text: &[u8], file: &str) {
        let (entries, stated) = master::read(text, file, &mut self.mistakes);
        self.zones.stated.extend(stated.into_iter().map(|stated| ((stated.name, stated.kind), stated.outcome)));
        for entry in entries {
            for name in entry.owner.ancestors() {
                if self.zones.nodes.contains_key(name) {
                    break;
                }
                self.zones.nodes.insert(name.into(), Node::new());
            }
            let Some((kind, data)) = entry.data else { continue };
            let node = self.zones.nodes.entry(entry.owner.as_wire().into()).or_default();
            // An RRset holds each record once (RFC 2181 §5), and so do name servers that load such a file.
            let key = (entry.owner, kind, data);
            match self.seen.get(&key) {
                Some(&at) => node[at].repeated = true,
                None => {
                    let (kind, data) = (key.1, key.2.clone());
                    self.seen.insert(key, node.len());
                    node.push(Held { kind, ttl: entry.ttl, data, target: entry.target, repeated: false });
                }
            }
        }
    }

    fn finish(self) -> Result<Dns, Mistakes> {
        if self.mistakes.is_empty() { Ok(Dns::new(self.zones)) } else { Err(Mistakes(self.mistakes)) }
    }
}

impl Zones {
    /// The node that answers for a name: its own, or that of the wildcard below the closest encloser (RFC 4592 §3.3.1).
    fn find(&self, name: &Labels) -> Option<&Node> {
        let (depth, encloser) =
            name.ancestors().enumerate().find(|(_, ancestor)| self.nodes.contains_key(*ancestor))?;
        if depth == 0 {
            return self.nodes.get(encloser);
        }
        self.nodes.get([b"\x01*", encloser].concat().as_slice())
    }

    /// The SOA above a name, and the seconds that a negative answer may be kept (RFC 2308 §5).
    fn negative(&self, name: &Labels) -> Option<(String, u32)> {
        name.ancestors().find_map(|ancestor| {
            let soa = self.nodes.get(ancestor)?.iter().find_map(|held| match held.data {
                Data::Soa { minimum, .. } => Some(held.ttl.min(minimum)),
                _ => None,
            })?;
            Some((labels::text_of(ancestor), soa))
        })
    }

    fn answer(&self, asked: Labels, kind: RecordType) -> Answer {
        let mut answer = Answer::new(asked.text(), kind, Outcome::NxDomain);
        let mut visited = HashSet::new();
        let mut name = asked;
        loop {
            if let Some(outcome) = self.stated.get(&(name.clone(), kind)) {
                answer.outcome = outcome.clone();
                if !answer.is_negative() {
                    return answer;
                }
                break;
            }
            let Some(node) = self.find(&name) else { break };
            let record = |held: &Held| Record { name: name.text(), ttl: held.ttl, data: held.data.clone() };
            if node.iter().any(|held| held.kind == kind) {
                // A CNAME may not stand beside other types, but it does, and who diagnoses wants to see it.
                let shown = node.iter().filter(|held| held.kind == kind || held.kind == RecordType::Cname);
                answer.records.extend(shown.map(record));
                let repeated = node.iter().filter(|held| held.kind == kind && held.repeated);
                answer.repeated.extend(repeated.map(|held| held.data.clone()));
                answer.outcome = Outcome::Records;
                return answer;
            }
            let Some((held, target)) = node.iter().find_map(|held| Some((held, held.target.as_ref()?))) else {
                answer.outcome = Outcome::NoData;
                break;
            };
            answer.records.push(record(held));
            let target = target.clone();
            visited.insert(std::mem::replace(&mut name, target));
            if visited.contains(&name) || visited.len() > MAX_CNAMES {
                answer.outcome = Outcome::Fault(Fault::CnameLoop);
                return answer;
            }
        }
        answer.negative = self.negative(&name);
        answer
    }
}

impl Source for Zones {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        let answer = match Labels::from_question(name) {
            Ok(asked) => self.answer(asked, kind),
            Err(why) => Answer::fault(name, kind, Fault::Unaskable(why)),
        };
        Box::pin(ready(Arc::new(answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(dns: &Dns, name: &str, kind: RecordType) -> Arc<Answer> {
        dns.query(name, kind).await
    }

    fn shown(answer: &Answer) -> String {
        let records = answer.records.iter().map(|record| match &record.data {
            Data::Txt(strings) => {
                let strings = strings.iter().map(|s| format!("{:?}", s.escape_ascii().to_string()));
                format!("{} {} {}", record.name, record.ttl, strings.collect::<Vec<_>>().join(" "))
            }
            data => format!("{} {} {data:?}", record.name, record.ttl),
        });
        records.collect::<Vec<_>>().join("; ")
    }

    const FILE: &str = r#"; two zones in one file
$ORIGIN Example.com.
$TTL 1h30m
@       IN SOA ns hostmaster ( 2026112301 ; serial
                 3600 900 1w
                 300 )
        NS ns
        TXT "v=spf1 -all"
ns      300 IN A 192.0.2.1
        IN 300 AAAA 2001:db8::1
sel._domainkey 60 TXT ( "v=DKIM1; k=rsa; "
        "p=AAAA" ) ; comment "not a string
odd     TXT one\;two "with \"quotes\" and \\ and \059" \255"adjacent""" (
        three )
mail    MX 10 mx.other.example.
        MX 20 .
*.wild  TXT "star"
        MX 5 mx
host.sub.wild A 192.0.2.2
cname   CNAME target.other.example.
gone    CNAME nowhere
loop    CNAME pool
pool    CNAME loop
*.alias CNAME mail
old     SPF "v=spf1 ?all"
old     TYPE99 \# 4 03 61 62 63
raw     CLASS1 TYPE16 \# 5 04 ( 00FF 22
        5c )
key     DNSKEY 256 3 13 ( oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8
        KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA== )
big     4294967295 PTR ptr.example.net.
$Origin other.example.
target  120 TXT "other zone"
mx      A 192.0.2.3
"#;

    #[tokio::test]
    async fn records_are_read_as_written() {
        let dns = parse(FILE, "zone").expect("a good zone");
        for (name, kind, want) in [
            ("EXAMPLE.com.", RecordType::Txt, r#"example.com 5400 "v=spf1 -all""#),
            ("example.com", RecordType::Ns, r#"example.com 5400 Ns("ns.example.com")"#),
            ("ns.example.com", RecordType::Aaaa, "ns.example.com 300 Aaaa(2001:db8::1)"),
            (
                "sel._domainkey.example.com",
                RecordType::Txt,
                r#"sel._domainkey.example.com 60 "v=DKIM1; k=rsa; " "p=AAAA""#,
            ),
            (
                "odd.example.com",
                RecordType::Txt,
                r#"odd.example.com 5400 "one;two" "with \\\"quotes\\\" and \\\\ and ;" "\\xff" "adjacent" "" "three""#,
            ),
            (
                "mail.example.com",
                RecordType::Mx,
                r#"mail.example.com 5400 Mx { preference: 10, exchange: "mx.other.example" }; mail.example.com 5400 Mx { preference: 20, exchange: "" }"#,
            ),
            ("old.example.com", RecordType::Spf, r#"old.example.com 5400 "v=spf1 ?all"; old.example.com 5400 "abc""#),
            ("raw.example.com", RecordType::Txt, r#"raw.example.com 5400 "\\x00\\xff\\\"\\\\""#),
            ("big.example.com", RecordType::Ptr, r#"big.example.com 2147483647 Ptr("ptr.example.net")"#),
            (
                "cname.example.com",
                RecordType::Txt,
                r#"cname.example.com 5400 Cname("target.other.example"); target.other.example 120 "other zone""#,
            ),
            ("a.b.wild.example.com", RecordType::Txt, r#"a.b.wild.example.com 5400 "star""#),
            ("*.wild.example.com", RecordType::Txt, r#"*.wild.example.com 5400 "star""#),
            (
                "x.alias.example.com",
                RecordType::Mx,
                r#"x.alias.example.com 5400 Cname("mail.example.com"); mail.example.com 5400 Mx { preference: 10, exchange: "mx.other.example" }; mail.example.com 5400 Mx { preference: 20, exchange: "" }"#,
            ),
        ] {
            let answer = ask(&dns, name, kind).await;
            assert_eq!(answer.outcome, Outcome::Records, "{name} {kind}");
            assert_eq!(shown(&answer), want, "{name} {kind}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_apart() {
        let dns = parse(FILE, "zone").expect("a good zone");
        let soa = Some(("example.com".to_owned(), 300));
        for (name, kind, outcome, chain, negative) in [
            ("nowhere.example.com", RecordType::Txt, Outcome::NxDomain, "", soa.clone()),
            ("ns.example.com", RecordType::Txt, Outcome::NoData, "", soa.clone()),
            ("_domainkey.example.com", RecordType::Txt, Outcome::NoData, "", soa.clone()),
            ("com", RecordType::Txt, Outcome::NoData, "", None),
            ("key.example.com", RecordType::Txt, Outcome::NoData, "", soa.clone()),
            ("a.wild.example.com", RecordType::A, Outcome::NoData, "", soa.clone()),
            // RFC 4592 §2.2.1: a name that exists, even empty, shadows the wildcard, and so do all names below it.
            ("sub.wild.example.com", RecordType::Txt, Outcome::NoData, "", soa.clone()),
            ("x.sub.wild.example.com", RecordType::Txt, Outcome::NxDomain, "", soa.clone()),
            ("x.*.wild.example.com", RecordType::Txt, Outcome::NxDomain, "", soa.clone()),
            (
                "gone.example.com",
                RecordType::Txt,
                Outcome::NxDomain,
                r#"gone.example.com 5400 Cname("nowhere.example.com")"#,
                soa.clone(),
            ),
            ("nowhere.other.example", RecordType::Txt, Outcome::NxDomain, "", None),
            (
                "loop.example.com",
                RecordType::Txt,
                Outcome::Fault(Fault::CnameLoop),
                r#"loop.example.com 5400 Cname("pool.example.com"); pool.example.com 5400 Cname("loop.example.com")"#,
                None,
            ),
        ] {
            let answer = ask(&dns, name, kind).await;
            assert_eq!((&answer.outcome, shown(&answer).as_str()), (&outcome, chain), "{name} {kind}");
            assert_eq!(answer.negative, negative, "{name} {kind}");
        }
        for name in ["", "a..b", &"a".repeat(64)] {
            let answer = ask(&dns, name, RecordType::Txt).await;
            assert!(matches!(answer.outcome, Outcome::Fault(Fault::Unaskable(_))), "{name:?}");
        }
    }

    #[tokio::test]
    async fn octets_survive_and_files_merge() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            (
                "one",
                b"\xef\xbb\xbfexample.com. SOA ns.example.com. h.example.com. 1 2 3 4 5\r\nx\tTXT \"\xff\xc3\xa4\"\r\n"
                    .as_slice(),
            ),
            (
                "two",
                b"x.example.com. 7 TXT second\nx.example.com. TXT \"\xff\xc3\xa4\"\n a\\.b.example.com. A 192.0.2.9",
            ),
        ];
        let files = files.map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        });
        let dns = load(&files).map_err(|mistakes| mistakes.to_string());
        assert_eq!(dns.err().expect("a mistake").lines().count(), 1, "the third line of `two` has no type");
        std::fs::write(&files[1], "x.example.com. 7 TXT second\nx.example.com. TXT \"\\255\\195\\164\"\n")
            .expect("a file");
        let dns = load(&files).expect("good files");
        let answer = ask(&dns, "x.example.com", RecordType::Txt).await;
        assert_eq!(answer.joined_txt(), [b"\xff\xc3\xa4".to_vec(), b"second".to_vec()], "an equal record counts once");
    }

    #[test]
    fn mistakes_name_file_and_line() {
        let long = format!("a.example. TXT {}", "x".repeat(256));
        for (text, want) in [
            (
                "\n\n@ TXT x",
                "f:3: \"@\" is relative, but no $ORIGIN is before it: state one, or end the name with a dot",
            ),
            (
                "a.example TXT x",
                "f:1: \"a.example\" is relative, but no $ORIGIN is before it: state one, or end the name with a dot",
            ),
            (" TXT x", "f:1: a line that begins with a blank, but no owner name before it"),
            ("a. TXTT x", "f:1: \"TXTT\" is no record type"),
            ("a. IN 300", "f:1: a record without a type"),
            ("a. CH TXT x", "f:1: class CH is not of the Internet"),
            ("a. TXT", "f:1: a record of type TXT cannot hold 0 values"),
            ("a. A 192.0.2.256", "f:1: \"192.0.2.256\" is no IPv4 address"),
            ("a. A 192.0.2.2 x", "f:1: a record of type A cannot hold 2 values"),
            ("a. MX 65536 b.", "f:1: \"65536\" is no preference"),
            ("a. TXT \"open\nb. A 192.0.2.1", "f:1: a quote is not closed in its line"),
            ("a. TXT (\n\n x", "f:1: a parenthesis is opened here and never closed"),
            ("\na. TXT x )", "f:2: a closing parenthesis without an opening one"),
            ("a. TXT \\256", "f:1: \\256 is no octet"),
            ("a. TXT \\2x", "f:1: a backslash before a digit needs three digits"),
            ("a..b. TXT x", "f:1: \"a..b.\" is no name: an empty label"),
            ("a. TYPE16 \\# 3 0261", "f:1: \\# announces 3 octets, but 4 hexadecimal digits follow"),
            ("a. TYPE16 \\# 2 0261", "f:1: data that ends too early"),
            (";waxseal-outcome a.", "f:1: ;waxseal-outcome: needs a name, a type and an outcome"),
            ("\n;waxseal-outcome a. TXT late", "f:2: ;waxseal-outcome: \"late\" is no outcome"),
            (";waxseal-outcome a. TXT other", "f:1: ;waxseal-outcome: \"other\" is no outcome"),
            (";waxseal-outcome a. \"(\" timeout", "f:1: ;waxseal-outcome: \"(\" is no record type"),
            ("$INCLUDE other", "f:1: $INCLUDE is not followed: name the other file as a file of its own"),
            ("$GENERATE 1-2 a$ A 1", "f:1: the directive \"$GENERATE\" is not known here"),
            ("$TTL soon", "f:1: \"soon\" is no TTL"),
            (&long, "f:1: a character-string of 256 octets, more than 255 (RFC 1035 §3.3): split it"),
        ] {
            let mistakes = parse(text, "f").map(|_| ()).expect_err(text);
            assert_eq!(mistakes.to_string(), want, "{text:?}");
        }
        let many = parse("x\n".repeat(12), "f").map(|_| ()).expect_err("no zone").to_string();
        assert!(many.ends_with("\nand 2 more"), "{many}");
        let missing = load(&["no/such/file".into()]).map(|_| ()).expect_err("no file").to_string();
        assert!(missing.starts_with("no/such/file: cannot be read: "), "{missing}");
    }
}
