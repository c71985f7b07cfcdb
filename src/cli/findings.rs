//! Findings for people: the first one at length, with what it rests on and what to do; the others in a line or two.
//!
//! Every text in them may be a stranger's, and is shown with its control and formatting characters escaped.

use super::{
    paint::{self, Paint},
    wrap,
};
use crate::{
    diagnose::{
        Placed,
        finding::{Finding, Item, Publish, Severity, Value},
        report, secret,
    },
    dns::{Answer, Data},
};
use std::fmt::Write;

/// Only this many findings are told with their evidence.
pub const PRIMARY_AT_LENGTH: usize = 1;

/// Findings beyond this are counted, not listed.
const LISTED: usize = 12;

/// Longer texts are cut; a record to publish never is.
const LONGEST: usize = 400;

/// Of a string in an answer so much is shown: its beginning says what it is, and its length says whether it is whole.
const STRING: usize = 48;

/// Columns of running text, where the terminal is not narrower.
const WIDTH: usize = 84;

/// Columns before it.
const MARGIN: usize = 11;

/// The findings, each line indented by two; empty if there are none.
pub fn text(findings: &[Placed], at_length: usize, paint: Paint) -> String {
    let mut screen = Screen { text: String::new(), paint };
    for (placed, number) in findings.iter().zip(0..LISTED) {
        screen.head(placed);
        if number < at_length {
            screen.body(&placed.finding);
        } else if placed.severity != Severity::Note {
            screen.brief(&placed.finding);
        }
    }
    if findings.len() > LISTED {
        screen.line("", &format!("and {} more findings", findings.len() - LISTED));
    }
    screen.text
}

struct Screen {
    text: String,
    paint: Paint,
}

impl Screen {
    fn head(&mut self, placed: &Placed) {
        let (finding, paint) = (&placed.finding, self.paint);
        let word = placed.severity.as_str();
        let word = match placed.severity {
            Severity::Error => paint.bad(word),
            Severity::Warning => paint.odd(word),
            Severity::Note => paint.dim(word),
        };
        let code = paint.bold(finding.cause.code);
        let sure = paint.dim(format!("({})", finding.confidence.as_str()));
        writeln!(self.text, "\n  {word:<7}  {code} {sure}").expect("writing to a String does not fail");
        self.line("", &finding.claim);
    }

    fn brief(&mut self, finding: &Finding) {
        if let Some(step) = finding.fix.first() {
            self.line("fix", step);
        }
        if let Some(publish) = &finding.publish {
            self.publish(publish);
        }
    }

    fn body(&mut self, finding: &Finding) {
        for item in &finding.evidence {
            self.item(item);
        }
        for (step, number) in finding.fix.iter().zip(1..) {
            let text = if finding.fix.len() == 1 { step.clone() } else { format!("{number}. {step}") };
            self.line(if number == 1 { "fix" } else { "" }, &text);
        }
        if let Some(publish) = &finding.publish {
            self.publish(publish);
        }
        for (out, number) in finding.ruled_out.iter().zip(0..) {
            self.line(if number == 0 { "not" } else { "" }, &format!("{}: {}", out.cause.code, out.because));
        }
        self.line("more", &format!("waxseal explain {}", finding.cause.code));
    }

    fn item(&mut self, item: &Item) {
        match &item.value {
            Value::Dns(answer) => self.answer(&item.label, answer),
            Value::Text(text) | Value::Header(text) => {
                // Lines of a changed text stay lines: that is what somebody wants to see.
                let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
                let first = lines.next().unwrap_or_default();
                self.line("seen", &format!("{}: {first}", item.label));
                for line in lines.take(20) {
                    self.line("", line);
                }
            }
            Value::Digest(digest) => self.line("seen", &format!("{}: {digest}", item.label)),
            Value::Key { fingerprint, bits } => {
                self.line("seen", &format!("{}: {bits} bits, SHA-256 {fingerprint}", item.label));
            }
            Value::Time(seconds) => {
                self.line("seen", &format!("{}: {}", item.label, report::time(*seconds)));
            }
        }
    }

    fn answer(&mut self, label: &str, answer: &Answer) {
        let server = answer.server.map(|server| format!(" from {server}")).unwrap_or_default();
        let rcode = report::rcode(&answer.outcome);
        self.line("seen", &format!("{label}: {} {}: {rcode}{server}", answer.name, answer.kind));
        for (record, strings) in secret::records(answer).into_iter().take(8) {
            let shown = match &record.data {
                Data::Txt(_) => strings.iter().map(|string| short(string)).collect::<Vec<_>>().join(" "),
                other => report::shown(other),
            };
            self.line("", &format!("{} {} {shown}", record.ttl, kind(&record.data)));
        }
    }

    fn publish(&mut self, publish: &Publish) {
        // Exactly as to be typed: neither cut nor broken.
        let strings: Vec<String> = publish.strings().iter().map(|string| quoted(string)).collect();
        self.line("publish", &format!("{}. IN {}", publish.name, publish.kind));
        for string in strings {
            writeln!(self.text, "           {string}").expect("writing to a String does not fail");
        }
    }

    /// A line, broken between words where it is too wide.
    fn line(&mut self, what: &str, text: &str) {
        let text = secret::text(text);
        let text = paint::plain(&text, LONGEST);
        let room = self.paint.room_or(MARGIN, WIDTH);
        for (piece, number) in wrap::pieces(&text, Some(room)).iter().zip(0..) {
            let what = if number == 0 { what } else { "" };
            writeln!(self.text, "  {:<7}  {piece}", self.paint.dim(what)).expect("writing to a String does not fail");
        }
    }
}

/// A character-string as dig shows it, its middle left out, with its length.
fn short(string: &[u8]) -> String {
    let text = String::from_utf8_lossy(string);
    let cut: String = text.chars().take(STRING).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{more}({})", quoted(&cut), string.len())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn kind(data: &Data) -> &'static str {
    match data {
        Data::A(_) => "A",
        Data::Aaaa(_) => "AAAA",
        Data::Cname(_) => "CNAME",
        Data::Mx { .. } => "MX",
        Data::Ns(_) => "NS",
        Data::Ptr(_) => "PTR",
        Data::Soa { .. } => "SOA",
        Data::Txt(_) => "TXT",
    }
}
