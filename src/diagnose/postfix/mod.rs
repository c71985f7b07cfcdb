//! The audit of Postfix: what its settings do to signatures before they are made, and after.
//!
//! Pure: [`Config`] is text that was read elsewhere, [`Ours`] says which sockets are Waxseal's. Each finding names the
//! line that it is about and the lines that mend it; settings that do no harm give nothing.

mod after;
mod config;
mod ours;

pub use config::{Config, Milter, Service};
pub use ours::Ours;

use super::{
    Placed,
    finding::{Confidence, Effect, Finding, Severity, Subject},
    register::postfix::*,
};
use std::cmp::Reverse;

/// Parameters whose tables the audit looks into.
pub const CHECKS: &[&str] = &[
    "header_checks",
    "mime_header_checks",
    "nested_header_checks",
    "milter_header_checks",
    "smtp_header_checks",
    "smtp_mime_header_checks",
    "smtp_nested_header_checks",
    "smtp_body_checks",
];

/// Judges a configuration: the gravest first.
pub fn audit(config: &Config, ours: &Ours) -> Vec<Placed> {
    let audit = Audit { config, ours };
    let mut findings = Vec::new();
    findings.extend(audit.attached());
    findings.extend(audit.filters());
    findings.extend(audit.local_mail());
    findings.extend(audit.milters());
    findings.extend(after::findings(config));
    let mut placed: Vec<Placed> = findings
        .into_iter()
        .map(|finding| {
            let severity = match finding.effect {
                Effect::Breaks => Severity::Error,
                Effect::Risk => Severity::Warning,
                Effect::Note => Severity::Note,
            };
            Placed { finding: finding.about(Subject::Mta), severity, primary: false }
        })
        .collect();
    placed.sort_by_key(|placed| (placed.severity, Reverse(placed.finding.confidence == Confidence::Certain)));
    if let Some(first) = placed.first_mut().filter(|first| first.severity != Severity::Note) {
        first.primary = true;
    }
    placed
}

struct Audit<'a> {
    config: &'a Config,
    ours: &'a Ours,
}

impl Audit<'_> {
    /// Is there a milter of ours that this service asks?
    fn asks_us(&self, service: &Service) -> bool {
        !self.skips(service) && self.our_milters(service, "smtpd_milters").next().is_some()
    }

    fn our_milters(&self, service: &Service, name: &str) -> impl Iterator<Item = Milter> {
        let milters = self.config.milters(Some(service), name).into_iter();
        milters.filter(|milter| self.ours.has(self.config, service, milter))
    }

    fn skips(&self, service: &Service) -> bool {
        self.config.list(Some(service), "receive_override_options").iter().any(|option| option == "no_milters")
    }

    fn filter(&self, service: &Service) -> Option<String> {
        Some(self.config.value(Some(service), "content_filter")).filter(|filter| !filter.is_empty())
    }

    /// Services that take mail from the world or from users; those on loopback take it back from a filter.
    fn entrances(&self) -> impl Iterator<Item = &Service> {
        self.config.running("smtpd").filter(|service| !service.is_loopback())
    }

    /// Services through which mail comes back from a filter.
    fn ways_back(&self) -> impl Iterator<Item = &Service> {
        self.config.running("smtpd").filter(|service| service.is_loopback())
    }

    /// Every entrance asks us, or hands its mail to a filter behind which we are asked.
    fn attached(&self) -> Vec<Finding> {
        let behind = self.ways_back().any(|service| self.asks_us(service));
        let mut findings = Vec::new();
        for service in self.entrances() {
            if self.filter(service).is_some() && behind {
                continue;
            }
            let named = self.our_milters(service, "smtpd_milters").next().is_some();
            if self.skips(service) && named {
                let place = self.config.place(Some(service), "receive_override_options");
                let claim = format!("no_milters at {place} turns off the milters of the service {}", service.name);
                findings.push(
                    Finding::breaks(&MILTERS_SKIPPED, Confidence::Certain, claim)
                        .text(&place, self.shown(service, "receive_override_options"))
                        .fix(format!("take no_milters out of receive_override_options ({place})")),
                );
            } else if !named {
                findings.push(self.not_attached(service));
            }
        }
        findings
    }

    fn not_attached(&self, service: &Service) -> Finding {
        let place = self.config.place(Some(service), "smtpd_milters");
        let claim = format!("the service {} (master.cf:{}) does not ask Waxseal: {place}", service.name, service.line);
        let line = format!("smtpd_milters = {}", self.ours.for_main_cf());
        let fix = match service.own("smtpd_milters") {
            Some(_) => format!("in master.cf, at {}: -o smtpd_milters={}", service.name, self.ours.for_main_cf()),
            None => format!("in main.cf: {line}"),
        };
        Finding::breaks(&NOT_ATTACHED, Confidence::Certain, claim)
            .text(&place, self.shown(service, "smtpd_milters"))
            .fix(fix)
    }

    /// Signatures before and behind a content filter.
    fn filters(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for service in
            self.config.services.iter().filter(|service| matches!(service.command.as_str(), "smtpd" | "pickup"))
        {
            let Some(filter) = self.filter(service).filter(|_| !service.is_loopback()) else { continue };
            let list = if service.command == "smtpd" { "smtpd_milters" } else { "non_smtpd_milters" };
            if self.skips(service) {
                continue;
            }
            let before: Vec<Milter> = self
                .our_milters(service, list)
                .filter(|milter| self.ours.may_sign(self.config, service, milter))
                .collect();
            let Some(first) = before.first() else { continue };
            let back: Vec<(&Service, Milter)> = self
                .ways_back()
                .filter(|back| !self.skips(back))
                .flat_map(|back| self.our_milters(back, "smtpd_milters").map(move |milter| (back, milter)))
                .collect();
            let twice = back.iter().find(|(back, milter)| {
                milter.socket == first.socket
                    || self.ours.knows_modes() && self.ours.may_sign(self.config, back, milter)
            });
            let place = self.config.place(Some(service), "content_filter");
            if let Some((back, _)) = twice {
                let claim = format!(
                    "mail of the service {} is signed, goes to the filter {filter}, and is signed again at {} \
                     (master.cf:{})",
                    service.name, back.name, back.line
                );
                findings.push(
                    Finding::risk(&SIGNED_TWICE, Confidence::Likely, claim)
                        .text(&place, format!("content_filter = {filter}"))
                        .fix(format!(
                            "sign behind the filter alone: in master.cf, at {}: -o {list}= (or a listener that only verifies)",
                            service.name
                        ))
                        .fix(format!("or before it alone, if it changes nothing: at {}: -o smtpd_milters=", back.name)),
                );
            } else if back.is_empty() {
                let claim =
                    format!("mail of the service {} is signed, and then goes to the filter {filter}", service.name);
                findings.push(
                    Finding::risk(&SIGNED_BEFORE_FILTER, Confidence::Possible, claim)
                        .text(&place, format!("content_filter = {filter}"))
                        .fix(format!(
                            "if the filter changes mail, sign behind it: in master.cf, at the service where mail comes \
                             back: -o smtpd_milters={}, and at {}: -o {list}=",
                            first.socket, service.name
                        )),
                );
            }
        }
        findings
    }

    /// Mail that does not come by SMTP, and bounces.
    fn local_mail(&self) -> Vec<Finding> {
        let pickup = self.config.running("pickup").next();
        let behind = self.ways_back().any(|service| self.asks_us(service));
        if pickup.is_some_and(|pickup| self.filter(pickup).is_some()) && behind {
            return Vec::new();
        }
        let milters = self.config.milters(None, "non_smtpd_milters");
        let cleanup = self.config.running("cleanup").next();
        let ours = |milter: &Milter| cleanup.is_none_or(|cleanup| self.ours.has(self.config, cleanup, milter));
        if !milters.iter().any(ours) {
            let place = self.config.place(None, "non_smtpd_milters");
            let claim = format!("mail of sendmail(1), cron and Postfix itself is not signed: {place}");
            let finding = Finding::risk(&LOCAL_UNSIGNED, Confidence::Certain, claim)
                .text(&place, format!("non_smtpd_milters = {}", self.config.value(None, "non_smtpd_milters")))
                .fix("in main.cf: non_smtpd_milters = $smtpd_milters")
                .fix("in main.cf: internal_mail_filter_classes = bounce");
            return vec![finding];
        }
        if self.config.list(None, "internal_mail_filter_classes").iter().any(|class| class == "bounce") {
            return Vec::new();
        }
        let place = self.config.place(None, "internal_mail_filter_classes");
        let claim = format!("bounces that Postfix writes are not signed: {place}");
        let finding = Finding::risk(&BOUNCES_UNSIGNED, Confidence::Certain, claim)
            .text(
                &place,
                format!("internal_mail_filter_classes = {}", self.config.value(None, "internal_mail_filter_classes")),
            )
            .fix("in main.cf: internal_mail_filter_classes = bounce");
        vec![finding]
    }

    /// How our milters are asked: their order, their socket, and what happens when they do not answer.
    fn milters(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        // cleanup asks the same milters as smtpd, mostly: what was said of a list holds for the other.
        let mut said: Vec<(&str, String, &str)> = Vec::new();
        let mut put = |list: &'static str, socket: &str, finding: Finding| {
            let is_said = said.iter().any(|(code, known, where_)| {
                *code == finding.cause.code && known == socket && (*where_ != list || findings.contains(&finding))
            });
            if !is_said {
                said.push((finding.cause.code, socket.to_owned(), list));
                findings.push(finding);
            }
        };
        let services = self.config.services.iter().filter_map(|service| match service.command.as_str() {
            "smtpd" => Some((service, "smtpd_milters")),
            "cleanup" => Some((service, "non_smtpd_milters")),
            _ => None,
        });
        for (service, list) in services {
            let milters = self.config.milters(Some(service), list);
            let Some(at) = milters.iter().position(|milter| self.ours.has(self.config, service, milter)) else {
                continue;
            };
            let (milter, place) = (&milters[at], self.config.place(Some(service), list));
            let seen = format!("{list} = {}", self.config.value(Some(service), list));
            let others = |milters: &[Milter]| {
                let others = milters.iter().filter(|milter| !self.ours.has(self.config, service, milter));
                others.map(|milter| milter.socket.clone()).collect::<Vec<_>>()
            };
            let later = others(&milters[at + 1..]);
            if !later.is_empty() && self.ours.may_sign(self.config, service, milter) {
                let claim = format!(
                    "{} is asked after {}: what it changes, it changes after the signature",
                    later.join(", "),
                    milter.socket
                );
                let order: Vec<&str> = milters
                    .iter()
                    .map(|milter| milter.socket.as_str())
                    .filter(|socket| *socket != milter.socket)
                    .chain([milter.socket.as_str()])
                    .collect();
                put(
                    list,
                    &milter.socket,
                    Finding::risk(&MILTER_ORDER, Confidence::Possible, claim)
                        .text(&place, &seen)
                        .fix(format!("at {place}: {list} = {}", order.join(", "))),
                );
            }
            let earlier = others(&milters[..at]);
            if !earlier.is_empty() && self.ours.only_verifies(self.config, service, milter) {
                let claim = format!(
                    "{} is asked before {}, which only verifies: what it changes is judged as changed",
                    earlier.join(", "),
                    milter.socket
                );
                put(
                    list,
                    &milter.socket,
                    Finding::note(&MILTER_ORDER, Confidence::Possible, claim)
                        .text(&place, &seen)
                        .fix(format!("at {place}: let {} be the first", milter.socket)),
                );
            }
            if let Some((below, fix)) = self.ours.hidden_by_chroot(self.config, service, milter) {
                let claim = format!(
                    "{} runs in the chroot (master.cf:{}) and looks for the socket at {below}",
                    service.command, service.line
                );
                put(
                    list,
                    &milter.socket,
                    Finding::breaks(&SOCKET_OUTSIDE_CHROOT, Confidence::Likely, claim)
                        .text(&place, &seen)
                        .fix(format!("in main.cf: {list} = {fix}"))
                        .fix("or have both use a port: inet:127.0.0.1:8891"),
                );
            }
            let own = |name: &str| milter.own.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
            let action = own("default_action");
            let set_at = if action.is_some() {
                place.clone()
            } else {
                self.config.place(Some(service), "milter_default_action")
            };
            let action = action.unwrap_or_else(|| self.config.value(Some(service), "milter_default_action"));
            if action == "accept" {
                let claim = format!("while Waxseal does not answer, mail passes unsigned and unjudged: {set_at}");
                put(
                    list,
                    &milter.socket,
                    Finding::risk(&FAILS_OPEN, Confidence::Certain, claim)
                        .text(&set_at, "milter_default_action = accept")
                        .fix("in main.cf: milter_default_action = tempfail"),
                );
            }
            let protocol = own("protocol").unwrap_or_else(|| self.config.value(Some(service), "milter_protocol"));
            if protocol.split([',', ' ']).filter_map(|word| word.parse::<u8>().ok()).any(|version| version < 6) {
                let set_at = self.config.place(Some(service), "milter_protocol");
                let claim = format!("version {protocol} of the milter protocol is set: {set_at}");
                put(
                    list,
                    &milter.socket,
                    Finding::risk(&PROTOCOL_OLD, Confidence::Certain, claim)
                        .text(&set_at, format!("milter_protocol = {protocol}"))
                        .fix("in main.cf: milter_protocol = 6"),
                );
            }
        }
        findings
    }

    fn shown(&self, service: &Service, name: &str) -> String {
        format!("{name} = {}", self.config.value(Some(service), name))
    }
}
