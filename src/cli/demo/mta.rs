//! An MTA for the demo: it hands a message to a milter as Postfix 3.7 would, and changes it as the milter asks.
//!
//! Protocol version 6 on the wire, with the flags that Postfix offers; the numbers are those of libmilter's mfdef.h. One
//! connection carries one message. A milter that stops in the middle, refuses, or asks for a change that no signing milter
//! needs is an error, with what it did.

use crate::message::Message;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Who hands over a message, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// Who authenticated, if anybody.
    pub user: Option<&'a str>,
    /// MAIL FROM, without angle brackets.
    pub mail_from: &'a str,
    /// RCPT TO, without angle brackets.
    pub rcpt_to: &'a str,
    /// Our name for the message.
    pub queue_id: &'a str,
}

/// What a command is to the milter: its letter, the flags that silence it, and which list of macros goes before it.
#[derive(Clone, Copy, Debug)]
struct Stage {
    letter: u8,
    /// SMFIP_NO…: the milter does not want it.
    unwanted: u32,
    /// SMFIP_NR_…: the milter does not answer it.
    unanswered: u32,
    /// The number of its list in an answer to the negotiation, and what Postfix sends unless asked.
    macros: Option<(u32, &'static [&'static str])>,
}

const CONNECT: Stage =
    Stage { letter: b'C', unwanted: 0x1, unanswered: 0x1000, macros: Some((0, &["j", "{daemon_name}", "v"])) };
const HELO: Stage = Stage { letter: b'H', unwanted: 0x2, unanswered: 0x2000, macros: Some((1, &[])) };
const MAIL: Stage = Stage {
    letter: b'M',
    unwanted: 0x4,
    unanswered: 0x4000,
    macros: Some((2, &["i", "{auth_type}", "{auth_authen}", "{mail_addr}"])),
};
const RCPT: Stage = Stage { letter: b'R', unwanted: 0x8, unanswered: 0x8000, macros: Some((3, &["i", "{rcpt_addr}"])) };
const DATA: Stage = Stage { letter: b'T', unwanted: 0x200, unanswered: 0x1_0000, macros: Some((4, &["i"])) };
const HEADER: Stage = Stage { letter: b'L', unwanted: 0x20, unanswered: 0x80, macros: None };
const END_OF_HEADER: Stage = Stage { letter: b'N', unwanted: 0x40, unanswered: 0x4_0000, macros: Some((6, &["i"])) };
const BODY: Stage = Stage { letter: b'B', unwanted: 0x10, unanswered: 0x8_0000, macros: None };
const END_OF_MESSAGE: Stage = Stage { letter: b'E', unwanted: 0, unanswered: 0, macros: Some((5, &["i"])) };

/// All that Postfix 3.7 lets a milter do (SMFIF_…): nine actions.
const ACTIONS: u32 = 0x1ff;
/// All that Postfix 3.7 lets a milter leave out (SMFIP_…), up to the leading blank of values.
const PROTOCOL: u32 = 0x1f_ffff;
/// SMFIP_HDR_LEADSPC: values with the blank after the colon.
const LEADING_SPACE: u32 = 0x10_0000;
const VERSION: u32 = 6;
/// The largest piece of a body (MILTER_CHUNK_SIZE).
const CHUNK: usize = 65535;
/// The largest answer that is read: far more than a field.
const LARGEST_ANSWER: u32 = 1 << 20;
/// A milter that is silent for so long in a demo is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message as an MTA holds it, with its own Received field on top.
#[derive(Debug)]
struct Held {
    /// Name and value, the blank after the colon included, folds as LF.
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

/// What came back from the milter.
enum Answer {
    Continue,
    Accept,
    /// No more of the body, please.
    Skip,
    /// A change, or a sign of life: its letter and what follows.
    Change(u8, Vec<u8>),
}

struct Conversation<'a> {
    stream: TcpStream,
    protocol: u32,
    wanted_macros: HashMap<u32, Vec<String>>,
    macros: HashMap<&'static str, &'a str>,
}

/// Hands the message (lines end in CRLF) to the milter; gives it back as it would be sent on.
pub async fn hand_over(milter: SocketAddr, envelope: &Envelope<'_>, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut held = Held::receive(envelope, message);
    timeout(PATIENCE, converse(milter, envelope, &mut held))
        .await
        .map_err(|_| io::Error::other(format!("the milter did not answer within {} s", PATIENCE.as_secs())))??;
    Ok(held.sent_on())
}

async fn converse(milter: SocketAddr, envelope: &Envelope<'_>, held: &mut Held) -> io::Result<()> {
    let mut milter = Conversation::open(milter, envelope).await?;
    if milter.session(envelope, held).await?.is_none() {
        milter.end_of_message(held).await?;
    }
    milter.send(b'Q', &[]).await
}

impl<'a> Conversation<'a> {
    async fn open(milter: SocketAddr, envelope: &'a Envelope<'a>) -> io::Result<Conversation<'a>> {
        let stream = TcpStream::connect(milter).await?;
        stream.set_nodelay(true)?;
        let mut macros = HashMap::from([
            ("j", "mail.shop.example"),
            ("{daemon_name}", "mail.shop.example"),
            ("v", "Postfix 3.7"),
            ("i", envelope.queue_id),
            ("{mail_addr}", envelope.mail_from),
            ("{rcpt_addr}", envelope.rcpt_to),
        ]);
        if let Some(user) = envelope.user {
            macros.extend([("{auth_type}", "PLAIN"), ("{auth_authen}", user)]);
        }
        let mut conversation = Conversation { stream, protocol: 0, wanted_macros: HashMap::new(), macros };
        conversation.negotiate().await?;
        Ok(conversation)
    }

    /// Offers everything and learns what the milter leaves out, and which macros it wants at which stage.
    async fn negotiate(&mut self) -> io::Result<()> {
        let offer = [VERSION, ACTIONS, PROTOCOL].map(u32::to_be_bytes).concat();
        self.send(b'O', &offer).await?;
        let (letter, data) = self.receive().await?;
        let mut rest = data.as_slice();
        let (Some(_version), Some(actions), Some(protocol)) = (number(&mut rest), number(&mut rest), number(&mut rest))
        else {
            return Err(io::Error::other("the milter's answer to the negotiation cannot be read"));
        };
        if letter != b'O' || actions & !ACTIONS != 0 || protocol & !PROTOCOL != 0 {
            return Err(io::Error::other("the milter asks for what was not offered"));
        }
        self.protocol = protocol;
        while let (Some(stage), Some(names)) = (number(&mut rest), string(&mut rest)) {
            let names = String::from_utf8_lossy(names);
            self.wanted_macros.insert(stage, names.split_whitespace().map(str::to_owned).collect());
        }
        Ok(())
    }

    /// Everything before the end of the message; the milter's last word, if it comes that early.
    async fn session(&mut self, envelope: &Envelope<'_>, held: &Held) -> io::Result<Option<()>> {
        let client = envelope.client.to_string();
        let family = if envelope.client.is_ipv4() { b'4' } else { b'6' };
        let connect = [b"[", client.as_bytes(), b"]\0", &[family], &40000u16.to_be_bytes(), client.as_bytes(), b"\0"];
        let angled = |address: &str| format!("<{address}>\0").into_bytes();
        let opening = [
            (CONNECT, connect.concat()),
            (HELO, format!("[{client}]\0").into_bytes()),
            (MAIL, angled(envelope.mail_from)),
            (RCPT, angled(envelope.rcpt_to)),
            (DATA, Vec::new()),
        ];
        for (stage, data) in opening {
            if let Answer::Accept = self.tell(stage, &data).await? {
                return Ok(Some(()));
            }
        }
        for (name, value) in held.visible_fields() {
            let value =
                if self.protocol & LEADING_SPACE == 0 { value.strip_prefix(b" ").unwrap_or(value) } else { value };
            if let Answer::Accept = self.tell(HEADER, &[name, b"\0", value, b"\0"].concat()).await? {
                return Ok(Some(()));
            }
        }
        if let Answer::Accept = self.tell(END_OF_HEADER, &[]).await? {
            return Ok(Some(()));
        }
        for piece in held.body.chunks(CHUNK) {
            match self.tell(BODY, piece).await? {
                Answer::Accept => return Ok(Some(())),
                Answer::Skip => break,
                Answer::Continue | Answer::Change(..) => {}
            }
        }
        Ok(None)
    }

    /// The end of the message, where the milter asks for its changes.
    async fn end_of_message(&mut self, held: &mut Held) -> io::Result<()> {
        let mut answer = self.tell(END_OF_MESSAGE, &[]).await?;
        while let Answer::Change(letter, data) = answer {
            held.change(letter, &data)?;
            answer = self.answer().await?;
        }
        Ok(())
    }

    /// Sends the macros of a stage and its command, and reads the answer where one comes.
    async fn tell(&mut self, stage: Stage, data: &[u8]) -> io::Result<Answer> {
        if self.protocol & stage.unwanted != 0 {
            return Ok(Answer::Continue);
        }
        if let Some((list, usual)) = stage.macros {
            let usual = || usual.iter().map(|name| name.to_string()).collect();
            let names: Vec<String> = self.wanted_macros.get(&list).cloned().unwrap_or_else(usual);
            let mut values = vec![stage.letter];
            for name in names {
                if let Some(value) = self.macros.get(name.as_str()) {
                    values.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
                }
            }
            if values.len() > 1 {
                self.send(b'D', &values).await?;
            }
        }
        self.send(stage.letter, data).await?;
        if self.protocol & stage.unanswered != 0 { Ok(Answer::Continue) } else { self.answer().await }
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let (letter, data) = self.receive().await?;
        match letter {
            b'c' => Ok(Answer::Continue),
            b'a' => Ok(Answer::Accept),
            b's' => Ok(Answer::Skip),
            b'r' => Err(io::Error::other("the milter rejected the message")),
            b't' => Err(io::Error::other("the milter put the message off (tempfail)")),
            b'y' => Err(io::Error::other(format!("the milter answered: {}", String::from_utf8_lossy(&data)))),
            _ => Ok(Answer::Change(letter, data)),
        }
    }

    /// A packet: its length, a letter, what follows.
    async fn send(&mut self, letter: u8, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(1 + data.len()).map_err(io::Error::other)?;
        self.stream.write_all(&[&length.to_be_bytes()[..], &[letter], data].concat()).await
    }

    async fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let length = self.stream.read_u32().await?;
        if length == 0 || length > LARGEST_ANSWER {
            return Err(io::Error::other(format!("the milter sent a packet of {length} octets")));
        }
        let letter = self.stream.read_u8().await?;
        let mut data = vec![0; length as usize - 1];
        self.stream.read_exact(&mut data).await?;
        Ok((letter, data))
    }
}

impl Held {
    /// Takes a message in: the trace field of this hop goes on top.
    fn receive(envelope: &Envelope<'_>, message: &[u8]) -> Held {
        let message = Message::new(message);
        let received = format!(
            " from [{client}] (unknown [{client}])\n\tby mail.shop.example (Postfix) with ESMTP id {id}\n\t\
             for <{rcpt}>; {date}",
            client = envelope.client,
            id = envelope.queue_id,
            rcpt = envelope.rcpt_to,
            date = super::letters::date(),
        );
        let theirs = message.header.fields().map(|field| (field.name().to_vec(), without_cr(field.value())));
        let fields = std::iter::once((b"Received".to_vec(), received.into_bytes())).chain(theirs).collect();
        Held { fields, body: message.body.to_vec() }
    }

    /// What a milter is shown: Postfix keeps its own Received field to itself.
    fn visible_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().skip(1).map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// One change, as Postfix makes it: positions count its own Received field, instances of a name do not.
    fn change(&mut self, letter: u8, mut data: &[u8]) -> io::Result<()> {
        let unreadable = || io::Error::other("a change that the milter asks for cannot be read");
        let position = match letter {
            b'i' | b'm' => number(&mut data).ok_or_else(unreadable)? as usize,
            b'h' => usize::MAX,
            b'p' => return Ok(()),
            _ => return Err(io::Error::other(format!("the milter asks for {:?}", char::from(letter)))),
        };
        let name = string(&mut data).ok_or_else(unreadable)?.to_vec();
        let value = string(&mut data).ok_or_else(unreadable)?.to_vec();
        if letter != b'm' {
            self.fields.insert(position.min(self.fields.len()), (name, value));
            return Ok(());
        }
        let instance = (1..self.fields.len())
            .filter(|&index| self.fields[index].0.eq_ignore_ascii_case(&name))
            .nth(position.saturating_sub(1));
        match instance {
            Some(index) if value.is_empty() => drop(self.fields.remove(index)),
            Some(index) => self.fields[index].1 = value,
            None if value.is_empty() => {}
            None => self.fields.push((name, value)),
        }
        Ok(())
    }

    /// The message for the next hop, lines in CRLF.
    fn sent_on(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for (name, value) in &self.fields {
            message.extend_from_slice(name);
            message.push(b':');
            for &octet in value {
                if octet == b'\n' {
                    message.push(b'\r');
                }
                message.push(octet);
            }
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        message
    }
}

/// Folds as LF, as Postfix hands them over.
fn without_cr(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|&octet| octet != b'\r').collect()
}

fn number(data: &mut &[u8]) -> Option<u32> {
    let (first, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(u32::from_be_bytes(*first))
}

/// Up to the next NUL.
fn string<'d>(data: &mut &'d [u8]) -> Option<&'d [u8]> {
    let end = data.iter().position(|&octet| octet == 0)?;
    let (text, rest) = (&data[..end], &data[end + 1..]);
    *data = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        let envelope = Envelope {
            client: IpAddr::from([127, 0, 0, 1]),
            user: None,
            mail_from: "a@shop.example",
            rcpt_to: "b@mail.example",
            queue_id: "4A",
        };
        Held::receive(&envelope, b"X-Mark: one\r\nReceived: from\r\n\tafar\r\nX-Mark: two\r\n\r\nbody\r\n")
    }

    fn names(held: &Held) -> Vec<String> {
        held.fields.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn changes_land_where_postfix_puts_them() {
        let mut held = held();
        assert_eq!(held.visible_fields().count(), 3);
        held.change(b'i', b"\0\0\0\x01DKIM-Signature\0 v=1;\n\ta=x\0").expect("a change");
        held.change(b'h', b"X-Last\0 1\0").expect("a change");
        held.change(b'm', b"\0\0\0\x02x-mark\0\0").expect("a change");
        held.change(b'm', b"\0\0\0\x01Received\0 changed\0").expect("a change");
        assert_eq!(names(&held), ["Received", "DKIM-Signature", "X-Mark", "Received", "X-Last"]);
        let text = String::from_utf8(held.sent_on()).expect("text");
        assert!(text.contains("\r\nDKIM-Signature: v=1;\r\n\ta=x\r\nX-Mark: one\r\nReceived: changed\r\n"), "{text}");
        assert!(text.ends_with("X-Last: 1\r\n\r\nbody\r\n"), "{text}");
    }

    #[test]
    fn what_postfix_would_not_understand_is_an_error() {
        assert!(held().change(b'i', b"\0\0\0").is_err());
        assert!(held().change(b'b', b"a new body").is_err());
    }
}
