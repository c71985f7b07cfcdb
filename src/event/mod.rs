//! One event per message: what was decided, done or refused, and how long it took.
//!
//! Events are written in one place, the [`Journal`], so that the log and whatever else keeps them agree.
//! Writing never fails and never waits: a reader that is gone or a full disk costs lines, not mail.

pub mod log;

use crate::{config::Log, name::DomainName, verify::message::Verdicts};
use serde::Serialize;
use std::fmt::{self, Write};

/// What was done with a message, with the field names that operators' scripts rely on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Event {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// On which host.
    pub host: String,
    /// Postfix's queue id; empty if the MTA gave none.
    pub queue_id: String,
    /// sign, verify or pass.
    pub action: Action,
    /// in, out or unknown.
    pub direction: Direction,
    /// d= of the first signature.
    pub domain: Option<String>,
    /// s= of the first signature.
    pub selector: Option<String>,
    /// The result of the first signature: pass when signed.
    pub result: Option<String>,
    /// Why it was not signed, or why it failed.
    pub reason: Option<String>,
    /// Every signature made or judged.
    pub signatures: Vec<SignatureEvent>,
    /// The result of SPF.
    pub spf: Option<String>,
    /// The result of DMARC.
    pub dmarc: Option<String>,
    /// The client's address.
    pub client_ip: Option<String>,
    /// Who authenticated.
    pub auth_user: Option<String>,
    /// MAIL FROM as received.
    pub mail_from: String,
    /// RCPT TO as received, at most [`MAX_RECIPIENTS`].
    pub rcpt_to: Vec<String>,
    /// The domain of the From field.
    pub from_domain: Option<String>,
    /// The Message-ID field.
    pub message_id: Option<String>,
    /// Octets of header and body as far as they were seen.
    pub size: u64,
    /// Milliseconds from MAIL FROM to the decision.
    pub millis: u64,
    /// Was it only observed, and nothing changed?
    pub observed: bool,
}

/// More recipients than this are not kept: a list of ten thousand is Postfix's to remember.
pub const MAX_RECIPIENTS: usize = 100;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was signed, or should have been.
    Sign,
    /// It was judged.
    Verify,
    /// Nothing was to be done.
    #[default]
    Pass,
}

/// Which way the message went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From outside.
    In,
    /// From our users or networks.
    Out,
    /// Not decided.
    #[default]
    Unknown,
}

/// One signature in an event.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureEvent {
    /// d=.
    pub domain: String,
    /// s=.
    pub selector: String,
    /// a=.
    pub algorithm: String,
    /// A word of RFC 8601.
    pub result: String,
    /// Why, unless it passed.
    pub reason: Option<String>,
}

/// Where events are written.
#[derive(Clone, Debug)]
pub struct Journal {
    json: bool,
}

impl Event {
    /// With the signatures made or judged; the first one names the domain, the selector and the result.
    pub fn with_signatures(mut self, signatures: Vec<SignatureEvent>) -> Event {
        if let Some(first) = signatures.first() {
            self.domain = Some(first.domain.clone());
            self.selector = Some(first.selector.clone());
            self.result = Some(first.result.clone());
            self.reason = first.reason.clone();
        }
        self.signatures = signatures;
        self
    }

    /// With what verification found.
    pub fn with_verdicts(self, verdicts: &Verdicts) -> Event {
        let name = |name: &Option<DomainName>| name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        let judged = verdicts.dkim.iter().map(|result| SignatureEvent {
            domain: name(&result.signature.domain),
            selector: name(&result.signature.selector),
            algorithm: result.signature.algorithm_text.clone().unwrap_or_default(),
            result: result.result.to_string(),
            reason: result.reason.as_ref().map(|reason| reason.to_string()),
        });
        let mut event = self.with_signatures(judged.collect());
        event.result = event.result.or_else(|| Some("none".into()));
        event.spf = verdicts.spf.as_ref().map(|spf| spf.main.result.to_string());
        event.dmarc = Some(verdicts.dmarc.result.to_string());
        event
    }
}

impl Journal {
    /// A journal in the form that the settings ask for; [`log::start`] must have been called for lines to appear.
    pub fn new(log: &Log) -> Journal {
        Journal { json: log.json }
    }

    /// Writes one event: a warning where mail that was to be signed was not, else for information.
    pub fn write(&self, event: &Event) {
        let failed = event.action == Action::Sign && event.result.as_deref() != Some("pass");
        match (self.json, failed) {
            (true, true) => tracing::error!(target: log::EVENT, json = %Json(event)),
            (true, false) => tracing::info!(target: log::EVENT, json = %Json(event)),
            (false, true) => tracing::error!(target: log::EVENT, "{}", Text(event)),
            (false, false) => tracing::info!(target: log::EVENT, "{}", Text(event)),
        }
    }
}

struct Json<'a>(&'a Event);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

/// `QUEUEID: action=sign result=pass domain=…`: what an operator greps for comes first.
struct Text<'a>(&'a Event);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        write!(f, "{}: action={}", if event.queue_id.is_empty() { "NOQUEUE" } else { &event.queue_id }, event.action)?;
        pair(f, "result", event.result.as_deref())?;
        pair(f, "reason", event.reason.as_deref())?;
        for signature in &event.signatures {
            pair(f, "domain", Some(&signature.domain))?;
            pair(f, "selector", Some(&signature.selector))?;
            pair(f, "algorithm", Some(&signature.algorithm))?;
            if event.action == Action::Verify {
                pair(f, "dkim", Some(&signature.result))?;
            }
        }
        pair(f, "spf", event.spf.as_deref())?;
        pair(f, "dmarc", event.dmarc.as_deref())?;
        if event.signatures.is_empty() {
            pair(f, "domain", event.domain.as_deref())?;
            pair(f, "selector", event.selector.as_deref())?;
        }
        if event.observed {
            pair(f, "observed", Some("yes"))?;
        }
        pair(f, "from_domain", event.from_domain.as_deref())?;
        pair(f, "mail_from", Some(&event.mail_from))?;
        pair(f, "client_ip", event.client_ip.as_deref())?;
        pair(f, "auth_user", event.auth_user.as_deref())?;
        pair(f, "rcpt_to", event.rcpt_to.first().map(String::as_str))?;
        if event.rcpt_to.len() > 1 {
            write!(f, " rcpts={}", event.rcpt_to.len())?;
        }
        pair(f, "message_id", event.message_id.as_deref())?;
        write!(f, " size={} millis={}", event.size, event.millis)
    }
}

/// ` key=value`; a value with anything but plain characters is quoted, and control characters never reach the log.
fn pair(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=');
    if !value.is_empty() && value.chars().all(|c| plain(c) || c == '=') {
        return write!(f, " {key}={value}");
    }
    write!(f, " {key}=\"")?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            // Controls, and the characters that reorder or hide text on a terminal.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                write!(f, "{}", c.escape_unicode())?
            }
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Sign => "sign",
            Action::Verify => "verify",
            Action::Pass => "pass",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_starts_with_the_queue_id_and_quotes_what_strangers_wrote() {
        let event = Event {
            queue_id: "4ABC".into(),
            action: Action::Pass,
            reason: Some("the From domain has no key here".into()),
            mail_from: "a@b\r\nDec 1 forged: \u{202e}line".into(),
            size: 7,
            ..Event::default()
        };
        assert_eq!(
            Text(&event).to_string(),
            "4ABC: action=pass reason=\"the From domain has no key here\" \
             mail_from=\"a@b\\u{d}\\u{a}Dec 1 forged: \\u{202e}line\" size=7 millis=0"
        );
    }
}
