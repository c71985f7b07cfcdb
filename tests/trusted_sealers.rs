//! `verify.trusted_sealers` through a real Postfix: which chain keeps the author's policy from being acted on, and which
//! does not.

mod common;

use common::{
    forge::{ED25519, OTHER_2048, RSA_2048, Zone},
    nsd::Nsd,
    receiver::{ID, OUTSIDE, Receiver, read, results},
    seal::Sealer,
};

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";
const MAIL: &str = "From: a@author.example\r\nTo: user@receiver.example\r\nSubject: [list] hello\r\n\
                    Date: Mon, 23 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@author.example>\r\n\r\nbody\r\nfooter\r\n";
const TRUSTING: &str =
    "verify.actions.dmarc_fail = \"policy\"\nverify.trusted_sealers = [\"one.example\", \"two.example\"]";
const PASS: &str = "dmarc=pass header.from=author.example";

fn name_server() -> Nsd {
    let zone = Zone::default()
        .line(SOA)
        .txt("author.example", "v=spf1 -all")
        .txt("_dmarc.author.example", "v=DMARC1; p=reject")
        .txt("sel._domainkey.one.example", &RSA_2048.record())
        .txt("sel._domainkey.sub.one.example", &RSA_2048.record())
        .txt("sel._domainkey.two.example", &ED25519.record())
        .txt("sel._domainkey.stranger.example", &OTHER_2048.record());
    Nsd::start(&[("example", zone.text())])
}

/// The message under sets of these sealers, the first one first, each with what it says it saw.
fn sealed(sets: &[(&str, &str)]) -> Vec<u8> {
    sets.iter().zip(1..).fold(MAIL.into(), |mail, ((domain, saw), instance)| {
        let key = match *domain {
            "two.example" => &*ED25519,
            "stranger.example" => &*OTHER_2048,
            _ => &*RSA_2048,
        };
        Sealer::new(key, domain, instance).results(&format!("i={instance}; {domain}; {saw}")).seal(&mail)
    })
}

fn changed(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).expect("text");
    assert!(text.contains(from), "{from:?} is not in it");
    text.replacen(from, to, 1).into()
}

#[test]
fn a_chain_of_trusted_sealers_alone_that_saw_the_author_pass_spares_the_message() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), TRUSTING);
    for (sets, said) in [
        (&[("one.example", PASS)][..], "one.example saw dmarc=pass in set 1"),
        (&[("one.example", "dkim=pass header.d=Author.example")], "one.example saw dkim=pass in set 1"),
        (
            &[("one.example", "dmarc=none; dkim=fail header.d=x.example; dkim=pass header.d=author.example")],
            "one.example saw dkim=pass in set 1",
        ),
        (
            &[("one.example", PASS), ("two.example", "arc=pass; dmarc=fail header.from=author.example")],
            "one.example saw dmarc=pass in set 1",
        ),
        (&[("one.example", "none"), ("two.example", PASS)], "two.example saw dmarc=pass in set 2"),
    ] {
        let arrived = receiver.through(OUTSIDE, "bounce@list.example", &sealed(sets));
        let field = &results(&arrived.bytes)[0];
        let unfolded = field.replace("\r\n\t", " ").replace("\r\n", "");
        assert!(unfolded.contains(&format!("dmarc=fail (but {said}) reason=")), "{sets:?}: {field}");
        let read = read(field);
        assert!(read.iter().any(|result| result.starts_with("arc=pass [")), "{read:?}");
        let dmarc = "dmarc=fail [neither dkim nor spf passed] header.from=author.example policy.dmarc=reject";
        assert!(read.iter().any(|result| result == dmarc), "{read:?}");
        let reason = format!("not acted on: {said}; DMARC fail for author.example");
        receiver.waxseal.last_event(|event| event["reason"].as_str().is_some_and(|told| told.starts_with(&reason)));
    }
}

#[test]
fn any_other_chain_changes_nothing() {
    let nsd = name_server();
    let receiver = Receiver::start(nsd.address(), TRUSTING);
    let good = sealed(&[("one.example", PASS)]);
    let own = format!("Authentication-Results: {ID}; {PASS}\r\nAuthentication-Results: one.example; {PASS}\r\n");
    for (what, mail) in [
        ("a stranger", sealed(&[("stranger.example", PASS)])),
        ("a name below a trusted one", sealed(&[("sub.one.example", PASS)])),
        ("a stranger below", sealed(&[("stranger.example", PASS), ("one.example", "arc=pass; dmarc=fail")])),
        ("a stranger on top", sealed(&[("one.example", PASS), ("stranger.example", PASS)])),
        ("a stranger between", sealed(&[("one.example", PASS), ("stranger.example", "none"), ("two.example", PASS)])),
        ("it failed there too", sealed(&[("one.example", "dmarc=fail header.from=author.example")])),
        ("another author", sealed(&[("one.example", "dmarc=pass header.from=other.example")])),
        ("no author", sealed(&[("one.example", "dmarc=pass")])),
        ("two authors", sealed(&[("one.example", &format!("{PASS} header.from=other.example"))])),
        ("two verdicts", sealed(&[("one.example", &format!("{PASS}; dmarc=fail header.from=author.example"))])),
        (
            "DMARC before DKIM",
            sealed(&[("one.example", "dmarc=fail header.from=author.example; dkim=pass header.d=author.example")]),
        ),
        ("a signature of another", sealed(&[("one.example", "dkim=pass header.d=list.example")])),
        ("SPF alone", sealed(&[("one.example", "spf=pass smtp.mailfrom=author.example")])),
        ("in a comment", sealed(&[("one.example", &format!("dmarc=none ({PASS})"))])),
        ("what cannot be read", sealed(&[("one.example", &format!("{PASS}; dkim=\"pass"))])),
        ("the body changed", changed(&good, "footer", "other footer")),
        ("the author changed", changed(&good, "From: a@", "From: b@")),
        (
            "the results changed",
            changed(&sealed(&[("one.example", "dmarc=fail header.from=author.example")]), "dmarc=fail", "dmarc=pass"),
        ),
        (
            "From is not sealed",
            Sealer::new(&RSA_2048, "one.example", 1)
                .message(|signature| signature.set("h", "to:subject:date"))
                .results(&format!("i=1; one.example; {PASS}"))
                .seal(MAIL.as_bytes()),
        ),
        ("the seal is gone", changed(&good, "ARC-Seal:", "X-Seal:")),
        ("no chain", [own.as_bytes(), MAIL.as_bytes()].concat()),
    ] {
        let reply = receiver.offer(OUTSIDE, "bounce@list.example", &mail);
        assert_eq!(reply.code, 550, "{what}: {reply:?}");
        assert!(reply.text.starts_with("5.7.26 DMARC fail for author.example (policy reject): "), "{what}: {reply:?}");
    }

    // Two From fields stay a permanent error, SPF is judged by itself, and nobody is trusted by default.
    receiver.set(&format!("{TRUSTING}\nverify.actions.dmarc_permerror = \"reject\""));
    let twice = [b"From: x@bank.example\r\n", &good[..]].concat();
    assert!(receiver.offer(OUTSIDE, "", &twice).text.starts_with("5.7.1 DMARC permerror"));
    receiver.set(&format!("{TRUSTING}\nverify.actions.spf_fail = \"reject\""));
    assert!(receiver.offer(OUTSIDE, "a@author.example", &good).text.starts_with("5.7.23 SPF fail"));
    receiver.set("verify.actions.dmarc_fail = \"policy\"");
    assert!(receiver.offer(OUTSIDE, "bounce@list.example", &good).text.starts_with("5.7.26 "));
    assert!(receiver.sink.messages().is_empty());
}
