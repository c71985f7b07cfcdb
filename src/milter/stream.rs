//! A connection of the MTA: its octets, on their way through [`Wire`], and what its end is worth in the log.
//!
//! A session that ends with an error ends silently in the library. Where the MTA then sees a connection break off and
//! refuses the message for now, the log has to say so too.

use super::{outgoing::Outgoing, state::OpenGuard, wire::Wire};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::OwnedSemaphorePermit,
};

/// A connection of the MTA, counted while it lives. That it ends although the MTA has not ended it is said in the log,
/// since nobody else says so.
#[derive(Debug)]
pub struct Stream {
    kind: Kind,
    wire: Wire,
    /// Read, and not passed on yet.
    passed: Vec<u8>,
    outgoing: Outgoing,
    /// The MTA has gone, or cannot be reached.
    over: bool,
    /// When anything was read last.
    heard: Instant,
    place: Option<OwnedSemaphorePermit>,
    open: OpenGuard,
}

/// What a connection runs over.
#[derive(Debug)]
pub enum Kind {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Kind {
    fn duplex(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Kind::Tcp(stream) => Pin::new(stream),
            Kind::Unix(stream) => Pin::new(stream),
        }
    }
}

impl Stream {
    /// A connection that has just been accepted.
    pub fn new(kind: Kind, open: OpenGuard) -> Stream {
        Stream {
            kind,
            wire: Wire::default(),
            passed: Vec::new(),
            outgoing: Outgoing::default(),
            over: false,
            heard: Instant::now(),
            place: None,
            open,
        }
    }

    /// Keeps a place among the connections that are served for as long as it lives.
    pub fn take_place(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    fn inner(&mut self) -> Pin<&mut dyn Duplex> {
        self.kind.duplex()
    }

    /// Takes note of what makes further talk impossible.
    fn noted<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        self.over |= outcome.is_err();
        outcome
    }
}

/// Both directions of a connection.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        loop {
            if !stream.passed.is_empty() {
                let rest = stream.passed.split_off(buffer.remaining().min(stream.passed.len()));
                buffer.put_slice(&std::mem::replace(&mut stream.passed, rest));
                return Poll::Ready(Ok(()));
            }
            if stream.wire.has_another_client() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a second client on one connection",
                )));
            }
            let before = buffer.filled().len();
            let outcome = ready!(stream.inner().poll_read(cx, buffer));
            stream.noted(outcome)?;
            let read = buffer.filled().len() - before;
            if read == 0 {
                stream.over |= buffer.remaining() > 0;
                return Poll::Ready(Ok(()));
            }
            stream.heard = Instant::now();
            if stream.wire.lets_through(read) {
                return Poll::Ready(Ok(()));
            }
            let Stream { wire, passed, .. } = stream;
            wire.pass(&buffer.filled()[before..], passed);
            buffer.set_filled(before);
        }
    }
}

impl AsyncWrite for Stream {
    /// Takes everything at once: the library flushes after each packet, and none is longer than a mebibyte.
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().outgoing.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let Stream { kind, outgoing, .. } = stream;
        let outcome = ready!(outgoing.poll_flush(kind.duplex(), cx));
        Poll::Ready(stream.noted(outcome))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner().poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.over || self.wire.has_quit() || self.open.is_ending() {
            return;
        }
        let silent = self.heard.elapsed().as_secs();
        match self.wire.last_kind() {
            Some(kind) => tracing::warn!(
                "a connection was ended before the MTA had ended it, {silent} s after the last packet, of kind {kind:?}: it \
                 was silent for limits.idle, or sent what is not of the milter protocol"
            ),
            None => {
                tracing::warn!("a connection was ended on which no packet of the milter protocol came in {silent} s")
            }
        }
    }
}
