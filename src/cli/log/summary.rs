//! Many events in few lines: what happened, when, to which domains, and why.

use super::{Mistake, Out, Stop, line::word, source::Source, time::Clock};
use crate::{
    cli::paint::Paint,
    event::{
        bound::shown,
        store::{CauseCount, DomainCount, Fault, Filter, Outcome, Slot},
    },
};
use serde_json::{Value, json};

/// Rows of each table.
const MOST: usize = 20;
/// The longest bar, in characters.
const BAR: i64 = 30;
const HOUR: i64 = 3_600_000;

/// All that is counted.
struct Summary {
    outcomes: Vec<Outcome>,
    domains: Vec<DomainCount>,
    causes: Vec<CauseCount>,
    new: Vec<CauseCount>,
    unsigned: Vec<(String, i64)>,
    slots: Vec<Slot>,
    /// How long a slot is, in milliseconds.
    width: i64,
    /// From when on.
    since: Option<i64>,
}

/// Counts and writes.
pub fn write(filter: &Filter, json: bool, source: &mut Source, clock: &Clock, out: &mut Out) -> Result<(), Stop> {
    let archive = source.archive()?;
    let since = match filter.since {
        Some(since) => Some(since),
        None => archive.oldest().map_err(told)?,
    };
    // Hours for two days at most, then days.
    let span = clock.now() - since.unwrap_or(clock.now());
    let width = if span <= 48 * HOUR { HOUR } else { 24 * HOUR };
    let summary = Summary {
        outcomes: archive.outcomes(filter).map_err(told)?,
        domains: archive.domains(filter, MOST).map_err(told)?,
        causes: archive.causes(filter, MOST).map_err(told)?,
        new: archive.new_causes(clock.midnight(1)).map_err(told)?,
        unsigned: archive.unsigned(filter, MOST / 2).map_err(told)?,
        slots: archive.over_time(filter, &clock.marks(since.unwrap_or(clock.now()), width)).map_err(told)?,
        width,
        since,
    };
    if json {
        return out.json(&summary.json(clock));
    }
    summary.text(clock, Paint::stdout()).iter().try_for_each(|line| out.line(line))
}

fn told(fault: Fault) -> Stop {
    Mistake::new(fault.to_string()).into()
}

impl Summary {
    fn text(&self, clock: &Clock, paint: Paint) -> Vec<String> {
        let total: i64 = self.outcomes.iter().map(|outcome| outcome.count).sum();
        let since =
            self.since.map_or_else(String::new, |since| format!(" since {} ({})", clock.show(since), clock.name()));
        let mut lines = vec![format!("{total} events{since}")];
        if total == 0 {
            return lines;
        }
        let heading = |lines: &mut Vec<String>, text: &str| {
            lines.push(String::new());
            lines.push(paint.bold(text).to_string());
        };
        heading(&mut lines, "What happened");
        let most = self.outcomes.iter().map(|outcome| outcome.count).max().unwrap_or(0);
        for outcome in &self.outcomes {
            let what = match &outcome.result {
                Some(result) => format!("{} {}", word(&outcome.action), word(result)),
                None => word(&outcome.action),
            };
            lines.push(format!("  {what:<18} {:>9}  {}", outcome.count, bar(outcome.count, most)));
        }
        heading(&mut lines, if self.width == HOUR { "By hour" } else { "By day" });
        lines.extend(self.over_time(clock));
        heading(
            &mut lines,
            "From domain                       messages   signed  refused   passed  authentic   failed",
        );
        for domain in &self.domains {
            let name = if domain.name.is_empty() { "(none)".into() } else { shown(&domain.name, 32) };
            lines.push(format!(
                "  {name:<32} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8}",
                domain.messages, domain.signed, domain.refused, domain.passed, domain.authentic, domain.failed
            ));
        }
        if !self.unsigned.is_empty() {
            heading(&mut lines, "Why not signed");
            lines.extend(self.unsigned.iter().map(|(reason, count)| format!("  {count:>8}  {}", shown(reason, 120))));
        }
        if !self.causes.is_empty() {
            heading(&mut lines, "Causes of failure");
            let most = self.causes.iter().map(|cause| cause.count).max().unwrap_or(0);
            lines.extend(self.causes.iter().map(|cause| {
                let domains = if cause.domains == 1 { "1 domain".into() } else { format!("{} domains", cause.domains) };
                format!("  {:<32} {:>8}  {domains:<12} {}", word(&cause.cause), cause.count, bar(cause.count, most))
            }));
        }
        if !self.new.is_empty() {
            heading(&mut lines, "Causes that are new since yesterday");
            lines.extend(self.new.iter().map(|cause| {
                format!("  {:<32} {:>8}  first {}", word(&cause.cause), cause.count, clock.show(cause.first))
            }));
        }
        lines
    }

    /// One bar for each span: what was signed or found authentic, then what was not.
    fn over_time(&self, clock: &Clock) -> Vec<String> {
        let all = |slot: &Slot| slot.signed + slot.authentic + slot.refused + slot.failed;
        let most = self.slots.iter().map(all).max().unwrap_or(0);
        let form = if self.width == HOUR { "%m-%d %H:00" } else { "%Y-%m-%d " };
        let line = |slot: &Slot| {
            let good = slot.signed + slot.authentic;
            let bad = slot.refused + slot.failed;
            let length = scaled(all(slot), most);
            let bad_length = scaled(bad, most).min(length);
            let bars = "█".repeat(length - bad_length) + &"░".repeat(bad_length);
            format!("  {}  {good:>8} good {bad:>7} bad  {bars}", clock.form(slot.start, form))
        };
        self.slots.iter().map(line).collect()
    }

    fn json(&self, clock: &Clock) -> Value {
        let time = |millis: i64| jiff::Timestamp::from_millisecond(millis).map(|time| time.to_string()).ok();
        let cause = |cause: &CauseCount| {
            json!({ "cause": cause.cause, "count": cause.count, "domains": cause.domains,
                    "first": time(cause.first), "last": time(cause.last) })
        };
        let slot = |slot: &Slot| {
            json!({ "start": time(slot.start), "signed": slot.signed, "refused": slot.refused,
                    "authentic": slot.authentic, "failed": slot.failed })
        };
        let domain = |domain: &DomainCount| {
            json!({ "domain": domain.name, "messages": domain.messages, "signed": domain.signed,
                    "refused": domain.refused, "passed": domain.passed, "authentic": domain.authentic,
                    "failed": domain.failed })
        };
        let outcome =
            |outcome: &Outcome| json!({ "action": outcome.action, "result": outcome.result, "count": outcome.count });
        let reason = |(reason, count): &(String, i64)| json!({ "reason": reason, "count": count });
        json!({
            "schema": "waxseal.log-summary/1",
            "since": self.since.and_then(time),
            "at": time(clock.now()),
            "outcomes": self.outcomes.iter().map(outcome).collect::<Vec<_>>(),
            "over_time": self.slots.iter().map(slot).collect::<Vec<_>>(),
            "slot_seconds": self.width / 1000,
            "domains": self.domains.iter().map(domain).collect::<Vec<_>>(),
            "unsigned": self.unsigned.iter().map(reason).collect::<Vec<_>>(),
            "causes": self.causes.iter().map(cause).collect::<Vec<_>>(),
            "new_causes": self.new.iter().map(cause).collect::<Vec<_>>(),
        })
    }
}

fn bar(count: i64, most: i64) -> String {
    "█".repeat(scaled(count, most))
}

/// The length of a bar; whatever is there has one.
fn scaled(count: i64, most: i64) -> usize {
    let length = (count * BAR).checked_div(most).unwrap_or(0).max(i64::from(count > 0));
    usize::try_from(length).unwrap_or(0)
}
