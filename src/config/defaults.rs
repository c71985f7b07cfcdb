//! The defaults, each with its reason where it is not plain. `conf/waxseal.toml` states the same; a test compares them.

use super::{
    DEFAULT_FILE, Http, Limits, Listener, Log, Mode, Network, Rotation, SenderRule, Settings, Signed, Signing, Socket,
    Store, Verifying, WhenNotReady, signed::Diagnostics,
};
use crate::{dkim::Canon, provider::Profiles};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::Path,
    time::Duration,
};

/// The folder of keys, beside the settings file.
pub(super) const KEY_DIRECTORY: &str = "keys";

/// The mode of a unix socket: for its owner and its group, which Postfix should be in.
pub(super) const SOCKET_MODE: u32 = 0o660;

/// A shorter signature runs out in the queues of honest relays; a longer one limits nothing. In a year, x= is far from
/// the twelve digits that verifiers must be able to read (RFC 6376 §3.5).
pub(super) const EXPIRE_RANGE: RangeInclusive<Duration> = hours(1)..=hours(365 * 24);

/// A connection of Postfix that is silent for a second is at work, and one that is silent for a day is dead.
pub(super) const IDLE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(24);

/// Whoever stops a service wants it to end today; systemd kills after 90 seconds unless told otherwise.
pub(super) const DRAIN_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(1);

/// Postfix gives up on a milter after 30 s (milter_command_timeout), and the answer needs time too.
pub(super) const DNS_TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(25);

/// Whoever withdraws a key means it within a week, whatever happens to a resolver.
pub(super) const STALE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(7 * 24);

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// Fields that say who wrote what to whom, and how to read it (RFC 6376 §5.4.1), and those that RFC 8058 §4 requires.
pub(super) const FIELDS: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
    "content-description",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
];

/// Fields of which one more would change what the reader sees. Never a list field: lists add theirs on the way.
pub(super) const OVERSIGN: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// Fields that are added, changed or removed on the way by those who may; a signature over them would break.
pub(super) const NEVER_SIGNED: &[&str] = &[
    "received",
    "return-path",
    "delivered-to",
    "bcc",
    "resent-bcc",
    "dkim-signature",
    "authentication-results",
    "received-spf",
    "arc-authentication-results",
    "arc-message-signature",
    "arc-seal",
];

impl Default for Settings {
    /// What an empty file at [`DEFAULT_FILE`] means.
    fn default() -> Settings {
        let folder = Path::new(DEFAULT_FILE).parent().unwrap_or(Path::new("/"));
        Settings {
            file: None,
            listeners: vec![Listener::default()],
            trusted_networks: vec![
                Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
                Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
            ],
            signing: Signing::default(),
            verify: Verifying::default(),
            domains: HashMap::new(),
            key_directory: folder.join(KEY_DIRECTORY),
            provider_directory: None,
            profiles: Profiles::built_in(),
            log: Log::default(),
            store: Store::default(),
            signed: Signed::default(),
            http: Http::default(),
            watch: true,
            rotation: Rotation::default(),
            rotations: Vec::new(),
            configured: HashMap::new(),
            limits: Limits::default(),
        }
    }
}

impl Default for Listener {
    fn default() -> Listener {
        Listener {
            socket: Socket::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8891)),
            mode: Mode::Auto,
            observe: false,
            reinjected: false,
            line: None,
        }
    }
}

impl Default for Signing {
    /// `expire` is off: mail that waits in a queue, as it may for five days and longer at a receiver that is down, would
    /// fail although nothing is wrong with it, and most verifiers ignore x= anyway. Who is replayed turns it on.
    /// Mail whose record is not ready is signed all the same: what we see in DNS is not what every receiver sees, and SPF
    /// may carry it.
    fn default() -> Signing {
        Signing {
            canonicalization: (Canon::Relaxed, Canon::Relaxed),
            fields: FIELDS.iter().map(|name| Box::from(*name)).collect(),
            oversign: OVERSIGN.iter().map(|name| Box::from(*name)).collect(),
            expire: None,
            diagnostics: Diagnostics::default(),
            sender: SenderRule::Any,
            inbound_mark: None,
            outbound_mark: None,
            when_not_ready: WhenNotReady::Sign,
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { json: false, level: tracing::Level::INFO }
    }
}

impl Default for Limits {
    /// 2,000 connections are what twenty Postfix instances of default size (100 smtpd each) open. Two hours outlast the
    /// slowest client that Postfix lets finish its message while our connection is silent. A megabyte of header is
    /// several times what Postfix passes on for mail to thousands of visible recipients.
    fn default() -> Limits {
        Limits {
            connections: 2000,
            idle: Duration::from_secs(2 * 3600),
            drain: Duration::from_secs(20),
            header_bytes: 1024 * 1024,
        }
    }
}
