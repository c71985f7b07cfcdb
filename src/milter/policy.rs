//! What becomes of mail by its results: the strongest action that the settings give to any of them.

use crate::{
    config::{Action, Actions},
    verify::{
        Word,
        dmarc::{DmarcResult, Policy},
        message::Verdicts,
        spf::SpfResult,
    },
};

/// What becomes of a message, and the text that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub action: Action,
    /// Why, for the sender's side and the log; empty where it is accepted.
    pub why: String,
}

/// Decides.
pub fn decide(actions: &Actions, verdicts: &Verdicts) -> Decision {
    let mut strongest = Decision { action: Action::Accept, why: String::new() };
    let mut consider = |action: Action, why: &dyn Fn() -> String| {
        if action > strongest.action {
            strongest = Decision { action, why: why() };
        }
    };
    let failed = verdicts.dkim.iter().find(|result| result.result == Word::Fail);
    if let Some(failed) = failed
        && !verdicts.dkim.iter().any(|result| result.result == Word::Pass)
    {
        consider(actions.dkim_fail, &|| {
            let reason = failed.reason.as_ref().map(|reason| reason.to_string()).unwrap_or_default();
            format!("DKIM signature failed: {reason}")
        });
    }
    if let Some(spf) = &verdicts.spf {
        let action = match spf.main.result {
            SpfResult::Fail => actions.spf_fail,
            SpfResult::SoftFail => actions.spf_softfail,
            SpfResult::PermError => actions.spf_permerror,
            _ => Action::Accept,
        };
        consider(action, &|| format!("SPF {}: {}", spf.main.result, spf.main.reason));
    }
    let dmarc = &verdicts.dmarc;
    let action = match dmarc.result {
        DmarcResult::Fail => actions.dmarc_fail.unwrap_or(match dmarc.policy() {
            Policy::None => Action::Accept,
            Policy::Quarantine => Action::Quarantine,
            Policy::Reject => Action::Reject,
        }),
        DmarcResult::PermError => actions.dmarc_permerror,
        DmarcResult::TempError => actions.temperror,
        DmarcResult::Pass | DmarcResult::None => Action::Accept,
    };
    consider(action, &|| format!("DMARC {}: {}", dmarc.result, dmarc.reason));
    strongest
}
