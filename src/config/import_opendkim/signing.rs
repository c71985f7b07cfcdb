//! Who signs with what: the domains of the new settings, made from Domain, KeyFile and Selector or from the two tables.
//!
//! Waxseal chooses a key by the From domain alone, and signs under that domain or one above it. So the tables are first
//! turned into domains; then both ways of deciding are asked about an address of every row, and each difference is told.

use super::{
    conf::Place,
    tables::{Made, Rule, Scope, Source, Tables},
    told::{Reading, Weight},
};
use crate::name::DomainName;
use std::collections::HashSet;

/// A domain of the new settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// What OpenDKIM made of its mail: d=, s= and the key.
    pub made: Made,
    /// Does it sign for names below it too?
    pub subdomains: bool,
    /// i=.
    pub identity: Option<String>,
    /// The line that it comes from.
    pub place: Place,
}

/// A name below a domain that nobody has, to ask about all such names.
const ANY_BELOW: &str = "any-other-name";

/// All domains that sign.
pub fn signers(reading: &mut Reading<'_>) -> Vec<Signer> {
    let has = |name: &str| reading.conf.get(name).is_some();
    match (has("KeyTable"), has("SigningTable")) {
        (false, false) => single(reading),
        (true, true) => {
            for name in ["Domain", "KeyFile", "Selector"] {
                if let Some(entry) = reading.conf.get(name) {
                    reading.option(Weight::Needless, entry, "KeyTable and SigningTable take its place");
                }
            }
            let Some(tables) = Tables::read(reading) else { return Vec::new() };
            let signers = domains(&tables);
            compare(reading, &tables, &signers);
            signers
        }
        (true, false) => {
            let entry = reading.conf.get("KeyTable").cloned();
            if let (Some(entry), None) = (entry, reading.conf.get("SetupPolicyScript")) {
                reading.mistake(&entry, "without SigningTable nothing chooses among its keys; name SigningTable too");
            }
            Vec::new()
        }
        (false, true) => {
            let entry = reading.conf.get("SigningTable").cloned();
            if let Some(entry) = entry {
                reading.mistake(&entry, "names keys, and there is no KeyTable that has them; name KeyTable too");
            }
            Vec::new()
        }
    }
}

/// One key for all domains: Domain, KeyFile and Selector.
fn single(reading: &mut Reading<'_>) -> Vec<Signer> {
    let [domain, key, selector] = ["Domain", "KeyFile", "Selector"].map(|name| reading.conf.get(name));
    let (Some(_), Some(key), Some(selector)) = (domain, key, selector) else {
        if let Some(first) = domain.or(key).or(selector) {
            reading.mistake(first, "signing takes Domain, KeyFile and Selector together; add what is missing");
        }
        return Vec::new();
    };
    let name = match DomainName::new(&selector.value) {
        Ok(name) => name,
        Err(why) => {
            reading.mistake(selector, format!("{:?} cannot stand in DNS: {why}; mend it", selector.value));
            return Vec::new();
        }
    };
    let source = Source::File(reading.conf.path(&key.value, &key.place));
    let Some((_, _, rows)) = reading.dataset("Domain", "write a table [domains.\"NAME\"] for each domain that it has")
    else {
        return Vec::new();
    };
    let subdomains = reading.conf.is("SubDomains");
    let mut signers: Vec<Signer> = Vec::new();
    for row in rows {
        match DomainName::new(&row.key) {
            Ok(domain) if signers.iter().any(|signer| signer.made.domain == domain) => {}
            Ok(domain) => signers.push(Signer {
                made: Made { domain, selector: name.clone(), source: source.clone() },
                subdomains,
                identity: None,
                place: row.place,
            }),
            Err(_) if row.key.contains('*') => {
                let why = "every domain of the world cannot be signed for; write [domains.\"NAME\"] for each of yours";
                reading.row(Weight::Lost, &row.place, format!("Domain {}", row.key), why);
            }
            Err(why) => {
                let what = format!("Domain: {:?} is no domain: {why}; mend it", row.key);
                reading.mistakes.push(row.place.mistake(what));
            }
        }
    }
    signers
}

/// The domains that come closest to the tables: rows that sign as their From domain first, then those above it.
fn domains(tables: &Tables) -> Vec<Signer> {
    let mut signers = Vec::new();
    let whole = || tables.rules.iter().filter(|rule| rule.local.is_none());
    for rule in whole() {
        for from in own_names(tables, rule) {
            if let Some(made) = tables.made(rule, &from).filter(|made| made.domain == from) {
                let identity = identity(rule, &made.domain);
                put(&mut signers, rule, made, false, identity);
            }
        }
    }
    for rule in whole() {
        for (from, below) in wider_names(tables, rule) {
            if let Some(made) = tables.made(rule, &from).filter(|made| from.is_within(&made.domain)) {
                let wider = below || from != made.domain;
                put(&mut signers, rule, made, wider, None);
            }
        }
    }
    signers
}

/// The From domains that a rule is about, one by one.
fn own_names(tables: &Tables, rule: &Rule) -> Vec<DomainName> {
    let with_files = || tables.domains_with_files(rule).into_iter();
    match &rule.scope {
        Scope::Exact(name) => vec![name.clone()],
        Scope::Ending(name) => with_files().filter(|found| found.is_within(name)).chain([name.clone()]).collect(),
        Scope::Below(name) => with_files().filter(|found| found != name && found.is_within(name)).collect(),
        Scope::Every => with_files().chain(tables.fixed_domain(rule).cloned()).collect(),
    }
}

/// From domains that may be signed for by a domain above them, or by it for all names below.
fn wider_names(tables: &Tables, rule: &Rule) -> Vec<(DomainName, bool)> {
    let fixed = tables.fixed_domain(rule).cloned();
    match &rule.scope {
        Scope::Exact(name) => vec![(name.clone(), false)],
        Scope::Below(name) | Scope::Ending(name) => {
            // d= may stand above the names, or be one of them.
            let within = fixed.filter(|domain| domain.is_within(name)).unwrap_or_else(|| name.clone());
            if tables.fixed_domain(rule).is_some() { vec![(within, true)] } else { Vec::new() }
        }
        Scope::Every => fixed.into_iter().map(|domain| (domain, true)).collect(),
    }
}

fn put(signers: &mut Vec<Signer>, rule: &Rule, made: Made, subdomains: bool, identity: Option<String>) {
    match signers.iter_mut().find(|signer| signer.made.domain == made.domain) {
        Some(signer) if signer.made == made => signer.subdomains |= subdomains,
        Some(_) => {}
        None => signers.push(Signer { made, subdomains, identity, place: rule.place.clone() }),
    }
}

/// i= as OpenDKIM writes it, where it may stand.
fn identity(rule: &Rule, domain: &DomainName) -> Option<String> {
    let signer = rule.signer.as_ref()?.replace('%', domain.as_str());
    let (user, host) = signer.rsplit_once('@')?;
    let good = user.bytes().all(|octet| octet.is_ascii_graphic() && octet != b';');
    (good && DomainName::new(host).is_ok_and(|host| host.is_within(domain))).then_some(signer)
}

/// Asks both about an address of every row, and about what the new settings sign beyond.
fn compare(reading: &mut Reading<'_>, tables: &Tables, signers: &[Signer]) {
    let mut seen = HashSet::new();
    for rule in &tables.rules {
        for from in probes(rule) {
            let local = rule.local.as_deref().unwrap_or(ANY_BELOW);
            let before = tables.signatures(local, &from);
            let now = now(signers, &from);
            for (number, (decides, made)) in before.iter().enumerate() {
                let same = now.is_some_and(|signer| signer.made == *made);
                if !std::ptr::eq(*decides, rule)
                    || same
                    || !tables.could_sign(rule, made)
                    || !seen.insert((rule.place.line, number, from.clone()))
                {
                    continue;
                }
                let why = difference(rule, &from, made, now, number);
                reading.row(Weight::Lost, &rule.place, &rule.text, why);
            }
        }
    }
    for signer in signers.iter().filter(|signer| signer.subdomains) {
        let domain = &signer.made.domain;
        let below = below(domain);
        let before =
            |name: &DomainName| tables.signatures(ANY_BELOW, name).iter().any(|(_, made)| *made == signer.made);
        let unsigned = |name: &DomainName| !before(name);
        let more = match (unsigned(domain), below.as_ref().is_some_and(unsigned)) {
            (true, true) => format!("mail from {domain} itself and from all other names below it is"),
            (true, false) => format!("mail from {domain} itself is"),
            (false, true) => format!("mail from all other names below {domain} is"),
            (false, false) => continue,
        };
        let why =
            format!("{more} signed with its key now too, since a key is chosen for a domain and the names below it");
        reading.row(Weight::Changed, &signer.place, format!("[domains.\"{domain}\"] subdomains = true"), why);
    }
}

/// From domains to ask about for a rule.
fn probes(rule: &Rule) -> Vec<DomainName> {
    match &rule.scope {
        Scope::Exact(name) => vec![name.clone()],
        Scope::Below(name) => below(name).into_iter().collect(),
        Scope::Ending(name) => [Some(name.clone()), below(name)].into_iter().flatten().collect(),
        Scope::Every => DomainName::new(&format!("{ANY_BELOW}.invalid")).into_iter().collect(),
    }
}

fn below(name: &DomainName) -> Option<DomainName> {
    DomainName::new(&format!("{ANY_BELOW}.{name}")).ok()
}

/// The domain of the new settings that signs for a From domain.
fn now<'s>(signers: &'s [Signer], from: &DomainName) -> Option<&'s Signer> {
    let named = |name: &DomainName| signers.iter().find(|signer| signer.made.domain == *name);
    let above = std::iter::successors(from.parent(), DomainName::parent);
    named(from).or_else(|| above.filter_map(|name| named(&name)).find(|signer| signer.subdomains))
}

/// What is different, why, and what comes nearest.
fn difference(rule: &Rule, from: &DomainName, before: &Made, now: Option<&Signer>, number: usize) -> String {
    let name = from.as_str().strip_prefix(ANY_BELOW).map(|rest| rest.trim_start_matches('.'));
    let whose = match (&rule.local, name) {
        (Some(local), None) => format!("{local}@{from}"),
        (Some(local), Some(_)) => format!("{local} at other domains"),
        (None, Some("invalid")) => "domains that no other row is about".into(),
        (None, Some(above)) => format!("names below {above}"),
        (None, None) => from.to_string(),
    };
    let was = format!("mail from {whose} was signed with d={} s={}", before.domain, before.selector);
    let is = match now {
        Some(signer) => format!("now it has d={} s={}", signer.made.domain, signer.made.selector),
        None => "now it is not signed".to_owned(),
    };
    let instead = if number > 0 {
        "one RSA key signs for a domain; for a second signature add an Ed25519 key (ed25519 = {...})".to_owned()
    } else if rule.local.is_some() {
        "a key is chosen by the From domain, not by the address; give such senders a domain of their own below it"
            .into()
    } else if !from.is_within(&before.domain) && name.is_none() {
        format!(
            "a signature of another domain than that of From does not count for DMARC; make a key for {from}: waxseal \
             keygen --domain {from} --selector {}",
            before.selector
        )
    } else if name.is_some() {
        "each domain needs a table of its own: [domains.\"NAME\"], with a key made for it".into()
    } else {
        format!("{} has another key already; give {from} a table of its own", before.domain)
    };
    format!("{was}, {is}: {instead}")
}
