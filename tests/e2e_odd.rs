//! Odd mail and odd clients through a real Postfix: nothing of ours leaves unsigned, nothing else is lost, and the log
//! says what was done.

mod common;

use common::{
    eventually,
    forge::Zone,
    nsd::Nsd,
    postfix::{Options, Postfix},
    receiver::{fields, results},
    sink::{Delivered, Sink},
    smtp::{Client, Envelope, Reply},
    waxseal::{Home, Key, Waxseal},
};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};
use waxseal::dkim::KeyType;

const LIMIT: Duration = Duration::from_secs(60);
const ID: &str = "mx.example.com";
const OUTSIDE: &str = "ADDR=192.0.2.7 NAME=[UNAVAILABLE]";
const SOA: &str = "$ORIGIN example.com.\n@ 300 IN SOA ns.example.com. h.example.com. 1 3600 900 604800 60\n\
                   @ 300 IN NS ns.example.com.";

/// A Postfix whose milter signs for example.com and verifies what comes from outside; example.com authorises nobody.
struct Site {
    waxseal: Waxseal,
    sink: Sink,
    postfix: Postfix,
    nsd: Nsd,
}

impl Site {
    fn start(further: &str) -> Site {
        let zone =
            Zone::default().line(SOA).txt("example.com", "v=spf1 -all").txt("_dmarc.example.com", "v=DMARC1; p=none");
        let nsd = Nsd::start(&[("example.com", zone.text())]);
        let home = Home::new();
        let key = home.key(KeyType::Rsa, "first");
        home.settings(&settings(&nsd, &[("example.com", &key)], further));
        let waxseal = Waxseal::start(home);
        let sink = Sink::start();
        let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
        Site { waxseal, sink, postfix, nsd }
    }

    /// Offers a message, and gives the answer and the event that tells of it.
    fn offer(&self, client: &mut Client, message: &str) -> (Reply, Value) {
        let before = self.waxseal.events().len();
        let envelope = Envelope { mail_from: "a@example.com", rcpt_to: vec!["b@sink.example"], utf8: false };
        let reply = client.send(&envelope, message.as_bytes()).expect("Postfix answers");
        let event = eventually("the event of the message", LIMIT, || self.waxseal.events().into_iter().nth(before));
        (reply, event)
    }

    /// As [`Site::offer`], of a message that must be taken; gives what arrives of it.
    fn through(&self, client: &mut Client, message: &str) -> (Arc<Delivered>, Value) {
        let (reply, event) = self.offer(client, message);
        assert_eq!(reply.code, 250, "{reply:?}\n{}", self.postfix.log());
        let arrived = self.sink.wait_for(1, LIMIT).remove(0);
        self.sink.take();
        (arrived, event)
    }

    fn client(&self, attributes: Option<&str>) -> Client {
        let mut client = self.postfix.client();
        if let Some(attributes) = attributes {
            client.pretend(attributes).expect("XCLIENT");
        }
        client
    }
}

/// How often it has said something that begins so, beside its events.
fn said(waxseal: &Waxseal, start: &str) -> usize {
    let said = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(start));
    waxseal.log().iter().filter(|line| said(line)).count()
}

fn settings(nsd: &Nsd, domains: &[(&str, &Key)], further: &str) -> String {
    let mut text = format!(
        "verify.authserv_id = \"{ID}\"\nverify.resolver = \"{}\"\n{further}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n",
        nsd.address()
    );
    for (name, key) in domains {
        text += &format!("[domains.\"{name}\"]\nselector = \"{}\"\nkey = \"keys/{}\"\n", key.selector, key.file);
    }
    text
}

fn signatures(message: &[u8]) -> usize {
    fields(message).iter().filter(|(name, _)| name == "DKIM-Signature").count()
}

/// A header just below 64 KiB.
fn much() -> String {
    format!("X-Filler: {}\r\n", "x".repeat(984)).repeat(65)
}

#[test]
fn a_header_that_is_too_large_never_lets_our_mail_go_unsigned() {
    let site = Site::start("limits.header_bytes = 65536");
    let mut client = site.client(None);
    for header in
        [much() + &much() + "From: a@example.com\r\n", "From: a@example.com\r\n".to_owned() + &much() + &much()]
    {
        let (reply, event) = site.offer(&mut client, &(header + "\r\nbody\r\n"));
        assert_eq!((reply.code, &*reply.text), (451, "4.7.0 Message cannot be signed at the moment"));
        assert_eq!((&event["action"], &event["result"]), (&"sign".into(), &"temperror".into()), "{event}");
        let reason = event["reason"].as_str().unwrap_or_default();
        assert_eq!(reason, "its header is larger than limits.header_bytes = 65536");
    }
    let (arrived, _) = site.through(&mut client, "From: a@example.com\r\n\r\nbody\r\n");
    assert_eq!(signatures(&arrived.bytes), 1);

    // From outside it passes, its author is known, and results forged in our name go wherever they stand.
    let forged = format!("Authentication-Results: other.example; none\r\nAuthentication-Results: {ID}; dkim=pass\r\n");
    let header = much() + &much() + &forged + "From: a@example.com\r\n";
    let (arrived, event) = site.through(&mut site.client(Some(OUTSIDE)), &(header + "\r\nbody\r\n"));
    let results = results(&arrived.bytes);
    assert_eq!(results.len(), 2, "{results:?}");
    assert!(results[0].contains(ID) && results[0].contains("dmarc=fail") && !results[0].contains("dkim=pass"));
    assert_eq!(results[1], " other.example; none");
    assert_eq!((&event["action"], &event["dmarc"]), (&"verify".into(), &"fail".into()), "{event}");
}

#[test]
fn a_client_whose_address_nobody_knows_is_a_stranger_and_its_mail_flows() {
    let site = Site::start("verify.received_spf = true");
    for attributes in ["ADDR=[UNAVAILABLE]", "ADDR=[UNAVAILABLE] NAME=mail.example.com"] {
        let mut client = site.client(Some(attributes));
        let (arrived, event) = site.through(&mut client, "From: a@example.com\r\n\r\nbody\r\n");
        assert_eq!(signatures(&arrived.bytes), 0, "a stranger has no mail signed");
        let results = results(&arrived.bytes).join("\n").replace("\r\n\t", " ");
        assert!(results.contains("spf=none reason=\"the client has no address\""), "{results}");
        assert!(results.contains("dmarc=fail"), "{results}");
        assert_eq!((&event["action"], &event["spf"]), (&"verify".into(), &"none".into()), "{event}");
        assert_eq!(event["client_ip"], Value::Null);
    }
    // Who logs in there is one of ours all the same.
    let mut client = site.client(Some("ADDR=[UNAVAILABLE] LOGIN=anna"));
    let (arrived, _) = site.through(&mut client, "From: a@example.com\r\n\r\nbody\r\n");
    assert_eq!(signatures(&arrived.bytes), 1);
    let log = site.postfix.log();
    assert!(!log.contains("warning: milter"), "{log}");
}

#[test]
fn what_can_never_be_signed_goes_back_to_who_wrote_it() {
    let site = Site::start("");
    let header = "To: b@sink.example\r\n".repeat(300) + "From: a@example.com\r\n";
    let (reply, event) = site.offer(&mut site.client(None), &(header + "\r\nbody\r\n"));
    assert_eq!(reply.code, 550, "{reply:?}");
    assert!(reply.text.starts_with("5.6.0 Message cannot be signed: 3"), "{reply:?}");
    assert_eq!((&event["action"], &event["result"]), (&"sign".into(), &"permerror".into()), "{event}");
    assert!(event["reason"].as_str().unwrap_or_default().contains("at most 256"), "{event}");
    assert!(site.sink.messages().is_empty());
}

/// What a connection gets that sends this and then waits for the other side to close it.
fn say(waxseal: &Waxseal, packet: &[u8]) {
    let address = waxseal.socket();
    let mut stream = TcpStream::connect(address.strip_prefix("inet:").expect("an inet listener")).expect("it listens");
    stream.write_all(packet).expect("written");
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_session_that_breaks_off_is_in_the_log() {
    let site = Site::start("");
    say(&site.waxseal, b"\0\0\0\x01?");
    let broken = "a connection was ended before the MTA had ended it, 0 s after the last packet, of kind '?'";
    eventually("the log tells of it", LIMIT, || (said(&site.waxseal, broken) == 1).then_some(()));
    // Who ends a connection in order, or opens one to see whether somebody listens, is not worth a line.
    let address = site.waxseal.socket();
    drop(TcpStream::connect(address.strip_prefix("inet:").expect("an inet listener")).expect("it listens"));
    site.through(&mut site.client(None), "From: a@example.com\r\n\r\nbody\r\n");
    assert_eq!(said(&site.waxseal, "a connection"), 1);

    let home = Home::new();
    home.settings("limits.idle = \"1s\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n");
    let waxseal = Waxseal::start(home);
    say(&waxseal, b"");
    let silent = "a connection was ended on which no packet of the milter protocol came in ";
    eventually("the log tells of it", LIMIT, || (said(&waxseal, silent) == 1).then_some(()));
}

/// Each domain is checked when it first signs, and again once its key is another, whoever read the key before.
#[test]
fn every_new_key_and_every_new_domain_is_self_checked_once() {
    let mut site = Site::start("log.level = \"debug\"");
    let shared = site.waxseal.home().key(KeyType::Rsa, "second");
    let domains = [("example.com", &shared), ("example.net", &shared)];
    site.waxseal.home().settings(&settings(&site.nsd, &domains, ""));
    site.waxseal.reload().expect("good settings");
    let good = "self-check: an independent verifier accepts our signature for ";
    let mut client = site.client(None);
    let mut sign = |domain: &str| {
        let (arrived, _) = site.through(&mut client, &format!("From: a@{domain}\r\n\r\nbody\r\n"));
        assert_eq!(signatures(&arrived.bytes), 1, "{domain}");
    };
    let checks = |domain: &str, count: usize| {
        eventually("it is checked", LIMIT, || (said(&site.waxseal, &format!("{good}{domain}")) >= count).then_some(()));
        assert_eq!(said(&site.waxseal, &format!("{good}{domain}")), count, "{domain}");
    };
    sign("example.com");
    checks("example.com", 1);
    sign("example.net");
    checks("example.net", 1);

    // Another key under the same name is read at the reload; the same key, read again, is not new.
    let file = site.waxseal.home().path("keys").join(&shared.file);
    for (replaced, count) in [(false, 1), (true, 2)] {
        if replaced {
            std::fs::remove_file(&file).expect("our own file");
            site.waxseal.home().key(KeyType::Rsa, "second");
        }
        site.waxseal.reload().expect("good settings");
        for domain in ["example.com", "example.net", "example.com"] {
            sign(domain);
        }
        checks("example.com", count);
        checks("example.net", count);
    }
    drop(client);
    assert!(site.waxseal.stop().success());
}
