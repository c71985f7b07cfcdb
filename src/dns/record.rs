//! A source that notes what another one answers, as a master file that gives the same answers again.
//!
//! Owners stand in order, so that two runs with the same answers give the same file. A name that exists without records
//! gets one of a type that nobody asks for; a negative answer gets its SOA. Faults, and what else records cannot say, stand
//! in it as comments that [`zone`] reads and others pass over. What the file, once read back, would answer differently all
//! the same is said in a comment for people. A record with a private key is withheld: its fingerprint stands in its place.
//! What single authoritative servers said is no answer of this source, and is not recorded.

use super::labels::escape;
use super::{Answer, Data, Dns, Fault, Outcome, Pending, Record, RecordType, Source, master, zone};
use crate::dkim::secret;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Notes the answers of a source; clones note into the same place.
#[derive(Clone)]
pub struct Recorder {
    inner: Dns,
    answers: Arc<Mutex<Answers>>,
}

/// One answer for each question, by name and type.
type Answers = BTreeMap<(String, RecordType), Arc<Answer>>;

impl Recorder {
    /// Notes what `inner` answers.
    pub fn new(inner: Dns) -> Recorder {
        Recorder { inner, answers: Arc::default() }
    }

    /// The master file of all answers so far.
    pub async fn text(&self) -> String {
        let answers = self.answers().clone();
        let mut text = String::from("; the DNS answers of one run\n");
        text += &Sheet::of(&answers).text();
        let mut stated = BTreeSet::new();
        for ((_, kind), answer) in differing(&text, &answers).await {
            let end = end_of(answer);
            // What was said to that very question comes first.
            let apart = answers.get(&(end.to_owned(), *kind)).is_some_and(|other| other.outcome != answer.outcome);
            if let (false, Some(outcome)) = (apart, master::outcome_text(&answer.outcome)) {
                stated.insert(format!("{} {} {kind} {outcome}\n", master::OUTCOME, owner(end)));
            }
        }
        text.extend(stated);
        for ((name, kind), answer) in differing(&text, &answers).await {
            writeln!(text, "; not in this file: {} {kind}: {}", owner(name), told(&answer.outcome))
                .expect("writing to a String does not fail");
        }
        text
    }

    /// Writes the master file.
    pub async fn save(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, self.text().await)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // Each change is complete before anything can panic.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Recorder {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(async move {
            let answer = self.inner.query(name, kind).await;
            let key = (answer.name.clone(), kind);
            // The first answer stays, as it was the first that was used.
            self.answers().entry(key).or_insert_with(|| without_secrets(&answer));
            answer
        })
    }

    fn resolvers(&self) -> Vec<SocketAddr> {
        self.inner.resolvers()
    }
}

/// The answers that a recording with this text would not give again.
async fn differing<'a>(text: &str, answers: &'a Answers) -> Vec<(&'a (String, RecordType), &'a Answer)> {
    let replay = zone::parse(text, "recording").ok();
    let mut differing = Vec::new();
    for (key, answer) in answers {
        // What cannot be asked cannot be asked of the file either.
        if matches!(answer.outcome, Outcome::Fault(Fault::Unaskable(_))) {
            continue;
        }
        let again = match &replay {
            Some(dns) => Some(dns.query(&question(&key.0), key.1).await),
            None => None,
        };
        if !again.is_some_and(|again| same(&again, answer)) {
            differing.push((key, answer.as_ref()));
        }
    }
    differing
}

/// The answer as it may be kept: no private key in it.
fn without_secrets(answer: &Arc<Answer>) -> Arc<Answer> {
    let stand_in = |data: &Data| match data {
        Data::Txt(strings) => {
            let text = strings.concat();
            secret::holds_private_key(&text).then(|| Data::Txt(vec![secret::stand_in(&text).into_bytes().into()]))
        }
        _ => None,
    };
    if !answer.records.iter().any(|record| stand_in(&record.data).is_some()) {
        return answer.clone();
    }
    let mut kept = Answer::clone(answer);
    kept.repeated.retain(|data| stand_in(data).is_none());
    for record in &mut kept.records {
        if let Some(data) = stand_in(&record.data) {
            record.data = data;
        }
    }
    Arc::new(kept)
}

/// The records to write.
#[derive(Default)]
struct Sheet {
    /// By owner and type, in the order received.
    records: BTreeMap<(String, RecordType), Vec<Record>>,
    /// Names that exist without a record of their own.
    empty: BTreeSet<String>,
    /// What stands more than once where it comes from.
    repeated: Vec<(String, Data)>,
}

impl Sheet {
    fn of(answers: &Answers) -> Sheet {
        let mut sheet = Sheet::default();
        for answer in answers.values() {
            for record in &answer.records {
                sheet.add(record, kind_of(&record.data, answer.kind));
            }
            sheet.repeated.extend(answer.repeated.iter().map(|data| (end_of(answer).to_owned(), data.clone())));
            if answer.outcome == Outcome::NoData {
                sheet.empty.insert(end_of(answer).to_owned());
            }
        }
        for (zone, keep) in answers.values().filter_map(|answer| answer.negative.as_ref()) {
            sheet.add_soa(zone, *keep, answers);
        }
        let owners: BTreeSet<&String> = sheet.records.keys().map(|(name, _)| name).collect();
        sheet.empty.retain(|name| !owners.contains(name));
        sheet
    }

    fn add(&mut self, record: &Record, kind: RecordType) {
        let set = self.records.entry((record.name.clone(), kind)).or_default();
        match set.iter_mut().find(|known| known.data == record.data) {
            // A cache counts TTLs down between two questions; the highest is nearest to the zone.
            Some(known) => known.ttl = known.ttl.max(record.ttl),
            None => set.push(record.clone()),
        }
    }

    /// The SOA of a negative answer, unless it is known better, or known not to be there.
    fn add_soa(&mut self, zone: &str, keep: u32, answers: &Answers) {
        let key = (zone.to_owned(), RecordType::Soa);
        if answers.contains_key(&key) {
            return;
        }
        let set = self.records.entry(key).or_default();
        let keep = set.first().map_or(keep, |known| known.ttl.max(keep));
        let data = Data::Soa { mname: String::new(), serial: 0, minimum: keep };
        *set = vec![Record { name: zone.to_owned(), ttl: keep, data }];
    }

    fn text(&self) -> String {
        let mut lines = BTreeMap::<(Vec<&str>, Option<RecordType>), String>::new();
        for ((name, kind), set) in &self.records {
            let text = lines.entry((by_zone(name), Some(*kind))).or_default();
            for record in set {
                let twice = self.repeated.iter().any(|(other, data)| other == name && *data == record.data);
                *text += &line(record, *kind).repeat(if twice { 2 } else { 1 });
            }
        }
        for name in &self.empty {
            // A type for private use (RFC 6895 §3.1): the name exists, and has nothing that is asked for.
            lines.insert((by_zone(name), None), format!("{} 300 IN TYPE65280 \\# 0\n", owner(name)));
        }
        lines.into_values().collect()
    }
}

/// The name at the end of the chain of an answer.
fn end_of(answer: &Answer) -> &str {
    let target = answer.records.iter().rev().find_map(|record| match &record.data {
        Data::Cname(target) if answer.kind != RecordType::Cname => Some(target.as_str()),
        _ => None,
    });
    target.unwrap_or(&answer.name)
}

fn kind_of(data: &Data, asked: RecordType) -> RecordType {
    match data {
        Data::A(_) => RecordType::A,
        Data::Aaaa(_) => RecordType::Aaaa,
        Data::Cname(_) => RecordType::Cname,
        Data::Mx { .. } => RecordType::Mx,
        Data::Ns(_) => RecordType::Ns,
        Data::Ptr(_) => RecordType::Ptr,
        Data::Soa { .. } => RecordType::Soa,
        Data::Txt(_) if asked == RecordType::Spf => RecordType::Spf,
        Data::Txt(_) => RecordType::Txt,
    }
}

/// The order of a zone: parents before children.
fn by_zone(name: &str) -> Vec<&str> {
    name.rsplit('.').collect()
}

fn line(record: &Record, kind: RecordType) -> String {
    let data = match &record.data {
        Data::A(ip) => ip.to_string(),
        Data::Aaaa(ip) => ip.to_string(),
        Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => owner(name),
        Data::Mx { preference, exchange } => format!("{preference} {}", owner(exchange)),
        Data::Soa { mname, serial, minimum } => format!("{} . {serial} 0 0 0 {minimum}", owner(mname)),
        Data::Txt(strings) if strings.is_empty() => "\\# 0".into(),
        Data::Txt(strings) => strings.iter().map(|string| quoted(string)).collect::<Vec<_>>().join(" "),
    };
    format!("{} {} IN {kind} {data}\n", owner(&record.name), record.ttl)
}

/// A character-string as a master file needs it.
pub(super) fn quoted(string: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in string {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            b' '..=b'~' => text.push(char::from(*octet)),
            octet => escape(&mut text, *octet),
        }
    }
    text.push('"');
    text
}

/// A shown name as a master file needs it: absolute, and with what has a meaning there escaped as well.
fn owner(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 1);
    for octet in name.bytes() {
        match octet {
            // A backslash in a shown name begins an escape already.
            b'\\' | b'.' | b'-' | b'_' | b'*' | b'+' | b'=' | b'/' => text.push(char::from(octet)),
            octet if octet.is_ascii_alphanumeric() => text.push(char::from(octet)),
            octet => escape(&mut text, octet),
        }
    }
    text.push('.');
    text
}

/// The text of a question for a shown name: its escapes undone, as far as a question can say it.
fn question(name: &str) -> String {
    let (mut text, mut rest) = (String::new(), name);
    while let Some((before, escaped)) = rest.split_once('\\') {
        text.push_str(before);
        let digits = escaped.get(..3).and_then(|digits| digits.parse::<u8>().ok());
        let (c, length) = match digits {
            Some(octet) => (char::from(octet), 3),
            None => (escaped.chars().next().unwrap_or('\\'), escaped.chars().next().map_or(0, char::len_utf8)),
        };
        text.push(c);
        rest = &escaped[length..];
    }
    text + rest
}

/// Do two answers say the same? The server, its bits and the time are of one run alone.
fn same(again: &Answer, answer: &Answer) -> bool {
    let plain = |answer: &Answer| {
        let names = answer.records.iter().map(|record| (record.name.clone(), format!("{:?}", record.data)));
        (answer.outcome.clone(), names.collect::<BTreeSet<_>>())
    };
    plain(again) == plain(answer)
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Records => "other records".into(),
        Outcome::NoData => "the name exists".into(),
        Outcome::NxDomain => "the name does not exist".into(),
        Outcome::Fault(fault) => fault.to_string().escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every question of a table, asked of a source and of its recording.
    async fn replayed(source: Dns, questions: &[(&str, RecordType)]) -> (String, Vec<(Arc<Answer>, Arc<Answer>)>) {
        let recorder = Recorder::new(source);
        let mut first = Vec::new();
        for (name, kind) in questions {
            first.push(recorder.query(name, *kind).await);
        }
        let text = recorder.text().await;
        let replay = zone::parse(&text, "recording").expect("what is recorded can be read");
        let mut pairs = Vec::new();
        for ((name, kind), answer) in questions.iter().zip(first) {
            pairs.push((answer, replay.query(name, *kind).await));
        }
        (text, pairs)
    }

    const ZONE: &str = r#"$ORIGIN example.com.
@ 3600 SOA ns h 7 1 2 3 60
@ 3600 NS ns
@ 300 MX 10 mail
@ 300 MX 20 .
@ 300 TXT "v=spf1 -all"
@ 300 TXT "two" "\"quoted\\\" and \000\255" ""
@ 300 SPF "old"
@ 300 TYPE16 \# 0
mail 60 A 192.0.2.1
mail 60 AAAA 2001:db8::1
alias 30 CNAME mail
gone 30 CNAME nowhere
void 30 CNAME mail
loop CNAME pool
pool CNAME loop
*.wild 300 TXT star
a\032b 300 TXT blank
\064 300 TXT at
\$x\;y\"z 300 TXT signs
back\\slash 300 TXT backslash
tab\009bed 300 TXT control
\195\188 300 TXT umlaut
deep.below 300 PTR mail
"#;

    #[tokio::test]
    async fn a_recording_answers_as_its_source_did() {
        use RecordType::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Spf, Txt};
        let source = zone::parse(ZONE, "zone").expect("a good zone");
        let questions = [
            ("example.com", Mx),
            ("example.com", Txt),
            ("example.com", Spf),
            ("Example.com.", Ns),
            ("example.com", A),
            ("mail.example.com", Aaaa),
            ("mail.example.com", Txt),
            ("alias.example.com", A),
            ("alias.example.com", Cname),
            ("gone.example.com", Txt),
            ("void.example.com", Txt),
            ("loop.example.com", Txt),
            ("a.wild.example.com", Txt),
            ("b.wild.example.com", Mx),
            ("a b.example.com", Txt),
            ("@.example.com", Txt),
            ("$x;y\"z.example.com", Txt),
            ("back\\slash.example.com", Txt),
            ("tab\tbed.example.com", Txt),
            ("ü.example.com", Txt),
            ("below.example.com", Txt),
            ("deep.below.example.com", Ptr),
            ("com", Txt),
            ("nowhere.example.com", Txt),
            ("other.example", Soa),
            ("a..b", Txt),
        ];
        let (text, pairs) = replayed(source.clone(), &questions).await;
        for (first, again) in pairs {
            assert_eq!(first, again, "in\n{text}");
        }
        assert!(!text.contains("not in this file"), "{text}");

        let mut backwards = questions;
        backwards.reverse();
        assert_eq!(replayed(source, &backwards).await.0, text, "the order of questions does not matter");
    }

    /// Fails for some names, and denies a name that has another one below it, as some servers do.
    struct Odd(Dns);

    impl Source for Odd {
        fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
            let mut records = Vec::new();
            let outcome = match name {
                "behind.example.com" => {
                    let data = Data::Cname("slow.example.com".into());
                    records.push(Record { name: name.into(), ttl: 30, data });
                    Outcome::Fault(Fault::Timeout)
                }
                "slow.example.com" => Outcome::Fault(Fault::Timeout),
                "bad.example.com" => Outcome::Fault(Fault::Other("a \"line\"\nbreak ä".into())),
                "below.example.com" => Outcome::NxDomain,
                _ => return self.0.source.query(name, kind),
            };
            let answer = Answer { records, ..Answer::new(name.to_owned(), kind, outcome) };
            Box::pin(std::future::ready(Arc::new(answer)))
        }
    }

    #[tokio::test]
    async fn every_fault_comes_back() {
        let faults = [Fault::Timeout, Fault::ServFail, Fault::Refused, Fault::Truncated, Fault::CnameLoop];
        for fault in faults.into_iter().chain([Fault::Other("rcode 16".into()), Fault::Other(String::new())]) {
            let outcome = Outcome::Fault(fault);
            let said = master::outcome_text(&outcome).expect("it can be stated");
            let text = format!("{} a.example. TXT {said}\na.example. A 192.0.2.1\n", master::OUTCOME);
            let dns = zone::parse(&text, "recording").expect("it can be read");
            assert_eq!(dns.query("A.example", RecordType::Txt).await.outcome, outcome);
            assert_eq!(dns.query("a.example", RecordType::A).await.outcome, Outcome::Records, "another question");
        }
    }

    #[tokio::test]
    async fn records_that_stand_twice_are_recorded_so() {
        let source = zone::parse("a. TXT x\na. TXT x\na. TXT y\na. A 192.0.2.1\n", "zone").expect("a good zone");
        let (text, pairs) = replayed(source, &[("a", RecordType::Txt), ("a", RecordType::A)]).await;
        let twice: Vec<usize> = pairs.iter().map(|(_, again)| again.repeated.len()).collect();
        assert_eq!((twice, pairs[0].1.records.len()), (vec![1, 0], 2), "{text}");
        assert_eq!(pairs[0].0, pairs[0].1);
    }

    #[tokio::test]
    async fn what_records_cannot_say_is_stated_in_comments() {
        let source = Dns::new(Odd(zone::parse(ZONE, "zone").expect("a good zone")));
        let questions = [
            ("slow.example.com", RecordType::Txt),
            ("behind.example.com", RecordType::Txt),
            ("bad.example.com", RecordType::Mx),
            ("below.example.com", RecordType::Txt),
            ("deep.below.example.com", RecordType::Ptr),
        ];
        let (text, pairs) = replayed(source, &questions).await;
        for (first, again) in pairs {
            assert_eq!(first, again, "in\n{text}");
        }
        let want = "\
            ; the DNS answers of one run\n\
            deep.below.example.com. 300 IN PTR mail.example.com.\n\
            behind.example.com. 30 IN CNAME slow.example.com.\n\
            ;waxseal-outcome bad.example.com. MX other \"a \\\"line\\\"\\010break \\195\\164\"\n\
            ;waxseal-outcome below.example.com. TXT nxdomain\n\
            ;waxseal-outcome slow.example.com. TXT timeout\n";
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(sorted(&text), sorted(want));
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::new(zone::parse("a. TXT x", "zone").expect("a good zone"));
        recorder.query("a", RecordType::Txt).await;
        recorder.save(&folder.path().join("zone")).await.expect("a file");
        let saved = std::fs::read_to_string(folder.path().join("zone")).expect("a file");
        assert_eq!(saved, "; the DNS answers of one run\na. 3600 IN TXT \"x\"\n");
        assert!(recorder.save(&folder.path().join("no/zone")).await.is_err());
    }
}
