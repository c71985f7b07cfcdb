//! A name server on loopback with every vice: what it does with a question, a label of the name decides.
//!
//! UDP and TCP have the same port. A name without a label that names a vice is answered well.

use super::loopback;
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record as Wire, RecordType as WireType,
        rdata::{CNAME, NS, SOA, TXT},
    },
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::oneshot,
};

/// How late an answer is that comes at all.
pub const DELAY: Duration = Duration::from_millis(450);

/// The labels that decide. What each means stands where it is done.
const VICES: [&str; 33] = [
    "silence",
    "delay",
    "late",
    "lost",
    "servfail",
    "refused",
    "formerr",
    "notimp",
    "bare",
    "noedns",
    "wrongid",
    "wrongname",
    "wrongtype",
    "echo",
    "spoof",
    "garbage",
    "noise",
    "big",
    "cut",
    "cutshort",
    "cuthang",
    "loop",
    "self",
    "endless",
    "empty",
    "nodata",
    "nx",
    "gone",
    "void",
    "step",
    "both",
    "lame",
    "signed",
];

/// The server; it ends when dropped.
pub struct FaultServer {
    address: SocketAddr,
    seen: Seen,
    _ends: oneshot::Sender<()>,
}

/// Questions that reached the server over UDP, by name.
type Seen = Arc<Mutex<Vec<String>>>;

/// The TXT records of good answers, where they are not `good`.
type Records = Arc<HashMap<String, String>>;

/// What it does with a question.
enum Deed {
    Say(Vec<Vec<u8>>),
    Nothing,
    Later(Duration, Vec<u8>),
}

impl FaultServer {
    /// Starts one; `records` are the names and texts of TXT records, for good answers.
    pub fn start<'a>(records: impl IntoIterator<Item = (&'a str, &'a str)>) -> FaultServer {
        let records = records.into_iter().map(|(name, text)| (format!("{name}."), text.to_owned())).collect();
        let records: Records = Arc::new(records);
        let seen = Seen::default();
        let (ends, ended) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let noted = seen.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (udp, tcp) = loop {
                    let udp = UdpSocket::bind((loopback(), 0)).await.expect("a socket");
                    if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
                        break (Arc::new(udp), tcp);
                    }
                };
                bound.send(udp.local_addr().expect("an address")).expect("somebody waits");
                tokio::select! {
                    () = over_udp(udp, noted, &records) => {}
                    () = over_tcp(tcp, records.clone()) => {}
                    _ = ended => {}
                }
            });
        });
        FaultServer { address: address.recv().expect("it has an address"), seen, _ends: ends }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The names that were asked for over UDP, with their final dots.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("nobody panics with the lock").clone()
    }
}

async fn over_udp(udp: Arc<UdpSocket>, seen: Seen, records: &Records) {
    let mut packet = [0; 4096];
    while let Ok((length, from)) = udp.recv_from(&mut packet).await {
        let query = Message::from_vec(&packet[..length]).expect("what we send can be read");
        let earlier = {
            let mut seen = seen.lock().expect("nobody panics with the lock");
            let name = query.queries[0].name.to_string();
            seen.push(name.clone());
            seen.iter().filter(|other| **other == name).count() - 1
        };
        match deed(&query, earlier, false, records) {
            Deed::Nothing => {}
            Deed::Say(packets) => {
                for packet in packets {
                    // A client that is gone is no fault of the server.
                    udp.send_to(&packet, from).await.ok();
                }
            }
            Deed::Later(after, packet) => {
                let udp = udp.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    udp.send_to(&packet, from).await.ok();
                });
            }
        }
    }
}

async fn over_tcp(tcp: TcpListener, records: Records) {
    while let Ok((stream, _)) = tcp.accept().await {
        let records = records.clone();
        tokio::spawn(async move {
            // A client that hangs up has lost interest.
            let _ = converse(stream, &records).await;
        });
    }
}

async fn converse(mut stream: TcpStream, records: &Records) -> std::io::Result<()> {
    let mut packet = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut packet).await?;
    let query = Message::from_vec(&packet).expect("what we send can be read");
    match deed(&query, 0, true, records) {
        Deed::Say(packets) => {
            for packet in packets {
                // The short one announces more than it has.
                let length = if packet.len() == 20 { 500 } else { u16::try_from(packet.len()).unwrap_or(u16::MAX) };
                stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await?;
            }
            Ok(())
        }
        Deed::Nothing | Deed::Later(..) => std::future::pending().await,
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn txt(owner: &Name, text: &str) -> Wire {
    Wire::from_rdata(
        owner.clone(),
        300,
        RData::TXT(TXT::new(
            text.as_bytes().chunks(255).map(|part| String::from_utf8_lossy(part).into_owned()).collect(),
        )),
    )
}

fn alias(owner: &Name, target: &str) -> Wire {
    Wire::from_rdata(owner.clone(), 300, RData::CNAME(CNAME(name(target))))
}

fn soa() -> Wire {
    Wire::from_rdata(name("test."), 600, RData::SOA(SOA::new(name("ns.test."), name("h.test."), 1, 2, 3, 4, 60)))
}

/// The reply to a question; `earlier` questions for the same name came before, `tcp` says how it came.
fn deed(query: &Message, earlier: usize, tcp: bool, records: &Records) -> Deed {
    let asked = query.queries[0].name.clone();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(query.queries[0].clone());
    let mut labels = asked.iter().map(|label| String::from_utf8_lossy(label).into_owned());
    let vice = labels.find(|label| VICES.contains(&label.as_str())).unwrap_or_default();
    let octets = |reply: &Message| reply.to_vec().expect("a message");
    let good = || {
        let mut good = reply.clone();
        good.add_answer(txt(&asked, records.get(&asked.to_string()).map_or("good", String::as_str)));
        good
    };
    let code = |code| {
        let mut reply = reply.clone();
        reply.metadata.response_code = code;
        reply
    };
    match vice.as_str() {
        "silence" => return Deed::Nothing,
        "delay" => return Deed::Later(DELAY, octets(&good())),
        "late" => return Deed::Later(Duration::from_secs(60), octets(&good())),
        "lost" if earlier == 0 => return Deed::Nothing,
        "servfail" => reply = code(ResponseCode::ServFail),
        "refused" => reply = code(ResponseCode::Refused),
        "formerr" => reply = code(ResponseCode::FormErr),
        "notimp" => reply = code(ResponseCode::NotImp),
        "bare" => {
            return Deed::Say(vec![octets(&Message::error_msg(
                query.metadata.id,
                query.metadata.op_code,
                ResponseCode::Refused,
            ))]);
        }
        "noedns" if query.edns.is_some() => reply = code(ResponseCode::FormErr),
        "wrongid" => {
            reply = good();
            reply.metadata.id ^= 1;
        }
        "wrongname" => {
            reply = good();
            reply.queries[0].name = name("other.test.");
        }
        "wrongtype" => {
            reply = good();
            reply.queries[0].query_type = WireType::A;
        }
        "echo" => return Deed::Say(vec![octets(query)]),
        "spoof" => {
            let mut forged = good();
            forged.metadata.id ^= 0x5555;
            return Deed::Say(vec![vec![0xff; 40], octets(&forged), vec![1], octets(&good())]);
        }
        "garbage" => {
            let mut garbage = octets(&good());
            garbage.truncate(garbage.len() - 3);
            return Deed::Say(vec![garbage]);
        }
        "noise" => return Deed::Say(vec![vec![0x55; 700]]),
        "big" | "cut" | "cutshort" | "cuthang" if !tcp => reply.metadata.truncation = true,
        "cut" => return Deed::Say(vec![]),
        "cutshort" => return Deed::Say(vec![octets(&good())[..20].to_vec()]),
        "cuthang" => return Deed::Nothing,
        "loop" => {
            reply.add_answer(alias(&asked, "pool.test.")).add_answer(alias(&name("pool.test."), "loop.test."));
        }
        "self" => {
            reply.add_answer(alias(&asked, "self.test."));
        }
        "endless" => {
            let next =
                asked.iter().nth(1).and_then(|n| String::from_utf8_lossy(n).parse::<u32>().ok()).unwrap_or(0) + 1;
            reply.add_answer(alias(&asked, &format!("endless.{next}.test.")));
        }
        "empty" => {}
        "nodata" => {
            reply.add_authority(soa());
        }
        "nx" => {
            reply = code(ResponseCode::NXDomain);
            reply.add_authority(soa());
        }
        "gone" => {
            reply = code(ResponseCode::NXDomain);
            reply.metadata.authentic_data = true;
            reply.add_answer(alias(&asked, "nx.test.")).add_authority(soa());
        }
        "void" => {
            reply.add_answer(alias(&asked, "good.test.")).add_authority(soa());
        }
        "step" => {
            reply.metadata.authentic_data = true;
            reply.add_answer(alias(&asked, "good.test."));
        }
        "both" => {
            reply.add_answer(alias(&asked, "good.test.")).add_answer(txt(&asked, "beside"));
        }
        "lame" => {
            reply.metadata.recursion_available = false;
            reply.add_authority(Wire::from_rdata(name("test."), 300, RData::NS(NS(name("ns.elsewhere.")))));
        }
        "signed" => {
            reply = good();
            reply.metadata.authentic_data = true;
            reply.metadata.authoritative = true;
        }
        _ => reply = good(),
    }
    Deed::Say(vec![octets(&reply)])
}
