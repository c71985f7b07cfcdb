//! `[verify]`: how mail from outside is judged, and what becomes of it.

use super::{
    Network,
    defaults::{DNS_TIMEOUT_RANGE, STALE_RANGE},
    kind,
    reader::{Reader, Section},
};
use crate::name::DomainName;
use std::{net::SocketAddr, time::Duration};

/// How mail from outside is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifying {
    /// Who we are in Authentication-Results; `None` for the name of the host.
    pub authserv_id: Option<String>,
    /// The recursive resolver; `None` for the system's.
    pub resolver: Option<SocketAddr>,
    /// How long a message may wait for DNS in all.
    pub dns_timeout: Duration,
    /// How long an answer may be used after it has run out, when DNS fails; `None` for never.
    pub stale: Option<Duration>,
    /// Relays and backup MX of ours: SPF is judged for the client that handed over to them, and mail that bears their
    /// results is not judged again.
    pub trusted_relays: Vec<Network>,
    /// Clients whose mail is not judged.
    pub exempt_networks: Vec<Network>,
    /// Is mail of authenticated users left unjudged?
    pub exempt_users: bool,
    /// Domains whose ARC seals are believed.
    pub trusted_sealers: Vec<DomainName>,
    /// Is a Received-SPF field (RFC 7208 §9.1) added too?
    pub received_spf: bool,
    /// Which name servers may be asked directly about mail that failed.
    pub name_servers: NameServers,
    /// What becomes of mail by its results.
    pub actions: Actions,
}

/// Which name servers may be asked directly. Whoever writes a message chooses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameServers {
    /// Those with an address of the internet that is not within `trusted_networks`.
    Public,
    /// All of them.
    All,
    /// None: only the resolver is asked.
    None,
}

/// The words of the settings for them.
pub(super) const NAME_SERVERS: &[(&str, NameServers)] =
    &[("public", NameServers::Public), ("all", NameServers::All), ("none", NameServers::None)];

/// What becomes of mail by its results; the strongest of those that apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    /// No signature passes and at least one fails.
    pub dkim_fail: Action,
    /// SPF is fail.
    pub spf_fail: Action,
    /// SPF is softfail.
    pub spf_softfail: Action,
    /// SPF is permerror.
    pub spf_permerror: Action,
    /// DMARC is fail; `None` does what the policy of the domain asks for.
    pub dmarc_fail: Option<Action>,
    /// DMARC is permerror: the From field names no single domain.
    pub dmarc_permerror: Action,
    /// DMARC is temperror.
    pub temperror: Action,
}

/// What becomes of a message, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It goes on, with its results in the header.
    Accept,
    /// Postfix holds it (`postsuper -H` lets it go).
    Quarantine,
    /// The sender shall try again later.
    Tempfail,
    /// The sender is refused.
    Reject,
}

/// The words of the settings for actions.
pub(super) const ACTIONS: &[(&str, Action)] = &[
    ("accept", Action::Accept),
    ("quarantine", Action::Quarantine),
    ("tempfail", Action::Tempfail),
    ("reject", Action::Reject),
];

/// The same, and the domain's own wish.
pub(super) const DMARC_ACTIONS: &[(&str, Option<Action>)] = &[
    ("accept", Some(Action::Accept)),
    ("quarantine", Some(Action::Quarantine)),
    ("tempfail", Some(Action::Tempfail)),
    ("reject", Some(Action::Reject)),
    ("policy", None),
];

impl Default for Verifying {
    /// Ten seconds for DNS stay well under the thirty that Postfix gives a milter for a command.
    fn default() -> Verifying {
        Verifying {
            authserv_id: None,
            resolver: None,
            dns_timeout: Duration::from_secs(10),
            stale: None,
            trusted_relays: Vec::new(),
            exempt_networks: Vec::new(),
            exempt_users: true,
            trusted_sealers: Vec::new(),
            received_spf: false,
            name_servers: NameServers::Public,
            actions: Actions::default(),
        }
    }
}

impl Default for Actions {
    /// Everything is accepted: whoever reads the results decides, until the operator has seen what would happen.
    fn default() -> Actions {
        Actions {
            dkim_fail: Action::Accept,
            spf_fail: Action::Accept,
            spf_softfail: Action::Accept,
            spf_permerror: Action::Accept,
            dmarc_fail: Some(Action::Accept),
            dmarc_permerror: Action::Accept,
            temperror: Action::Accept,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Verifying {
    let defaults = Verifying::default();
    let mut section = root.table_or_empty(reader, "verify");
    let verifying = Verifying {
        authserv_id: section.value(reader, "authserv_id", &kind::AUTHSERV_ID, defaults.authserv_id),
        resolver: section.value(reader, "resolver", &kind::RESOLVER, defaults.resolver),
        dns_timeout: section.value(reader, "dns_timeout", &kind::DURATION, defaults.dns_timeout),
        stale: section.value(reader, "stale", &kind::EXPIRE, defaults.stale),
        trusted_relays: section.value(reader, "trusted_relays", &kind::NETWORKS, defaults.trusted_relays),
        exempt_networks: section.value(reader, "exempt_networks", &kind::NETWORKS, defaults.exempt_networks),
        exempt_users: section.value(reader, "exempt_users", &kind::BOOL, defaults.exempt_users),
        trusted_sealers: section.value(reader, "trusted_sealers", &kind::NAMES, defaults.trusted_sealers),
        received_spf: section.value(reader, "received_spf", &kind::BOOL, defaults.received_spf),
        name_servers: section.value(reader, "name_servers", &kind::WHOM, defaults.name_servers),
        actions: actions(reader, &mut section),
    };
    reader.within(&section, "dns_timeout", verifying.dns_timeout, DNS_TIMEOUT_RANGE);
    if let Some(stale) = verifying.stale {
        reader.within(&section, "stale", stale, STALE_RANGE);
    }
    section.finish(reader);
    verifying
}

fn actions(reader: &mut Reader<'_>, verify: &mut Section<'_>) -> Actions {
    let defaults = Actions::default();
    let mut section = verify.table_or_empty(reader, "actions");
    let actions = Actions {
        dkim_fail: section.value(reader, "dkim_fail", &kind::ACTION, defaults.dkim_fail),
        spf_fail: section.value(reader, "spf_fail", &kind::ACTION, defaults.spf_fail),
        spf_softfail: section.value(reader, "spf_softfail", &kind::ACTION, defaults.spf_softfail),
        spf_permerror: section.value(reader, "spf_permerror", &kind::ACTION, defaults.spf_permerror),
        dmarc_fail: section.value(reader, "dmarc_fail", &kind::DMARC_ACTION, defaults.dmarc_fail),
        dmarc_permerror: section.value(reader, "dmarc_permerror", &kind::ACTION, defaults.dmarc_permerror),
        temperror: section.value(reader, "temperror", &kind::ACTION, defaults.temperror),
    };
    section.finish(reader);
    actions
}
