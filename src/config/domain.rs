//! `[domains."example.com"]`: the domains that we sign for, their selectors and their keys.

use super::{
    Domain, KeyRef, ProviderChoice,
    defaults::EXPIRE_RANGE,
    kind,
    reader::{Reader, Section},
};
use crate::{
    dkim::KeyType,
    key::Record,
    name::DomainName,
    provider::{DEFAULT_PROVIDER, NoSelector, Profiles},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What every domain needs to know of the settings around it.
struct Around<'s> {
    profiles: &'s Profiles,
    key_directory: &'s Path,
}

/// The name of a key file where the settings give none.
pub fn key_file_name(domain: &DomainName, selector: &DomainName) -> String {
    format!("{domain}.{selector}.pem")
}

/// Reads all domains.
pub(super) fn all(
    reader: &mut Reader<'_>,
    root: &mut Section<'_>,
    profiles: &Profiles,
    key_directory: &Path,
) -> HashMap<DomainName, Arc<Domain>> {
    let around = Around { profiles, key_directory };
    let section = root.table_or_empty(reader, "domains");
    let mut domains: HashMap<DomainName, Arc<Domain>> = HashMap::new();
    let mut entries: Vec<_> = section.entries().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let text = key.get_ref();
        let name = match DomainName::new(text) {
            Ok(name) => name,
            Err(error) => {
                reader.mistake(Some(key.span()), format!("domains: {text:?} is not a domain name: {error}"));
                continue;
            }
        };
        let line = reader.line(&key.span());
        let mut entry = Section::of(reader, format!("domains.{text:?}"), value).known_as("[domains.\"NAME\"]");
        let domain = one(reader, &mut entry, &around, &name, line);
        entry.finish(reader);
        if let Some(earlier) = domains.get(&name) {
            let what = format!("domains: {text:?} is the same domain as that of line {}", earlier.line);
            reader.mistake(Some(key.span()), what);
        }
        if let Some(domain) = domain {
            domains.insert(name, Arc::new(domain));
        }
    }
    domains
}

fn one(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    around: &Around<'_>,
    name: &DomainName,
    line: usize,
) -> Option<Domain> {
    let chosen = selector(reader, section, around);
    let rsa = chosen.as_ref().and_then(|(selector, provider)| {
        let required_bits = provider.as_ref().and_then(|provider| provider.profile.key_bits);
        key(reader, section, around, name, selector, KeyType::Rsa, required_bits)
    });
    if chosen.is_none() {
        // The path cannot be known, but the name is none that does not exist.
        section.take("key");
    }
    let ed25519 = ed25519(reader, section, around, name);
    let subdomains = section.value(reader, "subdomains", &kind::BOOL, false);
    let identity = section.option(reader, "identity", &kind::TEXT).filter(|identity| {
        identity_within(identity, name).map_err(|what| mistake_at(reader, section, "identity", &what)).is_ok()
    });
    let expire = section.option(reader, "expire", &kind::DURATION);
    if let Some(expire) = expire {
        reader.within(section, "expire", expire, EXPIRE_RANGE);
    }
    let canonicalization = section.option(reader, "canonicalization", &kind::CANON);
    let diagnostics = section.option(reader, "diagnostics", &kind::DIAGNOSTICS);
    let when_not_ready = section.option(reader, "when_not_ready", &kind::WHEN_NOT_READY);
    let users = section.value(reader, "users", &kind::TEXTS, Vec::new());
    let (_, provider) = chosen?;
    let mut keys: Vec<_> = rsa.into_iter().chain(ed25519).collect();
    // A list grown by hand has room for four; most domains have one key.
    keys.shrink_to_fit();
    if let [rsa, ed25519] = &keys[..]
        && rsa.selector == ed25519.selector
    {
        let what = format!("{} has the RSA key already; a second key needs a selector of its own", rsa.selector);
        mistake_at(reader, section, "ed25519", &what);
    }
    Some(Domain {
        line,
        name: name.clone(),
        keys,
        subdomains,
        identity,
        expire,
        canonicalization,
        diagnostics,
        when_not_ready,
        users,
        provider,
    })
}

/// The selector: named, or chosen by a profile.
fn selector(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    around: &Around<'_>,
) -> Option<(DomainName, Option<ProviderChoice>)> {
    let places = ["provider", "environment", "region"].map(|name| section.has(name));
    let has_selector = section.has("selector");
    let selector = section.option(reader, "selector", &kind::NAME);
    let environment = section.option(reader, "environment", &kind::TEXT);
    let region = section.option(reader, "region", &kind::TEXT);
    let provider = match (&environment, &region) {
        (Some(_), Some(_)) => section.value(reader, "provider", &kind::TEXT, DEFAULT_PROVIDER.to_owned()),
        _ => section.option(reader, "provider", &kind::TEXT).unwrap_or_else(|| DEFAULT_PROVIDER.to_owned()),
    };
    match (has_selector, places) {
        (true, [false, false, false]) => selector.map(|selector| (selector, None)),
        (true, _) => {
            mistake_at(reader, section, "selector", "excludes provider, environment and region; keep one of the two");
            None
        }
        (false, [_, true, true]) => {
            let (environment, region) = (environment?, region?);
            let chosen = around.profiles.get(&provider).and_then(|profile| {
                let entry = profile.selector(&environment, &region)?;
                let selector = entry.selector.clone();
                // As the profile writes them, whatever the case in the settings.
                let [environment, region] =
                    [&entry.environment, &entry.region].map(|word| word.clone().unwrap_or_default());
                Ok((selector, Some(ProviderChoice { profile: profile.clone(), environment, region })))
            });
            let place = |none: &NoSelector| match none {
                NoSelector::Provider { .. } => "provider",
                NoSelector::Place { .. } => "environment",
            };
            chosen.map_err(|none| mistake_at(reader, section, place(&none), &none.to_string())).ok()
        }
        (false, _) => {
            let what = "needs a selector: either environment and region (with provider, if it is not \
                        \"ncloud\"), or selector";
            reader.mistake(section.span_of(""), format!("{}: {what}", section.name()));
            None
        }
    }
}

fn ed25519(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    around: &Around<'_>,
    domain: &DomainName,
) -> Option<KeyRef> {
    let mut table = section.table(reader, "ed25519")?.known_as("[domains.\"NAME\".ed25519]");
    let selector = table.option(reader, "selector", &kind::NAME);
    if !table.has("selector") {
        reader.mistake(table.span_of(""), format!("{}: needs a selector of its own", table.name()));
    }
    let found =
        selector.and_then(|selector| key(reader, &mut table, around, domain, &selector, KeyType::Ed25519, None));
    table.take("key");
    table.finish(reader);
    found
}

fn key(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    around: &Around<'_>,
    domain: &DomainName,
    selector: &DomainName,
    algorithm: KeyType,
    required_bits: Option<usize>,
) -> Option<KeyRef> {
    if let Err(error) = Record::dkim_name(selector, domain) {
        let what = format!("{}: {selector}._domainkey.{domain} cannot stand in DNS: {error}", section.name());
        reader.mistake(section.span_of("selector"), what);
        return None;
    }
    let default: PathBuf = around.key_directory.join(key_file_name(domain, selector));
    if section.take("key").and_then(|value| value.get_ref().as_str()).is_some_and(is_a_key) {
        // It is not shown: what is said of a mistake goes to the log.
        mistake_at(reader, section, "key", "names the file of a key, and this is a key itself; put it into a file");
        return None;
    }
    let path = section.path(reader, "key", default);
    Some(KeyRef { selector: selector.clone(), path, algorithm, required_bits })
}

/// A key in PEM form, or its base64 alone, which no name of a file is as long as (NAME_MAX).
fn is_a_key(text: &str) -> bool {
    text.contains("-----BEGIN") || text.split('/').any(|part| part.len() > 255) || text.contains('\n')
}

/// i= must be `@domain` or `user@domain`, and the domain d= or below (RFC 6376 §3.5).
fn identity_within(identity: &str, domain: &DomainName) -> Result<(), String> {
    let (user, host) =
        identity.rsplit_once('@').ok_or_else(|| format!("{identity:?} is not \"@{domain}\" or \"user@{domain}\""))?;
    if !user.bytes().all(|octet| octet.is_ascii_graphic() && octet != b';') {
        return Err(format!("{user:?} has characters that cannot stand in i="));
    }
    match DomainName::new(host) {
        Ok(host) if host.is_within(domain) => Ok(()),
        _ => Err(format!("{host:?} is neither {domain} nor below it")),
    }
}

fn mistake_at(reader: &mut Reader<'_>, section: &Section<'_>, name: &str, what: &str) {
    reader.mistake(section.span_of(name), format!("{}: {what}", section.full(name)));
}
