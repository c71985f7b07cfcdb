//! Metrics, health and the status page of a milter that works: true numbers, honest health, and nothing that a stranger
//! wrote gets out of its place.

mod common;

use common::{
    eventually,
    process::Process,
    program,
    status::{Answer, OURS, STRANGER, Watched, ask, mail, signed},
};
use indymilter_test::TestConnection;
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);

/// The names of CONTRACT.md, all of them and no others.
const NAMES: [&str; 8] = [
    "waxseal_connections",
    "waxseal_dns_seconds",
    "waxseal_domain_ready",
    "waxseal_events_dropped_total",
    "waxseal_failures_total",
    "waxseal_messages_total",
    "waxseal_sign_seconds",
    "waxseal_verify_seconds",
];

/// What `promtool check metrics` says to a text; it must find nothing.
#[track_caller]
fn judged_by_promtool(text: &str) {
    let mut promtool = Command::new(program("/usr/bin/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let watched = Watched::start("");
    assert_eq!(watched.metric("waxseal_messages_total{action=\"sign\",result=\"pass\"}"), 0.0, "there from the start");
    watched.send("4A", OURS, "<ann@ours.example>", mail("ann@ours.example").as_bytes()).await;
    watched.send("4B", OURS, "<ann@ours.example>", mail("ann@ours.example").as_bytes()).await;
    watched.send("4C", OURS, "<ann@elsewhere.example>", mail("ann@elsewhere.example").as_bytes()).await;
    watched.send("4D", STRANGER, "<eve@sound.example>", &signed("eve@sound.example")).await;
    watched.send("4E", STRANGER, "<eve@split.example>", &signed("eve@split.example")).await;
    for (series, want) in [
        ("waxseal_messages_total{action=\"sign\",result=\"pass\"}", 2.0),
        ("waxseal_messages_total{action=\"pass\",result=\"none\"}", 1.0),
        ("waxseal_messages_total{action=\"verify\",result=\"pass\"}", 1.0),
        ("waxseal_messages_total{action=\"verify\",result=\"permerror\"}", 1.0),
        ("waxseal_messages_total{action=\"other\",result=\"other\"}", 0.0),
        ("waxseal_sign_seconds_count", 2.0),
        ("waxseal_sign_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("waxseal_verify_seconds_count", 2.0),
        ("waxseal_events_dropped_total", 0.0),
    ] {
        assert_eq!(watched.metric(series), want, "{series}");
    }
    assert!(watched.metric("waxseal_sign_seconds_sum") > 0.0);
    assert!(watched.metric("waxseal_dns_seconds_count{outcome=\"records\"}") >= 2.0);
    assert!(watched.metric("waxseal_dns_seconds_count{outcome=\"nxdomain\"}") >= 1.0);
    let failed = "waxseal_failures_total{cause=\"dkim-key-split-across-records\"}";
    eventually("the cause is counted", LIMIT, || (watched.metric(failed) == 1.0).then_some(()));

    let answer = watched.get("/metrics");
    assert!(answer.header.contains("content-type: text/plain; version=0.0.4"), "{}", answer.header);
    judged_by_promtool(&answer.body);
    let names: BTreeSet<&str> =
        answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(names, BTreeSet::from(NAMES));

    let address = watched.waxseal.socket();
    let address = address.strip_prefix("inet:").expect("an address").to_owned();
    let open = TestConnection::open(address).await.expect("it listens");
    eventually("it is counted", LIMIT, || (watched.metric("waxseal_connections") == 1.0).then_some(()));
    open.close().await.expect("closed");
    eventually("it has gone", LIMIT, || (watched.metric("waxseal_connections") == 0.0).then_some(()));
}

#[test]
fn health_says_what_is_not_ready() {
    let watched = Watched::start("limits.connections = 1");
    let health = |status: u16, words: &str| {
        let seen = |answer: Answer| (answer.status == status && answer.body.contains(words)).then_some(answer.body);
        eventually(&format!("{status} {words}"), LIMIT, || seen(watched.get("/healthz")))
    };
    assert_eq!(health(200, "ready"), "ready\nlisteners: ready\nkeys: ready\ndns: ready\n");
    let key = watched.waxseal.home().path("keys/next.pem");
    let good = fs::read(&key).expect("the key");
    fs::write(&key, "no key").expect("written");
    let said = health(503, "keys: ");
    assert!(said.starts_with("not ready\n") && said.contains("next.pem"), "the file is named: {said}");
    fs::write(&key, good).expect("written");
    health(200, "keys: ready");

    let address = watched.waxseal.socket().strip_prefix("inet:").expect("an address").to_owned();
    let only = std::net::TcpStream::connect(address).expect("it listens");
    health(503, "listeners: every connection that limits.connections allows is in use");
    drop(only);
    health(200, "listeners: ready");

    let Watched { waxseal, nsd } = watched;
    let address = {
        let again = Watched { waxseal, nsd };
        let address = again.address();
        let Watched { waxseal, nsd } = again;
        drop(nsd);
        let seen = eventually("503 dns", LIMIT, || {
            let answer = ask(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            (answer.status == 503).then_some(answer.body)
        });
        assert!(seen.contains("listeners: ready\nkeys: ready\ndns: "), "{seen}");
        drop(waxseal);
        address
    };
    assert!(std::net::TcpStream::connect(address).is_err(), "it ends with the milter");
}

#[test]
fn only_who_means_this_host_is_answered() {
    let watched = Watched::start("");
    let address = watched.address();
    let status = |request: &str| ask(address, request).status;
    for (request, want) in [
        ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        ("GET /metrics HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        // A page in a browser whose name server says that its name is here.
        ("GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 421),
        ("GET / HTTP/1.1\r\nHost: rebound.example:80\r\n\r\n", 421),
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
        ("DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("nonsense\r\n\r\n", 400),
    ] {
        assert_eq!(status(request), want, "{request}");
    }
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(1_000_000))), 431);
}

#[test]
fn it_moves_with_the_settings_and_stops_with_them() {
    let watched = Watched::start("");
    let first = watched.address();
    let file = watched.waxseal.home().path("waxseal.toml");
    let text = fs::read_to_string(&file).expect("the settings");
    let with = |line: &str| fs::write(&file, text.replace("http.listen = \"127.0.0.1:0\"", line)).expect("written");
    watched.waxseal.reload().expect("nothing has changed");
    assert_eq!(watched.get("/healthz").status, 200, "and it is served where it was");

    // Somebody else is there: nothing changes at all.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    with(&format!("http.listen = \"{}\"", taken.local_addr().expect("an address")));
    let why = watched.waxseal.reload().expect_err("it cannot be had");
    assert!(why.contains("http.listen: cannot listen on 127.0.0.1:"), "{why}");
    assert_eq!(watched.get("/healthz").status, 200);

    with("http.listen = \"[::1]:0\"");
    watched.waxseal.reload().expect("another address");
    assert!(watched.address().is_ipv6());
    assert_eq!(watched.get("/metrics").status, 200);
    eventually("the first has closed", LIMIT, || std::net::TcpStream::connect(first).is_err().then_some(()));

    let second = watched.address();
    with("");
    watched.waxseal.reload().expect("nowhere");
    eventually("it is off", LIMIT, || std::net::TcpStream::connect(second).is_err().then_some(()));
}

#[test]
fn an_address_that_others_reach_needs_a_second_word() {
    let folder = common::open_folder();
    let file = folder.path().join("waxseal.toml");
    let check = |text: &str| {
        fs::write(&file, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
        command.args(["config", "check", "--config"]).arg(&file);
        let mut process = Process::start(command, folder.path().join("said"));
        (process.wait(LIMIT).code(), process.said())
    };
    let (status, said) = check("[http]\nlisten = \"0.0.0.0:0\"\n");
    assert!(status == Some(2) && said.contains("waxseal.toml:2: http.listen: 0.0.0.0:0 can be reached"), "{said}");
    assert_eq!(check("[http]\nlisten = \"0.0.0.0:0\"\nallow_remote = true\n").0, Some(0));
    assert_eq!(check("[http]\nlisten = \"[::1]:0\"\n").0, Some(0));
}
