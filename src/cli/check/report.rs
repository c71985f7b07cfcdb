//! The JSON of one domain, `waxseal.check/1`. Names here are a contract: fields may be added, never renamed.

use super::examine::Checked;
use crate::diagnose::report::{Entry, entries, entry};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    domain: &'a str,
    selector: Option<&'a str>,
    /// The provider's profile whose demands were made.
    profile: Option<Value>,
    steps: Vec<Step<'a>>,
    /// How far the rotations of its keys are.
    rotations: &'a [String],
    findings: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postfix: Option<Value>,
}

#[derive(Serialize)]
struct Step<'a> {
    step: u8,
    title: &'static str,
    status: &'static str,
    detail: &'a str,
    findings: Vec<Entry<'a>>,
}

/// The object of one domain, without a line end behind it; with the audit of Postfix, if there was one.
pub fn json(checked: &Checked, postfix: Option<Value>) -> String {
    let steps = checked.steps.iter().map(|judgement| Step {
        step: judgement.step as u8,
        title: judgement.step.title(),
        status: judgement.status.as_str(),
        detail: &judgement.detail,
        findings: checked.findings_of(judgement.step).map(entry).collect(),
    });
    let report = Report {
        schema: "waxseal.check/1",
        domain: checked.domain.as_str(),
        selector: checked.selector.as_ref().map(|name| name.as_str()),
        profile: checked.profile.as_ref().map(|(name, inferred)| json!({ "name": name, "inferred": inferred })),
        steps: steps.collect(),
        rotations: &checked.rotations,
        findings: entries(&checked.findings),
        postfix,
    };
    serde_json::to_string_pretty(&report).expect("strings and numbers always have a JSON form")
}

/// The object of an audit of Postfix without a domain.
pub fn alone(postfix: Value) -> String {
    format!("{:#}\n", json!({ "schema": "waxseal.check/1", "postfix": postfix }))
}
