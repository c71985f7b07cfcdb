//! Waxseal judges mail behind a real Postfix, with records from a real name server: where its field goes, which fields
//! go, what becomes of the mail.

mod common;

use common::{
    eventually,
    forge::{self, RSA_2048, Signer, Zone},
    nsd::Nsd,
    receiver::{ID, OUTSIDE, Receiver, fields, read, results},
};
use std::time::Duration;

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";

/// sender.example authorises 192.0.2.7 alone; reject.example and quarantine.example authorise nobody, and say what for.
fn name_server() -> Nsd {
    let zone = Zone::default()
        .line(SOA)
        .txt("sender.example", "v=spf1 ip4:192.0.2.7 -all")
        .txt("_dmarc.sender.example", "v=DMARC1; p=reject")
        .txt("sel._domainkey.sender.example", &RSA_2048.record())
        .txt("reject.example", "v=spf1 -all")
        .txt("_dmarc.reject.example", "v=DMARC1; p=reject")
        .txt("quarantine.example", "v=spf1 ~all")
        .txt("_dmarc.quarantine.example", "v=DMARC1; p=quarantine")
        .txt("percent.example", "v=spf1 -exists:%{i}.%{l}.list.example ?all")
        .line("*.list.example. 300 IN A 127.0.0.2");
    Nsd::start(&[("example", zone.text())])
}

fn mail(domain: &str) -> String {
    format!(
        "From: a@{domain}\r\nTo: user@receiver.example\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
         Message-ID: <1@{domain}>\r\n\r\nbody\r\n"
    )
}

fn signed(domain: &str) -> String {
    String::from_utf8(Signer::new(&RSA_2048, domain).sign(mail(domain).as_bytes())).expect("ASCII")
}

#[test]
fn our_field_stands_below_the_received_field_of_this_host_and_above_all_others() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), "verify.received_spf = true");
    let older = "Received: from x (x [192.0.2.99]) by y with ESMTP; Mon, 23 Nov 2026 03:00:00 +0000\r\n\
                 Authentication-Results: y; spf=pass\r\n";
    let message = older.to_owned() + &signed("sender.example");
    let arrived = receiver.through(OUTSIDE, "a@sender.example", message.as_bytes());
    let names: Vec<String> = fields(&arrived.bytes).into_iter().map(|(name, _)| name).collect();
    let want = [
        "Received",
        "Authentication-Results",
        "Received-SPF",
        "Received",
        "Authentication-Results",
        "DKIM-Signature",
        "From",
    ];
    assert_eq!(names[..want.len()], want, "{}", String::from_utf8_lossy(&arrived.bytes));
    let header = fields(&arrived.bytes);
    assert!(header[0].1.contains("by mail.example.com"), "{:?}", header[0]);
    assert!(header[2].1.trim_start().starts_with("pass"), "{:?}", header[2]);
    let read = read(&header[1].1);
    assert_eq!(read[0], ID);
    assert!(read[1].starts_with("dkim=pass [] header.d=sender.example header.s=sel header.a=rsa-sha256 header.b="));
    assert!(read.contains(&"spf=pass [] smtp.mailfrom=a@sender.example".to_owned()), "{read:?}");
    let dmarc = read.last().expect("a result");
    assert!(dmarc.starts_with("dmarc=pass") && dmarc.contains("header.from=sender.example"), "{read:?}");
}

/// The values of forged fields, in every spelling that a reader might take for ours.
fn forged() -> Vec<String> {
    let long = format!(" {ID}; dkim=pass (\r\n\t{}) header.d=bank.example", "x".repeat(900) + "\r\n\t");
    let long = format!("{long}{}", format!("; spf=pass reason=\"{}\"\r\n\t", "y".repeat(200)).repeat(20));
    vec![
        format!(" {ID}; dkim=pass header.d=bank.example"),
        format!(" {}; dkim=pass", ID.to_uppercase()),
        format!("\r\n\t{ID};\r\n dkim=pass"),
        format!(" (a comment (nested)) {ID}; dkim=pass"),
        format!(" \"{ID}\"; dkim=pass"),
        format!(" {ID} 1; dkim=pass"),
        format!(" {ID}.; dkim=pass"),
        format!("\t{ID}\t;\tdkim=pass"),
        format!("{ID};dkim=pass"),
        format!(" {ID} (ours); none"),
        format!(" {ID}"),
        long,
        format!(" {ID}{}", ";\r\n\tdkim=pass header.d=bank.example".repeat(40)),
    ]
}

#[test]
fn no_forged_field_survives_and_foreign_ones_stay_as_they_are() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), "");
    let foreign = [
        format!(" {ID}.evil.example; dkim=pass"),
        format!(" not-{ID};\r\n\tspf=fail  smtp.mailfrom=x"),
        " other.example 1;  none".to_owned(),
        format!(" other.example; dkim=pass reason=\"{ID}; x\""),
    ];
    for (spelling, value) in forged().iter().enumerate() {
        for copies in 1..=8 {
            let mut header = String::new();
            let mut kept = Vec::new();
            for copy in 0..copies {
                let name = ["Authentication-Results", "AUTHENTICATION-RESULTS", "authentication-results"][copy % 3];
                header += &format!("{name}:{value}\r\n");
                if copy % 2 == spelling % 2 {
                    let other = &foreign[(copy + spelling) % foreign.len()];
                    header += &format!("Authentication-Results:{other}\r\n");
                    kept.push(other.clone());
                }
            }
            let message = header + &mail("sender.example");
            let arrived = receiver.through(OUTSIDE, "a@sender.example", message.as_bytes());
            let found = results(&arrived.bytes);
            let what = format!("spelling {spelling}, {copies} copies of {value:?}");
            assert_eq!(found[1..], kept, "{what}");
            assert!(found[0].starts_with(&format!(" {ID};")) && !found[0].contains("dkim=pass"), "{what}: {found:?}");
        }
    }
}

#[test]
fn by_default_everything_is_accepted_and_told() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), "");
    for (domain, spf) in [("reject.example", "fail"), ("quarantine.example", "softfail")] {
        let arrived = receiver.through(OUTSIDE, &format!("a@{domain}"), mail(domain).as_bytes());
        let read = read(&results(&arrived.bytes)[0]);
        assert!(read.iter().any(|result| result.starts_with(&format!("spf={spf} ["))), "{read:?}");
        assert!(read.iter().any(|result| result.starts_with("dmarc=fail [")), "{read:?}");
        assert_eq!(read[1], "dkim=none []");
    }
}

#[test]
fn actions_refuse_or_hold_and_say_why() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), "verify.actions.dmarc_fail = \"policy\"");
    let reply = receiver.offer(OUTSIDE, "a@reject.example", mail("reject.example").as_bytes());
    assert_eq!(reply.code, 550, "{reply:?}");
    assert_eq!(reply.text, "5.7.26 DMARC fail for reject.example (policy reject): neither dkim nor spf passed");

    let reply = receiver.offer(OUTSIDE, "a@quarantine.example", mail("quarantine.example").as_bytes());
    assert_eq!(reply.code, 250, "{reply:?}");
    let queue = eventually("the message is held", Duration::from_secs(20), || {
        Some(receiver.postfix.queue()).filter(|queue| !queue.is_empty())
    });
    assert_eq!((queue.len(), queue[0].queue_name.as_str()), (1, "hold"), "{queue:?}");
    let event = receiver.waxseal.last_event(|event| event["from_domain"] == "quarantine.example");
    let reason = event["reason"].as_str().unwrap_or_default();
    assert_eq!(reason, "DMARC fail for quarantine.example (policy quarantine): neither dkim nor spf passed");

    // What passes is not touched, and so is what has no policy.
    receiver.through(OUTSIDE, "a@sender.example", signed("sender.example").as_bytes());
    receiver.through(OUTSIDE, "a@unknown.example", mail("unknown.example").as_bytes());

    receiver.set("verify.actions.spf_fail = \"reject\"");
    let reply = receiver.offer(OUTSIDE, "a@reject.example", mail("sender.example").as_bytes());
    assert_eq!(reply.code, 550, "{reply:?}");
    assert!(reply.text.starts_with("5.7.23 SPF fail for reject.example: "), "{reply:?}");

    // Percent signs of a record arrive as they are.
    let reply = receiver.offer(OUTSIDE, "a@percent.example", mail("sender.example").as_bytes());
    assert_eq!(reply.code, 550, "{reply:?}");
    assert_eq!(reply.text, "5.7.23 SPF fail for percent.example: matched -exists:%{i}.%{l}.list.example");

    receiver.set("verify.actions.dkim_fail = \"tempfail\"");
    let broken = signed("sender.example").replace("\r\n\r\nbody", "\r\n\r\nother body");
    let reply = receiver.offer(OUTSIDE, "a@sender.example", broken.as_bytes());
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(reply.text.starts_with("4.7.20 DKIM signature of sender.example failed: body "), "{reply:?}");
    assert!(receiver.sink.messages().is_empty());
}

#[test]
fn who_observes_changes_nothing() {
    let nsd = name_server();
    let strict =
        "verify.actions.dmarc_fail = \"policy\"\nverify.actions.spf_fail = \"reject\"\nlistener.observe = true";
    let receiver = Receiver::start(nsd.address(), strict);
    let message = format!("Authentication-Results:{}\r\n{}", forged()[0], mail("reject.example"));
    let arrived = receiver.through(OUTSIDE, "a@reject.example", message.as_bytes());
    assert!(arrived.bytes.ends_with(message.as_bytes()), "{}", String::from_utf8_lossy(&arrived.bytes));
    let names: Vec<String> = fields(&arrived.bytes).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..3], ["Received", "Authentication-Results", "From"]);
    let event = receiver.waxseal.last_event(|event| event["from_domain"] == "reject.example");
    assert_eq!((event["action"].as_str(), event["observed"].as_bool()), (Some("verify"), Some(true)), "{event}");
    assert!(event["reason"].as_str().unwrap_or_default().contains("fail"), "{event}");
}

#[test]
fn behind_a_relay_the_client_of_the_relay_is_judged_once() {
    let nsd = name_server();
    let settings = "verify.trusted_relays = [\"192.0.2.50\"]\nverify.exempt_networks = [\"192.0.2.60\"]";
    let receiver = Receiver::start(nsd.address(), settings);
    let relay = "ADDR=192.0.2.50 NAME=[UNAVAILABLE]";
    let handed = "Received: from client.example (unknown [192.0.2.7])\r\n\tby relay.receiver.example (Postfix) with \
                  ESMTP id 1\r\n\tfor <user@receiver.example>; Mon, 23 Nov 2026 03:00:00 +0000 (UTC)\r\n";
    let spf = |message: &str, client: &str| {
        let arrived = receiver.through(client, "a@sender.example", message.as_bytes());
        let read = read(&results(&arrived.bytes)[0]);
        read.iter().find(|result| result.starts_with("spf=")).cloned().unwrap_or_default()
    };
    let message = handed.to_owned() + &mail("sender.example");
    assert!(spf(&message, relay).starts_with("spf=pass"));
    // What a stranger writes into the header is not believed, and the relay itself is not what SPF is about.
    assert!(spf(&message, "ADDR=192.0.2.51 NAME=[UNAVAILABLE]").starts_with("spf=fail"));
    assert!(spf(&message.replace("192.0.2.7", "192.0.2.8"), relay).starts_with("spf=fail"));

    let judged = format!("Authentication-Results: {ID}; spf=fail smtp.mailfrom=a@sender.example\r\n{message}");
    let user = "ADDR=192.0.2.7 NAME=[UNAVAILABLE] LOGIN=anna";
    let exempt = "ADDR=192.0.2.60 NAME=[UNAVAILABLE]";
    for (client, message, reason) in
        [(relay, &judged, "results of a relay of ours"), (exempt, &message, "exempt from verification")]
    {
        let arrived = receiver.through(client, "a@sender.example", message.as_bytes());
        assert!(arrived.bytes.ends_with(message.as_bytes()), "{}", String::from_utf8_lossy(&arrived.bytes));
        receiver.waxseal.last_event(|event| event["reason"].as_str().is_some_and(|told| told.contains(reason)));
    }
    // A user and a network that is exempt are not judged, but may not speak in our name.
    receiver.set(&format!("{settings}\nlistener.mode = \"verify\""));
    let foreign = "Authentication-Results:  Other.example;dkim=pass (as it\r\n\tcame)\r\n";
    let claims: String = forged().iter().map(|value| format!("{foreign}Authentication-Results:{value}\r\n")).collect();
    for client in [user, exempt] {
        let arrived = receiver.through(client, "a@sender.example", (claims.clone() + &message).as_bytes());
        let left = foreign.repeat(forged().len()) + &message;
        assert!(arrived.bytes.ends_with(left.as_bytes()), "{client}: {}", String::from_utf8_lossy(&arrived.bytes));
        assert_eq!(results(&arrived.bytes).len(), forged().len(), "{client}");
    }
}

#[test]
fn what_was_changed_on_the_way_says_what() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), "");
    let good = signed("sender.example");
    let key = forge::Signer::new(&RSA_2048, "sender.example").set("s", "unknown");
    let unknown = String::from_utf8(key.sign(mail("sender.example").as_bytes())).expect("ASCII");
    for (message, want) in [
        (good.clone(), "dkim=pass [] "),
        (good.replace("\r\n\r\nbody", "\r\n\r\nother body"), "dkim=fail [body "),
        (
            good.replace("Subject: hello", "Subject: hallo"),
            "dkim=fail [signature did not verify: a signed header field changed]",
        ),
        (unknown, "dkim=permerror [no key"),
    ] {
        let arrived = receiver.through(OUTSIDE, "a@sender.example", message.as_bytes());
        let read = read(&results(&arrived.bytes)[0]);
        assert!(read[1].starts_with(want), "{want}: {read:?}");
    }
}
