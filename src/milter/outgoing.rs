//! What goes to the MTA: the edits of a message and the verdict that ends them go out in one write.
//!
//! The library hands over packet by packet and flushes after each. The MTA does nothing with an edit before it has the
//! verdict, so each write but the last would only wake it for nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// Where the kind of a packet stands, behind its length.
const KIND: usize = 4;

/// Packets after which another one must come: fields and recipients added, changed or deleted, another sender or body,
/// quarantine.
const EDITS: &[u8] = b"hime+-2bq";

/// So many octets do not wait for the verdict.
const MOST_HELD: usize = 64 * 1024;

/// Packets that are not sent yet.
#[derive(Debug, Default)]
pub struct Outgoing {
    octets: Vec<u8>,
    /// Where the packet begins that was not flushed yet.
    packet: usize,
    sent: usize,
}

impl Outgoing {
    /// Takes octets of a packet.
    pub fn take(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The packet is complete: sends all there is, unless it is an edit.
    pub fn poll_flush<S: AsyncWrite + ?Sized>(
        &mut self,
        mut stream: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let is_edit = self.octets.get(self.packet + KIND).is_some_and(|kind| EDITS.contains(kind));
        if is_edit && self.sent == 0 && self.octets.len() < MOST_HELD {
            self.packet = self.octets.len();
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.octets.len() {
            let written = ready!(stream.as_mut().poll_write(cx, &self.octets[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        (self.packet, self.sent) = (0, 0);
        self.octets.clear();
        self.octets.shrink_to(4096);
        stream.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Takes three octets at a time, and remembers how often it was flushed.
    #[derive(Default)]
    struct Slow {
        written: Vec<u8>,
        flushed: Vec<usize>,
    }

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            let taken = octets.len().min(3);
            self.written.extend_from_slice(&octets[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let written = self.written.len();
            self.flushed.push(written);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn edits_wait_for_the_verdict_and_nothing_else_waits() {
        let packet = |kind: u8, payload: &[u8]| {
            let length = u32::try_from(payload.len() + 1).expect("short");
            [&length.to_be_bytes()[..], &[kind], payload].concat()
        };
        let large = packet(b'i', &[b'x'; MOST_HELD]);
        // Each packet, and whether it goes out at once.
        let packets = [
            (packet(b'O', b"options"), true),
            (packet(b'c', b""), true),
            (packet(b'm', b"changed"), false),
            (packet(b'i', b"accept: a"), false),
            (packet(b'q', b"c"), false),
            (packet(b'a', b""), true),
            (packet(b'p', b""), true),
            (large, true),
            (packet(b'i', b""), false),
            (packet(b'y', b"451 later"), true),
        ];
        let (mut outgoing, mut stream) = (Outgoing::default(), Slow::default());
        let (mut sent, mut flushed) = (Vec::new(), Vec::new());
        for (packet, at_once) in &packets {
            let (head, rest) = packet.split_at(2);
            outgoing.take(head);
            outgoing.take(rest);
            poll_fn(|cx| outgoing.poll_flush(Pin::new(&mut stream), cx)).await.expect("flushed");
            sent.extend_from_slice(packet);
            if *at_once {
                flushed.push(sent.len());
                assert_eq!(stream.written, sent);
            }
        }
        assert_eq!(stream.flushed, flushed);
    }
}
