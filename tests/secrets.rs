//! No octet of a private key leaves the process: not in what it says, whatever is wrong with a key or its settings, not in
//! its store, its arguments or its environment, not in a core file; and when a key is no longer used, not in its memory.

mod common;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use common::{
    process::Process,
    talk::{Given, Talk},
    waxseal::{Home, Key, Waxseal},
};
use rsa::{RsaPrivateKey, pkcs8::DecodePrivateKey, traits::PrivateKeyParts};
use std::{
    collections::HashSet,
    fs::{self, File},
    os::unix::{
        fs::{FileExt, MetadataExt, PermissionsExt, chown},
        process::ExitStatusExt,
    },
    process::{Command, Stdio},
    time::Duration,
};
use waxseal::dkim::KeyType;

const WAXSEAL: &str = env!("CARGO_BIN_EXE_waxseal");
const LIMIT: Duration = Duration::from_secs(60);

/// How many octets in a row are a leak: fewer could be chance.
const LEAK: usize = 12;

/// The private numbers of a key, in every form in which octets are written.
struct Secret {
    forms: Vec<HashSet<Vec<u8>>>,
}

impl Secret {
    /// Of a key file of ours.
    fn of(home: &Home, key: &Key) -> Secret {
        let pem = fs::read_to_string(home.path("keys").join(&key.file)).expect("a key file");
        let key = RsaPrivateKey::from_pkcs8_pem(&pem).expect("a key");
        let numbers = std::iter::once(key.d()).chain(key.primes());
        let octets: Vec<Vec<u8>> = numbers.flat_map(|number| [number.to_bytes_be(), number.to_bytes_le()]).collect();
        let windows = |text: &[u8], length: usize| text.windows(length).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut forms = vec![HashSet::new(); 4];
        for octets in &octets {
            forms[0].extend(windows(octets, LEAK));
            let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            forms[1].extend(windows(hex.as_bytes(), 2 * LEAK));
            let list: Vec<String> = octets.iter().map(u8::to_string).collect();
            forms[3].extend(list.windows(LEAK).map(|window| window.join(", ").into_bytes()));
            for start in 0..3 {
                let text = BASE64_STANDARD.encode(&octets[start..]);
                forms[2].extend(windows(text.trim_end_matches('=').as_bytes(), LEAK * 4 / 3));
            }
        }
        Secret { forms }
    }

    /// Where in these octets some of it stands.
    fn found_in(&self, octets: &[u8]) -> Option<usize> {
        let lower: Vec<u8> = octets.to_ascii_lowercase();
        let at = |form: usize, text: &[u8], length| {
            text.windows(length).position(|window| self.forms[form].contains(window))
        };
        let lists = || {
            let shortest = LEAK * 3 - 2;
            (0..octets.len().saturating_sub(shortest)).find(|&from| {
                let rest = &octets[from..octets.len().min(from + LIST)];
                self.forms[3].contains(first_numbers(rest))
            })
        };
        at(0, octets, LEAK).or_else(|| at(1, &lower, 2 * LEAK)).or_else(|| at(2, octets, LEAK * 4 / 3)).or_else(lists)
    }

    #[track_caller]
    fn is_not_in(&self, what: &str, octets: &[u8]) {
        if let Some(at) = self.found_in(octets) {
            panic!("{what}: a piece of the key at {at}: {}", octets[at..octets.len().min(at + 80)].escape_ascii());
        }
    }
}

/// The longest list of as many numbers as are a leak.
const LIST: usize = LEAK * 5 - 2;

/// The beginning of a text up to the comma that ends the last number of a leak.
fn first_numbers(text: &[u8]) -> &[u8] {
    let mut commas = 0;
    let end = text.iter().position(|&octet| {
        commas += usize::from(octet == b',');
        commas == LEAK
    });
    &text[..end.unwrap_or(text.len())]
}

fn settings(key: &str) -> String {
    format!(
        "verify.authserv_id = \"mx.test\"\nlog.level = \"trace\"\n[[listener]]\nsocket = \"unix:socket\"\n\
         [domains.\"example.com\"]\nselector = \"s\"\nkey = \"{key}\"\n"
    )
}

fn mail() -> Given {
    Given::new("127.0.0.1", "a@example.com", b"From: a@example.com\r\n\r\nbody\r\n")
}

/// Runs a command to its end, and gives all that it says.
fn said(home: &Home, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(WAXSEAL);
    let mut child = command
        .args(arguments)
        .current_dir(home.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // A command that ends before it reads is fine.
    let _ = std::io::Write::write_all(&mut input, b"From: a@example.com\r\n\r\nbody\r\n");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    [output.stdout, output.stderr].concat()
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    let secret = Secret::of(&home, &key);
    let pem = fs::read(home.path("keys/s.pem")).expect("a file");
    let text = String::from_utf8(pem).expect("PEM");
    let octets =
        BASE64_STANDARD.decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>()).expect("PEM");
    let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    for (what, leak) in [
        ("base64", text.clone().into_bytes()),
        ("octets", octets.clone()),
        ("hex", hex.into_bytes()),
        ("a list", format!("{octets:?}").into_bytes()),
    ] {
        assert!(secret.found_in(&leak).is_some(), "{what}");
    }
    assert!(secret.found_in(key.record.as_bytes()).is_none(), "the record is public");
}

/// Each way in which a key or its settings can be wrong, some of them by a key where it does not belong.
#[test]
fn no_mistake_makes_it_tell_a_key() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    let secret = Secret::of(&home, &key);
    let path = home.path("keys/s.pem");
    let pem = fs::read_to_string(&path).expect("a key file");
    let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let one_line = pem.replace('\n', "\\n");
    let write = |name: &str, text: String| {
        let path = home.path("keys").join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our own file");
    };
    let half = pem.len() / 2;
    let broken = [
        ("cut", pem[..half].to_owned()),
        ("without-end", pem.replace("-----END PRIVATE KEY-----", "")),
        ("without-begin", pem.replace("-----BEGIN PRIVATE KEY-----", "")),
        (
            "one-octet",
            format!("{}{}{}", &pem[..half], if &pem[half..=half] == "A" { "B" } else { "A" }, &pem[half + 1..]),
        ),
        ("no-base64", format!("{}!{}", &pem[..half], &pem[half..])),
        ("other-label", pem.replace("PRIVATE KEY", "EC PRIVATE KEY")),
        ("pkcs1-label", pem.replace("PRIVATE KEY", "RSA PRIVATE KEY")),
        ("public-label", pem.replace("PRIVATE KEY", "PUBLIC KEY")),
        ("encrypted-label", pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")),
        ("one-line", pem.replace('\n', " ")),
        ("bare", body.concat()),
        ("twice", format!("{pem}{pem}")),
        ("more", format!("{pem}and more\n")),
        ("der", String::from_utf8_lossy(&BASE64_STANDARD.decode(body.concat()).expect("PEM")).into_owned()),
    ];
    for (name, text) in &broken {
        write(name, text.clone());
    }
    write("open.pem", pem.clone());
    fs::set_permissions(home.path("keys/open.pem"), fs::Permissions::from_mode(0o644)).expect("our own file");
    let file = |name: &str| settings(&format!("keys/{name}"));
    let good = file("s.pem");
    let mut all: Vec<String> = broken.iter().map(|(name, _)| file(name)).collect();
    all.extend([
        file("open.pem"),
        file("none.pem"),
        settings(&one_line),
        settings(&body.concat()),
        good.replace("selector = \"s\"", &format!("selector = \"{}\"", body.concat())),
        good.replace("selector = \"s\"", &format!("selector = \"{one_line}\"")),
        good.replace("key =", &format!("{} =", body.concat().replace(['/', '+', '='], "_"))),
        good.replace("example.com", &body.concat()),
        good.replace("unix:socket", &body.concat()),
        good.replace("trace", &body.concat()),
        format!("{pem}{good}"),
        format!("{good}{pem}"),
        pem.clone(),
    ]);
    let config = home.path("waxseal.toml");
    let config = config.to_str().expect("a path");
    for settings in &all {
        fs::write(config, settings).expect("written");
        // What shows the settings shows what was written there: only where that is the name of a file is it no key.
        let show = ["config", "show", "--config", config];
        let check = ["config", "check", "--config", config];
        let sign = ["sign", "--config", config];
        let mut commands = vec![&check[..], &sign];
        if settings.contains("keys/") && !settings.contains(&one_line) && !settings.contains(&body.concat()) {
            commands.push(&show);
        }
        for command in commands {
            let said = said(&home, command);
            secret.is_not_in(&format!("{} with these settings:\n{settings}", command.join(" ")), &said);
        }
    }
    let key_file = path.to_str().expect("a path");
    for command in [
        &["config", "check", "--config", key_file][..],
        &["config", "import-opendkim", key_file],
        &["verify", key_file],
        &["log", "--from-log", key_file],
    ] {
        secret.is_not_in(&command.join(" "), &said(&home, command));
    }
}

#[test]
fn neither_mail_nor_reloads_nor_the_store_tell_a_key() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    let secret = Secret::of(&home, &key);
    let pem = fs::read_to_string(home.path("keys/s.pem")).expect("a key file");
    home.settings(&settings("keys/s.pem"));
    let socket = home.path("socket");
    let mut waxseal = Waxseal::start(home);
    let mut talk = Talk::open(&socket).expect("it serves");
    let answer = talk.message(&mail()).expect("an answer");
    assert!(answer.inserts("DKIM-Signature", "d=example.com"), "{answer:?}");
    secret.is_not_in("the signature", &answer.edits.concat());
    for (name, text) in [("cut.pem", &pem[..pem.len() / 2]), ("no-base64.pem", &pem.replacen('A', "!", 1))] {
        fs::write(waxseal.home().path("keys").join(name), text).expect("written");
        fs::set_permissions(waxseal.home().path("keys").join(name), fs::Permissions::from_mode(0o600)).expect("ours");
        waxseal.home().settings(&settings(&format!("keys/{name}")));
        // A key that cannot be read is told when it is needed.
        let _ = waxseal.reload();
        let answer = talk.message(&mail()).expect("an answer");
        secret.is_not_in(name, &answer.edits.concat());
    }
    for place in ["environ", "cmdline", "status", "maps"] {
        secret.is_not_in(place, &fs::read(format!("/proc/{}/{place}", waxseal.pid())).expect("it lives"));
    }
    talk.quit().expect("an end");
    assert!(waxseal.stop().success());
    for file in ["log", "events.db", "events.db-wal", "waxseal.toml"] {
        secret.is_not_in(file, &fs::read(waxseal.home().path(file)).unwrap_or_default());
    }
}

/// Whoever may look into a process of the same user, and a crash, find nothing.
#[test]
fn no_core_file_is_written_and_nobody_else_looks_in() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    home.settings(&settings(&format!("keys/{}", key.file)));
    // As an ordinary user: root may look everywhere.
    let nobody = 65_534;
    for name in ["", "keys", "keys/s.pem", "waxseal.toml"] {
        chown(home.path(name), Some(nobody), Some(nobody)).expect("root may");
    }
    let under = |program: &str| {
        let mut command = Command::new("/usr/bin/prlimit");
        command.args(["--core=unlimited:unlimited", "--", "/usr/bin/setpriv", "--reuid=65534", "--regid=65534"]);
        command.args(["--clear-groups", program]).current_dir(home.path(""));
        command
    };
    let abort = |mut process: Process| {
        process.signal("QUIT");
        process.wait(LIMIT).core_dumped()
    };
    let mut command = under("/usr/bin/sleep");
    command.arg("600");
    let sleeps = Process::start(command, home.path("sleep-said"));
    common::eventually("it has become the user", LIMIT, || (owner(sleeps.id()) == nobody).then_some(()));
    let usual = abort(sleeps);

    let mut command = under(WAXSEAL);
    command.arg("run").arg("--config").arg(home.path("waxseal.toml"));
    let process = Process::start(command, home.path("log"));
    common::eventually("it serves", LIMIT, || process.said().contains("ready: ").then_some(()));
    assert_eq!(owner(process.id()), 0, "what /proc shows of it belongs to root");
    assert!(!abort(process), "a core file was written");
    println!("without it, a core file is written here: {usual}");
}

fn owner(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}/environ")).expect("it lives").uid()
}

/// All that a process has in memory that can be written.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("root may look");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
        let [from, to] = [range.0, range.1].map(|hex| u64::from_str_radix(hex, 16).expect("hex"));
        let mut part = vec![0; usize::try_from(to - from).expect("a size")];
        // Some, as of the kernel, cannot be read.
        if memory.read_exact_at(&mut part, from).is_ok() {
            all.append(&mut part);
        }
    }
    all
}

#[test]
fn a_key_that_is_no_longer_used_is_wiped_from_memory() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    let secret = Secret::of(&home, &key);
    let other = home.key(KeyType::Rsa, "other");
    home.settings(&settings("keys/s.pem"));
    let socket = home.path("socket");
    let waxseal = Waxseal::start(home);
    let mut talk = Talk::open(&socket).expect("it serves");
    assert!(talk.message(&mail()).expect("an answer").inserts("DKIM-Signature", "s=s;"));
    let in_use = places(&secret, waxseal.pid());
    assert!(in_use > 0, "a key in use is in memory, so that the search means something");
    waxseal.home().settings(&settings(&format!("keys/{}", other.file)).replace("\"s\"", "\"other\""));
    waxseal.reload().expect("good settings");
    for _ in 0..20 {
        assert!(talk.message(&mail()).expect("an answer").inserts("DKIM-Signature", "s=other;"));
    }
    talk.quit().expect("an end");
    let left = common::eventually("it is wiped", LIMIT, || match places(&secret, waxseal.pid()) {
        0 => Some(0),
        left => {
            println!("{left} octets are left");
            None
        }
    });
    println!("{in_use} octets of the key in use, {left} after a reload without it");
}

/// How many octets of a memory begin a piece of the key.
fn places(secret: &Secret, pid: u32) -> usize {
    memory(pid).windows(LEAK).filter(|window| window[0] != window[1] && secret.forms[0].contains(*window)).count()
}
