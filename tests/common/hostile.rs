//! A client that speaks the milter protocol as it likes: the sequences that kill milters, and random ones from a seed.
//!
//! The milter is the built program in a process of its own. Beside every hostile connection an honest one is half way
//! through its message; what the hostile one does must not reach it.

use super::{
    eventually,
    mail::Random,
    nsd::Nsd,
    waxseal::{Home, Waxseal},
};
use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    thread,
    time::Duration,
};
use waxseal::dkim::KeyType;

/// How long either side may leave the other waiting; only a milter that hangs needs it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The negotiation of Postfix.
pub const OPTIONS: &[u8] = b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";

/// Packets of a client that is ours, up to the end of a header that is to be signed.
const HONEST: [&[u8]; 8] = [
    OPTIONS,
    b"Clocalhost\x004\x04\xd2127.0.0.1\0",
    b"Hlocalhost\0",
    b"M<a@example.com>\0",
    b"R<b@example.net>\0",
    b"LFrom\0 a@example.com\0",
    b"LSubject\0 a message\0",
    b"N",
];

/// The milter under attack.
pub struct Victim {
    waxseal: Waxseal,
    socket: PathBuf,
    idle: usize,
    _names: Nsd,
}

/// A connection that does nothing wrong.
pub struct Bystander(UnixStream);

impl Victim {
    /// Signs for example.com, verifies the mail of others, and serves a Unix socket.
    pub fn start() -> Victim {
        let soa = "@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.\n";
        let names = Nsd::start(&[("example", soa)]);
        let home = Home::new();
        let key = home.key(KeyType::Rsa, "s");
        let socket = home.path("milter");
        home.settings(&format!(
            "store.url = \"\"\nverify.resolver = \"{}\"\n[[listener]]\nsocket = \"unix:{}\"\n\
             [domains.\"example.com\"]\nselector = \"s\"\nkey = \"keys/{}\"\n",
            names.address(),
            socket.display(),
            key.file
        ));
        let mut victim = Victim { waxseal: Waxseal::start(home), socket, idle: 0, _names: names };
        // What the first messages bring in stays.
        victim.bystander().finish();
        victim.idle = victim.descriptors();
        victim
    }

    /// An honest connection that has sent a header.
    #[track_caller]
    pub fn bystander(&self) -> Bystander {
        let mut stream = self.connect();
        let octets: Vec<u8> = HONEST.into_iter().flat_map(framed).collect();
        stream.write_all(&octets).expect("the milter takes an honest message");
        let mut bystander = Bystander(stream);
        assert_eq!(bystander.answer()[0], b'O', "options");
        assert_eq!(bystander.answer(), b"c", "the end of the header");
        bystander
    }

    /// Sends octets in pieces of `size`, ends the sending side, and gives what came back until the milter ended its side.
    ///
    /// Panics if it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn attack(&self, octets: &[u8], size: usize) -> Vec<u8> {
        let stream = self.connect();
        let mut answers = Vec::new();
        let ended = thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = &stream;
                // The milter may end the connection at any octet.
                let _ = octets.chunks(size).try_for_each(|piece| stream.write_all(piece));
                let _ = stream.shutdown(Shutdown::Write);
            });
            (&stream).read_to_end(&mut answers)
        });
        let hangs = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!hangs, "the milter neither answers nor ends the connection");
        answers
    }

    /// The process lives, nothing in it has panicked, and every descriptor was given back.
    #[track_caller]
    pub fn is_unhurt(&self) {
        self.bystander().finish();
        let log = fs::read_to_string(self.waxseal.home().path("log")).expect("its log");
        assert!(!log.contains("panicked"), "{log}");
        eventually("descriptors are given back", PATIENCE, || (self.descriptors() <= self.idle).then_some(()));
    }

    /// Ends it as an operator does.
    #[track_caller]
    pub fn stop(mut self) {
        let status = self.waxseal.stop();
        assert!(status.success(), "{status}");
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.waxseal.pid())).expect("it lives").count()
    }

    #[track_caller]
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("the milter listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time");
        stream
    }
}

impl Bystander {
    /// Sends the rest of the message; it must be signed and accepted.
    #[track_caller]
    pub fn finish(mut self) {
        let octets: Vec<u8> = [&b"BHello\r\n"[..], b"E"].into_iter().flat_map(framed).collect();
        self.0.write_all(&octets).expect("the milter takes the rest");
        let inserted = self.answer();
        assert!(inserted.starts_with(b"i\0\0\0\x01DKIM-Signature\0"), "{}", inserted.escape_ascii());
        assert_eq!(self.answer(), b"a");
    }

    #[track_caller]
    fn answer(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).expect("a whole answer");
        answer
    }
}

/// A packet with its length.
pub fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("a packet");
    [&length.to_be_bytes()[..], packet].concat()
}

/// A sequence that starts as an MTA does, or not, and goes wrong somewhere: wrong order, wrong payload, wrong length, or
/// an end in the middle.
pub fn random(random: &mut Random) -> Vec<u8> {
    let mut octets = Vec::new();
    if random.below(8) > 0 {
        octets.extend(framed(OPTIONS));
    }
    // The place in the order that an MTA would keep.
    let mut next = 1;
    for _ in 0..1 + random.below(24) {
        let packet = match random.below(4) {
            0 => any(random),
            _ => {
                next = if random.below(6) == 0 { random.below(ORDER.len()) } else { (next + 1) % ORDER.len() };
                ORDER[next].to_vec()
            }
        };
        let packet = if random.below(5) == 0 { broken(random, packet) } else { packet };
        match random.below(24) {
            0 => octets.extend(lying(random, &packet)),
            _ => octets.extend(framed(&packet)),
        }
    }
    if random.below(6) == 0 {
        octets.truncate(random.below(octets.len() + 1));
    }
    octets
}

/// What an MTA sends, in its order, of a client that is not ours.
const ORDER: [&[u8]; 16] = [
    OPTIONS,
    b"DCj\0mx.example\0",
    b"Cmail.example\x004\x04\xd2192.0.2.7\0",
    b"Hmail.example\0",
    b"DM{auth_authen}\0user\0",
    b"M<a@sender.example>\0",
    b"R<b@example.net>\0",
    b"LReceived\0 from a by b\0",
    b"LFrom\0 a@sender.example\0",
    b"LDKIM-Signature\0 v=1; a=rsa-sha256; d=sender.example; s=x; h=from; bh=AA==; b=AA==\0",
    b"DNi\x004ABC\0",
    b"N",
    b"BHello\r\n",
    b"B \r\n\r\n",
    b"E",
    b"A",
];

fn any(random: &mut Random) -> Vec<u8> {
    const KINDS: &[u8] = b"ABCDEHKLMNOQRTUabc\0\xff";
    let mut packet = vec![KINDS[random.below(KINDS.len())]];
    for _ in 0..random.below(5) {
        let part: &[u8] = random.pick(&[
            b"\0",
            b"x",
            b"\xff",
            b"4\x04\xd2192.0.2.7\0",
            b"6\0\0IPv6:::1\0",
            b"<>\0",
            b"\r\n",
            b"{i}\0",
        ]);
        packet.extend_from_slice(part);
    }
    packet
}

fn broken(random: &mut Random, mut packet: Vec<u8>) -> Vec<u8> {
    let at = random.below(packet.len());
    match random.below(5) {
        0 => packet.truncate(at),
        1 => packet[at] = random.next().to_le_bytes()[0],
        2 => packet.retain(|&byte| byte != 0),
        3 => {
            let times = random.below(5_000);
            packet.splice(at..at, std::iter::repeat_n(b'x', times)).for_each(drop);
        }
        _ => packet.insert(at, 0),
    }
    packet
}

/// A packet whose length is none of it.
fn lying(random: &mut Random, packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("a packet");
    let lie = [0, 1, length / 2, length + 1, length + 70_000, 0x00ff_ffff, 0x7fff_ffff, u32::MAX][random.below(8)];
    [&lie.to_be_bytes()[..], packet].concat()
}
