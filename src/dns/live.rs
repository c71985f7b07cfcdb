//! Answers from name servers: UDP, and TCP where an answer was cut.
//!
//! hickory-proto codes the messages, but hickory's resolver is not used: it turns a negative answer into an error without
//! the CNAMEs that led there, without its AD bit and without its server, and all three are evidence. Names are asked as
//! they stand: no search list, no hosts file. Nothing is kept here; see [`super::cache`]. A question is answered within
//! its deadline, come what may.

use super::labels::Labels;
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
        Live { servers, deadline: DEADLINE, recursive, favourite, gate }
    }

    /// Sets how long one question may take.
    pub fn deadline(self, deadline: Duration) -> Live {
        Live { deadline, ..self }
    }

    async fn answer(&self, name: &str, kind: RecordType) -> Answer {
        let asked = match Labels::from_question(name) {
            Ok(asked) => asked,
            Err(why) => return Answer::fault(name, kind, Fault::Unaskable(why)),
        };
        let start = Instant::now();
        let deadline = start + self.deadline;
        let mut answer = Answer::new(asked.text(), kind, Outcome::Fault(Fault::Timeout));
        if let Ok(Ok(_permit)) = timeout_at(deadline, self.gate.acquire()).await {
            self.walk(asked, deadline, &mut answer).await;
        }
        answer.took = start.elapsed();
        answer
    }

    /// Asks for the name, and for each name that a CNAME leads to if the server does not go there by itself.
    async fn walk(&self, asked: Labels, deadline: Instant, answer: &mut Answer) {
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
    async fn race(&self, question: Arc<Question>, deadline: Instant) -> (Option<SocketAddr>, Result<Reply, Fault>) {
        let first = self.favourite.load(Ordering::Relaxed);
        let count = self.servers.len();
        let mut waiting = (0..count).map(|index| (first + index) % count).peekable();
        let mut asked = JoinSet::new();
        let mut failed = (None, Fault::Timeout);
        loop {
            if let Some(index) = waiting.next() {
                let (server, question, pace) = (self.servers[index], question.clone(), self.deadline / TRIES);
                asked.spawn(async move { (index, exchange(server, &question, deadline, pace).await) });
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
}

/// One question to one server; the reply, or why there is none. Ends at the deadline.
async fn exchange(server: SocketAddr, question: &Question, deadline: Instant, pace: Duration) -> Result<Reply, Fault> {
    let mut edns = true;
    loop {
        match converse(server, question, edns, deadline, pace).await? {
            Received::FormErr if edns => edns = false,
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
    server: SocketAddr,
    question: &Question,
    edns: bool,
    deadline: Instant,
    pace: Duration,
) -> Result<Received, Fault> {
    let packet = question.encode(edns)?;
    Ok(match over_udp(server, question, &packet, deadline, pace).await? {
        // Silence over TCP is not silence: the server has an answer, and we cannot have it.
        Received::Truncated => {
            timeout_at(deadline, over_tcp(server, question, &packet)).await.unwrap_or(Received::Truncated)
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

/// Asks this server alone and past every cache, for no longer than `patience`. Where nothing came in half of that time,
/// or the question was not understood, it is asked without EDNS.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType, role: Role, patience: Duration) -> Direct {
    let nothing = |answer| Direct { answer, without_edns: false, extended: Extended::new(), referral: None };
    let asked = match Labels::from_question(name) {
        Ok(asked) => asked,
        Err(why) => return nothing(Answer::fault(name, kind, Fault::Unaskable(why))),
    };
    let mut question = Question::new(asked.clone(), kind, role != Role::Authoritative);
    question.unchecked = role == Role::Unchecked;
    let (start, pace) = (Instant::now(), patience / (2 * TRIES));
    let mut direct = nothing(Answer::new(asked.text(), kind, Outcome::Fault(Fault::Timeout)));
    let mut received = converse(server, &question, true, start + patience / 2, pace).await;
    if matches!(received, Err(Fault::Timeout) | Ok(Received::FormErr)) {
        let plain = converse(server, &question, false, start + patience, pace).await;
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
    server: SocketAddr,
    question: &Question,
    packet: &[u8],
    deadline: Instant,
    pace: Duration,
) -> Result<Received, Fault> {
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
        let until = deadline.min(Instant::now() + pace);
        // The clock is looked at by itself too: a flood of strangers must not hold it up.
        while Instant::now() < until {
            let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else { break };
            match question.read(&buffer[..received.map_err(unreachable)?]) {
                Received::Stranger => {}
                other => return Ok(other),
            }
        }
    }
    Err(Fault::Timeout)
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
