//! What runs during the demo: a domain with its key in a temporary folder, its name server, and the real milter.

use super::{
    Unexpected,
    journal::{self, Journal},
    letters::{DOMAIN, Letter},
    mta,
    name_server::{NameServer, Published},
    postfix::{Installed, Postfix},
};
use crate::{
    config::{Settings, key_file_name},
    dkim::KeyType,
    key::{self, Record},
    milter::Server,
    name::DomainName,
    provider::{DEFAULT_PROVIDER, Profiles},
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// The environment of the demo's domain, in the words of the provider's profile.
pub const ENVIRONMENT: &str = "private";
/// Its region.
pub const REGION: &str = "kr";

/// The domain as it is published.
pub struct Identity {
    /// What the profile chose.
    pub selector: DomainName,
    /// The TXT record of the key.
    pub key: Record,
    /// SPF, at the domain itself.
    pub spf: String,
    /// DMARC, at `_dmarc` below it.
    pub dmarc: String,
    /// What the SPF record includes.
    include: Option<DomainName>,
}

/// Everything that runs; it all ends with it.
pub struct Stage {
    /// The domain.
    pub identity: Identity,
    /// Its name server.
    pub name_server: NameServer,
    /// The log of the milter.
    pub journal: Journal,
    /// Where the milter listens.
    pub milter: SocketAddr,
    /// How messages reach it.
    pub road: Road,
    server: Server,
    folder: tempfile::TempDir,
}

/// How a message reaches the milter.
pub enum Road {
    /// From the demo's own MTA.
    Direct {
        /// How many messages it has had.
        count: u32,
    },
    /// From a private Postfix.
    Postfix(Box<Postfix>),
}

/// A message at the other end.
pub struct Delivered {
    /// The MTA's name for it.
    pub queue_id: String,
    /// The message, lines in CRLF.
    pub message: Vec<u8>,
}

impl Identity {
    /// Makes a key for the domain and writes it to the folder, with the settings that name the domain.
    pub fn make(folder: &tempfile::TempDir) -> Result<Identity, Unexpected> {
        let profiles = Profiles::built_in();
        let profile = profiles.get(DEFAULT_PROVIDER).map_err(Unexpected::when("the provider profile"))?;
        let entry = profile.selector(ENVIRONMENT, REGION).map_err(Unexpected::when("the provider profile"))?;
        let selector = entry.selector.clone();
        let domain = DomainName::new(DOMAIN).map_err(Unexpected::when("the demo's domain"))?;
        let new = key::generate(KeyType::Rsa).map_err(Unexpected::when("the key"))?;
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).map_err(Unexpected::when("the folder of the key"))?;
        new.write(&keys.join(key_file_name(&domain, &selector))).map_err(Unexpected::when("the key"))?;
        let name = Record::dkim_name(&selector, &domain).map_err(Unexpected::when("the name of the key record"))?;
        let key = Record { name, value: new.key.public_record() };
        let include = profile.spf_include.clone();
        let mechanism = include.as_ref().map(|name| format!("include:{name} ")).unwrap_or_default();
        let (spf, dmarc) = (format!("v=spf1 {mechanism}~all"), "v=DMARC1; p=reject".to_owned());
        Ok(Identity { selector, key, spf, dmarc, include })
    }

    /// All that the name server serves. What the SPF record includes is the provider's, so it gets a zone of its own,
    /// with addresses that are reserved for documentation (RFC 5737).
    fn published(&self) -> Vec<Published> {
        let record = |name: String, strings: Vec<String>| Published { zone: DOMAIN.into(), name, strings };
        let key = self.key.strings().into_iter().map(str::to_owned).collect();
        let mut records = vec![
            record(self.key.name.to_string(), key),
            record(DOMAIN.into(), vec![self.spf.clone()]),
            record(format!("_dmarc.{DOMAIN}"), vec![self.dmarc.clone()]),
        ];
        if let Some(include) = &self.include {
            let (zone, strings) = (include.to_string(), vec!["v=spf1 ip4:203.0.113.0/24 ~all".to_owned()]);
            records.push(Published { zone: zone.clone(), name: zone, strings });
        }
        records
    }
}

/// A receiver of its own: a milter that verifies and asks another name server, where the key stands in two records.
pub struct Elsewhere {
    milter: SocketAddr,
    server: Server,
    _name_server: NameServer,
}

impl Elsewhere {
    /// Starts both. The strings of the key become records of their own, as panels and hasty hands do it.
    pub async fn set(identity: &Identity) -> Result<Elsewhere, Unexpected> {
        let key = identity.key.name.to_string();
        let mut records: Vec<Published> =
            identity.published().into_iter().filter(|record| record.name != key).collect();
        for string in identity.key.strings() {
            records.insert(0, Published { zone: DOMAIN.into(), name: key.clone(), strings: vec![string.into()] });
        }
        records.sort_by(|one, other| one.zone.cmp(&other.zone));
        let name_server = NameServer::start(&records).await?;
        let text = format!(
            "verify.resolver = \"{}\"\nverify.authserv_id = \"mx.receiver.example\"\n[[listener]]\n\
             socket = \"inet:127.0.0.1:0\"\nmode = \"verify\"\n",
            name_server.address()
        );
        let mut settings =
            Settings::parse(&text, Path::new("receiver.toml")).map_err(Unexpected::when("the receiver's settings"))?;
        settings.log.json = true;
        settings.limits.drain = Duration::from_secs(2);
        let server = Server::start(settings).map_err(Unexpected::when("the receiver's milter"))?;
        Ok(Elsewhere { milter: address(&server)?, server, _name_server: name_server })
    }

    /// Hands over a message as it was delivered, from the sender's server.
    pub async fn receive(&self, queue_id: &str, message: &[u8]) -> Result<Vec<u8>, Unexpected> {
        let envelope = mta::Envelope {
            client: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
            user: None,
            mail_from: "",
            rcpt_to: "reader@receiver.example",
            queue_id,
        };
        mta::hand_over(self.milter, &envelope, message)
            .await
            .map_err(Unexpected::when("handing a message to the receiver's milter"))
    }

    /// Ends both.
    pub async fn clear(self) {
        self.server.drain().await;
    }
}

/// The demo's folder: only we may enter it.
pub fn folder() -> Result<tempfile::TempDir, Unexpected> {
    tempfile::Builder::new().prefix("waxseal-demo-").tempdir().map_err(Unexpected::when("a temporary folder"))
}

/// The settings of the demo, as they could stand on a server.
pub fn settings_text() -> String {
    // Nothing of an installed service is touched.
    format!(
        "rotation.path = \"rotations\"

[[listener]]
socket = \"inet:127.0.0.1:0\"
mode = \"sign\"

[domains.\"{DOMAIN}\"]
provider = \"{DEFAULT_PROVIDER}\"
environment = \"{ENVIRONMENT}\"
region = \"{REGION}\"
"
    )
}

impl Stage {
    /// Starts the name server, the milter and, where it is wanted, Postfix.
    pub async fn set(
        identity: Identity,
        folder: tempfile::TempDir,
        installed: Option<&Installed>,
    ) -> Result<Stage, Unexpected> {
        let name_server = NameServer::start(&identity.published()).await?;
        let journal = journal::listen();
        let server = start_milter(folder.path().join("waxseal.toml"))?;
        let milter = address(&server)?;
        let road = match installed {
            None => Road::Direct { count: 0 },
            Some(installed) => Road::Postfix(Box::new(Postfix::start(installed, &format!("inet:{milter}")).await?)),
        };
        Ok(Stage { identity, name_server, journal, milter, road, server, folder })
    }

    /// Sends a letter past the milter.
    pub async fn send(&mut self, letter: &Letter) -> Result<Delivered, Unexpected> {
        match &mut self.road {
            Road::Postfix(postfix) => {
                let (queue_id, message) = postfix.send(letter).await?;
                Ok(Delivered { queue_id, message })
            }
            Road::Direct { count } => {
                *count += 1;
                let queue_id = format!("4DE30{count:05X}");
                let envelope = mta::Envelope {
                    client: letter.client,
                    user: letter.user,
                    mail_from: letter.mail_from,
                    rcpt_to: letter.rcpt_to,
                    queue_id: &queue_id,
                };
                let message = mta::hand_over(self.milter, &envelope, &letter.text)
                    .await
                    .map_err(Unexpected::when("handing a message to the milter"))?;
                Ok(Delivered { queue_id, message })
            }
        }
    }

    /// The folder of settings and key.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends everything: first who sends, then who answers.
    pub async fn clear(self) {
        drop(self.road);
        self.server.drain().await;
    }
}

/// Writes the settings, reads them as `run` does, and starts the milter on them.
fn start_milter(file: PathBuf) -> Result<Server, Unexpected> {
    fs::write(&file, settings_text()).map_err(Unexpected::when("the settings"))?;
    let mut settings = Settings::load(&file).map_err(Unexpected::when("the settings"))?;
    settings.inspect_keys().map_err(Unexpected::when("the key"))?;
    // The demo reads its own log, and its reader does not wait for others at the end.
    settings.log.json = true;
    settings.limits.drain = Duration::from_secs(2);
    Server::start(settings).map_err(Unexpected::when("the milter"))
}

fn address(server: &Server) -> Result<SocketAddr, Unexpected> {
    let addresses = server.addresses();
    addresses
        .first()
        .and_then(|address| address.strip_prefix("inet:")?.parse().ok())
        .ok_or_else(|| Unexpected::new(format!("the milter listens at {addresses:?} alone")))
}
