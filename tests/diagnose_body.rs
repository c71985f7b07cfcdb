//! Bodies that changed after signing: each change is named by undoing it, and by nothing else.

mod common;

use common::change::{changed, changed_under, changes, mail, with};

const PLAIN: &str = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";
const MIXED: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b1\"\r\n";

/// A plain and an HTML text.
const TWO: &str = "--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello,\r\nthe invoice is attached.\r\n\
                   --b1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body class=\"x\">\r\n<p>Hello,</p>\r\n\
                   <p>the invoice is attached.</p>\r\n</body></html>\r\n--b1--\r\n";

#[test]
fn footers() {
    let text = "Hello,\r\n\r\nthe end\r\n";
    for (fields, before, after) in [
        (PLAIN, text.to_owned(), format!("{text}-- \r\nScanned by a scanner\r\n")),
        (PLAIN, text.to_owned(), format!("{text}\r\n\r\n____\r\nlist mailing list\r\nlist@example.org\r\n")),
        (
            MIXED,
            TWO.to_owned(),
            TWO.replace("attached.\r\n--b1", "attached.\r\n\r\nThis mail is confidential.\r\n--b1"),
        ),
        (MIXED, TWO.to_owned(), TWO.replace("</body>", "<p>This mail is confidential.</p>\r\n</body>")),
        (
            MIXED,
            TWO.to_owned(),
            TWO.replace("attached.\r\n--b1", "attached.\r\n\r\nConfidential.\r\n--b1")
                .replace("</body>", "<br><p>Confidential.</p></body>"),
        ),
        (MIXED, TWO.to_owned(), format!("{TWO}\r\n-- \r\nbehind the end\r\n")),
        (
            MIXED,
            TWO.to_owned(),
            TWO.replace("--b1--", "--b1\r\nContent-Type: text/plain\r\n\r\nA footer of the list\r\n--b1--"),
        ),
    ] {
        let said = changed(&mail(fields, &before), &mail(fields, &after));
        said.leads("body-footer-appended", "certain").never(&["body-changed-unattributed", "body-banner-inserted"]);
    }
}

#[test]
fn a_footer_is_shown() {
    let said = changed(&mail(PLAIN, "Hello\r\n"), &mail(PLAIN, "Hello\r\n-- \r\nScanned by a scanner\r\n"));
    let finding = said.finding("body-footer-appended");
    assert_eq!(finding["claim"], "2 lines were added at the end of the body after signing");
    let evidence = &finding["evidence"][0];
    assert_eq!(
        (evidence["kind"].as_str(), evidence["value"].as_str()),
        (Some("text"), Some("-- \r\nScanned by a scanner\r\n"))
    );
    assert_eq!(finding["severity"], "error");
}

#[test]
fn banners() {
    for (fields, before, after) in [
        (PLAIN, "Hello\r\n".to_owned(), "CAUTION: this mail comes from outside.\r\n\r\nHello\r\n".to_owned()),
        (MIXED, TWO.to_owned(), TWO.replace("\r\n\r\nHello", "\r\n\r\n[External sender]\r\n\r\nHello")),
        (MIXED, TWO.to_owned(), TWO.replace("\"x\">", "\"x\"><div><b>External sender</b></div>")),
        (
            MIXED,
            TWO.to_owned(),
            TWO.replace("\r\n\r\nHello", "\r\n\r\n[External]\r\nHello").replace("\"x\">", "\"x\"><div>External</div>"),
        ),
    ] {
        let said = changed(&mail(fields, &before), &mail(fields, &after));
        said.leads("body-banner-inserted", "certain").never(&["body-changed-unattributed", "body-footer-appended"]);
    }
}

#[test]
fn wrapped_in_a_multipart() {
    let before = mail(PLAIN, "Hello,\r\nthe end\r\n");
    let after = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"===1\"\r\n";
    let body = "--===1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\n\r\nHello,\r\nthe end\r\n\
                \r\n--===1\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\n____\r\nthe list\r\n--===1--\r\n";
    // Content-Type changed with it, which is found too.
    let said = changed(&before, &mail(after, body));
    said.finding("body-mime-wrapped");
    said.finding("header-mime-rewritten");
    said.never(&["body-changed-unattributed", "header-changed-unattributed"]);
}

#[test]
fn one_shots() {
    let long = "x".repeat(2500);
    for (canon, before, after, cause) in [
        (
            "relaxed/relaxed",
            format!("a\r\n{long}\r\n"),
            format!("a\r\n{}\r\n {}\r\n {}\r\n", &long[..998], &long[998..1995], &long[1995..]),
            "body-long-lines-wrapped",
        ),
        (
            "simple/simple",
            format!("a\r\n{long}\r\nend\r\n"),
            format!("a\r\n{}!\r\n {}!\r\n {}\r\nend\r\n", &long[..989], &long[989..1977], &long[1977..]),
            "body-long-lines-wrapped",
        ),
        ("relaxed/relaxed", "a\r\nFrom me\r\n".into(), "a\r\n>From me\r\n".into(), "body-from-escaped"),
        ("relaxed/relaxed", "a\r\n>From you\r\nFrom me\r\n".into(), "a\r\n>From you\r\n>From me\r\n".into(), "body-from-escaped"),
        ("relaxed/relaxed", "a\r\nFrom me\r\n".into(), "a\r\n=46rom me\r\n".into(), "body-from-escaped"),
        ("relaxed/relaxed", ".a\r\n..b\r\n".into(), "..a\r\n...b\r\n".into(), "body-dot-changed"),
        ("relaxed/relaxed", "a\r\n".into(), "\r\na\r\n".into(), "body-leading-blank-line"),
        ("relaxed/relaxed", "\r\na\r\n".into(), "a\r\n".into(), "body-leading-blank-line"),
        ("relaxed/relaxed", "a\r\nb\r\n".into(), "a\nb\r\n".into(), "body-line-endings-changed"),
        ("relaxed/relaxed", "a\r\nb\r\nc\r\n".into(), "a\r\r\nb\r\r\nc\r\r\n".into(), "body-line-endings-changed"),
        ("simple/simple", "a\r\n-- \r\nme\r\n".into(), "a\r\n--\r\nme\r\n".into(), "body-trailing-whitespace"),
        ("simple/simple", "a\r\nb\r\n".into(), "a \r\nb \r\n".into(), "body-trailing-whitespace"),
        (
            "relaxed/relaxed",
            "see https://example.com/pay?id=7 now\r\n".into(),
            "see https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com%2Fpay%3Fid%3D7&data=05&reserved=0 now\r\n".into(),
            "body-urls-rewritten",
        ),
        (
            "relaxed/relaxed",
            "<p>a</p>\r\n".into(),
            "<p>a</p><img src=\"https://t.example/1.gif\" width=\"1\" height=\"1\">\r\n".into(),
            "body-tracking-inserted",
        ),
    ] {
        let said = changed_under(canon, &mail(PLAIN, &before), &mail(PLAIN, &after));
        said.leads(cause, "certain").never(&["body-changed-unattributed"]);
        assert_eq!(changes(&said).len(), 1, "{before:?} {:?}", said.causes());
    }
}

#[test]
fn encodings() {
    let eight = format!("{PLAIN}Content-Transfer-Encoding: 8bit\r\n");
    let text = "Guten Tag, Herr Müller,\r\ndie Rechnung über 10 € = zwölf Zeilen, die so lang sind, dass sie nicht in eine Zeile passen\r\n";
    let quoted = "Guten Tag, Herr M=C3=BCller,\r\ndie Rechnung =C3=BCber 10 =E2=82=AC =3D zw=C3=B6lf Zeilen, die so lang =\r\nsind, dass sie nicht in eine Zeile passen\r\n";
    // Content-Transfer-Encoding is signed too, and says what was done: the conversion leads.
    let after =
        with(&mail(&eight, quoted), "Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: quoted-printable");
    let said = changed(&mail(&eight, text), &after);
    said.leads("body-transfer-encoding-converted", "certain");
    assert_eq!(said.finding("header-mime-rewritten")["severity"], "note");
    // Without a conversion the field is the change.
    let after = with(&mail(&eight, "Hello\r\n"), "8bit", "quoted-printable");
    changed(&mail(&eight, "Hello\r\n"), &after).leads("header-mime-rewritten", "certain");
    // The other way, by an encoder of the usual kind.
    let quoted = "M=C3=BCller =3D =C3=BC\r\n";
    let coded = format!("{PLAIN}Content-Transfer-Encoding: quoted-printable\r\n");
    let after = with(&mail(&coded, "Müller = ü\r\n"), "quoted-printable", "8bit");
    changed(&mail(&coded, quoted), &after).finding("body-transfer-encoding-converted");
    // In a multipart the encoding stands in the body.
    let part = TWO.replace("utf-8\r\n\r\nHello", "utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHellö");
    let after =
        TWO.replace("utf-8\r\n\r\nHello", "utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHell=C3=B6");
    changed(&mail(MIXED, &part), &mail(MIXED, &after)).leads("body-transfer-encoding-converted", "certain");
}

#[test]
fn one_place_among_many() {
    for (before, after, cause) in [
        ("one\rtwo\r\nthree\r\n", "one\r\ntwo\r\nthree\r\n", "body-line-endings-changed"),
        ("one\ntwo\r\nthree\r\n", "one\r\ntwo\r\nthree\r\n", "body-line-endings-changed"),
        ("some words\rand others\r\n", "some words and others\r\n", "body-line-endings-changed"),
        ("one\r\n.two\r\n", "one\r\ntwo\r\n", "body-dot-changed"),
    ] {
        changed(&mail(PLAIN, before), &mail(PLAIN, after)).leads(cause, "certain");
    }
}

#[test]
fn charsets() {
    let fields = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let before =
        [&mail(fields, "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nM")[..], b"\xfcller\r\n--b--\r\n"]
            .concat();
    let after = mail(fields, "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nMüller\r\n--b--\r\n");
    changed(&before, &after).leads("body-charset-converted", "certain");
    // A body that is no multipart: its charset stands in the header, signed or not.
    let head = "Content-Type: text/plain; charset=euc-kr\r\n";
    let before = [&mail(head, "")[..], b"\xbe\xc8\xb3\xe7\xc7\xcf\xbc\xbc\xbf\xe4\r\n"].concat();
    let after = mail("Content-Type: text/plain; charset=utf-8\r\n", "안녕하세요\r\n");
    let said = changed(&before, &after);
    said.leads("body-charset-converted", "certain");
    said.finding("header-mime-rewritten");
    // In seven bits, its announcement on a line of its own or not.
    for end in ["\r\n", ""] {
        let seven = format!("\x1b$)C{end}\x0e>H3gGO<<?d\x0f\r\n");
        let before = mail("Content-Type: text/plain; charset=iso-2022-kr\r\n", &seven);
        changed(&before, &after).leads("body-charset-converted", "certain");
    }
}

#[test]
fn what_cannot_be_undone_is_likely_at_most() {
    let before = mail(MIXED, TWO);
    let cut = TWO.split("</p>").next().expect("a start").to_owned();
    changed(&before, &mail(MIXED, &cut)).leads("body-truncated", "likely");
    let notice = "--b1\r\nContent-Type: text/plain\r\n\r\nThe attachment invoice.exe was removed by the virus filter.\r\n--b1--\r\n";
    changed(&before, &mail(MIXED, notice)).leads("body-attachment-removed", "likely");
    let notice = notice.replace("The attachment invoice.exe was removed", "This file has been quarantined");
    changed(&before, &mail(MIXED, &notice)).leads("body-attachment-removed", "likely");
}

#[test]
fn nothing_is_guessed() {
    for (before, after) in [
        ("Hello Ann,\r\nthe sum is 10\r\n", "Hello Ann,\r\nthe sum is 11\r\n"),
        // It looks like a footer, but the text before it changed as well.
        ("Hello Ann,\r\nbye\r\n", "Hello Anne,\r\nbye\r\n-- \r\nScanned by a scanner\r\n"),
        (
            "see https://example.com/\r\nand a\r\n",
            "see https://x.safelinks.protection.outlook.com/?url=https%3A%2F%2Fother.example%2F\r\nhttps://b.example\r\n",
        ),
    ] {
        let said = changed(&mail(PLAIN, before), &mail(PLAIN, after));
        said.leads("body-changed-unattributed", "certain");
        assert_eq!(changes(&said).len(), 1, "{:?}", said.causes());
        let finding = said.finding("body-changed-unattributed");
        let evidence = finding["evidence"].as_array().expect("evidence");
        assert!(evidence.iter().any(|item| item["label"] == "searched"), "{finding:#}");
    }
}

#[test]
fn an_intact_body_is_never_blamed() {
    let before = mail(PLAIN, "Hello\r\n-- \r\nme\r\n");
    // Relaxed ignores blanks at the end, and so does the diagnosis.
    changed(&before, &mail(PLAIN, "Hello \r\n--\r\nme\r\n\r\n")).healthy();
}

#[test]
fn links_in_html() {
    let page = |link: &str| format!("<html><body>\r\n<p>pay <a href=\"{link}\">here</a></p>\r\n</body></html>\r\n");
    let html = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n";
    let wrapped = "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com%2Fpay%3Fid%3D7%26m%3D11&amp;data=05&amp;reserved=0";
    for (before, after) in [
        // An ampersand is an entity in HTML, in the link that was wrapped too.
        ("https://example.com/pay?id=7&amp;m=11", wrapped.to_owned()),
        ("https://example.com/pay?id=7&m=11", wrapped.to_owned()),
        // A filter that keeps the link beside the wrapped one.
        (
            "https://example.com/pay?id=7&amp;m=11",
            format!(
                "{wrapped}\" originalsrc=\"https://example.com/pay?id=7&amp;m=11\" shash=\"abc=\" data-auth=\"NotApplicable"
            ),
        ),
        ("https://example.com/pay", "https://secure-web.cisco.com/1aB/https%3A%2F%2Fexample.com%2Fpay".to_owned()),
        (
            "https://example.com/pay",
            "https://eu-west-1.protection.sophos.com?d=example.com&amp;u=aHR0cHM6Ly9leGFtcGxlLmNvbS9wYXk=&amp;i=x"
                .to_owned(),
        ),
    ] {
        let said = changed(&mail(html, &page(before)), &mail(html, &page(&after)));
        said.leads("body-urls-rewritten", "certain");
        assert!(said.findings()[0]["evidence"].to_string().contains(before), "{:#}", said.report);
    }
}

#[test]
fn a_picture_that_is_not_shown() {
    let html = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n";
    let before = "<html><body>\r\n<p>Hello</p>\r\n</body></html>\r\n";
    let hidden = before.replace("</body>", "<img src=\"https://t.example/1\" style=\"display:none\"></body>");
    changed(&mail(html, before), &mail(html, &hidden)).leads("body-tracking-inserted", "certain");
    // With something to read beside it, it is what can be read.
    let footer =
        before.replace("</body>", "<p>Unsubscribe</p><img src=\"https://t.example/1\" width=1 height=1></body>");
    changed(&mail(html, before), &mail(html, &footer)).leads("body-footer-appended", "certain");
}

#[test]
fn many_dots() {
    let text = |dot: &str| {
        let line = |at| format!("{}line {at} of the text\r\n", if [3, 9, 17, 24, 33].contains(&at) { dot } else { "" });
        (0..39).map(line).collect::<String>()
    };
    let said = changed(&mail(PLAIN, &text(".")), &mail(PLAIN, &text("")));
    said.leads("body-dot-changed", "certain");
    assert!(said.findings()[0]["claim"].as_str().expect("a claim").starts_with("in 5 places"), "{:#}", said.report);
}

#[test]
fn several_stray_ends_of_a_long_text() {
    let before = "Dear Ann,\r\nplease find the\rinvoice for\rNovember below.\r\nThe amount is 120.00\rand it is due in 14 \
                  days.\r\n\r\nKind regards,\r\nBilling Desk\r\n";
    for after in ["\r\n", " "] {
        let after = before.replace("\r\n", "\n").replace('\r', after).replace("\r\n", "\n").replace('\n', "\r\n");
        let said = changed(&mail(PLAIN, before), &mail(PLAIN, &after));
        said.leads("body-line-endings-changed", "certain");
        assert!(said.findings()[0]["claim"].as_str().expect("a claim").starts_with("in 3 places"), "{:#}", said.report);
    }
}

#[test]
fn a_footer_of_a_message_without_text() {
    let said = changed(&mail(PLAIN, ""), &mail(PLAIN, "-- \r\nScanned by a scanner\r\n"));
    said.leads("body-footer-appended", "certain").never(&["signer-hashed-empty-body"]);
    // What nothing tells from a text is one that the signer did not read.
    changed(&mail(PLAIN, ""), &mail(PLAIN, "Hello,\r\nthe end\r\n")).leads("signer-hashed-empty-body", "certain");
}
