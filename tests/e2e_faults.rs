//! What a milter must survive without losing mail or letting it go unsigned: its own death, reloads, mistakes, the end.

mod common;

use common::{
    delivery, eventually,
    mail::{self, Mail},
    postfix::{Options, Postfix},
    process::Process,
    sink::Sink,
    smtp::Envelope,
    waxseal::{Home, Key, Waxseal},
};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};
use waxseal::dkim::KeyType;

const LIMIT: Duration = Duration::from_secs(120);

/// Settings with a socket that stays where it is when the milter starts again, open to the user of Postfix.
fn settings_for(key: &Key) -> String {
    format!(
        "[[listener]]\nsocket = \"unix:socket\"\nsocket_mode = \"0666\"\n\
         [domains.\"example.com\"]\nselector = \"{}\"\nkey = \"keys/{}\"\n",
        key.selector, key.file
    )
}

struct Setting {
    waxseal: Waxseal,
    sink: Sink,
    postfix: Postfix,
    key: Key,
}

fn start() -> Setting {
    start_with("")
}

/// As [`start`], with further settings.
fn start_with(more: &str) -> Setting {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    home.settings(&format!("{more}{}", settings_for(&key)));
    let waxseal = Waxseal::start(home);
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
    Setting { waxseal, sink, postfix, key }
}

/// Says so when its thread is done, also by a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Hands over every message as an MTA would: what is answered with 4xx is tried again. Gives how often that was.
fn deliver_stubbornly(postfix: &Postfix, messages: &[Mail]) -> usize {
    let again = AtomicUsize::new(0);
    thread::scope(|scope| {
        for share in messages.chunks(messages.len().div_ceil(4)) {
            let again = &again;
            scope.spawn(move || {
                for mail in share {
                    eventually(&format!("{} is taken", mail.name), LIMIT, || {
                        let reply = delivery::offer(&mut postfix.client(), mail).expect("Postfix answers");
                        match reply.code {
                            250 => Some(()),
                            400..500 => {
                                again.fetch_add(1, Ordering::Relaxed);
                                None
                            }
                            _ => panic!("{}: {reply:?}", mail.name),
                        }
                    });
                }
            });
        }
    });
    again.into_inner()
}

/// How many messages go through each fault; tests/long/faults sends as many as are asked for.
fn many() -> usize {
    std::env::var("WAXSEAL_MESSAGES").map_or(200, |text| text.parse().expect("a number"))
}

/// Messages that go by SMTP and verify with everybody.
fn ordinary(count: usize) -> Vec<Mail> {
    let odd = ["form-feed", "sendmail", "bounce", "utf8-address"];
    let mut messages = mail::messages(3, count * 2, "example.com");
    messages.retain(|mail| !odd.contains(&mail.kind));
    messages.truncate(count);
    messages
}

#[test]
fn killed_again_and_again_it_loses_nothing_and_lets_nothing_go_unsigned() {
    let Setting { mut waxseal, sink, postfix, key } = start();
    let messages = ordinary(many());
    let done = AtomicBool::new(false);
    let (refused, kills) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let _done = Done(&done);
            deliver_stubbornly(&postfix, &messages)
        });
        let mut kills = 0;
        while !done.load(Ordering::SeqCst) {
            let seen = sink.messages().len();
            eventually("some more mail arrives", LIMIT, || {
                (sink.messages().len() >= seen + 8 || done.load(Ordering::SeqCst)).then_some(())
            });
            waxseal.kill();
            // Whether it is ready is read from its log, which grows long in a long run.
            fs::File::options()
                .write(true)
                .open(waxseal.home().path("log"))
                .and_then(|log| log.set_len(0))
                .expect("its log");
            waxseal.restart();
            kills += 1;
        }
        (sender.join().expect("everything is sent"), kills)
    });
    let delivered = delivery::collect(&sink, &messages, LIMIT);
    delivery::all_verify(&messages, &delivered, "example.com", &[key], &[]);
    println!(
        "{kills} kills, {} messages, {refused} answers of 4xx; none lost, none twice, none unsigned",
        messages.len()
    );
    assert!(kills > 5 && refused > 0, "{kills} kills, {refused} answers of 4xx: too few to say anything");
}

#[test]
fn killed_in_the_middle_of_a_message_it_is_refused_for_now() {
    let Setting { mut waxseal, sink, postfix, key } = start();
    let messages = ordinary(1);
    let envelope = Envelope { mail_from: "a@example.com", rcpt_to: vec![&messages[0].rcpt_to], utf8: false };

    // Stopped, it takes in no more: the message is in the middle of the conversation, wherever that is.
    let mut client = postfix.client();
    client.begin(&envelope, b"From: a@example.com\r\n\r\nthe first line\r\n").expect("Postfix takes the beginning");
    waxseal.signal("STOP");
    let reply = thread::scope(|scope| {
        let finish = scope.spawn(|| client.finish(b"the last line\r\n").expect("Postfix answers"));
        eventually("Postfix waits for the milter", LIMIT, || postfix.log().contains("message-id=").then_some(()));
        waxseal.kill();
        finish.join().expect("an answer")
    });
    assert_eq!(reply.code, 451, "{reply:?}");

    // While it is down nothing gets in, neither from outside nor from this host.
    let reply = delivery::offer(&mut postfix.client(), &messages[0]).expect("Postfix answers");
    assert_eq!(reply.code, 451, "{reply:?}");
    postfix.sendmail("root@example.com", "local@sink.example", b"From: root@example.com\nSubject: local\n\nlocal\n");
    eventually("pickup(8) meets no milter", LIMIT, || {
        postfix.log().contains("milter-reject: CONNECT from localhost").then_some(())
    });
    assert!(sink.messages().is_empty());

    // Once it is back, everything arrives and is signed.
    waxseal.restart();
    deliver_stubbornly(&postfix, &messages);
    let arrived = sink.wait_for(2, LIMIT);
    let local = arrived.iter().find(|delivered| delivered.rcpt_to == ["local@sink.example"]).expect("the local one");
    assert!(local.bytes.starts_with(b"Received:") && signed(&local.bytes), "{}", String::from_utf8_lossy(&local.bytes));
    let arrived: Vec<_> =
        arrived.iter().filter(|delivered| delivered.rcpt_to == [&*messages[0].arrives_for]).cloned().collect();
    delivery::all_verify(&messages, &arrived, "example.com", &[key], &[]);
}

fn signed(message: &[u8]) -> bool {
    message.windows(17).any(|window| window == b"\nDKIM-Signature: ")
}

#[test]
fn reloads_under_load_refuse_nothing_and_mistakes_change_nothing() {
    let Setting { mut waxseal, sink, postfix, key } = start();
    let second = waxseal.home().key(KeyType::Rsa, "second");
    // A key that others could have read.
    let open = waxseal.home().key(KeyType::Rsa, "open");
    let file = waxseal.home().path("keys").join(&open.file);
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("our own file");
    let messages = ordinary(many());
    let done = AtomicBool::new(false);
    let mistakes = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let _done = Done(&done);
            delivery::send(&postfix, &messages);
        });
        let mut mistakes = 0;
        while !done.load(Ordering::SeqCst) {
            for key in [&second, &key] {
                waxseal.home().settings(&settings_for(key));
                waxseal.reload().expect("good settings");
                mistakes += make_mistakes(&waxseal, key, &open);
            }
        }
        sender.join().expect("Postfix takes every message at once");
        mistakes
    });
    println!("{} messages, {mistakes} reloads that were refused", messages.len());
    assert!(mistakes > 5, "{mistakes} mistakes: too few to say anything");

    let delivered = delivery::collect(&sink, &messages, LIMIT);
    let (first, other): (Vec<_>, Vec<_>) =
        messages.iter().cloned().zip(delivered).partition(|(_, delivered)| names(&delivered.bytes, "s=first;"));
    assert!(
        !first.is_empty() && !other.is_empty(),
        "{} and {} signed: no reload took effect",
        first.len(),
        other.len()
    );
    for (part, key) in [(first, key), (other, second)] {
        let (messages, delivered): (Vec<_>, Vec<_>) = part.into_iter().unzip();
        delivery::all_verify(&messages, &delivered, "example.com", &[key], &[]);
    }
    assert!(waxseal.stop().success());
}

/// Tries to reload what cannot be: each is refused and says why. Gives how many.
fn make_mistakes(waxseal: &Waxseal, key: &Key, open: &Key) -> usize {
    let mistakes = [
        ("signing.expires = \"7d\"\n".to_string(), "expires"),
        ("this is no TOML".to_string(), "waxseal.toml"),
        (settings_for(key).replace("keys/", "keys/none-"), "none-"),
        (settings_for(open), "open.pem"),
        (settings_for(key).replace("unix:socket", "unix:keys"), "keys"),
    ];
    for (settings, why) in &mistakes {
        waxseal.home().settings(settings);
        let said = waxseal.reload().expect_err("the settings are bad");
        assert!(said.contains(why), "{said}");
    }
    mistakes.len()
}

fn names(message: &[u8], tag: &str) -> bool {
    message.windows(tag.len()).any(|window| window == tag.as_bytes())
}

#[test]
fn told_to_end_it_finishes_the_message_under_way() {
    let Setting { mut waxseal, sink, postfix, key } = start();
    let mut client = postfix.client();
    let envelope = Envelope { mail_from: "a@example.com", rcpt_to: vec!["b@sink.example"], utf8: false };
    client.begin(&envelope, b"From: a@example.com\r\n\r\n").expect("Postfix takes the beginning");
    waxseal.signal("TERM");
    eventually("it says that it stops", LIMIT, || {
        waxseal
            .log()
            .iter()
            .any(|line| line["message"].as_str().is_some_and(|text| text.starts_with("stopping")))
            .then_some(())
    });
    let reply = client.finish(b"the end\r\n").expect("Postfix answers");
    assert_eq!(reply.code, 250, "{reply:?}");
    client.command("QUIT").expect("a farewell");
    let delivered = sink.wait_for(1, LIMIT);
    assert!(signed(&delivered[0].bytes) && names(&delivered[0].bytes, &format!("s={};", key.selector)));
    assert!(waxseal.stop().success());
}

#[test]
fn what_outlasts_the_drain_is_refused_for_now_and_signed_when_it_comes_again() {
    let Setting { mut waxseal, sink, postfix, key } = start_with("limits.drain = \"1s\"\n");
    let messages = ordinary(1);
    let mut client = postfix.client();
    let envelope = Envelope { mail_from: "a@example.com", rcpt_to: vec![&messages[0].rcpt_to], utf8: false };
    client.begin(&envelope, b"From: a@example.com\r\n\r\nthe first line\r\n").expect("Postfix takes the beginning");
    eventually("the milter has the message", LIMIT, || postfix.log().contains("client=").then_some(()));
    assert!(waxseal.stop().success());
    let reply = client.finish(b"the last line\r\n").expect("Postfix answers");
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(sink.messages().is_empty());

    waxseal.restart();
    deliver_stubbornly(&postfix, &messages);
    let delivered = delivery::collect(&sink, &messages, LIMIT);
    delivery::all_verify(&messages, &delivered, "example.com", &[key], &[]);
}

#[test]
fn restarts_on_a_socket_of_systemd_refuse_nothing() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    home.settings(&settings_for(&key).replace("unix:socket\"\nsocket_mode = \"0666\"", "systemd:milter\""));
    let path = home.path("socket");
    let socket = UnixListener::bind(&path).expect("a new socket");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("our own socket");
    let mut waxseal = Waxseal::start_on(home, socket);
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), format!("unix:{}", path.display())));
    let messages = ordinary(many());
    let done = AtomicBool::new(false);
    let (refused, restarts) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let _done = Done(&done);
            deliver_stubbornly(&postfix, &messages)
        });
        let mut restarts = 0;
        while !done.load(Ordering::SeqCst) {
            assert!(waxseal.stop().success());
            waxseal.restart();
            restarts += 1;
        }
        (sender.join().expect("everything is sent"), restarts)
    });
    let delivered = delivery::collect(&sink, &messages, LIMIT);
    delivery::all_verify(&messages, &delivered, "example.com", &[key], &[]);
    println!("{restarts} restarts, {} messages, {refused} answers of 4xx", messages.len());
    assert!(restarts > 5, "{restarts} restarts: too few to say anything");
    assert_eq!(refused, 0, "answers of 4xx in {restarts} restarts");
}

#[test]
fn mistakes_at_the_start_end_it_with_status_2() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    let file = home.path("keys").join(&key.file);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("our own file");
    for (settings, why) in [
        (settings_for(&key), "first.pem"),
        (settings_for(&key).replace("first.pem", "none.pem"), "none.pem"),
        (settings_for(&key).replace("selector", "selektor"), "selektor"),
        ("[[listener]]\nsocket = \"unix:keys\"\n".into(), "keys"),
        (
            "limits.connections = 4611686018427387904\n".into(),
            "waxseal.toml:6: limits.connections: 4611686018427387904 is",
        ),
    ] {
        home.settings(&settings);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waxseal"));
        command.arg("run").arg("--config").arg(home.path("waxseal.toml"));
        let said = home.path("said");
        let _ = fs::remove_file(&said);
        let mut process = Process::start(command, said);
        let status = process.wait(LIMIT);
        assert_eq!(status.code(), Some(2), "{}", process.said());
        assert!(process.said().contains(why), "{}", process.said());
    }
}
