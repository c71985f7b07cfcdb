//! Addresses in an SPF record that stand under the wrong name or in the wrong form, and the term that was meant.

use super::mend::{distance, is_term, without_qualifier};
use crate::spf::ProblemKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Networks that one range of addresses may become.
const RANGE: usize = 8;

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
        || kind == ProblemKind::UnknownMechanism && punctuated(bare).is_some()
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
        _ if punctuated(without_qualifier(word)).is_some() => "a colon must stand between ip4 or ip6 and the address",
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
    if let Some(networks) = range(rest).or_else(|| range(bare)) {
        let terms: Vec<String> = networks.iter().map(|network| format!("ip4:{network}")).collect();
        return (terms.len() <= RANGE && sign.is_empty()).then(|| terms.join(" ").into_bytes());
    }
    if let Some((family, text)) = network(rest).or_else(|| network(bare)).or_else(|| punctuated(bare)) {
        return Some([sign, format!("ip{family}:{text}").as_bytes()].concat());
    }
    let host = [sign, b"a:", rest].concat();
    (is_name(name) && is_term(&host)).then_some(host)
}

/// A network in place of one with an impossible prefix: the usual size.
pub fn also_meant(word: &[u8], kind: ProblemKind) -> Option<Vec<u8>> {
    let address = (kind == ProblemKind::Prefix).then(|| word.split(|&byte| byte == b'/').next())??;
    let usual: &[u8] = if word.iter().filter(|byte| **byte == b':').count() > 1 { b"/64" } else { b"/24" };
    meant(&[address, usual].concat())
}

/// `ip4.192.0.2.7`, `ip4-192.0.2.7`: another sign for the colon.
fn punctuated(bare: &[u8]) -> Option<(u8, String)> {
    let front = bare.get(..3).filter(|front| is_name(front))?;
    network(bare[front.len()..].strip_prefix(b".").or_else(|| bare[front.len()..].strip_prefix(b"-"))?)
}

/// The networks of `192.0.2.1-192.0.2.9`, `192.0.2.1-9`, `192.0.2.*` and `192.0.2`.
fn range(text: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(text).ok()?;
    let stem = text.trim_end_matches(['*', '.']);
    if stem.split('.').filter(|part| part.parse::<u8>().is_ok()).count() == 3 && stem.matches('.').count() == 2 {
        return Some(vec![format!("{stem}.0/24")]);
    }
    let (first, last) = text.split_once('-')?;
    let first: Ipv4Addr = first.parse().ok()?;
    let last = match last.parse::<u8>() {
        Ok(octet) => {
            let [a, b, c, _] = first.octets();
            Ipv4Addr::new(a, b, c, octet)
        }
        Err(_) => last.parse().ok()?,
    };
    let (mut at, end) = (u64::from(first.to_bits()), u64::from(last.to_bits()));
    let mut networks = Vec::new();
    while at <= end && networks.len() <= RANGE {
        // The largest network that begins here and does not go beyond the end.
        let aligned = (at | 1 << 32).trailing_zeros();
        let fitting = (end - at + 1).ilog2();
        let size = aligned.min(fitting);
        let address = Ipv4Addr::from(u32::try_from(at).ok()?);
        networks.push(if size == 0 { address.to_string() } else { format!("{address}/{}", 32 - size) });
        at += 1 << size;
    }
    (!networks.is_empty()).then_some(networks)
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
