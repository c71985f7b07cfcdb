//! What was published at the name of a key before: seen by the milter over time, kept in its store.
//!
//! One entry stands for one content of the name; that nothing stood there is a content too. Times are in seconds since
//! 1970 and say when the content was seen, not when it was published.

use super::{
    case::{KeyCase, Match, Oracle},
    finding::{Confidence, Effect, Finding, Value},
    register::{changed, propagation},
    report::time,
};
use crate::{
    dkim::record::{Key, KeyRecord},
    dns::Outcome,
};

/// Two looks further apart than this (in seconds) show no alternation: somebody changed the record in between.
const NEIGHBOURS: u64 = 86_400;

/// One content of a name, and when it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// `{s}._domainkey.{d}`, lower case.
    pub name: String,
    /// The TXT records, the strings of each joined, in lines; empty where nothing stood there.
    pub record: String,
    /// Was the key in it the one that we signed with?
    pub ours: bool,
    /// When it was first seen.
    pub first: u64,
    /// When it was last seen.
    pub last: u64,
    /// How often it came: a content that stays was seen once.
    pub times: u64,
}

impl Published {
    /// The keys in it.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.record.lines().filter_map(|record| KeyRecord::read(record.as_bytes()).key)
    }

    /// Is it one sound record, which could be published again as it is?
    pub fn is_single(&self) -> bool {
        self.record.lines().count() == 1 && self.keys().next().is_some()
    }
}

/// The entry last seen whose key is the right one: it made the signature, or is the key at hand; without either, any
/// sound key that we signed with.
pub(super) fn last_good<'a>(key: &KeyCase<'a>) -> Option<(&'a Published, Key)> {
    let good = |published: &'a Published| {
        let right = |found: &Key| match key.oracle {
            Oracle::None => published.ours,
            oracle => oracle.knows(found).is_signer(),
        };
        published.keys().find(right).map(|found| (published, found))
    };
    entries(key).filter_map(good).max_by_key(|(published, _)| published.last)
}

/// With the record as it was, where it can be published again as it was.
pub(super) fn restoring(finding: Finding, name: &str, published: &Published) -> Finding {
    match published.is_single() {
        true => finding.publish(name, published.record.clone()),
        false => finding,
    }
}

/// What the history adds to the findings of a record: that it was right before it was spoilt, and that two contents come
/// in turns.
pub(super) fn findings(key: &KeyCase<'_>, found: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let spoilt = key.answer.outcome == Outcome::Records && found.iter().any(|finding| finding.effect == Effect::Breaks);
    if spoilt && let Some((published, _)) = last_good(key).filter(|(published, _)| Some(*published) != present(key)) {
        let name = key.name();
        let claim = format!("the record at {name} was right until {}, and was changed since", time(published.last));
        let finding = Finding::note(&changed::RECORD_MODIFIED, Confidence::Certain, claim)
            .text("the record that was right", published.record.clone())
            .with("last seen", Value::Time(published.last))
            .fix(format!("publish the record again at {name}, as it was"));
        findings.push(restoring(finding, &name, published));
    }
    let told = found.iter().any(|finding| finding.cause == &propagation::RESULTS_ALTERNATE);
    if !told && let Some((right, wrong)) = in_turns(key) {
        let claim = format!(
            "what stands at {} changes to and fro: the right key was found {} times, last at {}, and in between {} \
             times something else, last at {}",
            key.name(),
            right.times,
            time(right.last),
            wrong.times,
            time(wrong.last)
        );
        let other = if wrong.record.is_empty() { "nothing".to_owned() } else { wrong.record.clone() };
        findings.push(
            Finding::risk(&propagation::RESULTS_ALTERNATE, Confidence::Certain, claim)
                .text("the right record", right.record.clone())
                .text("what came in turns with it", other)
                .fix("ask each name server of the zone what it holds, and make them alike: waxseal check does it"),
        );
    }
    findings
}

/// The entry of what stands there now.
pub(super) fn present<'a>(key: &KeyCase<'a>) -> Option<&'a Published> {
    let now = content(&key.answer.joined_txt());
    entries(key).find(|published| published.record == now)
}

/// The right content and another one that came in turns, and lately: the right one first.
pub(super) fn in_turns<'a>(key: &KeyCase<'a>) -> Option<(&'a Published, &'a Published)> {
    let (right, _) = last_good(key)?;
    let again = |published: &&'a Published| {
        published.times > 1 && published.last.abs_diff(right.last) < NEIGHBOURS && published.last + NEIGHBOURS > key.at
    };
    let is_wrong = |published: &&'a Published| {
        published.record != right.record
            && published.keys().all(|found| !matches!(key.oracle.knows(&found), Match::Proven | Match::Signer))
    };
    let wrong = entries(key).filter(again).filter(is_wrong).max_by_key(|published| published.last)?;
    again(&right).then_some((right, wrong))
}

fn entries<'a>(key: &KeyCase<'a>) -> impl Iterator<Item = &'a Published> + use<'a> {
    let name = key.name();
    key.history.iter().filter(move |published| published.name.eq_ignore_ascii_case(&name))
}

/// The records of a name as an entry keeps them: in lines, in no order of the servers, without what no database holds.
pub fn content(texts: &[Vec<u8>]) -> String {
    let line = |text: &Vec<u8>| String::from_utf8_lossy(text).replace(['\0', '\r', '\n'], "\u{fffd}");
    let mut lines: Vec<String> = texts.iter().map(line).collect();
    lines.sort();
    lines.join("\n")
}
