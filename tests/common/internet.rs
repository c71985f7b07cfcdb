//! A small internet on loopback, for a test in a network of its own: real name servers from the root down.

use super::{
    forge::Key,
    network::{Unbound, dns},
    nsd::Nsd,
};

/// Where the root and the registries are.
pub const ROOT: u8 = 10;
/// The first name server of example.com.
pub const NS1: u8 = 21;
/// The second one.
pub const NS2: u8 = 22;
/// The resolver.
pub const RESOLVER: u8 = 53;

/// The internet: a root with `com`, which delegates example.com to ns1 and ns2, and a resolver.
pub struct Internet {
    _root: Nsd,
    _resolver: Unbound,
}

/// What the registry says of it.
pub const DELEGATION: &str = "example.com. NS ns1.example.com.\nexample.com. NS ns2.example.com.\n\
                          ns1.example.com. A 127.0.0.21\nns2.example.com. A 127.0.0.22\n";

impl Internet {
    /// With both servers in the delegation.
    pub fn new() -> Internet {
        Internet::with(DELEGATION, "")
    }

    /// With this delegation, and these lines in the settings of the resolver.
    pub fn with(delegation: &str, resolver: &str) -> Internet {
        let apex = "SOA ns.root-servers.net. h.test. 1 3600 900 604800 60\n";
        let root = format!(
            "$TTL 3600\n. {apex}. NS ns.root-servers.net.\nns.root-servers.net. A 127.0.0.10\ncom. NS ns.root-servers.net.\norg. NS ns.root-servers.net.\n"
        );
        let com = format!("$TTL 3600\ncom. {apex}com. NS ns.root-servers.net.\n{delegation}");
        let org = format!(
            "$TTL 3600\norg. {apex}org. NS ns.root-servers.net.\nprovider.org. NS ns.provider.org.\nns.provider.org. A 127.0.0.30\n"
        );
        let root = Nsd::start_at(dns(ROOT), &[(".", &root), ("com", &com), ("org", &org)]);
        Internet { _root: root, _resolver: Unbound::start(dns(RESOLVER), dns(ROOT), resolver) }
    }
}

/// The zone example.com at a serial, with the key record if there is one.
pub fn zone(serial: u32, key: Option<&Key>) -> String {
    let key = key.map(|key| format!("sel._domainkey 300 TXT \"{}\"\n", key.record())).unwrap_or_default();
    zone_of(serial, &key)
}

/// The zone example.com at a serial, with these records.
pub fn zone_of(serial: u32, records: &str) -> String {
    format!(
        "$ORIGIN example.com.\n$TTL 3600\n@ SOA ns1 h {serial} 3600 900 604800 600\n@ NS ns1\n@ NS ns2\n\
         ns1 A 127.0.0.21\nns2 A 127.0.0.22\n@ TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n\
         _dmarc TXT \"v=DMARC1; p=none\"\n{records}"
    )
}

/// A name server of it.
#[track_caller]
pub fn serve(host: u8, zone: &str) -> Nsd {
    Nsd::start_at(dns(host), &[("example.com", zone)])
}
