//! The options that have a counterpart, each as the line that it becomes: sockets, clients, signing, verifying.

use super::{
    conf::Entry,
    hosts,
    options::{self, Fate, Kind},
    told::{Reading, Weight},
};
use crate::config::{
    defaults::{DNS_TIMEOUT_RANGE, EXPIRE_RANGE, FIELDS, NEVER_SIGNED},
    kind,
};
use std::{net::IpAddr, time::Duration};

/// A line of the new settings, and the comment above it.
#[derive(Debug)]
pub struct Line {
    /// Where it comes from, and what to know of it.
    pub comment: String,
    /// `name = value`
    pub text: String,
}

/// The new settings but for keys and domains, table by table.
#[derive(Debug, Default)]
pub struct Carried {
    /// Lines before the first table.
    pub top: Vec<Line>,
    /// `[[listener]]`
    pub listener: Vec<Line>,
    /// `[signing]`
    pub signing: Vec<Line>,
    /// `[verify]`
    pub verify: Vec<Line>,
    /// `[verify.actions]`
    pub actions: Vec<Line>,
    /// `[limits]`
    pub limits: Vec<Line>,
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(&item.to_string())).collect();
    match items.iter().map(String::len).sum::<usize>() {
        0..90 => format!("[{}]", items.join(", ")),
        _ => format!("[\n    {},\n]", items.join(",\n    ")),
    }
}

fn from(entry: &Entry, note: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("\n{note}") };
    format!("{}: {} {}{note}", entry.place, entry.name, entry.value)
}

/// Carries everything but keys and domains.
pub fn all(reading: &mut Reading<'_>) -> Carried {
    let mut carried = Carried::default();
    fates(reading);
    clients(reading, &mut carried);
    super::socket::listener(reading, &mut carried);
    signing(reading, &mut carried);
    verify(reading, &mut carried);
    actions(reading, &mut carried);
    carried
}

/// Options whose fate needs no look at their value.
fn fates(reading: &mut Reading<'_>) {
    let conf = reading.conf;
    for entry in conf.entries() {
        match options::find(&entry.name).map(|option| (option.kind, option.fate)) {
            None => {
                let hint =
                    options::meant(&entry.name).map(|near| format!(": did you mean {near}?")).unwrap_or_default();
                reading.option(Weight::Lost, entry, format!("OpenDKIM 2.11 knows no such option{hint}"));
            }
            Some((Kind::Bool, Fate::Lost(_))) if !entry.is_true() => {}
            Some((_, Fate::Lost(why))) => reading.option(Weight::Lost, entry, why),
            Some((_, Fate::Needless(why))) => reading.option(Weight::Needless, entry, why),
            Some((_, Fate::Read)) => {}
        }
    }
}

fn clients(reading: &mut Reading<'_>, carried: &mut Carried) {
    let conf = reading.conf;
    let peers = hosts::networks(reading, "PeerList", "verify.exempt_networks").unwrap_or_default();
    let internal = hosts::networks(reading, "InternalHosts", "trusted_networks");
    let comment = match (conf.get("InternalHosts"), &internal) {
        (Some(entry), Some(_)) => from(entry, ""),
        _ => "InternalHosts is not set: OpenDKIM takes this machine".to_owned(),
    };
    let trusted = hosts::without(internal.unwrap_or_else(|| vec![hosts::DEFAULT]), &peers);
    carried.top.push(Line { comment, text: format!("trusted_networks = {}", list(&trusted)) });
    if let (Some(entry), false) = (conf.get("PeerList"), peers.is_empty()) {
        let comment =
            from(entry, "Their mail is neither signed nor judged: they are not among trusted_networks either.");
        carried.verify.push(Line { comment, text: format!("exempt_networks = {}", list(&peers)) });
        let why = "users who authenticate are signed for from there too; OpenDKIM left all mail of peers alone";
        reading.option(Weight::Changed, entry, why);
    }
}

fn signing(reading: &mut Reading<'_>, carried: &mut Carried) {
    let conf = reading.conf;
    let canon = conf.get("Canonicalization");
    let comment = canon.map_or_else(|| "Canonicalization is not set".to_owned(), |entry| from(entry, ""));
    match canonicalization(canon.map_or("simple", |entry| &entry.value)) {
        Some(text) => {
            carried.signing.push(Line { comment, text: format!("canonicalization = {}", quoted(&text)) });
        }
        None => {
            if let Some(entry) = canon {
                reading.mistake(entry, "is not simple or relaxed, a slash, and one of them again; mend it");
            }
        }
    }
    if let Some(line) = fields(reading) {
        carried.signing.push(line);
    }
    if let Some(line) = oversign(reading) {
        carried.signing.push(line);
    }
    if let Some(entry) = conf.get("SignatureTTL")
        && let Some(seconds) = entry.number().filter(|seconds| *seconds > 0)
    {
        let wanted = Duration::from_secs(seconds);
        let held = wanted.clamp(*EXPIRE_RANGE.start(), *EXPIRE_RANGE.end());
        if held != wanted {
            let why = format!("a signature holds from 1h to 365d, so it is {} now", kind::duration(held));
            reading.option(Weight::Changed, entry, why);
        }
        let text = format!("expire = {}", quoted(&kind::duration(held)));
        carried.signing.push(Line { comment: from(entry, ""), text });
    }
    if let Some(entry) = conf.get("Diagnostics").filter(|entry| entry.is_true()) {
        carried.signing.push(Line { comment: from(entry, ""), text: "diagnostics = \"copies\"".into() });
    }
    if let Some(entry) = conf.get("SenderHeaders").filter(|entry| !entry.value.eq_ignore_ascii_case("from")) {
        let why = "the From field alone decides which key signs, since DMARC looks at no other";
        reading.option(Weight::Lost, entry, why);
    }
    if let Some(entry) = conf.get("SignatureAlgorithm").filter(|entry| !entry.value.eq_ignore_ascii_case("rsa-sha256"))
    {
        reading.option(
            Weight::Lost,
            entry,
            "RSA keys sign with rsa-sha256, Ed25519 keys with ed25519-sha256 (RFC 8301)",
        );
    }
}

/// `relaxed` alone is for the header; the body is simple then.
fn canonicalization(value: &str) -> Option<String> {
    let value = value.to_ascii_lowercase();
    let (header, body) = value.split_once('/').unwrap_or((&value, "simple"));
    let known = |word: &str| matches!(word, "simple" | "relaxed");
    (known(header) && known(body)).then(|| format!("{header}/{body}"))
}

/// SignHeaders and OmitHeaders as one list; `None` where neither asks for anything but the default.
fn fields(reading: &mut Reading<'_>) -> Option<Line> {
    let mut fields: Vec<String> = FIELDS.iter().map(|name| (*name).to_owned()).collect();
    let mut origin = Vec::new();
    if let Some((entry, _, rows)) = reading.dataset("SignHeaders", "write them into signing.fields") {
        let items: Vec<String> = rows.iter().map(|row| row.key.to_ascii_lowercase()).collect();
        fields = delta(&items, fields);
        let (never, kept) = fields.into_iter().partition(|name| NEVER_SIGNED.contains(&name.as_str()));
        fields = kept;
        if !never.is_empty() {
            let why = format!("{} is added or changed on the way, and is not signed", list(&never));
            reading.option(Weight::Lost, &entry, why);
        }
        origin.push(from(&entry, ""));
    }
    let before = fields.len();
    if let Some((entry, _, rows)) = reading.dataset("OmitHeaders", "leave them out of signing.fields") {
        let omitted = |name: &String| rows.iter().any(|row| row.key.trim_start_matches('+').eq_ignore_ascii_case(name));
        fields.retain(|name| name == "from" || !omitted(name));
        if fields.len() < before {
            origin.push(from(&entry, ""));
        } else {
            reading.option(Weight::Needless, &entry, "none of them would be signed");
        }
    }
    if origin.is_empty() {
        return None;
    }
    for name in oversigned(reading) {
        if !fields.contains(&name) && !NEVER_SIGNED.contains(&name.as_str()) {
            fields.push(name);
        }
    }
    Some(Line { comment: origin.join("\n"), text: format!("fields = {}", list(&fields)) })
}

fn oversigned(reading: &Reading<'_>) -> Vec<String> {
    let Some(entry) = reading.conf.get("OversignHeaders") else { return Vec::new() };
    let Ok(set) = super::dataset::read(reading.conf, entry) else { return Vec::new() };
    set.rows.iter().map(|row| row.key.to_ascii_lowercase()).filter(|name| !name.starts_with("list-")).collect()
}

fn oversign(reading: &mut Reading<'_>) -> Option<Line> {
    let (entry, _, rows) = reading.dataset("OversignHeaders", "write them into signing.oversign")?;
    let all: Vec<String> = rows.iter().map(|row| row.key.to_ascii_lowercase()).collect();
    let named = reading.conf.get("SignHeaders").or(reading.conf.get("OmitHeaders")).is_some();
    let fits = |name: &String| !name.starts_with("list-") && (named || FIELDS.contains(&name.as_str()));
    let (kept, dropped): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|name| fits(name) && !NEVER_SIGNED.contains(&name.as_str()));
    if !dropped.is_empty() {
        let why = format!(
            "{} is not signed once more than it is there: lists or relays add such a field on the way, or it is not signed",
            list(&dropped)
        );
        reading.option(Weight::Lost, &entry, why);
    }
    let note = "The default of Waxseal protects more fields against addition: without this line it holds.";
    Some(Line { comment: from(&entry, note), text: format!("oversign = {}", list(&kept)) })
}

/// A list, or with `*` the default and what is added to it (`+`) or taken from it (`-`).
fn delta(items: &[String], default: Vec<String>) -> Vec<String> {
    let mut fields = if items.iter().any(|item| item == "*") { default } else { Vec::new() };
    for item in items.iter().filter(|item| *item != "*") {
        if let Some(taken) = item.strip_prefix('-') {
            fields.retain(|name| name != taken);
        } else {
            let added = item.strip_prefix('+').unwrap_or(item);
            if !fields.iter().any(|name| name == added) {
                fields.push(added.to_owned());
            }
        }
    }
    if !fields.iter().any(|name| name == "from") {
        fields.insert(0, "from".into());
    }
    fields
}

fn verify(reading: &mut Reading<'_>, carried: &mut Carried) {
    let conf = reading.conf;
    if let Some(entry) = conf.get("AuthservID").filter(|entry| entry.value != "HOSTNAME") {
        if entry.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
            let text = format!("authserv_id = {}", quoted(&entry.value.to_ascii_lowercase()));
            carried.verify.push(Line { comment: from(entry, ""), text });
        } else {
            reading.option(Weight::Lost, entry, "a host name is needed; without one it is the name of this host");
        }
    }
    if let Some(entry) = conf.get("Nameservers") {
        let mut servers = entry.value.split(',').map(str::trim).filter(|server| !server.is_empty());
        match servers.next().map(str::parse::<IpAddr>) {
            Some(Ok(first)) => {
                let text = format!("resolver = {}", quoted(&first.to_string()));
                carried.verify.push(Line { comment: from(entry, ""), text });
            }
            _ => reading.mistake(entry, "its first name server is no IP address; write one"),
        }
        if servers.next().is_some() {
            reading.option(Weight::Changed, entry, "one resolver is asked: the first");
        }
    }
    if let Some(entry) = conf.get("DNSTimeout")
        && let Some(seconds) = entry.number()
    {
        let wanted = if seconds == 0 { *DNS_TIMEOUT_RANGE.end() } else { Duration::from_secs(seconds) };
        let held = wanted.clamp(*DNS_TIMEOUT_RANGE.start(), *DNS_TIMEOUT_RANGE.end());
        let text = format!("dns_timeout = {}", quoted(&kind::duration(held)));
        carried
            .verify
            .push(Line { comment: from(entry, "Here it is the time for all answers of a message together."), text });
        if held.as_secs() != seconds {
            reading.option(Weight::Changed, entry, format!("from 1s to 25s, so it is {} now", kind::duration(held)));
        }
    }
    if let Some(entry) = conf.get("MaximumHeaders")
        && let Some(bytes) = entry.number().filter(|bytes| *bytes > 0)
    {
        let held = bytes.clamp(64 * 1024, 1 << 30);
        carried.limits.push(Line { comment: from(entry, ""), text: format!("header_bytes = {held}") });
        if held != bytes {
            reading.option(Weight::Changed, entry, format!("less would refuse ordinary mail, so it is {held} now"));
        }
    }
    if let Some(entry) = conf.get("MinimumKeyBits") {
        match entry.number() {
            Some(1024) => reading.option(Weight::Needless, entry, "1024 bits are the least anyway (RFC 8301)"),
            _ => reading.option(
                Weight::Lost,
                entry,
                "RSA keys from 1024 to 4096 bits are accepted, no others (RFC 8301)",
            ),
        }
    }
}

/// Where an action of OpenDKIM goes: the settings, or why there is none.
const ACTIONS: &[(&str, Result<&[&str], &str>)] = &[
    ("On-Default", Ok(&["dkim_fail", "temperror"])),
    ("On-BadSignature", Ok(&["dkim_fail"])),
    ("On-DNSError", Ok(&["temperror"])),
    ("On-InternalError", Err("a fault of the program is always a temporary failure")),
    ("On-KeyNotFound", Err("a signature without a key counts as one that fails: verify.actions.dkim_fail")),
    ("On-NoSignature", Err("mail without a signature is judged by DMARC: verify.actions.dmarc_fail = \"policy\"")),
    ("On-Security", Err("what looks forged is judged by DMARC: verify.actions.dmarc_fail = \"policy\"")),
    ("On-SignatureError", Err("what cannot be signed is a temporary failure, or refused if it never can be")),
];

fn actions(reading: &mut Reading<'_>, carried: &mut Carried) {
    let conf = reading.conf;
    for (name, fate) in ACTIONS {
        let Some(entry) = conf.get(name) else { continue };
        let action = match entry.value.to_ascii_lowercase().as_str() {
            "a" | "accept" => "accept",
            "q" | "quarantine" => "quarantine",
            "r" | "reject" => "reject",
            "t" | "tempfail" => "tempfail",
            "d" | "discard" => {
                reading.option(Weight::Changed, entry, "nothing is thrown away unseen: it is quarantined instead");
                "quarantine"
            }
            _ => {
                reading
                    .mistake(entry, "is none of accept, discard, quarantine, reject and tempfail; write one of them");
                continue;
            }
        };
        match fate {
            Ok(settings) => settings.iter().for_each(|setting| action_line(carried, entry, setting, action)),
            Err(_) if action == "accept" => {}
            Err(why) => reading.option(Weight::Lost, entry, *why),
        }
    }
    if let Some(entry) = conf.get("Quarantine").filter(|entry| entry.is_true()) {
        action_line(carried, entry, "dkim_fail", "quarantine");
    }
}

/// A later option overrides an earlier one.
fn action_line(carried: &mut Carried, entry: &Entry, setting: &str, action: &str) {
    let start = format!("{setting} = ");
    carried.actions.retain(|line| !line.text.starts_with(&start));
    carried.actions.push(Line { comment: from(entry, ""), text: format!("{start}{}", quoted(action)) });
}
