//! `waxseal log note DOMAIN`: the text to send to the operator of a domain whose mail fails here.
//!
//! It says what fails, since when, with which evidence, and what to do. It names no recipient of ours.

use super::{Mistake, Out, Stop, causes, source::Source, time::Clock};
use crate::{
    cli::output,
    event::{Action, Event, bound::shown, store::Filter},
};
use std::collections::{BTreeMap, HashSet};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The domain whose mail fails
    domain: String,
}

/// Messages that are shown for each failure.
const EXAMPLES: usize = 3;
/// Events that are looked at: the last ones of the domain.
const MOST_EVENTS: usize = 20_000;

/// One kind of failure.
#[derive(Default)]
struct Failure {
    count: usize,
    first: String,
    last: String,
    confidence: String,
    examples: Vec<Event>,
}

/// Writes the note.
pub fn write(options: &Options, since: Option<i64>, source: &mut Source, out: &mut Out) -> Result<(), Stop> {
    let filter = Filter { since, domain: Some(options.domain.clone()), ..Filter::default() };
    let events = source.archive()?.newest(&filter, MOST_EVENTS);
    let events: Vec<Event> =
        events.map_err(|fault| Mistake::new(fault.to_string()))?.into_iter().map(|(_, event)| event).collect();
    let judged: Vec<&Event> = events.iter().filter(|event| event.action == Action::Verify).collect();
    let failed: Vec<&Event> = judged.iter().copied().filter(|event| fails(event)).collect();
    let found = failures(&events, &failed);
    let domain = shown(&options.domain, 255);
    if found.is_empty() {
        output::say(format_args!("nothing from {domain} failed, as far as the events go; no note is needed"));
        return Ok(());
    }
    head(&domain, judged.len(), &failed).iter().try_for_each(|line| out.line(line))?;
    for (number, (cause, failure)) in (1..).zip(&found) {
        out.line("")?;
        of_failure(number, cause, failure).iter().try_for_each(|line| out.line(line))?;
    }
    out.line("")?;
    out.line("Times are in UTC. We will gladly send you the header of one of these messages.")
}

/// Is it not authentic: DMARC fails, or there is no policy and no signature passes?
fn fails(event: &Event) -> bool {
    match event.dmarc.as_deref() {
        Some("pass") => false,
        Some("none") | None => event.result.as_deref() != Some("pass") && event.spf.as_deref() != Some("pass"),
        Some(_) => true,
    }
}

/// Failures by cause where that was looked into, else by what the results say; the most frequent first.
fn failures(events: &[Event], failed: &[&Event]) -> Vec<(String, Failure)> {
    let diagnosed: Vec<&Event> = events.iter().filter(|event| event.action == Action::Diagnose).collect();
    let explained: HashSet<&str> = diagnosed.iter().map(|event| event.queue_id.as_str()).collect();
    let mut found: BTreeMap<String, Failure> = BTreeMap::new();
    let mut note = |name: String, confidence: &str, event: &Event| {
        let failure = found.entry(name).or_default();
        if failure.count == 0 {
            failure.first = event.time.clone();
        }
        failure.count += 1;
        failure.last = event.time.clone();
        failure.confidence = confidence.to_owned();
        failure.examples.push(event.clone());
        if failure.examples.len() > EXAMPLES {
            failure.examples.remove(0);
        }
    };
    for event in &diagnosed {
        event.causes.iter().for_each(|cause| note(cause.cause.clone(), &cause.confidence, event));
    }
    for event in failed.iter().filter(|event| event.queue_id.is_empty() || !explained.contains(&*event.queue_id)) {
        note(said(event), "", event);
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, failure)| std::cmp::Reverse(failure.count));
    found
}

/// What the results of a message say, where nobody looked further.
fn said(event: &Event) -> String {
    let bad = |signature: &&crate::event::SignatureEvent| signature.result != "pass";
    let mut parts: Vec<String> = Vec::new();
    match event.signatures.iter().find(bad) {
        Some(signature) => {
            let reason = signature.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            parts.push(format!("DKIM {}{reason}", signature.result));
        }
        None if event.signatures.is_empty() => parts.push("no DKIM signature".into()),
        None => {}
    }
    parts.extend(event.spf.as_deref().map(|spf| format!("SPF {spf}")));
    parts.extend(event.dmarc.as_deref().map(|dmarc| format!("DMARC {dmarc}")));
    parts.join(", ")
}

fn head(domain: &str, judged: usize, failed: &[&Event]) -> Vec<String> {
    let utc = |event: &&Event| event.time.clone();
    let mut lines = vec![
        format!("Subject: mail from {domain} does not authenticate"),
        String::new(),
        "Hello,".into(),
        String::new(),
    ];
    let span = match (failed.first().map(utc), failed.last().map(utc)) {
        (Some(first), Some(last)) => format!(", the first at {first}, the last at {last}"),
        _ => String::new(),
    };
    let of_all = if judged > 0 { format!("{} of {judged} messages", failed.len()) } else { "messages".into() };
    lines.push(format!("{of_all} from {domain} that we received failed authentication{span}."));
    let clock = Clock::new(true);
    lines.push(format!("This is what we see, as of {}:", clock.form(clock.now(), "%Y-%m-%d %H:%M UTC")));
    lines
}

fn of_failure(number: usize, cause: &str, failure: &Failure) -> Vec<String> {
    let told = causes::look_up(cause);
    let title = told.as_ref().map_or_else(|| shown(cause, 300), |told| format!("{} ({cause})", told.title));
    let sure =
        if failure.confidence.is_empty() { String::new() } else { format!(", {}", shown(&failure.confidence, 20)) };
    let many = if failure.count == 1 { "once".into() } else { format!("{} times", failure.count) };
    let mut lines =
        vec![format!("{number}. {title}{sure}"), format!("   {many}, from {} to {}", failure.first, failure.last)];
    if let Some(told) = &told {
        lines.push(format!("   Why: {}", told.why));
        lines.push(format!("   What to do: {}", told.fix));
    }
    lines.push("   For example:".into());
    lines.extend(failure.examples.iter().map(|event| format!("   - {}", evidence(event))));
    lines
}

/// One message, as its sender can find it in a log of theirs.
fn evidence(event: &Event) -> String {
    let mut parts = vec![event.time.clone()];
    let mut add = |name: &str, value: Option<&str>| {
        parts.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{name} {}", shown(value, 200))));
    };
    add("from", event.client_ip.as_deref());
    add("envelope sender", Some(&event.mail_from));
    add("Message-ID", event.message_id.as_deref());
    for signature in event.signatures.iter().take(3) {
        let reason = signature.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let text = format!("d={} s={} {}{reason}", signature.domain, signature.selector, signature.result);
        add("DKIM", Some(&text));
    }
    add("SPF", event.spf.as_deref());
    add("DMARC", event.dmarc.as_deref());
    parts.join(", ")
}
