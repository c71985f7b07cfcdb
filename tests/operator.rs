//! What goes wrong around an operator, with the real program: output that cannot be written, key files that are something
//! else, sockets that cannot be had, selectors that are somebody's. Each time: what, where, and what to do.

mod common;

use common::waxseal::{Home, Waxseal};
use indymilter_test::{MacroStage, SocketInfo, TestConnection};
use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output, Stdio},
};
use waxseal::dkim::KeyType;

const WAXSEAL: &str = env!("CARGO_BIN_EXE_waxseal");
const ZONE: &str = "example.com. 60 IN SOA ns hostmaster 1 2 3 4 5\n";
/// One domain with an explicit selector, and a listener that disturbs nobody.
const DOMAIN: &str =
    "[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n[domains.\"example.com\"]\nselector = \"s\"\nkey = \"keys/s.pem\"\n";

fn command(home: &Home, arguments: &str) -> Command {
    let mut command = Command::new(WAXSEAL);
    command.args(arguments.split_whitespace()).current_dir(home.path(".")).stdin(Stdio::null());
    command
}

fn waxseal(home: &Home, arguments: &str) -> Output {
    command(home, arguments).output().expect("the program runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    errors(output)
}

#[track_caller]
fn good(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn home_with(settings: &str) -> Home {
    let home = Home::new();
    fs::write(home.path("zone"), ZONE).expect("written");
    fs::write(home.path("waxseal.toml"), settings).expect("written");
    home
}

fn key_file(home: &Home, text: &[u8]) {
    let path = home.path("keys/s.pem");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode set");
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("/dev/full").into()
}

/// A pipe whose reader has gone.
fn gone() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Every command that prints an answer, and whether it makes a key.
const ANSWERS: [(&str, &str); 9] = [
    ("keygen --domain example.com --selector one --dns zone", "example.com.one.pem"),
    ("keygen --domain example.com --selector two --dns zone --format json", "example.com.two.pem"),
    ("config init --domain example.com --selector three --dns zone --dir etc", "etc/keys/example.com.three.pem"),
    ("config check --config waxseal.toml", ""),
    ("config show --config waxseal.toml", ""),
    ("sign --config waxseal.toml message", ""),
    ("explain", ""),
    ("--help", ""),
    ("--version", ""),
];

fn answering() -> Home {
    let home = home_with(DOMAIN);
    home.key(KeyType::Rsa, "s");
    fs::write(home.path("message"), "From: <ann@example.com>\n\nHello\n").expect("written");
    home
}

#[test]
fn output_that_cannot_be_written_is_told_and_loses_no_key() {
    let home = answering();
    for (arguments, key) in ANSWERS {
        let output = command(&home, arguments).stdout(full()).output().expect("the program runs");
        let told = refused(&output);
        assert!(told.contains("waxseal: standard output: no space left on device"), "{arguments}: {told}");
        if !key.is_empty() {
            assert!(home.path(key).is_file(), "{arguments}: the key stays");
            assert!(told.contains(key), "{arguments} does not name the key: {told}");
            let value = told.lines().last().expect("a line");
            let p = value.strip_prefix("v=DKIM1;k=rsa;p=").expect("the record is told");
            assert_eq!(p.len(), 392);
        }
    }
    assert!(home.path("etc/waxseal.toml").is_file());
}

#[test]
fn a_reader_that_has_gone_is_no_mistake() {
    let home = answering();
    for (arguments, key) in ANSWERS {
        let output = command(&home, arguments).stdout(gone()).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", errors(&output));
        assert!(!errors(&output).contains("standard output"), "{arguments}: {}", errors(&output));
        assert!(home.path(key).exists(), "{arguments}: {key}");
    }
}

#[test]
fn a_standard_error_that_cannot_be_written_changes_no_status() {
    let home = answering();
    for (arguments, status) in [
        ("keygen --domain example.com --selector one --dns zone --format json", 0),
        ("keygen --domain example.com --selector mailer --dns zone", 0),
        ("keygen --domain example.com", 2),
        ("keygen", 2),
    ] {
        let output = command(&home, arguments).stderr(full()).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(status), "{arguments}: {output:?}");
    }
}

fn openssl(home: &Home, arguments: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(home.path(".")).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
    output.stdout
}

#[test]
fn what_stands_in_place_of_a_key_is_named_with_the_fix() {
    let home = home_with(DOMAIN);
    let rsa = openssl(&home, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    fs::write(home.path("rsa"), &rsa).expect("written");
    let certificate = openssl(&home, "req -x509 -new -key rsa -subj /CN=example.com");
    let both = [&certificate[..], &rsa].concat();
    let der = openssl(&home, "pkey -in rsa -outform DER");
    let ed25519 = openssl(&home, "genpkey -algorithm ED25519");
    let ed25519_der = {
        fs::write(home.path("ed"), &ed25519).expect("written");
        openssl(&home, "pkey -in ed -outform DER")
    };
    let ec = openssl(&home, "ecparam -name prime256v1 -genkey");
    let convert = "openssl pkey -in";
    let one_line: Vec<u8> = rsa.iter().copied().filter(|octet| *octet != b'\n').collect();
    let secret = String::from_utf8_lossy(&rsa[100..140]).replace('\n', "");
    for (content, what, fix) in [
        (&b""[..], "is empty", "put the private key there, or remove it and make one with `waxseal keygen`"),
        (b"\n\n", "is empty", "`waxseal keygen`"),
        (b"not a key", "is not a key in PEM form: it has no line \"-----BEGIN PRIVATE KEY-----\"", "`waxseal keygen`"),
        (b"\0\0\0\0\xff\xfe", "is not a key in PEM form: it is not text", "name the file of the private key"),
        (b"\0\0\0\0", "is not a key in PEM form: it has no line", "name the file of the private key"),
        (&rsa[..rsa.len() / 2], "ends before the line \"-----END PRIVATE KEY-----\"", "restore it from a copy"),
        (&both, "holds a certificate and a private key, and should hold one private key alone", convert),
        (&[&rsa[..], &rsa].concat(), "holds a private key and a private key, and should hold one", convert),
        (&certificate, "holds a certificate, not a private key", "name the file of the private key that belongs to it"),
        (&der, "is in DER form, not in PEM", "openssl pkey -inform DER -in"),
        (&ed25519_der, "is in DER form, not in PEM", "openssl pkey -inform DER -in"),
        (&one_line, "holds a damaged key: its line ends are missing", "restore it from a copy"),
        (&ec, "holds an EC key, which DKIM does not know", "make an RSA key with `waxseal keygen`"),
        (&ed25519, "holds a key of type ed25519, not rsa", "name an RSA key in `key`"),
    ] {
        key_file(&home, content);
        let told = refused(&waxseal(&home, "config check --config waxseal.toml"));
        let place = told.split(" key file").next().expect("a place");
        assert!(place.ends_with("waxseal.toml:3:"), "{told}");
        assert!(told.contains("keys/s.pem\": ") && told.contains(what), "{told}\nwanted: {what}");
        assert!(told.split_once("; ").is_some_and(|(_, told)| told.contains(fix)), "{told}\nwanted: {fix}");
        assert!(!told.to_lowercase().contains("nul"), "{told}");
        assert!(!told.contains(&secret), "a part of a key: {told}");
    }
}

/// The command that is advised for a file with company is right.
#[test]
fn a_key_beside_a_certificate_is_used_once_it_is_alone() {
    let home = home_with(DOMAIN);
    let rsa = openssl(&home, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    fs::write(home.path("rsa"), &rsa).expect("written");
    let certificate = openssl(&home, "req -x509 -new -key rsa -subj /CN=example.com");
    for both in [[&certificate[..], &rsa].concat(), [&rsa[..], &certificate].concat()] {
        key_file(&home, &both);
        let told = refused(&waxseal(&home, "config check --config waxseal.toml"));
        let advice = told.trim_end().split_once("openssl ").expect("a command").1.replace("NEW", "keys/alone.pem");
        openssl(&home, &advice);
        fs::rename(home.path("keys/alone.pem"), home.path("keys/s.pem")).expect("in its place");
        good(&waxseal(&home, "config check --config waxseal.toml"));
    }
    // Text around a key is what many tools write, and no harm.
    key_file(&home, &[b"Bag Attributes\n    friendlyName: x\n", &rsa[..], b"\nthe end\n"].concat());
    good(&waxseal(&home, "config check --config waxseal.toml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_names_the_place_of_a_key_that_went_bad() {
    let home = Home::new();
    home.key(KeyType::Rsa, "s");
    home.settings(DOMAIN);
    let waxseal = Waxseal::start(home);
    let address = waxseal.socket();
    let address: std::net::SocketAddr = address.strip_prefix("inet:").expect("inet").parse().expect("an address");
    let mut mta = TestConnection::configure().exact_leading_space(true).open_tcp(address).await.expect("negotiated");
    let client = SocketInfo::Inet("127.0.0.1:40000".parse().expect("an address"));
    mta.connect("localhost", client).await.expect("connect");
    mta.mail(["<ann@example.com>"]).await.expect("MAIL");
    mta.rcpt(["<bob@example.net>"]).await.expect("RCPT");
    mta.header("From", " <ann@example.com>").await.expect("a field");
    mta.macros(MacroStage::Eoh, [("i", "1")]).await.expect("macros");
    mta.eoh().await.expect("end of header");
    mta.eom().await.expect("end of message");
    mta.close().await.expect("closed");

    key_file(waxseal.home(), b"garbage");
    let told = waxseal.reload().expect_err("the key in use is no key any more");
    // Four lines are shared by all settings of these tests.
    assert!(told.contains("waxseal.toml:8: key file"), "{told}");
    assert!(told.contains("is not a key in PEM form: it has no line") && told.contains("`waxseal keygen`"), "{told}");
}

/// `config check` and `run` say the same of a socket, in the same words.
#[test]
fn check_and_run_judge_sockets_alike() {
    for (settings, line, words) in [
        (
            "[[listener]]\nsocket = \"unix:here.sock\"\nsocket_group = \"no-such-group\"\n",
            2,
            "there is no group \"no-such-group\" in /etc/group; set socket_group to one that is",
        ),
        ("[[listener]]\nsocket = \"unix:zone\"\n", 2, "something that is no socket is in the way; remove it"),
        ("\n[[listener]]\nmode = \"sign\"\nsocket = \"unix:none/here.sock\"\n", 4, "there is no folder "),
        ("[[listener]]\nsocket = \"unix:waxseal.toml/here.sock\"\n", 2, "waxseal.toml is no folder; name another path"),
    ] {
        let home = home_with(settings);
        let told: Vec<String> = ["config check", "run"]
            .map(|command| refused(&waxseal(&home, &format!("{command} --config waxseal.toml"))))
            .into();
        assert_eq!(told[0], told[1]);
        assert!(told[0].contains(&format!("/waxseal.toml:{line}: cannot listen on unix:")), "{}", told[0]);
        assert!(told[0].contains(words), "{}\nwanted: {words}", told[0]);
        assert!(told[0].contains("; "), "no fix: {}", told[0]);
    }
}

/// Only a member of a group may give it a file: what would end the service at its start is found before.
#[test]
fn a_group_that_the_user_is_not_in_is_refused_beforehand() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        // It takes root to be another user.
        return;
    }
    let programs = common::open_folder();
    let program = programs.path().join("waxseal");
    fs::copy(WAXSEAL, &program).expect("copied");
    let run = |group: &str, command: &str| {
        let home = home_with(&format!(
            "[[listener]]\nsocket = \"unix:here.sock\"\nsocket_group = \"{group}\"\nmode = \"verify\"\n"
        ));
        std::os::unix::fs::chown(home.path("."), Some(NOBODY), Some(NOBODY)).expect("given");
        let mut given = Command::new(&program);
        given.args(command.split(' ')).args(["--config", "waxseal.toml"]).current_dir(home.path("."));
        given.stdin(Stdio::null()).uid(NOBODY).gid(NOBODY).output().expect("the program runs")
    };
    let told = ["config check", "run"].map(|command| refused(&run("0", command)));
    for told in told {
        let words = "waxseal.toml:2: cannot listen on unix:";
        assert!(told.contains(words) && told.contains("it cannot be given to the group 0; only a member"), "{told}");
    }
    good(&run("65534", "config check"));
}

#[test]
fn a_socket_that_another_has_is_named_with_its_line() {
    let other = std::net::TcpListener::bind((common::loopback(), 0)).expect("bound");
    let address = other.local_addr().expect("an address");
    let home = home_with(&format!("[[listener]]\nmode = \"sign\"\nsocket = \"inet:{address}\"\n"));
    let told = refused(&waxseal(&home, "run --config waxseal.toml"));
    assert!(
        told.contains(&format!("waxseal.toml:3: cannot listen on inet:{address}: address already in use")),
        "{told}"
    );
}

#[test]
fn the_folder_that_systemd_makes_may_still_be_missing() {
    let home = home_with("[[listener]]\nsocket = \"unix:/run/waxseal/milter.sock\"\nmode = \"verify\"\n");
    let output = waxseal(&home, "config check --config waxseal.toml");
    good(&output);
    let told = errors(&output).contains("warning: ") && errors(&output).contains("waxseal.service has it made");
    assert_eq!(told, !Path::new("/run/waxseal").exists(), "{output:?}");
}

#[test]
fn check_says_when_nothing_will_be_signed() {
    let only_verifying = DOMAIN.replace("socket =", "mode = \"verify\"\nsocket =");
    let legacy = "[domains.\"example.com\"]\nselector = \"mailer\"\nkey = \"keys/s.pem\"\n";
    let unwatched = format!("watch.enabled = false\nsigning.when_not_ready = \"skip\"\n{DOMAIN}");
    for (settings, want) in [
        (&*unwatched, "waxseal.toml: when_not_ready decides nothing while watch.enabled = false"),
        ("", "waxseal.toml: no domain is configured, so nothing will be signed; add [domains."),
        (&only_verifying, "waxseal.toml:3: every listener only verifies, so nothing will be signed"),
        (legacy, "waxseal.toml:1: domains.\"example.com\".selector: \"mailer\" is a legacy selector of ncloud"),
        (DOMAIN, ""),
        ("[[listener]]\nmode = \"verify\"\n", ""),
    ] {
        let home = home_with(settings);
        home.key(KeyType::Rsa, "s");
        let output = waxseal(&home, "config check --config waxseal.toml");
        good(&output);
        let told = errors(&output);
        assert_eq!(told.is_empty(), want.is_empty(), "{settings}: {told}");
        assert!(want.is_empty() || told.starts_with("warning: ") && told.contains(want), "{told}\nwanted: {want}");
    }
}

#[test]
fn a_selector_of_a_provider_is_recognised_by_its_name() {
    let home = home_with(DOMAIN);
    let keygen = |arguments: &str| {
        waxseal(&home, &format!("keygen --domain example.com --dns zone --format single {arguments}"))
    };
    for (selector, want) in [
        ("mailer", "mailer is a legacy selector of ncloud (NAVER Cloud Platform, Cloud Outbound Mailer)"),
        (
            "ncpcomgov",
            "ncpcomgov is the selector of ncloud (NAVER Cloud Platform, Cloud Outbound Mailer) for environment public, region kr",
        ),
    ] {
        let refusal = refused(&keygen(&format!("--selector {selector} --ed25519")));
        let reason = format!("ncloud demands an RSA key of 2048 bits under {selector}; give the ed25519 key");
        assert!(refusal.contains(&reason), "{refusal}");
        assert!(!home.path(&format!("example.com.{selector}.pem")).exists());
        let output = keygen(&format!("--selector {selector}"));
        good(&output);
        assert!(errors(&output).contains(want), "{}", errors(&output));
    }
    let output = keygen("--selector own");
    good(&output);
    assert!(!errors(&output).contains("ncloud"), "{}", errors(&output));
}
