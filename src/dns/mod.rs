//! One seam to DNS: a question in, the RRset as received out.
//!
//! Records stay apart, and the character-strings inside a TXT record stay apart; TTL, rcode and the server that answered
//! come with them. NXDOMAIN, NODATA and every kind of fault are told apart, because the diagnosis lives on the difference.
//! Nothing here fails with an error: a question without a usable answer has an [`Outcome::Fault`].
//!
//! Answers come from name servers ([`live`]) or master files ([`zone`]). Around one of these stand, from the inside out,
//! what all messages share ([`cache`]), what a run notes ([`record`]) and what one message may ask ([`budget`]).

pub mod budget;
pub mod cache;
mod generic;
mod labels;
pub mod live;
mod master;
pub mod pace;
pub mod record;
mod wire;
pub mod zone;

use crate::name::DomainName;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// The record types that mail authentication asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum RecordType {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Spf,
    Txt,
}

/// The most CNAMEs that are followed for one question: what BIND follows; Unbound gives up earlier.
pub(crate) const MAX_CNAMES: usize = 16;

impl RecordType {
    /// Every type, by its number.
    pub const ALL: [RecordType; 9] = {
        use RecordType::*;
        [A, Ns, Cname, Soa, Ptr, Mx, Txt, Aaaa, Spf]
    };

    /// The number in IANA's registry.
    pub fn number(self) -> u16 {
        match self {
            RecordType::A => 1,
            RecordType::Ns => 2,
            RecordType::Cname => 5,
            RecordType::Soa => 6,
            RecordType::Ptr => 12,
            RecordType::Mx => 15,
            RecordType::Txt => 16,
            RecordType::Aaaa => 28,
            RecordType::Spf => 99,
        }
    }
}

/// As in a master file: `TXT`.
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Cname => "CNAME",
            RecordType::Mx => "MX",
            RecordType::Ns => "NS",
            RecordType::Ptr => "PTR",
            RecordType::Soa => "SOA",
            RecordType::Spf => "SPF",
            RecordType::Txt => "TXT",
        })
    }
}

/// What a record holds. Names are as received, lower case, without a final dot; they may hold what no mail domain can.
/// Octets that are not UTF-8, control characters, backslashes and dots inside a label are then escaped as in master
/// files (RFC 1035 §5.1); the root is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Mx {
        preference: u16,
        exchange: String,
    },
    Ns(String),
    Ptr(String),
    Soa {
        mname: String,
        serial: u32,
        minimum: u32,
    },
    /// The character-strings of one TXT (or type SPF) record, one by one.
    Txt(Vec<Box<[u8]>>),
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner name, lower case, without a final dot.
    pub name: String,
    /// Seconds that the answer may still be kept.
    pub ttl: u32,
    /// What it holds.
    pub data: Data,
}

/// Why a question has no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing came in time.
    Timeout,
    /// The server failed (rcode 2).
    ServFail,
    /// The server refused (rcode 5).
    Refused,
    /// The answer was cut and could not be had over TCP.
    Truncated,
    /// CNAMEs that lead back to themselves, or too many.
    CnameLoop,
    /// Another rcode, an answer that cannot be read, a server that could not be reached.
    Other(String),
    /// The name cannot be asked at all (a label over 63 octets, over 255 in all). No question was sent.
    Unaskable(String),
    /// A cap on questions or time was reached. No question was sent.
    Budget,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Records of the type asked for, at the name or at the end of its CNAME chain.
    Records,
    /// The name exists, but has no record of this type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// No usable answer.
    Fault(Fault),
}

/// A question and what came back, exactly as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name asked for, lower case, without a final dot; escaped like the names in [`Data`].
    pub name: String,
    /// The type asked for.
    pub kind: RecordType,
    /// What came back.
    pub outcome: Outcome,
    /// The answer section: CNAMEs of the chain and the records of the type asked for, in the order received.
    /// A negative answer and a loop hold the CNAMEs that led there.
    pub records: Vec<Record>,
    /// What stands in the master files more than once, and in the answer once, as in that of a name server (RFC 2181 §5).
    pub repeated: Vec<Data>,
    /// The SOA of a negative answer: its owner, and the seconds that the negative answer may be kept.
    pub negative: Option<(String, u32)>,
    /// Who answered; `None` from a zone file or where no answer came.
    pub server: Option<SocketAddr>,
    /// Was the AA bit set?
    pub authoritative: bool,
    /// Was the AD bit set?
    pub authenticated: bool,
    /// How long it took; zero from a cache or a zone file.
    pub took: Duration,
}

impl Answer {
    /// An answer that holds nothing yet but its outcome; `name` as shown.
    pub(crate) fn new(name: String, kind: RecordType, outcome: Outcome) -> Answer {
        Answer {
            name,
            kind,
            outcome,
            records: Vec::new(),
            repeated: Vec::new(),
            negative: None,
            server: None,
            authoritative: false,
            authenticated: false,
            took: Duration::ZERO,
        }
    }

    /// The answer to a question, as asked, that came to nothing.
    pub(crate) fn fault(asked: &str, kind: RecordType, fault: Fault) -> Answer {
        let name = match labels::Labels::from_question(asked) {
            Ok(labels) => labels.text(),
            Err(_) => asked.to_ascii_lowercase(),
        };
        Answer::new(name, kind, Outcome::Fault(fault))
    }

    /// The TXT records: each one a list of character-strings.
    pub fn txt(&self) -> impl Iterator<Item = &[Box<[u8]>]> {
        self.records.iter().filter_map(|record| match &record.data {
            Data::Txt(strings) => Some(strings.as_slice()),
            _ => None,
        })
    }

    /// The TXT records, the strings of each joined without separator, as DKIM and SPF read them (RFC 7208 §3.3).
    pub fn joined_txt(&self) -> Vec<Vec<u8>> {
        self.txt().map(|strings| strings.concat()).collect()
    }

    /// The addresses in A or AAAA records.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.records.iter().filter_map(|record| match &record.data {
            Data::A(ip) => Some(IpAddr::V4(*ip)),
            Data::Aaaa(ip) => Some(IpAddr::V6(*ip)),
            _ => None,
        })
    }

    /// The end of the chain, where an answer holds aliases alone: what a server says that does not know more.
    pub fn only_alias(&self) -> Option<String> {
        match (&self.outcome, &self.records.last()?.data) {
            (Outcome::Records, Data::Cname(target)) if self.kind != RecordType::Cname => Some(target.clone()),
            _ => None,
        }
    }

    /// Does this answer say that there is nothing of this type at the name?
    pub fn is_negative(&self) -> bool {
        matches!(self.outcome, Outcome::NoData | Outcome::NxDomain)
    }
}

/// Where answers come from; cheap to clone.
#[derive(Clone)]
pub struct Dns {
    source: Arc<dyn Source>,
}

/// The future that a [`Source`] gives.
pub type Pending<'a> = std::pin::Pin<Box<dyn Future<Output = Arc<Answer>> + Send + 'a>>;

/// One source of answers: a live resolver, zone files, a recording of another source.
pub trait Source: Send + Sync {
    /// Answers one question. `name` is without a final dot and may be any text, hostile included.
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a>;

    /// As [`Source::query`], past what is kept of earlier answers.
    fn renew<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        self.query(name, kind)
    }

    /// The recursive resolvers behind it; none where no network is asked.
    fn resolvers(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// How fast it asks, and whoever asks others on its behalf; `None` for as fast as it can.
    fn pace(&self) -> Option<pace::Pace> {
        None
    }
}

impl Dns {
    /// Answers from this source.
    pub fn new(source: impl Source + 'static) -> Dns {
        Dns { source: Arc::new(source) }
    }

    /// Asks one question. `name` may be any text; what cannot be asked is a [`Fault::Unaskable`].
    pub async fn query(&self, name: &str, kind: RecordType) -> Arc<Answer> {
        self.source.query(name, kind).await
    }

    /// As [`Dns::query`], past what is kept of earlier answers.
    pub async fn renew(&self, name: &str, kind: RecordType) -> Arc<Answer> {
        self.source.renew(name, kind).await
    }

    /// How fast others may be asked on its behalf.
    pub fn pace(&self) -> Option<pace::Pace> {
        self.source.pace()
    }

    /// The recursive resolvers that are asked in the end; none where answers come from files.
    pub fn resolvers(&self) -> Vec<SocketAddr> {
        self.source.resolvers()
    }

    /// Asks for TXT records at a name.
    pub async fn txt(&self, name: &DomainName) -> Arc<Answer> {
        self.query(name.as_str(), RecordType::Txt).await
    }
}

/// A resolver configuration that asks nobody: for a verifier that is handed its records and must never use the network.
pub fn nowhere() -> (hickory_resolver::config::ResolverConfig, hickory_resolver::config::ResolverOpts) {
    (hickory_resolver::config::ResolverConfig::from_name_servers(Vec::new()), Default::default())
}

/// A resolver configuration that asks this name server alone: for a verifier of others that looks keys up by itself.
pub fn only(server: SocketAddr) -> (hickory_resolver::config::ResolverConfig, hickory_resolver::config::ResolverOpts) {
    let mut config = hickory_resolver::config::NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    (hickory_resolver::config::ResolverConfig::from_name_servers(vec![config]), Default::default())
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Timeout => write!(f, "no answer in time"),
            Fault::ServFail => write!(f, "the server failed (SERVFAIL)"),
            Fault::Refused => write!(f, "the server refused (REFUSED)"),
            Fault::Truncated => write!(f, "the answer was cut and could not be had over TCP"),
            Fault::CnameLoop => write!(f, "CNAMEs lead back to themselves or are too many"),
            Fault::Other(what) => write!(f, "{what}"),
            Fault::Unaskable(why) => write!(f, "the name cannot be asked for: {why}"),
            Fault::Budget => write!(f, "over the cap of questions or time"),
        }
    }
}
