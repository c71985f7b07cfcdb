//! What a domain should have: from the arguments, else from the settings, else nothing but what every domain should.

use super::Options;
use crate::{
    cli::{Mistake, output},
    config::{DEFAULT_FILE, Domain, Settings},
    diagnose::{case::Expected, history::Published},
    dkim::record::{Key, KeyRecord},
    event::store::{Archive, FaultKind},
    key::PrivateKey,
    name::DomainName,
    provider::{DEFAULT_PROVIDER, Profile, Profiles},
};
use std::{collections::HashMap, fs, path::Path, sync::Arc};

/// What all domains of a run have in common.
pub struct Expect {
    settings: Option<Settings>,
    profiles: Arc<Profiles>,
    profile: Option<Arc<Profile>>,
    selector: Option<DomainName>,
    key: Option<Key>,
    token: Option<String>,
    spf_include: Option<DomainName>,
    replace: bool,
    /// What the milter saw at the names of the keys, by name.
    history: HashMap<String, Vec<Published>>,
}

/// What one domain should have.
pub struct Place {
    /// s=.
    pub selector: Option<DomainName>,
    /// For the diagnosis.
    pub expected: Expected,
    /// Was the profile told by the selector alone?
    pub inferred: bool,
    /// The domain in the settings, and what became of loading its key.
    pub configured: Option<Configured>,
    /// How far the rotations of its keys are.
    pub rotations: Vec<String>,
}

/// A domain of the settings.
pub struct Configured {
    /// The file of its key.
    pub key_file: String,
    /// Could it be loaded?
    pub loaded: Result<(), String>,
}

impl Expect {
    /// Reads the arguments and, where they are at hand, the settings.
    pub fn new(options: &Options) -> Result<Expect, Mistake> {
        let settings = settings(options)?;
        // Those of the operator too, where the settings name a folder of them.
        let profiles = settings.as_ref().map_or_else(Profiles::built_in, |settings| settings.profiles.clone());
        let profiles = Arc::new(profiles);
        let provider = match (&options.provider, &options.environment) {
            (Some(name), _) => Some(name.as_str()),
            (None, Some(_)) => Some(DEFAULT_PROVIDER),
            (None, None) => None,
        };
        let profile = provider
            .map(|name| profiles.get(name).cloned().map_err(|none| Mistake::new(none.to_string())))
            .transpose()?;
        let mut selector = options.selector.clone();
        if let (Some(profile), Some(environment), Some(region)) = (&profile, &options.environment, &options.region) {
            let entry = profile.selector(environment, region).map_err(|none| Mistake::new(none.to_string()))?;
            selector = Some(entry.selector.clone());
        }
        let key = match (&options.key, &options.expect) {
            (Some(file), _) => Some(private(file)?),
            (None, Some(file)) => Some(public(file)?),
            (None, None) => None,
        };
        Ok(Expect {
            settings,
            profiles,
            profile,
            selector,
            key,
            token: options.token.clone(),
            spf_include: options.spf_include.clone(),
            replace: options.replace,
            history: HashMap::new(),
        })
    }

    /// Reads what the milter of these settings saw published for the domains. Outside of a runtime: databases block.
    pub fn recall(&mut self, domains: &[DomainName]) {
        let Some(place) = self.settings.as_ref().and_then(|settings| settings.store.place.as_ref()) else { return };
        let mut archive = match Archive::open(place) {
            Ok(archive) => archive,
            // Nothing was ever kept.
            Err(fault) if fault.kind == FaultKind::Missing => return,
            Err(fault) => {
                output::say(format_args!("{fault}\nthe check goes on without what was published before"));
                return;
            }
        };
        for domain in domains {
            let Some(selector) = self.selector_of(domain) else { continue };
            let name = format!("{selector}._domainkey.{domain}");
            if let Ok(published) = archive.published(&name) {
                self.history.insert(name, published);
            }
        }
    }

    /// The selector that a domain should have.
    fn selector_of(&self, domain: &DomainName) -> Option<DomainName> {
        self.selector.clone().or_else(|| self.entry(domain)?.keys.first().map(|key| key.selector.clone()))
    }

    /// The domain in the settings, where the arguments do not say what it should have.
    fn entry(&self, domain: &DomainName) -> Option<&Arc<Domain>> {
        let entry = self.settings.as_ref().and_then(|settings| settings.domain_for(domain));
        entry.filter(|_| self.selector.is_none() && self.profile.is_none())
    }

    /// The settings, if they are at hand.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Every domain of the settings, by name.
    pub fn configured(&self) -> Result<Vec<DomainName>, Mistake> {
        let settings = self.settings.as_ref().ok_or_else(|| {
            Mistake::new(format!("--all needs settings: {DEFAULT_FILE} is not there; name the file with --config"))
        })?;
        let mut names: Vec<DomainName> = settings.domains.keys().cloned().collect();
        names.sort();
        Ok(names)
    }

    /// What this domain should have.
    pub fn of(&self, domain: &DomainName) -> Result<Place, Mistake> {
        let entry = self.entry(domain);
        let key_ref = entry.and_then(|entry| entry.keys.first());
        let loaded = entry.zip(key_ref).map(|(entry, _)| self.load(entry));
        let selector = self.selector_of(domain);
        let history =
            selector.as_ref().and_then(|selector| self.history.get(&format!("{selector}._domainkey.{domain}")));
        let told = self
            .profile
            .clone()
            .or_else(|| entry.and_then(|entry| entry.provider.as_ref()).map(|choice| choice.profile.clone()));
        let inferred = told.is_none();
        let profile = told.or_else(|| self.profiles.inferred(selector.as_ref()?));
        let (ours, configured) = match (loaded, key_ref) {
            (Some(loaded), Some(key_ref)) => {
                let (key, loaded) = match loaded {
                    Ok(key) => (Some(key), Ok(())),
                    Err(why) => (None, Err(why)),
                };
                (key, Some(Configured { key_file: key_ref.path.display().to_string(), loaded }))
            }
            _ => (None, None),
        };
        Ok(Place {
            configured,
            rotations: entry.map(|entry| self.rotations(&entry.name)).unwrap_or_default(),
            inferred: inferred && profile.is_some(),
            expected: Expected {
                profile,
                selector: selector.clone(),
                token: self.token.clone(),
                key: self.key.clone().or(ours),
                replace: self.replace,
                spf_include: self.spf_include.clone(),
                history: history.cloned().unwrap_or_default(),
                known: Some(self.profiles.clone()),
                ..Expected::default()
            },
            selector,
        })
    }

    fn rotations(&self, domain: &DomainName) -> Vec<String> {
        let Some(settings) = &self.settings else { return Vec::new() };
        settings.rotations_of(domain).map(|rotating| rotating.state(settings.rotation.keep)).collect()
    }

    /// The public half of a configured domain's first key.
    fn load(&self, entry: &Domain) -> Result<Key, String> {
        let settings = self.settings.as_ref().ok_or("there are no settings")?;
        let key = entry.keys.first().ok_or("it has no key")?;
        let key = key.load(&settings.key_directory).map_err(|mistake| mistake.to_string())?;
        KeyRecord::read(key.public_record().as_bytes()).key.ok_or_else(|| "its public half cannot be read".into())
    }
}

/// The settings: a file that was named must be good, one that merely lies there may be broken.
fn settings(options: &Options) -> Result<Option<Settings>, Mistake> {
    let named = options.config.is_some() || options.all;
    let file = options.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    if !named && !file.exists() {
        return Ok(None);
    }
    match Settings::load(file) {
        Ok(settings) => Ok(Some(settings)),
        Err(mistakes) if named => Err(Mistake::new(mistakes.to_string())),
        Err(mistakes) => {
            output::say(format_args!("{mistakes}\nthe check goes on without these settings"));
            Ok(None)
        }
    }
}

/// The public half of a private key.
fn private(file: &Path) -> Result<Key, Mistake> {
    let directory = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let record = PrivateKey::record_of(file, directory).map_err(|mistake| Mistake::new(format!("--key: {mistake}")))?;
    KeyRecord::read(record.as_bytes())
        .key
        .ok_or_else(|| Mistake::new(format!("--key: {}: its public half cannot be read", file.display())))
}

/// A public key: as PEM, as a record (also as it stands in a zone file, in quotes), or the base64 of p= alone.
fn public(file: &Path) -> Result<Key, Mistake> {
    let text =
        fs::read_to_string(file).map_err(|error| Mistake::new(format!("--expect: {}: {error}", file.display())))?;
    let value: String = match text.contains("-----BEGIN") {
        true => text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect(),
        false => match text.contains('"') {
            // The odd pieces stand between quotes.
            true => text.split('"').skip(1).step_by(2).collect(),
            // Pasted over several lines.
            false => text.lines().map(str::trim).collect::<Vec<_>>().join(" "),
        },
    };
    // As `dig` and master files write a semicolon.
    let value = value.replace("\\;", ";");
    let record = if value.contains("p=") { value } else { format!("v=DKIM1; p={value}") };
    let read = KeyRecord::read(record.as_bytes());
    read.key.ok_or_else(|| {
        let why = read.fault.map_or_else(|| "it holds no key".to_owned(), |fault| fault.to_string());
        Mistake::new(format!(
            "--expect: {}: {why}; a public key in PEM, a key record or the base64 of p= is needed",
            file.display()
        ))
    })
}
