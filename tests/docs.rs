//! What the documentation shows is true: commands run, settings are read, lines for Postfix are accepted and do what is
//! said of them, and every reason that the log can give is explained.

mod common;

use common::{
    eventually, free_address, open_folder,
    postfix::{Options, Postfix},
    process::{Process, run},
    program,
    sink::Sink,
    smtp::{Client, Envelope},
};
use indymilter_test::{MacroStage, SocketInfo, TestConnection};
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use waxseal::{
    address::{AddressError, AddressErrorKind, AuthorError},
    config::Settings,
    dkim::KeyType,
    key::{self, KeyReason},
    milter::{Server, route::Why},
    name::DomainName,
    sign::Refusal,
};

const WAXSEAL: &str = env!("CARGO_BIN_EXE_waxseal");
const LIMIT: Duration = Duration::from_secs(30);
/// The ports of the listeners in the recipes.
const SIGNING: u16 = 8892;
const VERIFYING: u16 = 8893;
const PAGES: [&str; 8] = [
    "README.md",
    "docs/README.md",
    "docs/SECURITY.md",
    "docs/design.md",
    "docs/operations.md",
    "docs/benchmarks.md",
    "docs/performance.md",
    "docs/reliability.md",
];
const RECIPES: [&str; 3] = ["master.cf.example", "master.cf.content-filter.example", "master.cf.outbound-mark.example"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The contents of the fenced blocks of a page that have this info string.
fn blocks(page: &str, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(given)) => open = Some((given == info, String::new())),
            (Some((wanted, text)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(text));
                }
                open = None;
            }
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

fn read_settings(text: &str, whence: &str) -> Settings {
    Settings::parse(text, Path::new("/etc/waxseal/waxseal.toml"))
        .unwrap_or_else(|why| panic!("{whence}: {why}\n{text}"))
}

#[test]
fn links_lead_somewhere() {
    for name in PAGES {
        let text = page(name);
        let folder = root().join(name).parent().expect("a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { root().join(name) } else { folder.join(file) };
            assert!(linked.exists(), "{name}: {target}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&linked).expect("a page");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let plain = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                assert!(headings.map(plain).any(|heading| heading == anchor), "{name}: {target}");
            }
        }
    }
}

#[test]
fn settings_that_are_shown_are_settings() {
    let mut count = 0;
    for name in PAGES {
        for block in blocks(&page(name), "toml") {
            read_settings(&block, name);
            count += 1;
        }
    }
    assert!(count >= 4, "{count} blocks");
    for recipe in RECIPES {
        read_settings(&settings_of(recipe), recipe);
    }
}

/// The settings in the comments of a recipe: what is indented after the line that names waxseal.toml.
fn settings_of(recipe: &str) -> String {
    let text = page(&format!("conf/postfix/{recipe}"));
    let lines = text.lines().skip_while(|line| !line.starts_with("# waxseal.toml")).skip(1);
    let lines = lines.map_while(|line| line.strip_prefix('#'));
    let mut settings = String::new();
    for line in
        lines.skip_while(|line| !line.starts_with("   ")).take_while(|line| line.is_empty() || line.starts_with("   "))
    {
        let _ = writeln!(settings, "{}", line.trim());
    }
    assert!(settings.contains("[[listener]]"), "{recipe}: {settings}");
    settings
}

/// Both commands at the top of README.md: one is run here, and the other is running this test.
#[test]
fn the_two_commands_work() {
    let commands = blocks(&page("README.md"), "sh");
    assert_eq!(commands, ["cargo run --release -- demo\n", "tests/run\n"]);
    run(Command::new(WAXSEAL).arg("demo"));
    run(Command::new("bash").arg("-n").arg(root().join("tests/run")));
}

/// Every command line that needs root: ours are run, in a folder of their own and without a network; of the others the
/// files and units that they name exist.
#[test]
fn commands_for_root_work() {
    let home = open_folder();
    let zone = home.path().join("zone");
    fs::write(&zone, "$ORIGIN example.com.\n@ 300 IN SOA ns.example.com. root.example.com. 1 1 1 1 60\n")
        .expect("written");
    let mut ours = 0;
    for name in ["README.md", "docs/operations.md"] {
        for block in blocks(&page(name), "sh as-root") {
            for line in block.lines() {
                let line = line.strip_prefix("runuser -u waxseal -- ").unwrap_or(line);
                match line.strip_prefix("waxseal ") {
                    Some(arguments) => {
                        run_ours(home.path(), &zone, arguments);
                        ours += 1;
                    }
                    None => names_what_exists(line),
                }
            }
        }
    }
    assert!(ours >= 4, "{ours} commands of ours");
}

fn run_ours(home: &Path, zone: &Path, arguments: &str) {
    let mut command = Command::new(WAXSEAL);
    let there = home.join("etc");
    command.args(arguments.split(' ').map(|word| word.replace("/etc/waxseal", &there.display().to_string())));
    let subcommand: Vec<&str> = arguments.split(' ').take_while(|word| !word.starts_with('-')).collect();
    match subcommand[..] {
        ["config", "init"] => command.arg("--dir").arg(&there).arg("--dns").arg(zone),
        ["config", "check"] => command.arg("--config").arg(there.join("waxseal.toml")),
        ["keygen"] if arguments.contains("--rotate") => {
            command.arg("--config").arg(rotating(home)).arg("--dns").arg(zone)
        }
        ["keygen"] => command.arg("--dns").arg(zone),
        // The service would have made the store by then: an event of a log stands in for it.
        ["log", ..] => {
            let log = home.join("log");
            fs::write(&log, "{\"action\":\"pass\"}\n").expect("written");
            command.arg("--from-log").arg(log)
        }
        _ => panic!("teach this test how to run: {arguments}"),
    };
    run(&mut command);
}

/// Settings of a domain whose selector can change.
fn rotating(home: &Path) -> PathBuf {
    let keys = home.join("rotating-keys");
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&keys).expect("a folder");
    let key = waxseal::key::generate(waxseal::dkim::KeyType::Rsa).expect("a key");
    key.write(&keys.join("example.com.mail.pem")).expect("written");
    let file = home.join("rotating.toml");
    let text = "key_directory = \"rotating-keys\"\nrotation.path = \"rotations\"\n\
                [domains.\"example.com\"]\nselector = \"mail\"\n";
    fs::write(&file, text).expect("written");
    file
}

fn names_what_exists(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["cargo", "build", "--release", "--locked"] => {}
        ["install", "-m", _, ref files @ .., _] => {
            for file in files.iter().filter(|file| !file.starts_with("target/")) {
                assert!(root().join(file).is_file(), "{line}: {file}");
            }
        }
        ["systemctl", .., unit] | ["journalctl", "-u", unit, ..] if unit.contains("waxseal") => {
            assert!(root().join("systemd").join(unit).is_file(), "{line}: {unit}");
        }
        // tests/package.rs makes and installs it.
        [script @ "conf/debian/build", "."] => assert!(root().join(script).is_file(), "{line}"),
        ["apt-get", "install", ..] => {}
        ["systemctl", "daemon-reload"] | ["useradd", ..] | ["install", "-d", ..] => {}
        _ => panic!("teach this test what to look at: {line}"),
    }
}

#[test]
fn every_command_is_in_the_table() {
    let help = run(Command::new(WAXSEAL).arg("--help"));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let readme = page("README.md");
    for command in commands.filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help") {
        assert!(readme.contains(&format!("| `waxseal {command}")), "README.md does not name `waxseal {command}`");
    }
    for line in readme.lines().filter_map(|line| line.strip_prefix("| `waxseal ")) {
        let arguments: Vec<&str> = line.split('`').next().expect("a command").split(' ').collect();
        run(Command::new(WAXSEAL).args(arguments).arg("--help"));
    }
}

#[test]
fn the_commands_that_read_the_settings_are_those_that_are_named() {
    let readme = page("README.md");
    let sentence = readme.lines().find(|line| line.contains("or the file named by `--config`")).expect("the sentence");
    let (named, _) = sentence.split_once(" read `").expect("what they read");
    let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
    let mut reading = Vec::new();
    for line in readme.lines().filter_map(|line| line.strip_prefix("| `waxseal ")) {
        let command = line.split('`').next().expect("a command");
        let help = run(Command::new(WAXSEAL).args(command.split(' ')).arg("--help"));
        if help.contains("--config <FILE>") {
            assert!(help.contains("/etc/waxseal/waxseal.toml"), "{command}: {help}");
            reading.push(command);
        }
    }
    reading.sort_unstable();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, reading, "{sentence}");
}

/// The log line of README.md has the fields of a real one, in their order.
#[tokio::test]
async fn the_log_line_that_is_shown_is_a_real_one() {
    let home = open_folder();
    let keys = home.path().join("keys");
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&keys).expect("a folder");
    key::generate(KeyType::Rsa).expect("a key").write(&keys.join("example.com.ncpcompubkr.pem")).expect("written");
    let socket = home.path().join("milter.sock");
    let settings = format!(
        "watch.enabled = false\n[[listener]]\nsocket = \"unix:{}\"\n[domains.\"example.com\"]\nenvironment = \"private\"\nregion = \"kr\"\n",
        socket.display()
    );
    fs::write(home.path().join("waxseal.toml"), settings).expect("written");
    let mut command = Command::new(WAXSEAL);
    command.arg("run").arg("--config").arg(home.path().join("waxseal.toml")).env("JOURNAL_STREAM", "1:1");
    let process = Process::start(command, home.path().join("log"));
    eventually("it serves", LIMIT, || process.said().contains("ready: ").then_some(()));

    let mut mta = TestConnection::configure().exact_leading_space(true).open_unix(&socket).await.expect("negotiated");
    let client = SocketInfo::Inet("192.0.2.7:40000".parse().expect("an address"));
    mta.connect("client.example.com", client).await.expect("connect");
    mta.macros(MacroStage::Mail, [("{auth_authen}", "ann")]).await.expect("macros");
    mta.mail(["<ann@example.com>"]).await.expect("MAIL");
    mta.rcpt(["<bob@example.net>"]).await.expect("RCPT");
    for (name, value) in [("From", " <ann@example.com>"), ("Message-ID", " <1@example.com>")] {
        mta.header(name, value).await.expect("a field");
    }
    mta.macros(MacroStage::Eoh, [("i", "4bWq3T1zKpz9vK")]).await.expect("macros");
    mta.eoh().await.expect("end of header");
    mta.body(&b"Hello\r\n"[..]).await.expect("a piece");
    mta.macros(MacroStage::Eom, [("i", "4bWq3T1zKpz9vK")]).await.expect("macros");
    mta.eom().await.expect("end of message");
    mta.close().await.expect("closed");

    let real = eventually("the line", LIMIT, || {
        process.said().lines().find(|line| line.starts_with("4bWq3T1zKpz9vK: ")).map(str::to_owned)
    });
    let plain = |line: &str| -> String {
        let measured = |word: &&str| !word.starts_with("size=") && !word.starts_with("millis=");
        line.split_whitespace().filter(measured).collect::<Vec<_>>().join(" ")
    };
    let shown = blocks(&page("README.md"), "text log").concat();
    assert_eq!(plain(&shown), plain(&real));
}

/// Runs postconf on a configuration made of `main` and `master`, and panics if it finds fault with anything.
fn postconf(whence: &str, main: &str, master: &str) {
    let folder = open_folder();
    fs::write(folder.path().join("main.cf"), main).expect("written");
    fs::write(folder.path().join("master.cf"), master).expect("written");
    let output = Command::new(program("/usr/sbin/postconf"))
        .arg("-c")
        .arg(folder.path())
        .args(["-n", "-x"])
        .output()
        .expect("postconf runs");
    let services = Command::new("/usr/sbin/postconf").arg("-c").arg(folder.path()).arg("-P").output().expect("it runs");
    for output in [output, services] {
        let said = String::from_utf8_lossy(&output.stderr);
        // Alternatives for one parameter stand below one another, each in its comment.
        let faults: Vec<&str> = said.lines().filter(|line| !line.contains("overriding earlier entry")).collect();
        assert!(output.status.success() && faults.is_empty(), "{whence}: {faults:#?}");
    }
}

fn main_cf() -> String {
    page("conf/postfix/main.cf.example")
}

#[test]
fn postfix_knows_every_parameter() {
    let commented = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
        Some(rest) if rest.starts_with("   ") && rest.contains(" = ") => rest.trim().to_owned(),
        _ => line.to_owned(),
    };
    let everything: Vec<String> = main_cf().lines().map(commented).collect();
    postconf("main.cf.example", &everything.join("\n"), "");
    for recipe in RECIPES {
        postconf(recipe, &main_cf(), &page(&format!("conf/postfix/{recipe}")));
    }
    for block in blocks(&page("README.md"), "ini main.cf") {
        postconf("README.md", &block, "");
        for line in block.lines() {
            assert!(main_cf().lines().any(|other| other == line), "main.cf.example lacks: {line}");
        }
    }
}

/// Names of parameters in prose and tables are names of parameters too.
#[test]
fn parameters_that_are_named_exist() {
    let all = run(Command::new(program("/usr/sbin/postconf")).arg("-d"));
    let known: Vec<&str> = all.lines().filter_map(|line| line.split(" = ").next()).map(str::trim_end).collect();
    let prefixes = ["smtp_", "smtpd_", "milter_", "non_smtpd_", "internal_mail_", "local_header_", "disable_mime_"];
    for name in ["README.md", "docs/design.md", "docs/operations.md", "conf/postfix/main.cf.example"] {
        for word in page(name).split(|c: char| !c.is_ascii_lowercase() && c != '_') {
            if prefixes.iter().any(|prefix| word.starts_with(prefix)) {
                // Postfix 3.7 prints a parameter without a value as "name =".
                assert!(known.iter().any(|known| known.trim_end_matches(" =") == word), "{name}: {word}");
            }
        }
    }
}

/// A filter recipe, made to run: free ports in place of its own, no chroot, no TLS and no login.
struct Recipe {
    strangers: SocketAddr,
    submission: SocketAddr,
    back: Vec<SocketAddr>,
    text: String,
}

impl Recipe {
    fn of(name: &str, filters: &[(u16, SocketAddr)], back: &[u16], milters: &[String], mark: &Path) -> Recipe {
        let (strangers, submission) = (free_address(), free_address());
        let back: Vec<_> = back.iter().map(|port| (*port, free_address())).collect();
        let mut text = String::new();
        for line in page(&format!("conf/postfix/{name}")).lines().filter(|line| !line.starts_with('#')) {
            let mut line = line
                .replace("smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=none")
                .replace("smtpd_sasl_auth_enable=yes", "smtpd_sasl_auth_enable=no")
                .replace("permit_sasl_authenticated,reject", "permit_mynetworks,reject")
                .replace(&format!("inet:127.0.0.1:{SIGNING}"), &milters[1])
                .replace(&format!("inet:127.0.0.1:{VERIFYING}"), &milters[2])
                .replace("/etc/postfix/waxseal_mark.cidr", &mark.display().to_string());
            for (port, address) in filters {
                line = line.replace(&format!("[127.0.0.1]:{port}"), &format!("[{}]:{}", address.ip(), address.port()));
            }
            for (port, address) in &back {
                line = line.replace(&format!("127.0.0.1:{port} inet"), &format!("{address} inet"));
            }
            if !line.starts_with(' ') {
                let words: Vec<&str> =
                    line.split_whitespace().map(|word| if word == "y" { "n" } else { word }).collect();
                line = words.join(" ");
                line = line.replace("smtp inet", &format!("{strangers} inet"));
                line = line.replace("submission inet", &format!("{submission} inet"));
            }
            let _ = writeln!(text, "{line}");
        }
        Recipe { strangers, submission, back: back.into_iter().map(|(_, address)| address).collect(), text }
    }

    /// Adds the services to a running Postfix and waits until they greet.
    fn put_into(&self, postfix: &Postfix, header_checks: &str) {
        let master = postfix.root().join("config/master.cf");
        let before = fs::read_to_string(&master).expect("master.cf");
        let kept: Vec<&str> = before.lines().filter(|line| !line.starts_with("pickup")).collect();
        fs::write(&master, format!("{}\n{}", kept.join("\n"), self.text)).expect("written");
        postfix.set("smtp_header_checks", header_checks);
        for address in [self.strangers, self.submission].into_iter().chain(self.back.iter().copied()) {
            eventually("the service greets", LIMIT, || Client::connect(address).ok());
        }
    }
}

fn send(to: SocketAddr, mail_from: &str, message: &[u8]) {
    let mut client = Client::connect(to).expect("it greets");
    let reply =
        client.send(&Envelope { mail_from, rcpt_to: vec!["bob@example.net"], utf8: false }, message).expect("a reply");
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn letter(subject: &str) -> Vec<u8> {
    format!("From: <ann@example.com>\r\nTo: <bob@example.net>\r\nSubject: {subject}\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\nMessage-ID: <{subject}@example.com>\r\n\r\nHello\r\n").into_bytes()
}

/// Takes what the filter was given, adds a line as filters do, and hands it back.
fn filter(at: &Sink, back: SocketAddr, mark: &str) -> bool {
    at.wait_for(1, LIMIT);
    let mut marked = false;
    for message in at.take() {
        let text = String::from_utf8_lossy(&message.bytes).into_owned();
        assert!(!text.contains("DKIM-Signature:"), "signed before the filter:\n{text}");
        marked |= !mark.is_empty() && text.contains(mark);
        send(back, &message.mail_from, format!("{text}-- \r\nScanned.\r\n").as_bytes());
    }
    marked
}

/// Settings with the listeners for everything, for signing and for verifying, as the recipes have them, and a key for example.com.
fn milter(home: &Path, listener: &str, signing: &str) -> Server {
    let keys = home.join("keys");
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&keys).expect("a folder");
    key::generate(KeyType::Rsa).expect("a key").write(&keys.join("example.com.test.pem")).expect("written");
    // No name server answers there: verification is not what these tests look at.
    let nobody = free_address();
    let text = format!(
        "{signing}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"auto\"\n\
         [[listener]]\nsocket = \"inet:127.0.0.1:0\"\n{listener}\n\
         [[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"verify\"\n\
         [verify]\nresolver = \"{nobody}\"\ndns_timeout = \"1s\"\n\
         [domains.\"example.com\"]\nselector = \"test\"\n"
    );
    let settings = Settings::parse(&text, &home.join("waxseal.toml")).unwrap_or_else(|why| panic!("{why}\n{text}"));
    Server::start(settings).expect("it listens")
}

/// What arrived under a subject, as text.
fn arrived(sink: &Sink, subject: &str) -> String {
    eventually(subject, LIMIT, || {
        let messages = sink.messages();
        let texts = messages.iter().map(|message| String::from_utf8_lossy(&message.bytes).into_owned());
        texts.into_iter().find(|text| text.contains(&format!("Subject: {subject}\r\n")))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_filter_with_two_ways_our_mail_is_signed_and_a_strangers_is_not() {
    let home = open_folder();
    let server = milter(home.path(), "mode = \"sign\"", "");
    let addresses = server.addresses();
    let (sink, inward, outward) = (Sink::start(), Sink::start(), Sink::start());
    let recipe = Recipe::of(
        "master.cf.content-filter.example",
        &[(10024, inward.address()), (10026, outward.address())],
        &[10025, 10027],
        &addresses,
        Path::new(""),
    );
    let postfix = Postfix::start(&Options::new(sink.address(), addresses[0].clone()));
    recipe.put_into(&postfix, "");

    send(recipe.submission, "ann@example.com", &letter("ours"));
    filter(&outward, recipe.back[1], "");
    send(recipe.strangers, "ann@example.com", &letter("spoof"));
    filter(&inward, recipe.back[0], "");
    postfix.sendmail("ann@example.com", "bob@example.net", b"From: <ann@example.com>\nSubject: local\n\nHello\n");
    filter(&outward, recipe.back[1], "");

    for (subject, signed) in [("ours", true), ("spoof", false), ("local", true)] {
        let text = arrived(&sink, subject);
        assert!(text.contains("Scanned."), "{text}");
        assert_eq!(text.contains("DKIM-Signature:"), signed, "{subject}\n{text}\n{}", postfix.log());
    }
    drop(postfix);
    server.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_filter_with_one_way_the_mark_decides_and_never_leaves() {
    const MARK: &str = "X-Waxseal-Outbound: 5bd5b3c1f0";
    let home = open_folder();
    let recipe_text = page("conf/postfix/master.cf.outbound-mark.example");
    let table = home.path().join("mark.cidr");
    fs::write(&table, format!("0.0.0.0/0 PREPEND {MARK}\n::/0 PREPEND {MARK}\n")).expect("written");
    let signing = format!("[signing]\noutbound_mark = \"{MARK}\"\n");
    let server = milter(home.path(), "mode = \"sign\"\nreinjected = true", &signing);
    let addresses = server.addresses();
    let (sink, scanner) = (Sink::start(), Sink::start());
    let recipe =
        Recipe::of("master.cf.outbound-mark.example", &[(10024, scanner.address())], &[10025], &addresses, &table);
    let postfix = Postfix::start(&Options::new(sink.address(), addresses[0].clone()));
    let header_checks =
        recipe_text.lines().find_map(|line| line.strip_prefix("#   smtp_header_checks = ")).expect("the line");
    recipe.put_into(&postfix, header_checks);

    send(recipe.submission, "ann@example.com", &letter("ours"));
    assert!(filter(&scanner, recipe.back[0], MARK), "submission did not mark it");
    send(recipe.strangers, "ann@example.com", &letter("spoof"));
    assert!(!filter(&scanner, recipe.back[0], MARK), "mail of strangers is marked");
    let keyless = String::from_utf8(letter("keyless")).expect("text").replace("ann@example.com", "ann@example.org");
    send(recipe.submission, "ann@example.org", keyless.as_bytes());
    assert!(filter(&scanner, recipe.back[0], MARK), "submission did not mark it");
    postfix.sendmail("ann@example.com", "bob@example.net", b"From: <ann@example.com>\nSubject: local\n\nHello\n");

    for (subject, signed) in [("ours", true), ("spoof", false), ("keyless", false), ("local", true)] {
        let text = arrived(&sink, subject);
        assert_eq!(text.contains("DKIM-Signature:"), signed, "{subject}\n{text}\n{}", postfix.log());
        assert!(!text.contains("X-Waxseal-Outbound"), "the secret left with {subject}:\n{text}");
    }
    drop(postfix);
    server.drain().await;
}

/// Does a row of a table begin with this text, or with its start and "..."?
fn explained(page: &str, reason: &str) -> bool {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut cells = cells.map(|cell| cell.strip_suffix("...").map_or((cell, false), |start| (start, true)));
    cells.any(|(cell, is_start)| cell == reason || (is_start && reason.starts_with(cell)))
}

#[test]
fn every_reason_for_no_signature_is_explained() {
    let page = page("docs/operations.md");
    let name = |text| DomainName::new(text).expect("a name");
    let malformed = AddressError { at: 3, kind: AddressErrorKind::Unexpected };
    let reasons = [
        Why::Relayed,
        Why::Exempt,
        Why::JudgedByRelay,
        Why::InboundMark,
        Why::NoOutboundMark,
        Why::Author(AuthorError::Missing),
        Why::Author(AuthorError::SeveralFields(2)),
        Why::Author(AuthorError::Malformed(malformed)),
        Why::Author(AuthorError::SeveralDomains(vec![name("example.com"), name("example.net")])),
        Why::NoKey(name("example.net")),
        Why::EnvelopeSender(name("example.com")),
        Why::User(name("example.com")),
    ];
    for why in &reasons {
        // A new reason has to be added above, and to the page.
        match why {
            Why::Relayed | Why::Exempt | Why::JudgedByRelay => {}
            Why::InboundMark | Why::NoOutboundMark | Why::NoKey(_) | Why::EnvelopeSender(_) => {}
            Why::User(_) => {}
            Why::Author(author) => match author {
                AuthorError::Missing | AuthorError::SeveralFields(_) => {}
                AuthorError::Malformed(_) | AuthorError::SeveralDomains(_) => {}
            },
        }
        assert!(explained(&page, &why.to_string()), "docs/operations.md does not explain: {why}");
    }
    for refusal in [Refusal::TooManyFields(300), Refusal::Key("reason".into())] {
        match refusal {
            Refusal::TooManyFields(_) | Refusal::Key(_) => {}
        }
        assert!(explained(&page, &refusal.to_string()), "docs/operations.md does not explain: {refusal}");
    }
}

#[test]
fn every_fault_of_a_key_file_is_explained() {
    let page = page("docs/operations.md");
    let path = || PathBuf::from("...");
    let text = || String::from("why");
    let reasons = [
        KeyReason::Missing,
        KeyReason::Unreadable(text()),
        KeyReason::NotAFile,
        KeyReason::Outside { real: path(), directory: path() },
        KeyReason::FileOwner(1000),
        KeyReason::FileMode(0o644),
        KeyReason::FolderOwner(path(), 1000),
        KeyReason::FolderMode(path(), 0o777),
        KeyReason::TooLarge,
        KeyReason::Empty,
        KeyReason::NotPem(text()),
        KeyReason::Der,
        KeyReason::NotAlone(vec!["a private key".into(), "a certificate".into()]),
        KeyReason::NotAPrivateKey("a public key".into()),
        KeyReason::Corrupt(text()),
        KeyReason::WrongType { found: KeyType::Ed25519, wanted: KeyType::Rsa },
        KeyReason::WrongBits { bits: 4096, demanded: 2048 },
        KeyReason::TooShort(512),
        KeyReason::TooShortToSign(1024),
        KeyReason::TooLong(8192),
    ];
    for reason in &reasons {
        // A new reason has to be added above, and to the page.
        match reason {
            KeyReason::Missing | KeyReason::Unreadable(_) | KeyReason::NotAFile | KeyReason::Outside { .. } => {}
            KeyReason::FileOwner(_) | KeyReason::FileMode(_) => {}
            KeyReason::FolderOwner(..) | KeyReason::FolderMode(..) | KeyReason::TooLarge => {}
            KeyReason::Empty | KeyReason::Der | KeyReason::NotAlone(_) => {}
            KeyReason::NotPem(_) | KeyReason::NotAPrivateKey(_) | KeyReason::Corrupt(_) => {}
            KeyReason::WrongType { .. } | KeyReason::WrongBits { .. } => {}
            KeyReason::TooShort(_) | KeyReason::TooShortToSign(_) | KeyReason::TooLong(_) => {}
        }
        assert!(explained(&page, &reason.to_string()), "docs/operations.md does not explain: {reason}");
    }
}
