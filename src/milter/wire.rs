//! The packets of one connection as they come in, seen before the library reads them.
//!
//! Where Postfix knows no address of a client (XCLIENT ADDR=[UNAVAILABLE], a proxy that hides it), it still says "IPv4" and
//! writes `unknown` for the address; indymilter takes that for a broken packet and ends the connection. Such a packet is
//! passed on as what it means: a client without an address. Everything else goes through as it came.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The length of a packet, without itself, and its kind.
const HEAD: usize = 5;

/// More than any host name and address take; a longer packet is left alone.
const LONGEST_CONNECT: usize = 4096;

/// SMFIC_CONNECT: the client.
const CONNECT: u8 = b'C';
/// SMFIC_QUIT: the MTA is done.
const QUIT: u8 = b'Q';
/// SMFIA_UNKNOWN: a client without an address.
const NO_FAMILY: u8 = b'U';

/// Where we are among the packets.
#[derive(Debug, Default)]
pub struct Wire {
    head: [u8; HEAD],
    at: At,
    kind: Option<u8>,
    clients: u8,
}

#[derive(Debug)]
enum At {
    /// That many octets of the head are known.
    Head(usize),
    /// That many octets go through.
    Through(usize),
    /// A packet that says who the client is: that many octets are missing, these are held back until all are there.
    Connect(usize, Vec<u8>),
}

impl Default for At {
    fn default() -> At {
        At::Head(0)
    }
}

impl Wire {
    /// Do so many octets that come next belong to one packet that goes through as it is?
    pub fn lets_through(&mut self, octets: usize) -> bool {
        match &mut self.at {
            At::Through(rest) if octets < *rest => {
                *rest -= octets;
                true
            }
            _ => false,
        }
    }

    /// Takes the next octets, and adds to `out` what can be passed on by now: nothing of a second client.
    pub fn pass(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while !octets.is_empty() && !self.has_another_client() {
            let wanted = match &self.at {
                At::Head(known) => HEAD - known,
                At::Through(rest) | At::Connect(rest, _) => *rest,
            };
            let (taken, rest) = octets.split_at(wanted.min(octets.len()));
            octets = rest;
            self.take(taken, out);
        }
    }

    /// The kind of the packet that came last.
    pub fn last_kind(&self) -> Option<char> {
        self.kind.map(char::from)
    }

    /// Has a second client been announced? The library leaves it out, so that its mail would be taken for the first one's.
    pub fn has_another_client(&self) -> bool {
        self.clients > 1
    }

    /// Has the MTA said that it is done?
    pub fn has_quit(&self) -> bool {
        self.kind == Some(QUIT)
    }

    /// Takes octets of one part of a packet, at most as many as it lacks.
    fn take(&mut self, taken: &[u8], out: &mut Vec<u8>) {
        match &mut self.at {
            At::Head(known) => {
                self.head[*known..*known + taken.len()].copy_from_slice(taken);
                *known += taken.len();
                out.extend_from_slice(taken);
                if *known == HEAD {
                    self.at = self.begin();
                }
            }
            At::Through(rest) => {
                *rest -= taken.len();
                out.extend_from_slice(taken);
                if *rest == 0 {
                    self.at = At::Head(0);
                }
            }
            At::Connect(rest, held) => {
                *rest -= taken.len();
                held.extend_from_slice(taken);
                if *rest == 0 {
                    without_unreadable_address(held);
                    out.append(held);
                    self.at = At::Head(0);
                }
            }
        }
    }

    /// A head is complete: what follows?
    fn begin(&mut self) -> At {
        let [a, b, c, d, kind] = self.head;
        self.kind = Some(kind);
        self.clients = self.clients.saturating_add(u8::from(kind == CONNECT));
        // The length counts the kind; 0, which is wrong, is read as 1 by the library too.
        match (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(1) {
            0 => At::Head(0),
            rest if kind == CONNECT && rest <= LONGEST_CONNECT => At::Connect(rest, Vec::with_capacity(rest)),
            rest => At::Through(rest),
        }
    }
}

/// Host name, NUL, family, two octets of port, address, NUL: an address that is none of its family becomes none at all.
/// What has another form is left to the library to refuse.
fn without_unreadable_address(packet: &mut [u8]) {
    let Some(family) = packet.iter().position(|&octet| octet == 0).map(|end| end + 1) else { return };
    let Some(address) = packet.get(family + 3..).and_then(|text| text.strip_suffix(b"\0")) else { return };
    let address = str::from_utf8(address).unwrap_or_default();
    let readable = match packet[family] {
        b'4' => address.parse::<Ipv4Addr>().is_ok(),
        b'6' => address.parse::<Ipv6Addr>().is_ok(),
        _ => true,
    };
    if !readable {
        packet[family] = NO_FAMILY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 1).expect("short");
        [&length.to_be_bytes()[..], &[kind], payload].concat()
    }

    /// What Postfix 3.7 sends after XCLIENT ADDR=[UNAVAILABLE], and neighbours that are good.
    #[test]
    fn only_an_address_that_is_none_is_changed_however_the_octets_are_cut() {
        for (from, want) in [
            (&b"unknown\x004\xa2tunknown\0"[..], &b"unknown\0U\xa2tunknown\0"[..]),
            (b"mail.x\x006\0\x19unknown\0", b"mail.x\0U\0\x19unknown\0"),
            (b"mail.x\x006\0\x19192.0.2.1\0", b"mail.x\0U\0\x19192.0.2.1\0"),
            (b"mail.x\x004\0\x19192.0.2.1\0", b"mail.x\x004\0\x19192.0.2.1\0"),
            (b"mail.x\x006\0\x19::1\0", b"mail.x\x006\0\x19::1\0"),
            (b"local\0L\0\0/run/s\0", b"local\0L\0\0/run/s\0"),
            (b"mail.x\0U", b"mail.x\0U"),
            (b"no end", b"no end"),
            (b"\0", b"\0"),
            (b"\x004", b"\x004"),
        ] {
            let others =
                [packet(b'D', b"CC\x004"), packet(b'B', b"C\0\0\0\x05C"), packet(b'N', b""), b"\0\0\0\0Q".into()];
            let stream = |connect: &[u8]| [&packet(b'O', b"x")[..], &packet(b'C', connect), &others.concat()].concat();
            let (sent, want) = (stream(from), stream(want));
            for size in 1..=sent.len() {
                let mut wire = Wire::default();
                let mut out = Vec::new();
                for piece in sent.chunks(size) {
                    match wire.lets_through(piece.len()) {
                        true => out.extend_from_slice(piece),
                        false => wire.pass(piece, &mut out),
                    }
                }
                assert_eq!(out, want, "in pieces of {size}");
                assert!(wire.has_quit());
            }
        }
    }
}
