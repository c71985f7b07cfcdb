//! The one page that shows how mail fares: what was signed and judged, our domains and their records, why mail failed.

use super::{
    causes,
    chart::{self, Bar, Names},
    text::{brief, counted, number, sentence, shown, time},
    whole,
};
use crate::{
    diagnose::register,
    event::{CauseEvent, Event, SignatureEvent, store::CauseCount},
    http::report::{Domains, Key, Period, Stored},
    key::RecordForm,
    watch::State,
};
use jiff::Timestamp;
use maud::{Markup, html};
use std::sync::Arc;

/// All that is shown.
pub(in crate::http) struct Overview<'a> {
    /// The name of this host.
    pub host: &'a str,
    /// How far back.
    pub period: Period,
    /// Is everything ready, and a line for each part.
    pub health: (bool, String),
    /// What the store knows, or why it says nothing; `None` while it has not answered.
    pub stored: Option<Arc<Result<Stored, String>>>,
    /// Our own domains; `None` while they are not read yet.
    pub domains: Option<Arc<Domains>>,
}

/// The page.
pub(in crate::http) fn overview(page: &Overview<'_>) -> String {
    let stored = page.stored.as_ref().map(|stored| (**stored).as_ref());
    let contents = html! {
        div.intro {
            h1 { "How mail fares" }
            p.soft { "As of " (now()) ", times in " (zone()) "." }
            nav.periods aria-label="Period" {
                @for period in Period::ALL {
                    @let here = (period == page.period).then_some("page");
                    a href=(format!("/?{}", period.query())) aria-current=[here] { (period.name()) }
                }
            }
        }
        (health(&page.health))
        @match stored {
            Some(Ok(stored)) => { (totals(stored)) (charts(stored)) }
            Some(Err(why)) => (no_store(why)),
            None => (no_store("it has not answered yet; this page tries again when it is loaded again")),
        }
        (domains(page.domains.as_deref(), stored.and_then(Result::ok)))
        @if let Some(Ok(stored)) = stored {
            div.columns { (top_causes(&stored.causes)) (reasons(&stored.reasons)) }
            (failures(&stored.failures))
        }
    };
    whole(&format!("{} · Waxseal", if page.health.0 { "Status" } else { "Not ready" }), page.host, &contents)
}

fn now() -> Markup {
    time(Timestamp::now().as_millisecond(), "%Y-%m-%d %H:%M:%S")
}

fn zone() -> String {
    let now = jiff::Zoned::now();
    now.strftime(if now.offset().is_zero() { "UTC" } else { "%Z (UTC%:z)" }).to_string()
}

/// What keeps mail from being handled, if anything does.
fn health((ready, text): &(bool, String)) -> Markup {
    html! {
        @if *ready {
            p.banner.good { strong { "Ready." } " Listeners, keys and DNS are in order." }
        } @else {
            section.banner.bad aria-labelledby="not-ready" {
                h2 id="not-ready" { "Not ready" }
                ul { @for line in text.lines().skip(1).filter(|line| !line.ends_with(": ready")) { li { (shown(line)) } } }
            }
        }
    }
}

fn no_store(why: &str) -> Markup {
    html! {
        section.banner.wait aria-labelledby="no-store" {
            h2 id="no-store" { "No history" }
            p { "The store of events does not answer: " (shown(why)) }
            p { "Mail flows, and the log has every event; counts of this process are in " a href="/metrics" { "metrics" } "." }
        }
    }
}

/// The four numbers of the period.
fn totals(stored: &Stored) -> Markup {
    let sum = |count: fn(&crate::event::store::Slot) -> i64| stored.slots.iter().map(count).sum::<i64>();
    let (signed, refused) = (sum(|slot| slot.signed), sum(|slot| slot.refused));
    let (authentic, failed) = (sum(|slot| slot.authentic), sum(|slot| slot.failed));
    html! {
        section aria-label="Totals" {
            dl.tiles {
                (tile("Signed", signed, "good", "mail of ours that left with a signature"))
                (tile("Held back", refused, "bad", "mail of ours that could not be signed"))
                (tile("Authentic", authentic, "good", "mail from outside that proved its sender"))
                (tile("Not authentic", failed, "bad", "mail from outside that did not"))
            }
        }
    }
}

fn tile(name: &str, count: i64, kind: &str, what: &str) -> Markup {
    let kind = if count == 0 { "none" } else { kind };
    html! { div.tile.(kind) { dt { (name) } dd { span.figure { (number(count)) } span.soft { (what) } } } }
}

fn charts(stored: &Stored) -> Markup {
    let form = if stored.width < 86_400_000 { "%a %H:%M" } else { "%b %-d" };
    let outgoing = Names { id: "outgoing", title: "Mail of ours", good: "signed", bad: "held back" };
    let incoming = Names { id: "incoming", title: "Mail from outside", good: "authentic", bad: "not authentic" };
    let bars = |good: fn(&crate::event::store::Slot) -> (i64, i64)| -> Vec<Bar> {
        let bar = |slot| {
            let (good, bad) = good(slot);
            Bar { start: slot.start, good, bad }
        };
        stored.slots.iter().map(bar).collect()
    };
    html! {
        section aria-labelledby="over-time" {
            h2 id="over-time" { "Over time" }
            div.columns {
                div.panel { (chart::draw(&outgoing, &bars(|slot| (slot.signed, slot.refused)), form)) }
                div.panel { (chart::draw(&incoming, &bars(|slot| (slot.authentic, slot.failed)), form)) }
            }
        }
    }
}

fn domains(domains: Option<&Domains>, stored: Option<&Stored>) -> Markup {
    let signed = |key: &Key| {
        stored.map(|stored| {
            stored.domains.iter().find(|domain| domain.name == key.domain).map_or(0, |domain| domain.signed)
        })
    };
    html! {
        section aria-labelledby="domains" {
            h2 id="domains" { "Our domains" }
            @match domains {
                None => p.panel.empty { "The keys are still being read." },
                Some(domains) if domains.shown.is_empty() => {
                    p.panel.empty { "No domain is configured, so nothing is signed." }
                }
                Some(domains) => {
                    div.panel {
                        table.stack role="table" {
                            caption.visually-hidden { "Domains that are signed for, and their key records" }
                            thead role="rowgroup" {
                                tr role="row" {
                                    th role="columnheader" scope="col" { "Domain" }
                                    th role="columnheader" scope="col" { "Key record" }
                                    th role="columnheader" scope="col" { "Publish" }
                                    th.count role="columnheader" scope="col" { "Signed" }
                                }
                            }
                            tbody role="rowgroup" { @for key in &domains.shown { (row(key, signed(key), domains.watched)) } }
                        }
                        @if domains.more > 0 {
                            p.soft { "And " (counted(i64::try_from(domains.more).unwrap_or(i64::MAX), "domain more", "domains more")) ", of which nothing is known or needed." }
                        }
                    }
                }
            }
        }
    }
}

fn row(key: &Key, signed: Option<i64>, watched: bool) -> Markup {
    html! {
        tr role="row" {
            th.domain role="rowheader" scope="row" { (brief(&key.domain)) span.soft { "selector " code { (brief(&key.selector)) } } }
            td role="cell" { (standing(key, watched)) @for state in &key.rotations { p.soft { (shown(state)) } } }
            td role="cell" { (publish(key)) }
            td.count role="cell" {
                @match signed { Some(count) => { (number(count)) span.unit { " signed" } } None => span.soft { "unknown" } }
            }
        }
    }
}

/// Whether receivers find our key, since when, and what is wrong.
fn standing(key: &Key, watched: bool) -> Markup {
    let Some(readiness) = &key.readiness else {
        return html! {
            @match &key.record {
                Ok(_) => { span.badge.unknown { "unknown" } p.soft { @if watched { "It is looked at once mail is signed with it." } @else { "Records are not looked at (watch.enabled = false)." } } }
                Err(why) => { span.badge.bad { "no key" } p { (shown(why)) } }
            }
        };
    };
    let (kind, word) = match readiness.state {
        State::Ready => ("good", "ready"),
        State::NotReady => ("bad", "not ready"),
        State::Unknown => ("unknown", "unknown"),
    };
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    html! {
        span.badge.(kind) { (word) }
        " " span.soft { "since " (time(seconds(readiness.since), "%b %-d, %H:%M")) }
        @if let Some(asked) = readiness.asked { " " span.soft { "· asked " (time(seconds(asked), "%H:%M")) } }
        @if let Some(fault) = &readiness.fault { p { "DNS did not answer: " (shown(fault)) } }
        @for cause in &readiness.causes { (told(cause)) }
    }
}

/// The record that has to stand in DNS.
fn publish(key: &Key) -> Markup {
    let published = key.readiness.as_ref().and_then(|readiness| readiness.publish.as_ref());
    let urgent = key.readiness.as_ref().is_some_and(|readiness| readiness.state == State::NotReady);
    html! {
        @if let Some(publish) = published {
            details open[urgent] {
                summary { (publish.kind.to_string()) " record" span.visually-hidden { " of " (key.domain) } }
                p.soft { "name" } pre tabindex="0" { (shown(&publish.name)) }
                p.soft { "value" } pre tabindex="0" { (publish.value) }
            }
        } @else if let Ok(record) = &key.record {
            details open[urgent] {
                summary { "TXT record" span.visually-hidden { " of " (key.domain) } }
                p.soft { "name" } pre tabindex="0" { (record.name.as_str()) }
                p.soft { "value, one record" } pre tabindex="0" { (record.write(RecordForm::Strings)) }
            }
        } @else { span.soft { "none without a key" } }
    }
}

fn top_causes(causes: &[CauseCount]) -> Markup {
    let most = causes.iter().map(|cause| cause.count).max().unwrap_or(1);
    html! {
        section aria-labelledby="causes" {
            h2 id="causes" { "Why mail failed" }
            div.panel {
                @if causes.is_empty() { p.empty { "No failure was explained in this time." } }
                @else {
                    ol.plain.ranked {
                        @for cause in causes {
                            @let known = register::find(&cause.cause);
                            li {
                                div.line { (causes::link(&cause.cause)) span.figure { (number(cause.count)) } }
                                svg.bar aria-hidden="true" viewBox="0 0 100 1" preserveAspectRatio="none" {
                                    rect x="0" y="0" width=((cause.count * 100 / most.max(1)).max(1)) height="1" {}
                                }
                                @if let Some(known) = known { p { (sentence(known.title)) "." } }
                                p.soft { (counted(cause.domains, "domain", "domains")) ", last " (time(cause.last, "%b %-d, %H:%M")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn reasons(reasons: &[(String, i64)]) -> Markup {
    html! {
        section aria-labelledby="reasons" {
            h2 id="reasons" { "Why mail was not signed" }
            div.panel {
                @if reasons.is_empty() { p.empty { "Nothing passed unsigned or was held back." } }
                @else {
                    ol.plain.ranked {
                        @for (reason, count) in reasons { li { div.line { span { (shown(reason)) } span.figure { (number(*count)) } } } }
                    }
                }
            }
        }
    }
}

fn failures(failures: &[Event]) -> Markup {
    html! {
        section aria-labelledby="failures" {
            h2 id="failures" { "Recent failures" }
            @if failures.is_empty() { p.panel.empty { "No message was looked into in this time." } }
            @else { ol.plain.failures { @for event in failures { li.panel { (failure(event)) } } } }
        }
    }
}

fn failure(event: &Event) -> Markup {
    let at = event.time.parse::<Timestamp>().map_or(0, Timestamp::as_millisecond);
    let author = event.from_domain.as_deref().or(event.domain.as_deref()).unwrap_or("no author");
    html! {
        div.line {
            h3 { (brief(author)) }
            span.soft { (time(at, "%b %-d, %H:%M:%S")) }
        }
        p.results {
            (result("dkim", event.result.as_deref()))
            (result("spf", event.spf.as_deref()))
            (result("dmarc", event.dmarc.as_deref()))
        }
        @if let Some(first) = event.causes.first() { (told(first)) }
        details {
            summary { "Evidence" span.visually-hidden { " of the message from " (brief(author)) } }
            dl.facts {
                (fact("Queue id", Some(&event.queue_id)))
                (fact("From domain", event.from_domain.as_deref()))
                (fact("Envelope sender", Some(&event.mail_from)))
                (fact("Client", event.client_ip.as_deref()))
                (fact("Message-ID", event.message_id.as_deref()))
                (fact("Reason", event.reason.as_deref()))
                @for signature in &event.signatures { (judged(signature)) }
            }
            @for cause in event.causes.iter().skip(1) { (told(cause)) }
        }
    }
}

/// The result of one method as a badge.
fn result(method: &str, word: Option<&str>) -> Markup {
    let word = word.unwrap_or("none");
    let kind = match word {
        "pass" => "good",
        "none" | "neutral" => "unknown",
        "temperror" | "softfail" => "wait",
        _ => "bad",
    };
    html! { span.badge.(kind) { (method) " " (brief(word)) } " " }
}

fn fact(name: &str, value: Option<&str>) -> Markup {
    html! { @if let Some(value) = value.filter(|value| !value.is_empty()) { div { dt { (name) } dd { (shown(value)) } } } }
}

fn judged(signature: &SignatureEvent) -> Markup {
    html! {
        div {
            dt { "Signature" }
            dd {
                (brief(&signature.domain)) ", selector " (brief(&signature.selector)) ", " (brief(&signature.algorithm)) ": "
                strong { (brief(&signature.result)) }
                @if let Some(reason) = &signature.reason { ", " (shown(reason)) }
            }
        }
    }
}

/// A cause with what was found and what to do.
fn told(cause: &CauseEvent) -> Markup {
    html! {
        div.told {
            p { (causes::link(&cause.cause)) " " span.soft { (brief(&cause.confidence)) } }
            @if let Some(claim) = &cause.claim { p { (shown(&sentence(claim))) } }
            @if let Some(fix) = &cause.fix { p.fix { span.visually-hidden { "What to do: " } (shown(&sentence(fix))) } }
        }
    }
}
