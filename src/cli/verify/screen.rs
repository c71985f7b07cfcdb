//! One message for people: the result first, then why, in columns, on one screen.
//!
//! Texts of strangers are shown with their control and formatting characters escaped: a message must not move the
//! cursor, nor turn the line around (U+202E).

use super::{judge::Judged, report};
use crate::{
    cli::{
        Exit, findings, input,
        paint::{self, Paint},
        wrap,
    },
    diagnose::case::InUse,
    verify::{
        Word,
        arc::ArcResult,
        dkim::{DkimResult, KeyState, State},
        spf,
        standing::Aligned,
    },
};
use std::fmt::{Display, Write};

/// More signatures than this are counted, not listed: they would fill the screen.
const SIGNATURES: usize = 8;

/// Columns before the text of a line.
const MARGIN: usize = 20;

/// Longer texts of strangers are cut.
const LONGEST: usize = 200;

/// The text of one message, ending in a line end.
pub fn text(judged: &Judged, paint: Paint) -> String {
    let mut screen = Screen { text: String::new(), paint };
    let verdicts = &judged.verdicts;
    screen.headline(judged);
    screen.line("from", &"", judged.from.as_deref().unwrap_or("no author that can be told"));
    let dmarc = &verdicts.dmarc;
    screen.result("dmarc", dmarc.result.as_str(), &dmarc.reason);
    if let Some(applied) = &dmarc.applied {
        screen.more(&format!("policy {} at _dmarc.{}", applied.policy.as_str(), applied.domain));
    }
    if verdicts.dkim.is_empty() {
        screen.result("dkim", "none", "no signature");
    }
    for (result, &aligned) in verdicts.dkim.iter().zip(&judged.standing.aligned).take(SIGNATURES) {
        screen.signature(result, aligned);
    }
    if let Some(more) = verdicts.dkim.len().checked_sub(SIGNATURES + 1) {
        screen.more(&format!("and {} more signatures", more + 1));
    }
    match &verdicts.spf {
        None => screen.result("spf", "none", judged.spf_missing.unwrap_or("the client is not known")),
        Some(verdict) => {
            screen.spf(&verdict.main);
            if let Some(helo) = &verdict.helo {
                screen.spf(helo);
            }
        }
    }
    if verdicts.arc.result != Word::None {
        screen.arc(&verdicts.arc);
    }
    if let Some(InUse { profile, inferred_from: Some(selector) }) = &judged.profile
        && !judged.findings.is_empty()
    {
        screen.line(
            "as of",
            &profile.name,
            &format!("inferred from the selector {selector}; --provider names another"),
        );
    }
    for note in &judged.notes {
        screen.line("note", &"", &note.to_string());
    }
    if let Some(note) = &judged.record_note {
        screen.line("note", &"", note);
    }
    screen.text.push_str(&findings::text(&judged.findings, findings::PRIMARY_AT_LENGTH, paint));
    screen.text
}

struct Screen {
    text: String,
    paint: Paint,
}

impl Screen {
    fn headline(&mut self, judged: &Judged) {
        let file = plain(&input::shown(&judged.file));
        let paint = self.paint;
        let verdict = match judged.exit() {
            Exit::Good => paint.good("authenticates"),
            Exit::Failed => paint.bad("does not authenticate"),
            Exit::Temporary => paint.odd("cannot be decided: DNS gave no answer"),
        };
        self.push(format_args!("{}: {verdict}\n", paint.bold(file)));
    }

    fn signature(&mut self, result: &DkimResult, aligned: Aligned) {
        let signature = &result.signature;
        let reason = result.reason.as_ref().map_or_else(|| result.remark(), ToString::to_string);
        let domain = signature.domain.as_ref().map_or("(no domain)", |domain| domain.as_str());
        let selector = signature.selector.as_ref().map_or("(no selector)", |selector| selector.as_str());
        let colon = if reason.is_empty() { "" } else { ": " };
        self.result("dkim", result.result.as_str(), &format!("{domain} {selector}{colon}{reason}"));
        let mut facts = Vec::new();
        facts.extend(signature.algorithm_text.clone().filter(|text| !text.is_empty()));
        facts.extend(result.key_bits.map(|bits| format!("{bits} bits")));
        facts.extend(signature.canonicalization.map(|(header, body)| format!("{header}/{body}")));
        facts.push(if aligned == Aligned::Yes { "aligned".into() } else { "not aligned".into() });
        self.more(&facts.join(", "));
        let (body, header) = (report::state(result.body), report::state(result.header));
        let key = match result.key {
            KeyState::Signer => "signed with the published key",
            KeyState::Other => "signed with another key",
            KeyState::Unknown => "signing key unknown",
            KeyState::Unavailable => "no usable key published",
        };
        if (result.body, result.header) != (State::Intact, State::Intact) {
            self.more(&format!("body {body}, header {header}, {key}"));
        }
        for &warning in &result.warnings {
            self.more(report::warning(warning));
        }
    }

    fn spf(&mut self, outcome: &spf::Outcome) {
        let identity = match outcome.scope {
            spf::Scope::MailFrom => "MAIL FROM",
            spf::Scope::Helo => "HELO",
        };
        let domain = outcome.domain.as_ref().map_or("(no domain)", |domain| domain.as_str());
        let why = format!("{domain} ({identity}) from {}: {}", outcome.client_ip, outcome.reason);
        self.result("spf", outcome.result.as_str(), &why);
    }

    fn arc(&mut self, chain: &ArcResult) {
        let sealers = chain.sealers.iter().filter_map(|sealer| sealer.domain.as_ref()).map(|domain| domain.as_str());
        let sealers = sealers.collect::<Vec<_>>().join(", ");
        let why = match &chain.reason {
            Some(reason) => reason.to_string(),
            None if sealers.is_empty() => String::new(),
            None => format!("sealed by {sealers}, the first one first"),
        };
        self.result("arc", chain.result.as_str(), &why);
    }

    fn result(&mut self, method: &str, word: &'static str, why: &str) {
        let paint = self.paint;
        let word = match word {
            "pass" => paint.good(word),
            "fail" | "permerror" | "policy" => paint.bad(word),
            "none" => paint.dim(word),
            _ => paint.odd(word),
        };
        self.line(method, &word, why);
    }

    fn more(&mut self, text: &str) {
        self.line("", &"", text);
    }

    fn line(&mut self, what: &str, word: &dyn Display, text: &str) {
        for (piece, number) in wrap::pieces(&plain(text), self.paint.room(MARGIN)).iter().zip(0..) {
            match number {
                0 => self.push(format_args!("  {what:<5}  {word:<9}  {piece}\n")),
                _ => self.push(format_args!("{:MARGIN$}{piece}\n", "")),
            }
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a String does not fail");
    }
}

/// A stranger's text of some length at most, without anything that a terminal would obey.
fn plain(text: &str) -> String {
    paint::plain(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_strangers_cannot_move_the_cursor() {
        for (text, want) in [
            ("billing@example.com: it's \"so\"", "billing@example.com: it's \"so\""),
            ("a\x1b[2Jb\r\n\u{7f}\u{9b}", "a\\u{1b}[2Jb\\r\\n\\u{7f}\\u{9b}"),
            ("a\u{202e}moc\u{2066}\u{200b}\u{feff}", "a\\u{202e}moc\\u{2066}\\u{200b}\\u{feff}"),
            ("결제 é", "결제 é"),
        ] {
            assert_eq!(plain(text), want);
        }
        let long = plain(&"x".repeat(10_000));
        assert!(long.len() < 250 && long.ends_with("..."));
    }
}
