//! The name server of the demo: hickory's, on loopback, UDP and TCP on one free port, authoritative for a few names.
//!
//! It knows nothing else and asks nobody: other names are refused.

use super::Unexpected;
use hickory_server::{
    proto::rr::{
        Name, RData, Record,
        rdata::{A, NS, SOA, TXT},
    },
    server::Server,
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tokio::net::{TcpListener, UdpSocket};

/// How long resolvers may keep an answer, in seconds: an hour, as for a record that `keygen` prints.
pub const TTL: u32 = 3600;
/// An idle TCP connection is closed after this.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// The port of UDP may be taken for TCP; then another one is tried.
const TRIES: usize = 16;

/// A TXT record to serve: its name, and its character-strings.
#[derive(Clone, Debug)]
pub struct Published {
    /// The zone that it lies in.
    pub zone: String,
    /// Where it stands.
    pub name: String,
    /// Its strings, each at most 255 octets.
    pub strings: Vec<String>,
}

/// A name server that answers until it is dropped.
pub struct NameServer {
    address: SocketAddr,
    _server: Server<Catalog>,
}

impl NameServer {
    /// Serves these records; needs a tokio runtime.
    pub async fn start(records: &[Published]) -> Result<NameServer, Unexpected> {
        let failed = Unexpected::when("the name server cannot start");
        let catalog = catalog(records).map_err(Unexpected::when("the name server's zone is wrong"))?;
        let (udp, tcp) = bind().await.map_err(&failed)?;
        let address = udp.local_addr().map_err(&failed)?;
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_TIMEOUT, 16);
        Ok(NameServer { address, _server: server })
    }

    /// Where it listens, both UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// One free port for both protocols.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

fn catalog(records: &[Published]) -> Result<Catalog, String> {
    let mut catalog = Catalog::new();
    let mut zones: Vec<&str> = records.iter().map(|record| record.zone.as_str()).collect();
    zones.dedup();
    for zone in zones {
        let origin = absolute(zone)?;
        let mut handler: InMemoryZoneHandler =
            InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
        for record in apex(&origin)? {
            handler.upsert_mut(record, 1);
        }
        for record in records.iter().filter(|record| record.zone == zone) {
            let strings = TXT::new(record.strings.clone());
            handler.upsert_mut(Record::from_rdata(absolute(&record.name)?, TTL, RData::TXT(strings)), 1);
        }
        catalog.upsert(origin.into(), vec![Arc::new(handler) as Arc<dyn ZoneHandler>]);
    }
    Ok(catalog)
}

/// What every zone has: SOA, and a name server with its address.
fn apex(origin: &Name) -> Result<[Record; 3], String> {
    let below = |label: &str| Name::from_str(label).and_then(|label| label.append_domain(origin));
    let server = below("ns").map_err(|error| error.to_string())?;
    let contact = below("hostmaster").map_err(|error| error.to_string())?;
    let soa = SOA::new(server.clone(), contact, 1, 3600, 600, 86400, 300);
    Ok([
        Record::from_rdata(origin.clone(), TTL, RData::SOA(soa)),
        Record::from_rdata(origin.clone(), TTL, RData::NS(NS(server.clone()))),
        Record::from_rdata(server, TTL, RData::A(A(Ipv4Addr::LOCALHOST))),
    ])
}

fn absolute(name: &str) -> Result<Name, String> {
    Name::from_str(&format!("{name}.")).map_err(|error| format!("{name}: {error}"))
}
