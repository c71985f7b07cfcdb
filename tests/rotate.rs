//! A key is rotated without a gap: staged by `waxseal keygen --rotate`, published, switched to by itself or by command,
//! taken back; and what is refused. With the real program, and real name servers (NSD) in a network of the test's own.

mod common;

use common::{
    eventually,
    network::{alone, dns},
    nsd::Nsd,
    waxseal::{Home, Key, Waxseal},
};
use indymilter_test::{EomAction, TestConnection};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    process::{Command, Output},
    time::Duration,
};
use waxseal::dkim::KeyType;

const LIMIT: Duration = Duration::from_secs(90);

/// The name server that is asked as the resolver too, and the one that copies from it.
const NS1: u8 = 21;
const NS2: u8 = 22;

fn zone(serial: u32, records: &str) -> String {
    // Nothing is kept for longer than a second.
    format!(
        "$ORIGIN example.com.\n$TTL 1\n@ SOA ns1 h {serial} 3600 900 604800 1\n@ NS ns1\n@ NS ns2\n\
         ns1 A 127.0.0.{NS1}\nns2 A 127.0.0.{NS2}\n{records}"
    )
}

fn record(selector: &str, text: &str) -> String {
    let strings: Vec<String> =
        text.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    format!("{selector}._domainkey TXT {}\n", strings.join(" "))
}

/// A milter that signs for example.com, and the name servers of the zone.
struct Site {
    servers: [Option<Nsd>; 2],
    serial: u32,
    waxseal: Waxseal,
    old: Key,
    runtime: tokio::runtime::Runtime,
}

/// A key that was staged.
struct Staged {
    selector: String,
    record: String,
}

impl Site {
    fn start(settings: &str) -> Site {
        let home = Home::new();
        let old = home.key(KeyType::Rsa, "mail2025");
        let text = zone(1, &record("mail2025", &old.record));
        let serve = |host| Some(Nsd::start_at(dns(host), &[("example.com", &text)]));
        let servers = [serve(NS1), serve(NS2)];
        home.settings(&format!(
            "watch.enabled = true\nverify.resolver = \"{}\"\nrotation.settle = \"1s\"\n\
             {settings}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n\
             [domains.\"example.com\"]\nselector = \"mail2025\" # ours\nkey = \"keys/mail2025.pem\"\n",
            dns(NS1)
        ));
        let waxseal = Waxseal::start(home);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Site { servers, serial: 1, waxseal, old, runtime }
    }

    /// Publishes these records at one of the two servers.
    fn publish(&mut self, host: u8, records: &str) {
        self.serial += 1;
        let server = &mut self.servers[usize::from(host - NS1)];
        drop(server.take());
        *server = Some(Nsd::start_at(dns(host), &[("example.com", &zone(self.serial, records))]));
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
        command.args(arguments.split_whitespace()).args(["--config", "waxseal.toml"]);
        command.current_dir(self.waxseal.home().path("")).output().expect("the program runs")
    }

    fn rotate(&self, arguments: &str) -> Output {
        self.run(&format!("keygen --rotate example.com --resolver {} {arguments}", dns(NS1)))
    }

    #[track_caller]
    fn stage(&self, arguments: &str) -> Staged {
        let output = self.rotate(&format!("--format json {arguments}"));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let name = told["name"].as_str().expect("a name");
        let selector = name.strip_suffix("._domainkey.example.com").expect("the name of a key").to_owned();
        Staged { selector, record: told["value"].as_str().expect("a value").to_owned() }
    }

    /// A message up to its body.
    fn begin(&self) -> TestConnection {
        let address: SocketAddr =
            self.waxseal.socket().strip_prefix("inet:").expect("inet").parse().expect("an address");
        self.runtime.block_on(async {
            let mut connection = TestConnection::configure().open_tcp(address).await.expect("a connection");
            connection.connect("client.example", [127, 0, 0, 1]).await.expect("connect");
            connection.mail(["<a@example.com>"]).await.expect("mail");
            connection.rcpt(["<b@example.net>"]).await.expect("rcpt");
            connection.header("From", " a@example.com").await.expect("header");
            connection.eoh().await.expect("end of header");
            connection
        })
    }

    /// The selector under which it leaves.
    fn end(&self, mut connection: TestConnection) -> String {
        self.runtime.block_on(async {
            connection.body(b"x\r\n".to_vec()).await.expect("body");
            let (actions, _) = connection.eom().await.expect("end of message");
            let [EomAction::InsertHeader { value, .. }] = &actions.actions[..] else { panic!("{actions:?}") };
            let value = value.to_str().expect("text").replace(['\n', '\t', ' '], "");
            let selector = value.split(';').find_map(|tag| tag.strip_prefix("s=")).expect("s=").to_owned();
            connection.close().await.expect("close");
            selector
        })
    }

    fn signs(&self) -> String {
        self.end(self.begin())
    }

    /// What was said of rotations with this word, in order.
    fn said(&self, result: &str) -> Vec<String> {
        let watched = self.waxseal.log().into_iter().filter(|line| line["action"] == "watch");
        let of = watched.filter(|line| line["result"] == result);
        of.map(|line| line["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[track_caller]
    fn says(&self, result: &str, part: &str) {
        eventually(&format!("{result}: {part}"), LIMIT, || {
            self.said(result).iter().any(|reason| reason.contains(part)).then_some(())
        });
    }

    /// What another program makes of it: the selector that `waxseal sign` takes, and the verdict on it.
    #[track_caller]
    fn signs_elsewhere(&self) -> (String, String) {
        let home = self.waxseal.home();
        fs::write(home.path("message.eml"), "From: a@example.com\r\n\r\nhello\r\n").expect("written");
        fs::write(home.path("signed.eml"), self.run("sign message.eml").stdout).expect("written");
        let mut verify = Command::new(env!("CARGO_BIN_EXE_waxseal"));
        verify.args(["verify", "--json", "--resolver", &dns(NS1).to_string()]).arg(home.path("signed.eml"));
        let report: Value = serde_json::from_slice(&verify.output().expect("it runs").stdout).expect("JSON");
        let text = |name: &str| report["dkim"][0][name].as_str().unwrap_or_default().to_owned();
        (text("selector"), text("result"))
    }
}

#[track_caller]
fn refused(output: &Output, status: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn the_switch_comes_by_itself_when_every_server_has_the_record_and_the_old_one_is_kept() {
    alone("the_switch_comes_by_itself_when_every_server_has_the_record_and_the_old_one_is_kept", || {
        let mut site = Site::start("rotation.keep = \"3s\"");
        let settings = fs::read(site.waxseal.home().path("waxseal.toml")).expect("the settings");
        assert_eq!(site.signs(), "mail2025");
        let next = site.stage("");
        assert!(next.selector.starts_with("mail20") && next.selector != "mail2025", "{}", next.selector);
        site.says("staged", "does not exist");
        assert_eq!(site.signs(), "mail2025");

        let both = record("mail2025", &site.old.record) + &record(&next.selector, &next.record);
        site.publish(NS1, &both);
        site.says("staged", "ns2.example.com");
        assert_eq!((site.signs(), site.said("switched").len()), ("mail2025".to_owned(), 0));
        refused(&site.rotate("--switch"), 1, &["not switched", "ns2.example.com"]);

        let under_way = site.begin();
        site.publish(NS2, &both);
        site.says("switched", &next.selector);
        assert_eq!(site.end(under_way), "mail2025", "a message ends as it began");
        assert_eq!(site.signs(), next.selector);
        assert_eq!(site.signs_elsewhere(), (next.selector.clone(), "pass".to_owned()));
        assert_eq!(fs::read(site.waxseal.home().path("waxseal.toml")).expect("the settings"), settings);

        // The old record stays for its time, and then somebody is told.
        site.says("removable", "remove the record at mail2025._domainkey.example.com");
        let checked = site.run(&format!("check example.com --resolver {}", dns(NS1)));
        let text = String::from_utf8_lossy(&checked.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains(&format!("example.com, selector {}:", next.selector)) && text.contains("2. ok"),
            "{text}"
        );
        assert!(text.contains("remove the record at mail2025._domainkey.example.com"), "{text}");

        // All of it outlasts a restart, and is said once.
        assert!(site.waxseal.stop().success());
        site.waxseal.restart();
        assert_eq!(site.signs(), next.selector);
        assert_eq!((site.said("switched").len(), site.said("removable").len()), (1, 1));

        // A record that is gone is told, and no reason to go back.
        site.publish(NS1, &record("mail2025", &site.old.record));
        eventually("a reload sees the deletion", LIMIT, || {
            site.waxseal.reload().expect("the same settings");
            (!site.said("not-ready").is_empty() || site.signs() != next.selector).then_some(())
        });
        assert_eq!(site.signs(), next.selector);

        // The settings name it, and the old record goes: there is nothing left to remember.
        let text = String::from_utf8(settings).expect("text").replace("mail2025", &next.selector);
        let text = text.replace(&format!("key = \"keys/{}.pem\"\n", next.selector), "");
        fs::write(site.waxseal.home().path("waxseal.toml"), text).expect("written");
        site.publish(NS1, &record(&next.selector, &next.record));
        site.waxseal.reload().expect("good settings");
        assert_eq!(site.signs(), next.selector);
        let rotations = site.waxseal.home().path("rotations");
        let file = rotations.join("example.com.mail2025.json");
        eventually("it is known that the settings count", LIMIT, || {
            fs::read_to_string(&file).expect("a rotation").contains("\"settled\": true").then_some(())
        });
        assert!(site.waxseal.stop().success());
        site.waxseal.restart();
        eventually("the rotation is over", LIMIT, || (!file.exists()).then_some(()));
        assert_eq!(site.signs(), next.selector);
    });
}

#[test]
fn a_switch_by_command_a_key_that_is_missing_and_the_way_back() {
    alone("a_switch_by_command_a_key_that_is_missing_and_the_way_back", || {
        let mut site = Site::start("");
        refused(&site.rotate("--abort"), 2, &["no rotation of it is under way"]);
        let next = site.stage("--hold");
        let old = record("mail2025", &site.old.record);
        let both = old.clone() + &record(&next.selector, &next.record);
        for host in [NS1, NS2] {
            site.publish(host, &both);
        }
        site.says("staged", "--switch");
        assert_eq!(site.signs(), "mail2025", "it waits for the command");

        let key = site.waxseal.home().path(&format!("keys/example.com.{}.pem", next.selector));
        let away = site.waxseal.home().path("away.pem");
        fs::rename(&key, &away).expect("moved");
        refused(&site.rotate("--switch"), 1, &["no such file"]);
        fs::rename(&away, &key).expect("moved back");
        let output = site.rotate("--switch");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("leave the record at mail2025._domainkey.example.com until 2"), "{told}");
        eventually("the milter follows", LIMIT, || (site.signs() == next.selector).then_some(()));

        // The next one of the next, staged with the key that the settings do not know.
        let third = site.stage("--selector third");
        refused(&site.rotate("--selector fourth"), 2, &["rotates from", "to third"]);
        let output = site.rotate("--abort");
        assert!(String::from_utf8_lossy(&output.stdout).contains("given up"), "{output:?}");
        refused(&site.rotate("--selector third"), 2, &["exists"]);
        let again = site.rotate("--selector third --existing --format single");
        assert_eq!(String::from_utf8_lossy(&again.stdout).trim_end(), third.record, "{again:?}");
        assert!(site.rotate("--abort").status.success());

        // Back to the old key: only while receivers find its record.
        site.publish(NS2, &record(&next.selector, &next.record));
        refused(&site.rotate("--abort"), 1, &["not gone back", "ns2.example.com"]);
        assert_eq!(site.signs(), next.selector);
        site.publish(NS2, &both);
        eventually("it goes back", LIMIT, || site.rotate("--abort").status.success().then_some(()));
        eventually("the milter follows", LIMIT, || (site.signs() == "mail2025").then_some(()));
        assert_eq!(site.signs_elsewhere(), ("mail2025".to_owned(), "pass".to_owned()));
    });
}

/// A folder with settings and keys, without a milter and without a network.
fn folder(domains: &str) -> Home {
    let home = Home::new();
    home.settings(domains);
    fs::write(home.path("zone"), "example.com. 60 IN SOA ns h 1 2 3 4 5\n").expect("written");
    home
}

fn run(home: &Home, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
    command.args(arguments.split_whitespace()).args(["--config", "waxseal.toml"]).current_dir(home.path(""));
    command.output().expect("the program runs")
}

#[test]
fn what_cannot_be_rotated_is_refused_and_leaves_nothing_behind() {
    let home = folder(
        "[domains.\"example.com\"]\nselector = \"s1\"\nkey = \"keys/s1.pem\"\nsubdomains = true\n\
         [domains.\"example.org\"]\nenvironment = \"private\"\nregion = \"kr\"\n",
    );
    home.key(KeyType::Rsa, "s1");
    let files = |folder: &str| fs::read_dir(home.path(folder)).map_or(0, Iterator::count);
    let before = (files("."), files("keys"));
    for (arguments, parts) in [
        ("example.net", &["there is no [domains.\"example.net\"]"][..]),
        ("a.example.com", &["the key of example.com signs for a.example.com", "--rotate example.com"]),
        ("example.com --ed25519", &["has no ed25519 key"]),
        ("example.com --selector s1", &["signs under it"]),
        ("example.com --selector ncpcompubkr", &["a selector of ncloud", "docs/operations.md"]),
        ("example.com --selector s2 --existing", &["no such file"]),
        ("example.com --switch", &["nothing is staged for example.com"]),
        ("example.com --abort", &["no rotation of it is under way"]),
        ("example.com --out .", &["--out"]),
        ("example.com --domain example.com", &["--domain"]),
        ("example.org", &["signs under ncpcompubkr", "ncloud prescribes", "A new key"]),
    ] {
        let zone = if arguments.contains("--switch") || arguments.contains("--abort") { "" } else { " --dns zone" };
        refused(&run(&home, &format!("keygen --rotate {arguments}{zone}")), 2, parts);
        assert!(!arguments.contains("s2") || files("rotations") == 0);
        assert_eq!(files("keys"), before.1, "{arguments}");
    }

    // The way that is left open where a provider prescribes the selector.
    let output = run(&home, "keygen --rotate example.org --selector own --dns zone --format single");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn how_far_it_is_stands_where_settings_are_judged_and_shown() {
    let home = folder(
        "[domains.\"example.com\"]\nselector = \"mail\"\nkey = \"keys/mail.pem\"\n\
         ed25519 = { selector = \"ed\", key = \"keys/ed.pem\" }\n",
    );
    home.key(KeyType::Rsa, "mail");
    home.key(KeyType::Ed25519, "ed");
    let output = run(&home, "keygen --rotate example.com --ed25519 --selector ed2 --dns zone");
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("ed2._domainkey.example.com. 3600 IN TXT \"v=DKIM1;k=ed25519")
    );
    let checked = run(&home, "config check");
    assert!(checked.status.success(), "{checked:?}");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("note: example.com rotates from ed to ed2: staged 2"), "{said}");
    assert!(said.contains("cannot switch to ed2 by itself: watch.enabled = false"), "{said}");
    let shown: Value = serde_json::from_slice(&run(&home, "config show --json").stdout).expect("JSON");
    let rotation = &shown["rotations"][0];
    assert_eq!(
        (&rotation["from"], &rotation["to"], &rotation["switched"]),
        (&"ed".into(), &"ed2".into(), &false.into())
    );

    fs::remove_file(home.path("keys/example.com.ed2.pem")).expect("removed");
    let said = String::from_utf8_lossy(&run(&home, "config check").stderr).into_owned();
    assert!(said.contains("cannot switch to ed2 by itself") && said.contains("no such file"), "{said}");

    // Nobody guesses which key signs.
    fs::write(home.path("rotations/example.com.ed.json"), "{}").expect("written");
    refused(&run(&home, "config check"), 2, &["rotations/example.com.ed.json", "is not the rotation of a key"]);
}
