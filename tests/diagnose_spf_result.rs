//! Sound SPF records that do not let the client send: whose client it is, and whether anything is wrong at all.

mod common;

use common::{
    forge::{RSA_2048, Signer, Zone},
    scene::{MAIL, Said, verify},
};

fn zone(text: &str) -> Zone {
    Zone::default().txt("_dmarc.example.com", "v=DMARC1; p=none").txt("example.com", text)
}

#[track_caller]
fn judge(mail: &str, zone: &Zone, client: &str, further: &[&str]) -> Said {
    let mut arguments = vec!["--client-ip", client, "--helo", "out.example.com"];
    if !further.contains(&"--mail-from") {
        arguments.extend(["--mail-from", "a@example.com"]);
    }
    arguments.extend(further);
    verify(mail.as_bytes(), zone, &arguments)
}

#[test]
fn nobody_named_the_client() {
    let said = judge(MAIL, &zone("v=spf1 ip4:203.0.113.1 -all"), "192.0.2.7", &[]);
    said.leads("spf-ip-not-authorized", "certain").never(&["spf-softfail-policy", "spf-forwarded"]);
    let finding = said.finding("spf-ip-not-authorized");
    assert!(finding["claim"].as_str().is_some_and(|claim| claim.contains("192.0.2.7 may not send for example.com")));
    // It may be anybody's: nothing is given to be pasted.
    assert!(finding["publish"].is_null());
    let said = judge(MAIL, &zone("v=spf1 ip4:203.0.113.1 ~all"), "192.0.2.7", &[]);
    said.leads("spf-ip-not-authorized", "certain");
    assert_eq!(said.finding("spf-softfail-policy")["severity"], "note");
    let said = judge(MAIL, &zone("v=spf1 -ip4:192.0.2.0/24 +all"), "192.0.2.7", &[]);
    said.leads("spf-ip-not-authorized", "certain");
    judge(MAIL, &zone("v=spf1 mx ?all"), "192.0.2.7", &[]).leads("spf-neutral-all", "certain").never(&["spf-no-all"]);
    judge(MAIL, &zone("v=spf1 mx"), "192.0.2.7", &[]).leads("spf-no-all", "certain").never(&["spf-neutral-all"]);
}

#[test]
fn without_a_client_nothing_is_said() {
    let said = verify(MAIL.as_bytes(), &zone("v=spf1 moo -all"), &[]);
    said.never(&["spf-unknown-mechanism", "spf-ip-not-authorized", "spf-record-missing"]);
}

#[test]
fn the_null_sender_is_judged_by_helo() {
    let null = ["--mail-from", "<>"];
    let named = zone("v=spf1 ip4:192.0.2.7 -all");
    judge(MAIL, &named, "192.0.2.7", &null).leads("spf-helo-only", "certain").never(&["spf-record-missing"]);
    let wrong = named.clone().txt("out.example.com", "v=spf1 ip4:203.0.113.1 -all");
    judge(MAIL, &wrong, "192.0.2.7", &null).leads("spf-helo-only", "certain").never(&["spf-ip-not-authorized"]);
    let said =
        verify(MAIL.as_bytes(), &named, &["--client-ip", "192.0.2.7", "--helo", "[192.0.2.7]", "--mail-from", ""]);
    assert_eq!(said.finding("spf-helo-only")["confidence"], "certain");
    // A record that is broken is broken at a HELO name too.
    let broken = named.clone().txt("out.example.com", "v=spf1 moo -all");
    judge(MAIL, &broken, "192.0.2.7", &null).leads("spf-unknown-mechanism", "certain").never(&["spf-helo-only"]);
    // With a sender, the HELO name does not count.
    judge(MAIL, &named, "192.0.2.7", &[]).healthy().never(&["spf-helo-only"]);
}

#[test]
fn forwarded_mail() {
    let sound = zone("v=spf1 ip4:203.0.113.1 -all").txt("sel._domainkey.example.com", &RSA_2048.record());
    let signed = String::from_utf8(Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes())).expect("ASCII");
    let list = format!("List-Id: <users.list.example>\r\n{signed}");
    let hop = format!(
        "Received: from out.example.com (out.example.com [203.0.113.1]) by alias.example.net with ESMTP; \
         Mon, 23 Nov 2026 04:00:00 +0000\r\n{signed}"
    );
    for mail in [&list, &hop] {
        let said = judge(mail, &sound, "192.0.2.7", &[]);
        said.healthy().leads("spf-forwarded", "likely").never(&["spf-ip-not-authorized", "spf-checked-behind-relay"]);
    }
    let srs = sound.clone().txt("alias.example.net", "v=spf1 ip4:198.51.100.1 -all");
    let rewritten = ["--mail-from", "SRS0=ab=cd=example.com=a@alias.example.net"];
    judge(&signed, &srs, "192.0.2.7", &rewritten).healthy().leads("spf-forwarded", "likely");
    // No sign of a forwarder, or no signature that holds.
    judge(&signed, &sound, "192.0.2.7", &[]).leads("spf-ip-not-authorized", "certain").never(&["spf-forwarded"]);
    let unsigned = format!("List-Id: <users.list.example>\r\n{MAIL}");
    judge(&unsigned, &sound, "192.0.2.7", &[]).leads("spf-ip-not-authorized", "certain").never(&["spf-forwarded"]);
    // The record is broken whoever forwarded.
    let broken = zone("v=spf1 moo -all").txt("sel._domainkey.example.com", &RSA_2048.record());
    judge(&list, &broken, "192.0.2.7", &[]).leads("spf-unknown-mechanism", "certain").never(&["spf-forwarded"]);
}

#[test]
fn judged_behind_a_relay_of_our_own() {
    let sound = zone("v=spf1 ip4:203.0.113.1 -all");
    let entered = "Received: from out.example.com (out.example.com [203.0.113.1]) by gw.example.net with ESMTP; \
                   Mon, 23 Nov 2026 04:00:00 +0000\r\n";
    let inside = |client: &str| {
        format!(
            "Received: from gw.example.net (gw.example.net [{client}]) by mx.example.net with ESMTP; \
             Mon, 23 Nov 2026 04:00:01 +0000\r\n{entered}{MAIL}"
        )
    };
    for client in ["10.0.0.5", "192.168.1.1", "100.64.0.9", "fd00::5", "198.51.100.9"] {
        judge(&inside(client), &sound, client, &[])
            .leads("spf-checked-behind-relay", "certain")
            .never(&["spf-ip-not-authorized", "spf-forwarded"])
            .finding("verifier-trusted-relay-missing");
    }
    let relayed = format!("{entered}{MAIL}");
    judge(&relayed, &sound, "10.0.0.5", &[]).leads("spf-checked-behind-relay", "certain");
    // The client before it may not send either; a stranger's relay; nobody before it.
    let other = zone("v=spf1 ip4:198.51.100.77 -all");
    judge(&inside("10.0.0.5"), &other, "10.0.0.5", &[]).leads("spf-ip-not-authorized", "certain");
    let stranger = inside("198.51.100.9").replace("by mx.example.net", "by mx.b.example.org");
    judge(&stranger, &sound, "198.51.100.9", &[])
        .never(&["spf-checked-behind-relay", "verifier-trusted-relay-missing"]);
    let said = judge(MAIL, &sound, "10.0.0.5", &[]);
    let relay = said.leads("spf-ip-not-authorized", "certain").finding("verifier-trusted-relay-missing");
    assert_eq!((&relay["confidence"], &relay["severity"]), (&"possible".into(), &"note".into()));
}

#[test]
fn the_other_address_of_the_host() {
    let reverse =
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 IN PTR out.example.com.";
    let host = |text: &str| {
        zone(text).line("out.example.com. 300 IN A 192.0.2.7").line("out.example.com. 300 IN AAAA 2001:db8::7")
    };
    let listed = host("v=spf1 ip4:192.0.2.7 -all");
    let said = judge(MAIL, &listed.clone().line(reverse), "2001:db8::7", &[]);
    said.leads("spf-ipv6-egress-unlisted", "likely").never(&["spf-ip-not-authorized"]);
    assert_eq!(
        said.finding("spf-ipv6-egress-unlisted")["publish"]["value"],
        "v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all"
    );
    let helo = ["--client-ip", "2001:db8::7", "--helo", "out.example.com", "--mail-from", "a@example.com"];
    verify(MAIL.as_bytes(), &listed, &helo).leads("spf-ipv6-egress-unlisted", "likely");
    // Its IPv4 address is not named either; or the client speaks IPv4.
    let unlisted = host("v=spf1 ip4:203.0.113.1 -all").line(reverse);
    judge(MAIL, &unlisted, "2001:db8::7", &[]).leads("spf-ip-not-authorized", "certain");
    judge(MAIL, &listed, "192.0.2.8", &[]).leads("spf-ip-not-authorized", "certain");
}
