//! The rules of the house, read from the source: floors, seams, sizes, and what tests may not do.
//!
//! The floors come from the table at the top of `src/lib.rs`, so that the table cannot lie.

mod common;

use common::source::{Path, Source};
use std::{collections::HashMap, fs};

/// The floor of every top-level module, from the table in `src/lib.rs`.
fn floors() -> HashMap<String, u32> {
    let lib = fs::read_to_string("src/lib.rs").expect("src/lib.rs");
    let table = lib.split("//! ```text").nth(1).and_then(|rest| rest.split("//! ```").next()).expect("the floor table");
    let mut floors = HashMap::new();
    for line in table.lines().filter_map(|line| line.strip_prefix("//! ")) {
        let mut words = line.split_whitespace();
        let floor = words.next().and_then(|word| word.parse().ok()).expect("a line of the table starts with its floor");
        floors.extend(words.map(|module| (module.to_string(), floor)));
    }
    floors
}

fn sources() -> Vec<Source> {
    Source::below("src")
}

fn tests() -> Vec<Source> {
    Source::below("tests")
}

/// Panics with the list, if there is anything in it.
fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// What breaks `rule` among all paths that a file mentions.
fn paths_where(source: &Source, rule: impl Fn(&Path) -> bool) -> Vec<String> {
    source.paths.iter().filter(|path| rule(path)).map(|path| format!("{}:{}: {path}", source.file, path.line)).collect()
}

#[test]
fn every_module_has_a_floor_and_uses_none_above() {
    let floors = floors();
    let mut broken = Vec::new();
    for source in sources() {
        if source.file == "src/lib.rs" {
            continue;
        }
        let module = source.module();
        let Some(&own) = floors.get(module) else {
            broken.push(format!("{}: {module} is not in the table of src/lib.rs", source.file));
            continue;
        };
        // From a top-level file `super` is the crate itself.
        let at_root = source.depth() == 1;
        broken.extend(paths_where(&source, |path| {
            let within =
                path.after("crate").or(path.after("waxseal")).or(if at_root { path.after("super") } else { None });
            within.and_then(|rest| floors.get(rest)).is_some_and(|&floor| floor > own)
        }));
    }
    none("a file uses its own floor and lower ones, never a higher one", broken);
}

#[test]
fn each_seam_knows_its_library_alone() {
    let seams: [(&str, &[&str]); 6] = [
        ("indymilter", &["src/milter/"]),
        // The demo has a name server of its own.
        ("hickory_resolver", &["src/dns/"]),
        ("hickory_server", &["src/dns/", "src/cli/demo"]),
        ("axum", &["src/http/"]),
        ("rusqlite", &["src/event/store/"]),
        ("postgres", &["src/event/store/"]),
    ];
    let mut broken = Vec::new();
    for source in sources() {
        for (library, homes) in seams {
            if !homes.iter().any(|home| source.file.starts_with(home)) {
                broken.extend(paths_where(&source, |path| path.starts(library)));
            }
        }
        let knows_protocol = source.file.starts_with("src/dns/") || source.file.starts_with("src/cli/demo");
        if !knows_protocol {
            broken.extend(paths_where(&source, |path| path.starts("hickory_proto") || path.starts("hickory_net")));
        }
    }
    none("only milter/ knows indymilter, dns/ and the demo hickory, event/store/ the databases", broken);
}

#[test]
fn the_ground_floor_does_no_io_and_reads_no_clock() {
    let floors = floors();
    let outside = ["std::fs", "std::env", "std::process", "std::thread", "tokio", "tracing", "rustix"];
    // `now` is how jiff reads the clock; reading a date is no clock.
    let clocks =
        ["SystemTime", "Instant", "now", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener"];
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|source| floors.get(source.module()) == Some(&0)) {
        let code = source.code().lines().count();
        broken.extend(paths_where(&source, |path| {
            path.line <= code
                && (outside.iter().any(|prefix| path.starts(prefix)) || clocks.iter().any(|name| path.has(name)))
        }));
        let waits = source.words.iter().filter(|(_, word)| word == "async" || word == "await");
        broken.extend(waits.map(|(line, word)| format!("{}:{line}: {word}", source.file)));
    }
    none("floor 0: bytes in, values out, and time is an argument", broken);
}

#[test]
fn nothing_signs_or_decrypts_with_the_rsa_crate() {
    // The types and traits that use a private key, and their methods (RUSTSEC-2023-0071). Checking a signature and
    // recovering what it holds need the public key alone.
    let types = ["SigningKey", "BlindedSigningKey", "DecryptingKey", "Signer", "SignerMut", "RandomizedSigner"];
    let traits = ["PrehashSigner", "RandomizedPrehashSigner", "DigestSigner", "RandomizedDigestSigner", "Decryptor"];
    let methods = ["sign", "sign_with_rng", "sign_prehash", "try_sign", "decrypt", "decrypt_blinded"];
    let mut broken = Vec::new();
    for source in sources() {
        broken.extend(paths_where(&source, |path| {
            path.starts("rsa") && types.iter().chain(&traits).any(|name| path.has(name))
                || path.starts("rsa::signature")
                || path.starts("rsa::hazmat::rsa_decrypt")
                || path.starts("rsa::hazmat::rsa_decrypt_and_check")
        }));
        let code = source.code().lines().count();
        if source.paths.iter().any(|path| path.line <= code && path.starts("rsa::RsaPrivateKey")) {
            let calls =
                source.calls.iter().filter(|(line, method)| *line <= code && methods.contains(&method.as_str()));
            broken.extend(calls.map(|(line, method)| format!("{}:{line}: .{method}(", source.file)));
        }
    }
    none("aws-lc-rs makes signatures; `rsa` makes, reads and writes keys", broken);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    for source in sources().into_iter().chain(tests()) {
        // The code above the unit tests is what has to fit into a head; tests are tables, which may be longer.
        let lines = source.code().lines().count();
        if lines > if source.file.starts_with("src/") { 600 } else { 1000 } {
            broken.push(format!("{}: {lines} lines", source.file));
        }
        if !source.text.starts_with("//! ") {
            broken.push(format!("{}: does not open with what it is", source.file));
        }
    }
    none("files have about 500 lines at most and open with //!", broken);
}

/// Files that sleep although they are tests, and why that is not waiting for a guessed time.
const SLEEPERS: [(&str, &str); 3] = [
    ("tests/common/mod.rs", "the one place that waits, between two looks at what is waited for"),
    ("tests/common/faults.rs", "its name server answers late on purpose"),
    ("tests/cost.rs", "its name servers are far away, by a clock that stands still"),
];

#[test]
fn tests_wait_for_events_and_own_their_places() {
    let mut broken = Vec::new();
    for source in sources() {
        // Where the clock of tokio stands still, sleeping takes no time and is exact.
        let clock_stands_still = source.text.contains("start_paused = true");
        let from = source.code().lines().count();
        broken.extend(paths_where(&source, |path| path.line > from && path.has("sleep") && !clock_stands_still));
        broken.extend(ignored(&source));
    }
    for source in tests() {
        if !SLEEPERS.iter().any(|(file, _)| *file == source.file) {
            broken.extend(paths_where(&source, |path| path.has("sleep")));
        }
        broken.extend(ignored(&source));
        for (number, line) in source.text.lines().enumerate().filter(|_| source.file != file!()) {
            if line.contains("\"/tmp") || fixed_port(line) {
                broken.push(format!("{}:{}: {}", source.file, number + 1, line.trim()));
            }
        }
    }
    none("no sleep for synchronisation, no ignored test, no fixed port, no fixed path in /tmp", broken);
}

fn ignored(source: &Source) -> Vec<String> {
    let found = source.text.lines().zip(1..).filter(|(line, _)| line.trim_start().starts_with("#[ignore"));
    found.map(|(_, number)| format!("{}:{number}: #[ignore]", source.file)).collect()
}

/// Does the line bind or connect to a loopback address with a port other than 0?
fn fixed_port(line: &str) -> bool {
    let opens = ["bind(", "bind_", "connect("].iter().any(|call| line.contains(call));
    if !opens {
        return false;
    }
    ["127.0.0.1:", "[::1]:", "localhost:", "LOCALHOST, "].iter().any(|host| {
        line.match_indices(host).any(|(at, _)| {
            let port = line[at + host.len()..].trim_start_matches('0');
            port.starts_with(|c: char| c.is_ascii_digit())
        })
    })
}

#[test]
fn the_rules_see_what_they_forbid() {
    let source = Source::new(
        "src/dkim/bad.rs".into(),
        "//! Bad.\nuse crate::{message::Header, milter::{server, Server as S}};\nuse std::{fmt, fs};\n\
         // crate::cli\nfn f() -> &'static str { let _ = rsa::pkcs1v15::SigningKey::new(k).sign(b\"x\"); \"crate::http\" }\n"
            .into(),
    );
    let paths: Vec<String> = source.paths.iter().map(ToString::to_string).collect();
    assert_eq!(
        paths,
        [
            "crate::message::Header",
            "crate::milter::server",
            "crate::milter::Server",
            "std::fmt",
            "std::fs",
            "rsa::pkcs1v15::SigningKey::new"
        ]
    );
    assert_eq!(source.calls, [(5, "sign".to_string())]);
    assert_eq!((source.module(), source.depth()), ("dkim", 2));
    assert!(fixed_port("bind(\"127.0.0.1:25\")") && fixed_port("connect((Ipv4Addr::LOCALHOST, 25))"));
    assert!(!fixed_port("bind(\"127.0.0.1:0\")") && !fixed_port("socket = \"inet:127.0.0.1:25\""));
    assert!(floors().len() > 10);
}
