//! `waxseal config import-opendkim`: after it the same mail is signed with the same keys, by the real programs at the
//! same socket of the same Postfix; and what cannot be carried is said.

mod common;

use common::{
    open_folder,
    opendkim::OpenDkim,
    postfix::{Options, Postfix},
    sink::Sink,
    smtp::Envelope,
    verifiers::{Judge, Verifier},
    waxseal::{Home, Waxseal},
};
use std::{
    fs::{self, DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};
use waxseal::{dkim::KeyType, key::generate};

const LIMIT: Duration = Duration::from_secs(60);

/// A client in OpenDKIM's default InternalHosts.
const HERE: &str = "ADDR=127.0.0.1 NAME=localhost";
/// A client that nobody knows.
const STRANGER: &str = "ADDR=192.0.2.66 NAME=[UNAVAILABLE]";

/// An installation of OpenDKIM in a folder of its own.
struct Old {
    folder: tempfile::TempDir,
    records: Vec<(String, String)>,
}

/// One message: its client, its author, and the signatures that it should have, as `selector._domainkey.domain`.
type Mail<'a> = (&'a str, &'a str, &'a [&'a str]);

impl Old {
    fn new() -> Old {
        let folder = open_folder();
        DirBuilder::new().mode(0o700).create(folder.path().join("keys")).expect("a folder");
        Old { folder, records: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a key at `keys/NAME`, published for a domain.
    fn key(&mut self, name: &str, selector: &str, domains: &[&str]) {
        let path = self.path("keys").join(name);
        let folder = path.parent().expect("a folder");
        DirBuilder::new().recursive(true).mode(0o700).create(folder).expect("a folder");
        let new = generate(KeyType::Rsa).expect("a key");
        new.write(&path).expect("a new file");
        for domain in domains {
            self.records.push((format!("{selector}._domainkey.{domain}"), new.key.public_record()));
        }
    }

    /// Writes a file; `{}` in it is the folder.
    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text.replace("{}", &self.folder.path().display().to_string())).expect("a new file");
    }

    fn import(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_waxseal"))
            .args(["config", "import-opendkim", "opendkim.conf"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("the program runs")
    }

    /// Both sign the mail, at the same socket of the same Postfix, and do the same; gives what the import said.
    #[track_caller]
    fn both_sign(&self, conf: &str, mail: &[Mail<'_>]) -> String {
        let here = self.folder.path().display().to_string();
        let opendkim = OpenDkim::run(&self.path("opendkim.conf"), |socket| {
            // It minds that /tmp is open to others.
            format!("{}\nSocket {socket}\nRequireSafeKeys no\n", conf.replace("{}", &here))
        });
        let sink = Sink::start();
        let postfix = Postfix::start(&Options::new(sink.address(), opendkim.socket()));
        let before = send(&postfix, &sink, mail);
        drop(opendkim);

        let home = Home::new();
        let settings = home.path("waxseal.toml");
        let out = settings.display().to_string();
        let imported = self.import(&["--out", &out]);
        let said = String::from_utf8_lossy(&imported.stderr).into_owned();
        assert!(imported.status.success(), "{said}");
        check(&settings);
        let text = fs::read_to_string(&settings).expect("the settings");
        fs::write(&settings, format!("{text}\n[log]\nformat = \"json\"\n")).expect("the settings");
        let _waxseal = Waxseal::start(home);
        let after = send(&postfix, &sink, mail);

        let mut judge = Judge::start(Verifier::MailDkim, &self.records);
        for ((client, author, wanted), (before, after)) in mail.iter().zip(before.iter().zip(&after)) {
            for (who, message) in [("OpenDKIM", before), ("Waxseal", after)] {
                let verdicts = judge.judge(message);
                let mut signed: Vec<String> = verdicts
                    .iter()
                    .map(|verdict| format!("{}._domainkey.{}", verdict.selector, verdict.domain))
                    .collect();
                signed.sort();
                assert_eq!(signed, *wanted, "{who}: {author} from {client}\n{said}\n{text}");
                assert!(verdicts.iter().all(|verdict| verdict.result == "pass"), "{who}: {author}: {verdicts:?}");
            }
        }
        said
    }
}

/// Hands over each message and gives what arrives of it.
#[track_caller]
fn send(postfix: &Postfix, sink: &Sink, mail: &[Mail<'_>]) -> Vec<Vec<u8>> {
    let one = |(client, author, _): &Mail<'_>| {
        let message = format!(
            "From: Somebody <{author}>\r\nTo: user@receiver.example\r\nSubject: hello\r\n\
             Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@client.example>\r\n\r\nHello.\r\n\r\nBye.\r\n"
        );
        let mut connection = postfix.client();
        connection.pretend(client).expect("XCLIENT");
        let envelope = Envelope { mail_from: author, rcpt_to: vec!["user@receiver.example"], utf8: false };
        let reply = connection.send(&envelope, message.as_bytes()).expect("Postfix answers");
        assert_eq!(reply.code, 250, "{reply:?}\n{}", postfix.log());
        let arrived = sink.wait_for(1, LIMIT).remove(0);
        sink.take();
        arrived.bytes.clone()
    };
    mail.iter().map(one).collect()
}

#[track_caller]
fn check(settings: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_waxseal"))
        .args(["config", "check", "--config"])
        .arg(settings)
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}\n{}", fs::read_to_string(settings).unwrap_or_default());
    said
}

/// The sample of the package, with the lines for one domain made active as its comments say.
#[test]
fn the_sample_of_debian() {
    let mut old = Old::new();
    old.key("example.private", "2020", &["example.com"]);
    let sample = fs::read_to_string("/etc/opendkim.conf").expect("the package opendkim is installed");
    let active = |line: &str| {
        let named = |name: &str| line.trim_start_matches('#').split_whitespace().next() == Some(name);
        match line {
            // These belong to the system's instance.
            _ if ["UserID", "PidFile", "Socket", "TrustAnchorFile"].iter().any(|name| named(name)) => String::new(),
            _ if named("KeyFile") => "KeyFile {}/keys/example.private".to_owned(),
            _ if named("Domain") || named("Selector") => line.trim_start_matches('#').to_owned(),
            line => line.to_owned(),
        }
    };
    let conf: Vec<String> = sample.lines().map(active).collect();
    let said = old.both_sign(
        &conf.join("\n"),
        &[
            (HERE, "ann@example.com", &["2020._domainkey.example.com"]),
            (HERE, "ann@sub.example.com", &[]),
            (HERE, "ann@example.net", &[]),
            (STRANGER, "ann@example.com", &[]),
            ("ADDR=192.0.2.66 NAME=[UNAVAILABLE] LOGIN=ann", "ann@example.com", &["2020._domainkey.example.com"]),
        ],
    );
    assert!(!said.contains("not carried over"), "{said}");
}

#[test]
fn one_key_for_several_domains_and_those_below() {
    let mut old = Old::new();
    old.key("mail.private", "mail", &["example.com", "example.net"]);
    old.both_sign(
        "Mode s\nDomain example.com, example.net\nSelector mail\nKeyFile {}/keys/mail.private\nSubDomains yes\n\
         Canonicalization relaxed\nSyslog no\nOversignHeaders From\n",
        &[
            (HERE, "ann@example.com", &["mail._domainkey.example.com"]),
            (HERE, "ann@deep.sub.example.net", &["mail._domainkey.example.net"]),
            (HERE, "ann@notexample.net", &[]),
            (STRANGER, "ann@example.com", &[]),
        ],
    );
}

/// As people set it up for several domains: a refile with wildcards, one row narrower than the next.
#[test]
fn tables_with_wildcards() {
    let mut old = Old::new();
    old.key("a.example/s1.private", "s1", &["a.example"]);
    old.key("b.example/s2.private", "s2", &["b.example"]);
    old.key("news/news.private", "news", &["news.b.example"]);
    old.key("c.example/mail.private", "mail", &["c.example"]);
    old.put(
        "KeyTable",
        "# name domain:selector:key\na a.example:s1:{}/keys/a.example/s1.private\n\
         b\tb.example:s2:{}/keys/b.example/s2.private\nnews news.b.example:news:{}/keys/news/news.private\n\
         each %:mail:{}/keys/%/mail.private\n",
    );
    old.put(
        "SigningTable",
        "*@a.example a\n*@*.a.example a # below\nposter@news.b.example news\n*@news.b.example news:@news.b.example\n\
         *@B.example b\n*@c.example each\ninfo*@d.example a\n",
    );
    old.put("TrustedHosts", "127.0.0.1\nlocalhost\n10.0.0.0/8\n!10.9.0.0/16\n*.a.example\n");
    let conf = "Mode sv\nSyslog no\nCanonicalization relaxed/simple\nKeyTable refile:{}/KeyTable\n\
                SigningTable refile:{}/SigningTable\nInternalHosts refile:{}/TrustedHosts\n\
                ExternalIgnoreList refile:{}/TrustedHosts\nOversignHeaders From\n";
    let said = old.both_sign(
        conf,
        &[
            (HERE, "ann@a.example", &["s1._domainkey.a.example"]),
            (HERE, "Ann@Deep.A.example", &["s1._domainkey.a.example"]),
            (HERE, "ann@b.example", &["s2._domainkey.b.example"]),
            (HERE, "ann@other.b.example", &[]),
            (HERE, "ann@news.b.example", &["news._domainkey.news.b.example"]),
            (HERE, "poster@news.b.example", &["news._domainkey.news.b.example"]),
            (HERE, "ann@c.example", &["mail._domainkey.c.example"]),
            ("ADDR=10.1.2.3 NAME=[UNAVAILABLE]", "ann@a.example", &["s1._domainkey.a.example"]),
            ("ADDR=10.9.2.3 NAME=[UNAVAILABLE]", "ann@a.example", &[]),
            (STRANGER, "ann@a.example", &[]),
        ],
    );
    for told in ["TrustedHosts:5: InternalHosts *.a.example: ", "SigningTable:7: SigningTable info*@d.example a: "] {
        assert!(said.contains(told), "{told}\n{said}");
    }
    assert_eq!(said.matches("not carried over: ").count(), 2, "{said}");
}

/// Both directions at one socket, for the port of the world and for submission, with a table that is no refile.
#[test]
fn both_directions_with_trusted_hosts() {
    let mut old = Old::new();
    old.key("corp.private", "2024", &["corp.example"]);
    old.key("shop.private", "shop", &["shop.example"]);
    old.put("trusted", "127.0.0.1\n192.0.2.0/28\n[2001:db8::1]\n");
    old.put("peers", "192.0.2.9\n");
    old.put("keys.table", "corp corp.example:2024:{}/keys/corp.private\nshop shop.example:shop:{}/keys/shop.private\n");
    old.put("signing.table", ".corp.example corp\ncorp.example corp\nshop.example shop\n*@lost.example shop\n");
    let conf = "Mode sv\nSyslog no\nLogWhy yes\nCanonicalization relaxed/relaxed\nKeyTable {}/keys.table\n\
                SigningTable file:{}/signing.table\nInternalHosts {}/trusted\nPeerList {}/peers\n\
                On-BadSignature accept\nAuthservID mx.corp.example\nSignatureTTL 604800\nDiagnostics yes\n\
                SignHeaders From,To,Subject,Date,Message-ID\nOversignHeaders From,Subject\n\
                MTA ORIGINATING\nUMask 002\n";
    let said = old.both_sign(
        conf,
        &[
            (HERE, "ann@corp.example", &["2024._domainkey.corp.example"]),
            (HERE, "ann@hr.corp.example", &["2024._domainkey.corp.example"]),
            (HERE, "ann@lost.example", &[]),
            ("ADDR=192.0.2.3 NAME=[UNAVAILABLE]", "ann@shop.example", &["shop._domainkey.shop.example"]),
            ("ADDR=192.0.2.9 NAME=[UNAVAILABLE]", "ann@shop.example", &[]),
            ("ADDR=192.0.2.16 NAME=[UNAVAILABLE]", "ann@shop.example", &[]),
            ("ADDR=192.0.2.66 NAME=[UNAVAILABLE] LOGIN=bob", "ann@shop.example", &["shop._domainkey.shop.example"]),
        ],
    );
    for told in ["opendkim.conf:15: MTA ORIGINATING: ", "signing.table:4: SigningTable *@lost.example shop: "] {
        assert!(said.contains(told), "{told}\n{said}");
    }
}

/// Each row: what OpenDKIM did that cannot be done, and what is said of it.
#[test]
fn what_cannot_be_carried_is_named_with_the_nearest() {
    let mut old = Old::new();
    old.key("a.private", "a", &["a.example"]);
    old.key("b.private", "b", &["b.example"]);
    let weak = Command::new("openssl").args(["genrsa", "1024"]).output().expect("openssl runs").stdout;
    fs::write(old.path("keys/weak.private"), weak).expect("written");
    old.put(
        "KeyTable",
        "a a.example:a:{}/keys/a.private\nb b.example:b:{}/keys/b.private\nweak w.example:w:{}/keys/weak.private\n",
    );
    for (option, rows, wanted) in [
        (
            "",
            "boss@a.example b\n*@a.example a\n",
            "boss@a.example was signed with d=b.example s=b, now it has d=a.example s=a",
        ),
        (
            "",
            "boss@a.example a\n",
            "boss@a.example was signed with d=a.example s=a, now it is not signed: a key is chosen by",
        ),
        (
            "MultipleSignatures yes",
            "*@a.example a\n*@a.example b\n",
            "one RSA key signs for a domain; for a second signature",
        ),
        ("", "*@c.example a\n", "make a key for c.example: waxseal keygen --domain c.example --selector a"),
        ("", "*@a.example a\n* a\n", "domains that no other row is about was signed with d=a.example"),
        (
            "",
            "*@x.a.example a\n",
            "mail from a.example itself and from all other names below it is signed with its key now too",
        ),
        ("", "*@m[0-9].a.example a\n", "such a pattern has no counterpart"),
        ("", "a.example a\n", "so it never fitted; if a.example should sign, write [domains.\"a.example\"]"),
        ("", "*@w.example weak\n", "has 1024 bits, and we sign with no RSA key under 2048"),
        ("BodyLengthDB refile:/x", "*@a.example a\n", "the whole body is always signed"),
        ("FixCRLF yes", "*@a.example a\n", "octets are signed as they come"),
        ("Selecter x", "*@a.example a\n", "OpenDKIM 2.11 knows no such option: did you mean Selector?"),
        ("On-NoSignature reject", "*@a.example a\n", "verify.actions.dmarc_fail = \"policy\""),
        ("InternalHosts 192.168.0.1/24", "*@a.example a\n", "did you mean \"192.168.0.0/24\"? OpenDKIM never found it"),
        ("InternalHosts 0.0.0.0/0", "*@a.example a\n", "is the whole Internet"),
        ("InternalHosts dsn:mysql://u:secret@h/db", "*@a.example a\n", "a data set of type dsn cannot be read"),
    ] {
        old.put("SigningTable", rows);
        old.put(
            "opendkim.conf",
            &format!("{option}\nKeyTable file:{{}}/KeyTable\nSigningTable refile:{{}}/SigningTable\nSocket inet:8891@localhost\n"),
        );
        let output = old.import(&[]);
        let [settings, said] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(wanted), "wanted: {wanted}\n{said}");
        assert!(settings.contains(wanted), "the settings name it too: {wanted}\n{settings}");
        assert!(!said.contains("secret") && !settings.contains("secret"), "{settings}");
        let file = old.path("waxseal.toml");
        fs::write(&file, &settings).expect("written");
        check(&file);
    }
    // What says no takes nothing away.
    old.put("SigningTable", "*@a.example a\n");
    old.put(
        "opendkim.conf",
        "FixCRLF no\nKeyTable {}/KeyTable\nSigningTable refile:{}/SigningTable\nSocket inet:8891@localhost\n",
    );
    let said = String::from_utf8_lossy(&old.import(&[]).stderr).into_owned();
    assert!(!said.contains("not carried over"), "{said}");
}

#[test]
fn mistakes_are_named_by_file_and_line() {
    let mut old = Old::new();
    old.key("a.private", "a", &["a.example"]);
    old.put("KeyTable", "a a.example:a:{}/keys/a.private\nhalf a.example\ngone g.example:g:{}/keys/gone.private\n");
    let tables = "KeyTable {}/KeyTable\nSigningTable refile:{}/SigningTable\n";
    let single = "Domain a.example\nSelector a\nKeyFile {}/keys/a.private\n";
    for (conf, rows, wanted) in [
        (format!("{single}Mode x\n"), "", "opendkim.conf:4: Mode: is none of s, v and sv; write one of them"),
        (format!("{single}Background maybe\n"), "", "opendkim.conf:4: Background: \"maybe\" is neither yes nor no"),
        (format!("{single}UMask 9z\n"), "", "opendkim.conf:4: UMask: \"9z\" is not a number"),
        (
            format!("{single}Canonicalization loose\n"),
            "",
            "opendkim.conf:4: Canonicalization: is not simple or relaxed",
        ),
        (
            format!("{single}Socket inet:milter@localhost\n"),
            "",
            "opendkim.conf:4: Socket: \"milter\" is no port number",
        ),
        (format!("{single}InternalHosts {{}}/none\n"), "", "opendkim.conf:4: InternalHosts {}/none: no such file"),
        (format!("{single}Include {{}}/none\n"), "", "opendkim.conf:4: Include {}/none: no such file"),
        (
            "Domain a.example\n".into(),
            "",
            "opendkim.conf:1: Domain: signing takes Domain, KeyFile and Selector together",
        ),
        (
            "Domain a.example\nSelector a\nKeyFile {}/keys/none\n".into(),
            "",
            "opendkim.conf:1: the key of a.example, {}/keys/none: no such file",
        ),
        (tables.into(), "*@a.example a\n", "KeyTable:2: KeyTable half: has no domain, selector and key"),
        (
            tables.into(),
            "*@g.example gone\n",
            "SigningTable:1: the key of g.example, {}/keys/gone.private: no such file",
        ),
        (
            tables.into(),
            "*@a.example none\n",
            "SigningTable:1: SigningTable *@a.example: no row of KeyTable is called \"none\"",
        ),
        (tables.into(), "*@a.example\n", "SigningTable:1: SigningTable *@a.example: names no key"),
        ("KeyTable {}/KeyTable\n".into(), "", "opendkim.conf:1: KeyTable: without SigningTable"),
    ] {
        old.put("SigningTable", rows);
        old.put("opendkim.conf", &conf);
        let output = old.import(&[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let wanted = wanted.replace("{}", &old.folder.path().display().to_string());
        assert_eq!(output.status.code(), Some(2), "{wanted}\n{said}");
        assert!(said.contains(&wanted), "wanted: {wanted}\n{said}");
        assert!(output.stdout.is_empty(), "nothing is written after a mistake");
    }
    fs::remove_file(old.path("opendkim.conf")).expect("removed");
    let said = String::from_utf8_lossy(&old.import(&[]).stderr).into_owned();
    assert!(said.contains("opendkim.conf: no such file; name the opendkim.conf"), "{said}");
}

/// Keys that Waxseal would refuse where they lie: the commands bring them to where it takes them.
#[test]
fn keys_that_may_not_stay_come_with_commands() {
    let mut old = Old::new();
    old.key("it's mine.private", "mail", &["a.example", "b.example"]);
    old.key("other.private", "mail", &["c.example"]);
    fs::set_permissions(old.path("keys/it's mine.private"), Permissions::from_mode(0o640)).expect("its mode");
    let der = Command::new("openssl")
        .args(["pkey", "-outform", "DER", "-in"])
        .arg(old.path("keys/other.private"))
        .output()
        .expect("openssl runs")
        .stdout;
    let inline = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    fs::copy(old.path("keys/it's mine.private"), old.path("keys/spaced")).expect("a copy");
    fs::rename(old.path("keys/it's mine.private"), old.path("keys/it's mine.key")).expect("renamed");
    old.put(
        "KeyTable",
        &format!(
            "a a.example:mail:{{}}/keys/it's mine.key\nb b.example:mail:{{}}/keys/it's mine.key\nc c.example:mail:{inline}\n"
        ),
    );
    old.put("SigningTable", "a.example a\nb.example b\nc.example c\n");
    old.put("opendkim.conf", "KeyTable {}/KeyTable\nSigningTable {}/SigningTable\nSocket inet:8891@localhost\n");
    let output = old.import(&["--out", "new/waxseal.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "its folder is not there: {said}");
    fs::create_dir(old.path("new")).expect("a folder");
    let output = old.import(&["--out", "new/waxseal.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let settings = fs::read_to_string(old.path("new/waxseal.toml")).expect("written");
    assert!(!said.contains(&inline) && !settings.contains(&inline), "no key is shown");

    let commands: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(commands.len(), 3, "a folder, and each key once: {said}");
    for command in commands {
        assert!(settings.contains(command), "{command}\n{settings}");
        let done = Command::new("sh").args(["-c", command]).output().expect("sh runs");
        assert!(done.status.success(), "{command}: {done:?}");
    }
    assert!(check(&old.path("new/waxseal.toml")).contains("good: 3 domains, 3 keys"));

    let again = old.import(&["--out", "new/waxseal.toml"]);
    assert_eq!(again.status.code(), Some(2), "nothing is overwritten");
    assert_eq!(fs::read_to_string(old.path("new/waxseal.toml")).expect("there"), settings);
}
