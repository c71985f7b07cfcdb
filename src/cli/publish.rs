//! What the commands that make a key share: which selector, whether its name in DNS is free, and the record to publish.
//!
//! Where a provider signs by itself, the name of its selector holds the provider's key: a new record there would break
//! every signature of the provider's. So the name is looked up first, and a key that stands there is not to be replaced
//! unless somebody says so. A look-up that fails is said and stops nothing.

use super::Mistake;
use crate::{
    dkim::KeyType,
    dns::{Answer, Data, Dns, Outcome, live, zone},
    key::{self, Published, Record, RecordForm},
    name::{DomainName, NameError},
    provider::{DEFAULT_PROVIDER, Profile, Profiles},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// How long the look-up may take: people wait for it, and it is a precaution, not the work.
const DEADLINE: Duration = Duration::from_secs(3);

/// Whose key, and under which selector.
#[derive(clap::Args)]
pub struct Place {
    /// The domain that signs
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub domain: DomainName,
    /// The environment at the provider: private, financial or public
    #[arg(long, value_name = "ENV", requires = "region", required_unless_present = "selector")]
    pub environment: Option<String>,
    /// The region at the provider: kr, jp or sg
    #[arg(long, value_name = "REGION", requires = "environment")]
    pub region: Option<String>,
    /// The provider whose selectors are meant [default: ncloud]
    #[arg(long, value_name = "NAME", requires = "environment")]
    pub provider: Option<String>,
    /// A folder of provider profiles of your own
    #[arg(long, value_name = "DIR")]
    pub provider_directory: Option<PathBuf>,
    /// A selector of your own, instead of a provider's
    #[arg(long, value_name = "NAME", value_parser = name, conflicts_with_all = ["environment", "region", "provider"])]
    pub selector: Option<DomainName>,
}

/// Where to look whether the name is free, and what to do if it is not.
#[derive(clap::Args)]
pub struct Look {
    /// Go on although another key stands at the name in DNS: it is yours, and this one shall replace it
    #[arg(long)]
    replace: bool,
    /// Look in these master files instead of asking DNS
    #[arg(long, value_name = "FILE")]
    dns: Vec<PathBuf>,
    /// Ask this resolver instead of the system's
    #[arg(long, value_name = "IP[:PORT]", value_parser = resolver, conflicts_with = "dns")]
    resolver: Option<SocketAddr>,
}

/// A selector that was chosen.
pub struct Chosen {
    /// s=.
    pub selector: DomainName,
    /// The profile that chose it.
    pub profile: Option<Arc<Profile>>,
}

impl Place {
    /// The selector, named or by the profile; what does not exist is refused with the list of what does.
    pub fn choose(&self) -> Result<Chosen, Mistake> {
        let profiles = match &self.provider_directory {
            None => Profiles::built_in(),
            Some(directory) => Profiles::with_directory(directory).map_err(|mistakes| {
                Mistake::new(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            })?,
        };
        if let Some(selector) = &self.selector {
            return Ok(Chosen { selector: selector.clone(), profile: None });
        }
        let provider = self.provider.as_deref().unwrap_or(DEFAULT_PROVIDER);
        let (environment, region) =
            (self.environment.as_deref().unwrap_or_default(), self.region.as_deref().unwrap_or_default());
        let profile = profiles.get(provider).map_err(|none| Mistake::new(none.to_string()))?;
        let entry = profile.selector(environment, region).map_err(|none| Mistake::new(none.to_string()))?;
        Ok(Chosen { selector: entry.selector.clone(), profile: Some(profile.clone()) })
    }

    /// Where the record of a key under this selector stands.
    pub fn name(&self, selector: &DomainName) -> Result<DomainName, Mistake> {
        Record::dkim_name(selector, &self.domain).map_err(|error| {
            Mistake::new(format!("{selector}._domainkey.{} cannot stand in DNS: {error}", self.domain))
        })
    }
}

impl Chosen {
    /// Can a new key of this type stand under the selector?
    pub fn admits(&self, algorithm: KeyType) -> Result<(), Mistake> {
        match &self.profile {
            Some(profile) if algorithm != KeyType::Rsa && profile.key_bits.is_some() => Err(Mistake::new(format!(
                "{} demands an RSA key under {}; give the {} key a selector of its own: --selector NAME",
                profile.name,
                self.selector,
                algorithm.as_str()
            ))),
            _ => Ok(()),
        }
    }
}

impl Look {
    /// Looks at the name. `Err` where another key stands there and `--replace` was not given; else what to tell.
    pub fn at(&self, name: &DomainName) -> Result<Option<String>, Mistake> {
        let dns = match self.source()? {
            Ok(dns) => dns,
            Err(why) => return Ok(Some(could_not_look(name, &why))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Mistake::new(format!("the runtime cannot start: {error}")))?;
        let answer = runtime.block_on(async { tokio::time::timeout(DEADLINE, dns.txt(name)).await });
        match answer {
            Ok(answer) => self.judge(name, &answer),
            Err(_) => Ok(Some(could_not_look(name, "no answer in time"))),
        }
    }

    /// A resolver that is not there is no mistake; a master file that cannot be read is one.
    fn source(&self) -> Result<Result<Dns, String>, Mistake> {
        if !self.dns.is_empty() {
            return zone::load(&self.dns).map(Ok).map_err(|mistakes| Mistake::new(mistakes.to_string()));
        }
        let live = match self.resolver {
            Some(server) => Ok(live::resolver(server)),
            None => live::system().map_err(|mistake| mistake.to_string()),
        };
        Ok(live.map(|live| Dns::new(live.deadline(DEADLINE))))
    }

    fn judge(&self, name: &DomainName, answer: &Answer) -> Result<Option<String>, Mistake> {
        if let Outcome::Fault(fault) = &answer.outcome {
            return Ok(Some(could_not_look(name, &fault.to_string())));
        }
        let published: Vec<_> = answer.joined_txt().iter().map(|value| key::published_key(value)).collect();
        let holds_key = published.iter().any(|record| matches!(record, Published::Key(_)));
        if holds_key && !self.replace {
            return Err(Mistake::new(format!(
                "{name}: this name holds another signer's key; use your own --selector\n\
                 (if that key is yours and nobody signs with it any more, --replace goes on)"
            )));
        }
        let alias = answer.records.iter().find_map(|record| match &record.data {
            Data::Cname(target) => Some(target),
            _ => None,
        });
        Ok(if holds_key {
            Some(format!("another key stands at {name}: remove its record when you publish this one"))
        } else if published.contains(&Published::Revoked) {
            Some(format!("a revoked key stands at {name}: remove its record when you publish this one"))
        } else if let Some(target) = alias {
            Some(format!("{name} is an alias of {target}: remove the CNAME, no TXT record can stand beside it"))
        } else if !published.is_empty() {
            Some(format!("a TXT record that is no key stands at {name}: remove it, verifiers may take it for the key"))
        } else {
            None
        })
    }
}

/// The record in all forms, under headings.
pub fn all_forms(record: &Record) -> String {
    let strings = match record.strings().len() {
        1 => "As a string",
        _ => "As strings of at most 255 characters, for panels that want them split",
    };
    [
        ("As a line of a zone file", RecordForm::Zone),
        (strings, RecordForm::Strings),
        ("As one value, for panels that split it themselves", RecordForm::Single),
        ("As JSON", RecordForm::Json),
    ]
    .map(|(heading, form)| format!("{heading}:\n{}\n", record.write(form)))
    .join("\n")
}

/// What to know before publishing under a provider's selector.
pub fn provider_note(chosen: &Chosen) -> Option<String> {
    let profile = chosen.profile.as_ref().filter(|profile| profile.signs_only_when_verified)?;
    Some(format!(
        "this record is for mail that you sign yourself; where {} signs for you, publish the value of its console \
         instead, and sign with your own --selector",
        profile.name
    ))
}

fn could_not_look(name: &DomainName, why: &str) -> String {
    format!("could not look whether another key stands at {name} ({why}): make sure before you publish")
}

fn name(text: &str) -> Result<DomainName, NameError> {
    DomainName::new(text)
}

/// `IP` or `IP:PORT` of a name server; port 53 where none is given.
pub fn resolver(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    with_port.or_else(alone).ok_or_else(|| "not an IP address, or one with a port, as 192.0.2.1:53".to_owned())
}
