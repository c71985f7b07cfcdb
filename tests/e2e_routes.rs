//! Whose mail is signed, told by what a real Postfix says of its clients: networks, users, From, envelope and marks.

mod common;

use common::{
    delivery, eventually,
    mail::Mail,
    postfix::{Options, Postfix},
    sink::{Delivered, Sink},
    smtp::Envelope,
    waxseal::{Home, Key, Waxseal},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use waxseal::dkim::KeyType;

const LIMIT: Duration = Duration::from_secs(60);
const OUTSIDE: &str = "ADDR=192.0.2.7 NAME=[UNAVAILABLE]";
const USER: &str = "ADDR=192.0.2.7 NAME=[UNAVAILABLE] LOGIN=anna@example.com";

/// One message, who hands it over, and what must become of it.
struct Route {
    name: &'static str,
    /// XCLIENT attributes; `None` for a client on this host.
    client: Option<&'static str>,
    mail_from: &'static str,
    header: &'static str,
    /// d= and the key that signs, or why nothing does.
    expected: Result<&'static str, &'static str>,
}

/// Hands over one message, and gives what arrived and the event that tells of it.
fn through(postfix: &Postfix, sink: &Sink, waxseal: &Waxseal, route: &Route) -> (Arc<Delivered>, Value) {
    let mut client = postfix.client();
    if let Some(attributes) = route.client {
        client.pretend(attributes).expect("XCLIENT");
    }
    let rcpt = format!("{}@sink.example", route.name);
    let utf8 = !route.header.is_ascii() || !route.mail_from.is_ascii();
    let envelope = Envelope { mail_from: route.mail_from, rcpt_to: vec![&rcpt], utf8 };
    let bytes = format!("{}To: {rcpt}\r\nSubject: {}\r\n\r\nbody\r\n", route.header, route.name);
    let reply = client.send(&envelope, bytes.as_bytes()).expect("Postfix answers");
    assert_eq!(reply.code, 250, "{}: {reply:?}\n{}", route.name, postfix.log());
    let arrived = sink.wait_for(1, LIMIT).remove(0);
    sink.take();
    // The log is written by a thread of its own, which mail does not wait for.
    let event = eventually("the event of the message", LIMIT, || {
        waxseal.events().pop().filter(|event| event["rcpt_to"][0] == format!("<{rcpt}>"))
    });
    (arrived, event)
}

fn check(postfix: &Postfix, sink: &Sink, waxseal: &Waxseal, key: &Key, routes: &[Route]) {
    let mut signed_for: BTreeMap<&str, (Vec<Mail>, Vec<Arc<Delivered>>)> = BTreeMap::new();
    for route in routes {
        let (arrived, event) = through(postfix, sink, waxseal, route);
        let signed = arrived.bytes.windows(16).any(|window| window == b"\nDKIM-Signature:");
        match route.expected {
            Ok(domain) => {
                assert!(signed, "{}: not signed: {event}", route.name);
                assert_eq!(event["domain"], domain, "{}", route.name);
                let (messages, delivered) = signed_for.entry(domain).or_default();
                messages.push(Mail { name: route.name.into(), ..Mail::default() });
                delivered.push(arrived);
            }
            Err(why) => {
                assert!(!signed, "{}: signed: {event}", route.name);
                let reason = event["reason"].as_str().unwrap_or_default();
                assert!(reason.contains(why), "{}: {event}", route.name);
            }
        }
    }
    for (domain, (messages, delivered)) in signed_for {
        delivery::all_verify(&messages, &delivered, domain, std::slice::from_ref(key), &[]);
    }
}

#[test]
fn only_our_users_and_networks_have_their_own_domains_signed() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    home.settings(
        "[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"sign\"\n\
         [domains.\"example.com\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\n\
         [domains.\"parent.example\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\nsubdomains = true\n\
         [domains.\"xn--bcher-kva.example\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\n",
    );
    let waxseal = Waxseal::start(home);
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
    let route = |name, client, mail_from, header, expected| Route { name, client, mail_from, header, expected };
    let routes = [
        route("network", None, "a@example.com", "From: a@example.com\r\n", Ok("example.com")),
        route("user", Some(USER), "anna@example.com", "From: anna@example.com\r\n", Ok("example.com")),
        route("null-sender", None, "", "From: MAILER-DAEMON@example.com\r\n", Ok("example.com")),
        route("below", Some(USER), "a@b.parent.example", "From: a@b.parent.example\r\n", Ok("parent.example")),
        route(
            "unicode",
            Some(USER),
            "почта@bücher.example",
            "From: <почта@bücher.example>\r\n",
            Ok("xn--bcher-kva.example"),
        ),
        route(
            "spoof",
            Some(OUTSIDE),
            "a@example.com",
            "From: a@example.com\r\n",
            Err("neither authenticated nor in trusted"),
        ),
        route("foreign", Some(USER), "a@example.net", "From: a@example.net\r\n", Err("no key is configured")),
        route("not-below", Some(USER), "a@b.example.com", "From: a@b.example.com\r\n", Err("no key is configured")),
        route(
            "two-from",
            Some(USER),
            "a@example.com",
            "From: a@example.com\r\nFrom: b@example.com\r\n",
            Err("2 From fields"),
        ),
        route(
            "two-domains",
            Some(USER),
            "a@example.com",
            "From: a@example.com, b@example.net\r\n",
            Err("several domains"),
        ),
    ];
    check(&postfix, &sink, &waxseal, &key, &routes);
}

#[test]
fn the_sender_rules_hold() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    let settings = |rule: &str| {
        format!(
            "signing.sender = \"{rule}\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"sign\"\n\
             [domains.\"example.com\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\nusers = [\"shop\"]\n"
        )
    };
    home.settings(&settings("envelope"));
    let waxseal = Waxseal::start(home);
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
    let from = "From: a@example.com\r\n";
    let route = |name, client, mail_from, expected| Route { name, client, mail_from, header: from, expected };
    let routes = [
        route("fits", None, "b@example.com", Ok("example.com")),
        route("bounce", None, "", Ok("example.com")),
        route("differs", Some(USER), "a@example.net", Err("envelope sender is not within")),
    ];
    check(&postfix, &sink, &waxseal, &key, &routes);

    waxseal.home().settings(&settings("user"));
    waxseal.reload().expect("good settings");
    let shop = "ADDR=192.0.2.7 NAME=[UNAVAILABLE] LOGIN=shop";
    let other = "ADDR=192.0.2.7 NAME=[UNAVAILABLE] LOGIN=eve@example.net";
    let routes = [
        route("anna", Some(USER), "x@example.net", Ok("example.com")),
        route("shop", Some(shop), "x@example.net", Ok("example.com")),
        route("null", None, "", Ok("example.com")),
        route("eve", Some(other), "a@example.com", Err("the user may not use")),
        route("nobody", None, "a@example.com", Err("the user may not use")),
        route("null-eve", Some(other), "", Err("the user may not use")),
    ];
    check(&postfix, &sink, &waxseal, &key, &routes);
}

#[test]
fn what_comes_back_from_a_content_filter_is_signed_by_its_mark() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    home.settings(
        "signing.outbound_mark = \"X-Ours: a-long-secret-of-our-submission-service\"\n\
         signing.inbound_mark = \"X-Outside: yes\"\n\
         [[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"sign\"\nreinjected = true\n\
         [domains.\"example.com\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\n",
    );
    let waxseal = Waxseal::start(home);
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
    let marked = "X-Ours: a-long-secret-of-our-submission-service\r\nFrom: a@example.com\r\n";
    let guessed = "X-Ours: guessed\r\nFrom: a@example.com\r\n";
    let both = "X-Outside: yes\r\nX-Ours: a-long-secret-of-our-submission-service\r\nFrom: a@example.com\r\n";
    let route = |name, header, expected| Route { name, client: None, mail_from: "a@example.com", header, expected };
    let routes = [
        route("ours", marked, Ok("example.com")),
        route("unmarked", "From: a@example.com\r\n", Err("without the mark of our users")),
        route("guessed", guessed, Err("without the mark of our users")),
        route("outside", both, Err("mark of mail from outside")),
    ];
    check(&postfix, &sink, &waxseal, &key, &routes);
    let (arrived, _) = through(&postfix, &sink, &waxseal, &routes[0]);
    let text = String::from_utf8_lossy(&arrived.bytes);
    assert!(!text.contains("secret"), "the mark went out: {text}");
}
