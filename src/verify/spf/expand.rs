//! Names and macro values of one check: what the client and the domain give, in the forms that RFC 7208 §7 wants.
//!
//! Values come from the client as they are; [`askable`] decides what of them may reach DNS.

use super::{Query, identity};
use crate::spf::{Letter, Values};
use std::{borrow::Cow, net::IpAddr};

/// The name as text, if DNS can be asked for it: labels of 1 to 63 octets, 253 in all, visible ASCII and blanks.
pub(super) fn askable(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let labels = name.split(|&b| b == b'.').all(|label| (1..=63).contains(&label.len()));
    let letters = name.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    (labels && letters && name.len() <= 253).then(|| String::from_utf8_lossy(name).into_owned())
}

/// A name from an answer, if it can be asked for. There a backslash is an escape, here it would be taken literally and
/// lead to another name: such a name is no host's.
pub(super) fn received(name: &str) -> Option<String> {
    if name.contains('\\') { None } else { askable(name.as_bytes()) }
}

/// Is the name `domain`, or below it?
pub(super) fn is_within(name: &str, domain: &str) -> bool {
    let Some(front) = name.len().checked_sub(domain.len()) else { return false };
    let ends = name.get(front..).is_some_and(|end| end.eq_ignore_ascii_case(domain));
    ends && (front == 0 || name[..front].ends_with('.'))
}

/// The address as %{i} gives it: IPv4 as usual, IPv6 as nibbles with dots (§7.3).
pub(super) fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = format!("{:032X}", ip.to_bits());
            let nibbles: Vec<&str> = nibbles.split("").filter(|nibble| !nibble.is_empty()).collect();
            nibbles.join(".")
        }
    }
}

/// The values of the macros, at one record.
pub(super) struct Expansion<'a> {
    pub(super) identity: &'a identity::Identity,
    pub(super) query: &'a Query,
    pub(super) helo: &'a [u8],
    pub(super) ip: IpAddr,
    pub(super) domain: &'a str,
    pub(super) validated: String,
}

impl Values for Expansion<'_> {
    fn value(&self, letter: Letter) -> Cow<'_, [u8]> {
        let owned = |text: String| Cow::Owned(text.into_bytes());
        match letter {
            Letter::Sender => {
                let parts = [&self.identity.local_part[..], b"@", self.identity.spelled.as_bytes()];
                Cow::Owned(parts.concat())
            }
            Letter::LocalPart => Cow::Borrowed(&self.identity.local_part),
            Letter::SenderDomain => Cow::Borrowed(self.identity.spelled.as_bytes()),
            Letter::Domain => Cow::Borrowed(self.domain.as_bytes()),
            Letter::Address => owned(dotted(self.ip)),
            Letter::ValidatedName => Cow::Borrowed(self.validated.as_bytes()),
            Letter::Family if self.ip.is_ipv4() => Cow::Borrowed(b"in-addr"),
            Letter::Family => Cow::Borrowed(b"ip6"),
            Letter::Helo => Cow::Borrowed(self.helo),
            Letter::ReadableAddress => owned(self.ip.to_string()),
            Letter::Receiver if self.query.receiver.is_empty() => Cow::Borrowed(b"unknown"),
            Letter::Receiver => Cow::Borrowed(self.query.receiver.as_bytes()),
            Letter::Time => owned(self.query.now.to_string()),
        }
    }
}
