//! Whose DNS is at fault: `waxseal check` and `verify` against real name servers (NSD) below a root of their own, found by
//! a real resolver (Unbound), each test in a network of its own.

mod common;

use common::{
    forge::{ED25519, Key, Signer},
    internet::{DELEGATION, Internet, NS1, NS2, RESOLVER, ROOT, serve, zone, zone_of},
    network::{Meddle, Unbound, alone, between, dns},
    nsd::Nsd,
    process,
    scene::MAIL,
};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

fn other_key() -> Key {
    Key::Ed25519(Box::new(aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key")))
}

struct Said {
    report: Value,
    status: i32,
}

#[track_caller]
fn run(command: &str, resolver: SocketAddr, arguments: &[&str], input: &[u8]) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_waxseal"))
        .args([command, "--json", "--resolver", &resolver.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    child.stdin.take().expect("a pipe").write_all(input).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Said { report, status: output.status.code().expect("a status") }
}

#[track_caller]
fn check() -> Said {
    check_with(&[])
}

#[track_caller]
fn check_with(arguments: &[&str]) -> Said {
    run("check", dns(RESOLVER), &[&["example.com", "--selector", "sel"], arguments].concat(), b"")
}

/// `waxseal verify` of a message that this key signed.
#[track_caller]
fn verify(key: &Key) -> Said {
    let mail = Signer::new(key, "example.com").sign(MAIL.as_bytes());
    run("verify", dns(RESOLVER), &["-"], &mail)
}

impl Said {
    fn causes(&self) -> Vec<&str> {
        let findings = self.report["findings"].as_array().expect("findings");
        findings.iter().filter_map(|finding| finding["cause"].as_str()).collect()
    }

    #[track_caller]
    fn leads(&self, cause: &str, severity: &str) -> &Said {
        let first = &self.report["findings"][0];
        assert_eq!((&first["cause"], &first["severity"]), (&cause.into(), &severity.into()), "{:#}", self.report);
        assert_eq!((&first["confidence"], &first["primary"]), (&"certain".into(), &true.into()), "{:#}", self.report);
        self
    }

    #[track_caller]
    fn never(&self, causes: &[&str]) -> &Said {
        for cause in causes {
            assert!(!self.causes().contains(cause), "{cause} is named: {:#}", self.report);
        }
        self
    }

    /// The fourth step: status and detail.
    fn lookup(&self) -> (&str, &str) {
        let step = &self.report["steps"][3];
        (step["status"].as_str().expect("a status"), step["detail"].as_str().expect("a detail"))
    }

    /// All text of the first finding.
    fn first(&self) -> String {
        self.report["findings"][0].to_string()
    }
}

/// What is said where servers differ; a healthy zone gives none of it.
const LIVE: [&str; 14] = [
    "dns-propagation-pending",
    "dns-resolver-disagreement",
    "dns-stale-cache",
    "dns-negative-cache",
    "dkim-results-alternate",
    "dns-servfail-authoritative",
    "dns-dnssec-bogus",
    "dns-lame-delegation",
    "dns-authoritative-inconsistent",
    "dns-edns-broken",
    "dns-zone-not-authoritative",
    "dns-domain-expired",
    "dns-split-horizon",
    "dns-lookup-failed",
];

#[test]
fn servers_that_agree_are_named_with_their_serials() {
    alone("servers_that_agree_are_named_with_their_serials", || {
        let _internet = Internet::new();
        let zone = zone(7, Some(&ED25519));
        let _servers = [serve(NS1, &zone), serve(NS2, &zone)];
        let said = check();
        said.never(&LIVE);
        let (status, detail) = said.lookup();
        assert_eq!(status, "ok", "{:#}", said.report);
        for part in ["2 name servers agree", "ns1.example.com 127.0.0.21 serial 7: 1 TXT record", "ns2.example.com"] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        assert_eq!(said.status, 0, "{:#}", said.report);
        let alone = check_with(&["--no-authoritative"]);
        assert!(alone.lookup().1.starts_with("answered by 127.0.0.53:53"), "{:#}", alone.report);
    });
}

#[test]
fn what_the_resolver_remembers_of_the_name_above_accuses_no_server() {
    alone("what_the_resolver_remembers_of_the_name_above_accuses_no_server", || {
        let _internet = Internet::new();
        let servers = [serve(NS1, &zone(1, None)), serve(NS2, &zone(1, None))];
        // The resolver learns that there is no _domainkey, and nothing about the key.
        run("check", dns(RESOLVER), &["example.com", "--selector", "other"], b"");
        drop(servers);
        let new = zone(2, Some(&ED25519));
        let _servers = [serve(NS1, &new), serve(NS2, &new)];
        check().never(&["dns-ent-nxdomain"]);
    });
}

#[test]
fn a_change_on_its_way_is_propagation_and_a_record_that_stands_nowhere_is_not() {
    alone("a_change_on_its_way_is_propagation_and_a_record_that_stands_nowhere_is_not", || {
        let _internet = Internet::new();
        let old = zone(1, None);
        let ns1 = serve(NS1, &old);
        let _ns2 = serve(NS2, &old);
        // This also makes the resolver remember that there is nothing.
        let missing = check();
        missing.leads("dkim-record-not-found", "error").never(&LIVE);
        assert!(missing.first().contains("none of the 2 name servers has the record"), "{}", missing.first());
        verify(&ED25519).never(&LIVE);
        drop(ns1);
        let ns1 = serve(NS1, &zone(2, Some(&ED25519)));
        for said in [check(), verify(&ED25519)] {
            said.leads("dns-propagation-pending", "error").never(&["dns-negative-cache", "dkim-record-not-found"]);
            assert!(said.causes().contains(&"dkim-results-alternate"), "{:#}", said.report);
            let first = said.first();
            for part in ["ns2.example.com (serial 1)", "ns1.example.com (serial 2)", "NXDOMAIN"] {
                assert!(first.contains(part), "{part}: {first}");
            }
        }
        assert_eq!(check().lookup().0, "failed");
        // An old serial that is a date says that nothing is on its way any more.
        drop(ns1);
        let _ns1 = serve(NS1, &zone(2_026_010_201, Some(&ED25519)));
        let said = check();
        assert_eq!(said.causes()[0], "dns-authoritative-inconsistent", "{:#}", said.report);
        assert_eq!(said.report["findings"][0]["confidence"], "likely");
    });
}

#[test]
fn a_resolver_that_remembers_nothing_or_an_old_record_is_told_with_the_time_it_takes() {
    alone("a_resolver_that_remembers_nothing_or_an_old_record_is_told_with_the_time_it_takes", || {
        let _internet = Internet::new();
        let old = zone(1, None);
        let servers = [serve(NS1, &old), serve(NS2, &old)];
        check();
        drop(servers);
        let new = zone(2, Some(&ED25519));
        let servers = [serve(NS1, &new), serve(NS2, &new)];
        for said in [check(), verify(&ED25519)] {
            said.leads("dns-negative-cache", "error").never(&["dkim-record-not-found", "dns-propagation-pending"]);
            assert!(said.first().contains("minutes"), "{}", said.first());
        }
        drop(servers);

        // Another resolver, which learns the first key, and then there is a second one.
        let resolver = dns(54);
        let _second = Unbound::start(resolver, dns(ROOT), "");
        let servers = [serve(NS1, &new), serve(NS2, &new)];
        let mail = Signer::new(&ED25519, "example.com").sign(MAIL.as_bytes());
        assert_eq!(run("verify", resolver, &["-"], &mail).report["dkim"][0]["result"], "pass");
        drop(servers);
        let key = other_key();
        let newest = zone(3, Some(&key));
        let _servers = [serve(NS1, &newest), serve(NS2, &newest)];
        let mail = Signer::new(&key, "example.com").sign(MAIL.as_bytes());
        let said = run("verify", resolver, &["-"], &mail);
        said.leads("dns-stale-cache", "error").never(&["dkim-key-mismatch", "dns-resolver-disagreement"]);
        // Without a signature nobody knows which of the two is right.
        let said = run("check", resolver, &["example.com", "--selector", "sel"], b"");
        assert!(said.causes().contains(&"dns-resolver-disagreement"), "{:#}", said.report);
        assert_eq!(said.lookup().0, "warning", "{:#}", said.report);
        // A message that an unknown key signed: its signature fails by the key, wherever it is looked up.
        let mail = Signer::new(&other_key(), "example.com").sign(MAIL.as_bytes());
        run("verify", resolver, &["-"], &mail).never(&["dns-stale-cache", "dns-propagation-pending"]);
        // The record is removed, and the resolver does not know it yet.
        drop(_servers);
        let _servers = [serve(NS1, &zone(4, None)), serve(NS2, &zone(4, None))];
        let said = run("check", resolver, &["example.com", "--selector", "sel"], b"");
        said.leads("dns-stale-cache", "error");
    });
}

#[test]
fn servers_at_the_same_serial_that_differ_will_not_agree_by_waiting() {
    alone("servers_at_the_same_serial_that_differ_will_not_agree_by_waiting", || {
        let _internet = Internet::new();
        let quoted = format!("sel._domainkey TXT \"\\\"{}\\\"\"\n", ED25519.record());
        let ns1 = serve(NS1, &zone_of(5, &quoted));
        let ns2 = serve(NS2, &zone_of(5, &quoted));
        check();
        drop(ns1);
        let _ns1 = serve(NS1, &zone(5, Some(&ED25519)));
        for said in [check(), verify(&ED25519)] {
            said.leads("dns-authoritative-inconsistent", "error").never(&["dns-propagation-pending"]);
            assert!(said.causes().contains(&"dkim-results-alternate"), "{:#}", said.report);
        }
        drop(ns2);
    });
}

#[test]
fn a_server_of_the_delegation_without_the_zone_is_lame_and_none_with_it_is_worse() {
    alone("a_server_of_the_delegation_without_the_zone_is_lame_and_none_with_it_is_worse", || {
        let _internet = Internet::new();
        let zone = zone(7, Some(&ED25519));
        let ns1 = serve(NS1, &zone);
        // It refuses what it does not know.
        let elsewhere = zone.replace("example.com", "example.org");
        let _ns2 = Nsd::start_at(dns(NS2), &[("example.org", &elsewhere)]);
        let said = check();
        said.never(&["dns-servfail-authoritative", "dns-propagation-pending", "dkim-record-not-found"]);
        let finding = said.report["findings"].as_array().expect("findings");
        let lame = finding.iter().find(|finding| finding["cause"] == "dns-lame-delegation").expect("it is named");
        assert_eq!((&lame["severity"], &lame["confidence"]), (&"warning".into(), &"certain".into()));
        assert!(lame["claim"].as_str().is_some_and(|claim| claim.starts_with("ns2.example.com")), "{lame:#}");
        assert_eq!((said.lookup().0, said.status), ("warning", 0), "{:#}", said.report);
        drop(ns1);
        let _ns1 = Nsd::start_at(dns(NS1), &[("example.org", &elsewhere)]);
        // The resolver still knows the record; another one does not.
        let _fresh = Unbound::start(dns(54), dns(ROOT), "");
        let said = run("check", dns(54), &["example.com", "--selector", "sel"], b"");
        let causes = said.causes();
        assert!(causes.contains(&"dns-servfail-authoritative"), "{:#}", said.report);
        said.never(&["dns-lookup-failed", "dkim-record-not-found", "dns-lame-delegation"]);
        assert_eq!(said.lookup().0, "failed");
        let mail = Signer::new(&ED25519, "example.com").sign(MAIL.as_bytes());
        run("verify", dns(54), &["-"], &mail).leads("dns-servfail-authoritative", "error");
    });
}

#[test]
fn a_zone_whose_signatures_have_expired_is_dnssec_and_not_the_resolver() {
    alone("a_zone_whose_signatures_have_expired_is_dnssec_and_not_the_resolver", || {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zone");
        fs::write(&file, zone(7, Some(&ED25519))).expect("a zone file");
        let key = process::run(
            Command::new("ldns-keygen").args(["-a", "ECDSAP256SHA256", "-k", "example.com"]).current_dir(&folder),
        );
        let key = key.trim();
        for (expires, bogus) in [("20600101", false), ("20200201", true)] {
            process::run(
                Command::new("ldns-signzone")
                    .args(["-i", "20200101", "-e", expires, "-f", "signed", "zone", key])
                    .current_dir(&folder),
            );
            let signed = fs::read_to_string(folder.path().join("signed")).expect("a signed zone");
            let anchor = folder.path().join(format!("{key}.key")).display().to_string();
            let lines = format!(" module-config: \"validator iterator\"\n trust-anchor-file: \"{anchor}\"\n");
            let _internet = Internet::with(DELEGATION, &lines);
            let _servers = [serve(NS1, &signed), serve(NS2, &signed)];
            let said = verify(&ED25519);
            if bogus {
                said.leads("dns-dnssec-bogus", "error").never(&["dns-lookup-failed", "dns-servfail-authoritative"]);
                // Which extended error it gives depends on the version of Unbound.
                let first = said.first();
                assert!(first.contains("the signatures have expired") || first.contains("extended error 6"), "{first}");
                assert_eq!(check().lookup().0, "failed");
            } else {
                assert_eq!(said.report["dkim"][0]["result"], "pass", "{:#}", said.report);
                check().never(&LIVE);
            }
        }
    });
}

#[test]
fn a_resolver_with_a_zone_of_its_own_is_told_from_one_that_is_behind() {
    alone("a_resolver_with_a_zone_of_its_own_is_told_from_one_that_is_behind", || {
        let lines = " local-zone: \"_domainkey.example.com.\" static\n";
        let _internet = Internet::with(DELEGATION, lines);
        let zone = zone(7, Some(&ED25519));
        let _servers = [serve(NS1, &zone), serve(NS2, &zone)];
        for said in [check(), verify(&ED25519)] {
            said.leads("dns-split-horizon", "error").never(&["dns-negative-cache", "dkim-record-not-found"]);
        }
    });
}

#[test]
fn a_domain_that_the_registry_does_not_know_is_not_a_missing_record() {
    alone("a_domain_that_the_registry_does_not_know_is_not_a_missing_record", || {
        let _internet = Internet::with("", "");
        let said = check();
        assert!(said.causes().contains(&"dns-domain-expired"), "{:#}", said.report);
        said.never(&["dkim-record-not-found", "dns-negative-cache"]);
    });
}

#[test]
fn a_record_at_the_former_provider_is_told_where_it_should_stand() {
    alone("a_record_at_the_former_provider_is_told_where_it_should_stand", || {
        // The registry still points to ns1; the zone there names the new provider, where the record was entered.
        let _internet = Internet::with("example.com. NS ns1.example.com.\nns1.example.com. A 127.0.0.21\n", "");
        let old = zone(7, None);
        let new = zone(7, Some(&ED25519));
        let _servers = [serve(NS1, &old), serve(NS2, &new)];
        // Which of the two the resolver asks is chance; what is wrong is not.
        let said = check();
        assert!(said.causes().contains(&"dns-zone-not-authoritative"), "{:#}", said.report);
        said.never(&["dns-stale-cache", "dns-negative-cache", "dns-propagation-pending", "dkim-record-not-found"]);
        let said = verify(&ED25519);
        assert!(
            said.causes().first() == Some(&"dns-zone-not-authoritative") || said.report["dkim"][0]["result"] == "pass",
            "{:#}",
            said.report
        );
    });
}

/// Has a question an OPT record? It is the only additional one that a question has.
fn has_edns(packet: &[u8]) -> bool {
    packet[11] > 0
}

/// The type asked for.
fn kind(packet: &[u8]) -> u16 {
    let end = 12 + packet[12..].iter().position(|octet| *octet == 0).expect("the root's label");
    u16::from_be_bytes([packet[end + 1], packet[end + 2]])
}

#[test]
fn servers_that_choke_on_edns_and_resolvers_that_fail_are_told_apart() {
    alone("servers_that_choke_on_edns_and_resolvers_that_fail_are_told_apart", || {
        let _internet = Internet::new();
        let zone = zone(7, Some(&ED25519));
        let _servers = [serve(31, &zone), serve(NS2, &zone)];
        between(dns(NS1), dns(31), |packet| if has_edns(packet) { Meddle::Drop } else { Meddle::Pass });
        let said = check();
        assert!(said.causes().contains(&"dns-edns-broken"), "{:#}", said.report);
        assert_eq!(said.lookup().0, "warning");
        said.never(&["dns-lame-delegation", "dns-servfail-authoritative", "dns-propagation-pending"]);

        // A resolver that fails for the record, whatever it is asked with.
        between(dns(55), dns(RESOLVER), |packet| if kind(packet) == 16 { Meddle::Say(2) } else { Meddle::Pass });
        let mail = Signer::new(&ED25519, "example.com").sign(MAIL.as_bytes());
        let said = run("verify", dns(55), &["-"], &mail);
        said.never(&["dns-dnssec-bogus", "dns-servfail-authoritative", "dkim-record-not-found"]);
        assert!(said.causes().contains(&"dns-edns-broken"), "{:#}", said.report);
    });
}

#[test]
fn a_resolver_that_fails_while_the_servers_answer_is_the_one_at_fault() {
    alone("a_resolver_that_fails_while_the_servers_answer_is_the_one_at_fault", || {
        let _internet = Internet::new();
        let zone = zone(7, Some(&ED25519));
        let _servers = [serve(NS1, &zone), serve(NS2, &zone)];
        for rcode in [2, 5] {
            let resolver = dns(60 + rcode);
            between(resolver, dns(RESOLVER), move |packet| match kind(packet) {
                16 => Meddle::Say(rcode),
                _ => Meddle::Pass,
            });
            let mail = Signer::new(&ED25519, "example.com").sign(MAIL.as_bytes());
            let said = run("verify", resolver, &["-"], &mail);
            said.leads("dns-lookup-failed", "error").never(&["dns-dnssec-bogus", "dns-servfail-authoritative"]);
            assert!(said.first().contains("the name servers of example.com answer"), "{}", said.first());
            assert_eq!(said.status, 75, "{:#}", said.report);
        }
    });
}

#[test]
fn servers_that_never_answer_hold_nothing_up_and_prove_nothing() {
    alone("servers_that_never_answer_hold_nothing_up_and_prove_nothing", || {
        let _internet = Internet::new();
        let ns1 = serve(NS1, &zone(7, None));
        between(dns(NS2), dns(NS1), |_| Meddle::Drop);
        let start = std::time::Instant::now();
        let said = check();
        said.leads("dkim-record-not-found", "error").never(&LIVE);
        assert!(
            said.first().contains("ns2.example.com 127.0.0.22 without serial: no answer in time"),
            "{}",
            said.first()
        );
        drop(ns1);
        // Nobody is left; what the resolver remembers stands, and nobody is accused.
        run("check", dns(RESOLVER), &["example.com", "--selector", "other"], b"").never(&LIVE[..LIVE.len() - 1]);
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    });
}

#[test]
fn an_alias_is_followed_to_the_servers_of_the_provider() {
    alone("an_alias_is_followed_to_the_servers_of_the_provider", || {
        let _internet = Internet::new();
        let zone = zone_of(7, "sel._domainkey CNAME sel.provider.org.\n");
        let _servers = [serve(NS1, &zone), serve(NS2, &zone)];
        let provider = |serial: u32, key: &str| {
            format!(
                "$ORIGIN provider.org.\n$TTL 3600\n@ SOA ns h {serial} 3600 900 604800 600\n@ NS ns\nns A 127.0.0.30\n{key}"
            )
        };
        let record = format!("sel TXT \"{}\"\n", ED25519.record());
        let before = Nsd::start_at(dns(30), &[("provider.org", &provider(1, ""))]);
        check().never(&LIVE);
        drop(before);
        let _after = Nsd::start_at(dns(30), &[("provider.org", &provider(2, &record))]);
        for said in [check(), verify(&ED25519)] {
            said.leads("dns-negative-cache", "error");
            assert!(said.first().contains("ns.provider.org"), "{}", said.first());
        }
    });
}
