//! Ten faults of DNS, through the milter behind a real Postfix and through `waxseal verify --resolver`: the result that
//! says what happened, in time, never a pass and never a refusal for good, and the mail flows.

mod common;

use common::{
    desk::Desk,
    eventually,
    faults::FaultServer,
    forge::{RSA_2048, Signer, Zone},
    receiver::{OUTSIDE, Receiver, results},
    smtp::Reply,
};
use serde_json::Value;
use std::{
    io::Read,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use waxseal::authres;

/// How long a message may wait for DNS in these tests, and how much longer its answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(5);

/// The vice of the name server, and the results for DKIM and for DMARC where every question meets it.
const FAULTS: [(&str, &str, &str); 14] = [
    ("silence", "temperror", "temperror"),
    ("servfail", "temperror", "temperror"),
    ("refused", "temperror", "temperror"),
    ("notimp", "temperror", "temperror"),
    ("wrongid", "temperror", "temperror"),
    ("cut", "temperror", "temperror"),
    ("cuthang", "temperror", "temperror"),
    ("late", "temperror", "temperror"),
    ("garbage", "temperror", "temperror"),
    ("noise", "temperror", "temperror"),
    ("loop", "temperror", "temperror"),
    ("lame", "temperror", "temperror"),
    // These are answers: there is nothing.
    ("empty", "permerror", "none"),
    ("nx", "permerror", "none"),
];

/// Every action but that for what DNS did not answer.
const STRICT: &str = "verify.dns_timeout = \"2s\"\nverify.actions.dkim_fail = \"reject\"\n\
    verify.actions.spf_fail = \"reject\"\nverify.actions.spf_permerror = \"reject\"\n\
    verify.actions.dmarc_fail = \"policy\"\nverify.actions.dmarc_permerror = \"reject\"";

fn faults() -> FaultServer {
    let key = RSA_2048.record();
    FaultServer::start([
        ("_dmarc.author.test", "v=DMARC1; p=reject"),
        ("author.test", "v=spf1 ip4:198.51.100.1 ?all"),
        ("sel._domainkey.delay.test", &key),
        ("_dmarc.delay.test", "v=DMARC1; p=reject"),
        ("delay.test", "v=spf1 ?all"),
    ])
}

fn signed(domain: &str, selector: &str) -> Vec<u8> {
    let mail = format!(
        "From: <a@{domain}>\r\nTo: <user@receiver.example>\r\nSubject: hello\r\n\
         Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n\r\nbody\r\n"
    );
    Signer::new(&RSA_2048, domain).set("s", selector).sign(mail.as_bytes())
}

/// Offers all messages at once, each with its sender; what Postfix said, and how long it took.
fn offer_all(receiver: &Receiver, messages: &[(String, Vec<u8>)]) -> Vec<(Reply, Duration)> {
    thread::scope(|scope| {
        let offered: Vec<_> = messages
            .iter()
            .map(|(sender, message)| {
                scope.spawn(move || {
                    let start = Instant::now();
                    (receiver.offer(OUTSIDE, sender, message), start.elapsed())
                })
            })
            .collect();
        offered.into_iter().map(|offered| offered.join().expect("Postfix answers")).collect()
    })
}

/// The results of the methods in the field that arrived with the mail of this sender.
fn words(receiver: &Receiver, sender: &str) -> Vec<String> {
    let mails = receiver.sink.messages();
    let mail = mails.iter().find(|mail| mail.mail_from == sender).unwrap_or_else(|| panic!("nothing of {sender}"));
    let field = results(&mail.bytes).into_iter().next().expect("a field of ours");
    let (field, problems) = authres::read(field.as_bytes());
    assert!(problems.is_empty(), "{problems:?}");
    field.results.iter().map(|result| format!("{}={}", result.method(), result.result())).collect()
}

#[test]
fn every_fault_of_all_answers_is_told_and_the_mail_flows() {
    let server = faults();
    let receiver = Receiver::start(server.address(), STRICT);
    let sender = |vice: &str| format!("a@{vice}.test");
    let mut messages: Vec<_> =
        FAULTS.iter().map(|(vice, ..)| (sender(vice), signed(&format!("{vice}.test"), "sel"))).collect();
    messages.push((sender("delay"), signed("delay.test", "sel")));
    for ((who, _), (reply, took)) in messages.iter().zip(offer_all(&receiver, &messages)) {
        assert_eq!(reply.code, 250, "{who}: {reply:?}");
        assert!(took < PATIENCE + SLACK, "{who}: {took:?}");
    }
    receiver.sink.wait_for(messages.len(), Duration::from_secs(60));
    for (vice, dkim, dmarc) in FAULTS {
        let words = words(&receiver, &sender(vice));
        assert!(words.contains(&format!("dkim={dkim}")), "{vice}: {words:?}");
        assert!(words.contains(&format!("dmarc={dmarc}")), "{vice}: {words:?}");
        assert!(words.iter().all(|word| !word.ends_with("=pass") && !word.ends_with("=fail")), "{vice}: {words:?}");
    }
    // Slow is not a fault.
    let slow = words(&receiver, &sender("delay"));
    assert!(
        ["dkim=pass", "spf=neutral", "dmarc=pass"].iter().all(|word| slow.iter().any(|said| said == word)),
        "{slow:?}"
    );

    // Whoever wants such mail later says so, and gets that and nothing else.
    receiver.set(&format!("{STRICT}\nverify.actions.temperror = \"tempfail\""));
    for ((vice, _, dmarc), (reply, took)) in FAULTS.iter().zip(offer_all(&receiver, &messages)) {
        match *dmarc {
            "temperror" => {
                assert_eq!(reply.code, 451, "{vice}: {reply:?}");
                assert!(reply.text.starts_with(&format!("4.4.3 DMARC temperror for {vice}.test: ")), "{reply:?}");
            }
            _ => assert_eq!(reply.code, 250, "{vice}: {reply:?}"),
        }
        assert!(took < PATIENCE + SLACK, "{vice}: {took:?}");
    }
}

/// Good mail beside all that waits for answers that do not come.
#[test]
fn good_mail_does_not_wait_for_the_faults_of_others() {
    let server = faults();
    let receiver = Receiver::start(server.address(), "verify.dns_timeout = \"3s\"");
    let waits: Vec<_> = ["silence", "lost", "cuthang"].iter().cycle().take(60).collect();
    let bad: Vec<_> =
        waits.iter().map(|vice| (format!("a@{vice}.test"), signed(&format!("{vice}.test"), "sel"))).collect();
    let good = signed("delay.test", "sel");
    thread::scope(|scope| {
        let bad = scope.spawn(|| offer_all(&receiver, &bad));
        eventually("some of it waits", Duration::from_secs(60), || {
            server.seen().iter().any(|name| name.contains("silence")).then_some(())
        });
        for number in 0..10 {
            let start = Instant::now();
            let reply = receiver.offer(OUTSIDE, "a@delay.test", &good);
            assert!(
                reply.code == 250 && start.elapsed() < Duration::from_secs(5),
                "{number}: {reply:?} {:?}",
                start.elapsed()
            );
        }
        for (reply, took) in bad.join().expect("Postfix answers") {
            assert!(reply.code == 250 && took < Duration::from_secs(5) + SLACK, "{reply:?} {took:?}");
        }
    });
    receiver.sink.wait_for(waits.len() + 10, Duration::from_secs(60));
    let words = words(&receiver, "a@delay.test");
    assert!(words.contains(&"dkim=pass".to_owned()), "{words:?}");
}

#[test]
fn a_fault_of_the_key_alone_is_no_failure_for_the_policy() {
    let server = faults();
    let receiver = Receiver::start(server.address(), STRICT);
    // An answer without a record is none of them: then the policy holds.
    let vices: Vec<&str> = FAULTS.iter().filter(|(_, dkim, _)| *dkim == "temperror").map(|(vice, ..)| *vice).collect();
    let message = |vice: &&str| (format!("{vice}@author.test"), signed("author.test", vice));
    let messages: Vec<_> = vices.iter().map(message).collect();
    for ((who, _), (reply, took)) in messages.iter().zip(offer_all(&receiver, &messages)) {
        assert_eq!(reply.code, 250, "{who}: {reply:?}");
        assert!(took < PATIENCE + SLACK, "{who}: {took:?}");
    }
    receiver.sink.wait_for(messages.len(), Duration::from_secs(60));
    for (who, _) in &messages {
        let words = words(&receiver, who);
        assert_eq!(
            words.iter().filter(|word| word.starts_with("dkim=")).collect::<Vec<_>>(),
            ["dkim=temperror"],
            "{who}"
        );
        assert!(words.contains(&"dmarc=temperror".to_owned()), "{who}: {words:?}");
    }
    let reply = receiver.offer(OUTSIDE, "a@author.test", &signed("author.test", "empty"));
    assert_eq!(reply.code, 550, "{reply:?}");
}

#[test]
fn offline_the_same_and_the_exit_status_says_try_again() {
    let server = faults();
    let desk = Desk::new(&Zone::default());
    let resolver = server.address().to_string();
    // All at once, because some of them take their time.
    let started: Vec<_> = FAULTS
        .iter()
        .map(|fault @ (vice, ..)| {
            desk.put(vice, signed(&format!("{vice}.test"), "sel"));
            let mut command = desk.command(["--resolver", &resolver, "--json", vice]);
            let child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
            (fault, Instant::now(), child)
        })
        .collect();
    for ((vice, dkim, dmarc), start, mut child) in started {
        let mut text = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut text).expect("text");
        let status = child.wait().expect("it ends").code();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{vice}: {error}: {text:?}"));
        let words = (report["dkim"][0]["result"].as_str(), report["dmarc"]["result"].as_str());
        assert_eq!(words, (Some(*dkim), Some(*dmarc)), "{vice} {report:#}");
        // Aliases in a circle are published so, and no answer of tomorrow will be another one.
        let passing = *dkim == "temperror" && *vice != "loop";
        assert_eq!(status, Some(if passing { 75 } else { 1 }), "{vice} {report:#}");
        let field = report["authentication_results"].as_str().unwrap_or_default();
        assert!(field.contains(&format!("dkim={dkim}")), "{vice}: {field}");
        // A message may wait ten seconds for DNS in all, and the question why it failed fifteen more.
        assert!(start.elapsed() < Duration::from_secs(25) + SLACK * 2, "{vice} took {:?}", start.elapsed());
    }
}
