//! What Postfix does to mail before it is judged, and after it was signed: checks, maps, line lengths, conversions.

use super::{
    CHECKS,
    config::{Config, Service},
};
use crate::diagnose::{
    finding::{Confidence, Finding},
    register::postfix::*,
};

/// Fields that signatures usually cover (RFC 6376 §5.4.1), and those that carry the results.
const SIGNED: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// Fields that Waxseal adds.
const ADDED: &[&str] = &["dkim-signature", "authentication-results", "received-spf"];

/// Actions of a check that change the message.
const EDITS: &[&str] = &["REPLACE", "IGNORE", "STRIP", "PREPEND"];

/// Programs that deliver by SMTP.
const CLIENTS: &[&str] = &["smtp", "lmtp"];

/// All of it.
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(generic(config));
    findings.extend(CHECKS.iter().filter_map(|name| checks(config, name)));
    findings.extend(lines(config));
    findings.extend(conversion(config));
    if config.is(None, "always_add_missing_headers") {
        let place = config.place(None, "always_add_missing_headers");
        findings.push(
            Finding::risk(
                &FIELDS_ADDED,
                Confidence::Certain,
                format!("mail from outside gets missing fields before it is judged: {place}"),
            )
            .text(&place, "always_add_missing_headers = yes")
            .fix("in main.cf: always_add_missing_headers = no")
            .fix("in master.cf, at submission: -o local_header_rewrite_clients=static:all"),
        );
    }
    if !config.is(None, "smtputf8_enable") {
        let place = config.place(None, "smtputf8_enable");
        findings.push(
            Finding::note(
                &SMTPUTF8_OFF,
                Confidence::Certain,
                format!("mail with UTF-8 addresses is not taken: {place}"),
            )
            .text(&place, format!("smtputf8_enable = {}", config.value(None, "smtputf8_enable")))
            .fix("in main.cf: smtputf8_enable = yes"),
        );
    }
    findings
}

/// The services that deliver to others; those that hand mail to a filter are not the last.
fn deliverers<'c>(config: &'c Config, program: &'c str) -> Vec<Option<&'c Service>> {
    let services: Vec<Option<&Service>> = config.running(program).map(Some).collect();
    if services.is_empty() { vec![None] } else { services }
}

fn generic(config: &Config) -> Option<Finding> {
    CLIENTS.iter().find_map(|program| {
        let name = format!("{program}_generic_maps");
        let service =
            deliverers(config, program).into_iter().find(|service| !config.value(*service, &name).is_empty())?;
        let (value, place) = (config.value(service, &name), config.place(service, &name));
        let claim =
            format!("{name} rewrites addresses of From, To and other signed fields after the signature: {place}");
        Some(
            Finding::breaks(&ADDRESS_REWRITTEN, Confidence::Likely, claim)
                .text(&place, format!("{name} = {value}"))
                .fix(format!("in main.cf: {name} ="))
                .fix(format!("in main.cf: canonical_maps = {value}")),
        )
    })
}

/// One parameter of checks: what it edits, and when.
fn checks(config: &Config, name: &str) -> Option<Finding> {
    let after = name.starts_with("smtp_");
    if matches!(name, "mime_header_checks" | "nested_header_checks")
        && config.value(None, name) == config.value(None, "header_checks")
    {
        // Their default: what is wrong is said of header_checks.
        return None;
    }
    let services = if after { deliverers(config, "smtp") } else { vec![None] };
    for service in services {
        let place = config.place(service, name);
        for (table, text) in config.tables(service, name) {
            for rule in rules(&text.unwrap_or_default()) {
                if let Some(finding) = edited(name, after, &rule) {
                    let finding = finding.text(&place, format!("{name} = {table}")).text("the rule", rule.text);
                    return Some(finding.fix(advice(name, after)));
                }
            }
        }
    }
    None
}

fn advice(name: &str, after: bool) -> String {
    match name {
        "smtp_body_checks" => "in main.cf: move the rule from smtp_body_checks to body_checks".into(),
        _ if after => format!("in main.cf: move the rule from {name} to {}", name.trim_start_matches("smtp_")),
        "milter_header_checks" => "take the rule out of milter_header_checks".into(),
        _ => format!(
            "limit the rule to mail of users: in master.cf, at submission: -o cleanup_service_name=cleanup-out, and a \
             service cleanup-out (cleanup) with -o {name}=TABLE"
        ),
    }
}

struct Rule {
    text: String,
    fields: Vec<String>,
}

/// Rules that edit, each with the fields that its pattern names.
fn rules(table: &str) -> Vec<Rule> {
    let editing = |line: &&str| {
        let action =
            line.split_whitespace().find(|word| word.chars().all(|c| c.is_ascii_uppercase()) && word.len() > 2);
        action.is_some_and(|action| EDITS.contains(&action))
    };
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter(editing)
        .map(|line| {
            let pattern =
                line.get(1..).unwrap_or_default().split(line.get(..1).unwrap_or("/")).next().unwrap_or_default();
            let pattern = pattern.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let words = pattern.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            Rule { text: line.to_owned(), fields: words.filter(|word| word.len() > 1).map(str::to_owned).collect() }
        })
        .collect()
}

fn edited(name: &str, after: bool, rule: &Rule) -> Option<Finding> {
    let named = |known: &[&str]| rule.fields.iter().find(|field| known.contains(&field.as_str())).cloned();
    if name == "smtp_body_checks" {
        let claim = "smtp_body_checks edits the body while mail is delivered, after the signature";
        return Some(Finding::breaks(&EDITED_AFTER_SIGNING, Confidence::Likely, claim));
    }
    if name == "milter_header_checks" {
        let field = named(ADDED)?;
        let claim = format!("milter_header_checks edits {field}, which Waxseal adds");
        return Some(Finding::breaks(&EDITED_AFTER_SIGNING, Confidence::Likely, claim));
    }
    if after {
        let field = named(SIGNED).or_else(|| named(ADDED))?;
        let claim = format!("{name} edits {field} while mail is delivered, after the signature");
        return Some(Finding::breaks(&EDITED_AFTER_SIGNING, Confidence::Likely, claim));
    }
    if let Some(field) = named(SIGNED).or_else(|| named(ADDED)) {
        let claim = format!("{name} edits {field} of mail from outside before its signature is verified");
        return Some(Finding::risk(&EDITED_BEFORE_VERIFYING, Confidence::Possible, claim));
    }
    named(&["received"]).map(|_| {
        let claim = format!("{name} edits Received fields of all mail");
        Finding::note(&RECEIVED_REMOVED, Confidence::Certain, claim)
    })
}

fn lines(config: &Config) -> Option<Finding> {
    let name = "smtp_line_length_limit";
    let service = deliverers(config, "smtp").into_iter().find(|service| config.value(*service, name) != "0")?;
    let (value, place) = (config.value(service, name), config.place(service, name));
    let claim = format!("lines over {value} octets are broken after the signature: {place}");
    Some(
        Finding::risk(&LINES_BROKEN, Confidence::Certain, claim)
            .text(&place, format!("{name} = {value}"))
            .fix(format!("in main.cf: {name} = 0")),
    )
}

fn conversion(config: &Config) -> Option<Finding> {
    let name = "smtp_discard_ehlo_keywords";
    let service = deliverers(config, "smtp").into_iter().find(|service| {
        config.list(*service, name).iter().any(|word| word.eq_ignore_ascii_case("8bitmime"))
            && !config.is(*service, "disable_mime_output_conversion")
    })?;
    let place = config.place(service, name);
    let claim = format!("8BITMIME is never used, so 8-bit text is rewritten after the signature: {place}");
    Some(
        Finding::breaks(&MIME_CONVERTED, Confidence::Likely, claim)
            .text(&place, format!("{name} = {}", config.value(service, name)))
            .fix(format!("in main.cf: take 8bitmime out of {name}"))
            .fix("or in main.cf: disable_mime_output_conversion = yes"),
    )
}
