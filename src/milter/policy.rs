//! What becomes of mail by its results: the strongest action that the settings give to any of them.

use crate::{
    config::{Action, Actions},
    verify::{
        Word,
        dmarc::{self, DmarcResult, Policy},
        message::Verdicts,
        spf::{self, SpfResult},
    },
};

/// What becomes of a message, and the text that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub action: Action,
    /// Why, for the sender's side and the log. Where it is accepted: why nothing came of a result, or empty.
    pub why: Reply,
}

/// What the sender's side is told. The class of its code, 4 or 5, follows from whether it is a refusal for now or for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Subject and detail of the enhanced status code (RFC 3463, RFC 7372): `7.26`.
    pub status: &'static str,
    /// The text.
    pub text: String,
}

/// "Other or undefined security status" (RFC 3463 §3.8), for which there is nothing more exact.
impl From<&str> for Reply {
    fn from(text: &str) -> Reply {
        Reply { status: "7.0", text: text.into() }
    }
}

/// Decides.
pub fn decide(actions: &Actions, verdicts: &Verdicts) -> Decision {
    let mut strongest = Decision { action: Action::Accept, why: "".into() };
    let mut consider = |action: Action, status: &'static str, text: &dyn Fn() -> String| {
        if action > strongest.action {
            strongest = Decision { action, why: Reply { status, text: text() } };
        }
    };
    let failed = verdicts.dkim.iter().find(|result| result.result == Word::Fail);
    if let Some(failed) = failed
        && !verdicts.dkim.iter().any(|result| result.result == Word::Pass)
    {
        // "No passing DKIM signature found" (RFC 7372 §3.1).
        consider(actions.dkim_fail, "7.20", &|| {
            let domain = failed.signature.domain.as_ref().map(|domain| format!(" of {domain}")).unwrap_or_default();
            let reason = failed.reason.as_ref().map(|reason| reason.to_string()).unwrap_or_default();
            format!("DKIM signature{domain} failed: {reason}")
        });
    }
    if let Some(spf) = &verdicts.spf {
        // "SPF validation failed" and "SPF validation error" (RFC 7372 §3.2).
        let (action, status) = match spf.main.result {
            SpfResult::Fail => (actions.spf_fail, "7.23"),
            SpfResult::SoftFail => (actions.spf_softfail, "7.23"),
            SpfResult::PermError => (actions.spf_permerror, "7.24"),
            _ => (Action::Accept, ""),
        };
        consider(action, status, &|| spf_text(&spf.main));
    }
    let dmarc = &verdicts.dmarc;
    let (mut action, status) = match dmarc.result {
        // "Multiple authentication checks failed" (RFC 7372 §3.4): neither DKIM nor SPF spoke for the author's domain.
        DmarcResult::Fail => (actions.dmarc_fail.unwrap_or(wish(dmarc.policy())), "7.26"),
        // "Delivery not authorized" (RFC 3463 §3.8).
        DmarcResult::PermError => (actions.dmarc_permerror, "7.1"),
        // "Directory server failure", which DNS is (RFC 3463 §3.5), as RFC 7208 §8.6 uses it.
        DmarcResult::TempError => (actions.temperror, "4.3"),
        DmarcResult::Pass | DmarcResult::None => (Action::Accept, ""),
    };
    let spared = verdicts.vouched.as_ref().filter(|_| action > Action::Accept);
    if spared.is_some() {
        action = Action::Accept;
    }
    consider(action, status, &|| dmarc_text(dmarc));
    if let Some(vouched) = spared
        && strongest.action == Action::Accept
    {
        strongest.why.text = format!("not acted on: {vouched}; {}", dmarc_text(dmarc));
    }
    strongest
}

/// What the owner of the author's domain asks for.
fn wish(policy: Policy) -> Action {
    match policy {
        Policy::None => Action::Accept,
        Policy::Quarantine => Action::Quarantine,
        Policy::Reject => Action::Reject,
    }
}

fn spf_text(spf: &spf::Outcome) -> String {
    let domain = spf.domain.as_ref().map(|domain| format!(" for {domain}")).unwrap_or_default();
    format!("SPF {}{domain}: {}", spf.result, spf.reason)
}

fn dmarc_text(dmarc: &dmarc::Verdict) -> String {
    let domain = dmarc.author.as_ref().map(|author| format!(" for {author}")).unwrap_or_default();
    let policy = match dmarc.applied {
        Some(_) => format!(" (policy {})", dmarc.policy().as_str()),
        None => String::new(),
    };
    format!("DMARC {}{domain}{policy}: {}", dmarc.result, dmarc.reason)
}
