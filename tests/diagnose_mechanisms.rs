//! Messages changed by programs that change mail: Python's mailbox and email packages, and sed.

mod common;

use common::{
    change::{changed, changed_with, mail, signer},
    forge::RSA_2048,
};
use std::{
    io::Write,
    process::{Command, Stdio},
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
