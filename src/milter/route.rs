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
    /// The client.
    pub client: Client,
    /// Who authenticated, if anybody.
    pub auth_user: Option<&'a str>,
    /// MAIL FROM as received.
    pub mail_from: &'a [u8],
    /// The header.
    pub header: &'a Header,
    /// Is the header larger than we keep, so that fields of it are missing?
    pub overflowed: bool,
}

/// The client, as the MTA names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// By its address.
    Address(IpAddr),
    /// A program on the host of the MTA, by a Unix socket.
    Local,
    /// Not at all: a proxy or a content filter before the MTA kept the address to itself. Such a client may be anybody.
    Unknown,
}

/// What is to be done with a message.
#[derive(Clone, Debug)]
pub enum Route {
    /// Sign for this domain.
    Sign(Arc<Domain>),
    /// Do not let it go for now: its header is larger than we keep, and with the rest it could be ours to sign.
    Hold,
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
            Err(why) if facts.overflowed && why.is_of_a_missing_field() => Route::Hold,
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
        self.client.address().is_some_and(|client| networks.iter().any(|network| network.contains(client)))
    }

    /// Does it come from our users or networks?
    fn is_ours(&self) -> bool {
        self.auth_user.is_some() || self.client == Client::Local || self.is_in(&self.settings.trusted_networks)
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
            SenderRule::Envelope if self.envelope_fits(domain, &author) => {}
            SenderRule::Envelope => return Err(Why::EnvelopeSender(author)),
            SenderRule::User if self.user_fits(domain, &author) => {}
            SenderRule::User => return Err(Why::User(author)),
        }
        Ok(domain.clone())
    }

    fn bears(&self, mark: Option<&(String, String)>) -> bool {
        let Some((name, value)) = mark else { return false };
        self.header.named(name).any(|field| field.value().trim_ascii() == value.as_bytes())
    }

    /// The envelope sender is within the domain. The null sender says nothing: with it, a user has to fit instead.
    fn envelope_fits(&self, domain: &Domain, author: &DomainName) -> bool {
        match address::reverse_path(self.mail_from) {
            Ok(ReversePath::Null) => self.user_fits(domain, author),
            Ok(ReversePath::Mailbox(sender)) => sender.domain.is_within(&domain.name),
            Err(_) => false,
        }
    }

    /// The user is an address of the From domain or of a name above it, up to the domain that we sign for; or one that
    /// the domain lists. An address below the From domain does not do: who has a subdomain is not its parent.
    ///
    /// Without a user the null sender is exempt, for bounces that Postfix makes itself; with one it is not, or any user
    /// could use any domain by sending from `<>`.
    fn user_fits(&self, domain: &Domain, author: &DomainName) -> bool {
        let Some(user) = self.auth_user else {
            return matches!(address::reverse_path(self.mail_from), Ok(ReversePath::Null));
        };
        domain.users.iter().any(|name| name == user)
            || user
                .rsplit_once('@')
                .and_then(|(_, host)| DomainName::new(host).ok())
                .is_some_and(|host| host.is_within(&domain.name) && author.is_within(&host))
    }
}

impl Client {
    /// Its address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Client::Address(address) => Some(address),
            Client::Local | Client::Unknown => None,
        }
    }
}

impl Why {
    /// Could a field that we did not keep undo it? A From field of nobody we know stays one, whatever else is there.
    fn is_of_a_missing_field(&self) -> bool {
        matches!(self, Why::NoOutboundMark | Why::Author(AuthorError::Missing))
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;
    use std::path::Path;

    const SETTINGS: &str = r#"
        trusted_networks = ["10.0.0.0/8"]
        [signing]
        sender = "SENDER"
        inbound_mark = "X-Inbound: yes"
        outbound_mark = "X-Outbound: secret"
        [verify]
        trusted_relays = ["192.0.2.9"]
        exempt_networks = ["192.0.2.77"]
        [domains."example.com"]
        selector = "s"
        users = ["alice"]
        [domains."wide.example"]
        selector = "s"
        subdomains = true
    "#;

    #[derive(Clone, Copy)]
    struct Mail {
        mode: Mode,
        reinjected: bool,
        sender_rule: &'static str,
        client: &'static str,
        user: Option<&'static str>,
        mail_from: &'static str,
        header: &'static str,
        overflowed: bool,
    }

    const OURS: Mail = Mail {
        mode: Mode::Auto,
        reinjected: false,
        sender_rule: "any",
        client: "10.1.2.3",
        user: None,
        mail_from: "<a@elsewhere.example>",
        header: "From: a@example.com\r\n",
        overflowed: false,
    };

    const OUTSIDE: Mail = Mail { client: "192.0.2.1", ..OURS };

    fn decide(mail: &Mail) -> String {
        let text = SETTINGS.replace("SENDER", mail.sender_rule);
        let settings = Settings::parse(&text, Path::new("/etc/waxseal/waxseal.toml")).expect("settings");
        let listener = Listener { mode: mail.mode, reinjected: mail.reinjected, ..Listener::default() };
        let message = crate::message::Message::new(mail.header.as_bytes());
        let facts = Facts {
            settings: &settings,
            authserv_id: "mx.example",
            listener: &listener,
            client: match mail.client {
                "local" => Client::Local,
                "unknown" => Client::Unknown,
                address => Client::Address(address.parse().expect("an address")),
            },
            auth_user: mail.user,
            mail_from: mail.mail_from.as_bytes(),
            header: &message.header,
            overflowed: mail.overflowed,
        };
        match route(&facts) {
            Route::Sign(domain) => format!("sign {}", domain.name),
            Route::Hold => "hold".into(),
            Route::Verify => "verify".into(),
            Route::Pass(why) => format!("pass: {why}"),
        }
    }

    #[test]
    fn which_way_mail_goes() {
        for (mail, want) in [
            (Mail { ..OURS }, "sign example.com"),
            (Mail { client: "local", ..OURS }, "sign example.com"),
            (Mail { client: "unknown", ..OURS }, "verify"),
            (Mail { client: "unknown", user: Some("bob"), ..OURS }, "sign example.com"),
            (
                Mail { client: "unknown", mode: Mode::Sign, ..OURS },
                "pass: the client is neither authenticated nor in trusted_networks",
            ),
            (Mail { client: "::ffff:10.1.2.3", ..OURS }, "sign example.com"),
            (Mail { user: Some("bob"), ..OUTSIDE }, "sign example.com"),
            (Mail { ..OUTSIDE }, "verify"),
            (Mail { mode: Mode::Verify, ..OURS }, "verify"),
            (Mail { mode: Mode::Sign, ..OURS }, "sign example.com"),
            (Mail { mode: Mode::Sign, ..OUTSIDE }, "pass: the client is neither authenticated nor in trusted_networks"),
            (
                Mail { client: "192.0.2.77", ..OURS },
                "pass: the client or the user is exempt from verification ([verify])",
            ),
            (
                Mail { mode: Mode::Verify, user: Some("bob"), ..OUTSIDE },
                "pass: the client or the user is exempt from verification ([verify])",
            ),
            (Mail { client: "192.0.2.9", ..OURS }, "verify"),
            (
                Mail {
                    client: "192.0.2.9",
                    header: "Authentication-Results: mx.example; spf=pass\r\nFrom: a@example.com\r\n",
                    ..OURS
                },
                "pass: it bears the results of a relay of ours (verify.trusted_relays)",
            ),
            (
                Mail { header: "Authentication-Results: mx.example; spf=pass\r\nFrom: a@example.com\r\n", ..OUTSIDE },
                "verify",
            ),
        ] {
            assert_eq!(decide(&mail), want, "{}", mail.header);
        }
    }

    #[test]
    fn what_is_signed_is_ours_twice_over() {
        for (header, want) in [
            ("From: a@example.com\r\nFrom: b@example.com\r\n", "pass: it has 2 From fields"),
            ("Subject: x\r\n", "pass: it has no From field"),
            (
                "From: a@example.com, b@other.example\r\n",
                "pass: its From field names several domains: example.com other.example",
            ),
            ("From: a@example.com, b@example.com\r\n", "sign example.com"),
            ("From: a@sub.example.com\r\n", "pass: no key is configured for the From domain sub.example.com"),
            ("From: a@deep.sub.wide.example\r\n", "sign wide.example"),
            (
                "From: \"a@example.com\" <a@other.example>\r\n",
                "pass: no key is configured for the From domain other.example",
            ),
            (
                "X-Inbound: yes\r\nFrom: a@example.com\r\n",
                "pass: it bears the mark of mail from outside (signing.inbound_mark)",
            ),
        ] {
            assert_eq!(decide(&Mail { header, ..OURS }), want, "{header}");
        }
        assert!(
            decide(&Mail { header: "From: =?utf-8?b?YUBleGFtcGxlLmNvbQ==?=\r\n", ..OURS })
                .starts_with("pass: its From field cannot be read")
        );
    }

    /// Only where a field that is not there could make it ours is a header too large a reason to hold mail.
    #[test]
    fn what_could_be_ours_is_held_where_its_header_is_incomplete() {
        let ours = Mail { overflowed: true, ..OURS };
        for (header, want) in [
            ("Subject: x\r\n", "hold"),
            ("From: a@example.com\r\n", "sign example.com"),
            ("From: a@other.example\r\n", "pass: no key is configured for the From domain other.example"),
            ("From: a@example.com\r\nFrom: b@example.com\r\n", "pass: it has 2 From fields"),
        ] {
            assert_eq!(decide(&Mail { header, ..ours }), want, "{header}");
        }
        assert_eq!(decide(&Mail { reinjected: true, ..ours }), "hold", "its mark may be what is missing");
        let outside = Mail { overflowed: true, header: "Subject: x\r\n", ..OUTSIDE };
        assert_eq!(decide(&outside), "verify");
        assert!(decide(&Mail { mode: Mode::Sign, ..outside }).starts_with("pass: the client is neither"));
    }

    #[test]
    fn what_a_filter_hands_back_is_signed_only_with_the_mark() {
        let back = Mail { reinjected: true, ..OURS };
        assert_eq!(
            decide(&back),
            "pass: it came back from a content filter without the mark of our users (signing.outbound_mark)"
        );
        let marked = Mail { header: "X-Outbound: secret\r\nFrom: a@example.com\r\n", ..back };
        assert_eq!(decide(&marked), "sign example.com");
        let guessed = Mail { header: "X-Outbound: guess\r\nFrom: a@example.com\r\n", ..marked };
        assert!(decide(&guessed).starts_with("pass: it came back"));
    }

    #[test]
    fn who_may_use_a_domain() {
        let envelope = Mail { sender_rule: "envelope", ..OURS };
        assert!(decide(&envelope).starts_with("pass: the envelope sender is not within"));
        for mail_from in ["<b@example.com>", "<b@bounce.example.com>", "<>"] {
            assert_eq!(decide(&Mail { mail_from, sender_rule: "envelope", ..OURS }), "sign example.com", "{mail_from}");
        }
        for (user, want) in
            [("bob", "pass"), ("bob@other.example", "pass"), ("alice", "sign"), ("bob@example.com", "sign")]
        {
            let mail = Mail { sender_rule: "envelope", user: Some(user), mail_from: "<>", ..OUTSIDE };
            assert!(decide(&mail).starts_with(want), "{user}: {}", decide(&mail));
        }
        for (user, mail_from, want) in [
            (Some("alice"), "<x@y.example>", "sign"),
            (Some("bob@example.com"), "<x@y.example>", "sign"),
            (Some("bob@other.example"), "<x@y.example>", "pass"),
            (Some("bob"), "<x@y.example>", "pass"),
            // A user cannot slip through as a bounce; a bounce of Postfix's own has no user.
            (Some("bob"), "<>", "pass"),
            (None, "<>", "sign"),
            (None, "<x@y.example>", "pass"),
        ] {
            let mail = Mail { sender_rule: "user", user, mail_from, ..OURS };
            assert!(decide(&mail).starts_with(want), "{user:?} {mail_from}: {}", decide(&mail));
        }
        // Where one key signs for all names below, a name is used by its own users and by those of names above it.
        for (user, header, want) in [
            ("x@sub.wide.example", "From: boss@wide.example\r\n", "pass"),
            ("x@sub.wide.example", "From: x@sub.wide.example\r\n", "sign"),
            ("x@sub.wide.example", "From: x@deep.sub.wide.example\r\n", "sign"),
            ("x@sub.wide.example", "From: y@other.wide.example\r\n", "pass"),
            ("x@notwide.example", "From: x@wide.example\r\n", "pass"),
            ("x@wide.example", "From: x@sub.wide.example\r\n", "sign"),
            ("x@sub.example.com", "From: boss@example.com\r\n", "pass"),
        ] {
            let mail = Mail { sender_rule: "user", user: Some(user), header, ..OURS };
            assert!(decide(&mail).starts_with(want), "{user} {header}: {}", decide(&mail));
        }
    }

    #[test]
    fn a_network_holds_its_addresses_in_both_spellings() {
        let network = Network { address: "10.0.0.0".parse().expect("an address"), prefix: 8 };
        assert!(network.contains("::ffff:10.9.9.9".parse().expect("an address")));
    }
}
