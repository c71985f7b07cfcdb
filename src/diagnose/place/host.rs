//! Near-miss names: where a record lands when its host was typed wrongly.

use super::{
    super::{
        case::{KeyCase, Match, Oracle},
        finding::{Confidence, Finding, RuledOut},
        register::place as causes,
    },
    Found, Ground, entry_hint, found_at, is_damaged_record, zone, zones,
};

/// What the search gave.
#[derive(Default)]
pub(super) struct Search {
    /// The record under another name.
    pub(super) finding: Option<Finding>,
    /// Records under other names that are not the right one.
    pub(super) excluded: Vec<RuledOut>,
}

/// How a host went wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    DomainDoubled,
    LabelMissing,
    UnderscoreLost,
    AtApex,
    AtDomainkey,
    ParentOrChild,
    LiteralTemplate,
    /// `selector._domainkey`, which somebody may really use.
    LiteralWord,
}

impl Variant {
    fn words(self) -> &'static str {
        match self {
            Variant::DomainDoubled => "the domain stands twice",
            Variant::LabelMissing => "_domainkey is missing",
            Variant::UnderscoreLost => "the underscore of _domainkey is lost, or the dot before it",
            Variant::AtApex => "it stands at the domain itself",
            Variant::AtDomainkey => "the selector is missing",
            Variant::ParentOrChild => "it stands at a parent or child domain",
            Variant::LiteralTemplate | Variant::LiteralWord => "the name was copied from a template",
        }
    }

    /// The word of the register.
    fn code(self) -> &'static str {
        match self {
            Variant::DomainDoubled => "domain-doubled",
            Variant::LabelMissing => "label-missing",
            Variant::UnderscoreLost => "underscore-lost",
            Variant::AtApex => "at-apex",
            Variant::AtDomainkey => "at-domainkey",
            Variant::ParentOrChild => "parent-or-child-domain",
            Variant::LiteralTemplate | Variant::LiteralWord => "literal-template",
        }
    }

    /// May others rightly keep keys of their own under this name?
    fn is_others(self) -> bool {
        matches!(self, Variant::ParentOrChild | Variant::LiteralWord)
    }

    /// What a key there is a sign of, where nothing tells whose it is. The word of a template beside nothing at all is
    /// a specific sign; a relative's key is its own.
    fn confidence(self) -> Confidence {
        match self {
            Variant::ParentOrChild => Confidence::Possible,
            _ => Confidence::Likely,
        }
    }

    /// Would a wildcard answer for such a name?
    fn is_drowned(self, ground: Ground) -> bool {
        match self {
            Variant::AtApex | Variant::ParentOrChild => false,
            Variant::LiteralTemplate | Variant::LiteralWord => ground.keys || ground.domain,
            _ => ground.domain,
        }
    }
}

/// The most steps up from d=: names of mail domains are short, and each step is a question.
const MAX_PARENTS: usize = 3;

/// Looks under every near-miss name: the commonest first, because only so many may be asked for.
pub(super) fn search(key: &KeyCase<'_>, ground: Ground) -> Search {
    let mut search = Search::default();
    let mut best: Option<(Confidence, Finding)> = None;
    for (variant, name) in names(key) {
        let answer = key.facts.txt(&name);
        if variant.is_drowned(ground) {
            continue;
        }
        let candidate = match found_at(key, &name) {
            Some(found) if found.knows.is_signer() => Some((Confidence::Certain, sound(key, variant, &found))),
            Some(found) if found.knows == Match::Refuted => {
                let because = format!("the key at {name} is another one");
                search.excluded.push(RuledOut { cause: &causes::RECORD_WRONG_HOST, because });
                None
            }
            Some(found) => Some((variant.confidence(), sound(key, variant, &found))),
            None if variant.is_others() => None,
            None => answer
                .filter(|answer| answer.joined_txt().iter().any(|text| is_damaged_record(text)))
                .map(|answer| (Confidence::Likely, damaged(key, variant, &name).dns("what stands there", answer))),
        };
        if let Some(candidate) = candidate
            && best.as_ref().is_none_or(|(confidence, _)| candidate.0 < *confidence)
        {
            best = Some(candidate);
        }
    }
    search.finding = best.map(|(confidence, finding)| Finding { confidence, ..finding });
    search
}

/// The names to look under; those that coincide with the right one are left out.
fn names(key: &KeyCase<'_>) -> Vec<(Variant, String)> {
    let (s, d) = (key.selector, key.domain);
    let own = key.name();
    // A panel appends its zone, which may be any name from d= upwards.
    let mut names: Vec<(Variant, String)> = zones(key)
        .into_iter()
        .take(MAX_PARENTS)
        .map(|zone| (Variant::DomainDoubled, format!("{own}.{zone}")))
        .collect();
    names.extend([
        (Variant::LabelMissing, format!("{s}.{d}")),
        (Variant::AtDomainkey, format!("_domainkey.{d}")),
        (Variant::AtApex, d.to_string()),
        (Variant::UnderscoreLost, format!("{s}.domainkey.{d}")),
        (Variant::UnderscoreLost, format!("{s}-domainkey.{d}")),
        (Variant::UnderscoreLost, format!("{s}_domainkey.{d}")),
    ]);
    names.extend(relatives(key).into_iter().map(|domain| (Variant::ParentOrChild, format!("{s}._domainkey.{domain}"))));
    names.extend([
        (Variant::LiteralTemplate, format!("{{selector}}._domainkey.{d}")),
        (Variant::LiteralWord, format!("selector._domainkey.{d}")),
        (Variant::LiteralTemplate, format!("{{selector}}._domainkey.{{domain}}.{}", zone(key))),
    ]);
    names.retain(|(_, name)| *name != own);
    names
}

/// The From domain, and the domains above d= that may be of the same owner.
fn relatives(key: &KeyCase<'_>) -> Vec<String> {
    let mut relatives: Vec<String> = Vec::new();
    let own = |name: &str| name == key.domain.as_str();
    if let Some(author) = key.author.filter(|author| !own(author.as_str())) {
        relatives.push(author.to_string());
    }
    let mut above = key.domain.parent();
    for _ in 0..MAX_PARENTS {
        let Some(domain) = above.filter(|domain| domain.labels().count() >= 2) else { break };
        if !relatives.contains(&domain.to_string()) {
            relatives.push(domain.to_string());
        }
        above = domain.parent();
    }
    relatives
}

/// A sound record under another name.
fn sound(key: &KeyCase<'_>, variant: Variant, found: &Found) -> Finding {
    let proof = match (found.knows, key.oracle) {
        (Match::Proven, Oracle::Key(_)) => "; its key is the one expected",
        (Match::Proven, _) => "; its key verifies this signature",
        (Match::Signer, _) => "; its key made this signature",
        _ => "",
    };
    let other = &found.name;
    let claim = format!("a key record stands at {other}, not at {}: {}{proof}", key.name(), variant.words());
    let finding = Finding::breaks(&causes::RECORD_WRONG_HOST, Confidence::Certain, claim)
        .text("variant", variant.code())
        .dns("the question for the key", key.answer)
        .dns("what stands at the other name", &found.answer)
        .key("the key there", &found.key)
        .fix(format!("create the TXT record at {}{}", key.name(), entry_hint(key)))
        .publish(&key.name(), found.text.clone());
    match variant.is_others() {
        true => finding,
        false => finding.fix(format!("delete the record at {other}")),
    }
}

/// A broken record under another name.
fn damaged(key: &KeyCase<'_>, variant: Variant, other: &str) -> Finding {
    let claim = format!("what looks like a key record stands at {other}, not at {}: {}", key.name(), variant.words());
    Finding::breaks(&causes::RECORD_WRONG_HOST, Confidence::Likely, claim)
        .text("variant", variant.code())
        .dns("the question for the key", key.answer)
        .fix(format!("create the TXT record at {}{}, with the signer's value", key.name(), entry_hint(key)))
        .fix(format!("delete the record at {other}, which could not be used anyway"))
}
