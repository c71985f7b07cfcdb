//! An SMTP client that sends exactly the octets it is given, as whoever the test wants it to be.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A connection to a server that has greeted us.
pub struct Client {
    out: TcpStream,
    replies: BufReader<TcpStream>,
}

/// What the server answered: its code and its text, lines joined by newlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// What follows them.
    pub text: String,
}

/// A message and its envelope.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// Without brackets; empty for the null sender.
    pub mail_from: &'a str,
    /// Without brackets.
    pub rcpt_to: Vec<&'a str>,
    /// Is SMTPUTF8 asked for?
    pub utf8: bool,
}

impl Client {
    /// Connects and says EHLO.
    pub fn connect(server: SocketAddr) -> io::Result<Client> {
        let out = TcpStream::connect(server)?;
        out.set_nodelay(true)?;
        out.set_read_timeout(Some(Duration::from_secs(120)))?;
        let replies = BufReader::new(out.try_clone()?);
        let mut client = Client { out, replies };
        client.reply()?.expect(220)?;
        client.command("EHLO client.example")?.expect(250)?;
        Ok(client)
    }

    /// Claims to be another client (XCLIENT), for example `ADDR=192.0.2.1 NAME=mx.example.org LOGIN=user`.
    pub fn pretend(&mut self, attributes: &str) -> io::Result<()> {
        self.command(&format!("XCLIENT {attributes}"))?.expect(220)?;
        self.command("EHLO client.example")?.expect(250)
    }

    /// Sends a message whose lines end in CRLF; the reply is that to the final dot, or to the command that was refused.
    pub fn send(&mut self, envelope: &Envelope<'_>, message: &[u8]) -> io::Result<Reply> {
        let options = if envelope.utf8 { " BODY=8BITMIME SMTPUTF8" } else { " BODY=8BITMIME" };
        let mut commands = vec![format!("MAIL FROM:<{}>{options}", envelope.mail_from)];
        commands.extend(envelope.rcpt_to.iter().map(|rcpt| format!("RCPT TO:<{rcpt}>")));
        for command in commands {
            let reply = self.command(&command)?;
            if reply.code != 250 {
                self.command("RSET")?;
                return Ok(reply);
            }
        }
        let reply = self.command("DATA")?;
        if reply.code != 354 {
            return Ok(reply);
        }
        self.out.write_all(&stuffed(message))?;
        self.reply()
    }

    /// Begins a message and stops in the middle of its body: MAIL, RCPT and DATA are done, `part` is sent.
    pub fn begin(&mut self, envelope: &Envelope<'_>, part: &[u8]) -> io::Result<()> {
        self.command(&format!("MAIL FROM:<{}>", envelope.mail_from))?.expect(250)?;
        for rcpt in &envelope.rcpt_to {
            self.command(&format!("RCPT TO:<{rcpt}>"))?.expect(250)?;
        }
        self.command("DATA")?.expect(354)?;
        self.out.write_all(part)
    }

    /// Sends the rest of a message that was begun, and its end.
    pub fn finish(&mut self, rest: &[u8]) -> io::Result<Reply> {
        self.out.write_all(&stuffed(rest))?;
        self.reply()
    }

    /// Sends one command.
    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.out.write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if self.replies.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            let code = line.get(..3).and_then(|digits| digits.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
            text.push_str(line.get(4..).unwrap_or_default());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text });
            }
            text.push('\n');
        }
    }
}

impl Reply {
    fn expect(self, code: u16) -> io::Result<()> {
        if self.code == code { Ok(()) } else { Err(io::Error::other(format!("{} {}", self.code, self.text))) }
    }
}

/// The message with a dot before each line that begins with one, and the final dot.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + message.len() / 64 + 8);
    let mut line_start = true;
    for &byte in message {
        if line_start && byte == b'.' {
            bytes.push(b'.');
        }
        bytes.push(byte);
        line_start = byte == b'\n';
    }
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}
