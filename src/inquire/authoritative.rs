//! The name servers of a zone, each asked by itself: what they answer, with which authority, at which serial.
//!
//! The zone is found through the resolver, its delegation from the servers of the zone above; where the resolver gives
//! nothing, the referrals are followed from the closest zone above that it knows. Every packet counts as a question. What
//! the purse does not pay for is left out, and what was learned so far stands. Nothing here judges.

use crate::{
    config::Network,
    diagnose::case::{Asked, ServerAnswer, Servers, Service},
    dns::{
        Answer, Data, Dns, Fault, Outcome, RecordType,
        live::{self, Direct, Role},
        pace::Pace,
    },
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// The port of name servers.
const PORT: u16 = 53;

/// The most servers asked for one name; a delegation has two to four, those of the largest zones thirteen.
const MAX_SERVERS: usize = 8;

/// The most addresses of one server.
const MAX_ADDRESSES: usize = 2;

/// The most referrals followed for one name.
const MAX_REFERRALS: usize = 4;

/// How long one server may take, the question without EDNS included: twice what the slowest ones far away take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The servers above the zone are asked for its delegation only if so many questions are left: there are more urgent ones.
pub(super) const PLENTY: usize = 24;

/// Which addresses of name servers may be asked. Who writes the message chooses them, and who asks stands inside of a
/// network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// None at all.
    Nobody,
    /// Addresses of the internet, but for those of these networks, which are our own.
    Public(Vec<Network>),
    /// Whatever can be the address of a name server: where whoever asks chose the domain.
    Everybody,
}

/// Questions that may still be asked.
pub struct Purse(AtomicUsize);

impl Purse {
    /// With so many questions in it.
    pub fn new(questions: usize) -> Purse {
        Purse(AtomicUsize::new(questions))
    }

    /// What is left.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Pays for some questions, or for none of them.
    fn pay(&self, questions: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(questions)).is_ok()
    }
}

/// A zone and who serves it: names with the addresses that are known already.
#[derive(Clone, Debug, Default)]
struct Zone {
    name: String,
    delegated: Vec<(String, Vec<IpAddr>)>,
    /// Those that only the zone itself names.
    others: Vec<(String, Vec<IpAddr>)>,
}

/// Asks, within bounds.
#[derive(Clone)]
pub struct Inquirer {
    dns: Dns,
    purse: Arc<Purse>,
    bounds: Arc<Bounds>,
    /// Is the resolver asked once more, without DNSSEC checks, where it fails?
    past_dnssec: bool,
}

/// Whom to ask, and how fast.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Whom.
    pub reach: Reach,
    /// How fast servers are asked directly, by all who share it.
    pub pace: Option<Pace>,
}

/// What the resolver says to a question that it failed to answer.
#[derive(Default)]
struct Again {
    unchecked: Option<Arc<Answer>>,
    again: Option<Arc<Answer>>,
    extended: Vec<(u16, String)>,
}

impl Inquirer {
    /// With the resolver, what may still be asked, and whom.
    pub fn new(dns: Dns, purse: Arc<Purse>, bounds: Arc<Bounds>) -> Inquirer {
        Inquirer { dns, purse, bounds, past_dnssec: true }
    }

    /// What the name servers of a name say; `told` is what the resolver said.
    pub async fn servers(mut self, asked: Asked, told: Option<Arc<Answer>>) -> Servers {
        let failed = told.as_ref().is_some_and(|told| told.outcome == Outcome::Fault(Fault::ServFail));
        let again = if failed { self.past_dnssec(&asked).await } else { Again::default() };
        let bogus = again.unchecked.as_ref().is_some_and(|answer| is_usable(answer));
        self.past_dnssec = !failed || bogus;
        let servers = match bogus && self.is_short() {
            // The matter is settled, and what is left is for others.
            true => Servers::default(),
            false => self.name_servers(&asked, told.as_deref()).await,
        };
        Servers { unchecked: again.unchecked, again: again.again, extended: again.extended, ..servers }
    }

    /// Is so little left that it goes to what is most urgent?
    fn is_short(&self) -> bool {
        self.purse.left() < PLENTY
    }

    async fn name_servers(&self, asked: &Asked, told: Option<&Answer>) -> Servers {
        let Some(zone) = self.zone(asked, told).await else { return Servers::default() };
        let mut servers = Servers { zone: zone.name.clone(), ..Servers::default() };
        let mut found: Vec<(String, IpAddr, bool)> = Vec::new();
        let named = zone.delegated.into_iter().map(|server| (server, true));
        for ((name, known), delegated) in named.chain(zone.others.into_iter().map(|server| (server, false))) {
            // A question is left for each that was found.
            if found.len() >= MAX_SERVERS.min(self.purse.left()) {
                break;
            }
            let addresses = self.addresses(&name, known).await;
            if addresses.is_empty() {
                servers.without_address.push(name);
                continue;
            }
            let most = if self.is_short() { 1 } else { MAX_ADDRESSES };
            found.extend(addresses.into_iter().take(most).map(|ip| (name.clone(), ip, delegated)));
        }
        found.truncate(MAX_SERVERS);
        let serials = self.purse.left() >= 2 * found.len();
        let mut under_way = JoinSet::new();
        for (name, ip, delegated) in found {
            if self.purse.pay(if serials { 2 } else { 1 }) {
                let (inquirer, asked) = (self.clone(), asked.clone());
                let zone = serials.then(|| servers.zone.clone());
                let address = SocketAddr::new(ip, PORT);
                under_way.spawn(async move { inquirer.one_server(name, address, delegated, &asked, zone).await });
            }
        }
        while let Some(answer) = under_way.join_next().await {
            // A task that died leaves its server without an answer.
            servers.answers.extend(answer);
        }
        servers.answers.sort_by(|one, other| (&one.name, one.address).cmp(&(&other.name, other.address)));
        servers
    }

    /// The zone of a name, and who serves it.
    async fn zone(&self, asked: &Asked, told: Option<&Answer>) -> Option<Zone> {
        let (name, answer, climbed) = match self.named_zone(asked, told).await {
            Some((name, answer)) => (name, answer, false),
            None => {
                // A key stands two labels below its domain, and hardly anybody cuts the zone in between.
                let failed = told.is_some_and(|told| !is_usable(told));
                let domain = asked.0.split_once("._domainkey.").filter(|_| failed && self.is_short());
                self.closest(domain.map_or(&*asked.0, |(_, domain)| domain)).await?
            }
        };
        let own: Vec<_> = names_in(&answer).map(|server| (server, Vec::new())).collect();
        if climbed {
            let zone = Zone { name, delegated: own, others: Vec::new() };
            return Some(self.descend(zone, asked).await);
        }
        let Some(delegated) = self.delegation(&name).await else {
            return Some(Zone { name, delegated: own, others: Vec::new() });
        };
        let others =
            own.into_iter().filter(|(server, _)| !delegated.iter().any(|(other, _)| other == server)).collect();
        Some(Zone { name, delegated, others })
    }

    /// The zone that a negative answer names, where no alias led out of it.
    async fn named_zone(&self, asked: &Asked, told: Option<&Answer>) -> Option<(String, Arc<Answer>)> {
        // Whoever has plenty asks for the name itself: what the resolver remembers of the zone may be old, too.
        let told = told.filter(|told| self.is_short() && told.is_negative() && told.records.is_empty())?;
        let (zone, _) = told.negative.as_ref().filter(|(zone, _)| is_above(zone, &asked.0))?;
        let servers = self.look(zone, RecordType::Ns).await?;
        (servers.outcome == Outcome::Records).then(|| (zone.clone(), servers))
    }

    /// The closest zone at or above a name that the resolver knows, and its name servers; whether it failed on the way.
    async fn closest(&self, name: &str) -> Option<(String, Arc<Answer>, bool)> {
        let (mut name, mut failed) = (name.to_owned(), false);
        loop {
            let answer = self.look(&name, RecordType::Ns).await?;
            let alias = answer.records.iter().any(|record| matches!(record.data, Data::Cname(_)));
            match &answer.outcome {
                Outcome::Records if !alias => return Some((name, answer, failed)),
                Outcome::NoData | Outcome::NxDomain if !alias => {
                    if let Some((zone, _)) = answer.negative.as_ref().filter(|(zone, _)| is_above(zone, &name)) {
                        let servers = self.look(zone, RecordType::Ns).await?;
                        if servers.outcome == Outcome::Records {
                            return Some((zone.clone(), servers, failed));
                        }
                    }
                }
                // Without a resolver there is no way to anybody.
                Outcome::Fault(Fault::Timeout | Fault::Budget) => return None,
                Outcome::Fault(_) => failed = true,
                _ => {}
            }
            name = name.split_once('.')?.1.to_owned();
        }
    }

    /// Follows referrals from a zone towards the name.
    async fn descend(&self, mut zone: Zone, asked: &Asked) -> Zone {
        for _ in 0..MAX_REFERRALS {
            let Some(direct) = self.first_to_answer(&zone.delegated, &asked.0, asked.1).await else { break };
            match direct.referral {
                Some(referral) if is_below(&referral.zone, &zone.name) && is_above(&referral.zone, &asked.0) => {
                    zone = Zone { name: referral.zone, delegated: referral.servers, others: Vec::new() };
                }
                _ => break,
            }
        }
        zone
    }

    /// The servers that the zone above points to; `None` where that was not learned.
    async fn delegation(&self, zone: &str) -> Option<Vec<(String, Vec<IpAddr>)>> {
        let (_, above) = zone.split_once('.')?;
        if self.is_short() {
            return None;
        }
        let (_, parents, _) = self.closest(above).await?;
        let parents: Vec<_> = names_in(&parents).map(|server| (server, Vec::new())).collect();
        let direct = self.first_to_answer(&parents, zone, RecordType::Ns).await?;
        match direct.referral {
            Some(referral) if referral.zone == zone => Some(referral.servers),
            // A server of both zones answers from the lower one: it hides what the upper one says.
            _ => None,
        }
    }

    /// The first usable answer of two servers of a zone.
    async fn first_to_answer(&self, servers: &[(String, Vec<IpAddr>)], name: &str, kind: RecordType) -> Option<Direct> {
        for (server, known) in servers.iter().take(2) {
            let addresses = self.addresses(server, known.clone()).await;
            let Some(ip) = addresses.first().filter(|_| self.purse.pay(1)) else { continue };
            let direct = self.ask(SocketAddr::new(*ip, PORT), name, kind, Role::Authoritative).await;
            if direct.referral.is_some() || !matches!(direct.answer.outcome, Outcome::Fault(_)) {
                return Some(direct);
            }
        }
        None
    }

    /// The addresses of a server that may be asked; those of IPv6 only where there are no others.
    async fn addresses(&self, server: &str, known: Vec<IpAddr>) -> Vec<IpAddr> {
        let mut addresses = known;
        for kind in [RecordType::A, RecordType::Aaaa] {
            if addresses.is_empty()
                && let Some(answer) = self.look(server, kind).await
            {
                addresses.extend(answer.addresses());
            }
        }
        addresses.retain(|ip| self.bounds.reach.contains(*ip));
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses
    }

    /// Asks the resolver; without DNSSEC checks if that is what makes it fail. `None` if nothing may be asked any more.
    async fn look(&self, name: &str, kind: RecordType) -> Option<Arc<Answer>> {
        if !self.purse.pay(1) {
            return None;
        }
        let answer = self.dns.query(name, kind).await;
        let failed = answer.outcome == Outcome::Fault(Fault::ServFail);
        match self.resolver().filter(|_| failed && self.past_dnssec && self.purse.pay(1)) {
            Some(resolver) => Some(Arc::new(self.ask(resolver, name, kind, Role::Unchecked).await.answer)),
            None => Some(answer),
        }
    }

    fn resolver(&self) -> Option<SocketAddr> {
        self.dns.resolvers().first().copied()
    }

    async fn ask(&self, server: SocketAddr, name: &str, kind: RecordType, role: Role) -> Direct {
        live::ask(server, name, kind, role, PATIENCE, self.bounds.pace.clone()).await
    }

    /// Is it DNSSEC that makes the resolver fail? It is asked once more, and once without checks.
    async fn past_dnssec(&self, asked: &Asked) -> Again {
        let Some(resolver) = self.resolver().filter(|_| self.purse.pay(2)) else { return Again::default() };
        let (unchecked, again) = tokio::join!(
            self.ask(resolver, &asked.0, asked.1, Role::Unchecked),
            self.ask(resolver, &asked.0, asked.1, Role::Resolver),
        );
        Again {
            unchecked: Some(Arc::new(unchecked.answer)),
            again: Some(Arc::new(again.answer)),
            extended: again.extended,
        }
    }

    /// Asks one server for the record, and for the SOA of the zone where one is named.
    async fn one_server(
        &self,
        name: String,
        address: SocketAddr,
        delegated: bool,
        asked: &Asked,
        zone: Option<String>,
    ) -> ServerAnswer {
        let serial = async {
            let zone = zone?;
            let soa = self.ask(address, &zone, RecordType::Soa, Role::Authoritative).await;
            soa.answer.records.iter().find_map(|record| match &record.data {
                Data::Soa { mname, serial, .. } if record.name == zone => Some((mname.clone(), *serial)),
                _ => None,
            })
        };
        let (direct, soa) = tokio::join!(self.ask(address, &asked.0, asked.1, Role::Authoritative), serial);
        ServerAnswer {
            name,
            address,
            service: service(&direct),
            without_edns: direct.without_edns,
            answer: Arc::new(direct.answer),
            serial: soa.as_ref().map(|(_, serial)| *serial),
            primary: soa.map(|(primary, _)| primary),
            delegated,
        }
    }
}

fn service(direct: &Direct) -> Service {
    match &direct.answer.outcome {
        _ if direct.referral.is_some() => Service::Lame,
        Outcome::Fault(Fault::Refused) => Service::Lame,
        Outcome::Fault(Fault::ServFail) => Service::Fails,
        Outcome::Fault(_) => Service::Silent,
        _ if direct.answer.authoritative => Service::Serves,
        _ => Service::Lame,
    }
}

/// The names in NS records.
fn names_in(answer: &Answer) -> impl Iterator<Item = String> + '_ {
    answer.records.iter().filter_map(|record| match &record.data {
        Data::Ns(name) => Some(name.clone()),
        _ => None,
    })
}

/// Is this zone the name itself, or above it?
fn is_above(zone: &str, name: &str) -> bool {
    zone == name || is_below(name, zone)
}

fn is_below(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// Is there an answer that says something?
fn is_usable(answer: &Answer) -> bool {
    !matches!(answer.outcome, Outcome::Fault(_))
}

impl Reach {
    /// May this address be asked?
    pub fn contains(&self, ip: IpAddr) -> bool {
        match self {
            Reach::Nobody => false,
            Reach::Public(own) => {
                let ip = ip.to_canonical();
                is_public(ip) && !own.iter().any(|network| network.contains(ip))
            }
            Reach::Everybody => may_be_asked(ip),
        }
    }
}

/// No name server has an address that means nothing, many hosts, this link alone, or that is set aside for examples.
fn may_be_asked(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            !(ip.octets()[0] == 0
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_link_local()
                || ip.is_documentation())
        }
        IpAddr::V6(ip) => {
            let documentation = ip.segments()[..2] == [0x2001, 0xdb8];
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || documentation)
        }
    }
}

/// Is it an address of the internet, as the registries of special addresses (RFC 6890) see it? Of IPv6, what holds an
/// address of IPv4 (translation, 6to4, Teredo) is none: it may lead anywhere.
fn is_public(ip: IpAddr) -> bool {
    if !may_be_asked(ip) {
        return false;
    }
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            let special = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
            let benchmark = a == 198 && b & 0xfe == 18;
            !(ip.is_private() || ip.is_loopback() || shared || special || benchmark || a >= 240)
        }
        IpAddr::V6(ip) => {
            let segments = ip.segments();
            segments[0] & 0xe000 == 0x2000
                && segments[0] != 0x2002
                && !(segments[0] == 0x2001 && segments[1] < 0x200)
                && segments[0] != 0x3fff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_name_server_has_are_not_asked() {
        for (address, may) in [
            ("192.0.2.1", false),
            ("203.0.113.9", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("224.0.0.251", false),
            ("255.255.255.255", false),
            ("2001:db8::1", false),
            ("fe80::1", false),
            ("::ffff:192.0.2.1", false),
            ("10.0.0.53", true),
            ("127.0.0.1", true),
            ("8.8.8.8", true),
            ("2606:4700::1111", true),
        ] {
            assert_eq!(may_be_asked(address.parse().expect("an address")), may, "{address}");
        }
    }

    #[test]
    fn a_stranger_chooses_no_address_within() {
        let network = |address: &str, prefix| Network { address: address.parse().expect("an address"), prefix };
        let reach = Reach::Public(vec![network("198.51.99.0", 24), network("2001:470::", 32)]);
        for (address, may) in [
            ("8.8.8.8", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("10.0.0.53", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("169.254.169.254", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("198.18.0.1", false),
            ("198.51.99.53", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::a00:1", false),
            ("2002:a00:1::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2001:470::53", false),
            ("fc00::1", false),
            ("fd12::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("::", false),
            ("3fff::1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(reach.contains(address), may, "{address}");
            assert!(!Reach::Nobody.contains(address));
            assert!(!may || Reach::Everybody.contains(address), "{address}");
        }
    }

    #[test]
    fn a_purse_pays_until_it_is_empty() {
        let purse = Purse::new(3);
        assert!(purse.pay(2) && !purse.pay(2) && purse.pay(1) && !purse.pay(1));
        assert_eq!(purse.left(), 0);
    }

    #[test]
    fn a_zone_is_above_its_names_alone() {
        assert!(is_above("example.com", "example.com") && is_above("example.com", "a.example.com"));
        assert!(!is_above("example.com", "badexample.com") && !is_above("a.example.com", "example.com"));
    }
}
