//! Addresses in an SPF record that stand under the wrong name or in the wrong form, and the term that was meant.

use super::mend::{distance, is_term, without_qualifier};
use crate::spf::ProblemKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The name of a term: what stands before its value.
pub fn name(word: &[u8]) -> &[u8] {
    let bare = without_qualifier(word);
    &bare[..bare.iter().position(|byte| b":/=".contains(byte)).unwrap_or(bare.len())]
}

/// Is this `ip4` or `ip6`, or what people write for it?
pub fn is_name(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let digits_alone = name.bytes().all(|byte| byte.is_ascii_digit());
    name.len() >= 2
        && !digits_alone
        && ["ip4", "ip6", "ipv4", "ipv6"].iter().any(|known| distance(&name, known) <= 1)
        && !["a", "mx", "ptr"].contains(&name.as_str())
}

/// Is the mistake about an address?
pub fn is_about(word: &[u8], kind: ProblemKind) -> bool {
    let bare = without_qualifier(word);
    is_name(name(word))
        || kind == ProblemKind::AddressAsName
        || (kind == ProblemKind::UnknownMechanism && network(bare).is_some())
}

/// What is wrong with it.
pub fn what(word: &[u8], kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Address => "ip4: and ip6: take an address, nothing else",
        ProblemKind::AddressFamily => "an address of the other family",
        ProblemKind::Prefix => "the prefix length must be 0 to 32 for ip4, 0 to 128 for ip6",
        ProblemKind::AddressAsName => "an address where a name must stand; ip4: and ip6: take addresses",
        ProblemKind::MissingArgument => "the address is missing",
        _ if is_name(name(word)) => "the mechanisms for addresses are called ip4 and ip6",
        _ => "an address needs ip4: or ip6: before it",
    }
}

/// The term that was meant.
pub fn meant(word: &[u8]) -> Option<Vec<u8>> {
    let bare = without_qualifier(word);
    let sign = &word[..word.len() - bare.len()];
    let name = name(word);
    let rest = match bare.get(name.len()) {
        Some(b':' | b'=') => bare[name.len() + 1..].trim_ascii(),
        _ => b"",
    };
    if let Some((family, text)) = network(rest).or_else(|| network(bare)) {
        return Some([sign, format!("ip{family}:{text}").as_bytes()].concat());
    }
    let host = [sign, b"a:", rest].concat();
    (is_name(name) && is_term(&host)).then_some(host)
}

/// An address or network, whatever is odd in how it is written: a port, leading zeros, a netmask, an impossible prefix.
fn network(text: &[u8]) -> Option<(u8, String)> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address = read_address(address)?;
    let (family, most) = if address.is_ipv4() { (4, 32) } else { (6, 128) };
    let prefix = prefix.and_then(|prefix| match prefix.parse::<Ipv4Addr>() {
        Ok(mask) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => Some(mask.to_bits().leading_ones()),
        _ => prefix.parse().ok().filter(|length| *length <= most),
    });
    Some((family, prefix.map_or(address.to_string(), |prefix| format!("{address}/{prefix}"))))
}

fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches(['[', ']', '.']);
    let octets: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
    let zeros = octets.and_then(|octets| <[u8; 4]>::try_from(octets).ok()).map(IpAddr::from);
    text.parse().ok().or(text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).or(zeros)
}
