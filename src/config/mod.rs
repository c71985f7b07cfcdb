//! The settings: what the operator decided, judged as a whole before anything runs.
//!
//! [`Settings::load`] reads the file and names every mistake in it at once, with its line. It reads no key and opens no
//! socket: [`Settings::inspect`] looks at what they need, [`Settings::check`] reads all keys too, and the milter reads each
//! one when it is first needed, so that a hundred thousand domains cost nothing until they send.

mod defaults;
mod domain;
mod http;
pub mod import_opendkim;
mod judge;
mod kind;
mod listener;
mod mistake;
mod read;
mod reader;
mod rotation;
mod signed;
mod store;
mod verify;

pub use domain::key_file_name;
pub use http::Http;
pub use judge::{NO_MEMBER, group_id, own_group};
pub use mistake::{Mistake, Mistakes};
pub use reader::Shown;
pub use rotation::{Rotating, Rotation};
pub use signed::{DEFAULT_PATH as DEFAULT_SIGNED, Diagnostics, Signed};
pub use store::{Place, Store, Url};
pub use verify::{Action, Actions, NameServers, Verifying};

use crate::{
    key::{KeyMistake, PrivateKey},
    name::DomainName,
    provider::{Profile, Profiles},
};
use std::{
    collections::HashMap,
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The settings file where none is named.
pub const DEFAULT_FILE: &str = "/etc/waxseal/waxseal.toml";

/// The most that [`Limits::connections`] can be: no process of Linux has more files open than this (fs.nr_open).
pub const MAX_CONNECTIONS: usize = 1024 * 1024;

/// All settings, checked and complete: defaults filled in, paths resolved against the folder of the settings file.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The file they came from; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// Where Postfix reaches us.
    pub listeners: Vec<Listener>,
    /// Clients whose mail is ours to sign, if the From domain is.
    pub trusted_networks: Vec<Network>,
    /// How we sign, for every domain that does not say otherwise.
    pub signing: Signing,
    /// How we judge what comes from outside.
    pub verify: Verifying,
    /// The domains that we sign for, by name.
    pub domains: HashMap<DomainName, Arc<Domain>>,
    /// Where private keys lie; a key file may not lead out of it.
    pub key_directory: PathBuf,
    /// The folder that [`Settings::profiles`] was extended from.
    pub provider_directory: Option<PathBuf>,
    /// The provider profiles: those of the program and those of the operator.
    pub profiles: Profiles,
    /// The log.
    pub log: Log,
    /// Where events are kept.
    pub store: Store,
    /// Where is kept what was signed, for domains that ask for it.
    pub signed: Signed,
    /// Metrics, health and the status page.
    pub http: Http,
    /// Are the published records of the domains that sign looked at?
    pub watch: bool,
    /// How keys are rotated.
    pub rotation: Rotation,
    /// The rotations that are in force.
    pub rotations: Vec<Rotating>,
    /// The entries of the settings file of which a rotation replaced a key: see [`Settings::rotate`].
    pub configured: HashMap<DomainName, Arc<Domain>>,
    /// Limits of the server.
    pub limits: Limits,
}

/// One socket that we serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub socket: Socket,
    /// Which way mail flows here.
    pub mode: Mode,
    /// Decide and log everything, change nothing?
    pub observe: bool,
    /// Does mail come here again from a content filter? Then the filter's address proves nothing about who sent it:
    /// only mail that bears `signing.outbound_mark` is signed.
    pub reinjected: bool,
    /// The line of its socket, or of its table, in the settings file; `None` for a default.
    pub line: Option<usize>,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// `inet:ADDRESS:PORT`
    Inet(SocketAddr),
    /// `unix:PATH`
    Unix {
        /// The path of the socket.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The group that it is given to, by name or number.
        group: Option<String>,
    },
    /// `systemd:NAME`: a socket that systemd opened for us (FileDescriptorName= of the socket unit).
    Systemd(String),
}

/// Which way mail flows at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only sign.
    Sign,
    /// Only verify.
    Verify,
    /// Sign for authenticated users and trusted networks, verify the rest.
    Auto,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

/// Who may use a From domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderRule {
    /// Whoever is authenticated or in a trusted network.
    Any,
    /// The envelope sender is within the From domain that we sign for; the null sender of bounces is exempt.
    Envelope,
    /// The authenticated user is an address within it, or named in `users` of the domain.
    User,
}

/// What becomes of mail to be signed while the published record cannot verify its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenNotReady {
    /// It is signed and leaves; the log says that it will fail.
    Sign,
    /// It leaves unsigned.
    Skip,
    /// It waits at the sender until the record is right.
    Tempfail,
}

/// How we sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// Canonicalization of the header and of the body.
    pub canonicalization: (crate::dkim::Canon, crate::dkim::Canon),
    /// Fields that are signed where present, lower case; From always is.
    pub fields: Arc<[Box<str>]>,
    /// Fields that are also signed once more than present, so that none can be added; lower case.
    pub oversign: Arc<[Box<str>]>,
    /// How long a signature holds (x=); `None` for ever.
    pub expire: Option<Duration>,
    /// What a signature leaves behind for those who look into changes.
    pub diagnostics: Diagnostics,
    /// Who may use a From domain.
    pub sender: SenderRule,
    /// A header field (name, value) that marks mail from outside: it is never signed, whoever hands it over.
    pub inbound_mark: Option<(String, String)>,
    /// A secret header field (name, value) that only our submission service adds: see [`Listener::reinjected`].
    /// It is removed from mail that bears it.
    pub outbound_mark: Option<(String, String)>,
    /// What becomes of mail while the published record cannot verify it.
    pub when_not_ready: WhenNotReady,
}

/// A domain that we sign for.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The line of its entry in the settings file.
    pub line: usize,
    /// d=.
    pub name: DomainName,
    /// The keys, in the order in which their signatures are written: RSA first.
    pub keys: Vec<KeyRef>,
    /// Does its key also sign for names below it that have no entry of their own?
    pub subdomains: bool,
    /// i=, if any: `@domain` or `user@domain`, within d=.
    pub identity: Option<String>,
    /// Overrides `signing.expire`.
    pub expire: Option<Duration>,
    /// Overrides `signing.canonicalization`.
    pub canonicalization: Option<(crate::dkim::Canon, crate::dkim::Canon)>,
    /// Overrides `signing.diagnostics`.
    pub diagnostics: Option<Diagnostics>,
    /// Overrides `signing.when_not_ready`.
    pub when_not_ready: Option<WhenNotReady>,
    /// Users that [`SenderRule::User`] lets use the domain, beside addresses within it.
    pub users: Vec<String>,
    /// The profile and the place in it that chose the selector.
    pub provider: Option<ProviderChoice>,
}

/// A provider's profile, and the environment and region of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderChoice {
    /// The profile.
    pub profile: Arc<Profile>,
    /// The environment, as the profile names it.
    pub environment: String,
    /// The region, as the profile names it.
    pub region: String,
}

/// A private key by its file; parsed when first needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRef {
    /// s=.
    pub selector: DomainName,
    /// The PEM file.
    pub path: PathBuf,
    /// What it must hold.
    pub algorithm: crate::dkim::KeyType,
    /// The size that the profile demands, in bits.
    pub required_bits: Option<usize>,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Lines of JSON?
    pub json: bool,
    /// error, warn, info, debug or trace.
    pub level: tracing::Level,
}

/// Limits of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once, by all listeners together; more wait in the kernel's queue. At most
    /// [`MAX_CONNECTIONS`].
    pub connections: usize,
    /// How long a connection may stay silent.
    pub idle: Duration,
    /// How long open sessions may go on after SIGTERM.
    pub drain: Duration,
    /// The largest header that is kept, in octets; beyond, the message is answered with a temporary failure when it was
    /// or may have been to be signed. From fields have as much room again.
    pub header_bytes: usize,
}

impl Settings {
    /// Reads a settings file, and the rotations beside it. Where there is no file, the mistake says how to make one.
    pub fn load(path: &Path) -> Result<Settings, Mistakes> {
        let mut settings = Settings::parse(&read_text(path)?, &absolute(path))?;
        settings.rotate(Rotating::read_all(&settings.rotation.path)?);
        Ok(settings)
    }

    /// Reads the text of a settings file; relative paths start at the folder of `path`, which should be absolute.
    pub fn parse(text: &str, path: &Path) -> Result<Settings, Mistakes> {
        read::read(text, path, false).map(|(settings, _)| settings)
    }

    /// Reads a settings file as [`Settings::load`] does, and gives every setting with its value and its origin too.
    pub fn explain(path: &Path) -> Result<(Settings, Vec<Shown>), Mistakes> {
        let (mut settings, shown) = read::read(&read_text(path)?, &absolute(path), true)?;
        settings.rotate(Rotating::read_all(&settings.rotation.path)?);
        Ok((settings, shown))
    }

    /// Does any domain ask for a record of what is signed?
    pub fn records(&self) -> bool {
        let general = self.signing.diagnostics;
        self.domains.values().any(|domain| domain.diagnostics.unwrap_or(general).record)
    }

    /// The domain whose key signs for a From domain: the entry of that very name, or else the nearest name above it whose
    /// key signs for subdomains too.
    pub fn domain_for(&self, name: &DomainName) -> Option<&Arc<Domain>> {
        if let Some(domain) = self.domains.get(name) {
            return Some(domain);
        }
        std::iter::successors(name.parent(), DomainName::parent)
            .find_map(|above| self.domains.get(&above).filter(|domain| domain.subdomains))
    }
}

impl KeyRef {
    /// Reads the key.
    pub fn load(&self, key_directory: &Path) -> Result<PrivateKey, KeyMistake> {
        PrivateKey::load(&self.path, key_directory, self.algorithm, self.required_bits)
    }
}

impl Network {
    /// Is the address in it? An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && kind::first_address(address, self.prefix) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Socket::Inet(address) => write!(f, "inet:{address}"),
            Socket::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Socket::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn read_text(path: &Path) -> Result<String, Mistakes> {
    let mistake = |what| Mistakes::from(Mistake { file: path.to_owned(), line: None, what });
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => mistake(format!("no such settings file; {}", how_to_make_one(path))),
        _ => mistake(format!("cannot be read: {}", error.to_string().to_lowercase())),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
        let what = "not UTF-8, as TOML must be".to_owned();
        Mistakes::from(Mistake { file: path.to_owned(), line: Some(line), what })
    })
}

/// The line that makes a first settings file, and the key that it needs, where `path` is.
fn how_to_make_one(path: &Path) -> String {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => ".".to_owned(),
        Some(folder) => folder.display().to_string(),
        None => "/etc/waxseal".to_owned(),
    };
    format!("make one with: waxseal config init --domain DOMAIN --environment private --region kr --dir {folder}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/waxseal/waxseal.toml";

    fn parse(text: &str) -> Settings {
        Settings::parse(text, Path::new(FILE)).expect("good settings")
    }

    fn name(text: &str) -> DomainName {
        DomainName::new(text).expect("a name")
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse(""), Settings { file: Some(FILE.into()), ..Settings::default() });
    }

    #[test]
    fn networks_take_ipv4_in_either_spelling() {
        let network = |text: &str| parse(&format!("trusted_networks = [{text:?}]")).trusted_networks[0];
        for (range, address, want) in [
            ("127.0.0.0/8", "127.9.9.9", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("127.0.0.0/8", "::1", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::ffff:192.0.2.0/120", "192.0.2.255", true),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(network(range).contains(address), want, "{range} {address}");
        }
    }

    #[test]
    fn the_nearest_entry_that_may_signs() {
        let settings = parse(
            "[domains.\"example.com\"]\nselector = \"s\"\nsubdomains = true\n\
             [domains.\"b.example.com\"]\nselector = \"s\"\n\
             [domains.\"c.example.com\"]\nselector = \"s\"\nsubdomains = true\n\
             [domains.\"example.net\"]\nselector = \"s\"\n",
        );
        for (from, want) in [
            ("example.com", Some("example.com")),
            ("a.example.com", Some("example.com")),
            ("b.example.com", Some("b.example.com")),
            ("a.b.example.com", Some("example.com")),
            ("x.y.c.example.com", Some("c.example.com")),
            ("example.net", Some("example.net")),
            ("a.example.net", None),
            ("notexample.com", None),
            ("com", None),
        ] {
            assert_eq!(settings.domain_for(&name(from)).map(|domain| domain.name.as_str()), want, "{from}");
        }
    }
}
