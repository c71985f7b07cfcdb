//! Messages of DNS: a question as octets, and what the octets of a reply say about it.
//!
//! hickory-proto codes and decodes; this file judges. What does not belong to the question is told from what belongs to
//! it but cannot be used, because the first is waited out and the second is a fault.

use super::labels::Labels;
use super::{Data, Fault, MAX_CNAMES, Outcome, Record, RecordType, generic};
use hickory_resolver::proto::{
    op::{Edns, Message, MessageType, Query, ResponseCode},
    rr::{
        self, DNSClass, Name, RData,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};
use std::{collections::HashSet, net::IpAddr};

/// The largest UDP answer that we ask for: it crosses any path unfragmented (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// The option of EDNS that says more about a fault (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;

/// Extended DNS errors: their numbers in IANA's registry, and what the server says beside them.
pub type Extended = Vec<(u16, String)>;

/// A question as it goes out.
pub(crate) struct Question {
    pub(crate) name: Labels,
    pub(crate) kind: RecordType,
    pub(crate) recursive: bool,
    /// Asks a resolver not to check signatures (the CD bit, RFC 4035 §3.2.2).
    pub(crate) unchecked: bool,
    /// Random; a reply must repeat it.
    id: u16,
}

/// What a packet is to a question.
pub(crate) enum Received {
    /// Nothing: another id, another question, no reply at all.
    Stranger,
    /// Cut: ask again over TCP.
    Truncated,
    /// Our question was not understood; a server that does not know EDNS says so (RFC 6891 §7).
    FormErr,
    /// An answer.
    Reply(Reply),
    /// The answer, and it cannot be used.
    Fault(Fault, Extended),
    /// The server points to others.
    Referral(Referral),
}

/// Where a server points that does not have the zone itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// The zone that is delegated.
    pub zone: String,
    /// Its name servers, and their addresses as far as they came along.
    pub servers: Vec<(String, Vec<IpAddr>)>,
}

/// An answer: the records that may belong to the question, in the order received.
pub(crate) struct Reply {
    records: Vec<(Labels, RecordType, Record, Option<Labels>)>,
    exists: bool,
    soa: Option<(Labels, u32)>,
    pub(crate) authoritative: bool,
    pub(crate) authenticated: bool,
}

/// Where one reply has led.
pub(crate) enum Step {
    /// To an end.
    End(Outcome),
    /// To a name that the reply says nothing about.
    Ask(Labels),
}

impl Question {
    pub(crate) fn new(name: Labels, kind: RecordType, recursive: bool) -> Question {
        Question { name, kind, recursive, unchecked: false, id: Message::query().metadata.id }
    }

    /// The octets to send.
    pub(crate) fn encode(&self, edns: bool) -> Result<Vec<u8>, Fault> {
        let mut message = Message::query();
        message.metadata.id = self.id;
        message.metadata.recursion_desired = self.recursive;
        message.metadata.checking_disabled = self.unchecked;
        // Asks for the AD bit without asking for signatures (RFC 6840 §5.7).
        message.metadata.authentic_data = true;
        let name = Name::from_labels(self.name.iter()).map_err(|error| Fault::Unaskable(error.to_string()))?;
        message.add_query(Query::query(name, rr::RecordType::from(self.kind.number())));
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD);
            message.set_edns(edns);
        }
        message.to_vec().map_err(|error| Fault::Unaskable(error.to_string()))
    }

    /// Judges a packet that came from the server.
    pub(crate) fn read(&self, octets: &[u8]) -> Received {
        let [high, low, flags, ..] = *octets else { return Received::Stranger };
        let is_reply = flags & 0x80 != 0;
        if u16::from_be_bytes([high, low]) != self.id || !is_reply || octets.len() < 12 {
            return Received::Stranger;
        }
        // Looked at before anything else is read: what was cut may end in the middle of a record.
        if flags & 0x02 != 0 {
            return Received::Truncated;
        }
        let message = match Message::from_vec(octets) {
            Ok(message) => message,
            Err(error) => return unusable(Fault::Other(format!("an answer that cannot be read: {error}"))),
        };
        let code = message.metadata.response_code;
        match message.queries.as_slice() {
            [query] if self.is_asked_by(query) => {}
            // Servers that refuse or do not understand may leave the question out.
            [] if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) => {}
            _ => return Received::Stranger,
        }
        match code {
            ResponseCode::NoError | ResponseCode::NXDomain => self.reply(message),
            ResponseCode::FormErr => Received::FormErr,
            ResponseCode::ServFail => Received::Fault(Fault::ServFail, extended(&message)),
            ResponseCode::Refused => Received::Fault(Fault::Refused, extended(&message)),
            code => Received::Fault(Fault::Other(rcode(code)), extended(&message)),
        }
    }

    fn is_asked_by(&self, query: &Query) -> bool {
        query.query_type == rr::RecordType::from(self.kind.number())
            && query.query_class == DNSClass::IN
            && labels(&query.name).is_ok_and(|name| name == self.name)
    }

    fn reply(&self, message: Message) -> Received {
        debug_assert_eq!(message.metadata.message_type, MessageType::Response);
        let mut reply = Reply {
            records: Vec::new(),
            exists: message.metadata.response_code == ResponseCode::NoError,
            soa: None,
            authoritative: message.metadata.authoritative,
            authenticated: message.metadata.authentic_data,
        };
        for record in message.answers.iter().filter(|record| record.dns_class == DNSClass::IN) {
            match read_record(record) {
                Ok(found) => reply.records.extend(found),
                Err(why) => return unusable(Fault::Other(format!("an answer that cannot be read: {why}"))),
            }
        }
        for record in &message.authorities {
            if let (RData::SOA(soa), Ok(owner)) = (&record.data, labels(&record.name)) {
                reply.soa = Some((owner, seconds(record.ttl).min(soa.minimum)));
            }
        }
        let referral = referral(&message);
        let silent = reply.records.is_empty() && reply.exists && reply.soa.is_none();
        match referral {
            // RFC 2308 §2.2: name servers without a SOA point elsewhere, they do not deny.
            Some(referral) if silent && !reply.authoritative => Received::Referral(referral),
            _ => Received::Reply(reply),
        }
    }
}

fn unusable(fault: Fault) -> Received {
    Received::Fault(fault, Extended::new())
}

/// The extended errors in a reply; text that is cut short is none.
fn extended(message: &Message) -> Extended {
    let options = message.edns.iter().flat_map(|edns| edns.options().get_all(EdnsCode::Unknown(EXTENDED_ERROR)));
    options
        .filter_map(|option| match option {
            EdnsOption::Unknown(_, data) => {
                let (code, text) = data.split_first_chunk()?;
                Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
            }
            _ => None,
        })
        .collect()
}

/// The name servers in the authority section, with the addresses beside them.
fn referral(message: &Message) -> Option<Referral> {
    let mut zone = None;
    let mut servers: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for record in &message.authorities {
        if let (RData::NS(server), Ok(owner)) = (&record.data, text(&record.name))
            && zone.get_or_insert_with(|| owner.clone()) == &owner
            && let Ok(server) = text(&server.0)
        {
            servers.push((server, Vec::new()));
        }
    }
    for record in &message.additionals {
        let ip = match &record.data {
            RData::A(a) => IpAddr::V4(a.0),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
            _ => continue,
        };
        let Ok(owner) = text(&record.name) else { continue };
        servers.iter_mut().filter(|(server, _)| *server == owner).for_each(|(_, known)| known.push(ip));
    }
    Some(Referral { zone: zone?, servers })
}

/// The names that a question has led through, and the records met on the way.
pub(crate) struct Chain {
    name: Labels,
    kind: RecordType,
    visited: HashSet<Labels>,
    pub(crate) records: Vec<Record>,
}

impl Chain {
    pub(crate) fn new(name: Labels, kind: RecordType) -> Chain {
        Chain { name, kind, visited: HashSet::new(), records: Vec::new() }
    }

    /// Follows the CNAMEs of a reply to the name that was asked for last.
    pub(crate) fn follow(&mut self, reply: &Reply) -> Step {
        let mut here = HashSet::from([self.name.clone()]);
        let step = loop {
            if reply.at(&self.name).any(|(_, kind, ..)| *kind == self.kind) {
                break Step::End(Outcome::Records);
            }
            let Some(target) = reply.at(&self.name).find_map(|(.., target)| target.clone()) else {
                break self.silence(reply, here.len() > 1);
            };
            self.visited.insert(std::mem::replace(&mut self.name, target));
            if self.visited.contains(&self.name) || self.visited.len() > MAX_CNAMES {
                break Step::End(Outcome::Fault(Fault::CnameLoop));
            }
            here.insert(self.name.clone());
        };
        let met = reply.records.iter().filter(|(owner, kind, ..)| {
            here.contains(owner) && (*kind == RecordType::Cname || (*kind == self.kind && *owner == self.name))
        });
        self.records.extend(met.map(|(_, _, record, _)| record.clone()));
        step
    }

    /// What it means that a reply holds nothing at the name.
    fn silence(&self, reply: &Reply, led_here: bool) -> Step {
        if !reply.exists {
            return Step::End(Outcome::NxDomain);
        }
        let denied =
            reply.soa.as_ref().is_some_and(|(zone, _)| self.name.ancestors().any(|name| name == zone.as_wire()));
        // A server that knows only the alias sends only the alias.
        if led_here && !denied { Step::Ask(self.name.clone()) } else { Step::End(Outcome::NoData) }
    }
}

impl Reply {
    fn at(&self, name: &Labels) -> impl Iterator<Item = &(Labels, RecordType, Record, Option<Labels>)> {
        self.records.iter().filter(move |(owner, ..)| owner == name)
    }

    /// The SOA of a negative answer, as [`super::Answer::negative`] has it.
    pub(crate) fn negative(&self) -> Option<(String, u32)> {
        self.soa.as_ref().map(|(owner, keep)| (owner.text(), *keep))
    }
}

/// The text of a fault for an rcode that has no fault of its own.
pub(crate) fn rcode(code: ResponseCode) -> String {
    format!("rcode {} ({})", u16::from(code), code.to_str().to_lowercase())
}

/// A TTL with the highest bit set is none (RFC 2181 §8).
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

fn labels(name: &Name) -> Result<Labels, String> {
    let mut labels = Labels::default();
    for label in name.iter() {
        labels.push(label)?;
    }
    Ok(labels)
}

fn text(name: &Name) -> Result<String, String> {
    labels(name).map(|name| name.text())
}

/// A record of a type that is asked for here; `None` for any other.
#[allow(clippy::type_complexity)]
fn read_record(record: &rr::Record) -> Result<Option<(Labels, RecordType, Record, Option<Labels>)>, String> {
    let Some(kind) = generic::kind(record.record_type().into()) else { return Ok(None) };
    let mut target = None;
    let data = match &record.data {
        RData::A(a) => Data::A(a.0),
        RData::AAAA(aaaa) => Data::Aaaa(aaaa.0),
        RData::CNAME(name) => {
            let name = labels(&name.0)?;
            let data = Data::Cname(name.text());
            target = Some(name);
            data
        }
        RData::MX(mx) => Data::Mx { preference: mx.preference, exchange: text(&mx.exchange)? },
        RData::NS(name) => Data::Ns(text(&name.0)?),
        RData::PTR(name) => Data::Ptr(text(&name.0)?),
        RData::SOA(soa) => Data::Soa { mname: text(&soa.mname)?, serial: soa.serial, minimum: soa.minimum },
        RData::TXT(txt) => Data::Txt(txt.txt_data.to_vec()),
        RData::Unknown { rdata, .. } => generic::read(kind, &rdata.anything)?.0,
        _ => return Ok(None),
    };
    let owner = labels(&record.name)?;
    let record = Record { name: owner.text(), ttl: seconds(record.ttl), data };
    Ok(Some((owner, kind, record, target)))
}
