//! One event as one line for people: when, which message, what was done, and why it was not signed or did not pass.

use super::time::Clock;
use crate::{
    cli::paint::Paint,
    event::{
        Action, Direction, Event,
        bound::{is_unsafe, shown},
    },
};

/// Writes lines whose columns stand below one another.
pub struct Lines {
    clock: Clock,
    paint: Paint,
    host: String,
}

/// The longest address, domain and reason that a line shows, in characters.
const ADDRESS: usize = 60;
const REASON: usize = 200;

impl Lines {
    /// For this clock and these colours.
    pub fn new(clock: Clock, paint: Paint) -> Lines {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Lines { clock, paint, host }
    }

    /// The line.
    pub fn of(&self, event: &Event) -> String {
        let millis = event.time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
        let result = word(event.result.as_deref().unwrap_or("-"));
        let result = match (event.action, result.as_str()) {
            (Action::Diagnose, _) => self.paint.dim("-".to_owned()),
            (_, "pass" | "ready") => self.paint.good(result),
            (_, "none" | "neutral" | "-") => self.paint.dim(result),
            (_, "fail" | "permerror" | "policy" | "temperror" | "not-ready") => self.paint.bad(result),
            _ => self.paint.odd(result),
        };
        let (author, signer) = (event.from_domain.as_deref(), event.domain.as_deref());
        let domain = match event.action {
            Action::Sign | Action::Watch => signer.or(author),
            Action::Verify | Action::Pass | Action::Diagnose => author.or(signer),
        };
        let queue_id = if event.queue_id.is_empty() { "-" } else { &event.queue_id };
        let mut line = format!(
            "{}  {:<15} {:<8} {result:<9} {:<24} {}",
            self.clock.show(millis),
            word(queue_id),
            event.action.to_string(),
            shown(domain.unwrap_or("-"), ADDRESS),
            self.what(event)
        );
        if !event.mail_from.is_empty() || !event.rcpt_to.is_empty() {
            line += &format!("  {}", self.paint.dim(way(event)));
        }
        if event.observed {
            line += "  (only observed)";
        }
        if !event.host.is_empty() && event.host != self.host {
            line += &format!("  host={}", word(&event.host));
        }
        line
    }

    fn what(&self, event: &Event) -> String {
        let reason = event.reason.as_deref().map(|reason| shown(reason, REASON));
        match (event.action, event.direction) {
            (Action::Sign, _) if event.result.as_deref() == Some("pass") => {
                let selectors: Vec<_> =
                    event.signatures.iter().map(|signature| format!("s={}", word(&signature.selector))).collect();
                match event.causes.is_empty() {
                    true => selectors.join(" "),
                    false => format!("{} {}", selectors.join(" "), causes(event)),
                }
            }
            (Action::Pass, Direction::In) => reason.unwrap_or_default(),
            (Action::Sign | Action::Pass, _) => {
                format!("{}: {}", self.paint.bad("not signed"), reason.unwrap_or_else(|| "no reason given".into()))
            }
            (Action::Verify, _) => {
                let spf = event.spf.as_deref().map(|spf| format!("spf={}", word(spf)));
                let dmarc = event.dmarc.as_deref().map(|dmarc| format!("dmarc={}", word(dmarc)));
                let reason = reason.map(|reason| format!("({reason})"));
                spf.into_iter().chain(dmarc).chain(reason).collect::<Vec<_>>().join(" ")
            }
            (Action::Diagnose, _) => causes(event),
            (Action::Watch, _) => {
                let selector = event.selector.as_deref().map(|selector| format!("s={}", word(selector)));
                let causes = Some(causes(event)).filter(|causes| !causes.is_empty());
                let reason = reason.map(|reason| format!("({reason})"));
                selector.into_iter().chain(causes).chain(reason).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// The causes, each with how sure it is.
fn causes(event: &Event) -> String {
    let causes = event.causes.iter().map(|found| format!("{} ({})", word(&found.cause), word(&found.confidence)));
    causes.collect::<Vec<_>>().join(", ")
}

/// From whom to whom.
fn way(event: &Event) -> String {
    let from = if event.mail_from.is_empty() { "<>".to_owned() } else { shown(&event.mail_from, ADDRESS) };
    match event.rcpt_to.split_first() {
        None => from,
        Some((first, [])) => format!("{from} -> {}", shown(first, ADDRESS)),
        Some((first, others)) => format!("{from} -> {} and {} more", shown(first, ADDRESS), others.len()),
    }
}

/// One word that breaks no column.
pub fn word(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_whitespace() && !is_unsafe(c) { '_' } else { c }).collect();
    shown(&text, ADDRESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CauseEvent, SignatureEvent};

    fn line(event: Event) -> String {
        let event = Event { time: "2026-11-23T04:00:00.123Z".into(), queue_id: "4bWq3T1zKpz9vK".into(), ..event };
        Lines { clock: Clock::new(true), paint: Paint::plain(), host: String::new() }.of(&event)
    }

    #[test]
    fn a_line_says_what_was_done_and_why_not() {
        let signature = SignatureEvent { selector: "ncpcompubkr".into(), ..Default::default() };
        let cause =
            CauseEvent { cause: "body-footer-appended".into(), confidence: "certain".into(), ..CauseEvent::default() };
        let cases = [
            (
                Event {
                    action: Action::Sign,
                    result: Some("pass".into()),
                    domain: Some("example.com".into()),
                    signatures: vec![signature],
                    mail_from: "<ann@example.com>".into(),
                    rcpt_to: vec!["<bob@example.net>".into(), "<cy@example.net>".into()],
                    ..Event::default()
                },
                "2026-11-23 04:00:00Z  4bWq3T1zKpz9vK  sign     pass      example.com              \
                 s=ncpcompubkr  <ann@example.com> -> <bob@example.net> and 1 more",
            ),
            (
                Event { action: Action::Pass, reason: Some("no key".into()), ..Event::default() },
                "2026-11-23 04:00:00Z  4bWq3T1zKpz9vK  pass     -         -                        not signed: no key",
            ),
            (
                Event {
                    action: Action::Verify,
                    direction: Direction::In,
                    result: Some("fail".into()),
                    reason: Some("body hash did not verify".into()),
                    from_domain: Some("example.net".into()),
                    spf: Some("pass".into()),
                    dmarc: Some("fail".into()),
                    ..Event::default()
                },
                "2026-11-23 04:00:00Z  4bWq3T1zKpz9vK  verify   fail      example.net              \
                 spf=pass dmarc=fail (body hash did not verify)",
            ),
            (
                Event {
                    action: Action::Diagnose,
                    result: Some("fail".into()),
                    causes: vec![cause],
                    ..Event::default()
                },
                "2026-11-23 04:00:00Z  4bWq3T1zKpz9vK  diagnose -         -                        \
                 body-footer-appended (certain)",
            ),
        ];
        for (event, want) in cases {
            assert_eq!(line(event), want);
        }
    }

    #[test]
    fn hostile_values_stay_on_their_line() {
        let hostile = "\u{1b}]0;owned\u{7}\r\nfake line \u{202e}".repeat(50);
        let text = line(Event {
            action: Action::Verify,
            queue_id: hostile.clone(),
            host: hostile.clone(),
            from_domain: Some(hostile.clone()),
            result: Some(hostile.clone()),
            reason: Some(hostile.clone()),
            mail_from: hostile.clone(),
            rcpt_to: vec![hostile],
            ..Event::default()
        });
        assert!(!text.chars().any(is_unsafe), "{text:?}");
        assert!(text.len() < 10_000);
    }
}
