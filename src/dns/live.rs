//! Answers from name servers: UDP, and TCP where an answer was cut.
//!
//! hickory-proto codes the messages, but hickory's resolver is not used: it turns a negative answer into an error without
//! the CNAMEs that led there, without its AD bit and without its server, and all three are evidence. Names are asked as
//! they stand: no search list, no hosts file. Nothing is kept here; see [`super::cache`]. A question is answered within
//! its deadline, come what may.

use super::labels::Labels;
use super::pace::{self, Pace, Turn};
use super::wire::{self, Chain, Extended, Question, Received, Referral, Reply, Step};
use super::{Answer, Fault, Outcome, Pending, RecordType, Source, zone::Mistake};
use hickory_resolver::{proto::op::ResponseCode, system_conf::parse_resolv_conf};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

/// How long one question may take, all servers, retries and CNAMEs together: half of what a message has (SECURITY R8),
/// and what resolvers take for themselves.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// A packet goes to a server this many times before the deadline, and the next server is asked at the same pace.
const TRIES: u32 = 3;

/// As many servers as the C library asks (MAXNS of resolv.h).
const MAX_SERVERS: usize = 3;

/// Questions on their way at once; more wait. Each holds up to four sockets, and a service has 1024 files if nobody
/// says otherwise, mostly for its clients.
const MAX_QUESTIONS: usize = 128;

/// A source that asks name servers.
pub struct Live {
    servers: Vec<SocketAddr>,
    deadline: Duration,
    recursive: bool,
    /// The server that answered last: it is asked first.
    favourite: AtomicUsize,
    gate: Semaphore,
    pace: Option<Pace>,
}

/// Asks the resolvers of /etc/resolv.conf.
pub fn system() -> Result<Live, Mistake> {
    from_file(Path::new("/etc/resolv.conf"))
}

/// Asks this recursive resolver.
pub fn resolver(server: SocketAddr) -> Live {
    Live::new(vec![server], true)
}

/// Asks this server for what it knows itself, without recursion.
pub fn authoritative(server: SocketAddr) -> Live {
    Live::new(vec![server], false)
}

fn from_file(file: &Path) -> Result<Live, Mistake> {
    let mistake = |what| Mistake { file: file.display().to_string(), line: 0, what };
    let text = std::fs::read(file).map_err(|error| mistake(format!("cannot be read: {error}")))?;
    let (config, _) = parse_resolv_conf(text).map_err(|error| mistake(error.to_string()))?;
    let servers = config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53));
    Ok(Live::new(servers.take(MAX_SERVERS).collect(), true))
}

impl Live {
    fn new(servers: Vec<SocketAddr>, recursive: bool) -> Live {
        let (favourite, gate) = (AtomicUsize::new(0), Semaphore::new(MAX_QUESTIONS));
        Live { servers, deadline: DEADLINE, recursive, favourite, gate, pace: None }
    }

    /// Sets how long one question may take.
    pub fn deadline(self, deadline: Duration) -> Live {
        Live { deadline, ..self }
    }

    /// Lets no packet go but at this pace; what waits for its turn does not count against the deadline.
    pub fn paced(self, pace: Pace) -> Live {
        Live { pace: Some(pace), ..self }
    }

    async fn answer(&self, name: &str, kind: RecordType) -> Answer {
        let asked = match Labels::from_question(name) {
            Ok(asked) => asked,
            Err(why) => return Answer::fault(name, kind, Fault::Unaskable(why)),
        };
        let start = Instant::now();
        let mut deadline = start + self.deadline;
        let mut answer = Answer::new(asked.text(), kind, Outcome::Fault(Fault::Timeout));
        if let Ok(Ok(_permit)) = timeout_at(deadline, self.gate.acquire()).await {
            self.walk(asked, &mut deadline, &mut answer).await;
        }
        let waited = deadline - (start + self.deadline);
        answer.took = start.elapsed().saturating_sub(waited);
        answer
    }

    /// Asks for the name, and for each name that a CNAME leads to if the server does not go there by itself.
    async fn walk(&self, asked: Labels, deadline: &mut Instant, answer: &mut Answer) {
        let mut chain = Chain::new(asked.clone(), answer.kind);
        let mut next = asked;
        // The bits are claims about all of the answer.
        (answer.authoritative, answer.authenticated) = (true, true);
        loop {
            let question = Question::new(next, answer.kind, self.recursive);
            let (server, result) = self.race(Arc::new(question), deadline).await;
            answer.server = server;
            let step = match result {
                Ok(reply) => {
                    answer.authoritative &= reply.authoritative;
                    answer.authenticated &= reply.authenticated;
                    answer.negative = reply.negative();
                    chain.follow(&reply)
                }
                Err(fault) => Step::End(Outcome::Fault(fault)),
            };
            match step {
                Step::Ask(name) => next = name,
                Step::End(outcome) => {
                    answer.outcome = outcome;
                    break;
                }
            }
        }
        answer.records = chain.records;
        match answer.outcome {
            Outcome::Fault(_) => (answer.authoritative, answer.authenticated, answer.negative) = (false, false, None),
            Outcome::Records => answer.negative = None,
            Outcome::NoData | Outcome::NxDomain => {}
        }
    }

    /// Asks one server, then the next whenever one failed or stays silent; the first usable reply wins. Without one, the
    /// first fault that says more than silence.
    async fn race(&self, question: Arc<Question>, end: &mut Instant) -> (Option<SocketAddr>, Result<Reply, Fault>) {
        let first = self.favourite.load(Ordering::Relaxed);
        let count = self.servers.len();
        let mut waiting = (0..count).map(|index| (first + index) % count).peekable();
        let mut asked = JoinSet::new();
        let mut failed = (None, Fault::Timeout);
        loop {
            if let Some(index) = waiting.next() {
                let before = Instant::now();
                let turn = pace::turn(self.pace.as_ref()).await;
                *end += before.elapsed();
                let (server, question, pace, deadline) =
                    (self.servers[index], question.clone(), self.pace.clone(), *end);
                let way = Way { server, gap: self.deadline / TRIES, pace };
                asked.spawn(async move { (index, exchange(&way, turn, &question, deadline).await) });
            }
            let next = Instant::now() + self.deadline / TRIES;
            let done = tokio::select! {
                done = asked.join_next() => done,
                () = sleep_until(next), if waiting.peek().is_some() => continue,
            };
            match done {
                Some(Ok((index, Ok(reply)))) => {
                    self.favourite.store(index, Ordering::Relaxed);
                    return (Some(self.servers[index]), Ok(reply));
                }
                Some(Ok((index, Err(fault)))) if failed.1 == Fault::Timeout && fault != Fault::Timeout => {
                    failed = (Some(self.servers[index]), fault);
                }
                Some(_) => {}
                None => return (failed.0, Err(failed.1)),
            }
        }
    }
}

impl Source for Live {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(async move { Arc::new(self.answer(name, kind).await) })
    }

    fn resolvers(&self) -> Vec<SocketAddr> {
        if self.recursive { self.servers.clone() } else { Vec::new() }
    }

    fn pace(&self) -> Option<Pace> {
        self.pace.clone()
    }
}

/// Whom to ask, and how often a packet is repeated.
struct Way {
    server: SocketAddr,
    /// How long one packet is waited for.
    gap: Duration,
    /// The first packet had its turn; each further one waits for its own.
    pace: Option<Pace>,
}

/// One question to one server; the reply, or why there is none. Ends at the deadline.
async fn exchange(way: &Way, mut turn: Option<Turn>, question: &Question, deadline: Instant) -> Result<Reply, Fault> {
    let mut edns = true;
    loop {
        match converse(way, turn.take(), question, edns, deadline).await? {
            Received::FormErr if edns => {
                edns = false;
                turn = pace::turn(way.pace.as_ref()).await;
            }
            received => return usable(received).map_err(|(fault, _)| fault),
        }
    }
}

/// The reply, or why it cannot be used.
fn usable(received: Received) -> Result<Reply, (Fault, Extended)> {
    let fault = match received {
        Received::Reply(reply) => return Ok(reply),
        Received::Fault(fault, extended) => return Err((fault, extended)),
        Received::Referral(_) => Fault::Other("a referral instead of an answer (a lame server)".into()),
        Received::FormErr => Fault::Other(wire::rcode(ResponseCode::FormErr)),
        Received::Truncated | Received::Stranger => Fault::Truncated,
    };
    Err((fault, Extended::new()))
}

/// One question put in one way, over UDP and, where the answer was cut, over TCP.
async fn converse(
    way: &Way,
    turn: Option<Turn>,
    question: &Question,
    edns: bool,
    deadline: Instant,
) -> Result<Received, Fault> {
    let packet = question.encode(edns)?;
    Ok(match over_udp(way, turn, question, &packet, deadline).await? {
        // Silence over TCP is not silence: the server has an answer, and we cannot have it.
        Received::Truncated => {
            let _turn = pace::turn(way.pace.as_ref()).await;
            timeout_at(deadline, over_tcp(way.server, question, &packet)).await.unwrap_or(Received::Truncated)
        }
        other => other,
    })
}

/// Whom a direct question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A name server of a zone, for what it knows itself (RD clear).
    Authoritative,
    /// A resolver.
    Resolver,
    /// A resolver that shall not check signatures (CD set).
    Unchecked,
}

/// What one server said to one question, told in full. CNAMEs that lead out of what it knows are not followed: such an
/// answer has the outcome [`Outcome::Records`] and holds them alone.
#[derive(Clone, Debug)]
pub struct Direct {
    /// The answer.
    pub answer: Answer,
    /// There was none to the question with EDNS, and one to the question without.
    pub without_edns: bool,
    /// What the server said about a fault.
    pub extended: Extended,
    /// Where it pointed instead of answering.
    pub referral: Option<Referral>,
}

/// Asks this server alone and past every cache, for no longer than `patience` beyond what it waits for its turns. Where
/// nothing came in half of that time, or the question was not understood, it is asked without EDNS.
pub async fn ask(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    role: Role,
    patience: Duration,
    pace: Option<Pace>,
) -> Direct {
    let nothing = |answer| Direct { answer, without_edns: false, extended: Extended::new(), referral: None };
    let asked = match Labels::from_question(name) {
        Ok(asked) => asked,
        Err(why) => return nothing(Answer::fault(name, kind, Fault::Unaskable(why))),
    };
    let mut question = Question::new(asked.clone(), kind, role != Role::Authoritative);
    question.unchecked = role == Role::Unchecked;
    let way = Way { server, gap: patience / (2 * TRIES), pace };
    let mut direct = nothing(Answer::new(asked.text(), kind, Outcome::Fault(Fault::Timeout)));
    let turn = pace::turn(way.pace.as_ref()).await;
    let start = Instant::now();
    let mut received = converse(&way, turn, &question, true, start + patience / 2).await;
    if matches!(received, Err(Fault::Timeout) | Ok(Received::FormErr)) {
        let turn = pace::turn(way.pace.as_ref()).await;
        let plain = converse(&way, turn, &question, false, Instant::now() + patience / 2).await;
        if matches!(plain, Ok(Received::Reply(_) | Received::Referral(_))) {
            (received, direct.without_edns) = (plain, true);
        }
    }
    direct.take(Chain::new(asked, kind), server, received);
    direct.answer.took = start.elapsed();
    direct
}

impl Direct {
    fn take(&mut self, mut chain: Chain, server: SocketAddr, received: Result<Received, Fault>) {
        let answer = &mut self.answer;
        let received = match received {
            Ok(received) => received,
            Err(fault) => {
                answer.outcome = Outcome::Fault(fault);
                return;
            }
        };
        answer.server = Some(server);
        if let Received::Referral(referral) = &received {
            self.referral = Some(referral.clone());
        }
        match usable(received) {
            Ok(reply) => {
                answer.outcome = match chain.follow(&reply) {
                    Step::End(outcome) => outcome,
                    Step::Ask(_) => Outcome::Records,
                };
                (answer.authoritative, answer.authenticated) = (reply.authoritative, reply.authenticated);
                answer.negative = if answer.is_negative() { reply.negative() } else { None };
                answer.records = chain.records;
            }
            Err((fault, extended)) => (answer.outcome, self.extended) = (Outcome::Fault(fault), extended),
        }
    }
}

/// Sends until something comes that belongs to the question. The port is random, as the system gives it.
async fn over_udp(
    way: &Way,
    mut turn: Option<Turn>,
    question: &Question,
    packet: &[u8],
    deadline: Instant,
) -> Result<Received, Fault> {
    let server = way.server;
    let unreachable = |error: io::Error| Fault::Other(format!("{server} cannot be reached: {error}"));
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    let mut buffer = vec![0; 4096];
    while Instant::now() < deadline {
        socket.send(packet).await.map_err(unreachable)?;
        drop(turn.take());
        let until = deadline.min(Instant::now() + way.gap);
        if let Some(received) = receive(&socket, question, &mut buffer, until).await {
            return received.map_err(unreachable);
        }
        let (Some(pace), true) = (&way.pace, Instant::now() < deadline) else { continue };
        tokio::select! {
            // Whoever has a reply needs no turn.
            biased;
            Some(received) = receive(&socket, question, &mut buffer, deadline) => return received.map_err(unreachable),
            leave = pace.turn() => turn = Some(leave),
        }
    }
    Err(Fault::Timeout)
}

/// What comes until then that belongs to the question.
async fn receive(
    socket: &UdpSocket,
    question: &Question,
    buffer: &mut [u8],
    until: Instant,
) -> Option<io::Result<Received>> {
    // The clock is looked at by itself too: a flood of strangers must not hold it up.
    while Instant::now() < until {
        match timeout_at(until, socket.recv(buffer)).await.ok()? {
            Err(error) => return Some(Err(error)),
            Ok(length) => match question.read(&buffer[..length]) {
                Received::Stranger => {}
                other => return Some(Ok(other)),
            },
        }
    }
    None
}

async fn over_tcp(server: SocketAddr, question: &Question, packet: &[u8]) -> Received {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), packet].concat()).await?;
        let mut reply = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut reply).await?;
        io::Result::Ok(question.read(&reply))
    };
    exchange.await.unwrap_or(Received::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers everything with this rcode; without one, it is silent.
    async fn server(rcode: Option<u8>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let Some(rcode) = rcode else { continue };
                packet[2] |= 0x80;
                packet[3] |= rcode;
                socket.send_to(&packet[..length], from).await.expect("the client is there");
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_that_fails_or_is_silent_does_not_hide_the_others() {
        let (silent, servfail, refused) = (server(None).await, server(Some(2)).await, server(Some(5)).await);
        let good = server(Some(3)).await;
        for (servers, want, answered) in [
            (vec![silent, good], Outcome::NxDomain, Some(good)),
            (vec![servfail, refused, good], Outcome::NxDomain, Some(good)),
            (vec![silent, servfail], Outcome::Fault(Fault::ServFail), Some(servfail)),
            (vec![refused, servfail], Outcome::Fault(Fault::Refused), Some(refused)),
            (vec![silent, silent], Outcome::Fault(Fault::Timeout), None),
        ] {
            let live = Live::new(servers.clone(), true).deadline(Duration::from_millis(300));
            let answer = live.answer("example.com", RecordType::Txt).await;
            assert_eq!((&answer.outcome, answer.server), (&want, answered), "{servers:?}");
            if answered == Some(good) {
                assert_eq!(live.servers[live.favourite.into_inner()], good, "asked first the next time");
            }
        }
    }

    #[tokio::test]
    async fn no_packet_goes_faster_than_its_pace_not_even_one_that_is_repeated() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let silent = socket.local_addr().expect("an address");
        let pace = Pace::new(6);
        let mut askers = JoinSet::new();
        for asker in 0..4 {
            let (pace, name) = (pace.clone(), format!("{asker}.example.com"));
            let patience = Duration::from_millis(600);
            askers.spawn(async move {
                ask(silent, &name, RecordType::Txt, Role::Authoritative, patience, Some(pace)).await.answer.outcome
            });
        }
        let mut arrived = Vec::new();
        let mut buffer = [0; 512];
        loop {
            tokio::select! {
                biased;
                packet = socket.recv(&mut buffer) => {
                    packet.expect("a packet");
                    arrived.push(Instant::now());
                }
                done = askers.join_next() => match done {
                    Some(outcome) => assert_eq!(outcome.expect("no panic"), Outcome::Fault(Fault::Timeout)),
                    None => break,
                },
            }
        }
        // Each asks with EDNS and without, and repeats itself.
        assert!(arrived.len() > 8, "{arrived:?}");
        for at in &arrived {
            let within = arrived.iter().filter(|other| *other >= at && **other - *at < Duration::from_secs(1)).count();
            assert!(within <= 6, "{within} packets in a second");
        }
    }

    #[test]
    fn the_system_s_resolvers_are_read_or_it_is_a_mistake() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("resolv.conf");
        let text = "search example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::53\nnameserver 192.0.2.3\n";
        std::fs::write(&file, format!("{text}nameserver 192.0.2.4\n")).expect("a file");
        let want = ["192.0.2.1:53", "[2001:db8::53]:53", "192.0.2.3:53"].map(|text| text.parse().expect("an address"));
        assert_eq!(from_file(&file).map(|live| live.servers), Ok(want.to_vec()));

        std::fs::write(&file, "search example.org\n").expect("a file");
        let none = from_file(&file).map(|_| ()).expect_err("no server").to_string();
        assert!(none.contains("resolv.conf: ") && none.contains("no nameservers"), "{none}");
        let missing = from_file(&folder.path().join("no")).map(|_| ()).expect_err("no file").to_string();
        assert!(missing.contains("/no: cannot be read: "), "{missing}");
    }
}
