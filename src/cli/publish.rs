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

/// Under which selector.
#[derive(clap::Args)]
pub struct Place {
    /// The environment at the provider: private, financial or public
    #[arg(long, value_name = "ENV")]
    pub environment: Option<String>,
    /// The region at the provider: kr, jp or sg
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The provider whose selectors are meant [default: ncloud]
    #[arg(long, value_name = "NAME")]
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
    /// The profile that it belongs to, whether it was chosen by place or named.
    pub profile: Option<Arc<Profile>>,
    /// What its owner should know who named it.
    named: Option<String>,
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
        match &self.selector {
            Some(selector) => Ok(Chosen::named(selector, &profiles)),
            None => self.choose_by_place(&profiles).map_err(|what| {
                Mistake::new(format!("{what}\nwith a selector of your own, give --selector NAME in place of these"))
            }),
        }
    }

    fn choose_by_place(&self, profiles: &Profiles) -> Result<Chosen, String> {
        let provider = self.provider.as_deref().unwrap_or(DEFAULT_PROVIDER);
        let profile = profiles.get(provider).map_err(|none| none.to_string())?;
        let what = match (&self.environment, &self.region) {
            (Some(environment), Some(region)) => {
                let entry = profile.selector(environment, region).map_err(|none| none.to_string())?;
                return Ok(Chosen { selector: entry.selector.clone(), profile: Some(profile.clone()), named: None });
            }
            (Some(environment), None) => format!("--environment {environment} needs a --region"),
            (None, Some(region)) => format!("--region {region} needs an --environment"),
            (None, None) => "a selector is needed: give --environment and --region".to_owned(),
        };
        Err(format!("{what}; those of {} that exist: {}", profile.name, profile.listed_places()))
    }
}

/// Where the record of a key of this domain, under this selector, stands.
pub fn record_name(selector: &DomainName, domain: &DomainName) -> Result<DomainName, Mistake> {
    Record::dkim_name(selector, domain)
        .map_err(|error| Mistake::new(format!("{selector}._domainkey.{domain} cannot stand in DNS: {error}")))
}

impl Chosen {
    /// A selector by its name. Where it is one of a profile, what the profile demands holds for it too.
    fn named(selector: &DomainName, profiles: &Profiles) -> Chosen {
        let found = profiles.by_selector(selector);
        let named = found.map(|(profile, entry)| match (&entry.environment, &entry.region) {
            _ if entry.legacy => format!(
                "{selector} is a legacy selector of {} ({}), which gives it out no longer; take --environment and \
                 --region, or a selector of your own",
                profile.name, profile.title
            ),
            (Some(environment), Some(region)) => format!(
                "{selector} is the selector of {} ({}) for environment {environment}, region {region}",
                profile.name, profile.title
            ),
            _ => format!("{selector} is a selector of {} ({})", profile.name, profile.title),
        });
        Chosen { selector: selector.clone(), profile: found.map(|(profile, _)| profile.clone()), named }
    }

    /// Can a new key of this type stand under the selector?
    pub fn admits(&self, algorithm: KeyType) -> Result<(), Mistake> {
        let demand = self.profile.as_ref().and_then(|profile| Some((profile, profile.key_bits?)));
        match demand {
            Some((profile, bits)) if algorithm != KeyType::Rsa => Err(Mistake::new(format!(
                "{} demands an RSA key of {bits} bits under {}; give the {} key a selector of its own: --selector NAME",
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

    /// The resolver that was named.
    pub fn resolver(&self) -> Option<SocketAddr> {
        self.resolver
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
pub fn notes(chosen: &Chosen) -> impl Iterator<Item = String> {
    let profile = chosen.profile.as_ref().filter(|profile| profile.signs_only_when_verified);
    let signer = profile.map(|profile| {
        format!(
            "this record is for mail that you sign yourself; where {} signs for you, publish the value of its console \
             instead, and sign with your own --selector",
            profile.name
        )
    });
    chosen.named.clone().into_iter().chain(signer)
}

fn could_not_look(name: &DomainName, why: &str) -> String {
    format!("could not look whether another key stands at {name} ({why}): make sure before you publish")
}

/// A name of DNS, as an argument.
pub fn name(text: &str) -> Result<DomainName, NameError> {
    DomainName::new(text)
}

/// `IP` or `IP:PORT` of a name server; port 53 where none is given.
pub fn resolver(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    with_port.or_else(alone).ok_or_else(|| "not an IP address, or one with a port, as 192.0.2.1:53".to_owned())
}
