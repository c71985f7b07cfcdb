//! Where on the way the body changed: signatures and seals that saw it as it was, and those that saw it changed.

use super::search::Target;
use crate::{
    diagnose::{case::Case, finding::Finding, finding::Value},
    dkim::{
        signature::{Form, Signature},
        tag::TagList,
    },
    received,
    verify::dkim::DkimResult,
};

/// Received lines that are shown.
const MAX_HOPS: usize = 3;

/// A signature that saw the body at some hop.
struct Witness {
    field: usize,
    name: String,
    saw_it_intact: bool,
}

/// The evidence that brackets the hop, added to a finding about the body.
pub fn bracket(case: &Case<'_>, result: &DkimResult, target: &Target, finding: Finding) -> Finding {
    let witnesses = witnesses(case, result, target);
    // Fields are added at the top: of those that saw the body as signed the topmost is the last in time.
    let last_intact = witnesses.iter().filter(|witness| witness.saw_it_intact).min_by_key(|witness| witness.field);
    let below = last_intact.map_or(result.field, |witness| witness.field.min(result.field));
    let first_changed = witnesses
        .iter()
        .filter(|witness| !witness.saw_it_intact && witness.field < below)
        .max_by_key(|witness| witness.field);
    let mut finding = finding;
    if let Some(witness) = last_intact {
        finding = finding.text("still as signed", witness.name.clone());
    }
    if let Some(witness) = first_changed {
        finding = finding.text("already changed", witness.name.clone());
    }
    let above = first_changed.map_or(0, |witness| witness.field);
    let hops: Vec<_> = case
        .header
        .fields()
        .enumerate()
        .filter(|(at, field)| (above..below).contains(at) && field.is("Received"))
        .collect();
    // A line above all of them says nothing about where.
    if last_intact.is_some() || first_changed.is_some() || hops.len() == 1 {
        for (_, field) in hops.iter().rev().take(MAX_HOPS) {
            let by = received::read(field.value()).by.unwrap_or_else(|| "an unnamed host".into());
            finding =
                finding.with(&format!("changed at or before {by}"), Value::Header(super::diff::text(field.raw())));
        }
    }
    finding
}

fn witnesses(case: &Case<'_>, result: &DkimResult, target: &Target) -> Vec<Witness> {
    let mut out = Vec::new();
    for (at, field) in case.header.fields().enumerate().filter(|(at, _)| *at != result.field) {
        let form = if field.is("DKIM-Signature") {
            Form::Dkim
        } else if field.is("ARC-Message-Signature") {
            Form::ArcMessage
        } else {
            continue;
        };
        if out.len() >= 60 {
            break;
        }
        let list = TagList::read(field.value());
        let signature = Signature::read_list(&list, form);
        let (Some((_, canon)), Some(hash)) = (signature.canonicalization, &signature.body_hash) else { continue };
        if canon != target.canon || signature.body_length != target.limit {
            continue;
        }
        let domain = signature.domain.as_ref().map_or("an unnamed domain", |domain| domain.as_str());
        let name = match form {
            Form::Dkim => format!("the DKIM signature of {domain}"),
            _ => format!("ARC set {} of {domain}", list.value("i").unwrap_or("?")),
        };
        out.push(Witness { field: at, name, saw_it_intact: hash[..] == target.hash });
    }
    out
}
