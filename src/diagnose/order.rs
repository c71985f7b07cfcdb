//! Which finding leads: one primary cause for each subject that failed, the message's own first, and how grave each is.

use super::{
    finding::{Confidence, Effect, Finding, Severity, Subject},
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

/// How a message (or a domain that is checked) stands, as far as severity depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Does it authenticate?
    pub authenticates: bool,
    /// For each signature: does its domain align with From? `None` where DNS did not say.
    pub aligned: &'a [Option<bool>],
    /// Does the domain that SPF judged?
    pub spf_aligned: Option<bool>,
}

/// Orders findings: the primary ones first, that of the message at the head, then by severity.
pub fn arrange(standing: Standing<'_>, findings: Vec<Finding>) -> Vec<Placed> {
    let mut placed: Vec<Placed> = findings
        .into_iter()
        .map(|finding| Placed { severity: severity(standing, &finding), finding, primary: false })
        .collect();
    // A stable sort: within a stage the detector's own order stands. What is merely possible leads only where nothing
    // better is known.
    placed.sort_by_key(|placed| {
        let finding = &placed.finding;
        (finding.effect, finding.confidence == Confidence::Possible, finding.cause.stage)
    });
    let mut led: Vec<Subject> = Vec::new();
    for placed in &mut placed {
        let finding = &placed.finding;
        if finding.effect != Effect::Note && !led.contains(&finding.subject) {
            led.push(finding.subject.clone());
            placed.primary = true;
        }
    }
    if !standing.authenticates
        && !placed.iter().any(|placed| placed.severity == Severity::Error)
        && let Some(first) = placed
            .iter_mut()
            .filter(|placed| placed.primary && placed.finding.effect == Effect::Breaks)
            .min_by_key(|placed| rank(standing, placed))
    {
        first.severity = Severity::Error;
    }
    placed.sort_by_key(|placed| (Reverse(placed.primary), placed.severity, rank(standing, placed)));
    placed
}

/// How grave a finding is for the message: only what stands between it and authentication is an error.
fn severity(standing: Standing<'_>, finding: &Finding) -> Severity {
    let aligned = match &finding.subject {
        Subject::Signature { index: Some(index), .. } => {
            standing.aligned.get(index - 1).copied().flatten() != Some(false)
        }
        Subject::Spf(_) => standing.spf_aligned != Some(false),
        Subject::Signature { index: None, .. } | Subject::Dmarc(_) => true,
        Subject::Arc => false,
    };
    match finding.effect {
        Effect::Note => Severity::Note,
        Effect::Risk => Severity::Warning,
        Effect::Breaks if standing.authenticates || !aligned => Severity::Warning,
        Effect::Breaks => Severity::Error,
    }
}

/// Among primary findings: a From domain that does not exist leads, then signatures (aligned first, then from the top),
/// SPF, policy and activation.
fn rank(standing: Standing<'_>, placed: &Placed) -> (u8, bool, usize, Stage) {
    let stage = placed.finding.cause.stage;
    match &placed.finding.subject {
        Subject::Dmarc(_) if stage <= Stage::Transport => (0, false, 0, stage),
        Subject::Signature { index, .. } => {
            let index = index.unwrap_or(0);
            let stranger = standing.aligned.get(index.wrapping_sub(1)).copied().flatten() == Some(false);
            (1, stranger, index, stage)
        }
        Subject::Spf(_) => (2, false, 0, stage),
        Subject::Dmarc(_) => (3, false, 0, stage),
        Subject::Arc => (4, false, 0, stage),
    }
}
