//! Sign, verify or pass: one pure decision, made once, at the end of the header.
//!
//! A key is used only for mail that is ours twice over: it comes from our users or networks, and its one From field names
//! one domain of ours. Everything else passes, and says why.

use super::verifying;
use crate::{
    address::{self, AuthorError, ReversePath},
    config::{Domain, Listener, Mode, Network, SenderRule, Settings},
    event::Direction,
    message::Header,
    name::DomainName,
};
use std::{fmt, net::IpAddr, sync::Arc};

/// What is known of a message at the end of its header.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The settings in force when the message began.
    pub settings: &'a Settings,
    /// Who we are in Authentication-Results.
    pub authserv_id: &'a str,
    /// The listener it came through.
    pub listener: &'a Listener,
    /// The client's address; `None` for a local submission without one.
    pub client: Option<IpAddr>,
    /// Who authenticated, if anybody.
    pub auth_user: Option<&'a str>,
    /// MAIL FROM as received.
    pub mail_from: &'a [u8],
    /// The header.
    pub header: &'a Header,
}

/// What is to be done with a message.
#[derive(Clone, Debug)]
pub enum Route {
    /// Sign for this domain.
    Sign(Arc<Domain>),
    /// Judge it: it comes from outside.
    Verify,
    /// Leave it alone.
    Pass(Why),
}

/// Why mail passes unsigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Neither authenticated nor from a trusted network, at a listener that only signs.
    Relayed,
    /// From outside, and not to be judged: the client, or the user, is exempt.
    Exempt,
    /// From a relay of ours, with its results.
    JudgedByRelay,
    /// It bears the mark of mail from outside.
    InboundMark,
    /// It comes from a content filter and lacks the mark of mail from our users.
    NoOutboundMark,
    /// Its From does not name one domain.
    Author(AuthorError),
    /// No key for the From domain, nor for a parent that signs for names below it.
    NoKey(DomainName),
    /// The envelope sender is not within the From domain.
    EnvelopeSender(DomainName),
    /// The authenticated user may not use the From domain.
    User(DomainName),
}

/// Decides.
pub fn route(facts: &Facts<'_>) -> Route {
    match (facts.listener.mode, facts.is_ours()) {
        (Mode::Verify, _) | (Mode::Auto, false) => match facts.unjudged() {
            Some(why) => Route::Pass(why),
            None => Route::Verify,
        },
        (Mode::Sign, false) => Route::Pass(Why::Relayed),
        (Mode::Sign | Mode::Auto, true) => match facts.signing_domain() {
            Ok(domain) => Route::Sign(domain),
            Err(why) => Route::Pass(why),
        },
    }
}

/// Will the message be verified, as far as can be told before its header?
pub fn will_verify(facts: &Facts<'_>) -> bool {
    let inbound = matches!((facts.listener.mode, facts.is_ours()), (Mode::Verify, _) | (Mode::Auto, false));
    inbound && !facts.is_exempt()
}

impl Facts<'_> {
    /// Is the client in one of these networks? A client without an address is in none.
    pub fn is_in(&self, networks: &[Network]) -> bool {
        self.client.is_some_and(|client| networks.iter().any(|network| network.contains(client)))
    }

    /// Does it come from our users or networks?
    fn is_ours(&self) -> bool {
        self.auth_user.is_some() || self.client.is_none() || self.is_in(&self.settings.trusted_networks)
    }

    fn is_exempt(&self) -> bool {
        let verify = &self.settings.verify;
        (verify.exempt_users && self.auth_user.is_some()) || self.is_in(&verify.exempt_networks)
    }

    /// Why a message from outside is not judged, if it is not.
    fn unjudged(&self) -> Option<Why> {
        if self.is_exempt() {
            return Some(Why::Exempt);
        }
        let judged = || !verifying::forged(self.header, self.authserv_id).is_empty();
        (self.is_in(&self.settings.verify.trusted_relays) && judged()).then_some(Why::JudgedByRelay)
    }

    /// The domain to sign for, or the first reason against it.
    fn signing_domain(&self) -> Result<Arc<Domain>, Why> {
        let signing = &self.settings.signing;
        if self.bears(signing.inbound_mark.as_ref()) {
            return Err(Why::InboundMark);
        }
        if self.listener.reinjected && !self.bears(signing.outbound_mark.as_ref()) {
            return Err(Why::NoOutboundMark);
        }
        let author = address::author_domain(self.header).map_err(Why::Author)?;
        let domain = self.settings.domain_for(&author).ok_or_else(|| Why::NoKey(author.clone()))?;
        match signing.sender {
            SenderRule::Any => {}
            SenderRule::Envelope if self.envelope_fits(domain) => {}
            SenderRule::Envelope => return Err(Why::EnvelopeSender(author)),
            SenderRule::User if self.user_fits(domain) => {}
            SenderRule::User => return Err(Why::User(author)),
        }
        Ok(domain.clone())
    }

    fn bears(&self, mark: Option<&(String, String)>) -> bool {
        let Some((name, value)) = mark else { return false };
        self.header.named(name).any(|field| field.value().trim_ascii() == value.as_bytes())
    }

    /// The envelope sender is within the domain; the null sender is exempt.
    fn envelope_fits(&self, domain: &Domain) -> bool {
        match address::reverse_path(self.mail_from) {
            Ok(ReversePath::Null) => true,
            Ok(ReversePath::Mailbox(sender)) => sender.domain.is_within(&domain.name),
            Err(_) => false,
        }
    }

    /// The user is an address within the domain, or one that the domain lists.
    ///
    /// Without a user the null sender is exempt, for bounces that Postfix makes itself; with one it is not, or any user
    /// could use any domain by sending from `<>`.
    fn user_fits(&self, domain: &Domain) -> bool {
        let Some(user) = self.auth_user else {
            return matches!(address::reverse_path(self.mail_from), Ok(ReversePath::Null));
        };
        domain.users.iter().any(|name| name == user)
            || user
                .rsplit_once('@')
                .and_then(|(_, host)| DomainName::new(host).ok())
                .is_some_and(|host| host.is_within(&domain.name))
    }
}

impl Why {
    /// Which way such mail goes.
    pub fn direction(&self) -> Direction {
        match self {
            Why::Relayed | Why::Exempt | Why::JudgedByRelay | Why::InboundMark => Direction::In,
            Why::NoOutboundMark => Direction::Unknown,
            _ => Direction::Out,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Relayed => write!(f, "the client is neither authenticated nor in trusted_networks"),
            Why::Exempt => write!(f, "the client or the user is exempt from verification ([verify])"),
            Why::JudgedByRelay => write!(f, "it bears the results of a relay of ours (verify.trusted_relays)"),
            Why::InboundMark => write!(f, "it bears the mark of mail from outside (signing.inbound_mark)"),
            Why::NoOutboundMark => {
                write!(f, "it came back from a content filter without the mark of our users (signing.outbound_mark)")
            }
            Why::Author(AuthorError::Missing) => write!(f, "it has no From field"),
            Why::Author(AuthorError::SeveralFields(count)) => write!(f, "it has {count} From fields"),
            Why::Author(AuthorError::Malformed(error)) => write!(f, "its From field cannot be read: {error}"),
            Why::Author(AuthorError::SeveralDomains(domains)) => {
                write!(f, "its From field names several domains:")?;
                domains.iter().take(8).try_for_each(|domain| write!(f, " {domain}"))
            }
            Why::NoKey(domain) => write!(f, "no key is configured for the From domain {domain}"),
            Why::EnvelopeSender(domain) => {
                write!(f, "the envelope sender is not within the From domain {domain} (signing.sender = \"envelope\")")
            }
            Why::User(domain) => {
                write!(f, "the user may not use the From domain {domain} (signing.sender = \"user\")")
            }
        }
    }
}
