//! KeyTable and SigningTable: which key signs for which address, in the order in which OpenDKIM decides.

use super::{
    conf::Place,
    dataset::Row,
    told::{Reading, Weight},
};
use crate::name::DomainName;
use std::{
    cmp::Reverse,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// Where the octets of a key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// In the row of KeyTable itself.
    Inline(Place),
}

/// A row of KeyTable.
#[derive(Debug)]
pub struct KeyRow {
    /// d=; `None` for the From domain itself (`%`).
    pub domain: Option<DomainName>,
    /// s=.
    pub selector: DomainName,
    /// The file, with `%` for the domain; `None` where the row holds the key itself.
    pub file: Option<String>,
    /// Where.
    pub place: Place,
}

/// Which From domains a row of SigningTable is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This one.
    Exact(DomainName),
    /// Every name below it.
    Below(DomainName),
    /// It, and every name below it.
    Ending(DomainName),
    /// All.
    Every,
}

/// A row of SigningTable.
#[derive(Debug)]
pub struct Rule {
    /// The local part that it asks for, lower case; `None` for any.
    pub local: Option<String>,
    /// The From domains.
    pub scope: Scope,
    /// The name of the key; `%` for the From domain.
    pub key: String,
    /// i=, with `%` for the From domain.
    pub signer: Option<String>,
    /// The row as it stands.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// A signature that OpenDKIM makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// d=.
    pub domain: DomainName,
    /// s=.
    pub selector: DomainName,
    /// With this key.
    pub source: Source,
}

/// Both tables.
#[derive(Debug)]
pub struct Tables {
    keys: HashMap<String, KeyRow>,
    /// The rules, in the order in which they are asked.
    pub rules: Vec<Rule>,
    /// Do all rules that fit sign, not only the first?
    pub all_sign: bool,
}

/// What a table that cannot be read comes to.
const WRITE_THEM: &str = "write a table [domains.\"NAME\"] for each domain that it has";

impl Tables {
    /// Reads both; `None` where one of them cannot be had.
    pub fn read(reading: &mut Reading<'_>) -> Option<Tables> {
        let (_, _, keys) = reading.dataset("KeyTable", WRITE_THEM)?;
        let (_, patterns, rows) = reading.dataset("SigningTable", WRITE_THEM)?;
        let keys = key_rows(reading, &keys);
        let mut rules: Vec<Rule> = rows.iter().filter_map(|row| rule(reading, row, patterns, &keys)).collect();
        if !patterns {
            // A file is asked for the address, the domain, each domain above with a dot, and the star.
            rules.sort_by_key(|rule| {
                let (class, labels) = match &rule.scope {
                    Scope::Exact(_) => (0, 0),
                    Scope::Below(name) | Scope::Ending(name) => (1, name.labels().count()),
                    Scope::Every => (2, 0),
                };
                (class, Reverse(labels), rule.local.is_none())
            });
        }
        Some(Tables { keys, rules, all_sign: reading.conf.is("MultipleSignatures") })
    }

    /// The signatures for mail from `local@domain`, each with its rule.
    pub fn signatures<'t>(&'t self, local: &str, domain: &DomainName) -> Vec<(&'t Rule, Made)> {
        let fitting = self.rules.iter().filter(|rule| rule.fits(local, domain));
        let made = fitting.filter_map(|rule| Some((rule, self.made(rule, domain)?)));
        made.take(if self.all_sign { usize::MAX } else { 1 }).collect()
    }

    /// What a rule makes of mail from this domain.
    pub fn made(&self, rule: &Rule, from: &DomainName) -> Option<Made> {
        let row = self.row(rule, from)?;
        let domain = row.domain.clone().unwrap_or_else(|| from.clone());
        let source = match &row.file {
            Some(file) => Source::File(file.replace('%', domain.as_str()).into()),
            None => Source::Inline(row.place.clone()),
        };
        Some(Made { domain, selector: row.selector.clone(), source })
    }

    /// d= of a rule, where it is the same for all mail.
    pub fn fixed_domain(&self, rule: &Rule) -> Option<&DomainName> {
        self.keys.get(&rule.key)?.domain.as_ref()
    }

    /// The domains that there is a key file for, where the file depends on the domain.
    pub fn domains_with_files(&self, rule: &Rule) -> Vec<DomainName> {
        let template = self.keys.get(&rule.key).filter(|row| row.domain.is_none()).and_then(|row| row.file.as_deref());
        template.map(domains_in).unwrap_or_default()
    }

    /// Is there a key, where its file depends on the domain? Where not, OpenDKIM holds such mail.
    pub fn could_sign(&self, rule: &Rule, made: &Made) -> bool {
        let depends = self.keys.get(&rule.key).is_some_and(|row| row.domain.is_none());
        match &made.source {
            Source::File(file) => !depends || file.is_file(),
            Source::Inline(_) => true,
        }
    }

    fn row(&self, rule: &Rule, from: &DomainName) -> Option<&KeyRow> {
        self.keys.get(if rule.key == "%" { from.as_str() } else { &rule.key })
    }
}

impl Rule {
    fn fits(&self, local: &str, domain: &DomainName) -> bool {
        let below = |name: &DomainName| domain != name && domain.is_within(name);
        self.local.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(local))
            && match &self.scope {
                Scope::Exact(name) => domain == name,
                Scope::Below(name) => below(name),
                Scope::Ending(name) => domain.is_within(name),
                Scope::Every => true,
            }
    }
}

fn key_rows(reading: &mut Reading<'_>, rows: &[Row]) -> HashMap<String, KeyRow> {
    let mut keys = HashMap::new();
    for row in rows {
        match key_row(reading, row) {
            Ok(key) => {
                keys.entry(row.key.clone()).or_insert(key);
            }
            Err(what) => reading.mistakes.push(row.place.mistake(format!("KeyTable {}: {what}", row.key))),
        }
    }
    keys
}

fn key_row(reading: &Reading<'_>, row: &Row) -> Result<KeyRow, String> {
    let form = "write NAME DOMAIN:SELECTOR:/PATH/OF/THE/KEY";
    let parts: Vec<&str> = row.value.as_deref().unwrap_or_default().splitn(3, ':').map(str::trim).collect();
    let [domain, selector, key] = parts[..] else {
        return Err(format!("has no domain, selector and key; {form}"));
    };
    if key.is_empty() {
        return Err(format!("has no key; {form}"));
    }
    let name = |text: &str| DomainName::new(text).map_err(|why| format!("{text:?} cannot stand in DNS: {why}; {form}"));
    let file = match key {
        _ if key.starts_with('/') => Some(key.to_owned()),
        _ if key.starts_with("./") || key.starts_with("../") => {
            Some(reading.conf.path(key, &row.place).display().to_string())
        }
        _ => None,
    };
    let domain = if domain == "%" { None } else { Some(name(domain)?) };
    Ok(KeyRow { domain, selector: name(selector)?, file, place: row.place.clone() })
}

fn rule(reading: &mut Reading<'_>, row: &Row, patterns: bool, keys: &HashMap<String, KeyRow>) -> Option<Rule> {
    let text = format!("SigningTable {} {}", row.key, row.value.as_deref().unwrap_or_default());
    let (key, signer) = match row.value.as_deref().unwrap_or_default().split_once(':') {
        Some((key, signer)) => (key.trim(), Some(signer.trim().to_owned())),
        None => (row.value.as_deref().unwrap_or_default(), None),
    };
    if key.is_empty() {
        let what = format!("SigningTable {}: names no key; write the name of a row of KeyTable behind it", row.key);
        reading.mistakes.push(row.place.mistake(what));
        return None;
    }
    if key != "%" && !keys.contains_key(key) {
        let what = format!("SigningTable {}: no row of KeyTable is called {key:?}; add it, or mend the name", row.key);
        reading.mistakes.push(row.place.mistake(what));
        return None;
    }
    let read = if patterns { pattern(&row.key) } else { plain(&row.key) };
    match read {
        Ok((local, scope)) => Some(Rule { local, scope, key: key.to_owned(), signer, text, place: row.place.clone() }),
        Err(why) => {
            reading.row(Weight::Lost, &row.place, text, why);
            None
        }
    }
}

/// A key of a refile: `*` stands for anything, and the first pattern that fits the whole address holds.
fn pattern(text: &str) -> Result<(Option<String>, Scope), String> {
    let odd = || {
        "such a pattern has no counterpart: keys are chosen by the From domain; write [domains.\"NAME\"] for each domain that it means"
            .to_owned()
    };
    if text.contains(['[', ']', '(', ')', '{', '}', '?', '|', '^', '$', '\\']) {
        return Err(odd());
    }
    let (local, host) = match text.rsplit_once('@') {
        Some(("*", host)) => (None, host),
        Some((local, _)) if local.contains('*') => return Err(odd()),
        Some((local, host)) => (Some(local.to_ascii_lowercase()), host),
        None if text.starts_with('*') => (None, text),
        None => {
            return Err(format!(
                "OpenDKIM compares it with the whole address, so it never fitted; if {text} should sign, write [domains.\"{text}\"]"
            ));
        }
    };
    let scope = match host.strip_prefix('*') {
        None if host.contains('*') => return Err(odd()),
        None => Scope::Exact(name(host)?),
        Some("") => Scope::Every,
        Some(rest) if rest.contains('*') => return Err(odd()),
        Some(rest) => match rest.strip_prefix('.') {
            Some(name_above) => Scope::Below(name(name_above)?),
            None => Scope::Ending(name(rest)?),
        },
    };
    Ok((local, scope))
}

/// A key of any other table, compared letter by letter.
fn plain(text: &str) -> Result<(Option<String>, Scope), String> {
    let (local, host) = match text.rsplit_once('@') {
        Some((local, host)) => (Some(local.to_ascii_lowercase()), host),
        None => (None, text),
    };
    if local.as_deref().is_some_and(|local| local.contains('*')) || host.contains('*') && host != "*" {
        return Err("patterns mean nothing in a table without refile:, so it never fitted; write refile: before the \
                    path and import again if it should"
            .into());
    }
    let scope = match host {
        "*" => Scope::Every,
        _ => match host.strip_prefix('.') {
            Some(above) => Scope::Below(name(above)?),
            None => Scope::Exact(name(host)?),
        },
    };
    Ok((local, scope))
}

fn name(text: &str) -> Result<DomainName, String> {
    DomainName::new(text).map_err(|why| format!("{text:?} is no domain: {why}, so it never fitted; mend the name"))
}

/// The domains for which the file of a template with `%` exists.
fn domains_in(template: &str) -> Vec<DomainName> {
    let Some((before, after)) = template.split_once('%') else { return Vec::new() };
    let (folder, start) = before.rsplit_once('/').unwrap_or((".", before));
    let end = after.split('/').next().unwrap_or_default().replace('%', "");
    let folder = if folder.is_empty() { Path::new("/") } else { Path::new(folder) };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut domains: Vec<DomainName> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let domain = DomainName::new(name.strip_prefix(start)?.strip_suffix(end.as_str())?).ok()?;
            Path::new(&template.replace('%', domain.as_str())).is_file().then_some(domain)
        })
        .collect();
    domains.sort();
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(read: Result<(Option<String>, Scope), String>) -> String {
        match read {
            Ok((local, scope)) => {
                format!("{} {scope:?}", local.unwrap_or_else(|| "any".into())).replace("DomainName", "")
            }
            Err(why) => why.split([';', ':']).next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn patterns_and_plain_keys_differ() {
        for (text, as_pattern, as_plain) in [
            ("*@example.com", "any Exact((\"example.com\"))", "patterns mean nothing in a table without refile"),
            ("ann@Example.com", "ann Exact((\"example.com\"))", "ann Exact((\"example.com\"))"),
            ("*@*.example.com", "any Below((\"example.com\"))", "patterns mean nothing in a table without refile"),
            ("*.example.com", "any Below((\"example.com\"))", "patterns mean nothing in a table without refile"),
            ("*example.com", "any Ending((\"example.com\"))", "patterns mean nothing in a table without refile"),
            ("*", "any Every", "any Every"),
            (
                "example.com",
                "OpenDKIM compares it with the whole address, so it never fitted",
                "any Exact((\"example.com\"))",
            ),
            (
                ".example.com",
                "OpenDKIM compares it with the whole address, so it never fitted",
                "any Below((\"example.com\"))",
            ),
            (
                "info*@example.com",
                "such a pattern has no counterpart",
                "patterns mean nothing in a table without refile",
            ),
            (
                "*@mail[0-9].example.com",
                "such a pattern has no counterpart",
                "patterns mean nothing in a table without refile",
            ),
            ("bot@*", "bot Every", "bot Every"),
        ] {
            assert_eq!(show(pattern(text)), as_pattern, "{text} as a pattern");
            assert_eq!(show(plain(text)), as_plain, "{text} as it is");
        }
    }
}
