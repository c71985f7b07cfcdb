//! Which finding leads: one primary cause for each subject that failed, the message's own first, and how grave each is.

use super::{
    case::Case,
    finding::{Effect, Finding, Severity, Subject},
    register::Stage,
};
use std::cmp::Reverse;

/// A finding in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The finding.
    pub finding: Finding,
    /// How grave it is here.
    pub severity: Severity,
    /// Does it lead its subject?
    pub primary: bool,
}

/// Orders the findings of a message: the primary ones first, that of the message at the head, then by severity.
pub fn arrange(case: &Case<'_>, findings: Vec<Finding>) -> Vec<Placed> {
    let mut placed: Vec<Placed> = findings
        .into_iter()
        .map(|finding| Placed { severity: severity(case, &finding), finding, primary: false })
        .collect();
    // A stable sort: within a stage the detector's own order stands.
    placed.sort_by_key(|placed| (placed.finding.effect, placed.finding.cause.stage));
    let mut led: Vec<Subject> = Vec::new();
    for placed in &mut placed {
        let finding = &placed.finding;
        if finding.effect != Effect::Note && !led.contains(&finding.subject) {
            led.push(finding.subject.clone());
            placed.primary = true;
        }
    }
    if !case.authenticates
        && !placed.iter().any(|placed| placed.severity == Severity::Error)
        && let Some(first) = placed.iter_mut().filter(|placed| placed.primary).min_by_key(|placed| rank(case, placed))
    {
        first.severity = Severity::Error;
    }
    placed.sort_by_key(|placed| (Reverse(placed.primary), placed.severity, rank(case, placed)));
    placed
}

/// How grave a finding is for the message: only what stands between it and authentication is an error.
fn severity(case: &Case<'_>, finding: &Finding) -> Severity {
    let aligned = match &finding.subject {
        Subject::Signature { index: Some(index), .. } => case.aligned.get(index - 1).copied().flatten() != Some(false),
        Subject::Spf(_) => case.spf_aligned != Some(false),
        Subject::Signature { index: None, .. } | Subject::Dmarc(_) => true,
        Subject::Arc => false,
    };
    match finding.effect {
        Effect::Note => Severity::Note,
        Effect::Risk => Severity::Warning,
        Effect::Breaks if case.authenticates || !aligned => Severity::Warning,
        Effect::Breaks => Severity::Error,
    }
}

/// Among primary findings: a From domain that does not exist leads, then signatures (aligned first, then from the top),
/// SPF, policy and activation.
fn rank(case: &Case<'_>, placed: &Placed) -> (u8, bool, usize, Stage) {
    let stage = placed.finding.cause.stage;
    match &placed.finding.subject {
        Subject::Dmarc(_) if stage <= Stage::Transport => (0, false, 0, stage),
        Subject::Signature { index, .. } => {
            let index = index.unwrap_or(0);
            let stranger = case.aligned.get(index.wrapping_sub(1)).copied().flatten() == Some(false);
            (1, stranger, index, stage)
        }
        Subject::Spf(_) => (2, false, 0, stage),
        Subject::Dmarc(_) => (3, false, 0, stage),
        Subject::Arc => (4, false, 0, stage),
    }
}
