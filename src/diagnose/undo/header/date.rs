//! Dates that were written in another way.

use super::{Edit, Signed, spaced, unfolded};
use crate::{diagnose::register::modified_header as causes, message::Field};
use jiff::{
    Zoned,
    fmt::rfc2822,
    tz::{Offset, TimeZone},
};

/// The words for a zone of no offset.
const ZERO: [&str; 6] = ["+0000", "GMT", "-0000", "UTC", "UT", "Z"];

/// Guesses about a date.
pub fn edits(signed: &Signed<'_>, at: usize, field: Field<'_>) -> Vec<Edit> {
    let text = unfolded(field.value());
    let mut forms = near(&text);
    if let Ok(date) = rfc2822::parse(without_comment(&text)) {
        forms.extend(zones(&date));
    }
    forms
        .into_iter()
        .enumerate()
        .filter(|(_, form)| *form != text)
        .map(|(number, form)| {
            let rank = if number < 24 { 6 } else { 40 };
            let name = String::from_utf8_lossy(field.name()).into_owned();
            signed.value(
                at,
                field,
                &spaced(&form),
                &causes::DATE_REWRITTEN,
                format!("{name} was written in another way after signing"),
                rank,
            )
        })
        .collect()
}

fn without_comment(text: &str) -> &str {
    text.split('(').next().unwrap_or_default().trim_end()
}

/// The same text with another word for its zone, a comment, a zero before the day, seconds.
fn near(text: &str) -> Vec<String> {
    let plain = without_comment(text);
    let Some((time, zone)) = plain.rsplit_once(' ') else { return Vec::new() };
    let mut zones: Vec<String> = vec![zone.into()];
    if ZERO.contains(&zone) {
        zones.extend(ZERO.iter().filter(|other| **other != zone).map(|other| (*other).into()));
        zones.extend(["+0000 (UTC)".into(), "+0000 (GMT)".into(), "+0000 (Coordinated Universal Time)".into()]);
    } else {
        let named = match zone {
            "+0900" => &["(KST)", "(JST)"][..],
            "+0100" => &["(CET)", "(BST)", "(GMT+01:00)"],
            "+0200" => &["(CEST)", "(EET)", "(GMT+02:00)"],
            "-0500" => &["(EST)", "(CDT)"],
            "-0400" => &["(EDT)"],
            "-0800" => &["(PST)"],
            "-0700" => &["(PDT)", "(MST)"],
            _ => &[],
        };
        zones.extend(named.iter().map(|name| format!("{zone} {name}")));
        // The names of RFC 822, and those that are written like them.
        zones.extend(named.iter().map(|name| name.trim_matches(['(', ')']).to_owned()));
        if zone == "-0600" {
            zones.extend(["CST".into(), "MDT".into()]);
        }
    }
    let mut times = vec![time.to_owned()];
    if let Some((weekday, rest)) = time.split_once(", ") {
        times.push(rest.into());
        match rest.strip_prefix('0') {
            Some(short) => times.push(format!("{weekday}, {short}")),
            None if rest.as_bytes().get(1) == Some(&b' ') => {
                times.push(format!("{weekday}, 0{rest}"));
                times.push(format!("{weekday},  {rest}"));
            }
            None => {}
        }
    } else if let Ok(date) = rfc2822::parse(plain) {
        times.push(format!("{}, {time}", date.strftime("%a")));
    }
    if let Some((before, behind)) = time.split_once(" 20").filter(|(_, behind)| behind.as_bytes().get(2) == Some(&b' '))
    {
        times.push(format!("{before} {behind}"));
    }
    if let Some(short) = time.strip_suffix(":00").filter(|short| short.matches(':').count() == 1) {
        times.push(short.into());
    } else if time.matches(':').count() == 1 {
        times.push(format!("{time}:00"));
    }
    let mut out: Vec<String> = zones.iter().map(|zone| format!("{time} {zone}")).collect();
    for time in &times[1..] {
        out.extend(zones.iter().map(|zone| format!("{time} {zone}")));
    }
    out
}

/// The same moment in every other zone of whole or half hours.
fn zones(date: &Zoned) -> Vec<String> {
    let mut halves: Vec<i32> = (-24..=28).collect();
    halves.sort_by_key(|half| (half % 2 != 0, half.abs()));
    let mut out = Vec::new();
    for half in halves {
        let Ok(offset) = Offset::from_seconds(half * 1800) else { continue };
        let there = date.with_time_zone(TimeZone::fixed(offset));
        let sign = if half < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}{:02}", half.abs() / 2, half.abs() % 2 * 30);
        for day in ["%d", "%-d"] {
            out.push(there.strftime(&format!("%a, {day} %b %Y %H:%M:%S {zone}")).to_string());
        }
    }
    out.dedup();
    out
}
