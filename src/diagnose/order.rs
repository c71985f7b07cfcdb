//! Which finding leads: one primary cause for each subject that failed, the message's own first, and how grave each is.

use super::{
    finding::{Confidence, Effect, Finding, Severity, Subject},
    register::{Stage, policy},
};
use crate::verify::standing::{Aligned, Standing};
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

/// Orders findings: the primary ones first, that of the message (or of the domain that is checked) at the head, then by
/// severity.
pub fn arrange(standing: &Standing, findings: Vec<Finding>) -> Vec<Placed> {
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
fn severity(standing: &Standing, finding: &Finding) -> Severity {
    let aligned = match &finding.subject {
        Subject::Signature { index: Some(index), domain, .. } => {
            strangeness(standing, Some(*index), domain.is_some()) < 2
        }
        Subject::Spf(_) => standing.spf_aligned != Aligned::No,
        Subject::Signature { index: None, .. } | Subject::Dmarc(_) => true,
        Subject::Arc => false,
        Subject::Mta => true,
    };
    match finding.effect {
        Effect::Note => Severity::Note,
        Effect::Risk => Severity::Warning,
        Effect::Breaks if standing.authenticates || !aligned => Severity::Warning,
        Effect::Breaks => Severity::Error,
    }
}

/// Among primary findings: a From domain that does not exist or is a portal's leads (no record of the sender's can help),
/// then signatures (aligned first, then from the top), SPF, policy and activation.
fn rank(standing: &Standing, placed: &Placed) -> (u8, u8, usize, Stage) {
    let stage = placed.finding.cause.stage;
    match &placed.finding.subject {
        Subject::Dmarc(_) if stage <= Stage::Transport => (0, 0, 0, stage),
        Subject::Dmarc(_) if placed.finding.cause == &policy::FROM_DOMAIN_NOT_YOURS => (0, 1, 0, stage),
        Subject::Signature { index, domain, .. } => {
            (1, strangeness(standing, *index, domain.is_some()), index.unwrap_or(0), stage)
        }
        Subject::Spf(_) => (2, 0, 0, stage),
        Subject::Dmarc(_) => (3, 0, 0, stage),
        Subject::Arc => (4, 0, 0, stage),
        Subject::Mta => (5, 0, 0, stage),
    }
}

/// How far a signature is from the author's: 0 if it aligns, 1 if that is not known, 2 if it does not.
fn strangeness(standing: &Standing, index: Option<usize>, named: bool) -> u8 {
    match index.map(|index| standing.of_signature(index)) {
        Some(Aligned::Yes) => 0,
        // A signature whose d= cannot be read may have been the author's.
        Some(Aligned::No) if named => 2,
        _ => 1,
    }
}
