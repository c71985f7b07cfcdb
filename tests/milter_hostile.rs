//! The milter against clients that do not keep to its protocol: they lose their own connection, and nobody else does.

mod common;

use common::{
    hostile::{OPTIONS, Victim, framed, random},
    mail::Random,
};

/// How many random sequences; tests/long/milter-packets sends as many as are asked for.
const SEQUENCES: usize = 3_000;

const CLIENT: &[u8] = b"Cmail.example\x004\x04\xd2192.0.2.7\0";
const MAIL: &[u8] = b"M<a@sender.example>\0";
const RCPT: &[u8] = b"R<b@example.net>\0";

/// Packets one behind the other, each with its length.
fn packets(list: &[&[u8]]) -> Vec<u8> {
    list.iter().flat_map(|packet| framed(packet)).collect()
}

/// Sequences of which each kills or stops some milter that is in use: OpenDKIM 2.11 aborts at a command before the
/// negotiation and at RCPT before MAIL, rspamd 3.4 at the end of a body right after the negotiation.
fn killers() -> Vec<(&'static str, Vec<u8>)> {
    let large = |kind: &[u8], size: usize| [kind, &vec![b'x'; size], b"\0"].concat();
    vec![
        ("MAIL before the negotiation", packets(&[MAIL])),
        ("HELO before the negotiation", packets(&[b"Hmail.example\0"])),
        ("the end of a message before the negotiation", packets(&[b"E"])),
        ("the end of a body right after the negotiation", packets(&[OPTIONS, b"E"])),
        ("RCPT before MAIL", packets(&[OPTIONS, CLIENT, RCPT])),
        ("a header before MAIL", packets(&[OPTIONS, CLIENT, b"LFrom\0 a@b.example\0"])),
        ("a body before a header", packets(&[OPTIONS, CLIENT, MAIL, b"Bx\r\n", b"E"])),
        ("the negotiation twice", packets(&[OPTIONS, OPTIONS, CLIENT, OPTIONS])),
        ("the negotiation cut short", packets(&[b"O\0\0\0\x06"])),
        ("the negotiation of no version", packets(&[b"O\0\0\0\0\0\0\0\0\0\0\0\0"])),
        ("the end of the header twice", packets(&[OPTIONS, CLIENT, MAIL, RCPT, b"N", b"N", b"E", b"E"])),
        ("a packet of no octets", [packets(&[OPTIONS]), vec![0; 4]].concat()),
        ("only packets of no octets", vec![0; 4_000]),
        ("a length of 4 GiB", [packets(&[OPTIONS]), vec![0xff; 4], b"B".to_vec()].concat()),
        ("a length of 2 GiB", [vec![0x7f, 0xff, 0xff, 0xff], b"O".to_vec()].concat()),
        ("a packet that ends early", [packets(&[OPTIONS, CLIENT]), vec![0, 0, 0, 40], b"M<a@".to_vec()].concat()),
        ("an unknown command", packets(&[OPTIONS, b"?", b"\0", b"\xff\xff"])),
        ("a client without an address", packets(&[OPTIONS, b"Cx\x004", b"C", b"Cx\0"])),
        ("a client of an unknown family", packets(&[OPTIONS, b"Cx\0Z\x04\xd2a\0"])),
        (
            "an address that is none",
            packets(&[OPTIONS, b"Cx\x006\x04\xd2IPv6:::::\0", b"Cx\x004\0\0999.1.1.1\0", MAIL]),
        ),
        ("a header without a value", packets(&[OPTIONS, CLIENT, MAIL, RCPT, b"LFrom", b"L", b"L\0", b"L\0\0"])),
        ("MAIL without an address", packets(&[OPTIONS, CLIENT, b"M", b"M\0", b"M\0\0\0"])),
        ("macros without values", packets(&[OPTIONS, b"D", b"DM", b"DMi\0", b"D?i\0x\0", b"DMi"])),
        ("no end of a string", packets(&[OPTIONS, CLIENT, b"Hmail.example", b"M<a@b>"])),
        ("a header of 1 MB", packets(&[OPTIONS, CLIENT, MAIL, RCPT, &large(b"LX\0", 1 << 20), b"N", b"E"])),
        ("a name of 1 MB", packets(&[OPTIONS, CLIENT, MAIL, RCPT, &large(b"L", 1 << 20)])),
        ("a sender of 1 MB", packets(&[OPTIONS, CLIENT, &large(b"M", 1 << 20), RCPT])),
        ("a piece of body of 16 MB", packets(&[OPTIONS, CLIENT, MAIL, RCPT, b"N", &large(b"B", 16 << 20), b"E"])),
        ("a thousand aborts", packets(&[&[OPTIONS][..], &vec![&b"A"[..]; 1_000]].concat())),
        ("a thousand new connections on one", packets(&[&[OPTIONS][..], &vec![&b"K"[..]; 1_000]].concat())),
        ("words after the end", packets(&[OPTIONS, b"Q", MAIL, RCPT, b"E"])),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("SMTP", b"EHLO mail.example\r\nMAIL FROM:<a@sender.example>\r\n".to_vec()),
        ("nothing", Vec::new()),
    ]
}

#[test]
fn what_kills_others_ends_its_connection_at_most() {
    let victim = Victim::start();
    for (name, octets) in killers() {
        let bystander = victim.bystander();
        victim.attack(&octets, octets.len().max(1));
        // One octet at a time costs a system call each: long ones are cut where it hurts, at their beginning.
        let head = octets.len().min(300);
        victim.attack(&octets[..head], 1);
        println!("{name}");
        bystander.finish();
    }
    victim.is_unhurt();
    victim.stop();
}

#[test]
fn random_sequences_end_their_connection_at_most() {
    let victim = Victim::start();
    let mut source = Random::new(0x6d11);
    let mut answered = 0;
    for round in 0..SEQUENCES / 100 {
        let bystander = victim.bystander();
        for _ in 0..100 {
            let octets = random(&mut source);
            let size = [1 << 20, 1 << 20, 7, 64][source.below(4)];
            answered += usize::from(!victim.attack(&octets, size).is_empty());
        }
        println!("round {round}");
        bystander.finish();
    }
    assert!(answered > SEQUENCES / 2, "only {answered} sequences were worth an answer: they test too little");
    victim.is_unhurt();
    victim.stop();
}

/// An MTA that uses one connection for several clients is not understood by the library: it would take the mail of the
/// second one for the first one's, and sign it.
#[test]
fn a_second_client_on_one_connection_ends_it() {
    let victim = Victim::start();
    let ours = packets(&[
        OPTIONS,
        b"Clocalhost\x004\x04\xd2127.0.0.1\0",
        b"M<a@example.com>\0",
        RCPT,
        b"LFrom\0 a@example.com\0",
        b"N",
        b"E",
    ]);
    let theirs = packets(&[CLIENT, b"M<a@example.com>\0", RCPT, b"LFrom\0 a@example.com\0", b"N", b"E"]);
    for between in [&packets(&[b"K"]), &Vec::new()] {
        let answers = victim.attack(&[&ours[..], between, &theirs].concat(), 1 << 20);
        let signatures = answers.windows(14).filter(|window| window == b"DKIM-Signature").count();
        assert_eq!(signatures, 1, "{}", answers.escape_ascii());
    }
    victim.is_unhurt();
    victim.stop();
}
