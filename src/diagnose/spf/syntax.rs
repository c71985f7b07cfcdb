//! Records that break the grammar: one mistake anywhere is a permanent error (RFC 7208 §4.6).

use super::{
    Judged, Sight, mend, show,
    strings::{misjoined, split},
};
use crate::{
    diagnose::{
        finding::{Confidence, Finding},
        register::{Cause, spf as causes},
    },
    spf::Record,
};

/// Causes that the text itself proves; the others are guesses until the repaired record passes.
static BY_DEFINITION: [&Cause; 5] = [
    &causes::SYNTAX_ERROR,
    &causes::UNKNOWN_MECHANISM,
    &causes::MACRO_INVALID,
    &causes::DUPLICATE_MODIFIER,
    &causes::NON_ASCII,
];

/// Why this record is broken.
pub fn findings(judged: &Judged<'_>, sight: Sight<'_>) -> Vec<Finding> {
    let Some(record) = sight.record else { return Vec::new() };
    let parts = split(judged, sight);
    let joints = misjoined(judged, sight);
    let text = mended(judged, sight, record, mend::broken(record, sight.problems));
    // What a trial proved comes first, then the more specific.
    let mut found: Vec<Finding> = [joints, parts, text].into_iter().flatten().collect();
    found.sort_by_key(|finding| match BY_DEFINITION.contains(&finding.cause) {
        true => Confidence::Likely,
        false => finding.confidence,
    });
    found.truncate(1);
    found
}

/// What the terms of a sound record were meant to be, where a trial proves it.
pub fn odd(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let record = sight.record.filter(|record| record.is_valid())?;
    let mends = mend::odd(record);
    let proved = !mends.is_empty() && judged.passes(sight.domain, &mend::apply(record.as_bytes(), &mends));
    mended(judged, sight, record, mends).filter(|_| proved)
}

/// The finding that these mends make.
pub fn mended(judged: &Judged<'_>, sight: Sight<'_>, record: &Record, mends: Vec<mend::Mend>) -> Option<Finding> {
    let mut repaired = mend::apply(record.as_bytes(), &mends);
    let is_sound = |text: &[u8]| Record::read(text).0.is_valid();
    let is_valid = is_sound(&repaired);
    let mut passes = is_valid && judged.passes(sight.domain, &repaired);
    if !passes && mends.iter().any(|mend| mend.or.is_some()) {
        let others: Vec<mend::Mend> = mends.iter().map(mend::Mend::other).collect();
        let other = mend::apply(record.as_bytes(), &others);
        if is_sound(&other) && judged.passes(sight.domain, &other) {
            (repaired, passes) = (other, true);
        }
    }
    let leading = mend::leading(&mends)?;
    let certain = passes || BY_DEFINITION.contains(&leading.cause) && !record.is_valid();
    let confidence = if certain { Confidence::Certain } else { Confidence::Likely };
    let bytes = record.as_bytes();
    let claim = format!(
        "the SPF record of {} cannot be read at octet {}, {}: {}",
        sight.domain,
        leading.place.start,
        record.text(leading.place.clone()),
        leading.what
    );
    let claim = match record.is_valid() {
        true => {
            format!("in the SPF record of {}, {}: {}", sight.domain, record.text(leading.place.clone()), leading.what)
        }
        false => claim,
    };
    let mut finding = judged.breaks(leading.cause, confidence, claim).dns("the TXT records", sight.answer);
    for mend in mends.iter().take(3) {
        finding = finding.text(&mend.what, show::caret(bytes, mend.place.clone()));
    }
    if passes {
        finding = finding.text("tried", "with the repaired record, SPF passes");
    }
    if is_valid {
        return Some(finding.repaired(sight, &repaired));
    }
    let step = match sight.own {
        true => format!("correct {} in the SPF record of {}", record.text(leading.place.clone()), sight.domain),
        false => format!("take the term that leads to {} out of your record, or tell its owner", sight.domain),
    };
    Some(finding.fix(step))
}
