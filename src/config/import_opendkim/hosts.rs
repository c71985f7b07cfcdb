//! Lists of clients: InternalHosts and PeerList as networks.
//!
//! OpenDKIM takes the most precise entry that fits an address, `!` meaning "not"; here that becomes networks without the
//! parts that were excluded. Names of hosts cannot be networks, and are named.

use super::{
    dataset::Row,
    told::{Reading, Weight},
};
use crate::config::{Network, kind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What OpenDKIM takes for InternalHosts where there is none.
pub const DEFAULT: Network = Network { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix: 32 };

/// The networks of an option; `None` where it is not there.
pub fn networks(reading: &mut Reading<'_>, name: &str, setting: &str) -> Option<Vec<Network>> {
    reading.conf.get(name)?;
    let nearest = format!("write its addresses into {setting}");
    let (_, _, rows) = reading.dataset(name, &nearest)?;
    let mut entries = Vec::new();
    for row in &rows {
        let (excluded, text) = match row.key.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, row.key.as_str()),
        };
        match addresses(text) {
            Ok(found) => entries.extend(found.into_iter().map(|network| (excluded, network))),
            Err(why) => lost(reading, row, name, &format!("{why}; {nearest}")),
        }
    }
    entries.sort_by_key(|(_, network)| network.prefix);
    let mut networks = Vec::new();
    for (excluded, network) in entries {
        match excluded {
            true => networks = without(networks, &[network]),
            false if networks.iter().any(|wider: &Network| covers(wider, &network)) => {}
            false => networks.push(network),
        }
    }
    Some(networks)
}

/// The first list without the second.
pub fn without(networks: Vec<Network>, holes: &[Network]) -> Vec<Network> {
    holes.iter().fold(networks, |networks, hole| networks.into_iter().flat_map(|one| minus(one, hole)).collect())
}

fn minus(network: Network, hole: &Network) -> Vec<Network> {
    if covers(hole, &network) {
        return Vec::new();
    }
    if !covers(&network, hole) {
        return vec![network];
    }
    halves(network).into_iter().flat_map(|half| minus(half, hole)).collect()
}

fn covers(wider: &Network, network: &Network) -> bool {
    wider.prefix <= network.prefix && wider.contains(network.address)
}

fn halves(network: Network) -> [Network; 2] {
    let prefix = network.prefix + 1;
    let upper = match network.address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | 1 << (32 - u32::from(prefix)))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | 1 << (128 - u32::from(prefix)))),
    };
    [Network { address: network.address, prefix }, Network { address: upper, prefix }]
}

/// An address or a network, in brackets or not; `localhost` is the one name whose addresses are known.
fn addresses(text: &str) -> Result<Vec<Network>, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(vec![DEFAULT, Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 }]);
    }
    let plain = text.replace(['[', ']'], "");
    let looks_like_one = plain.contains(':') || plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '/'));
    match kind::network(&plain) {
        Ok(network) => Ok(vec![network]),
        Err(why) if why.contains("did you mean") => {
            Err(format!("{why} OpenDKIM never found it, and so nobody was in it"))
        }
        Err(why) if looks_like_one => Err(why),
        Err(_) => Err(format!("{text:?} is the name of a host or a domain, and clients are known by address alone")),
    }
}

fn lost(reading: &mut Reading<'_>, row: &Row, name: &str, why: &str) {
    let place = row.place.clone();
    reading.row(Weight::Lost, &place, format!("{name} {}", row.key), why);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<Network> {
        list.iter().map(|text| kind::network(text).expect("a network")).collect()
    }

    #[test]
    fn what_is_excluded_is_cut_out() {
        for (networks, holes, want) in [
            (&["10.0.0.0/30"][..], &["10.0.0.1"][..], &["10.0.0.0/32", "10.0.0.2/31"][..]),
            (&["10.0.0.0/24"], &["10.0.0.0/8"], &[]),
            (&["10.0.0.0/24"], &["192.0.2.0/24"], &["10.0.0.0/24"]),
            (&["2001:db8::/32"], &["2001:db8:8000::/33"], &["2001:db8::/33"]),
            (&["0.0.0.0/1"], &["0.0.0.0/2"], &["64.0.0.0/2"]),
        ] {
            let got: Vec<String> = without(nets(networks), &nets(holes)).iter().map(Network::to_string).collect();
            assert_eq!(got, want, "{networks:?} without {holes:?}");
        }
    }
}
