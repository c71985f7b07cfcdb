//! The status page in a browser: on a phone and on a wide screen, light and dark, with scripts and without, for all eyes.
//!
//! The pictures lie in the target folder (`tmp/status-page`), to be looked at.

mod common;

use common::{
    browser::Browser,
    eventually,
    status::{OURS, STRANGER, Watched, mail, signed},
    waxseal::Home,
};
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use waxseal::{
    config::{self, Place},
    event::{Action, CauseEvent, Direction, Event, SignatureEvent, store::Store},
};

const LIMIT: Duration = Duration::from_secs(60);

/// What a stranger may write, in the worst case: markup, a script, characters that hide and turn text, and no end.
fn hostile(what: &str) -> String {
    format!(
        "<script>window.hurt=1</script>\"'><img src=x onerror=window.hurt=1>\u{202e}\u{1b}[2J\u{0}{what}{}",
        "w".repeat(2000)
    )
}

/// A day and more of a busy server, with strangers among the senders.
fn history(home: &Home) {
    let store = store(home);
    let now = jiff::Timestamp::now();
    for minute in 0..(26 * 60u32) {
        let at = now - jiff::SignedDuration::from_mins(i64::from(minute));
        let time = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        // Nights are quiet.
        let hour: u32 = at.strftime("%H").to_string().parse().expect("an hour");
        if !(6..=21).contains(&hour) && minute % 7 != 0 {
            continue;
        }
        let event = |action, direction| Event {
            time: time.clone(),
            host: "mx".into(),
            action,
            direction,
            queue_id: format!("4b{minute:X}"),
            ..Event::default()
        };
        let author = if minute % 3 == 0 { "other.example" } else { "ours.example" };
        let made = |result: &str| SignatureEvent {
            domain: author.into(),
            selector: "mail2026".into(),
            algorithm: "rsa-sha256".into(),
            result: result.into(),
            reason: None,
        };
        for _ in 0..1 + minute % 3 {
            let from = Some(author.to_owned());
            store.keep(
                Event { from_domain: from, ..event(Action::Sign, Direction::Out) }.with_signatures(vec![made("pass")]),
            );
        }
        if minute % 97 == 0 {
            let reason = Some("key file \"/etc/waxseal/keys/next.pem\": no such file".to_owned());
            store.keep(Event {
                result: Some("temperror".into()),
                reason,
                from_domain: Some(author.into()),
                ..event(Action::Sign, Direction::Out)
            });
        }
        if minute % 31 == 0 {
            let reason = Some("no key is configured for the From domain example.net".to_owned());
            store.keep(Event { reason, ..event(Action::Pass, Direction::Out) });
        }
        let fails = minute % 9 == 0;
        let judged = Event {
            from_domain: Some(if fails { "shop.example" } else { "friend.example" }.into()),
            client_ip: Some("192.0.2.7".into()),
            mail_from: "<bounce@shop.example>".into(),
            message_id: Some(format!("<{minute}@shop.example>")),
            spf: Some(if fails { "softfail" } else { "pass" }.into()),
            dmarc: Some(if fails { "fail" } else { "pass" }.into()),
            ..event(Action::Verify, Direction::In)
        };
        let reason = fails.then(|| "body hash did not verify".to_owned());
        let signature =
            SignatureEvent { reason, domain: "shop.example".into(), ..made(if fails { "fail" } else { "pass" }) };
        let judged = judged.with_signatures(vec![signature]);
        if fails {
            let (code, claim, fix) = [
                (
                    "body-footer-appended",
                    "4 lines were added to the end of the body after signing",
                    "sign after the filter that adds the footer: place waxseal last in smtpd_milters",
                ),
                (
                    "dkim-key-split-across-records",
                    "the key is split across 2 TXT records, none of which is a key",
                    "leave exactly one TXT record at the name, with the value given here",
                ),
                (
                    "dkim-record-not-found",
                    "there is no record at sel._domainkey.shop.example (NXDOMAIN)",
                    "publish the record",
                ),
            ][minute as usize / 9 % 5 % 3];
            let cause = CauseEvent {
                cause: code.into(),
                confidence: "certain".into(),
                claim: Some(claim.into()),
                documented: None,
                fix: Some(fix.into()),
            };
            store.keep(Event { time: time.clone(), action: Action::Diagnose, causes: vec![cause], ..judged.clone() });
        }
        store.keep(judged);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(store.close());
}

/// One message that was made to hurt.
fn hostility(home: &Home) {
    let store = store(home);
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let cause = CauseEvent {
        cause: hostile("cause"),
        confidence: hostile("sure"),
        claim: Some(hostile("claim")),
        documented: None,
        fix: Some(hostile("fix")),
    };
    let signature = SignatureEvent {
        domain: hostile("d"),
        selector: hostile("s"),
        algorithm: hostile("a"),
        result: hostile("r"),
        reason: Some(hostile("why")),
    };
    store.keep(
        Event {
            time: at,
            host: "mx".into(),
            action: Action::Diagnose,
            queue_id: hostile("id"),
            mail_from: hostile("from"),
            from_domain: Some(hostile("author")),
            client_ip: Some(hostile("ip")),
            message_id: Some(hostile("message")),
            spf: Some(hostile("spf")),
            dmarc: Some(hostile("dmarc")),
            causes: vec![cause],
            ..Event::default()
        }
        .with_signatures(vec![signature]),
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(store.close());
}

fn store(home: &Home) -> Store {
    let place = Place::Sqlite(home.path("events.db"));
    Store::start(config::Store { place: Some(place), ..config::Store::default() }, Arc::<AtomicU64>::default())
}

fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("status-page");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn it_is_sound_on_every_screen() {
    let home = Home::new();
    history(&home);
    let watched = Watched::start_in(home, "");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        watched.send("4A", OURS, "<ann@ours.example>", mail("ann@ours.example").as_bytes()).await;
        watched.send("4B", OURS, "<ann@other.example>", mail("ann@other.example").as_bytes()).await;
        watched.send("4D", STRANGER, "<eve@sound.example>", &signed("eve@sound.example")).await;
    });
    let site = format!("http://{}", watched.address());
    eventually("it is known how the domains stand", LIMIT, || {
        let page = watched.get("/").body;
        (page.contains(">ready</span>") && page.contains(">not ready</span>")).then_some(())
    });
    let browser = Browser::start();
    for (screen, width, height) in [("phone", 390, 844), ("wide", 1440, 900)] {
        for scheme in ["light", "dark"] {
            browser.screen(width, height, scheme);
            for (page, path) in
                [("status", "/?period=day"), ("cause", "/causes/dkim-key-split-across-records"), ("causes", "/causes")]
            {
                let what = format!("{page}-{screen}-{scheme}");
                browser.open(&format!("{site}{path}"));
                let picture = browser.picture(&pictures().join(format!("{what}.png")));
                assert!(picture.len() > 10_000, "{what} is empty");
                is_sound(&browser, &what);
            }
        }
    }

    without_scripts(&browser, &site);

    hostility(watched.waxseal.home());
    let sees_it = || {
        browser.open(&site);
        (browser.run("return document.body.innerText.includes('window.hurt=1')") == Value::Bool(true)).then_some(())
    };
    eventually("the page shows what was made to hurt", LIMIT, sees_it);
    for (width, height) in [(390, 844), (1440, 900)] {
        browser.screen(width, height, "light");
        browser.open(&site);
        browser.run("document.querySelectorAll('details').forEach(details => details.open = true)");
        browser.picture(&pictures().join(format!("hostile-{width}.png")));
        is_sound(&browser, "a page with hostile values");
        assert_eq!(browser.run("return window.hurt || null"), Value::Null, "a script ran");
        assert_eq!(browser.run("return document.images.length"), 1, "the seal alone");
    }
}

/// Nothing is wider than the screen, the browser has nothing to complain of, and everybody can use it.
#[track_caller]
fn is_sound(browser: &Browser, what: &str) {
    let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(overflow.as_i64().is_some_and(|over| over <= 0), "{what} is wider than the screen: {overflow}");
    let said = browser.console();
    assert!(said.is_empty(), "{what}: {said:#?}");
    let broken = browser.accessibility();
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

/// Every part works in a browser that runs no script.
#[track_caller]
fn without_scripts(browser: &Browser, site: &str) {
    browser.scripts(false);
    browser.open(site);
    browser.click(".chart summary");
    browser.scripts(true);
    let shown = browser.run(
        "return document.querySelector('.chart details').open && document.querySelectorAll('svg rect.good').length",
    );
    assert!(shown.as_i64().is_some_and(|bars| bars > 30), "charts are drawn, and their numbers open: {shown}");
    browser.scripts(false);
    browser.click(".periods a:last-child");
    assert!(browser.url().ends_with("/?period=month"), "{}", browser.url());
    browser.click(".ranked a");
    assert!(browser.url().contains("/causes/"), "{}", browser.url());
    browser.scripts(true);
}
