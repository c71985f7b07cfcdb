//! The confinement of systemd/waxseal.service, applied without systemd on a copy of this system: what it forbids is tried
//! and refused, and all that Waxseal does is done in it.
//!
//! tests/tools/sandbox.py reads the unit and applies it: the file system, the user, capabilities, limits, and system-call
//! filters made of systemd's own groups. What it does not know of the unit is an error.

mod common;

use common::{
    eventually,
    forge::{RSA_2048, Signer, Zone},
    nsd::Nsd,
    open_folder,
    postfix::{Options, Postfix},
    process::{Process, signal},
    sink::{Delivered, Sink},
    smtp::Envelope,
};
use std::{collections::BTreeMap, fs, io::Read, net::TcpStream, path::Path, process::Command, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);

/// What the unit promises: all of this is refused.
const REFUSED: &[&str] = &[
    "a shell",
    "another program",
    "a program written to the state",
    "a program written to the run folder",
    "a program written to /tmp",
    "a program written to /dev/shm",
    "a program in memory",
    "ptrace",
    "memory of another process",
    "a mount",
    "a new root",
    "a user namespace",
    "a user namespace by clone",
    "another namespace",
    "BPF",
    "performance counters",
    "page faults",
    "an io_uring",
    "a module",
    "a new kernel",
    "swap",
    "a reboot",
    "the clock",
    "the name of the host",
    "the kernel's log",
    "another personality",
    "real-time priority",
    "another user",
    "a core file",
    "memory to write and execute",
    "memory made executable",
    "AF_NETLINK",
    "AF_PACKET",
    "AF_ALG",
    "AF_VSOCK",
    "a raw socket",
    "set-user-id",
    "writing to /etc",
    "writing to the settings",
    "writing to /usr/bin",
    "writing to /var/spool",
    "writing to the home of root",
    "reading homes",
    "reading /etc/shadow",
    "the environment of others",
    "settings of the kernel",
    "the memory of the machine",
];

/// And this is not, since it is needed.
const PERMITTED: &[&str] = &[
    "the program itself",
    "reading the settings",
    "writing to the state",
    "writing to the run folder",
    "writing to /tmp",
    "AF_UNIX",
    "AF_INET",
    "AF_INET6",
];

/// What any user of this machine may do, so that it is the confinement that refuses it.
const ORDINARY: &[&str] = &[
    "a shell",
    "a program written to the state",
    "a program written to /tmp",
    "a program in memory",
    "ptrace",
    "another personality",
    "a core file",
    "memory to write and execute",
    "memory made executable",
    "AF_NETLINK",
    "set-user-id",
    "writing to the settings",
    "settings of the kernel",
];

/// Makes the key of example.com.
const KEYGEN: &str = "runuser -u waxseal -- waxseal keygen --domain example.com --selector s --out /etc/waxseal/keys \
                      --dns /dev/null >/dev/null";

/// A copy of this system with the program, its user and its settings; there, the tool runs in this mode.
fn on_a_copy(settings: &str, mode: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Nobody needs a key to try what is forbidden.
    let key = if mode == "run" { KEYGEN } else { "" };
    let script = format!(
        "install -m 0755 /waxseal.deb /usr/bin/waxseal
        getent passwd waxseal >/dev/null ||
            useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin waxseal
        install -d -o waxseal -g waxseal -m 0750 /etc/waxseal /var/lib/waxseal /run/waxseal
        install -d -o waxseal -g waxseal -m 0700 /etc/waxseal/keys
        {key}
        printf %s '{settings}' >/etc/waxseal/waxseal.toml
        chown waxseal /etc/waxseal/waxseal.toml
        exec /usr/bin/python3 {tool} {unit} {mode}",
        tool = root.join("tests/tools/sandbox.py").display(),
        unit = root.join("systemd/waxseal.service").display(),
    );
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--mount", "--fork", "--kill-child", "/bin/bash"]).arg(root.join("tests/tools/installed.sh"));
    command.arg(env!("CARGO_BIN_EXE_waxseal")).arg(script);
    command
}

/// What came of each attempt: `done`, or the name of an errno.
fn probe(mode: &str) -> BTreeMap<String, String> {
    let output = on_a_copy("", mode).output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().filter_map(|line| line.rsplit_once(": ")).map(|(name, what)| (name.into(), what.into())).collect()
}

#[test]
fn what_the_unit_forbids_is_refused() {
    let (confined, ordinary) = (probe("probe"), probe("probe-unconfined"));
    let is_done = |results: &BTreeMap<String, String>, name: &str| {
        results.get(name).unwrap_or_else(|| panic!("{name} was not tried: {results:?}")) == "done"
    };
    for (name, came) in &confined {
        println!("{name}: {came}, without confinement {}", ordinary[name]);
    }
    let wrong: Vec<_> = REFUSED.iter().filter(|name| is_done(&confined, name)).collect();
    assert!(wrong.is_empty(), "not refused: {wrong:?}");
    let wrong: Vec<_> = PERMITTED.iter().filter(|name| !is_done(&confined, name)).collect();
    assert!(wrong.is_empty(), "refused although needed: {wrong:?} of {confined:?}");
    let wrong: Vec<_> = ORDINARY.iter().filter(|name| !is_done(&ordinary, name)).collect();
    assert!(wrong.is_empty(), "refused without confinement too, so that nothing is proved: {wrong:?}");
    assert_eq!(confined.len(), REFUSED.len() + PERMITTED.len(), "each attempt is judged");
}

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";

/// Signs, verifies, stores, serves its pages, reloads and ends.
#[test]
fn all_that_waxseal_does_is_permitted() {
    let zone = Zone::default()
        .line(SOA)
        .txt("_dmarc.sender.example", "v=DMARC1; p=reject")
        .txt("sel._domainkey.sender.example", &RSA_2048.record());
    let names = Nsd::start(&[("example", zone.text())]);
    let settings = format!(
        "key_directory = \"keys\"\nlog.format = \"json\"\nstore.url = \"sqlite:/var/lib/waxseal/events.db\"\n\
         watch.enabled = false\nhttp.listen = \"127.0.0.1:0\"\nverify.resolver = \"{}\"\nverify.authserv_id = \"mx.test\"\n\
         [[listener]]\nsocket = \"inet:127.0.0.1:0\"\n[[listener]]\nsocket = \"unix:/run/waxseal/milter.sock\"\n\
         [domains.\"example.com\"]\nselector = \"s\"\nkey = \"keys/example.com.s.pem\"\n",
        names.address()
    );
    let folder = open_folder();
    let mut process = Process::start(on_a_copy(&settings, "run"), folder.path().join("log"));
    let said = |what: &str, start: &str| {
        eventually(what, LIMIT, || {
            let said = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut texts = lines.filter_map(|line| Some(line["message"].as_str()?.to_owned()));
            texts.find_map(|text| text.strip_prefix(start).map(str::to_owned))
        })
    };
    said("it serves", "ready: ");
    let pid = program_of(process.id());
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }

    let sink = Sink::start();
    let milter = said("its address", "listening on inet:");
    let postfix = Postfix::start(&Options::new(sink.address(), format!("inet:{milter}")));
    let ours = b"From: a@example.com\r\nSubject: ours\r\n\r\nbody\r\n";
    let theirs = Signer::new(&RSA_2048, "sender.example").sign(
        b"From: a@sender.example\r\nTo: b@example.com\r\nSubject: theirs\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\n\r\nx\r\n",
    );
    for (client, from, mail) in
        [(None, "a@example.com", &ours[..]), (Some("ADDR=192.0.2.7"), "a@sender.example", &theirs)]
    {
        let mut connection = postfix.client();
        client.into_iter().for_each(|client| connection.pretend(client).expect("XCLIENT"));
        let envelope = Envelope { mail_from: from, rcpt_to: vec!["b@sink.example"], utf8: false };
        let reply = connection.send(&envelope, mail).expect("Postfix answers");
        assert_eq!(reply.code, 250, "{reply:?} {}", process.said());
    }
    let arrived = sink.wait_for(2, LIMIT);
    let text = |one: &Delivered| String::from_utf8_lossy(&one.bytes).into_owned();
    let has = |what: &str| arrived.iter().any(|one| text(one).contains(what));
    assert!(has("DKIM-Signature: v=1; a=rsa-sha256; d=example.com") || has("d=example.com; s=s;"), "{arrived:?}");
    assert!(has("dkim=pass"), "{arrived:?}");

    let pages = said("where its pages are", "metrics and status page on http://");
    let metrics = get(pages.trim_end_matches('/'), "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    eventually("the events are stored", LIMIT, || {
        fs::metadata(format!("/proc/{pid}/root/var/lib/waxseal/events.db"))
            .is_ok_and(|file| file.len() > 0)
            .then_some(())
    });
    signal(pid, "HUP");
    said("it reloads", "reloaded: ");
    signal(pid, "TERM");
    let status = process.wait(LIMIT);
    assert!(status.success(), "{status}: {}", process.said());
    let log = process.said();
    assert!(!log.contains("not permitted") && !log.contains("\"level\":\"error\""), "{log}");
}

/// The one child of `unshare`, which has become the program.
fn program_of(unshare: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("it lives");
    children.trim().parse().expect("one child")
}

fn get(address: &str, path: &str) -> String {
    use std::io::Write;
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
