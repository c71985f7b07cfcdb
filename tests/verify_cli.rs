//! `waxseal verify` as people and scripts run it: the JSON of the contract, the exit status, the screen, and what it says
//! about files that are no plain messages.

mod common;

use common::{
    desk::Desk,
    forge::{Key, RSA_2048, Signer, Zone},
    seal::Sealer,
};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::{SocketAddr, UdpSocket},
    process::{Command, Output, Stdio},
    thread,
};

const MAIL: &str = "From: Billing <billing@example.com>\r\nTo: a@example.net\r\nSubject: an invoice\r\n\
                    Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n\r\nHello,\r\nthe end\r\n";

const AT: &str = "2026-11-23T04:00:00Z";

fn key() -> &'static Key {
    &RSA_2048
}

fn zone() -> Zone {
    Zone::default()
        .txt("sel._domainkey.example.com", &key().record())
        .txt("example.com", "v=spf1 ip4:192.0.2.0/24 ~all")
        .txt("_dmarc.example.com", "v=DMARC1; p=quarantine")
}

fn signed() -> Vec<u8> {
    Signer::new(key(), "example.com").sign(MAIL.as_bytes())
}

fn changed(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).expect("text");
    assert!(text.contains(from), "{from:?} is not in the message");
    text.replacen(from, to, 1).into_bytes()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn the_json_is_that_of_the_contract() {
    let desk = Desk::new(&zone());
    let mail = changed(&signed(), "the end", "the end\r\n-- \r\nscanned");
    let envelope =
        ["--at", AT, "--client-ip", "198.51.100.7", "--helo", "mx.example.com", "--mail-from", "b@example.com"];
    let (report, status) = desk.judge(&mail, &envelope);
    assert_eq!(status, 1);
    let expected = json!({
        "schema": "waxseal.verify/1", "file": "mail", "at": AT, "from": "billing@example.com",
        "arc": {"result": "none", "instances": 0}, "notes": [], "authenticates": false,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&report[name], value, "{name}");
    }
    let dkim = json!({
        "index": 1, "domain": "example.com", "selector": "sel", "algorithm": "rsa-sha256",
        "canonicalization": "relaxed/relaxed", "key_bits": 2048, "result": "fail", "reason": "body hash did not verify",
        "aligned": true, "body": "changed", "header": "intact", "key": "signer",
    });
    for (name, value) in dkim.as_object().expect("an object") {
        assert_eq!(&report["dkim"][0][name], value, "dkim {name}");
    }
    let spf = json!({
        "result": "softfail", "scope": "mfrom", "domain": "example.com", "client_ip": "198.51.100.7",
        "reason": "matched ~all",
    });
    for (name, value) in spf.as_object().expect("an object") {
        assert_eq!(&report["spf"][name], value, "spf {name}");
    }
    let dmarc = json!({
        "result": "fail", "domain": "example.com", "policy": "quarantine", "dkim_aligned": false, "spf_aligned": false,
    });
    for (name, value) in dmarc.as_object().expect("an object") {
        assert_eq!(&report["dmarc"][name], value, "dmarc {name}");
    }
    let field = report["authentication_results"].as_str().expect("text");
    for part in [
        "localhost; ",
        "dkim=fail reason=\"body hash did not verify\" header.d=example.com",
        "spf=softfail",
        "smtp.mailfrom=b@example.com",
        "dmarc=fail",
        "header.from=example.com",
    ] {
        assert!(field.contains(part), "{part} in {field}");
    }
    assert!(!field.contains(['\r', '\n']), "{field}");
    assert!(
        desk.judge(&mail, &["--authserv-id", "mx.example.net"]).0["authentication_results"]
            .as_str()
            .is_some_and(|field| field.starts_with("mx.example.net; "))
    );
    for name in ["", "two words", "x;dkim=pass", "(x)", "\"x\"", "x\r\ny"] {
        let output = desk.verify(["--authserv-id", name, "mail"]);
        assert_eq!(output.status.code(), Some(2), "{name:?}: no reader would find its results");
    }
}

#[test]
fn two_runs_say_the_same() {
    let desk = Desk::new(&zone());
    desk.put("mail", signed());
    let arguments = ["--dns", "zone", "--json", "--at", AT, "--client-ip", "192.0.2.1", "--mail-from", "", "mail"];
    let (one, two) = (desk.verify(arguments), desk.verify(arguments));
    assert_eq!(stdout(&one), stdout(&two));
    assert_eq!(one.status.code(), Some(0));
}

#[test]
fn the_exit_status_is_the_worst_of_all() {
    let desk = Desk::new(&zone());
    let good = signed();
    desk.put("good", &good);
    desk.put("bad", changed(&good, "Hello", "Hallo"));
    desk.put("plain", MAIL);
    for (arguments, want) in [
        (&["--dns", "zone", "good"][..], 0),
        (&["--dns", "zone", "bad"], 1),
        (&["--dns", "zone", "good", "bad"], 1),
        (&["--dns", "zone", "plain"], 1),
        // Without a signature that holds, SPF must do it.
        (&["--dns", "zone", "--client-ip", "192.0.2.1", "--mail-from", "x@example.com", "plain"], 0),
        (&["--dns", "zone", "--client-ip", "192.0.2.1", "--mail-from", "x@example.org", "plain"], 1),
        (&["--dns", "zone", "good", "absent"], 2),
        (&["--dns", "absent", "good"], 2),
        (&["--dns", "good", "good"], 2),
        (&["--dns", "zone", "--resolver", "127.0.0.1", "good"], 2),
        (&["--dns", "zone", "--at", "yesterday", "good"], 2),
        (&["--dns", "zone", "--at", "1969-12-31T23:59:59Z", "good"], 2),
        (&["--dns", "zone", "--client-ip", "nobody", "good"], 2),
        (&["--dns", "zone", "--record-dns", "absent/file", "good"], 2),
        (&["--dns", "zone", "--environment", "private", "good"], 2),
        (&["--dns", "zone", "--environment", "moon", "--region", "kr", "good"], 2),
        (&["--dns", "zone", "--provider", "nobody", "good"], 2),
        (&["--dns", "zone", "--environment", "private", "--region", "kr", "--token", "t", "good"], 0),
        (&["--dns", "zone"], 2),
    ] {
        let output = desk.verify(arguments.iter().copied());
        assert_eq!(output.status.code(), Some(want), "{arguments:?} {output:?}");
        assert_eq!(stderr(&output).is_empty(), want != 2, "{arguments:?} {output:?}");
    }
}

#[test]
fn without_a_dmarc_record_an_aligned_pass_is_enough() {
    let records =
        |name: &str| Zone::default().txt(name, &key().record()).txt("example.org", "v=spf1 ip4:192.0.2.1 -all");
    let desk = Desk::new(&records("sel._domainkey.example.com"));
    let (report, status) = desk.judge(&signed(), &[]);
    assert_eq!(
        (status, &report["dmarc"]["result"], &report["dmarc"]["dkim_aligned"]),
        (0, &json!("none"), &json!(true))
    );
    let desk = Desk::new(&records("sel._domainkey.example.org"));
    let stranger = Signer::new(key(), "example.org").sign(MAIL.as_bytes());
    let (report, status) = desk.judge(&stranger, &["--client-ip", "192.0.2.1", "--mail-from", "x@example.org"]);
    assert_eq!(status, 1, "{report:#}");
    assert_eq!((&report["dkim"][0]["result"], &report["spf"]["result"]), (&json!("pass"), &json!("pass")));
    assert_eq!((&report["dkim"][0]["aligned"], &report["authenticates"]), (&json!(false), &json!(false)));
}

/// A resolver that answers every question with this rcode.
fn resolver(rcode: u8) -> SocketAddr {
    let socket = UdpSocket::bind((common::loopback(), 0)).expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            // QR and RA set; the question is left as it is, and what follows it is dropped.
            let end = 12 + packet[12..length].iter().position(|&octet| octet == 0).unwrap_or(0) + 5;
            packet[2] |= 0x80;
            packet[3] = 0x80 | rcode;
            packet[6..12].fill(0);
            let _ = socket.send_to(&packet[..end.min(length)], client);
        }
    });
    address
}

#[test]
fn only_a_fault_of_dns_is_temporary() {
    let desk = Desk::new(&zone());
    desk.put("good", signed());
    desk.put("plain", MAIL);
    for (rcode, name, want) in [(2, "SERVFAIL", 75), (5, "REFUSED", 75), (3, "NXDOMAIN", 1)] {
        let resolver = resolver(rcode).to_string();
        let output = desk.verify(["--resolver", &resolver, "--json", "good"]);
        assert_eq!(output.status.code(), Some(want), "{name} {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let word = if want == 75 { "temperror" } else { "permerror" };
        assert_eq!(report["dkim"][0]["result"], word, "{name}");
        // Nothing would have authenticated this one, whatever DNS had said.
        let output = desk.verify(["--resolver", &resolver, "plain"]);
        assert_eq!(output.status.code(), Some(1), "{name} {output:?}");
    }
}

#[test]
fn a_recording_gives_the_same_answers_again() {
    let desk = Desk::new(&zone());
    desk.put("mail", changed(&signed(), "Hello", "Hallo"));
    let envelope = [
        "--json",
        "--at",
        AT,
        "--client-ip",
        "192.0.2.1",
        "--helo",
        "mx.example.com",
        "--mail-from",
        "x@example.com",
        "mail",
    ];
    let first = desk.verify(["--dns", "zone", "--record-dns", "seen"].into_iter().chain(envelope));
    let again = desk.verify(["--dns", "seen"].into_iter().chain(envelope));
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(stdout(&first), stdout(&again));
    let seen = std::fs::read_to_string(desk.path("seen")).expect("the recording");
    for name in ["sel._domainkey.example.com.", "_dmarc.example.com.", "\nexample.com."] {
        assert!(seen.contains(name), "{name} in {seen}");
    }
}

#[test]
fn a_private_key_in_dns_is_never_shown_nor_recorded() {
    for private in key().private() {
        for record in [
            format!("v=DKIM1; k=rsa; p={private}"),
            format!("v=DKIM1; k=rsa p={private}"),
            format!("p=\"{private}\""),
            format!("v=DKIM1; p={}", &private[..200]),
        ] {
            let desk = Desk::new(&Zone::default().txt("sel._domainkey.example.com", &record));
            desk.put("mail", signed());
            let run = |arguments: &[&str]| desk.verify(arguments.iter().copied().chain(["--at", AT, "mail"]));
            let json = run(&["--dns", "zone", "--record-dns", "seen", "--json"]);
            let screen = run(&["--dns", "zone"]);
            let seen = std::fs::read_to_string(desk.path("seen")).expect("the recording");
            for said in [stdout(&json), stderr(&json), stdout(&screen), stderr(&screen), seen.clone()] {
                assert!(private.as_bytes().windows(12).all(|part| !said.contains(text(part))), "{record}\n{said}");
            }
            let report: Value = serde_json::from_str(&stdout(&json)).expect("JSON");
            let dkim = [&report["dkim"][0]["result"], &report["dkim"][0]["reason"]];
            assert_eq!(dkim, [&json!("permerror"), &json!("the key record holds a private key")]);
            assert!(seen.contains("SHA-256 of the record ") && !seen.contains("not in this file"), "{seen}");
            assert_eq!(stdout(&json), stdout(&run(&["--dns", "seen", "--json"])));
        }
    }
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).expect("text")
}

#[test]
fn the_envelope_is_taken_from_the_message_where_it_says_it() {
    let desk = Desk::new(&zone());
    let trace = "Return-Path: <b@example.com>\r\n\
                 Received: from localhost (localhost [127.0.0.1]) by mx.example.net (Postfix) with ESMTP id 2; Mon, 23 Nov 2026 04:00:02 +0000\r\n\
                 Received: from mail.example.com (unknown [192.0.2.9])\r\n\tby mx.example.net (Postfix) with ESMTP id 1;\r\n\tMon, 23 Nov 2026 04:00:01 +0000\r\n";
    let mail = [trace.as_bytes(), MAIL.as_bytes()].concat();
    let (report, status) = desk.judge(&mail, &[]);
    assert_eq!(status, 0, "{report:#}");
    assert_eq!((&report["spf"]["result"], &report["spf"]["client_ip"]), (&json!("pass"), &json!("192.0.2.9")));
    assert_eq!(report["spf"]["helo"]["domain"], "mail.example.com");
    // What the command line says counts more; what was said of one client is not mixed with another.
    let (report, _) = desk.judge(&mail, &["--client-ip", "198.51.100.1"]);
    assert_eq!((&report["spf"]["result"], &report["spf"]["domain"]), (&json!("softfail"), &json!("example.com")));
    assert_eq!(report["spf"]["helo"]["domain"], Value::Null);
    let (report, _) = desk.judge(&mail, &["--mail-from", "<>"]);
    assert_eq!((&report["spf"]["scope"], &report["spf"]["domain"]), (&json!("helo"), &json!("mail.example.com")));
    let (report, _) = desk.judge(MAIL.as_bytes(), &[]);
    assert_eq!(report["spf"]["result"], "none");
    let why = report["spf"]["reason"].as_str().expect("a reason");
    assert!(why.contains("--client-ip"), "{report:#}");
    let results = report["authentication_results"].as_str().expect("a field");
    assert!(results.contains(&format!("spf=none reason=\"{why}\"")), "{results}");
    let (report, _) = desk.judge(MAIL.as_bytes(), &["--client-ip", "192.0.2.9"]);
    assert_eq!(report["spf"]["result"], "none");
    assert!(report["spf"]["reason"].as_str().is_some_and(|why| why.contains("--mail-from")), "{report:#}");
}

#[test]
fn line_ends_are_given_and_all_else_is_said_and_left_alone() {
    let desk = Desk::new(&zone());
    let good = signed();
    let lf = String::from_utf8(good.clone()).expect("text").replace("\r\n", "\n").into_bytes();
    let mbox =
        [b"From billing@example.com Mon Nov 23 04:00:00 2026\n", &lf[..], b"\nFrom x Mon\nFrom: y\n\nz\n"].concat();
    let stuffed = Signer::new(key(), "example.com").sign(&changed(MAIL.as_bytes(), "the end", ".the end"));
    let stuffed = changed(&stuffed, "\r\n.the end", "\r\n..the end");
    for (mail, result, note) in [
        (good.clone(), "pass", None),
        (lf, "pass", Some("LF")),
        (mbox, "fail", Some("2 \"From \" lines")),
        (stuffed, "fail", Some("two dots")),
        ([&good[..], b".\r\n"].concat(), "fail", Some("ends DATA")),
        ([b"\xef\xbb\xbf", &good[..]].concat(), "", Some("byte order mark")),
        ([b"\r\n", &good[..]].concat(), "", Some("no header")),
        (b"".to_vec(), "", Some("empty")),
    ] {
        let (report, _) = desk.judge(&mail, &[]);
        let notes = report["notes"].as_array().expect("an array");
        match note {
            None => assert!(notes.is_empty(), "{notes:?}"),
            Some(part) => {
                assert!(
                    notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains(part))),
                    "{part} in {notes:?}"
                );
            }
        }
        assert_eq!(report["dkim"][0]["result"].as_str().unwrap_or_default(), result, "{note:?}");
    }
}

#[test]
fn several_files_are_an_array_and_none_stops_the_others() {
    let desk = Desk::new(&zone());
    for number in 0..20 {
        let mail = if number % 2 == 0 { signed() } else { MAIL.into() };
        desk.put(&format!("{number}.eml"), mail);
    }
    let names: Vec<String> = (0..20).map(|number| format!("{number}.eml")).collect();
    let mut arguments = vec!["--dns", "zone", "--json", "absent"];
    arguments.extend(names.iter().map(String::as_str));
    let output = desk.verify(arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("absent: "), "{}", stderr(&output));
    let reports: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    let files: Vec<&str> = reports.iter().map(|report| report["file"].as_str().expect("text")).collect();
    assert_eq!(files, names, "in the order of the arguments");
    for (number, report) in reports.iter().enumerate() {
        assert_eq!(report["authenticates"], number % 2 == 0, "{number}");
    }
    let output = desk.verify(["--dns", "zone", "--json", "absent", "absent"]);
    assert_eq!((output.status.code(), stdout(&output).trim()), (Some(2), "[]"));
    let output = desk.verify(["--dns", "zone", "--json", "absent"]);
    assert_eq!((output.status.code(), stdout(&output).trim()), (Some(2), ""));
}

#[test]
fn standard_input_is_a_message() {
    let desk = Desk::new(&zone());
    let mut child = desk
        .command(["--dns", "zone", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    child.stdin.take().expect("a pipe").write_all(&signed()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &report["file"]), (Some(0), &json!("-")));
}

#[test]
fn people_see_the_result_first_and_nothing_of_a_stranger_moves_their_cursor() {
    let desk = Desk::new(&zone());
    let mail = changed(&signed(), "Hello", "Hallo");
    desk.put("mail", &mail);
    desk.put("sealers", Zone::default().txt("sel._domainkey.seal.example", &key().record()).text());
    let output = desk.verify(["--dns", "zone", "--client-ip", "198.51.100.7", "--mail-from", "x@example.com", "mail"]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "mail: does not authenticate");
    // What broke it follows, with its evidence.
    assert!(lines.len() <= 40 && lines.iter().all(|line| line.len() <= 100), "{text}");
    // Results stand in one column.
    let columns = [("dmarc", "fail"), ("dkim", "fail"), ("spf", "softfail")].map(|(method, word)| {
        let line = lines.iter().find(|line| line.trim_start().starts_with(method)).expect("a line for each method");
        line.find(word).expect("its word")
    });
    assert!(columns.iter().all(|&column| column == columns[0]), "{text}");
    assert!(text.contains("body hash did not verify") && text.contains("matched ~all"), "{text}");
    assert!(!text.contains('\x1b'), "no colour in a pipe: {text:?}");

    let sealed = Sealer::new(key(), "seal.example", 1).seal(MAIL.as_bytes());
    desk.put("sealed", &sealed);
    let text = stdout(&desk.verify(["--dns", "sealers", "sealed"]));
    assert!(text.contains("arc    pass       sealed by seal.example"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("  arc ")).count(), 1, "{text}");

    let hostile = "From: \"\x1b[2J\u{202e}\" <\"\u{202e}gnp\x1b\"@example.com>\r\nDKIM-Signature: v=\x1b[31m; a=\u{202e}; d=\u{202e}\r\n\r\n";
    desk.put("\u{202e}evil\x1b[2J", hostile);
    let output = desk.verify([
        "--dns",
        "zone",
        "--helo",
        "\x1b[2J",
        "--client-ip",
        "192.0.2.1",
        "--mail-from",
        "\"\x1b\"@x.example.com",
        "\u{202e}evil\x1b[2J",
    ]);
    let text = stdout(&output);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'), "{text:?}");
}

#[test]
fn there_is_colour_on_a_terminal_unless_refused() {
    let desk = Desk::new(&zone());
    desk.put("mail", signed());
    // util-linux has `script`, which gives a program a terminal.
    let run = |refusal: &str| {
        let command = format!("exec '{}' verify --dns zone mail", env!("CARGO_BIN_EXE_waxseal"));
        let output = Command::new(common::program("/usr/bin/script"))
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env("NO_COLOR", refusal)
            .current_dir(desk.path(""))
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        stdout(&output)
    };
    assert!(run("").contains("\x1b[32m"), "{}", run(""));
    assert!(!run("1").contains('\x1b'), "{}", run("1"));
}

/// What is temporary stays so when the run is made again from its recording.
#[test]
fn a_recording_gives_faults_again() {
    let desk = Desk::new(&zone());
    desk.put("good", signed());
    for (name, rcode) in [("SERVFAIL", 2), ("REFUSED", 5), ("another rcode", 15)] {
        let resolver = resolver(rcode).to_string();
        let run = |source: &[&str]| desk.verify(source.iter().copied().chain(["--at", AT, "--json", "good"]));
        let first = run(&["--resolver", &resolver, "--record-dns", "seen"]);
        assert_eq!(first.status.code(), Some(75), "{name} {first:?}");
        let again = run(&["--dns", "seen"]);
        assert_eq!(again.status.code(), Some(75), "{name} {again:?}");
        let dkim = |output: &Output| {
            let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            [&report["dkim"], &report["dmarc"], &report["authentication_results"]].map(Value::to_string)
        };
        assert_eq!(dkim(&first), dkim(&again), "{name}");
    }
}

/// What is copied is never torn; all else ends where the terminal ends, and goes on under its own column.
#[test]
fn screens_are_as_wide_as_the_terminal() {
    let desk = Desk::new(&zone());
    desk.put("mail", changed(&signed(), "Hello", "Hallo"));
    for columns in [60, 72, 90] {
        let screens: [&[&str]; 3] = [
            &[
                "verify",
                "--dns",
                "zone",
                "--at",
                AT,
                "--client-ip",
                "198.51.100.1",
                "--mail-from",
                "x@example.com",
                "mail",
            ],
            &["check", "--dns", "zone", "example.com", "--selector", "absent"],
            &["explain", "dkim-key-split-across-records"],
        ];
        for arguments in screens {
            let output = Command::new(env!("CARGO_BIN_EXE_waxseal"))
                .current_dir(desk.path("."))
                .env("COLUMNS", columns.to_string())
                .args(arguments)
                .output()
                .expect("waxseal runs");
            let screen = stdout(&output);
            assert!(screen.lines().count() > 5, "{screen} {}", stderr(&output));
            for line in screen.lines() {
                let words = line.split_whitespace().count();
                assert!(line.chars().count() <= columns || words <= 2, "{columns}: {line:?} in\n{screen}");
            }
        }
    }
}
