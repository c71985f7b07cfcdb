//! Spoofed senders: the cases of espoofer, and those of "Composition Kills" that it leaves out. None may pass DMARC.
//!
//! The attacker owns attack.com and its client 203.0.113.66; both SPF and DKIM pass there, so that only the look at the
//! right domain keeps the message from passing.

mod common;

use common::{
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    table::{Row, run},
};

const CLIENT: &str = "203.0.113.66";

fn zone() -> Zone {
    Zone::default()
        .txt("legitimate.com", "v=spf1 ip4:198.51.100.1 -all")
        .txt("_dmarc.legitimate.com", "v=DMARC1; p=reject")
        .txt("sel._domainkey.legitimate.com", &RSA_2048.record())
        .txt("attack.com", "v=spf1 ip4:203.0.113.66 -all")
        .txt("any.attack.com", "v=spf1 ip4:203.0.113.66 -all")
        .txt("a.attack.com", "v=spf1 ip4:203.0.113.66 -all")
        .txt("sel._domainkey.attack.com", &OTHER_2048.record())
}

/// A message with these fields, which must hold From or what stands in for it.
fn mail(fields: &str) -> Vec<u8> {
    format!(
        "{fields}\r\nTo: <victim@victim.com>\r\nSubject: Urgent\r\nDate: Mon, 23 Nov 2026 03:59:00 +0000\r\n\
         Message-ID: <1@attack.com>\r\n\r\nSend it now.\r\n"
    )
    .into_bytes()
}

/// Signed by the attacker for his own domain, which passes.
fn signed(fields: &str) -> Vec<u8> {
    Signer::new(&OTHER_2048, "attack.com").sign(&mail(fields))
}

/// A row that must never authenticate.
fn spoof(id: &str, message: Vec<u8>, helo: &str, mail_from: &str) -> Row {
    Row::new(id, message, &zone())
        .from(CLIENT, helo, mail_from)
        .want("/authenticates", "false")
        .want("/dmarc/result", "fail|permerror")
        .want("/dmarc/dkim_aligned", "false")
        .want("/dmarc/spf_aligned", "false")
        .want("status", "1")
}

const LEGIT: &str = "From: <admin@legitimate.com>";

#[test]
fn the_envelope_lies() {
    let from = |id, mail_from| spoof(id, mail(LEGIT), "attack.com", mail_from).want("/dmarc/result", "fail");
    run(vec![
        from("ES-01", "any@mailfrom.notexist.legitimate.com")
            .want("/spf/result", "none")
            .want("/spf/scope", "mfrom")
            .want("/spf/domain", "mailfrom.notexist.legitimate.com")
            .want("/spf/helo/result", "pass")
            .want("/authentication_results", "~spf=pass smtp.helo=attack.com"),
        spoof("ES-01 HELO of the victim", mail(LEGIT), "legitimate.com", "any@nothing.example")
            .want("/spf/result", "none")
            .want("/spf/helo/result", "fail"),
        from("ES-02", "<(any@legitimate.com>").want("/spf/result", "none|permerror").want("/spf/scope", "mfrom"),
        from("ES-02 without brackets", "(any@legitimate.com")
            .want("/spf/result", "none|permerror")
            .want("/spf/scope", "mfrom"),
        from("ES-02 a blank", "< >").want("/spf/result", "none|permerror").want("/spf/scope", "mfrom"),
        from("ES-05", "any@legitimate.com(a.attack.com")
            .want("/spf/result", "none|permerror")
            .want("/spf/domain", "null")
            .want("/authentication_results", "!legitimate.com(a"),
        from("ES-06", "any@legitimate.com'@any.attack.com")
            .want("/spf/result", "pass")
            .want("/spf/domain", "any.attack.com")
            .want("/authentication_results", "~smtp.mailfrom=any.attack.com;"),
        from("ES-07", "<@legitimate.com,@any.com:'any@attack.com>")
            .want("/spf/domain", "attack.com")
            .want("/spf/result", "pass")
            .want("/authentication_results", "~smtp.mailfrom='any@attack.com;"),
        from("W3 the null sender", "<>").want("/spf/scope", "helo").want("/spf/domain", "attack.com"),
        from("two @ unquoted", "any@legitimate.com@attack.com").want("/spf/domain", "attack.com|null"),
        from("quoted victim", "\"any@legitimate.com\"@attack.com").want("/spf/domain", "attack.com"),
        from("quoted attacker", "\"any@attack.com\"@legitimate.com")
            .want("/spf/domain", "legitimate.com")
            .want("/spf/result", "fail"),
        from("a comma", "any@attack.com,any@legitimate.com").want("/spf/result", "none|permerror|fail"),
        from("an address literal", "any@[203.0.113.66]").want("/spf/result", "none"),
        from("a space", "any@attack.com any@legitimate.com").want("/spf/result", "none|permerror|fail"),
        from("upper case", "any@LEGITIMATE.com").want("/spf/result", "fail").want("/spf/domain", "legitimate.com"),
    ]);
}

#[test]
fn the_signature_names_what_is_no_domain() {
    let sign = |domain: &[u8], selector: &[u8]| {
        Signer::new(&OTHER_2048, "legitimate.com").set("d", domain).set("s", selector).sign(&mail(LEGIT))
    };
    let row = |id, domain: &[u8], selector: &[u8]| {
        spoof(id, sign(domain, selector), "attack.com", "any@attack.com")
            .want("/dkim/0/result", "permerror")
            .want("/dmarc/result", "fail")
            .keys(0)
    };
    run(vec![
        row("ES-03", b"legitimate.com", b"attack.com.\0.any"),
        row("ES-03 behind the key", b"legitimate.com", b"sel._domainkey.attack.com.\0"),
        row("ES-03 escaped", b"legitimate.com", b"sel._domainkey.attack.com\\000"),
        row("ES-04", b"legitimate.com'a.attack.com", b"sel"),
        row("ES-04 double quote", b"legitimate.com\"a.attack.com", b"sel"),
        row("ES-04 parenthesis", b"legitimate.com(a.attack.com", b"sel"),
        row("a blank", b"legitimate.com .attack.com", b"sel"),
        row("a fold", b"legitimate\r\n .com", b"sel"),
        row("two dots", b"legitimate..com", b"sel"),
        row("a slash", b"legitimate.com/attack.com", b"sel"),
        row("no UTF-8", b"legitimate.com\xff", b"sel"),
        row("a full stop that is none", "legitimate.com\u{200b}".as_bytes(), b"sel\0"),
        row("invisible at the end", "legitimate.com\u{200b}".as_bytes(), b"sel"),
        row("invisible within", "legit\u{2060}imate.com".as_bytes(), b"sel"),
        row("invisible in front", "\u{feff}legitimate.com".as_bytes(), b"sel"),
        row("a soft hyphen", "legit\u{ad}imate.com".as_bytes(), b"sel"),
        row("full-width", "ｌegitimate.com".as_bytes(), b"sel"),
        row("another full stop", "legitimate。com".as_bytes(), b"sel"),
        row("invisible in the selector", b"legitimate.com", "s\u{200b}el".as_bytes()),
    ]);
}

#[test]
fn the_author_is_not_one() {
    // What must be said of each, and what must not: it is never taken for the attacker's own mail.
    let row = |id: &str, fields: &str| {
        let message = signed(fields);
        spoof(id, message, "attack.com", "any@attack.com").want("/dmarc/domain", "null").want("/dmarc/policy", "none")
    };
    let both = "~attack.com legitimate.com|~legitimate.com attack.com";
    let several = |id: &str, fields: &str| {
        row(id, fields).want("/dmarc/result", "permerror").want("/authentication_results", "~From fields|~several")
    };
    run(vec![
        several("ES-08", "From: <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
        several("ES-08 the other way", "From: <admin@legitimate.com>\r\nFrom: <any@attack.com>"),
        several("ES-10", "From : <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
        several("ES-10 below", "From: <any@attack.com>\r\nFrom : <admin@legitimate.com>"),
        several("ES-11", "From\r\n : <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
        several("ES-11 below", "From: <any@attack.com>\r\nFrom\r\n : <admin@legitimate.com>"),
        several("a tab", "From\t: <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
        several("a control character", "From\x08: <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
        several("a NUL", "From\0: <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
        several("case", "FROM: <any@attack.com>\r\nfrom: <admin@legitimate.com>"),
        row("ES-12", "From: <admin@legitimate.com\r\nSender: <any@attack.com>").want("/dmarc/result", "permerror"),
        row("ES-12 no address", "From: admin\r\nSender: <any@attack.com>").want("/dmarc/result", "permerror"),
        row("ES-12 empty", "From:\r\nSender: <any@attack.com>").want("/dmarc/result", "permerror"),
        row("ES-13", "From: admin@\r\nResent-From: <any@attack.com>").want("/dmarc/result", "permerror"),
        row("ES-14", "From: <any@attack.com>, <admin@legitimate.com>")
            .want("/dmarc/result", "permerror")
            .want("/dmarc/reason", both),
        row("ES-14 the other way", "From: <admin@legitimate.com>, <any@attack.com>")
            .want("/dmarc/result", "permerror")
            .want("/dmarc/reason", both),
        row("ES-15", "From: =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuY29tPg==?= <any@attack.com>\r\nFrom: x")
            .want("/dmarc/result", "permerror"),
        row("ES-15 alone", "From: =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuY29tPg==?=").want("/dmarc/result", "permerror"),
        row("ES-15 in the address", "From: =?utf-8?B?YWRtaW5AbGVnaXRpbWF0ZS5jb20=?=@attack.com")
            .want("/dmarc/result", "permerror"),
        row("ES-15 before a comma", "From: =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuY29tPiwg?=, <any@attack.com>")
            .want("/dmarc/result", "permerror"),
        row("ES-17", "From: <admin@legitimate.com>\\,<any@attack.com>").want("/dmarc/result", "permerror"),
        row("ES-18", "From: admin@legitimate.com,<any@attack.com>")
            .want("/dmarc/result", "permerror")
            .want("/dmarc/reason", both),
        row("ES-19", "From: <any@attack.com>admin@legitimate.com").want("/dmarc/result", "permerror"),
        row("B1 invisible", "From: <admin@legitimate.com\u{2000}>").want("/dmarc/result", "permerror"),
        row("B1 zero width", "From: <admin@legit\u{200b}imate.com>").want("/dmarc/result", "permerror"),
        row("B1 soft hyphen", "From: <admin@legitimate\u{ad}.com>").want("/dmarc/result", "permerror"),
        row("B1 full-width", "From: <admin@ｌegitimate.com>").want("/dmarc/result", "permerror"),
        row("B1 a dot of another script", "From: <admin@legitimate。com>").want("/dmarc/result", "permerror"),
        row("A7 behind a bare CR", "From: <any@attack.com>\r\nX: y\rFrom: <admin@legitimate.com>")
            .want("/dmarc/result", "permerror"),
        row("A7 behind a bare LF", "From: <any@attack.com>\r\nX: y\nFrom: <admin@legitimate.com>")
            .want("/dmarc/result", "permerror"),
        row("A7 folded and alone", "From\r\n : <any@attack.com>").want("/dmarc/result", "permerror"),
        row("B1 joiner", "From: <admin@legitimate.com\u{200d}>").want("/dmarc/result", "permerror"),
        row("B2", "From: =?utf-8?B?YWRtaW5AbGVnaXRpbWF0ZS5jb20=?=").want("/dmarc/result", "permerror"),
        row("B3", "Sender: <any@attack.com>").want("/dmarc/result", "permerror"),
        row("W13 a comma first", "From: ,<any@attack.com>").want("/dmarc/result", "permerror"),
        row("an encoded quote", "From: \"a\" <admin@legitimate.com>\0 <any@attack.com>")
            .want("/dmarc/result", "permerror"),
        row("a group", "From: x: <any@attack.com>;").want("/dmarc/result", "permerror"),
        row("a domain literal", "From: <admin@[203.0.113.66]>").want("/dmarc/result", "permerror"),
        row("CVE-2019-16378", "From: a@attack.com, b").want("/dmarc/result", "permerror"),
    ]);
}

#[test]
fn the_author_is_the_one_that_people_see() {
    // The leading blank of ES-09 stands on the first line of all, above which there is nothing to continue.
    let es09 = [b" ".as_slice(), &mail("From: <any@attack.com>\r\nFrom: <admin@legitimate.com>")].concat();
    let es16 =
        spoof("ES-16", signed("From: <@attack.com,@any.com:admin@legitimate.com>"), "attack.com", "any@attack.com");
    run(vec![
        spoof("ES-09", es09, "attack.com", "any@attack.com").want("/dmarc/result", "permerror"),
        spoof(
            "ES-09 below a signature",
            signed(" From: <any@attack.com>\r\nFrom: <admin@legitimate.com>"),
            "attack.com",
            "any@attack.com",
        )
        .want("/dmarc/domain", "legitimate.com|null"),
        es16.want("/dmarc/domain", "legitimate.com|null"),
        spoof(
            "a name that is an address",
            signed("From: \"any@attack.com\" <admin@legitimate.com>"),
            "attack.com",
            "any@attack.com",
        )
        .want("/dmarc/domain", "legitimate.com")
        .want("/dmarc/result", "fail"),
        spoof(
            "a comment that is one",
            signed("From: admin@legitimate.com (any@attack.com)"),
            "attack.com",
            "any@attack.com",
        )
        .want("/dmarc/domain", "legitimate.com|null"),
        spoof(
            "a quoted local part",
            signed("From: \"any@attack.com,\"@legitimate.com"),
            "attack.com",
            "any@attack.com",
        )
        .want("/dmarc/domain", "legitimate.com|null"),
        // Legal: the name is encoded, the address is plain.
        Row::new("an encoded name", signed("From: =?utf-8?B?YWRtaW5AbGVnaXRpbWF0ZS5jb20=?= <any@attack.com>"), &zone())
            .from(CLIENT, "attack.com", "any@attack.com")
            .want("/dmarc/domain", "attack.com")
            .want("/authenticates", "true"),
    ]);
}

/// What an honest signature still covers, and what it never did.
#[test]
fn a_signature_is_used_again() {
    let honest = mail("From: <admin@legitimate.com>");
    let signer = Signer::new(&RSA_2048, "legitimate.com");
    let oversigned = signer.clone().set("h", "from:from:to:to:subject:subject:date:date").sign(&honest);
    let with = |mail: &[u8], top: &str| [top.as_bytes(), mail].concat();
    let row = |id, mail| Row::new(id, mail, &zone()).from(CLIENT, "attack.com", "any@attack.com");
    let unsigned_subject = signer.clone().set("h", "from").sign(&honest);
    let changed = String::from_utf8(unsigned_subject).expect("text").replace("Urgent", "Pay here").into_bytes();
    run(vec![
        row("as it was", oversigned.clone())
            .want("/dkim/0/result", "pass")
            .want("/dmarc/result", "pass")
            .want("/dkim/0/uncovered/0", "nothing")
            .want("/authentication_results", "~dkim=pass header.d="),
        row("A18 a From on top", with(&oversigned, "From: <any@attack.com>\r\n"))
            .want("/dkim/0/result", "fail")
            .want("/dmarc/result", "permerror"),
        row("A18 not oversigned", with(&signer.sign(&honest), "From: <any@attack.com>\r\n"))
            .want("/dkim/0/result", "pass|fail")
            .want("/dmarc/result", "permerror")
            .want("/authenticates", "false")
            .want("status", "1"),
        row("A15 a Subject on top", with(&oversigned, "Subject: other\r\n"))
            .want("/dkim/0/result", "fail")
            .want("/dmarc/result", "fail"),
        // Nobody signed the Subject: that is the signer's doing, and the signature holds. But it is said.
        row("A14 an unsigned field", changed)
            .want("/dkim/0/result", "pass")
            .want("/dkim/0/uncovered/0", "Subject")
            .want("/dkim/0/uncovered/2", "Date")
            .want("/authentication_results", "~dkim=pass (not covered: Subject, To, Date) header.d="),
        row("A15 not oversigned", with(&signer.sign(&honest), "To: other@attack.com\r\nContent-Type: text/html\r\n"))
            .want("/dkim/0/result", "pass")
            .want("/authentication_results", "~dkim=pass (not covered: To, Content-Type) header.d="),
        row(
            "A16 more behind l=",
            with(&signer.clone().set("l", "14").sign(&honest), "").tap(|mail| mail.extend(b"<b>no</b>")),
        )
        .want("/dkim/0/result", "policy")
        .want("/dmarc/result", "fail"),
        row("REPLAY", with(&oversigned, "Received: from x by y\r\n")).want("/dkim/0/result", "pass"),
    ]);
}

/// Names that do not exist, and names that look alike.
#[test]
fn names_that_are_not_the_victims() {
    let policy = zone()
        .txt("_dmarc.np.com", "v=DMARC1; p=none; sp=quarantine; np=reject")
        .line("here.np.com. 300 IN A 192.0.2.1");
    let row = |id, fields: &str| {
        Row::new(id, signed(fields), &policy)
            .from(CLIENT, "attack.com", "any@attack.com")
            .want("/authenticates", "false")
    };
    run(vec![
        row("W8 no such subdomain", "From: <admin@nowhere.legitimate.com>")
            .want("/dmarc/result", "fail")
            .want("/dmarc/policy", "reject"),
        row("W8 np=", "From: <admin@nowhere.np.com>").want("/dmarc/result", "fail").want("/dmarc/policy", "reject"),
        row("W8 sp=", "From: <admin@here.np.com>").want("/dmarc/result", "fail").want("/dmarc/policy", "quarantine"),
        row("W12 homograph", "From: <admin@legitim\u{430}te.com>").want("/dmarc/domain", "~xn--"),
        row("W14 right to left", "From: <admin@legitimate.com\u{202e}>").want("/dmarc/result", "permerror"),
        row("W10 signed by another", "From: <admin@legitimate.com>")
            .want("/dkim/0/result", "pass")
            .want("/dkim/0/aligned", "false")
            .want("/dmarc/result", "fail"),
    ]);
}

/// Changes a value in passing.
trait Tap: Sized {
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Tap for Vec<u8> {}
