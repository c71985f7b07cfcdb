//! What verification holds of a message while its body streams: the header and some digests, and nothing of the body.

mod common;

use common::{
    forge::{RSA_2048, Signer, Zone},
    nsd::Nsd,
    waxseal::{Home, Waxseal},
};
use indymilter_test::{EomAction, MacroStage, Status, TestConnection};
use std::{fs, sync::Arc, time::Duration};
use tokio::{sync::Barrier, task::JoinSet};
use waxseal::message::{Field, Message};

const CONCURRENT: usize = 64;
/// What all of them together may take beyond the idle process.
const MOST: u64 = 32 << 20;
/// How long a busy host may take for an answer.
const PATIENCE: Duration = Duration::from_secs(300);
/// What Postfix sends at once.
const PIECE: usize = 65_535;

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";

/// How large a body is; tests/long/load asks for 25 MB.
fn body_size() -> usize {
    std::env::var("WAXSEAL_BODY").map_or(5, |megabytes| megabytes.parse().expect("a number")) << 20
}

/// Bodies that tempt a canonicalization to keep something: ordinary lines, nothing but blanks and line ends, one line.
fn bodies() -> [Vec<u8>; 3] {
    let filled = |with: &[u8]| with.iter().copied().cycle().take(body_size()).chain(*b"\r\n").collect();
    [filled(b"Some words  of a line \t as they are written.\r\n"), filled(b" \t \r\n\r\n  "), filled(b" a a a")]
}

/// A message as a milter gets it.
struct Large {
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A signed message of each body, two signatures each: one whose header and body are relaxed, one where both are simple.
fn messages() -> Vec<Arc<Large>> {
    let header = b"From: a@sender.example\r\nTo: user@receiver.example\r\nSubject: large\r\n\
                   Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n\r\n";
    let signed = |body: Vec<u8>| {
        let mail = [&header[..], &body].concat();
        let signer = Signer::new(&RSA_2048, "sender.example");
        let mail = signer.clone().set("c", "simple/simple").sign(&signer.sign(&mail));
        let message = Message::new(&mail);
        let field = |field: Field<'_>| {
            let value = field.value().strip_suffix(b"\r\n").unwrap_or(field.value());
            (String::from_utf8_lossy(field.name()).into_owned(), String::from_utf8_lossy(value).into_owned())
        };
        Arc::new(Large { fields: message.header.fields().map(field).collect(), body: message.body.to_vec() })
    };
    bodies().into_iter().map(signed).collect()
}

/// Peak of the resident memory since the last look, in octets; and the peak starts anew.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("root may");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Sends one message as Postfix does; in the middle and before its end it waits for the others.
async fn send(address: String, message: Arc<Large>, together: Arc<Barrier>) {
    let connection =
        TestConnection::configure().exact_leading_space(true).read_timeout(PATIENCE).write_timeout(PATIENCE);
    let mut connection = connection.open_tcp(address).await.expect("a connection");
    connection.connect("client.example", [192, 0, 2, 7]).await.expect("connect");
    connection.helo("client.example").await.expect("helo");
    connection.mail(["<a@sender.example>"]).await.expect("mail");
    connection.rcpt(["<user@receiver.example>"]).await.expect("rcpt");
    for (name, value) in &message.fields {
        connection.header(name.as_str(), value.as_str()).await.expect("header");
    }
    connection.macros(MacroStage::Eoh, [("i", "4ABC")]).await.expect("macros");
    assert_eq!(connection.eoh().await.expect("end of header"), Status::Continue);
    let pieces: Vec<&[u8]> = message.body.chunks(PIECE).collect();
    let (half, rest) = pieces.split_at(pieces.len() / 2);
    for part in [half, rest] {
        for piece in part {
            connection.body(piece.to_vec()).await.expect("body");
        }
        together.wait().await;
    }
    let (actions, status) = connection.eom().await.expect("end of message");
    assert_eq!(status, Status::Accept);
    let [EomAction::InsertHeader { value, .. }] = &actions.actions[..] else { panic!("{actions:?}") };
    assert_eq!(value.to_string_lossy().matches("dkim=pass").count(), 2, "{value:?}");
    connection.close().await.expect("close");
}

async fn send_all(address: &str, messages: &[Arc<Large>], count: usize) {
    let together = Arc::new(Barrier::new(count));
    let mut sent = JoinSet::new();
    for number in 0..count {
        let message = messages[number % messages.len()].clone();
        sent.spawn(send(address.to_owned(), message, together.clone()));
    }
    // Whoever fails first ends the test: the others would wait for him forever.
    while let Some(one) = sent.join_next().await {
        one.expect("it was sent and verified");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_messages_of_five_megabytes_take_no_memory_to_speak_of() {
    let zone = Zone::default()
        .line(SOA)
        .txt("_dmarc.sender.example", "v=DMARC1; p=reject")
        .txt("sel._domainkey.sender.example", &RSA_2048.record());
    let nsd = Nsd::start(&[("example", zone.text())]);
    let home = Home::new();
    home.settings(&format!(
        "verify.resolver = \"{}\"\nverify.authserv_id = \"mx.receiver.example\"\n\
         [[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"verify\"\n",
        nsd.address()
    ));
    let waxseal = Waxseal::start(home);
    let address = waxseal.socket().strip_prefix("inet:").expect("an inet listener").to_owned();
    let messages = messages();

    // What the first message brings in stays: code, threads, the cache.
    send_all(&address, &messages, 1).await;
    peak(waxseal.pid());
    let idle = peak(waxseal.pid());
    send_all(&address, &messages, CONCURRENT).await;
    let most = peak(waxseal.pid());
    println!("idle {} KiB, {CONCURRENT} messages {} KiB more", idle >> 10, most.saturating_sub(idle) >> 10);
    assert!(most < idle + MOST, "idle {idle}, at most {most}");
}
