//! The name servers of a zone, each asked by itself: what they answer, with which authority, at which serial.
//!
//! The zone is found through the resolver, its delegation from the servers of the zone above; where the resolver gives
//! nothing, the referrals are followed from the closest zone above that it knows. Every packet counts as a question. What
//! the purse does not pay for is left out, and what was learned so far stands. Nothing here judges.

use crate::{
    diagnose::case::{Asked, ServerAnswer, Servers, Service},
    dns::{
        Answer, Data, Dns, Fault, Outcome, RecordType,
        live::{self, Direct, Role},
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
const PLENTY: usize = 24;

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

/// What the name servers of a name say; `told` is what the resolver said.
pub async fn servers(dns: Dns, purse: Arc<Purse>, asked: Asked, told: Option<Arc<Answer>>) -> Servers {
    let inquirer = Inquirer { resolver: dns.resolvers().first().copied(), dns, purse };
    let mut servers = inquirer.name_servers(&asked).await;
    if told.is_some_and(|told| told.outcome == Outcome::Fault(Fault::ServFail)) {
        inquirer.past_dnssec(&asked, &mut servers).await;
    }
    servers
}

struct Inquirer {
    dns: Dns,
    /// Whom to ask without DNSSEC checks.
    resolver: Option<SocketAddr>,
    purse: Arc<Purse>,
}

impl Inquirer {
    async fn name_servers(&self, asked: &Asked) -> Servers {
        let Some(zone) = self.zone(asked).await else { return Servers::default() };
        let mut servers = Servers { zone: zone.name.clone(), ..Servers::default() };
        let mut under_way = JoinSet::new();
        let named = zone.delegated.into_iter().map(|server| (server, true));
        for ((name, known), delegated) in named.chain(zone.others.into_iter().map(|server| (server, false))) {
            if under_way.len() >= MAX_SERVERS {
                break;
            }
            let addresses = self.addresses(&name, known).await;
            if addresses.is_empty() {
                servers.without_address.push(name);
                continue;
            }
            for ip in addresses.into_iter().take((MAX_SERVERS - under_way.len()).min(MAX_ADDRESSES)) {
                let address = SocketAddr::new(ip, PORT);
                let (asked, name, zone) = (asked.clone(), name.clone(), servers.zone.clone());
                if self.purse.pay(2) {
                    under_way.spawn(async move { one_server(name, address, delegated, &asked, &zone).await });
                }
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
    async fn zone(&self, asked: &Asked) -> Option<Zone> {
        let (name, answer, climbed) = self.closest(&asked.0).await?;
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
        if self.purse.left() < PLENTY {
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
            let direct = live::ask(SocketAddr::new(*ip, PORT), name, kind, Role::Authoritative, PATIENCE).await;
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
        addresses.retain(|ip| may_be_asked(*ip));
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
        match self.resolver.filter(|_| failed && self.purse.pay(1)) {
            Some(resolver) => Some(Arc::new(live::ask(resolver, name, kind, Role::Unchecked, PATIENCE).await.answer)),
            None => Some(answer),
        }
    }

    /// Is it DNSSEC that makes the resolver fail? It is asked once more, and once without checks.
    async fn past_dnssec(&self, asked: &Asked, servers: &mut Servers) {
        let Some(resolver) = self.resolver.filter(|_| self.purse.pay(2)) else { return };
        let ask = |role| live::ask(resolver, &asked.0, asked.1, role, PATIENCE);
        let unchecked = ask(Role::Unchecked).await;
        let again = ask(Role::Resolver).await;
        servers.unchecked = Some(Arc::new(unchecked.answer));
        servers.again = Some(Arc::new(again.answer));
        servers.extended = again.extended;
    }
}

/// Asks one server for the record and for the SOA of the zone.
async fn one_server(name: String, address: SocketAddr, delegated: bool, asked: &Asked, zone: &str) -> ServerAnswer {
    let (direct, soa) = tokio::join!(
        live::ask(address, &asked.0, asked.1, Role::Authoritative, PATIENCE),
        live::ask(address, zone, RecordType::Soa, Role::Authoritative, PATIENCE),
    );
    let soa = soa.answer.records.iter().find_map(|record| match &record.data {
        Data::Soa { mname, serial, .. } if record.name == zone => Some((mname.clone(), *serial)),
        _ => None,
    });
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

/// No name server has an address that means nothing, many hosts, this link alone, or that is set aside for examples.
fn may_be_asked(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.octets()[0] == 0
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_link_local()
                || ip.is_documentation())
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => may_be_asked(IpAddr::V4(ip)),
            None => {
                let documentation = ip.segments()[..2] == [0x2001, 0xdb8];
                !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || documentation)
            }
        },
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
