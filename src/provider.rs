//! Provider profiles: what a sending service documents, above all which selector it uses for which environment and region.
//!
//! A profile is data (`conf/providers/*.toml`), built into the program; a folder of the operator adds profiles and
//! replaces those of the same name. Who has no profile names a selector and needs nothing of this.
//! A profile that cannot be read is a [`ProfileMistake`] with its file and line.

use crate::name::DomainName;
use serde::{Deserialize, Deserializer};
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The profile that is meant where an environment and a region are given without a provider.
pub const DEFAULT_PROVIDER: &str = "ncloud";

/// The profiles of this program, by file name.
const BUILT_IN: &[(&str, &str)] = &[
    ("google.toml", include_str!("../conf/providers/google.toml")),
    ("microsoft365.toml", include_str!("../conf/providers/microsoft365.toml")),
    ("ncloud.toml", include_str!("../conf/providers/ncloud.toml")),
    ("sendgrid.toml", include_str!("../conf/providers/sendgrid.toml")),
    ("ses.toml", include_str!("../conf/providers/ses.toml")),
];

/// What a provider documents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its short name, as in the settings.
    pub name: String,
    /// Its full name, for people.
    pub title: String,
    /// Its selectors; the first of them that are not legacy come first.
    pub selectors: Vec<ProfileSelector>,
    /// The exact size of the RSA key that it demands, in bits; `None` if it does not say.
    #[serde(default)]
    pub key_bits: Option<usize>,
    /// The name that the SPF record of a domain must include.
    #[serde(default, deserialize_with = "optional_name")]
    pub spf_include: Option<DomainName>,
    /// Must the record of every domain that it sends for have that name? Otherwise only a record that fails to let its
    /// servers send.
    #[serde(default = "yes")]
    pub spf_demanded: bool,
    /// Where the CNAME at a key's name leads, if the provider keeps the keys itself; `*` stands for anything.
    #[serde(default)]
    pub cname_targets: Vec<String>,
    /// The domains that it signs under while it does not sign under that of the sender.
    #[serde(default, deserialize_with = "names")]
    pub signing_domains: Vec<DomainName>,
    /// The time to live that it recommends for records.
    #[serde(default)]
    pub ttl: Option<TtlBounds>,
    /// Must a token in a TXT record prove first whose the domain is?
    #[serde(default)]
    pub domain_token: bool,
    /// Does it sign only after it has verified the record and been told to?
    #[serde(default)]
    pub signs_only_when_verified: bool,
    /// How it is told to sign: a step for people.
    #[serde(default)]
    pub activate: Option<String>,
    /// Where its console shows the state of a domain: each entry one way to it, the newest first.
    #[serde(default)]
    pub console: Vec<String>,
    /// Suffixes of the names of its own name servers, whose panel splits long TXT values itself.
    #[serde(default)]
    pub name_servers: Vec<String>,
    /// The pages that document this.
    #[serde(default)]
    pub documentation: Vec<Documentation>,
}

/// One selector of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSelector {
    /// The environment, lower case; every selector that is neither legacy nor common has one.
    #[serde(default)]
    pub environment: Option<String>,
    /// The region, lower case; every selector that is neither legacy nor common has one.
    #[serde(default)]
    pub region: Option<String>,
    /// s=.
    #[serde(deserialize_with = "name")]
    pub selector: DomainName,
    /// Was it given out once and no longer? Such a selector is recognised in mail and DNS, and never chosen.
    #[serde(default)]
    pub legacy: bool,
    /// Is it a word that others use too, for all places alike? Then it tells no provider.
    #[serde(default)]
    pub common: bool,
}

/// Bounds for the time to live of a record, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TtlBounds {
    /// The least, in seconds.
    pub min: u32,
    /// The most, in seconds.
    pub max: u32,
}

/// A page that documents what a profile says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documentation {
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
}

/// All profiles at hand, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    by_name: BTreeMap<String, Arc<Profile>>,
}

/// A profile of the operator that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileMistake {
    /// The file or folder.
    pub file: PathBuf,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub what: String,
}

/// No selector belongs to what was asked for. `Display` lists what exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSelector {
    /// There is no profile of this name.
    Provider {
        /// The name asked for.
        asked: String,
        /// The names that exist.
        exist: Vec<String>,
    },
    /// The profile has no such environment and region.
    Place {
        /// The profile.
        provider: String,
        /// The environment asked for.
        environment: String,
        /// The region asked for.
        region: String,
        /// The pairs that exist, with their selectors, as [`Profile::listed_places`] writes them.
        exist: String,
    },
}

impl Profile {
    /// The selector for an environment and a region, whatever the case of their letters; never a legacy one.
    pub fn selector(&self, environment: &str, region: &str) -> Result<&ProfileSelector, NoSelector> {
        self.places()
            .find(|(e, r, _)| e.eq_ignore_ascii_case(environment) && r.eq_ignore_ascii_case(region))
            .map(|(_, _, selector)| selector)
            .ok_or_else(|| NoSelector::Place {
                provider: self.name.clone(),
                environment: environment.to_owned(),
                region: region.to_owned(),
                exist: self.listed_places(),
            })
    }

    /// Every environment and region with its selector, for people: `private kr (ncpcompubkr), private jp (...)`.
    pub fn listed_places(&self) -> String {
        let places: Vec<_> = self.places().map(|(e, r, entry)| format!("{e} {r} ({})", entry.selector)).collect();
        if places.is_empty() { "none".to_owned() } else { places.join(", ") }
    }

    /// Every environment and region with its selector; legacy selectors have no place.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str, &ProfileSelector)> {
        self.selectors
            .iter()
            .filter(|selector| !selector.legacy)
            .filter_map(|selector| Some((selector.environment.as_deref()?, selector.region.as_deref()?, selector)))
    }

    /// The entry of this selector, if it is one of the profile's, legacy ones included.
    pub fn entry(&self, selector: &DomainName) -> Option<&ProfileSelector> {
        self.selectors.iter().find(|entry| entry.selector == *selector)
    }

    /// Is this where a CNAME at a key's name should lead? `true` too where the provider does not say.
    pub fn leads_right(&self, target: &str) -> bool {
        let target = target.trim_end_matches('.').to_ascii_lowercase();
        self.cname_targets.is_empty() || self.cname_targets.iter().any(|pattern| matches(pattern, &target))
    }

    /// What it documents, without what it demands of a domain.
    fn undemanding(&self) -> Profile {
        Profile { key_bits: None, spf_include: None, ttl: None, domain_token: false, ..self.clone() }
    }

    /// Reads the text of a profile; `file` stands in mistakes.
    pub fn read(text: &str, file: &Path) -> Result<Profile, ProfileMistake> {
        let mistake = |line, what| ProfileMistake { file: file.to_owned(), line, what };
        let profile: Profile = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            mistake(line, error.message().to_owned())
        })?;
        profile.judge().map_err(|what| mistake(None, what))?;
        Ok(profile)
    }

    /// What types cannot say.
    fn judge(&self) -> Result<(), String> {
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(format!("name: {:?} is not a short name; use letters, digits, - and _", self.name));
        }
        for (index, entry) in self.selectors.iter().enumerate() {
            if !entry.legacy && !entry.common && (entry.environment.is_none() || entry.region.is_none()) {
                return Err(format!(
                    "selector {}: needs environment and region, or legacy = true, or common = true",
                    entry.selector
                ));
            }
            let twin = self.selectors[..index].iter().find(|earlier| {
                !entry.legacy
                    && !earlier.legacy
                    && entry.environment.is_some()
                    && earlier.environment == entry.environment
                    && earlier.region == entry.region
            });
            if let Some(twin) = twin {
                let place = (entry.environment.as_deref().unwrap_or(""), entry.region.as_deref().unwrap_or(""));
                return Err(format!(
                    "environment {:?}, region {:?} has two selectors: {} and {}",
                    place.0, place.1, twin.selector, entry.selector
                ));
            }
        }
        match self.ttl {
            Some(ttl) if ttl.min > ttl.max => Err(format!("ttl: min {} is more than max {}", ttl.min, ttl.max)),
            _ => Ok(()),
        }
    }
}

impl Profiles {
    /// The profiles of this program.
    pub fn built_in() -> Profiles {
        let by_name = BUILT_IN
            .iter()
            .map(|(file, text)| {
                let profile = Profile::read(text, Path::new(file)).expect("a test reads every built-in profile");
                (profile.name.clone(), Arc::new(profile))
            })
            .collect();
        Profiles { by_name }
    }

    /// The built-in profiles with those of a folder of the operator (its files `*.toml`), which win.
    /// Every file is read, so that all mistakes come at once.
    pub fn with_directory(directory: &Path) -> Result<Profiles, Vec<ProfileMistake>> {
        let mut profiles = Profiles::built_in();
        let mut mistakes = Vec::new();
        let mut origins: BTreeMap<String, PathBuf> = BTreeMap::new();
        for file in profile_files(directory).map_err(|mistake| vec![mistake])? {
            match read_file(&file) {
                Err(mistake) => mistakes.push(mistake),
                Ok(profile) => {
                    if let Some(earlier) = origins.insert(profile.name.clone(), file.clone()) {
                        let what = format!("the profile {:?} stands in {} too", profile.name, earlier.display());
                        mistakes.push(ProfileMistake { file, line: None, what });
                    }
                    profiles.by_name.insert(profile.name.clone(), Arc::new(profile));
                }
            }
        }
        if mistakes.is_empty() { Ok(profiles) } else { Err(mistakes) }
    }

    /// The profile of this name.
    pub fn get(&self, name: &str) -> Result<&Arc<Profile>, NoSelector> {
        self.by_name.get(&name.to_ascii_lowercase()).ok_or_else(|| NoSelector::Provider {
            asked: name.to_owned(),
            exist: self.by_name.keys().cloned().collect(),
        })
    }

    /// All profiles, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.by_name.values()
    }

    /// The profile that a selector alone tells. A selector of former times was often an ordinary word, which others use
    /// too: it tells where else a key may stand, and makes no demands.
    pub fn inferred(&self, selector: &DomainName) -> Option<Arc<Profile>> {
        let (profile, entry) = self.by_selector(selector)?;
        Some(if entry.legacy { Arc::new(profile.undemanding()) } else { profile.clone() })
    }

    /// The first profile that has this selector, legacy ones included, and its entry there. A common word tells none.
    pub fn by_selector(&self, selector: &DomainName) -> Option<(&Arc<Profile>, &ProfileSelector)> {
        let own = |profile: &'_ Profile| profile.entry(selector).is_some_and(|entry| !entry.common);
        let profile = self.iter().find(|profile| own(profile))?;
        Some((profile, profile.entry(selector)?))
    }
}

impl fmt::Display for ProfileMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.what)
    }
}

impl std::error::Error for ProfileMistake {}

impl fmt::Display for NoSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSelector::Provider { asked, exist } => {
                write!(f, "no provider {asked:?}; those that exist: {}", exist.join(", "))
            }
            NoSelector::Place { provider, environment, region, exist } => write!(
                f,
                "{provider} has no selector for environment {environment:?}, region {region:?}; those that exist: {exist}"
            ),
        }
    }
}

impl std::error::Error for NoSelector {}

fn profile_files(directory: &Path) -> Result<Vec<PathBuf>, ProfileMistake> {
    let unreadable = |error: std::io::Error| ProfileMistake {
        file: directory.to_owned(),
        line: None,
        what: format!("cannot be read: {error}"),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(file: &Path) -> Result<Profile, ProfileMistake> {
    let text = fs::read_to_string(file).map_err(|error| ProfileMistake {
        file: file.to_owned(),
        line: None,
        what: format!("cannot be read: {error}"),
    })?;
    Profile::read(&text, file)
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DomainName, D::Error> {
    let text = String::deserialize(deserializer)?;
    DomainName::new(&text).map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DomainName>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read =
        |text: &String| DomainName::new(text).map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")));
    texts.iter().map(read).collect()
}

fn yes() -> bool {
    true
}

/// Does a name fit a pattern in which `*` stands for anything but nothing?
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let at = match pieces.peek() {
            None => rest.len().checked_sub(piece.len()).filter(|at| rest[*at..] == *piece),
            Some(_) => rest.find(piece),
        };
        match at.filter(|at| *at > 0) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

fn optional_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DomainName>, D::Error> {
    name(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ncloud_has_the_selectors_of_its_guide() {
        let profiles = Profiles::built_in();
        let ncloud = profiles.get(DEFAULT_PROVIDER).expect("the default provider exists");
        for (environment, region, want) in [
            ("private", "kr", "ncpcompubkr"),
            ("private", "jp", "ncpcompubjpn"),
            ("private", "sg", "ncpcompubsgn"),
            ("financial", "kr", "ncpcomfin"),
            ("public", "kr", "ncpcomgov"),
            ("Private", "KR", "ncpcompubkr"),
        ] {
            let found = ncloud.selector(environment, region).expect("this place exists");
            assert_eq!(found.selector.as_str(), want, "{environment} {region}");
        }
        assert_eq!(ncloud.key_bits, Some(2048));
        assert_eq!(ncloud.spf_include.as_ref().map(DomainName::as_str), Some("email.ncloud.com"));
        assert_eq!(ncloud.ttl, Some(TtlBounds { min: 300, max: 3600 }));
        assert_eq!(ncloud.console.len(), 2);
        assert!(ncloud.signs_only_when_verified && ncloud.domain_token);
    }

    #[test]
    fn a_wrong_place_is_refused_with_those_that_exist() {
        let profiles = Profiles::built_in();
        let ncloud = profiles.get("ncloud").expect("it exists");
        let refusal = ncloud.selector("financial", "jp").expect_err("there is none").to_string();
        assert_eq!(
            refusal,
            "ncloud has no selector for environment \"financial\", region \"jp\"; those that exist: private kr \
             (ncpcompubkr), private jp (ncpcompubjpn), private sg (ncpcompubsgn), financial kr (ncpcomfin), public kr \
             (ncpcomgov)"
        );
        let refusal = profiles.get("nowhere").expect_err("there is none").to_string();
        assert_eq!(refusal, "no provider \"nowhere\"; those that exist: google, microsoft365, ncloud, sendgrid, ses");
    }

    #[test]
    fn the_legacy_selector_is_recognised_and_never_chosen() {
        let profiles = Profiles::built_in();
        let mailer = DomainName::new("mailer").expect("a name");
        let (profile, entry) = profiles.by_selector(&mailer).expect("it is known");
        assert!(entry.legacy);
        assert!(profile.places().all(|(_, _, selector)| selector.selector != mailer));
    }

    #[test]
    fn a_selector_that_others_use_too_tells_no_provider() {
        let profiles = Profiles::built_in();
        for word in ["google", "selector1", "selector2", "s1", "s2", "default", "mail"] {
            let word = DomainName::new(word).expect("a name");
            assert_eq!(profiles.inferred(&word), None, "{word}");
        }
        let legacy = profiles.inferred(&DomainName::new("mailer").expect("a name")).expect("ncloud");
        assert_eq!((legacy.key_bits, &legacy.spf_include, legacy.ttl), (None, &None, None));
    }

    #[test]
    fn targets_of_aliases_fit_their_patterns() {
        let profiles = Profiles::built_in();
        for (provider, target, right) in [
            ("microsoft365", "selector1-contoso-com._domainkey.contoso.onmicrosoft.com", true),
            ("microsoft365", "Selector1-contoso-com._domainkey.contoso.n-v1.dkim.mail.microsoft.", true),
            ("microsoft365", "selector1-contoso-com._domainkey.contoso.onmicrosoft.com.contoso.com", false),
            ("ses", "abc.dkim.amazonses.com", true),
            ("ses", "abc.dkim.af-south-1.amazonses.com", true),
            ("ses", "dkim.amazonses.com", false),
            ("sendgrid", "s1.domainkey.u1.wl.sendgrid.net", true),
            ("sendgrid", "sendgrid.net", false),
            ("google", "anything.example", true),
        ] {
            let profile = profiles.get(provider).expect("it exists");
            assert_eq!(profile.leads_right(target), right, "{provider} {target}");
        }
    }

    #[test]
    fn a_folder_adds_and_replaces_profiles() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("written");
        write(
            "own.toml",
            "name = \"own\"\ntitle = \"Ours\"\nselectors = [{ environment = \"a\", region = \"b\", selector = \"s1\" }]",
        );
        write("ncloud.toml", "name = \"ncloud\"\ntitle = \"Changed\"\nselectors = []");
        write("notes.txt", "not a profile");
        let profiles = Profiles::with_directory(folder.path()).expect("good profiles");
        assert_eq!(profiles.get("ncloud").expect("it exists").title, "Changed");
        let own = profiles.get("own").expect("it exists");
        assert_eq!(own.selector("a", "b").expect("it exists").selector.as_str(), "s1");
    }

    #[test]
    fn mistakes_of_all_profiles_come_at_once_with_file_and_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("written");
        write("a.toml", "name = \"a\"\ntitle = \"A\"\nselectors = []\nkey_bit = 2048\n");
        write("b.toml", "name = \"b\"\ntitle = \"B\"\nselectors = [\n  { selector = \"s 1\" },\n]\n");
        write("c.toml", "name = \"c\"\ntitle = \"C\"\nselectors = [{ selector = \"s1\" }]\n");
        let mistakes = Profiles::with_directory(folder.path()).expect_err("three bad profiles");
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [Some(4), Some(4), None]);
        assert!(mistakes[2].what.contains("needs environment and region"), "{}", mistakes[2]);
        let missing = Profiles::with_directory(&folder.path().join("none")).expect_err("no such folder");
        assert!(missing[0].what.contains("cannot be read"), "{}", missing[0]);
    }
}
