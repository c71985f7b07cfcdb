//! Tables of attacks: a message, its DNS and its envelope, and what `waxseal verify` must say.
//!
//! Every row runs through the real program; all rows that fail are told at once. Whatever a row asks for,
//! Authentication-Results must read back to the verdicts of the JSON.

use super::{desk::Desk, forge::Zone};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use waxseal::{
    address, authres,
    dns::{Dns, Pending, RecordType, Source, zone},
    message::Message,
    verify::message::{Envelope, Questions, Verdicts, Verifier, ask_spf},
};

/// When the rows are judged: 2026-11-23T04:00:00Z.
pub const NOW: u64 = 1_795_406_400;

/// One row.
pub struct Row {
    id: String,
    mail: Vec<u8>,
    zone: Zone,
    envelope: Option<[String; 3]>,
    wants: Vec<(String, String)>,
    keys: Option<usize>,
    questions: Option<usize>,
}

impl Row {
    /// A message under a zone, without an envelope.
    pub fn new(id: impl Into<String>, mail: impl Into<Vec<u8>>, zone: &Zone) -> Row {
        Row {
            id: id.into(),
            mail: mail.into(),
            zone: zone.clone(),
            envelope: None,
            wants: Vec::new(),
            keys: None,
            questions: None,
        }
    }

    /// With an envelope.
    pub fn from(mut self, client_ip: &str, helo: &str, mail_from: &str) -> Row {
        self.envelope = Some([client_ip, helo, mail_from].map(String::from));
        self
    }

    /// What stands at a JSON pointer: one of the values between `|`; `null` and `true` are meant as such. A value that
    /// starts with `~` must be part of the text, and one that starts with `!` must not.
    pub fn want(mut self, pointer: &str, values: &str) -> Row {
        self.wants.push((pointer.into(), values.into()));
        self
    }

    /// So many keys are asked for.
    pub fn keys(mut self, count: usize) -> Row {
        self.keys = Some(count);
        self
    }

    /// At most so many questions go to DNS in all.
    pub fn questions(mut self, count: usize) -> Row {
        self.questions = Some(count);
        self
    }

    /// What is wrong, if anything.
    fn run(&self) -> Vec<String> {
        let desk = Desk::new(&self.zone);
        let mut arguments = vec!["--at", "2026-11-23T04:00:00Z"];
        if let Some([client_ip, helo, mail_from]) = &self.envelope {
            arguments.extend(["--client-ip", client_ip, "--helo", helo, "--mail-from", mail_from]);
        }
        let (report, status) = desk.judge(&self.mail, &arguments);
        let mut wrong = Vec::new();
        for (pointer, values) in &self.wants {
            let got = match pointer.as_str() {
                "status" => status.to_string(),
                pointer => report.pointer(pointer).map_or("nothing".into(), shown),
            };
            if !values.split('|').any(|value| matches(&got, value)) {
                wrong.push(format!("{pointer} is {got:?}, not {values:?}"));
            }
        }
        wrong.extend(misread(&report));
        let asked = asked(&self.zone, &self.mail, self.envelope.as_ref());
        let keys = asked.iter().filter(|name| name.contains("_domainkey")).count();
        if self.keys.is_some_and(|want| want != keys) {
            wrong.push(format!("{keys} keys asked for, not {:?}: {asked:?}", self.keys));
        }
        let most = self.questions.unwrap_or(waxseal::dns::budget::QUESTIONS);
        if asked.len() > most {
            wrong.push(format!("{} questions, more than {most}: {asked:?}", asked.len()));
        }
        if !wrong.is_empty() {
            wrong.push(format!("{report:#}").chars().take(4000).collect());
        }
        wrong
    }
}

/// Runs every row.
#[track_caller]
pub fn run(rows: Vec<Row>) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|row| (row, row.run()))
        .filter(|(_, wrong)| !wrong.is_empty())
        .map(|(row, wrong)| format!("{}: {}", row.id, wrong.join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows are wrong\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn matches(got: &str, want: &str) -> bool {
    match (want.strip_prefix('~'), want.strip_prefix('!')) {
        (Some(part), _) => got.contains(part),
        (_, Some(part)) => !got.contains(part),
        _ => got == want,
    }
}

/// Does Authentication-Results say what the rest says, and nothing else?
fn misread(report: &Value) -> Vec<String> {
    let text = report["authentication_results"].as_str().unwrap_or_default();
    let mut wrong = Vec::new();
    if !text.is_ascii() || text.contains(|c: char| c.is_control()) {
        wrong.push(format!("no plain text: {text:?}"));
    }
    let (field, problems) = authres::read(text.as_bytes());
    if !problems.is_empty() {
        wrong.push(format!("{problems:?} in {text}"));
    }
    let of = |method: &str| -> Vec<&authres::MethodResult> {
        field.results.iter().filter(|result| result.method() == method).collect()
    };
    let words = |results: Vec<&authres::MethodResult>| -> Vec<String> {
        results.iter().map(|result| result.result().to_owned()).collect()
    };
    let mut dkim: Vec<String> =
        report["dkim"].as_array().into_iter().flatten().map(|one| shown(&one["result"])).collect();
    if dkim.is_empty() {
        dkim.push("none".into());
    }
    if words(of("dkim")) != dkim {
        wrong.push(format!("dkim of {text} is not {dkim:?}"));
    }
    if words(of("dmarc")) != [shown(&report["dmarc"]["result"])] {
        wrong.push(format!("dmarc of {text}"));
    }
    if of("spf").is_empty() {
        wrong.push(format!("no spf in {text}"));
    }
    if let Some(result) = of("spf").first() {
        let address = result.property("smtp", "mailfrom").or(result.property("smtp", "helo"));
        let domain = address.map(|address| address.rsplit_once('@').map_or(address, |(_, domain)| domain));
        if domain.is_some_and(|domain| report["spf"]["domain"] != domain) || report["spf"]["result"] != result.result()
        {
            wrong.push(format!("spf of {text} is about another domain than {}", report["spf"]));
        }
    }
    wrong
}

/// Notes every name that is asked for.
struct Counting {
    inner: Dns,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Source for Counting {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        self.asked.lock().expect("nobody panicked").push(format!("{name} {kind}"));
        Box::pin(self.inner.query(name, kind))
    }
}

/// Every question that judging the message leads to.
pub fn asked(records: &Zone, mail: &[u8], envelope: Option<&[String; 3]>) -> Vec<String> {
    let inner = zone::parse(records.text(), "zone").unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let dns = Dns::new(Counting { inner, asked: asked.clone() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let message = Message::new(mail);
        let preferred: Vec<_> = address::author_domain(&message.header).into_iter().collect();
        let mut verifier = Verifier::new(&message.header, &preferred, NOW);
        let questions = Questions::new(&message.header, &verifier);
        let envelope = envelope.map(|[client_ip, helo, mail_from]| Envelope {
            client_ip: client_ip.parse().ok(),
            helo: helo.clone().into_bytes(),
            mail_from: mail_from.clone().into_bytes(),
        });
        let spf = ask_spf(&dns, &envelope.unwrap_or_default(), "localhost", NOW).await;
        let answers = questions.ask(&dns).await;
        verifier.body(message.body);
        Verdicts::conclude(&dns, &message.header, verifier, answers, spf).await;
    });
    let asked = asked.lock().expect("nobody panicked");
    asked.clone()
}
