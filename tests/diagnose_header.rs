//! Signed fields that changed: each change is named by undoing it, and by nothing else.

mod common;

use common::{
    change::{changed, changed_with, changes, mail, signer, with, zone},
    forge::{ED25519, RSA_2048},
    scene::verify,
};

const PLAIN: &str =
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n";
const BODY: &str = "Hello,\r\nthe end\r\n";

/// A message with one field written in another way.
#[track_caller]
fn leads(cause: &str, before: &str, after: &str) {
    let base = mail(PLAIN, BODY);
    let (name, _) = before.split_once(':').expect("a field");
    let line = String::from_utf8_lossy(&base)
        .split("\r\n")
        .find(|line| line.starts_with(&format!("{name}:")))
        .expect("the field")
        .to_owned();
    let (before, after) = (with(&base, &line, before), with(&base, &line, after));
    let said = changed(&before, &after);
    said.leads(cause, "certain").never(&["header-changed-unattributed", "body-changed-unattributed"]);
    assert_eq!(changes(&said).len(), 1, "{:?}", said.causes());
    assert_eq!(said.report["dkim"][0]["header"], "changed");
}

#[test]
fn subjects_with_a_tag() {
    for (before, after) in [
        ("an invoice", "[list] an invoice"),
        ("an invoice", "***SPAM*** an invoice"),
        ("an invoice", "[EXTERNAL] an invoice"),
        ("안녕하세요", "(광고) 안녕하세요"),
        ("an invoice", "(AD) an invoice"),
        ("an invoice", "[a] [b] [c] an invoice"),
        ("Re: an invoice", "Re: [list] an invoice"),
        ("an invoice", "an invoice [EXTERNAL]"),
        ("[kept] an invoice", "[list] [kept] an invoice"),
        ("=?UTF-8?B?7JWI64WV?=", "[list] =?UTF-8?B?7JWI64WV?="),
        ("=?UTF-8?B?7JWI64WV?=", "=?utf-8?q?=5Blist=5D_=EC=95=88=EB=85=95?="),
    ] {
        leads("header-subject-tagged", &format!("Subject: {before}"), &format!("Subject: {after}"));
    }
}

#[test]
fn subjects_in_another_encoding() {
    for (before, after) in [
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "=?utf-8?q?Gr=C3=BC=C3=9Fe?="),
        ("=?iso-8859-1?Q?Gr=FC=DFe?=", "=?utf-8?b?R3LDvMOfZQ==?="),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= and more", "=?utf-8?b?R3LDvMOfZSBhbmQgbW9yZQ==?="),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
    ] {
        leads("header-subject-reencoded", &format!("Subject: {before}"), &format!("Subject: {after}"));
    }
    leads("header-subject-reencoded", "Subject: an invoice", "Subject: =?UTF-8?Q?an_invoice?=");
    leads("header-raw-8bit-encoded", "Subject: Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?=");
}

#[test]
fn addresses() {
    for (before, after) in [
        ("From: Billing <billing@example.com>", "From: \"Billing\" <billing@example.com>"),
        ("From: \"Billing\" <billing@example.com>", "From: Billing <billing@example.com>"),
        ("From: billing@example.com", "From: <billing@example.com>"),
        ("From: billing@example.com (Billing)", "From: Billing <billing@example.com>"),
        ("To: root", "To: root@mx.example.net"),
        ("To: a@example.net,b@example.net", "To: a@example.net, b@example.net"),
        ("To: \"A\" <a@example.net>, \"B\" <b@example.net>", "To: A <a@example.net>, B <b@example.net>"),
    ] {
        leads("header-address-rewritten", before, after);
    }
}

#[test]
fn a_list_that_writes_its_own_author() {
    let base = mail(PLAIN, BODY);
    let zone = zone(&RSA_2048).line("lists.example.org. 300 IN A 192.0.2.9");
    let signed = signer(&RSA_2048).field(&base);
    for (author, further, confidence) in [
        ("Billing via List <list@lists.example.org>", "Reply-To: Billing <billing@example.com>", "certain"),
        (
            "Somebody via List <list@lists.example.org>",
            "X-Original-From: \"B. Illing (work)\" <b@example.com>",
            "likely",
        ),
    ] {
        let after = with(&base, "From: Billing <billing@example.com>", &format!("From: {author}\r\n{further}"));
        let said = verify(&[&signed[..], &after].concat(), &zone, &[]);
        assert_eq!(said.finding("header-from-rewritten")["confidence"], confidence);
        assert_eq!(changes(&said), ["header-from-rewritten"]);
    }
}

#[test]
fn dates() {
    for (before, after) in [
        ("Mon, 23 Nov 2026 04:00:00 GMT", "Mon, 23 Nov 2026 04:00:00 +0000"),
        ("Mon, 23 Nov 2026 04:00:00 +0000", "Mon, 23 Nov 2026 04:00:00 +0000 (UTC)"),
        ("Mon, 23 Nov 2026 13:00:00 +0900", "Mon, 23 Nov 2026 04:00:00 +0000"),
        ("Mon, 23 Nov 2026 04:00:00 +0000", "Mon, 23 Nov 2026 09:30:00 +0530"),
        ("Mon, 2 Nov 2026 04:00:00 +0000", "Mon, 02 Nov 2026 04:00:00 +0000"),
    ] {
        leads("header-date-rewritten", &format!("Date: {before}"), &format!("Date: {after}"));
    }
}

#[test]
fn mime_fields() {
    for (before, after) in [
        ("Content-Type: text/plain; charset=utf-8", "Content-Type: text/plain; charset=\"utf-8\""),
        ("Content-Type: text/plain; charset=UTF-8", "Content-Type: text/plain; charset=utf-8"),
        ("Content-Type: text/plain; charset=utf-8; format=flowed", "Content-Type: text/plain; charset=utf-8"),
        ("Content-Type: text/plain; charset=us-ascii", "Content-Type: text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: 7bit"),
    ] {
        leads("header-mime-rewritten", before, after);
    }
}

#[test]
fn fields_that_were_added() {
    let signer = signer(&RSA_2048).set("h", "from:to:subject:date:message-id:reply-to:sender");
    let before = mail(PLAIN, BODY);
    for field in ["Message-ID: <1@relay.example>\r\n", "Reply-To: x@example.com\r\n", "Sender: y@example.com\r\n"] {
        let after = mail(&format!("{PLAIN}{field}"), BODY);
        let said = changed_with(&signer, &RSA_2048, &before, &after);
        said.leads("header-added-after-signing", "certain").never(&["header-changed-unattributed"]);
    }
    // Oversigned: a second From.
    let signer = common::change::signer(&RSA_2048).set("h", "from:from:to:subject:date");
    let after = [b"From: Boss <boss@example.org>\r\n", &before[..]].concat();
    let said = changed_with(&signer, &RSA_2048, &before, &after);
    said.finding("header-added-after-signing");
}

#[test]
fn instances_and_order() {
    let before = mail("Comments: one\r\n", BODY);
    let signer = common::change::signer(&RSA_2048).set("h", "from:to:subject:date:comments");
    let after = mail("Comments: one\r\nComments: two\r\n", BODY);
    changed_with(&signer, &RSA_2048, &before, &after).leads("header-duplicated", "certain");
    let signer = signer.set("h", "from:to:subject:date:comments:comments");
    changed_with(&signer, &RSA_2048, &mail("Comments: two\r\nComments: one\r\n", BODY), &after)
        .leads("header-reordered", "certain");
}

#[test]
fn folds_and_blanks_under_simple() {
    let simple = signer(&RSA_2048).set("c", "simple/simple");
    let before = mail(PLAIN, BODY);
    for (old, new, cause) in [
        ("Subject: an invoice", "Subject:an invoice", "header-leading-space-lost"),
        ("Subject: an invoice", "Subject: an\r\n invoice", "header-refolded"),
        ("MIME-Version", "Mime-Version", "header-refolded"),
        ("Subject: an invoice", "Subject: [list] an invoice", "header-subject-tagged"),
    ] {
        let said = changed_with(&simple, &RSA_2048, &before, &with(&before, old, new));
        said.leads(cause, "certain");
        assert_eq!(changes(&said).len(), 1, "{:?}", said.causes());
    }
    // A fold where no width asks for one was taken out.
    for fold in ["\r\n the", "\r\n\tthe"] {
        let signed = with(&before, "an invoice", &format!("an invoice of{fold} month"));
        let said = changed_with(&simple, &RSA_2048, &signed, &with(&before, "an invoice", "an invoice of the month"));
        said.leads("header-refolded", "certain");
    }
    // What relaxed does not count is no failure there.
    changed(&before, &with(&before, "Subject: an invoice", "SUBJECT:   an\r\n\tinvoice")).healthy();
}

#[test]
fn a_long_field_broken_within_a_word() {
    let long = format!("Subject: {}", "x".repeat(1500));
    let before = with(&mail(PLAIN, BODY), "Subject: an invoice", &long);
    let broken = format!("{}\r\n {}", &long[..998], &long[998..]);
    changed(&before, &with(&before, &long, &broken)).leads("header-long-folded", "certain");
}

#[test]
fn copies_of_the_fields_tell_what_changed() {
    let before = mail(PLAIN, BODY);
    let signer = signer(&RSA_2048).set("z", "From:=20Billing=20<billing@example.com>|Subject:=20an=20invoice");
    let after = with(&before, "Subject: an invoice", "Subject: quite another text");
    let said = changed_with(&signer, &RSA_2048, &before, &after);
    said.leads("header-changed-unattributed", "certain");
    assert_eq!(said.findings()[0]["evidence"][0]["value"], "Subject: an invoice");
    let after = with(&before, "Subject: an invoice", "Subject: a tag of many words before an invoice");
    changed_with(&signer, &RSA_2048, &before, &after).leads("header-subject-tagged", "certain");
}

#[test]
fn ed25519_is_searched_by_verifying() {
    let before = mail(PLAIN, BODY);
    let signer = signer(&ED25519);
    for (old, new, cause) in [
        ("Subject: an invoice", "Subject: [list] an invoice", "header-subject-tagged"),
        ("+0000", "GMT", "header-date-rewritten"),
    ] {
        changed_with(&signer, &ED25519, &before, &with(&before, old, new)).leads(cause, "certain");
    }
}

#[test]
fn a_field_that_is_gone_is_likely_at_most() {
    let id = "Message-ID: <1@example.com>\r\n";
    let reply = "Reply-To: desk@example.com\r\n";
    for (fields, names) in [
        (id, "from:to:subject:date:message-id:cc:reply-to"),
        (id, "from:from:message-id"),
        (reply, "from:subject:reply-to"),
    ] {
        let before = mail(fields, BODY);
        let signer = signer(&RSA_2048).set("h", names);
        changed_with(&signer, &RSA_2048, &before, &mail("", BODY)).leads("header-removed", "likely");
    }
    // Named so that nobody adds them: their absence says nothing.
    let before = mail("", BODY);
    for names in ["from:subject:cc:reply-to", "from:from:subject:reply-to", "from:subject:cc:cc"] {
        let signer = signer(&RSA_2048).set("h", names);
        let after = with(&before, "Subject: an invoice", "Subject: a bill");
        changed_with(&signer, &RSA_2048, &before, &after).leads("header-changed-unattributed", "certain");
    }
}

#[test]
fn nothing_is_guessed() {
    let before = mail(PLAIN, BODY);
    for (old, new) in [
        ("Subject: an invoice", "Subject: [list] a bill"),
        ("a@example.net", "someone@else.example"),
        ("04:00:00", "04:00:09"),
    ] {
        let said = changed(&before, &with(&before, old, new));
        said.leads("header-changed-unattributed", "certain");
        assert_eq!(changes(&said).len(), 1, "{:?}", said.causes());
    }
    // What is not signed may change.
    let signer = signer(&RSA_2048).set("h", "from:date");
    changed_with(&signer, &RSA_2048, &before, &with(&before, "Subject: an", "Subject: [list] an")).healthy();
}

#[test]
fn a_change_that_was_undone_says_whose_key_it_was() {
    // An Ed25519 key alone cannot tell a wrong key from changed fields.
    let before = mail(PLAIN, BODY);
    let of = |after: &[u8]| changed_with(&signer(&ED25519), &ED25519, &before, after).report["dkim"][0].clone();
    let tagged = of(&with(&before, "Subject: an", "Subject: [list] an"));
    assert_eq!((&tagged["header"], &tagged["key"]), (&"changed".into(), &"signer".into()));
    let other = of(&with(&before, "an invoice", "a bill"));
    assert_eq!((&other["header"], &other["key"]), (&"unknown".into(), &"unknown".into()));
}

#[test]
fn signs_of_a_change_under_ed25519() {
    let id = |id: &str| mail(&format!("{PLAIN}Message-ID: <{id}>\r\n"), BODY);
    let signer = signer(&ED25519).set("h", "from:to:subject:date:message-id");
    let received = "Received: from mx.example.com by out.relay.example; Mon, 23 Nov 2026 04:00:01 +0000\r\n";
    let copy = [received.as_bytes(), &signer.field(&id("1@example.com")), &id("0100@relay.example")].concat();
    let said = verify(&copy, &zone(&ED25519), &[]);
    said.leads("header-message-id-replaced", "likely");
    assert_eq!(said.finding("dkim-key-mismatch")["confidence"], "possible");
    // A field that is gone is less of a sign.
    let copy = [signer.field(&id("1@example.com")), mail(PLAIN, BODY)].concat();
    let said = verify(&copy, &zone(&ED25519), &[]);
    said.leads("dkim-key-mismatch", "possible");
    assert_eq!(said.finding("header-removed")["confidence"], "possible");
}

#[test]
fn long_subjects_in_words_of_other_lengths() {
    // As Python's email package cuts them, and as one word.
    let python = "=?utf-8?b?MTHsm5Qg7LKt6rWs7IScIOyViOuCtOuTnOumveuLiOuLpCDquIjslaE=?=\r\n \
                  =?utf-8?b?6rO8IOuCqeu2gCDquLDtlZzsnYQg6rytIO2ZleyduO2VmOyXrCDso7zsi5zquLAg?=\r\n \
                  =?utf-8?b?67CU656N64uI64ukIOqwkOyCrO2VqeuLiOuLpA==?=";
    let whole = "=?UTF-8?B?MTHsm5Qg7LKt6rWs7IScIOyViOuCtOuTnOumveuLiOuLpCDquIjslaHqs7wg64Kp67aAIOq4sO2VnOydhCDqvK0g7ZmV7J247ZWY7JesIOyjvOyLnOq4sCDrsJTrno3ri4jri6Qg6rCQ7IKs7ZWp64uI64uk?=";
    leads("header-subject-reencoded", &format!("Subject: {python}"), &format!("Subject: {whole}"));
    leads("header-subject-reencoded", &format!("Subject: {whole}"), &format!("Subject: {python}"));
    leads("header-subject-tagged", &format!("Subject: {python}"), &format!("Subject: [list] {whole}"));
    leads("header-subject-reencoded", "Subject: =?utf-8?q?an_invoice?=", "Subject: an invoice");
}

#[test]
fn rarer_forms() {
    for (cause, before, after) in [
        (
            "header-mime-rewritten",
            "Content-Type: text/plain; charset=utf-8; format=flowed",
            "Content-Type: text/plain; format=flowed; charset=utf-8",
        ),
        ("header-mime-rewritten", "Content-Type: TEXT/PLAIN; charset=utf-8", "Content-Type: text/plain; charset=utf-8"),
        (
            "header-mime-rewritten",
            "Content-Type: text/plain; CHARSET=US-ASCII",
            "Content-Type: text/plain; charset=US-ASCII",
        ),
        (
            "header-mime-rewritten",
            "Content-Type: text/plain; charset=ISO-8859-1",
            "Content-Type: text/plain; charset=\"iso-8859-1\"",
        ),
        (
            "header-mime-rewritten",
            "Content-Type: text/plain; charset=koi8-r",
            "Content-Type: text/plain; charset=utf-8",
        ),
        ("header-date-rewritten", "Date: Mon, 23 Nov 2026 04:00:00 EST", "Date: Mon, 23 Nov 2026 04:00:00 -0500"),
        ("header-date-rewritten", "Date: Mon, 23 Nov 26 04:00:00 +0000", "Date: Mon, 23 Nov 2026 04:00:00 +0000"),
        ("header-address-rewritten", "To: 'Ann Lee' <a@example.net>", "To: \"Ann Lee\" <a@example.net>"),
    ] {
        leads(cause, before, after);
    }
}

#[test]
fn three_fields_in_any_order() {
    let of = |words: [&str; 3]| mail(&words.map(|word| format!("Comments: {word}\r\n")).concat(), BODY);
    let signer = common::change::signer(&RSA_2048).set("h", "from:to:subject:date:comments:comments:comments");
    for after in [["three", "two", "one"], ["two", "three", "one"], ["one", "three", "two"]] {
        let said = changed_with(&signer, &RSA_2048, &of(["one", "two", "three"]), &of(after));
        said.leads("header-reordered", "certain");
        let evidence = said.findings()[0]["evidence"].to_string();
        assert!(evidence.contains("before") && evidence.contains("Comments: three"), "{evidence}");
    }
}

#[test]
fn many_fields_under_simple() {
    let simple = signer(&RSA_2048).set("c", "simple/simple");
    let base = mail(PLAIN, BODY);
    let list =
        |fold: &str| format!("To: \"Ann\" <a@example.net>,{fold}\"Bob\" <b@example.net>,{fold}\"Cyd\" <c@example.net>");
    let of = |changes: &[(&str, &str)]| changes.iter().fold(base.clone(), |mail, (old, new)| with(&mail, old, new));
    let to = "To: a@example.net";
    for (before, after, cause) in [
        // Blanks that were put in, in several fields at once.
        (
            base.clone(),
            of(&[("Subject: an", "Subject:  an"), ("To: ", "To:  "), ("Date: Mon", "Date:   Mon")]),
            "header-refolded",
        ),
        (base.clone(), of(&[("an invoice", "an   invoice"), ("Billing <", "Billing  <")]), "header-refolded"),
        (base.clone(), of(&[("MIME-Version", "Mime-Version"), ("Subject:", "SUBJECT:")]), "header-refolded"),
        (of(&[(to, &list("\r\n "))]), of(&[(to, &list(" "))]), "header-refolded"),
        (of(&[(to, &list("\r\n "))]), of(&[(to, &list(" ").replace('"', ""))]), "header-address-rewritten"),
        // Every field but the signature's own, which was written by another program.
        (
            of(&[
                ("From: ", "From:"),
                ("To: ", "To:"),
                ("Subject: ", "Subject:"),
                ("Date: ", "Date:"),
                ("MIME-Version: ", "MIME-Version:"),
                ("Content-Type: ", "Content-Type:"),
                ("Content-Transfer-Encoding: ", "Content-Transfer-Encoding:"),
            ]),
            base.clone(),
            "header-leading-space-lost",
        ),
        // h= is in small letters, the field was not.
        (base.clone(), of(&[("MIME-Version: 1.0\r\n", "")]), "header-removed"),
    ] {
        let said = changed_with(&simple, &RSA_2048, &before, &after);
        said.leads(cause, "certain").never(&["header-changed-unattributed"]);
        assert!(said.findings()[0]["evidence"].to_string().contains("before"), "{:#}", said.report);
    }
}
