//! Three verifiers that are not ours: dkimpy, OpenDKIM's library and Mail::DKIM, each one long-lived process.
//!
//! They get the key records of the test and ask no DNS. `tests/tools/verify_*` say how they are talked to.

use super::{parts, program};
use std::{
    fmt,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The verifiers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verifier {
    /// dkimpy 1.1.8.
    Dkimpy,
    /// libopendkim 2.11, as in Debian 12.
    OpenDkim,
    /// Mail::DKIM 1.20230212, as in Debian 12. It knows no Ed25519.
    MailDkim,
}

/// All of them.
pub const ALL: [Verifier; 3] = [Verifier::Dkimpy, Verifier::OpenDkim, Verifier::MailDkim];

/// One signature, judged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Verdict {
    /// d=.
    pub domain: String,
    /// s=.
    pub selector: String,
    /// pass or anything else.
    pub result: String,
    /// Why not pass.
    pub reason: String,
}

/// A running verifier.
pub struct Judge {
    verifier: Verifier,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    _records: tempfile::NamedTempFile,
}

impl Judge {
    /// Starts a verifier that knows these TXT records (name and text) and no others.
    #[track_caller]
    pub fn start(verifier: Verifier, records: &[(String, String)]) -> Judge {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        for (name, text) in records {
            writeln!(file, "{name}\t{text}").expect("the records");
        }
        let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools");
        let mut command = match verifier {
            Verifier::Dkimpy => {
                let mut command = Command::new(parts().join("venv/bin/python"));
                command.arg(format!("{tools}/verify_dkimpy.py"));
                command
            }
            Verifier::OpenDkim => {
                program("/usr/sbin/opendkim");
                let mut command = Command::new(program("/usr/bin/python3"));
                command.arg(format!("{tools}/verify_opendkim.py"));
                command
            }
            Verifier::MailDkim => {
                let mut command = Command::new(program("/usr/bin/perl"));
                command.arg(format!("{tools}/verify_mail_dkim.pl"));
                command
            }
        };
        let mut child = command
            .arg(file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{verifier} does not start: {error}"));
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Judge { verifier, child, requests, answers, _records: file }
    }

    /// Starts all three.
    #[track_caller]
    pub fn all(records: &[(String, String)]) -> Vec<Judge> {
        ALL.into_iter().map(|verifier| Judge::start(verifier, records)).collect()
    }

    /// Which one it is.
    pub fn verifier(&self) -> Verifier {
        self.verifier
    }

    /// Every signature of the message, top first.
    #[track_caller]
    pub fn judge(&mut self, message: &[u8]) -> Vec<Verdict> {
        let requests = self.requests.as_mut().expect("open until dropped");
        writeln!(requests, "{}", message.len())
            .and_then(|()| requests.write_all(message))
            .and_then(|()| requests.flush())
            .unwrap_or_else(|error| panic!("{} has gone: {error}", self.verifier));
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap_or_else(|error| panic!("{} says nothing: {error}", self.verifier));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{} answered {line:?}: {error}", self.verifier))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.requests.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Verdict {
    /// Did the signature verify?
    pub fn passed(&self) -> bool {
        self.result == "pass"
    }
}

impl Verifier {
    /// Can it judge RFC 8463? Mail::DKIM of Debian 12 says "unsupported algorithm".
    pub fn knows_ed25519(self) -> bool {
        self != Verifier::MailDkim
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verifier::Dkimpy => "dkimpy",
            Verifier::OpenDkim => "OpenDKIM",
            Verifier::MailDkim => "Mail::DKIM",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}._domainkey.{}: {} {}", self.selector, self.domain, self.result, self.reason)
    }
}
