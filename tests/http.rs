//! Metrics, health and the status page of a milter that works: true numbers, honest health, and nothing that a stranger
//! wrote gets out of its place.

mod common;

use common::{
    eventually,
    forge::{RSA_2048, Signer},
    postgres::Postgres,
    process::{Process, run},
    program,
    status::{Answer, OURS, STRANGER, Watched, ask, mail, signed},
};
use indymilter_test::TestConnection;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use waxseal::{diagnose::register, event::bound};

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

/// The record of ours.example is published, that of other.example is not; mail of both was signed.
#[tokio::test(flavor = "multi_thread")]
async fn the_standing_of_a_domain_is_told() {
    let watched = Watched::start("");
    let before = watched.get("/");
    assert!(before.body.contains("It is looked at once mail is signed with it."), "{}", before.body);
    for author in ["ann@ours.example", "ann@other.example"] {
        watched.send("4A", OURS, &format!("<{author}>"), mail(author).as_bytes()).await;
    }
    let standing = |series: &str| watched.get("/metrics").body.lines().any(|line| line == series);
    for series in [
        "waxseal_domain_ready{domain=\"ours.example\",selector=\"mail2026\"} 1",
        "waxseal_domain_ready{domain=\"other.example\",selector=\"next\"} 0",
    ] {
        eventually(series, LIMIT, || standing(series).then_some(()));
    }
    let page = eventually("the page tells it too", LIMIT, || {
        let page = watched.get("/").body;
        (page.contains(">ready</span>") && page.contains(">not ready</span>")).then_some(page)
    });
    let (_, row) = page.split_once("other.example").expect("its row");
    let row = row.split("</tr>").next().expect("a row");
    for words in
        ["href=\"/causes/dkim-record-not-found\"", "<details open>", "next._domainkey.other.example", "v=DKIM1"]
    {
        assert!(row.contains(words), "{words}: {row}");
    }
    assert!(page.find("other.example") < page.find("ours.example"), "what needs something comes first");
    judged_by_promtool(&watched.get("/metrics").body);
    // A change of a record is no message.
    assert_eq!(watched.metric("waxseal_messages_total{action=\"other\",result=\"other\"}"), 0.0);
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

/// What a stranger may write where SMTP and the milter protocol let it.
const HURTS: &str = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>\u{202e}\u{1b}[2J\u{7}\u{feff}";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_mail_stays_text() {
    let watched = Watched::start("");
    let long = "w".repeat(3000);
    let hostile = [
        format!("From: eve@split.example\r\nTo: bob@ours.example\r\nSubject: {HURTS}\r\n").into_bytes(),
        format!("Date: Mon, 23 Nov 2026 04:00:00 +0000\r\nMessage-ID: <{HURTS}{long}@split.example>\r\n\r\n")
            .into_bytes(),
        b"\xff\xfe\r\n".to_vec(),
    ]
    .concat();
    let signed = Signer::new(&RSA_2048, "split.example").set("i", format!("{HURTS}@split.example")).sign(&hostile);
    watched.send("<i>4A</i>\u{202e}", STRANGER, &format!("<{HURTS}{long}@split.example>"), &signed).await;
    let eight_bit =
        [b"From: eve@split.example\r\nMessage-ID: <\xff\xc3\x28\x80>\r\n".as_slice(), b"\r\nx\r\n"].concat();
    watched
        .send("4B", STRANGER, "<\u{9b}31m@split.example>", &Signer::new(&RSA_2048, "split.example").sign(&eight_bit))
        .await;
    // A name that DNS could hold and no page should show as it is.
    let odd =
        Signer::new(&RSA_2048, "xn--<b>.split.example").set("s", "<b>\"'").sign(mail("eve@split.example").as_bytes());
    watched.send("4C", STRANGER, "<eve@split.example>", &odd).await;

    let page = eventually("the messages are on the page", LIMIT, || {
        let page = watched.get("/");
        assert_eq!(page.status, 200);
        ["4A", "4B", "4C"].iter().all(|id| page.body.contains(id)).then_some(page)
    });
    for path in ["/", "/metrics", "/healthz", "/?period=<script>alert(1)</script>", "/causes/<script>alert(1)</script>"]
    {
        let body = if path == "/" { page.body.clone() } else { watched.get(&path.replace(' ', "")).body };
        for hurt in ["<script", "<img src=x", "<i>4A", "<b>", "onerror=alert(1)>"] {
            assert!(!body.contains(hurt), "{path}: {hurt}\n{body}");
        }
        let hidden = body.chars().find(|c| bound::is_unsafe(*c) && *c != '\n');
        assert_eq!(hidden, None, "{path}: a character that a reader does not see");
    }
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown as what it is");
    assert!(page.body.contains("\\u{202e}") && page.body.contains("\\u{1b}"), "what hides is shown too");
    assert!(!page.body.contains(&long), "and nobody fills the page");
    let policy = "content-security-policy: default-src 'none'; style-src 'sha256-";
    assert!(page.header.contains(policy) && !page.header.contains("unsafe"), "{}", page.header);
    judged_by_promtool(&watched.get("/metrics").body);
}

/// Whatever befalls the store, the page answers soon, says so, and shows what needs no store.
#[test]
fn the_page_answers_without_a_store() {
    // It accepts connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("postgres://wax@{}/events", silent_address(&silent));
    for (url, words) in [
        ("", "no events are kept (store.url is empty)"),
        ("sqlite:gone/events.db", "gone/events.db"),
        (silent.as_str(), "it has not answered yet"),
    ] {
        let watched = Watched::start(&format!("store.url = \"{url}\""));
        let began = Instant::now();
        let page = watched.get("/");
        assert!(began.elapsed() < Duration::from_secs(15), "{url}: {:?}", began.elapsed());
        assert_eq!(page.status, 200);
        assert!(page.body.contains("No history") && page.body.contains(words), "{url}: {}", page.body);
        assert!(page.body.contains("mail2026._domainkey.ours.example"), "the domains are there: {}", page.body);
        assert_eq!(watched.get("/metrics").status, 200);
        assert_eq!(watched.get("/healthz").status, 200, "mail does not need the store");
    }
    let postgres = Postgres::start();
    let watched = Watched::start(&format!("store.url = \"{}\"", postgres.url()));
    eventually("a server that answers is shown", LIMIT, || watched.get("/").body.contains("Over time").then_some(()));
    drop(postgres);
    eventually("one that has gone is told", LIMIT, || watched.get("/").body.contains("No history").then_some(()));

    let watched = Watched::start("");
    let file = watched.waxseal.home().path("events.db");
    eventually("it is there", LIMIT, || watched.get("/").body.contains("Over time").then_some(()));
    let _ = fs::remove_file(watched.waxseal.home().path("events.db-wal"));
    fs::write(&file, "this is no database".repeat(1000)).expect("written");
    eventually("a damaged one is told", LIMIT, || watched.get("/").body.contains("No history").then_some(()));
}

fn silent_address(listener: &std::net::TcpListener) -> std::net::SocketAddr {
    listener.local_addr().expect("an address")
}

#[test]
fn every_cause_has_its_page() {
    let watched = Watched::start("");
    let list = watched.get("/causes");
    for cause in register::all() {
        assert!(list.body.contains(&format!("href=\"/causes/{}\"", cause.code)), "{} is not listed", cause.code);
        let page = watched.get(&format!("/causes/{}", cause.code));
        assert_eq!(page.status, 200);
        for heading in ["Why it fails", "How it comes about", "What to do", "Not this"] {
            assert!(page.body.contains(&format!("<h2>{heading}</h2>")), "{}: {heading}", cause.code);
        }
    }
    assert_eq!(watched.get("/causes/no-such-cause").status, 404);
}

/// Runs promtool, which must be content; gives what it said.
#[track_caller]
fn promtool(arguments: &[&str], file: &Path) -> String {
    run(Command::new(program("/usr/bin/promtool")).args(arguments).arg(file))
}

#[test]
fn the_alert_rules_fire_when_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prometheus");
    let rules = fs::read_to_string(folder.join("waxseal.rules.yml")).expect("the rules");
    let tests = fs::read_to_string(folder.join("waxseal.rules.test.yml")).expect("their tests");
    promtool(&["check", "rules"], &folder.join("waxseal.rules.yml"));
    let said = promtool(&["test", "rules"], &folder.join("waxseal.rules.test.yml"));
    assert!(said.contains("SUCCESS"), "{said}");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8);
    for alert in alerts {
        let fires = tests.split("exp_alerts:").any(|part| part.trim_end().ends_with(&format!("alertname: {alert}")));
        assert!(fires, "no test in which {alert} fires");
    }
    names_are_ours(&rules);
}

/// Every panel asks for what there is, in words that Prometheus reads.
#[test]
fn the_dashboard_asks_for_what_there_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/grafana/waxseal.json");
    let text = fs::read_to_string(file).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    names_are_ours(&text);
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for panel in dashboard["panels"].as_array().expect("panels") {
        for field in ["title", "description"] {
            assert!(panel[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {panel}");
        }
        for target in panel["targets"].as_array().expect("questions") {
            let question = target["expr"].as_str().expect("a question");
            let question =
                question.replace("$__rate_interval", "5m").replace("$__range", "1d").replace("$instance", ".*");
            assert!(!question.contains('$'), "{question}");
            rules += &format!("      - record: dashboard:question\n        expr: {}\n", Value::from(question));
        }
    }
    let folder = common::open_folder();
    let file = folder.path().join("rules.yml");
    fs::write(&file, rules).expect("written");
    promtool(&["check", "rules"], &file);
}

/// Every metric that a text names is one of ours.
#[track_caller]
fn names_are_ours(text: &str) {
    let words =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| word.starts_with("waxseal_"));
    for word in words {
        let name = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        assert!(NAMES.contains(&name), "{word}");
    }
}
