//! Several changes at once, and what stands beside them.

mod common;

use common::{
    change::{changed, changed_with, mail, signer, with, zone},
    forge::{RSA_2048, Signer},
    scene::verify,
};

const PLAIN: &str = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";

#[test]
fn a_list_that_tags_and_adds_a_footer() {
    let before = mail(PLAIN, "Hello\r\n");
    let after = with(
        &mail(&format!("{PLAIN}List-Id: <list.example.org>\r\n"), "Hello\r\n____\r\nthe list\r\n"),
        "Subject: ",
        "Subject: [list] ",
    );
    let said = changed(&before, &after);
    said.leads("header-subject-tagged", "certain");
    assert_eq!(said.finding("body-footer-appended")["confidence"], "certain");
    assert_eq!(said.finding("mailing-list-modified")["severity"], "note");
    said.never(&["body-changed-unattributed", "header-changed-unattributed"]);
}

#[test]
fn encoded_anew_with_a_footer() {
    let eight = format!("{PLAIN}Content-Transfer-Encoding: 8bit\r\n");
    let coded = format!("{PLAIN}Content-Transfer-Encoding: quoted-printable\r\n");
    let signer = signer(&RSA_2048).set("h", "from:to:subject:date");
    let said = changed_with(
        &signer,
        &RSA_2048,
        &mail(&eight, "Grüße\r\n"),
        &mail(&coded, "Gr=C3=BC=C3=9Fe\r\n-- \r\nF=C3=BC=C3=9Fe\r\n"),
    );
    said.leads("body-footer-appended", "certain");
    assert_eq!(said.finding("body-transfer-encoding-converted")["confidence"], "certain");
    // Decoded, a line added, and encoded as it was.
    let before = mail(&format!("{PLAIN}Content-Transfer-Encoding: base64\r\n"), "R3LDvMOfZQ0KDQp2b24gaGllcg0K\r\n");
    let after = mail(
        &format!("{PLAIN}Content-Transfer-Encoding: base64\r\n"),
        "R3LDvMOfZQ0KDQp2b24gaGllcg0KLS0gDQpzY2FubmVkDQo=\r\n",
    );
    changed(&before, &after).leads("body-footer-appended", "certain");
}

#[test]
fn escaped_with_a_footer() {
    let said = changed(&mail(PLAIN, "Hello\r\nFrom me\r\n"), &mail(PLAIN, "Hello\r\n>From me\r\n-- \r\nscanned\r\n"));
    said.leads("body-footer-appended", "certain");
    said.finding("body-from-escaped");
}

#[test]
fn a_banner_and_a_footer() {
    let said = changed(
        &mail(PLAIN, "Hello\r\nthe end\r\n"),
        &mail(PLAIN, "[External]\r\nHello\r\nthe end\r\n-- \r\nscanned\r\n"),
    );
    said.finding("body-banner-inserted");
    said.finding("body-footer-appended");
}

#[test]
fn two_fields_at_once() {
    let before = mail(PLAIN, "Hello\r\n");
    let after = with(&with(&before, "Subject: ", "Subject: [list] "), "From: Billing <", "From: \"Billing\" <");
    let said = changed(&before, &after);
    assert_eq!(said.finding("header-subject-tagged")["confidence"], "certain");
    assert_eq!(said.finding("header-address-rewritten")["confidence"], "certain");
}

#[test]
fn an_unknown_half_does_not_hide_the_other() {
    let before = mail(PLAIN, "Hello\r\n");
    let after = with(&mail(PLAIN, "Hello\r\n-- \r\nscanned\r\n"), "an invoice", "a bill");
    let said = changed(&before, &after);
    said.leads("body-footer-appended", "certain");
    assert_eq!(said.finding("header-changed-unattributed")["severity"], "note");
}

#[test]
fn the_hop_is_named_by_signatures_that_share_the_body() {
    let before = mail(PLAIN, "Hello\r\n");
    let first = Signer::new(&RSA_2048, "example.com").field(&before);
    let relay = Signer::new(&RSA_2048, "relay.example").field(&before);
    let received = b"Received: from relay.example (relay.example [192.0.2.1]) by mx.example.net with ESMTP; Mon, 23 Nov 2026 04:00:01 +0000\r\n";
    let message = [&received[..], &relay, &first, &mail(PLAIN, "Hello\r\n-- \r\nscanned\r\n")].concat();
    let said = verify(&message, &zone(&RSA_2048).txt("sel._domainkey.relay.example", &RSA_2048.record()), &[]);
    said.leads("body-footer-appended", "certain");
    let text = said.findings()[0]["evidence"].to_string();
    assert!(
        text.contains("the DKIM signature of relay.example") && text.contains("changed at or before mx.example.net"),
        "{text}"
    );
}

#[test]
fn a_filter_behind_the_signer_is_named() {
    let before = mail(PLAIN, "Hello\r\n");
    let field = signer(&RSA_2048).field(&before);
    let message = [
        b"X-Virus-Scanned: by a scanner at mx.example.com\r\n",
        &field[..],
        &mail(PLAIN, "Hello\r\n-- \r\nscanned\r\n"),
    ]
    .concat();
    let said = verify(&message, &zone(&RSA_2048), &[]);
    said.leads("body-footer-appended", "certain");
    said.finding("signing-before-modifier");
    // Behind a hop it is the next host's filter.
    let received = b"Received: from a by b; Mon, 23 Nov 2026 04:00:01 +0000\r\n";
    let message = [
        b"X-Virus-Scanned: by a scanner at mx.example.net\r\n",
        &received[..],
        &field,
        &mail(PLAIN, "Hello\r\n-- \r\nscanned\r\n"),
    ]
    .concat();
    verify(&message, &zone(&RSA_2048), &[])
        .leads("body-footer-appended", "certain")
        .never(&["signing-before-modifier"]);
}

#[test]
fn the_same_message_gives_the_same_report() {
    let said =
        || changed(&mail(PLAIN, "Hello\r\n"), &mail(PLAIN, "Hallo\r\n-- \r\nscanned\r\n")).report["findings"].clone();
    assert_eq!(said(), said());
}

#[test]
fn wrapped_by_a_list_that_tags_too() {
    let inner = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    let before = mail(&format!("MIME-Version: 1.0\r\n{inner}"), "Grüße\r\n");
    let wrapped =
        format!("--out\r\n{inner}\r\nGrüße\r\n\r\n--out\r\nContent-Type: text/plain\r\n\r\nthe list\r\n--out--\r\n");
    let fields = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n";
    let after = with(&mail(fields, &wrapped), "Subject: ", "Subject: [list] ");
    let said = changed(&before, &after);
    said.leads("header-subject-tagged", "certain");
    assert_eq!(said.finding("body-mime-wrapped")["confidence"], "certain");
    // Without the tag the field that is gone is an echo of the wrapping.
    let said = changed(&before, &mail(fields, &wrapped));
    said.leads("body-mime-wrapped", "certain").never(&["header-changed-unattributed"]);
}

#[test]
fn another_charset_with_a_footer() {
    let latin = mail("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n", "");
    let before = [&latin[..], b"Gr\xfc\xdfe\r\nM\xfcller\r\n"].concat();
    let said = changed(&before, &mail(PLAIN, "Grüße\r\nMüller\r\n-- \r\nscanned\r\n"));
    assert_eq!(said.finding("body-charset-converted")["confidence"], "certain");
    assert_eq!(said.finding("body-footer-appended")["confidence"], "certain");
}

#[test]
fn several_fields_of_a_relay_that_completes_a_message() {
    let before = mail("", "Hello\r\n");
    let after = mail(&format!("{PLAIN}Content-Transfer-Encoding: 7bit\r\n"), "Hello\r\n");
    let said = changed(&before, &after);
    said.leads("header-added-after-signing", "certain");
    assert_eq!(common::change::changes(&said).len(), 3, "{:#}", said.report);
    // Under Ed25519 each guess is a verification.
    let signer = signer(&common::forge::ED25519);
    changed_with(&signer, &common::forge::ED25519, &before, &after).leads("header-added-after-signing", "certain");
}

#[test]
fn several_places_of_one_kind() {
    for (before, after, cause) in [
        ("a\rb and\rc\r\nthe end of it\r\n", "a\r\nb and\r\nc\r\nthe end of it\r\n", "body-line-endings-changed"),
        ("a\rb and\rc\r\nthe end of it\r\n", "a b and c\r\nthe end of it\r\n", "body-line-endings-changed"),
        ("a\nb and\nthe end\r\nof it\r\n", "a\r\nb and\r\nthe end\r\nof it\r\n", "body-line-endings-changed"),
        ("a\nb and\nthe end\r\nof it\r\n", "a b and the end\r\nof it\r\n", "body-line-endings-changed"),
        (".one\r\ntwo\r\n..three\r\nfour\r\n", "one\r\ntwo\r\n.three\r\nfour\r\n", "body-dot-changed"),
    ] {
        let said = changed(&mail(PLAIN, before), &mail(PLAIN, after));
        said.leads(cause, "certain");
        let claim = said.findings()[0]["claim"].as_str().expect("a claim");
        assert!(claim.starts_with("in 2 places"), "{claim}");
    }
}

#[test]
fn a_field_that_an_oversigner_named_once_more_is_gone() {
    let fields = "Message-ID: <1@example.com>\r\n";
    let signer = signer(&RSA_2048).set("h", "from:from:to:to:subject:subject:date:date:message-id:message-id");
    let said = changed_with(&signer, &RSA_2048, &mail(fields, "Hello\r\n"), &mail("", "Hello\r\n"));
    said.leads("header-removed", "likely");
}

#[test]
fn a_message_id_of_a_relay() {
    let id = |id: &str| format!("Message-ID: <{id}>\r\n");
    let received = "Received: from mx.example.com by out.relay.example; Mon, 23 Nov 2026 04:00:01 +0000\r\n";
    let signer = signer(&RSA_2048).set("h", "from:to:subject:date:message-id");
    let field = signer.field(&mail(&id("1@example.com"), "Hello\r\n"));
    let copy = [received.as_bytes(), &field, &mail(&id("0100@relay.example"), "Hello\r\n")].concat();
    verify(&copy, &zone(&RSA_2048), &[]).leads("header-message-id-replaced", "likely");
    let copy = [received.as_bytes(), &field, &mail(&id("2@example.com"), "Hello\r\n")].concat();
    verify(&copy, &zone(&RSA_2048), &[]).never(&["header-message-id-replaced"]);
}

#[test]
fn who_sends_a_message_again_is_named() {
    let before = mail(PLAIN, "Hello\r\n");
    let field = signer(&RSA_2048).field(&before);
    let again = b"Resent-From: a@example.net\r\nResent-Message-ID: <2@example.net>\r\n";
    let copy = [&again[..], &field, &mail(PLAIN, "Hello\r\n-- \r\nfrom my phone\r\n")].concat();
    let said = verify(&copy, &zone(&RSA_2048), &[]);
    said.leads("body-footer-appended", "certain");
    assert_eq!(said.finding("resent-or-forwarded-inline")["confidence"], "possible");
    changed(&before, &mail(PLAIN, "Hello\r\n-- \r\nscanned\r\n")).never(&["resent-or-forwarded-inline"]);
}

#[test]
fn a_list_that_writes_its_own_author_tags_and_says_where_to_reply() {
    let before = mail("", "Hello\r\n");
    let signer = signer(&RSA_2048).set("h", "from:to:subject:date:reply-to:sender:cc");
    let author = "From: Billing via List <list@lists.example.org>\r\nReply-To: Billing <billing@example.com>\r\n";
    let after = with(&before, "From: Billing <billing@example.com>\r\n", author);
    let after = with(&after, "Subject: ", "Subject: [list] ");
    let copy = [signer.field(&before), after].concat();
    let said = verify(&copy, &zone(&RSA_2048).line("lists.example.org. IN A 192.0.2.9"), &[]);
    assert_eq!(said.finding("header-from-rewritten")["confidence"], "certain");
    assert_eq!(said.finding("header-subject-tagged")["confidence"], "certain");
    assert_eq!(said.finding("header-added-after-signing")["confidence"], "certain");
    // Two fields added, and the tag.
    let both = "Reply-To: list@lists.example.org\r\nSender: list@lists.example.org\r\nSubject: [list] ";
    let said = changed_with(&signer, &RSA_2048, &before, &with(&before, "Subject: ", both));
    assert_eq!(said.finding("header-subject-tagged")["confidence"], "certain");
    assert_eq!(said.finding("header-added-after-signing")["confidence"], "certain");
}

#[test]
fn other_folds_are_no_other_address() {
    let to = |fold: &str| format!("Cc: Bob <b@example.net>, Carol <c@example.net>,{fold}Dave <d@example.net>\r\n");
    let signer = signer(&RSA_2048).set("c", "simple/simple").set("h", "from:to:cc:subject:date");
    let (before, after) = (mail(&to(" "), "Hello\r\n"), mail(&to("\r\n\t"), "Hello\r\n"));
    changed_with(&signer, &RSA_2048, &before, &after)
        .leads("header-refolded", "certain")
        .never(&["header-address-rewritten"]);
}

#[test]
fn a_footer_in_base64_whose_line_ends_were_written_anew() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let coded = |text: &str| {
        let text = STANDARD.encode(text);
        text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect::<String>()
    };
    let fields = format!("{PLAIN}Content-Transfer-Encoding: base64\r\n");
    let text = "안녕하세요 고객님,\n\n11월 청구서를 보내드립니다.\n";
    let footer = "_______\nthe list -- list@lists.example.org\n";
    // LF as it was; CRLF became LF; LF became CRLF.
    for (before, after) in [
        (text.to_owned(), format!("{text}{footer}")),
        (text.replace('\n', "\r\n"), format!("{text}{footer}")),
        (text.to_owned(), format!("{text}{footer}").replace('\n', "\r\n")),
    ] {
        let said = changed(&mail(&fields, &coded(&before)), &mail(&fields, &coded(&after)));
        said.leads("body-footer-appended", "certain").never(&["body-changed-unattributed"]);
        assert!(said.findings()[0]["evidence"].to_string().contains("the list -- list@lists"), "{:#}", said.report);
    }
}

#[test]
fn a_field_added_and_a_tag_under_ed25519() {
    let before = mail("", "Hello\r\n");
    let key = &common::forge::ED25519;
    let signer = signer(key).set("h", "from:to:cc:subject:date:message-id:mime-version:reply-to:sender:references");
    let after = with(&mail("Reply-To: list@lists.example.org\r\n", "Hello\r\n"), "Subject: ", "Subject: [list] ");
    let said = changed_with(&signer, key, &before, &after);
    assert_eq!(said.finding("header-added-after-signing")["confidence"], "certain");
    assert_eq!(said.finding("header-subject-tagged")["confidence"], "certain");
}
