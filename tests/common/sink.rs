//! Where mail ends: an SMTP server that keeps every message exactly as it came.
//!
//! It offers SIZE, 8BITMIME and SMTPUTF8, so that a client before it has no reason to change a message.
//! Recipients whose local part begins with `refuse` are refused for good: mail to them bounces.

use super::loopback;
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// A message that arrived.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The argument of MAIL FROM, without brackets; empty for the null sender.
    pub mail_from: String,
    /// The arguments of RCPT TO, without brackets.
    pub rcpt_to: Vec<String>,
    /// The octets between DATA and the final dot, dots unstuffed.
    pub bytes: Vec<u8>,
}

/// The server; it ends when dropped.
pub struct Sink {
    address: SocketAddr,
    box_: Arc<Mailbox>,
}

#[derive(Default)]
struct Mailbox {
    messages: Mutex<Vec<Arc<Delivered>>>,
    arrived: Condvar,
    closed: std::sync::atomic::AtomicBool,
}

impl Sink {
    /// Starts a server on a free port.
    pub fn start() -> Sink {
        let listener = TcpListener::bind((loopback(), 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        let box_ = Arc::new(Mailbox::default());
        let shared = box_.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.closed.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                let shared = shared.clone();
                thread::spawn(move || {
                    // A client that goes away in the middle has delivered nothing, which is all there is to know.
                    let _ = converse(stream, &shared);
                });
            }
        });
        Sink { address, box_ }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that has arrived, in order of arrival.
    pub fn messages(&self) -> Vec<Arc<Delivered>> {
        self.lock().clone()
    }

    /// Forgets what has arrived and gives it.
    pub fn take(&self) -> Vec<Arc<Delivered>> {
        std::mem::take(&mut self.lock())
    }

    /// Waits until `count` messages are there, and gives them all.
    #[track_caller]
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Arc<Delivered>> {
        let start = Instant::now();
        let mut messages = self.lock();
        while messages.len() < count {
            let left = limit.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "{} of {count} messages arrived within {limit:?}", messages.len());
            messages = self.box_.arrived.wait_timeout(messages, left).expect("no thread of the sink panics").0;
        }
        messages.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Delivered>>> {
        self.box_.messages.lock().expect("no thread of the sink panics")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.box_.closed.store(true, std::sync::atomic::Ordering::SeqCst);
        // Wakes the accept loop, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(stream: TcpStream, mailbox: &Mailbox) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::with_capacity(1 << 16, stream);
    let mut mail_from = String::new();
    let mut rcpt_to = Vec::new();
    out.write_all(b"220 sink.example ESMTP\r\n")?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250-sink.example\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING",
            "HELO" => "250 sink.example",
            "MAIL" => {
                mail_from = path(&text);
                rcpt_to.clear();
                "250 2.1.0 ok"
            }
            "RCPT" if path(&text).starts_with("refuse") => "550 5.1.1 no such user",
            "RCPT" => {
                rcpt_to.push(path(&text));
                "250 2.1.5 ok"
            }
            "DATA" if rcpt_to.is_empty() => "554 5.5.1 no valid recipients",
            "DATA" => {
                out.write_all(b"354 go ahead\r\n")?;
                let bytes = data(&mut lines)?;
                let message = Delivered { mail_from: mail_from.clone(), rcpt_to: std::mem::take(&mut rcpt_to), bytes };
                mailbox.messages.lock().expect("no thread of the sink panics").push(Arc::new(message));
                mailbox.arrived.notify_all();
                "250 2.0.0 kept"
            }
            "RSET" | "NOOP" => "250 2.0.0 ok",
            "QUIT" => {
                out.write_all(b"221 2.0.0 bye\r\n")?;
                return Ok(());
            }
            _ => "502 5.5.2 unknown command",
        };
        out.write_all(reply.as_bytes())?;
        out.write_all(b"\r\n")?;
    }
}

/// What stands between the first `<` and the `>` after it.
fn path(command: &str) -> String {
    let start = command.find('<').map_or(0, |at| at + 1);
    let end =
        command[start..].rfind("> ").or_else(|| command[start..].rfind('>')).map_or(command.len(), |at| start + at);
    command[start..end].to_string()
}

/// Reads up to the line with a single dot and takes away the dots that the client put before dots.
fn data(lines: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        if lines.read_until(b'\n', &mut bytes)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let at_line_start = start == 0 || bytes[..start].ends_with(b"\r\n");
        if at_line_start && bytes[start] == b'.' {
            if &bytes[start..] == b".\r\n" {
                bytes.truncate(start);
                return Ok(bytes);
            }
            bytes.remove(start);
        }
    }
}
