//! The milter protocol as Postfix speaks it, with blocking calls and nothing more: for many messages, or many connections.

use super::hostile::{OPTIONS, framed};
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long a milter may leave its client waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message as a milter gets it.
#[derive(Clone, Debug)]
pub struct Given {
    /// The address of the client.
    pub client: &'static str,
    /// The sender, in brackets.
    pub mail_from: String,
    /// Names and values, each value with its leading blank and without its last line end.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Line ends are CR LF.
    pub body: Vec<u8>,
}

/// What a milter said of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The changes, each a packet.
    pub edits: Vec<Vec<u8>>,
    /// The last word: `a` accept, `c` continue, `t` tempfail, `r` reject, `y` a reply with a code.
    pub verdict: u8,
}

/// A connection after its negotiation.
pub struct Talk {
    stream: UnixStream,
    /// Whose session it serves.
    client: Option<&'static str>,
}

impl Given {
    /// Reads a whole message.
    pub fn new(client: &'static str, mail_from: &str, mail: &[u8]) -> Given {
        let message = waxseal::message::Message::new(mail);
        let fields = message.header.fields().map(|field| {
            let value = field.value();
            let value = value.strip_suffix(b"\r\n").unwrap_or(value);
            (String::from_utf8_lossy(field.name()).into_owned(), value.to_vec())
        });
        Given { client, mail_from: format!("<{mail_from}>"), fields: fields.collect(), body: message.body.to_vec() }
    }

    /// The packets that tell of the client.
    fn connect(&self) -> [Vec<u8>; 2] {
        [[b"Cclient.example\x004\x04\xd2", self.client.as_bytes(), b"\0"].concat(), b"Hclient.example\0".to_vec()]
    }

    /// The packets from the sender to the end of the header.
    fn header(&self) -> Vec<Vec<u8>> {
        let mut packets =
            vec![[b"M", self.mail_from.as_bytes(), b"\0"].concat(), b"R<user@receiver.example>\0".to_vec()];
        packets.extend(self.fields.iter().map(|(name, value)| [b"L", name.as_bytes(), b"\0", value, b"\0"].concat()));
        packets.push(b"DNi\x004ABC\0".to_vec());
        packets.push(b"N".to_vec());
        packets
    }
}

impl Answer {
    /// Is a field of this name inserted, with this in its value?
    pub fn inserts(&self, name: &str, what: &str) -> bool {
        let start = [name.as_bytes(), b"\0"].concat();
        self.edits.iter().any(|edit| {
            edit.first() == Some(&b'i') && edit[5..].starts_with(&start) && String::from_utf8_lossy(edit).contains(what)
        })
    }
}

impl Talk {
    /// Connects and negotiates.
    pub fn open(socket: &Path) -> io::Result<Talk> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut talk = Talk { stream, client: None };
        talk.say(&framed(OPTIONS))?;
        match talk.hear()?.first() {
            Some(b'O') => Ok(talk),
            other => Err(io::Error::other(format!("answered with {other:?}"))),
        }
    }

    /// Sends octets.
    pub fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Sends a whole message, and gives what came of it. Nothing may come after the last word.
    pub fn message(&mut self, given: &Given) -> io::Result<Answer> {
        self.begin(given)?;
        let verdict = self.hear()?;
        if verdict != b"c" {
            return Ok(Answer { edits: Vec::new(), verdict: verdict[0] });
        }
        self.end(&given.body)
    }

    /// Sends the body of a message that was begun, and its end.
    pub fn end(&mut self, body: &[u8]) -> io::Result<Answer> {
        for piece in body.chunks(65_535) {
            self.say(&framed(&[b"B", piece].concat()))?;
        }
        self.say(&framed(b"E"))?;
        let mut edits = Vec::new();
        loop {
            let packet = self.hear()?;
            match packet[0] {
                verdict @ (b'a' | b'c' | b't' | b'r' | b'y') => return Ok(Answer { edits, verdict }),
                _ => edits.push(packet),
            }
        }
    }

    /// Sends a message up to the end of its header.
    pub fn begin(&mut self, given: &Given) -> io::Result<()> {
        let mut packets = Vec::new();
        match self.client {
            None => packets.extend(given.connect()),
            Some(client) => assert_eq!(client, given.client, "a connection serves one client"),
        }
        self.client = Some(given.client);
        packets.extend(given.header());
        let octets: Vec<u8> = packets.iter().flat_map(|packet| framed(packet)).collect();
        self.say(&octets)
    }

    /// Gives up the message under way.
    pub fn abort(&mut self) -> io::Result<()> {
        self.say(&framed(b"A"))
    }

    /// Ends the connection; what comes until the milter has ended it too is given.
    pub fn quit(mut self) -> io::Result<Vec<u8>> {
        self.say(&framed(b"Q"))?;
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// The next packet.
    pub fn hear(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut packet)?;
        if packet.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(packet) }
    }
}
