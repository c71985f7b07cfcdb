//! The milter over its own protocol: a real server in this process, and a client that speaks as an MTA does.

use indymilter_test::{Actions, EomAction, EomActions, MacroStage, ProtoOpts, SocketInfo, Status, TestConnection};
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use waxseal::{config::Settings, dkim::KeyType, key, milter::Server};

const FIELDS: [(&str, &str); 4] = [
    ("From", " a@example.com"),
    ("To", " b@example.net,\n\tc@example.net"),
    ("Subject", "no blank after the colon"),
    ("Date", " Mon, 23 Nov 2026 04:00:00 +0000"),
];
const BODY: &[u8] = b"Hello  there \t\r\n\r\n.\r\nthe end\r\n\r\n";

struct Site {
    folder: tempfile::TempDir,
    server: Server,
}

impl Site {
    /// A server for example.com under these settings; its key file is `key.pem` in the folder.
    fn start(lines: &str) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        key::generate(KeyType::Rsa).expect("a key").write(&folder.path().join("key.pem")).expect("written");
        let server = Server::start(settings(folder.path(), lines)).expect("a server");
        Site { folder, server }
    }

    fn address(&self) -> SocketAddr {
        self.addresses().remove(0)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let address =
            |text: &String| text.strip_prefix("inet:").expect("an inet listener").parse().expect("an address");
        self.server.addresses().iter().map(address).collect()
    }

    async fn open(&self) -> TestConnection {
        open(self.address()).await
    }
}

async fn open(address: SocketAddr) -> TestConnection {
    TestConnection::configure().exact_leading_space(true).open_tcp(address).await.expect("a connection")
}

fn settings(folder: &Path, lines: &str) -> Settings {
    let listener = if lines.contains("[[listener]]") { "" } else { "[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n" };
    let text = format!(
        "key_directory = \".\"\n{lines}\n{listener}\n[domains.\"example.com\"]\nselector = \"s\"\nkey = \"key.pem\"\n"
    );
    Settings::parse(&text, &folder.join("waxseal.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

async fn begin(connection: &mut TestConnection) {
    connection.connect("client.example", [127, 0, 0, 1]).await.expect("connect");
    connection.helo("client.example").await.expect("helo");
}

/// One message up to its end, as an MTA sends it; gives the edits and the answer.
async fn send(connection: &mut TestConnection, fields: &[(&str, &str)], body: &[&[u8]]) -> (EomActions, Status) {
    connection.mail(["<a@example.com>"]).await.expect("mail");
    connection.rcpt(["<b@example.net>"]).await.expect("rcpt");
    for (name, value) in fields {
        connection.header(*name, *value).await.expect("header");
    }
    connection.macros(MacroStage::Eoh, [("i", "4ABC")]).await.expect("macros");
    let status = connection.eoh().await.expect("end of header");
    if status != Status::Continue {
        return (EomActions { actions: Vec::new() }, status);
    }
    for piece in body {
        connection.body(piece.to_vec()).await.expect("body");
    }
    connection.eom().await.expect("end of message")
}

/// The tags of the one signature inserted, folds removed.
fn signature(actions: &EomActions) -> String {
    match &actions.actions[..] {
        [EomAction::InsertHeader { index: 1, name, value }] => {
            assert_eq!(name.to_str(), Ok("DKIM-Signature"));
            value.to_str().expect("text").replace("\n\t", "").replace(' ', "")
        }
        other => panic!("{other:?}"),
    }
}

fn tag<'a>(signature: &'a str, name: &str) -> &'a str {
    let tags = signature.split(';').filter_map(|tag| tag.split_once('='));
    tags.filter(|(tag, _)| *tag == name).map(|(_, value)| value).next().expect("the tag")
}

#[tokio::test]
async fn a_message_is_signed_wherever_its_body_is_cut() {
    let site = Site::start("");
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let (actions, status) = send(&mut connection, &FIELDS, &[BODY]).await;
    assert_eq!(status, Status::Accept);
    let whole = signature(&actions);
    assert_eq!((tag(&whole, "d"), tag(&whole, "s"), tag(&whole, "a")), ("example.com", "s", "rsa-sha256"));
    for cut in 1..BODY.len() {
        let (actions, _) = send(&mut connection, &FIELDS, &[&BODY[..cut], &BODY[cut..]]).await;
        assert_eq!(tag(&signature(&actions), "bh"), tag(&whole, "bh"), "cut at {cut}");
    }
    connection.close().await.expect("close");
}

/// An MTA that offers nothing gets the same signature, by the long way.
#[tokio::test]
async fn an_mta_without_options_is_served_too() {
    let site = Site::start("");
    let mut plain = TestConnection::configure()
        .available_opts(ProtoOpts::empty())
        .available_actions(Actions::ADD_HEADER)
        .open_tcp(site.address())
        .await
        .expect("a connection");
    assert_eq!(plain.negotiated_opts(), ProtoOpts::empty());
    begin(&mut plain).await;
    let fields = [("From", "a@example.com"), ("Subject", "x")];
    let (actions, status) = send(&mut plain, &fields, &[BODY]).await;
    assert_eq!(status, Status::Accept);
    assert!(signature(&actions).starts_with("v=1;"), "the MTA adds the blank itself");

    let mut full = site.open().await;
    let wanted =
        ProtoOpts::NOREPLY_HELO | ProtoOpts::NOREPLY_HEADER | ProtoOpts::NOREPLY_BODY | ProtoOpts::LEADING_SPACE;
    assert!(full.negotiated_opts().contains(wanted), "{:?}", full.negotiated_opts());
    begin(&mut full).await;
    let (actions, _) = send(&mut full, &[("From", " a@example.com"), ("Subject", " x")], &[BODY]).await;
    let [EomAction::InsertHeader { value, .. }] = &actions.actions[..] else { panic!("{actions:?}") };
    assert!(value.to_bytes().starts_with(b" v=1"), "the blank is ours to add");
}

#[tokio::test]
async fn nothing_of_one_message_reaches_the_next() {
    let site = Site::start("");
    let mut connection = site.open().await;
    begin(&mut connection).await;
    connection.mail(["<a@example.com>"]).await.expect("mail");
    connection.header("From", " a@other.example").await.expect("header");
    connection.abort().await.expect("abort");
    let (actions, _) = send(&mut connection, &FIELDS, &[BODY]).await;
    let first = signature(&actions);
    assert!(first.contains("h=from:from:"), "{first}");
    let (actions, status) = send(&mut connection, &[("From", " a@other.example")], &[BODY]).await;
    assert_eq!((actions.actions.len(), status), (0, Status::Accept), "not ours: done at the end of its header");
    let (actions, _) = send(&mut connection, &FIELDS, &[BODY]).await;
    assert_eq!(tag(&signature(&actions), "bh"), tag(&first, "bh"));
}

#[tokio::test]
async fn a_bad_key_holds_mail_back_until_it_is_mended() {
    let site = Site::start("");
    let file = site.folder.path().join("key.pem");
    let good = fs::read(&file).expect("the key");
    fs::write(&file, "no key").expect("written");
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let (actions, status) = send(&mut connection, &FIELDS, &[BODY]).await;
    assert_eq!(actions.actions, []);
    let Status::Tempfail { message } = status else { panic!("{status:?}") };
    let message = message.expect("a text");
    assert_eq!(message.to_str(), Ok("451 4.7.0 Message cannot be signed at the moment"));
    fs::write(&file, good).expect("written");
    let (actions, _) = send(&mut connection, &FIELDS, &[BODY]).await;
    signature(&actions);
}

#[tokio::test]
async fn who_only_observes_changes_nothing() {
    let site = Site::start("[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nobserve = true\n");
    fs::write(site.folder.path().join("key.pem"), "no key").expect("written");
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let (actions, status) = send(&mut connection, &FIELDS, &[BODY]).await;
    assert_eq!((actions.actions, status), (Vec::new(), Status::Accept), "not even a bad key holds mail back");
}

#[tokio::test]
async fn the_secret_mark_of_our_users_does_not_leave() {
    let site = Site::start(
        "[signing]\noutbound_mark = \"X-Mark: secret\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nreinjected = true\n",
    );
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let marked = [("X-Mark", " other"), ("X-Mark", " secret"), ("From", " a@example.com"), ("X-Mark", " secret")];
    let (actions, _) = send(&mut connection, &marked, &[BODY]).await;
    let deleted: Vec<i32> = actions
        .actions
        .iter()
        .filter_map(|action| match action {
            EomAction::DeleteHeader { index, .. } => Some(*index),
            _ => None,
        })
        .collect();
    assert_eq!(deleted, [3, 2], "the lowest first, and what is not the mark stays");
    assert!(matches!(actions.actions.last(), Some(EomAction::InsertHeader { .. })));

    // Nor does it leave with mail that is not signed.
    let foreign = [("X-Mark", " secret"), ("From", " a@other.example")];
    let (actions, status) = send(&mut connection, &foreign, &[BODY]).await;
    assert_eq!(status, Status::Accept);
    assert!(matches!(&actions.actions[..], [EomAction::DeleteHeader { index: 1, .. }]), "{actions:?}");
}

#[tokio::test]
async fn packets_out_of_order_end_their_connection_and_no_other() {
    let site = Site::start("");
    let mut good = site.open().await;
    begin(&mut good).await;
    for packet in [
        &b"\0\0\0\x01M"[..],
        b"\0\0\0\x01E",
        b"\0\0\0\x01N",
        b"\0\0\0\x05Bbody",
        b"\0\0\0\x00",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01?",
        b"\0\0\0\x02O\0",
        b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff\0\0\0\x01E",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(site.address()).await.expect("a connection");
        stream.write_all(packet).await.expect("written");
        stream.shutdown().await.expect("no more to say");
        let mut rest = Vec::new();
        // It may be closed with or without an answer to what came first; it must be closed.
        let _ = stream.read_to_end(&mut rest).await;
    }
    let (actions, _) = send(&mut good, &FIELDS, &[BODY]).await;
    signature(&actions);
}

#[tokio::test]
async fn a_thousand_connections_are_open_and_the_next_is_served() {
    let site = Site::start("");
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(site.address()).await.expect("a connection"));
    }
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let (actions, _) = send(&mut connection, &FIELDS, &[BODY]).await;
    signature(&actions);
}

#[tokio::test]
async fn a_reload_is_all_or_nothing() {
    let mut site = Site::start("");
    let mut connection = site.open().await;
    begin(&mut connection).await;
    signature(&send(&mut connection, &FIELDS, &[BODY]).await.0);

    // A key in use that can no longer be read: everything stays as it was.
    let file = site.folder.path().join("key.pem");
    let good = fs::read(&file).expect("the key");
    fs::write(&file, "no key").expect("written");
    let changed = settings(site.folder.path(), "[signing]\ncanonicalization = \"simple/simple\"\n");
    let refused = site.server.reload(changed.clone()).expect_err("a reload with a broken key");
    assert!(refused.contains("key.pem"), "{refused}");
    let (actions, _) = send(&mut connection, &FIELDS, &[BODY]).await;
    assert_eq!(tag(&signature(&actions), "c"), "relaxed/relaxed");

    fs::write(&file, good).expect("written");
    site.server.reload(changed).expect("a good reload");
    let (actions, _) = send(&mut connection, &FIELDS, &[BODY]).await;
    assert_eq!(tag(&signature(&actions), "c"), "simple/simple", "on the connection that was open before");
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_replaces_only_a_dead_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("milter.sock");
    let lines = format!("[[listener]]\nsocket = \"unix:{}\"\nsocket_mode = \"0620\"\n", path.display());
    // A socket that nobody answers on any more.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let site = Site::start(&lines);
    let mode = fs::metadata(&path).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o620);

    let mut connection =
        TestConnection::configure().exact_leading_space(true).open_unix(&path).await.expect("a connection");
    begin(&mut connection).await;
    signature(&send(&mut connection, &FIELDS, &[BODY]).await.0);

    let mut site = site;
    site.server.reload(settings(site.folder.path(), &lines.replace("0620", "0600"))).expect("another mode");
    assert_eq!(fs::metadata(&path).expect("the socket").permissions().mode() & 0o777, 0o600);

    let second = Server::start(settings(site.folder.path(), &lines)).err().expect("the socket is taken");
    assert!(second.to_string().contains("another process answers on it"), "{second}");
    connection.close().await.expect("close");
    site.server.drain().await;
    assert!(!path.exists(), "a socket of ours goes with us");

    fs::write(&path, "no socket").expect("written");
    let third = Server::start(settings(site.folder.path(), &lines)).err().expect("something is in the way");
    assert!(third.to_string().contains("no socket is in the way"), "{third}");
    assert_eq!(fs::read(&path).expect("the file"), b"no socket", "it was not touched");
}

/// What a reload would change outside of the process it changes last, and not at all if anything else fails.
#[tokio::test]
async fn a_reload_that_fails_leaves_sockets_as_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (folder.path().join("one.sock"), folder.path().join("two.sock"));
    let listener = |path: &Path, mode: &str| {
        format!("[[listener]]\nsocket = \"unix:{}\"\nsocket_mode = \"{mode}\"\n", path.display())
    };
    let mut site = Site::start(&(listener(&one, "0600") + &listener(&two, "0600")));
    let holder = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = format!("[[listener]]\nsocket = \"inet:{}\"\n", holder.local_addr().expect("an address"));
    let wanted = listener(&one, "0666") + &listener(&two, "0666") + &port;
    let refused = site.server.reload(settings(site.folder.path(), &wanted)).expect_err("the port is taken");
    assert!(refused.contains("address already in use"), "{refused}");

    // The second one cannot be had, so the first stays as it is.
    fs::remove_file(&two).expect("removed");
    let wanted = listener(&one, "0666") + &listener(&two, "0666");
    let refused = site.server.reload(settings(site.folder.path(), &wanted)).expect_err("there is no such socket");
    assert!(refused.contains("two.sock"), "{refused}");
    assert_eq!(fs::metadata(&one).expect("the socket").permissions().mode() & 0o777, 0o600);
}

/// A socket is left over only if nobody holds it; one that refuses to talk to us is somebody's.
#[tokio::test]
async fn a_socket_of_another_kind_is_not_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.sock");
    let _theirs = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    let lines = format!("[[listener]]\nsocket = \"unix:{}\"\n", path.display());
    let refused = Server::start(settings(folder.path(), &lines)).err().expect("it is somebody's");
    assert!(refused.to_string().contains("who has the socket that is there cannot be told"), "{refused}");
    assert!(path.exists());
}

#[tokio::test]
async fn the_longest_path_that_settings_allow_can_be_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = format!("{}/", folder.path().display());
    let path = format!("{path}{}", "x".repeat(103 - path.len()));
    Site::start(&format!("[[listener]]\nsocket = \"unix:{path}\"\n")).server.drain().await;
}

#[tokio::test]
async fn a_connection_that_stays_silent_is_closed() {
    let site = Site::start("[limits]\nidle = \"1s\"\n");
    let mut silent = TcpStream::connect(site.address()).await.expect("a connection");
    // Nothing is said; the end comes from the other side.
    assert_eq!(silent.read(&mut [0; 16]).await.expect("an orderly end"), 0);
}

/// A resolver that answers nobody, so that what is verified has its results at once.
const NO_DNS: &str =
    "verify.resolver = \"127.0.0.1:9\"\nverify.dns_timeout = \"1s\"\nverify.authserv_id = \"mx.example\"\n";

/// More than `limits.header_bytes = 65536` allows, to the last octet, and then these fields.
fn behind_too_much<'a>(filler: &'a str, last: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let large = std::iter::repeat_n(("X-Filler", filler), 64);
    let small = std::iter::repeat_n(("X", ""), 1000);
    large.chain(small).chain(last.iter().copied()).collect()
}

#[tokio::test]
async fn mail_that_could_be_ours_is_held_if_its_header_is_too_large() {
    let marked =
        "signing.outbound_mark = \"X-Mark: secret\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nreinjected = true\n";
    let filler = "x".repeat(1020);
    for (lines, last) in [
        ("", &[("From", " a@example.com")][..]),
        ("", &[("X-Filler", &filler), ("From", " a@example.com")]),
        ("", &[("Subject", " nobody wrote this")]),
        (marked, &[("X-Mark", " secret"), ("From", " a@example.com")]),
        (marked, &[("From", " a@example.com"), ("X-Mark", " secret")]),
    ] {
        let site = Site::start(&format!("limits.header_bytes = 65536\n{lines}"));
        let mut connection = site.open().await;
        begin(&mut connection).await;
        let (actions, status) = send(&mut connection, &behind_too_much(&filler, last), &[BODY]).await;
        assert_eq!(actions.actions, [], "{last:?}");
        let Status::Tempfail { message } = status else { panic!("{last:?}: {status:?}") };
        assert_eq!(message.expect("a text").to_str(), Ok("451 4.7.0 Message cannot be signed at the moment"));

        // The next message is not taken for a part of it.
        let mark = if lines.is_empty() { None } else { Some(("X-Mark", " secret")) };
        let fields: Vec<_> = FIELDS.into_iter().chain(mark).collect();
        let (actions, _) = send(&mut connection, &fields, &[BODY]).await;
        assert!(matches!(actions.actions.last(), Some(EomAction::InsertHeader { .. })), "{actions:?}");
    }
}

#[tokio::test]
async fn mail_that_is_not_ours_passes_whatever_the_size_of_its_header() {
    let site =
        Site::start(&format!("limits.header_bytes = 65536\n{NO_DNS}signing.outbound_mark = \"X-Mark: secret\"\n"));
    let filler = "x".repeat(1020);
    let mut connection = site.open().await;
    connection.connect("client.example", [192, 0, 2, 7]).await.expect("connect");
    let results =
        [("Authentication-Results", " other.example; none"), ("Authentication-Results", " mx.example; spf=pass")];
    let fields =
        behind_too_much(&filler, &[results[0], results[1], results[0], results[1], ("From", " a@example.com")]);
    let (actions, status) = send(&mut connection, &fields, &[BODY]).await;
    assert_eq!(status, Status::Accept);
    let [
        EomAction::DeleteHeader { index: 4, .. },
        EomAction::DeleteHeader { index: 2, .. },
        EomAction::InsertHeader { value, .. },
    ] = &actions.actions[..]
    else {
        panic!("forged results must go, wherever they stand: {actions:?}")
    };
    let value = value.to_str().expect("text");
    assert!(
        value.contains("dmarc=temperror") && value.contains("header.from=example.com"),
        "its author is known: {value}"
    );
    connection.close().await.expect("close");

    // From our networks, but by somebody whom we do not sign for.
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let fields = behind_too_much(&filler, &[("X-Mark", " other"), ("X-Mark", " secret"), ("From", " a@other.example")]);
    let (actions, status) = send(&mut connection, &fields, &[BODY]).await;
    assert_eq!((actions.actions.len(), status), (0, Status::Accept), "its way to the filter keeps the mark");
}

/// Whoever sends it, mail that is not judged may not bear results in our name, unless they can only be ours.
#[tokio::test]
async fn results_in_our_name_go_from_mail_that_is_not_judged() {
    const RELAY: [u8; 4] = [192, 0, 2, 9];
    const EXEMPT: [u8; 4] = [192, 0, 2, 10];
    const OURS: [u8; 4] = [127, 0, 0, 1];
    let listener = |lines: &str| format!("[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n{lines}");
    let mark = "X-Mark: secret";
    for (lines, client, author, removed) in [
        ("", OURS, "a@other.example", true),
        ("", OURS, "a@example.com", true),
        ("", EXEMPT, "a@other.example", true),
        ("mode = \"verify\"", EXEMPT, "a@example.com", true),
        ("", RELAY, "a@other.example", false),
        ("mode = \"verify\"\nreinjected = true", EXEMPT, "a@other.example", false),
        ("mode = \"sign\"\nreinjected = true", OURS, "a@other.example", false),
        ("mode = \"sign\"\nreinjected = true", OURS, "a@example.com", false),
        ("mode = \"sign\"", EXEMPT, "a@other.example", false),
    ] {
        let site = Site::start(&format!(
            "{NO_DNS}signing.outbound_mark = \"{mark}\"\nverify.trusted_relays = [\"192.0.2.9\"]\n\
             verify.exempt_networks = [\"192.0.2.10\"]\n{}",
            listener(lines)
        ));
        let mut connection = site.open().await;
        connection.connect("client.example", client).await.expect("connect");
        let fields = [
            ("Authentication-Results", " (x) MX.example.; spf=pass"),
            ("Authentication-Results", " other.example; spf=pass"),
            ("authentication-results", "mx.example"),
            ("X-Mark", " secret"),
            ("From", author),
        ];
        let (actions, status) = send(&mut connection, &fields, &[BODY]).await;
        assert_eq!(status, Status::Accept);
        let gone: Vec<i32> = actions
            .actions
            .iter()
            .filter_map(|action| match action {
                EomAction::DeleteHeader { name, index } => {
                    name.to_str().is_ok_and(|name| name == "Authentication-Results").then_some(*index)
                }
                EomAction::InsertHeader { name, .. } => {
                    assert_eq!(name.to_str(), Ok("DKIM-Signature"), "{lines} {client:?}");
                    None
                }
                _ => None,
            })
            .collect();
        assert_eq!(gone, if removed { vec![3, 1] } else { vec![] }, "{lines} {client:?} {author}");
    }
}

#[tokio::test]
async fn a_client_without_an_address_is_not_trusted() {
    for mode in ["auto", "sign"] {
        let site = Site::start(&format!("{NO_DNS}[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"{mode}\"\n"));
        let mut connection = site.open().await;
        connection.connect("unknown", SocketInfo::Unknown).await.expect("connect");
        let (actions, status) = send(&mut connection, &FIELDS, &[BODY]).await;
        assert_eq!(status, Status::Accept, "{mode}");
        match (&actions.actions[..], mode) {
            ([], "sign") => {}
            ([EomAction::InsertHeader { name, value, .. }], "auto") => {
                assert_eq!(name.to_str(), Ok("Authentication-Results"));
                let value = value.to_str().expect("text").replace("\n\t", " ");
                assert!(value.contains("spf=none reason=\"the client has no address\""), "{value}");
            }
            (other, _) => panic!("{mode}: {other:?}"),
        }
        // A program on the host of the MTA, however, is ours.
        let mut connection = site.open().await;
        connection.connect("localhost", "/run/submit").await.expect("connect");
        signature(&send(&mut connection, &FIELDS, &[BODY]).await.0);
    }
}

#[tokio::test]
async fn what_can_never_be_signed_is_refused_for_good() {
    let site = Site::start("");
    let mut connection = site.open().await;
    begin(&mut connection).await;
    let fields: Vec<_> = std::iter::repeat_n(("To", " b@example.net"), 300).chain(FIELDS).collect();
    let (actions, status) = send(&mut connection, &fields, &[BODY]).await;
    assert_eq!(actions.actions, []);
    let Status::Reject { message } = status else { panic!("{status:?}") };
    let message = message.expect("a text").into_string().expect("text");
    assert!(message.starts_with("550 5.6.0 Message cannot be signed: 3"), "{message}");
    assert!(message.ends_with("header fields would have to be signed, and at most 256 can be"), "{message}");
    signature(&send(&mut connection, &FIELDS, &[BODY]).await.0);
}

const TWO_LISTENERS: &str =
    "[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n[[listener]]\nsocket = \"inet:127.0.0.2:0\"\n";

/// With one place in all: who has it is served, at whichever listener; who comes then waits, at whichever listener.
#[tokio::test]
async fn the_limit_of_connections_holds_for_all_listeners_together() {
    let site = Site::start(&format!("limits.connections = 1\n{TWO_LISTENERS}"));
    let addresses = site.addresses();
    for (first, second) in [(0, 1), (1, 0), (0, 0)] {
        let mut served = open(addresses[first]).await;
        let waiting = tokio::spawn(open(addresses[second]));
        begin(&mut served).await;
        for _ in 0..20 {
            signature(&send(&mut served, &FIELDS, &[BODY]).await.0);
        }
        assert!(!waiting.is_finished(), "two are served at once");
        served.close().await.expect("close");
        let mut next = waiting.await.expect("it is served once there is a place");
        begin(&mut next).await;
        signature(&send(&mut next, &FIELDS, &[BODY]).await.0);
        next.close().await.expect("close");
    }
}

#[tokio::test]
async fn a_listener_that_a_reload_takes_away_finishes_what_it_began() {
    let mut site = Site::start(TWO_LISTENERS);
    let leaving = site.addresses()[1];
    let mut connection = open(leaving).await;
    begin(&mut connection).await;
    connection.mail(["<a@example.com>"]).await.expect("mail");
    let kept = "[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n";
    site.server.reload(settings(site.folder.path(), kept)).expect("one listener less");
    assert_eq!(site.addresses().len(), 1);
    connection.abort().await.expect("abort");
    for _ in 0..20 {
        signature(&send(&mut connection, &FIELDS, &[BODY]).await.0);
    }
    connection.close().await.expect("close");
    site.server.drain().await;
    assert!(TcpStream::connect(leaving).await.is_err(), "it takes no new connections");
}
