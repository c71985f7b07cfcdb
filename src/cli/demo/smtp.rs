//! Just enough SMTP (RFC 5321) to give a message to the demo's Postfix and to take it back at the other end.
//!
//! Both ends talk to that one Postfix only: what it never sends is not understood here.

use super::letters::Letter;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

/// A line longer than this is none of SMTP's; message lines have at most 998 octets (RFC 5322 §2.1.1).
const LONGEST_LINE: u64 = 4096;

/// A next hop that takes every message.
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    delivered: UnboundedReceiver<Vec<u8>>,
}

impl Sink {
    /// Listens on a free port; needs a tokio runtime.
    pub async fn start() -> io::Result<Sink> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, delivered) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move { take(Talk::new(stream), &sender).await });
            }
        });
        Ok(Sink { address, delivered })
    }

    /// The next message that is delivered, lines in CRLF.
    pub async fn next(&mut self) -> io::Result<Vec<u8>> {
        self.delivered.recv().await.ok_or_else(|| io::Error::other("the sink has ended"))
    }
}

/// Gives one letter to Postfix, as the client and user that the letter names; Postfix's queue id.
pub async fn submit(server: SocketAddr, letter: &Letter) -> io::Result<String> {
    let mut talk = Talk::new(TcpStream::connect(server).await?);
    talk.expect(None, "220").await?;
    talk.expect(Some("EHLO client.example"), "250").await?;
    if let Some(user) = letter.user {
        // XCLIENT lets a trusted client of Postfix say whom it speaks for; a login would need a password file.
        let identity = format!("XCLIENT NAME=[UNAVAILABLE] ADDR={} LOGIN={user}", letter.client);
        talk.expect(Some(&identity), "220").await?;
        talk.expect(Some("EHLO client.example"), "250").await?;
    }
    talk.expect(Some(&format!("MAIL FROM:<{}> BODY=8BITMIME", letter.mail_from)), "250").await?;
    talk.expect(Some(&format!("RCPT TO:<{}>", letter.rcpt_to)), "250").await?;
    talk.expect(Some("DATA"), "354").await?;
    for line in letter.text.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            talk.stream.write_all(b".").await?;
        }
        talk.stream.write_all(line).await?;
    }
    let accepted = talk.expect(Some("."), "250").await?;
    talk.expect(Some("QUIT"), "221").await?;
    accepted
        .split_once("queued as ")
        .map(|(_, id)| id.trim().to_owned())
        .ok_or_else(|| io::Error::other(format!("Postfix names no queue id: {accepted}")))
}

/// One connection of Postfix to the sink; it ends when Postfix goes, and an error only means that.
async fn take(mut talk: Talk, delivered: &UnboundedSender<Vec<u8>>) -> io::Result<()> {
    talk.say("220 sink.example ESMTP").await?;
    loop {
        let line = talk.line().await?;
        let verb = String::from_utf8_lossy(&line[..line.len().min(4)]).to_ascii_uppercase();
        match verb.as_str() {
            // Without 8BITMIME, Postfix would recode the message after it was signed.
            "EHLO" => talk.say("250-sink.example\r\n250-8BITMIME\r\n250 SMTPUTF8").await?,
            "DATA" => {
                talk.say("354 go on").await?;
                let message = talk.message().await?;
                // The demo may have ended; Postfix is answered all the same.
                let _ = delivered.send(message);
                talk.say("250 taken").await?;
            }
            "QUIT" => return talk.say("221 bye").await,
            _ => talk.say("250 ok").await?,
        }
    }
}

/// One connection, line by line.
struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    fn new(stream: TcpStream) -> Talk {
        Talk { stream: BufReader::new(stream) }
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await
    }

    /// A line with its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
        if line.ends_with(b"\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Says something, if there is anything to say, and gives the last line of a reply that has this code.
    async fn expect(&mut self, command: Option<&str>, code: &str) -> io::Result<String> {
        if let Some(command) = command {
            self.say(command).await?;
        }
        loop {
            let line = String::from_utf8_lossy(&self.line().await?).trim_end().to_owned();
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            return if line.starts_with(code) {
                Ok(line)
            } else {
                Err(io::Error::other(format!("{}: {line}", command.unwrap_or("greeting"))))
            };
        }
    }

    /// Everything to the lone dot, without the dots that were added (RFC 5321 §4.5.2).
    async fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let line = self.line().await?;
            if line == b".\r\n" {
                return Ok(message);
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}
