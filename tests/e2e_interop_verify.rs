//! Mail from Postfix to Postfix, as it goes between two sites: signed on one side by each of the signers that are in
//! use, verified on the other side by Waxseal.

mod common;

use common::{
    forge::{ED25519, Key, RSA_1024, RSA_2048, Zone},
    nsd::Nsd,
    opendkim::OpenDkim,
    parts,
    postfix::{Options, Postfix},
    receiver::{ID, Receiver, results},
    rspamd::Rspamd,
    smtp::Envelope,
    verifiers::{Judge, Verifier},
    waxseal::{Home, Waxseal},
};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::Duration,
};
use waxseal::authres;

static RSA_4096: LazyLock<Key> = LazyLock::new(|| Key::rsa(4096));

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";

/// The keys, by the name that stands in the domain, and the algorithm.
const KEYS: [(&str, &LazyLock<Key>, &str); 4] = [
    ("rsa1024", &RSA_1024, "rsa-sha256"),
    ("rsa2048", &RSA_2048, "rsa-sha256"),
    ("rsa4096", &RSA_4096, "rsa-sha256"),
    ("ed25519", &ED25519, "ed25519-sha256"),
];

/// A domain whose mail one signer signs.
struct Site {
    domain: String,
    /// The algorithms of its signatures, top first.
    algorithms: Vec<&'static str>,
}

/// The folder with the keys in every form that a signer wants.
struct KeyFiles(tempfile::TempDir);

impl KeyFiles {
    fn new() -> KeyFiles {
        let folder = common::open_folder();
        for (name, key, algorithm) in KEYS {
            fs::write(folder.path().join(format!("{name}.pem")), key.pem()).expect("a file");
            if algorithm == "ed25519-sha256" {
                fs::write(folder.path().join(format!("{name}.seed")), key.seed()).expect("a file");
            }
        }
        KeyFiles(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// As dkimpy and rspamd want it: PEM, but for Ed25519 the seed.
    fn plain(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.{}", if name == "ed25519" { "seed" } else { "pem" }))
    }
}

/// The domains of one signer: one for each of its keys.
fn sites(signer: &str, keys: &[(&str, &LazyLock<Key>, &'static str)]) -> Vec<Site> {
    let site = |(name, _, algorithm): &(&str, &LazyLock<Key>, &'static str)| Site {
        domain: format!("{signer}-{name}.example"),
        algorithms: vec![algorithm],
    };
    keys.iter().map(site).collect()
}

fn name_server<'a>(sites: impl IntoIterator<Item = &'a Site>) -> Nsd {
    let mut zone = Zone::default().line(SOA);
    for site in sites {
        let (_, key) = site.domain.trim_end_matches(".example").split_once('-').expect("signer and key");
        let (_, key, _) = KEYS.iter().find(|(name, ..)| *name == key).expect("a key");
        zone = zone
            .txt(&format!("sel._domainkey.{}", site.domain), &key.record())
            .txt(&format!("ed._domainkey.{}", site.domain), &ED25519.record())
            .txt(&format!("_dmarc.{}", site.domain), "v=DMARC1; p=reject; adkim=s");
    }
    Nsd::start(&[("example", zone.text())])
}

/// Waxseal signs with RSA alone, and with both.
fn waxseal(canonicalization: &str, keys: &KeyFiles) -> (Waxseal, Vec<Site>) {
    let home = Home::new();
    let mut settings =
        format!("signing.canonicalization = \"{canonicalization}\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n");
    let mut sites = sites("waxseal", &KEYS[1..3]);
    for (site, (name, ..)) in sites.iter_mut().zip(&KEYS[1..3]) {
        settings += &format!("[domains.\"{}\"]\nselector = \"sel\"\nkey = \"keys/{name}.pem\"\n", site.domain);
        if *name == "rsa2048" {
            settings += "ed25519 = { selector = \"ed\", key = \"keys/ed25519.pem\" }\n";
            site.algorithms.push("ed25519-sha256");
        }
    }
    for (name, ..) in KEYS {
        let file = home.path("keys").join(format!("{name}.pem"));
        fs::copy(keys.path(&format!("{name}.pem")), &file).expect("a copy");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own file");
    }
    home.settings(&settings);
    (Waxseal::start(home), sites)
}

/// Two of them: an OpenDKIM knows one algorithm.
fn opendkim(canonicalization: &str, keys: &KeyFiles) -> ([OpenDkim; 2], Vec<Site>) {
    let sites = sites("opendkim", &KEYS);
    let files: Vec<PathBuf> = KEYS.iter().map(|(name, ..)| keys.path(&format!("{name}.pem"))).collect();
    let domains: Vec<(&str, &Path)> =
        sites.iter().zip(&files).map(|(site, file)| (site.domain.as_str(), file.as_path())).collect();
    let start = |algorithm, domains| OpenDkim::with(canonicalization, algorithm, "sel", domains);
    ([start("rsa-sha256", &domains[..3]), start("ed25519-sha256", &domains[3..])], sites)
}

/// rspamd knows one canonicalization, relaxed/relaxed.
fn rspamd(nsd: &Nsd, keys: &KeyFiles, sites: &[Site]) -> Rspamd {
    let files: Vec<PathBuf> = KEYS.iter().map(|(name, ..)| keys.plain(name)).collect();
    let domains: Vec<(&str, &Path)> =
        sites.iter().zip(&files).map(|(site, file)| (site.domain.as_str(), file.as_path())).collect();
    Rspamd::start(nsd.address(), &domains)
}

fn by_dkimpy(message: &[u8], site: &Site, canonicalization: &str, keys: &KeyFiles) -> Vec<u8> {
    let name = site.domain.trim_start_matches("dkimpy-").trim_end_matches(".example");
    let mut child = Command::new(parts().join("venv/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/sign_dkimpy.py"))
        .arg(keys.plain(name))
        .args(["sel", &site.domain, canonicalization])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    child.stdin.take().expect("a pipe").write_all(message).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "dkimpy does not sign for {}", site.domain);
    output.stdout
}

/// Messages that a canonicalization can get wrong: folds and blanks, no body, lines of blanks and dots, raw UTF-8.
fn messages(domain: &str) -> [Vec<u8>; 3] {
    let header = |number: u8, further: &str| {
        format!(
            "From: \"Billing, the\" <a@{domain}>\r\nTo: user@receiver.example,\r\n\tother@receiver.example\r\n\
             Date: Mon, 23 Nov 2026 04:00:00 +0000\r\nMessage-ID: <{number}@{domain}>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n{further}\r\n"
        )
    };
    [
        header(1, "Subject:  two  blanks \t \r\n and\r\n\ta fold  \r\n")
            + "Hello  there \t\r\n.\r\n..\r\n\r\n \r\n\r\n",
        header(2, "Subject:\r\n"),
        header(3, "Subject: plain\r\nReply-To:x@y.example\r\n") + "\u{acb0}\u{c81c} \u{c548}\u{b0b4}\r\n\r\nend\r\n",
    ]
    .map(String::into_bytes)
}

/// Each message of each domain arrives and is judged right.
fn arrives_and_is_judged_right(canonicalization: &str) {
    let keys = KeyFiles::new();
    let (waxseal, mut all) = waxseal(canonicalization, &keys);
    let (opendkim, sites_of_opendkim) = opendkim(canonicalization, &keys);
    all.extend(sites_of_opendkim);
    all.extend(sites("dkimpy", &KEYS));
    let sites_of_rspamd = sites("rspamd", if canonicalization == "relaxed/relaxed" { &KEYS } else { &[] });
    let dns = name_server(all.iter().chain(&sites_of_rspamd));
    let rspamd = (!sites_of_rspamd.is_empty()).then(|| rspamd(&dns, &keys, &sites_of_rspamd));
    all.extend(sites_of_rspamd);

    let receiver = Receiver::start(dns.address(), "listener.mode = \"verify\"");
    let mut milters = vec![waxseal.socket(), opendkim[0].socket().into(), opendkim[1].socket().into()];
    milters.extend(rspamd.as_ref().map(|rspamd| rspamd.socket().to_owned()));
    // A host that greets with our own name would be ourselves, and the mail a loop.
    let out = Options::new(receiver.postfix.address(), milters.join(" ")).with("myhostname", "out.example.com");
    let sender = Postfix::start(&out);

    let mut client = sender.client();
    for site in &all {
        for mut message in messages(&site.domain) {
            if site.domain.starts_with("dkimpy-") {
                message = by_dkimpy(&message, site, canonicalization, &keys);
            }
            let mail_from = format!("a@{}", site.domain);
            let envelope = Envelope { mail_from: &mail_from, rcpt_to: vec!["user@receiver.example"], utf8: false };
            let reply = client.send(&envelope, &message).expect("Postfix answers");
            assert_eq!(reply.code, 250, "{}: {reply:?}", site.domain);
        }
    }
    let arrived = receiver.sink.wait_for(all.len() * 3, Duration::from_secs(60));
    for site in &all {
        let ours: Vec<_> = arrived.iter().filter(|mail| mail.mail_from == format!("a@{}", site.domain)).collect();
        assert_eq!(ours.len(), 3, "{}", site.domain);
        if is_fault_of_opendkim(site, canonicalization) {
            let records = [(format!("sel._domainkey.{}", site.domain), ED25519.record())];
            for verifier in [Verifier::Dkimpy, Verifier::OpenDkim] {
                let verdicts = Judge::start(verifier, &records).judge(&ours[0].bytes);
                assert_eq!(verdicts[0].result, "fail", "{verifier} differs: {verdicts:?}");
            }
        }
        for mail in ours {
            is_judged_right(site, canonicalization, &mail.bytes);
        }
    }
}

#[track_caller]
fn is_judged_right(site: &Site, canonicalization: &str, mail: &[u8]) {
    let text = String::from_utf8_lossy(mail);
    let (field, problems) = authres::read(results(mail).first().unwrap_or_else(|| panic!("{text}")).as_bytes());
    assert!(problems.is_empty() && field.authserv_id == ID, "{text}");
    let dkim: Vec<_> = field.results.iter().filter(|result| result.method() == "dkim").collect();
    let found: Vec<_> = dkim.iter().map(|result| (result.result(), result.property("header", "a"))).collect();
    let word = if is_fault_of_opendkim(site, canonicalization) { "fail" } else { "pass" };
    let want: Vec<_> = site.algorithms.iter().map(|&algorithm| (word, Some(algorithm))).collect();
    assert_eq!(found, want, "{canonicalization}\n{text}");
    assert!(dkim.iter().all(|result| result.property("header", "d") == Some(site.domain.as_str())), "{text}");
    let dmarc = field.results.iter().find(|result| result.method() == "dmarc").expect("DMARC is judged");
    assert_eq!((dmarc.result(), dmarc.property("header", "from")), (word, Some(site.domain.as_str())), "{text}");
    let unfolded = text.replace("\r\n\t", " ").replace("\r\n ", " ");
    let named = unfolded.split("\r\n").filter(|line| line.starts_with("DKIM-Signature:"));
    assert!(
        named.clone().count() == want.len()
            && named.clone().all(|line| line.contains(&format!("c={canonicalization};"))),
        "{text}"
    );
}

/// OpenDKIM 2.11 signs something else than the message where the key is Ed25519 and the header simple: not even OpenDKIM
/// verifies it.
fn is_fault_of_opendkim(site: &Site, canonicalization: &str) -> bool {
    site.domain == "opendkim-ed25519.example" && canonicalization.starts_with("simple/")
}

#[test]
fn relaxed_relaxed() {
    arrives_and_is_judged_right("relaxed/relaxed");
}

#[test]
fn relaxed_simple() {
    arrives_and_is_judged_right("relaxed/simple");
}

#[test]
fn simple_relaxed() {
    arrives_and_is_judged_right("simple/relaxed");
}

#[test]
fn simple_simple() {
    arrives_and_is_judged_right("simple/simple");
}
