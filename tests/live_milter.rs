//! What the milter learns from name servers themselves: how the records of its own keys stand, and why mail from outside
//! failed. Real name servers (NSD) below a root of their own and a real resolver (Unbound), each test in a network of its
//! own.

mod common;

use common::{
    eventually,
    forge::{ED25519, Key, OTHER_2048, RSA_2048, Signer},
    internet::{Internet, NS1, NS2, RESOLVER, serve, zone, zone_of},
    network::{Meddle, alone, between, dns},
    nsd::Nsd,
    scene::MAIL,
    waxseal::{Home, Waxseal},
};
use indymilter_test::{Status, TestConnection};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;
use waxseal::{
    config::{Domain, Settings},
    dkim::KeyType,
    dns::{Dns, RecordType, live, pace::Pace},
    event::Journal,
    key::{KeyMistake, PrivateKey},
    name::DomainName,
    provider::Profile,
    watch::{self, Basis, Keeper, Readiness, Recall, State, Watch},
};

const LIMIT: Duration = Duration::from_secs(60);

/// What the watch of our own records needs: settings with one domain, its key, and the resolver.
struct Own {
    settings: Settings,
    key: Arc<PrivateKey>,
    dns: Dns,
}

impl Basis for Own {
    fn domain(&self, name: &DomainName) -> Option<Arc<Domain>> {
        self.settings.domains.get(name).cloned()
    }

    fn keys(&self, _: &Domain) -> Result<Vec<Arc<PrivateKey>>, KeyMistake> {
        Ok(vec![self.key.clone()])
    }

    fn profile(&self, _: &Domain, _: &DomainName) -> Option<Arc<Profile>> {
        None
    }

    fn dns(&self) -> Option<Dns> {
        Some(self.dns.clone())
    }
}

/// A watch of sel._domainkey.example.com.
struct Watching {
    watch: Arc<Watch>,
    _keeper: Option<Keeper>,
    _runtime: Runtime,
}

impl Watching {
    /// The domain has just signed with this key.
    fn start(key: &Arc<PrivateKey>) -> Watching {
        let text = "[domains.\"example.com\"]\nselector = \"sel\"\n";
        let settings = Settings::parse(text, Path::new("/waxseal.toml")).expect("settings");
        let domain = settings.domains[&DomainName::new("example.com").expect("a name")].clone();
        let dns = Dns::new(live::resolver(dns(RESOLVER)).paced(Pace::new(watch::A_SECOND)));
        let own = Arc::new(Own { settings, key: key.clone(), dns });
        let runtime = Runtime::new().expect("a runtime");
        let (watch, journal) = (Arc::<Watch>::default(), Journal::new(&own.settings.log));
        let keeper = runtime.block_on(async {
            let current = move || own.clone() as Arc<dyn Basis>;
            Keeper::begin(&watch, Recall::new(journal.clone()), current, journal, "mx.example".into())
        });
        watch.signs(&domain, waxseal::clock::unix_seconds());
        Watching { watch, _keeper: keeper, _runtime: runtime }
    }

    #[track_caller]
    fn becomes(&self, state: State, cause: &str) -> Arc<Readiness> {
        let mut last = None;
        eventually(&format!("{state} {cause}"), LIMIT, || {
            last = self.watch.readiness().into_iter().next();
            last.clone().filter(|known| known.state == state && known.causes.iter().any(|told| told.cause == cause))
        })
    }
}

fn key() -> Arc<PrivateKey> {
    Arc::new(waxseal::key::generate(KeyType::Rsa).expect("a key").key)
}

/// The zone with the record of this key.
fn zone_with(serial: u32, key: &PrivateKey) -> String {
    let record = key.public_record();
    let (one, two) = record.split_at(255);
    zone_of(serial, &format!("sel._domainkey 300 TXT \"{one}\" \"{two}\"\n"))
}

/// Makes the resolver remember what it finds at the name of the key.
fn remember() {
    let resolver = Dns::new(live::resolver(dns(RESOLVER)));
    Runtime::new().expect("a runtime").block_on(resolver.query("sel._domainkey.example.com", RecordType::Txt));
}

#[test]
fn the_watch_tells_a_record_that_is_on_its_way_from_one_that_is_missing() {
    alone("the_watch_tells_a_record_that_is_on_its_way_from_one_that_is_missing", || {
        let _internet = Internet::new();
        let old = zone(1, None);
        let ns1 = serve(NS1, &old);
        let _ns2 = serve(NS2, &old);
        remember();
        drop(ns1);
        let key = key();
        let _ns1 = serve(NS1, &zone_with(2, &key));
        let watching = Watching::start(&key);
        // Receivers may ask the server that does not know it yet.
        let known = watching.becomes(State::NotReady, "dns-propagation-pending");
        assert!(known.causes[0].claim.as_ref().is_some_and(|claim| claim.contains("serial 2")), "{known:#?}");
    });
}

#[test]
fn a_record_that_every_name_server_gives_is_ready_whatever_the_resolver_remembers() {
    alone("a_record_that_every_name_server_gives_is_ready_whatever_the_resolver_remembers", || {
        let _internet = Internet::new();
        let serve_both = |zone: &str| [serve(NS1, zone), serve(NS2, zone)];
        let servers = serve_both(&zone(1, None));
        let key = key();
        let watching = Watching::start(&key);
        watching.becomes(State::NotReady, "dkim-record-not-found");
        drop(servers);
        // The resolver remembers for ten minutes that there was nothing; the watch does not wait for that.
        let servers = serve_both(&zone_with(2, &key));
        watching.becomes(State::Ready, "dns-negative-cache");
        drop(servers);
        // It goes on to say so, and whoever asks the servers knows better.
        let _servers = serve_both(&zone(3, None));
        watching.watch.reload();
        watching.becomes(State::NotReady, "dkim-record-not-found");
    });
}

#[test]
fn servers_that_differ_are_told_before_the_resolver_meets_the_wrong_one() {
    alone("servers_that_differ_are_told_before_the_resolver_meets_the_wrong_one", || {
        let _internet = Internet::new();
        let key = key();
        let _ns1 = serve(NS1, &zone_with(2, &key));
        remember();
        let _ns2 = serve(NS2, &zone(1, None));
        let known = Watching::start(&key).becomes(State::Ready, "dns-propagation-pending");
        assert!(known.causes.iter().any(|cause| cause.cause == "dkim-results-alternate"), "{known:#?}");
    });
}

/// The milter that verifies what strangers hand over.
struct Receiver {
    waxseal: Waxseal,
    runtime: Runtime,
}

impl Receiver {
    #[track_caller]
    fn start(resolver: SocketAddr, settings: &str) -> Receiver {
        let home = Home::new();
        home.settings(&format!(
            "verify.resolver = \"{resolver}\"\n{settings}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n"
        ));
        Receiver { waxseal: Waxseal::start(home), runtime: Runtime::new().expect("a runtime") }
    }

    /// Hands over a message that this key signed, and gives the first cause that is found for what failed.
    #[track_caller]
    fn diagnoses(&self, key: &Key, domain: &str) -> Value {
        let before = self.waxseal.diagnoses().len();
        let mail = Signer::new(key, domain).sign(MAIL.replace("example.com", domain).as_bytes());
        let status = self.runtime.block_on(send(&self.waxseal.socket(), &String::from_utf8_lossy(&mail)));
        assert_eq!(status, Status::Accept, "the verdict refuses nothing");
        let event = eventually("a diagnosis", LIMIT, || self.waxseal.diagnoses().into_iter().nth(before));
        event["causes"][0].clone()
    }
}

/// One message, as an MTA hands it over for a client from outside with the null sender.
async fn send(socket: &str, mail: &str) -> Status {
    let address: SocketAddr = socket.strip_prefix("inet:").and_then(|text| text.parse().ok()).expect("an address");
    let mut connection =
        TestConnection::configure().exact_leading_space(true).open_tcp(address).await.expect("a connection");
    connection.connect("client.example", [192, 0, 2, 200]).await.expect("connect");
    connection.helo("client.example").await.expect("helo");
    connection.mail(["<>"]).await.expect("mail");
    connection.rcpt(["<b@example.net>"]).await.expect("rcpt");
    let (header, body) = mail.split_once("\r\n\r\n").expect("a header and a body");
    for field in header.replace("\r\n ", "\n ").replace("\r\n\t", "\n\t").split("\r\n") {
        let (name, value) = field.split_once(':').expect("a field");
        connection.header(name, value).await.expect("header");
    }
    connection.eoh().await.expect("end of header");
    connection.body(body.as_bytes().to_vec()).await.expect("body");
    let (_, status) = connection.eom().await.expect("end of message");
    connection.close().await.expect("closed");
    status
}

const ALL: &str = "verify.name_servers = \"all\"";

#[test]
fn mail_that_failed_is_held_against_what_the_name_servers_say() {
    alone("mail_that_failed_is_held_against_what_the_name_servers_say", || {
        let _internet = Internet::new();
        let receiver = Receiver::start(dns(RESOLVER), ALL);
        let of = |key: &Key| receiver.diagnoses(key, "example.com");
        let serve_both = |zone: &str| [serve(NS1, zone), serve(NS2, zone)];
        let servers = serve_both(&zone(1, None));
        remember();
        drop(servers);
        let servers = serve_both(&zone(2, Some(&ED25519)));
        let told = of(&ED25519);
        assert_eq!(
            (&told["cause"], &told["confidence"]),
            (&"dns-negative-cache".into(), &"certain".into()),
            "{told:#}"
        );
        drop(servers);
    });
}

#[test]
fn a_key_that_the_resolver_has_not_heard_of_is_not_a_wrong_key() {
    alone("a_key_that_the_resolver_has_not_heard_of_is_not_a_wrong_key", || {
        let _internet = Internet::new();
        let receiver = Receiver::start(dns(RESOLVER), ALL);
        let of = |key: &Key| receiver.diagnoses(key, "example.com");
        let with = |serial, key: &Key| {
            let (one, two) = (key.record()[..255].to_owned(), key.record()[255..].to_owned());
            let zone = zone_of(serial, &format!("sel._domainkey 300 TXT \"{one}\" \"{two}\"\n"));
            [serve(NS1, &zone), serve(NS2, &zone)]
        };
        let servers = with(1, &OTHER_2048);
        remember();
        // Nobody has published the key that signed: it is a wrong one.
        assert_eq!(of(&RSA_2048)["cause"], "dkim-key-mismatch");
        drop(servers);
        let _servers = with(2, &RSA_2048);
        // What the servers said is remembered for a moment, for mail that comes in one go.
        let told = eventually("the servers are asked again", LIMIT, || {
            let told = of(&RSA_2048);
            (told["cause"] != "dkim-key-mismatch").then_some(told)
        });
        assert_eq!((&told["cause"], &told["confidence"]), (&"dns-stale-cache".into(), &"certain".into()), "{told:#}");
    });
}

#[test]
fn servers_that_fail_are_told_from_a_resolver_that_does() {
    alone("servers_that_fail_are_told_from_a_resolver_that_does", || {
        let _internet = Internet::new();
        let elsewhere = zone(7, None).replace("example.com", "example.org");
        let servers = [NS1, NS2].map(|host| Nsd::start_at(dns(host), &[("example.org", &elsewhere)]));
        let receiver = Receiver::start(dns(RESOLVER), ALL);
        assert_eq!(receiver.diagnoses(&ED25519, "example.com")["cause"], "dns-servfail-authoritative");
        drop(servers);
    });
}

#[test]
fn a_stranger_has_nobody_asked_within_the_network() {
    alone("a_stranger_has_nobody_asked_within_the_network", || {
        // The zone of the stranger says that its name server is a machine here.
        let zone = "$ORIGIN example.\n$TTL 300\n@ SOA ns h 1 3600 900 604800 60\n@ NS ns\nns A 127.0.0.77\n";
        let nsd = Nsd::start_at(dns(53), &[("example", zone)]);
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        between(dns(77), dns(53), move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Meddle::Drop
        });
        for (settings, may) in [("", false), ("verify.name_servers = \"none\"", false), (ALL, true)] {
            let receiver = Receiver::start(nsd.address(), settings);
            assert_eq!(receiver.diagnoses(&ED25519, "broken.example")["cause"], "dkim-record-not-found");
            assert_eq!(asked.load(Ordering::SeqCst) > 0, may, "{settings:?}");
        }
    });
}
