//! Messages changed by programs that change mail: Postfix, altermime, Python's mailbox and email packages, and sed.

mod common;

use common::{
    change::{changed, changed_with, mail, signer, zone},
    forge::{RSA_2048, Signer},
    postfix::{Options, Postfix},
    scene::{Said, verify},
    sink::Sink,
    smtp::Envelope,
};
use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

const EIGHT: &str =
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";

/// What a program makes of the message on its standard input.
#[track_caller]
fn through(program: &str, arguments: &[&str], mail: &[u8]) -> Vec<u8> {
    let mut command = Command::new(common::program(program));
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(mail).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

fn python(script: &str, mail: &[u8]) -> Vec<u8> {
    through("/usr/bin/python3", &["-c", script], mail)
}

#[test]
fn an_mbox_file() {
    let script = r#"
import mailbox, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    box = mailbox.mbox(folder + "/box")
    box.add(sys.stdin.buffer.read().replace(b"\r\n", b"\n"))
    box.flush()
    raw = open(folder + "/box", "rb").read()
sys.stdout.buffer.write(raw.partition(b"\n")[2].replace(b"\n", b"\r\n"))
"#;
    let before = mail(EIGHT, "Hello,\r\nFrom now on it is 10.\r\nthe end\r\n");
    changed(&before, &python(script, &before)).leads("body-from-escaped", "certain");
}

#[test]
fn seven_bits() {
    let script = r#"
import email, email.policy, sys
message = email.message_from_bytes(sys.stdin.buffer.read())
policy = email.policy.compat32.clone(cte_type="7bit", linesep="\r\n", max_line_length=0)
sys.stdout.buffer.write(message.as_bytes(policy=policy))
"#;
    let signer = signer(&RSA_2048).set("h", "from:to:subject:date");
    let before = mail(EIGHT, "Grüße aus Köln,\r\nund eine zweite Zeile\r\n");
    let after = python(script, &before);
    changed_with(&signer, &RSA_2048, &before, &after).leads("body-transfer-encoding-converted", "certain");
    // In a multipart Python writes charset= anew as well.
    let part = "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n\r\n--b--\r\n";
    let before = mail("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n", part);
    let after = python(script, &before);
    changed(&before, &after).leads("body-transfer-encoding-converted", "certain");
}

#[test]
fn encoded_words_written_anew() {
    let script = r#"
import email, email.policy, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP)
text = str(message["Subject"])
del message["Subject"]
message["Subject"] = text
sys.stdout.buffer.write(message.as_bytes(policy=email.policy.SMTP))
"#;
    let before = String::from_utf8(mail(EIGHT, "Hello\r\n")).expect("text");
    let before = before.replace("an invoice", "=?UTF-8?B?UmVjaG51bmcgZsO8ciBNYWk=?=").into_bytes();
    changed(&before, &python(script, &before)).leads("header-subject-reencoded", "certain");
}

#[test]
fn tags_and_footers_by_sed() {
    let before = mail(EIGHT, "Hello,\r\nthe end\r\n");
    let after = through("/usr/bin/sed", &["-e", "s/^Subject: /&[EXTERNAL] /", "-e", "$a-- \\r\\nscanned\\r"], &before);
    let said = changed(&before, &after);
    said.leads("header-subject-tagged", "certain");
    assert_eq!(said.finding("body-footer-appended")["confidence"], "certain");
}

/// What a private Postfix makes of the message on its way to a server.
fn through_postfix(settings: &[(&str, &str)], mail: &[u8]) -> Vec<u8> {
    let sink = Sink::start();
    let options = Options::new(sink.address(), "");
    let options = settings.iter().fold(options, |options, (name, value)| options.with(name, value));
    let postfix = Postfix::start(&options);
    let envelope = Envelope { mail_from: "billing@example.com", rcpt_to: vec!["a@example.net"], utf8: false };
    let reply = postfix.client().send(&envelope, mail).expect("a reply");
    assert_eq!(reply.code, 250, "{reply:?}\n{}", postfix.log());
    let arrived = sink.wait_for(1, Duration::from_secs(60));
    arrived[0].bytes.clone()
}

/// What is said of a message that was signed and then went through Postfix.
fn delivered(signer: &Signer<'_>, settings: &[(&str, &str)], before: &[u8]) -> Said {
    let copy = through_postfix(settings, &[signer.field(before), before.to_vec()].concat());
    verify(&copy, &zone(&RSA_2048), &[])
}

#[test]
fn lines_broken_by_postfix() {
    let limit = [("smtp_line_length_limit", "998")];
    let body = format!("short\r\n{}the end\r\n<td>{}</td>\r\n", "word ".repeat(500), "x".repeat(1500));
    let said = delivered(&signer(&RSA_2048), &limit, &mail(EIGHT, &body));
    said.leads("body-long-lines-wrapped", "certain");
    // Behind Postfix a list may still add its own.
    let signed = [signer(&RSA_2048).field(&mail(EIGHT, &body)), mail(EIGHT, &body)].concat();
    let copy = [through_postfix(&limit, &signed), b"-- \r\nscanned\r\n".to_vec()].concat();
    let said = verify(&copy, &zone(&RSA_2048), &[]);
    said.leads("body-footer-appended", "certain");
    assert_eq!(said.finding("body-long-lines-wrapped")["confidence"], "certain");
}

#[test]
fn eight_bits_converted_by_postfix() {
    // A server that announces SMTPUTF8 takes eight bits too.
    let seven = [("smtp_discard_ehlo_keywords", "8bitmime, smtputf8")];
    let text = "Grüße aus Köln, \r\nmit einer Zeile, die länger ist als die sechsundsiebzig Zeichen einer Zeile = so lang.\r\n.\r\n";
    let said = delivered(&signer(&RSA_2048), &seven, &mail(EIGHT, text));
    said.leads("body-transfer-encoding-converted", "certain");
    let part = |kind: &str, text: &str| {
        format!("--b\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n")
    };
    let parts = format!("{}{}--b--\r\n", part("plain", text), part("html", "<p>Grüße</p>\r\n"));
    let fields = "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n";
    delivered(&signer(&RSA_2048), &seven, &mail(fields, &parts)).leads("body-transfer-encoding-converted", "certain");
}

#[test]
fn disclaimers_by_altermime() {
    let disclaim = |before: &[u8]| {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, text) = (folder.path().join("mail"), folder.path().join("text"));
        std::fs::write(&file, before).expect("written");
        std::fs::write(&text, "\r\n-- \r\nThis message is confidential.\r\n").expect("written");
        let arguments = [format!("--input={}", file.display()), format!("--disclaimer={}", text.display())];
        let output = Command::new(common::program("/usr/bin/altermime")).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let after = std::fs::read(&file).expect("it can be read");
        assert_ne!(after, before, "nothing was added");
        after
    };
    let seven =
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n";
    let before = mail(seven, "Hello,\r\nthe end\r\n");
    changed(&before, &disclaim(&before)).leads("body-footer-appended", "certain");
    let parts = "--b\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\n\r\n\
                 --b\r\nContent-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
                 <html><body>\r\n<p>Hello</p>\r\n</body></html>\r\n\r\n--b--\r\n";
    let before = mail("MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n", parts);
    changed(&before, &disclaim(&before)).leads("body-footer-appended", "certain");
}

#[test]
fn a_list_that_wraps() {
    // As Mailman 3 adds a footer to what is not plain text: everything moves into a part of a new multipart.
    let script = r#"
import email, email.policy, email.mime.multipart, email.mime.text, email.message, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.compat32)
inner = email.message.Message()
for name in ("Content-Type", "Content-Transfer-Encoding", "Content-Disposition"):
    if message[name]:
        inner[name] = message[name]
        del message[name]
inner.set_payload(message.get_payload())
message.set_payload(None)
message["Content-Type"] = 'multipart/mixed; boundary="===============7=="'
footer = email.mime.text.MIMEText("____\nlist@lists.example.org\n", "plain", "us-ascii")
footer["Content-Disposition"] = "inline"
message.set_payload([inner, footer])
sys.stdout.buffer.write(message.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n", max_line_length=0)))
"#;
    let fields =
        "MIME-Version: 1.0\r\nContent-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n";
    let before = mail(fields, "<p>Hello</p>\r\n<p>the end</p>\r\n");
    let said = changed(&before, &python(script, &before));
    said.leads("body-mime-wrapped", "certain").never(&["header-changed-unattributed", "body-changed-unattributed"]);
}

#[test]
fn line_ends_by_sed() {
    // A CR for each CRLF within the text, as an old Macintosh writes it, made CRLF by the next program.
    let before = mail(EIGHT, "one\rtwo\rthree\r\nthe end\r\n");
    let after = through("/usr/bin/sed", &["-e", "s/\\r\\([^\\n]\\)/\\r\\n\\1/g"], &before);
    changed(&before, &after).leads("body-line-endings-changed", "certain");
}
