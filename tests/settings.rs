//! The settings as an operator writes them: what is right means what it says, and every mistake is named with its line.

use std::{fs, path::Path, time::Duration};
use waxseal::{
    config::{Diagnostics, Mode, SenderRule, Settings, Signed, Socket},
    dkim::{Canon, KeyType},
    name::DomainName,
};

const FILE: &str = "/etc/waxseal/waxseal.toml";

fn read(text: &str) -> Result<Settings, Vec<String>> {
    Settings::parse(text, Path::new(FILE)).map_err(|mistakes| mistakes.to_string().lines().map(str::to_owned).collect())
}

fn name(text: &str) -> DomainName {
    DomainName::new(text).expect("a name")
}

fn sample() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/waxseal.toml")).expect("the sample settings")
}

/// The sample with every default active: prose starts with "# ", a setting with "#" and something else.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '[' | ']')) => rest.to_owned(),
        Some(rest) if rest.starts_with("  \"") => rest.to_owned(),
        _ => line.to_owned(),
    };
    sample().lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The domain examples of the sample, active: they are indented after the "#".
fn examples() -> Vec<String> {
    let text = sample();
    let lines = text.lines().filter_map(|line| line.strip_prefix("#     "));
    lines.filter(|line| !line.starts_with("socket_")).map(str::to_owned).collect()
}

#[test]
fn the_sample_file_states_the_defaults() {
    let mut defaults = Settings { file: Some(FILE.into()), ..Settings::default() };
    assert_eq!(read(&sample()).expect("the sample as it is"), defaults);
    let uncommented = read(&uncommented()).expect("the sample uncommented");
    // Only that it is written makes the listener another one.
    assert!(uncommented.listeners[0].line.is_some());
    defaults.listeners[0].line = uncommented.listeners[0].line;
    assert_eq!(uncommented, defaults);
}

#[test]
fn the_sample_file_states_every_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::write(&path, text).expect("written");
        path
    };
    let (_, settings) = Settings::explain(&write("all.toml", &uncommented())).expect("good settings");
    let defaults: Vec<_> = settings.iter().filter(|setting| setting.line.is_none()).collect();
    assert!(defaults.is_empty(), "not in the sample: {defaults:?}");

    // A domain and a unix socket have further names: each must at least be told of.
    let more = "[[listener]]\nsocket = \"unix:s\"\nsocket_group = \"postfix\"\n\
                [domains.\"a.example\"]\nenvironment = \"private\"\nregion = \"kr\"\nidentity = \"@a.example\"\n\
                expire = \"1d\"\ncanonicalization = \"simple/simple\"\ned25519.selector = \"e\"\n\
                [domains.\"b.example\"]\nselector = \"s\"\n";
    let (_, settings) = Settings::explain(&write("more.toml", more)).expect("good settings");
    let sample = sample();
    for setting in settings {
        let name = setting.name.rsplit('.').next().expect("a name");
        assert!(sample.contains(&format!("{name} = ")), "{} is not in the sample", setting.name);
    }
}

#[test]
fn the_domain_examples_of_the_sample_are_right() {
    let without = |names: &[&str]| {
        let lines = examples().into_iter().filter(|line| !names.iter().any(|name| line.starts_with(name)));
        lines.collect::<Vec<_>>().join("\n")
    };
    for (text, want) in
        [(without(&["selector"]), "ncpcompubkr"), (without(&["provider", "environment", "region"]), "mail2026")]
    {
        let settings = read(&text).expect("good examples");
        assert_eq!(settings.domains[&name("example.com")].keys[0].selector, name(want));
    }
}

#[test]
fn everything_that_is_written_is_meant() {
    let text = r#"
key_directory = "/var/lib/waxseal"
trusted_networks = ["10.0.0.0/8"]

[[listener]]
socket = "unix:run/milter"
socket_mode = "0600"
socket_group = "postfix"
mode = "sign"
observe = true

[[listener]]
socket = "inet:[::1]:8892"
mode = "verify"

[[listener]]
socket = "systemd:milter"
reinjected = true

[signing]
canonicalization = "relaxed/simple"
fields = ["Subject", "to"]
expire = "7d"
sender = "user"
inbound_mark = "X-From-Outside: yes"
outbound_mark = "X-Ours: 7f3a"
diagnostics = "copies"

[signed]
path = "seen"
keep = "6h"
max_bytes = 1048576

[log]
format = "json"
level = "debug"

[limits]
connections = 10
idle = "5m"
drain = "1m"
header_bytes = 65536

[domains."Example.COM"]
environment = "Financial"
region = "KR"
subdomains = true
identity = "mail@sub.example.com"
expire = "1d"
canonicalization = "simple/simple"
diagnostics = "both"
users = ["alice"]
ed25519 = { selector = "ed" }

[domains."example.net"]
selector = "own"
key = "elsewhere.pem"
"#;
    let settings = read(text).expect("good settings");
    let [unix, inet, systemd] = &settings.listeners[..] else { panic!("three listeners") };
    let path = "/etc/waxseal/run/milter".into();
    assert_eq!(unix.socket, Socket::Unix { path, mode: 0o600, group: Some("postfix".into()) });
    assert_eq!((unix.mode, unix.observe, unix.reinjected), (Mode::Sign, true, false));
    assert_eq!(inet.socket, Socket::Inet("[::1]:8892".parse().expect("an address")));
    assert_eq!((systemd.socket.clone(), systemd.reinjected), (Socket::Systemd("milter".into()), true));
    assert_eq!(settings.trusted_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8"]);

    let signing = &settings.signing;
    assert_eq!(signing.canonicalization, (Canon::Relaxed, Canon::Simple));
    assert_eq!(signing.fields.iter().map(|f| &**f).collect::<Vec<_>>(), ["from", "subject", "to"]);
    assert_eq!(signing.oversign.iter().map(|f| &**f).collect::<Vec<_>>(), ["from", "to", "subject"]);
    assert_eq!((signing.expire, signing.sender), (Some(Duration::from_secs(604_800)), SenderRule::User));
    assert_eq!(signing.inbound_mark, Some(("X-From-Outside".into(), "yes".into())));
    assert_eq!(signing.outbound_mark, Some(("X-Ours".into(), "7f3a".into())));
    assert!(settings.log.json && settings.log.level == tracing::Level::DEBUG);
    assert_eq!((settings.limits.connections, settings.limits.header_bytes), (10, 65536));
    assert_eq!((settings.limits.idle.as_secs(), settings.limits.drain.as_secs()), (300, 60));

    let domain = &settings.domains[&name("example.com")];
    let [rsa, ed25519] = &domain.keys[..] else { panic!("two keys") };
    assert_eq!((rsa.selector.as_str(), rsa.algorithm, rsa.required_bits), ("ncpcomfin", KeyType::Rsa, Some(2048)));
    assert_eq!(rsa.path, Path::new("/var/lib/waxseal/example.com.ncpcomfin.pem"));
    assert_eq!((ed25519.selector.as_str(), ed25519.algorithm), ("ed", KeyType::Ed25519));
    assert_eq!(ed25519.path, Path::new("/var/lib/waxseal/example.com.ed.pem"));
    let choice = domain.provider.as_ref().expect("a profile");
    assert_eq!((choice.profile.name.as_str(), &*choice.environment, &*choice.region), ("ncloud", "financial", "kr"));
    assert!(domain.subdomains);
    assert_eq!(domain.identity.as_deref(), Some("mail@sub.example.com"));
    assert_eq!(domain.expire, Some(Duration::from_secs(86_400)));
    assert_eq!(domain.canonicalization, Some((Canon::Simple, Canon::Simple)));
    assert_eq!(domain.users, ["alice"]);
    assert_eq!(domain.diagnostics, Some(Diagnostics { copies: true, record: true }));
    assert_eq!(settings.signing.diagnostics, Diagnostics { copies: true, record: false });
    let signed = Signed { path: "/etc/waxseal/seen".into(), keep: Duration::from_secs(6 * 3600), max_bytes: 1 << 20 };
    assert_eq!(settings.signed, signed);
    assert!(settings.records());

    let own = &settings.domains[&name("example.net")];
    assert_eq!((own.keys.len(), own.keys[0].required_bits, own.provider.is_none()), (1, None, true));
    assert_eq!(own.keys[0].path, Path::new("/etc/waxseal/elsewhere.pem"));
}

/// One mistake each: the line that it stands in (0: in another file), and words that its text must have.
#[test]
fn each_mistake_is_named_with_its_line() {
    let log = |lines: &str| format!("[log]\n{lines}");
    let signing = |lines: &str| format!("[signing]\n{lines}");
    let limits = |lines: &str| format!("[limits]\n{lines}");
    let listener = |lines: &str| format!("[[listener]]\n{lines}");
    let domain = |lines: &str| format!("[domains.\"example.com\"]\n{lines}");
    let plain = str::to_owned;
    let long_path = format!("socket = \"unix:/{}\"", "x".repeat(103));
    for (text, line, words) in [
        (signing("expires = \"7d\""), 2, "unknown name \"signing.expires\"; did you mean \"expire\"?"),
        (plain("[signin]"), 1, "unknown name \"signin\"; did you mean \"signing\"?"),
        (plain("zebra = 1"), 1, "unknown name \"zebra\"; known here: key_directory, "),
        (log("level = 3"), 2, "log.level: expected a string, found a number"),
        (log("level = \"inof\""), 2, "\"inof\" means nothing here; did you mean \"info\"?"),
        (plain("log = true"), 1, "log: expected a table, found true or false"),
        (plain("trusted_networks = [\"0.0.0.0/0\"]"), 1, "the whole Internet"),
        (limits("\nconnections = 0"), 3, "limits.connections: 0 would serve nobody"),
        (
            limits("connections = 1048577"),
            2,
            "1048577 is more than a process can have open; a number from 1 to 1048576",
        ),
        (limits("connections = 4611686018427387904"), 2, "a number from 1 to 1048576"),
        (limits("idle = 30"), 2, "limits.idle: expected a string, found a number; write it as \"30s\""),
        (limits("header_bytes = 1000"), 2, "would refuse ordinary mail"),
        (signing("fields = [\"from\", \"Received\"]"), 2, "\"received\" is added or changed on the way"),
        (signing("oversign = [\"list-id\"]"), 2, "every mailing list"),
        (signing("oversign = [\"x-new\"]"), 2, "\"x-new\" is not among signing.fields"),
        (signing("fields = [\"a b\"]"), 2, "\"a b\" is not the name of a header field"),
        (signing("fields = [\"to\", \"To\"]"), 2, "\"to\" stands there twice"),
        (signing("inbound_mark = \"X: 1\"\noutbound_mark = \"x: 2\""), 3, "is the name of inbound_mark too"),
        (
            signing("outbound_mark = \"From: 1\""),
            2,
            "\"From\" is a field that is signed (signing.fields), and the mark is",
        ),
        (
            signing("fields = [\"X-Ours\"]\noutbound_mark = \"x-ours: 2\""),
            3,
            "signing.outbound_mark: \"x-ours\" is a field that is signed (signing.fields)",
        ),
        (signing("outbound_mark = \"list-id: 2\""), 2, "take a name that nothing else has, as \"X-Waxseal-Outbound\""),
        (signing("fields = [\"to\"]\noutbound_mark = \"FROM: 2\""), 3, "would break the signature"),
        (signing("outbound_mark = \"Received: 2\""), 2, "\"Received\" is a field that mail systems write and need"),
        (signing("diagnostics = \"copy\""), 2, "one of none, copies, record, both"),
        ("[signed]\nkeep = \"59m\"".into(), 2, "signed.keep: \"59m\" is out of range; from \"1h\" to \"31d\""),
        ("[signed]\nmax_bytes = 1000".into(), 2, "signed.max_bytes: 1000 would forget"),
        (signing("expire = \"59m\""), 2, "signing.expire: \"59m\" is out of range; from \"1h\" to \"365d\""),
        (signing("expire = \"366d\""), 2, "signing.expire: \"366d\" is out of range; from \"1h\" to \"365d\""),
        (limits("idle = \"25h\""), 2, "limits.idle: \"25h\" is out of range; from \"1s\" to \"1d\""),
        (limits("drain = \"61m\""), 2, "limits.drain: \"61m\" is out of range; from \"1s\" to \"1h\""),
        (plain("[verify]\nstale = \"8d\""), 2, "verify.stale: \"8d\" is out of range; from \"1s\" to \"1w\""),
        (
            plain("[verify]\ndns_timeout = \"26s\""),
            2,
            "verify.dns_timeout: \"26s\" is out of range; from \"1s\" to \"25s\"",
        ),
        (
            domain("selector = \"s\"\nexpire = \"100000000w\""),
            3,
            "\"example.com\".expire: \"100000000w\" is out of range; from \"1h\" to \"365d\"",
        ),
        (plain("observe = true"), 1, "unknown name \"observe\"; it belongs in [[listener]]"),
        (limits("observe = true"), 2, "unknown name \"limits.observe\"; it belongs in [[listener]]"),
        (listener("level = \"debug\""), 2, "unknown name \"listener[1].level\"; it belongs in [log]"),
        (plain("dmarc_fail = \"policy\""), 1, "it belongs in [verify.actions]"),
        (
            plain("subdomains = true\n[domains.\"example.com\"]\nselector = \"s\""),
            1,
            "it belongs in [domains.\"NAME\"]",
        ),
        (listener("socket = \"inet:localhost:25\""), 2, "is not an IP address and a port"),
        (listener("socket = \"local:/x\""), 2, "is none of \"inet:ADDRESS:PORT\""),
        (listener("socket_mode = \"0660\""), 2, "only a socket \"unix:PATH\" has one"),
        (listener("reinjected = true"), 2, "nothing would be signed here without signing.outbound_mark"),
        (listener("[[listener]]"), 2, "two listeners at inet:127.0.0.1:8891"),
        (listener(&long_path), 2, "is longer than the 103 octets"),
        (plain("listener = []"), 1, "an empty list serves nobody"),
        (plain("[listener]"), 1, "expected [[listener]], found a table"),
        (plain("[domains.\"exa mple.com\"]\nselector = \"s\""), 1, "\"exa mple.com\" is not a domain name"),
        (domain(""), 1, "domains.\"example.com\": needs a selector: either environment and region"),
        (
            domain("selector = \"s\"\nkey = \"-----BEGIN PRIVATE KEY-----MII\""),
            3,
            "this is a key itself; put it into a file",
        ),
        (domain("region = \"kr\""), 1, "needs a selector: either environment and region"),
        (domain("selector = \"s\"\nregion = \"kr\""), 2, "excludes provider, environment and region"),
        (
            domain("environment = \"financial\"\nregion = \"jp\""),
            2,
            "ncloud has no selector for environment \"financial\", region \"jp\"; those that exist: private kr (",
        ),
        (
            domain("provider = \"x\"\nenvironment = \"a\"\nregion = \"b\""),
            2,
            "no provider \"x\"; those that exist: google, microsoft365, ncloud, sendgrid, ses",
        ),
        (domain("selector = \"a b\""), 2, "\"a b\" cannot stand in DNS"),
        (domain("selector = \"s\"\ned25519 = { selector = \"s\" }"), 3, "a second key needs a selector of its own"),
        (domain("selector = \"s\"\ned25519 = { key = \"k\" }"), 3, "needs a selector of its own"),
        (
            domain("selector = \"s\"\nidentity = \"@example.org\""),
            3,
            "\"example.org\" is neither example.com nor below",
        ),
        (domain("selector = \"s\"\nidentity = \"example.com\""), 3, "is not \"@example.com\" or \"user@example.com\""),
        (domain("selector = \"s\"\nsubdomain = true"), 3, "did you mean \"subdomains\"?"),
        (
            domain("selector = \"s\"\n[domains.\"EXAMPLE.com\"]\nselector = \"t\""),
            3,
            "is the same domain as that of line 1",
        ),
        (domain("selector = \"s\"\nselector = \"t\""), 3, "duplicate key"),
        (plain("[log\nlevel = \"info\""), 1, "unclosed table"),
        (plain("provider_directory = \"/nonexistent\""), 0, "/nonexistent: cannot be read"),
    ] {
        let mistakes = read(&text).expect_err(words);
        let place = if line == 0 { String::new() } else { format!("{FILE}:{line}: ") };
        let [mistake] = &mistakes[..] else { panic!("one mistake expected in {text:?}: {mistakes:#?}") };
        assert!(mistake.contains(words) && mistake.starts_with(&place), "{mistake}\nwanted: {place}{words}");
    }
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_lines() {
    let text =
        "trusted_network = []\n[log]\nlevel = 1\n[domains.\"example.com\"]\nselectr = \"s\"\nexpire = \"soon\"\n";
    let mistakes = read(text).expect_err("mistakes");
    let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.split(':').nth(1).expect("a line")).collect();
    assert_eq!(lines, ["1", "3", "4", "5", "6"], "{mistakes:#?}");
}

/// A socket that cannot be read is not taken for the default one, which another may have.
#[test]
fn a_mistake_has_no_second_one_in_its_wake() {
    let text = "[[listener]]\n[[listener]]\nsocket = \"inet:x:1\"\n[[listener]]\nsocket = \"tcp:127.0.0.1:1\"\n";
    let mistakes = read(text).expect_err("mistakes");
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mistakes = Settings::load(&folder.path().join("waxseal.toml")).expect_err("there is none").to_string();
    assert!(mistakes.contains("no such settings file; make one with: waxseal config init --domain"), "{mistakes}");
    fs::write(folder.path().join("latin1.toml"), b"# ok\n# caf\xe9\n").expect("written");
    let mistakes = Settings::load(&folder.path().join("latin1.toml")).expect_err("not UTF-8").to_string();
    assert!(mistakes.contains("latin1.toml:2: not UTF-8"), "{mistakes}");
}

#[test]
fn keys_are_not_read_until_asked_for_and_mistakes_name_the_domain() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).expect("made");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).expect("mode set");
    let file = folder.path().join("waxseal.toml");
    let text = "[domains.\"a.example\"]\nselector = \"s\"\n[domains.\"b.example\"]\nselector = \"s\"\n";
    fs::write(&file, text).expect("written");
    fs::write(keys.join("a.example.s.pem"), "not a key").expect("written");
    fs::set_permissions(keys.join("a.example.s.pem"), fs::Permissions::from_mode(0o600)).expect("mode set");

    let settings = Settings::load(&file).expect("settings are good whatever the keys are");
    let inspected = settings.inspect_keys().expect_err("one file is missing").to_string();
    assert!(inspected.contains("waxseal.toml:3: key file") && inspected.contains("b.example.s.pem\": no such file"));
    assert!(!inspected.contains("a.example"), "{inspected}");
    let checked = settings.check_keys().expect_err("and the other is no key").to_string();
    assert!(checked.lines().next().expect("a line").contains("waxseal.toml:1: key file"), "{checked}");
    assert!(checked.contains("a.example.s.pem\": is not a key in PEM form"), "{checked}");
}
