//! The settings: what the operator decided, judged as a whole before anything runs.

use crate::{name::DomainName, provider::Profile};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// All settings, checked and complete: defaults filled in, paths resolved against the folder of the settings file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file they came from; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// Where Postfix reaches us.
    pub listeners: Vec<Listener>,
    /// Clients whose mail is ours to sign, if the From domain is.
    pub trusted_networks: Vec<Network>,
    /// How we sign, for every domain that does not say otherwise.
    pub signing: Signing,
    /// The domains that we sign for, by name.
    pub domains: HashMap<DomainName, Arc<Domain>>,
    /// Where private keys lie; a key file may not lead out of it.
    pub key_directory: PathBuf,
    /// The log.
    pub log: Log,
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
    /// The envelope sender is within the From domain that we sign for; the null sender is exempt.
    Envelope,
    /// The authenticated user is an address within it, or named in `users` of the domain.
    User,
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
    /// Who may use a From domain.
    pub sender: SenderRule,
    /// A header field (name, value) that marks mail from outside: it is never signed, whoever hands it over.
    pub inbound_mark: Option<(String, String)>,
    /// A secret header field (name, value) that only our submission service adds: see [`Listener::reinjected`].
    /// It is removed from mail that bears it.
    pub outbound_mark: Option<(String, String)>,
}

/// A domain that we sign for.
#[derive(Clone, Debug)]
pub struct Domain {
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
    /// Users that [`SenderRule::User`] lets use the domain, beside addresses within it.
    pub users: Vec<String>,
    /// The profile and the place in it that chose the selector.
    pub provider: Option<ProviderChoice>,
}

/// A provider's profile, and the environment and region of it.
#[derive(Clone, Debug)]
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
    /// Connections served at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a connection may stay silent.
    pub idle: Duration,
    /// How long open sessions may go on after SIGTERM.
    pub drain: Duration,
    /// The largest header that is kept, in octets; beyond, the message is answered with a temporary failure when it was
    /// to be signed.
    pub header_bytes: usize,
}
