//! The receiving side: a private Postfix with Waxseal as the milter that verifies, its resolver, and the sink behind it.

use super::{
    parts,
    postfix::{Options, Postfix},
    sink::{Delivered, Sink},
    smtp::{Envelope, Reply},
    waxseal::{Home, Waxseal},
};
use std::{
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// Who the receiver is in Authentication-Results.
pub const ID: &str = "mx.receiver.example";

/// A client from outside, as XCLIENT tells it.
pub const OUTSIDE: &str = "ADDR=192.0.2.7 NAME=[UNAVAILABLE]";

const LIMIT: Duration = Duration::from_secs(60);

/// The parts; all end when it is dropped.
pub struct Receiver {
    /// Where accepted mail goes.
    pub sink: Sink,
    /// The MTA.
    pub postfix: Postfix,
    /// The milter.
    pub waxseal: Waxseal,
    resolver: SocketAddr,
}

impl Receiver {
    /// Starts one; `settings` are further lines, as for [`Receiver::set`].
    #[track_caller]
    pub fn start(resolver: SocketAddr, settings: &str) -> Receiver {
        let home = Home::new();
        home.settings(&text(resolver, settings));
        let waxseal = Waxseal::start(home);
        let sink = Sink::start();
        let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
        Receiver { sink, postfix, waxseal, resolver }
    }

    /// Reloads the milter with these lines: keys with their table, as in `verify.received_spf = true`, and for the
    /// listener `listener.observe = true`.
    #[track_caller]
    pub fn set(&self, settings: &str) {
        self.waxseal.home().settings(&text(self.resolver, settings));
        self.waxseal.reload().expect("good settings");
    }

    /// Offers a message as the client with these XCLIENT attributes.
    #[track_caller]
    pub fn offer(&self, client: &str, mail_from: &str, message: &[u8]) -> Reply {
        let mut connection = self.postfix.client();
        connection.pretend(client).expect("XCLIENT");
        let envelope = Envelope { mail_from, rcpt_to: vec!["user@receiver.example"], utf8: false };
        connection.send(&envelope, message).expect("Postfix answers")
    }

    /// Hands over a message, which must be accepted, and gives what arrives of it.
    #[track_caller]
    pub fn through(&self, client: &str, mail_from: &str, message: &[u8]) -> Arc<Delivered> {
        let reply = self.offer(client, mail_from, message);
        assert_eq!(reply.code, 250, "{reply:?}\n{}", self.postfix.log());
        let arrived = self.sink.wait_for(1, LIMIT).remove(0);
        self.sink.take();
        arrived
    }
}

fn text(resolver: SocketAddr, settings: &str) -> String {
    let (listener, others): (Vec<_>, Vec<_>) = settings.lines().partition(|line| line.starts_with("listener."));
    let others = others.join("\n");
    let listener = listener.join("\n").replace("listener.", "");
    format!(
        "verify.authserv_id = \"{ID}\"\nverify.resolver = \"{resolver}\"\n{others}\n\
         [[listener]]\nsocket = \"inet:127.0.0.1:0\"\n{listener}\n"
    )
}

/// The header fields of a message in order: name, and everything behind the colon with its folds, without the last CRLF.
pub fn fields(message: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(message);
    let header = text.split("\r\n\r\n").next().unwrap_or_default();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.split("\r\n") {
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => *value += &format!("\r\n{line}"),
            _ => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                fields.push((name.into(), value.into()));
            }
        }
    }
    fields
}

/// The values of the Authentication-Results fields, top first.
pub fn results(message: &[u8]) -> Vec<String> {
    let named = fields(message).into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("Authentication-Results"));
    named.map(|(_, value)| value).collect()
}

/// What the package `authres` reads in a value: the id, then for each result `method=result`, the reason in brackets,
/// and the properties.
#[track_caller]
pub fn read(value: &str) -> Vec<String> {
    const SCRIPT: &str = "
import sys, re, authres, authres.dmarc, authres.dkim_b, authres.arc
context = authres.FeatureContext(authres.dmarc, authres.dkim_b, authres.arc)
field = context.parse_value(re.sub('\\r?\\n', '', sys.stdin.read()))
print(field.authserv_id)
for r in field.results:
    print('%s=%s [%s]' % (r.method, r.result, r.reason or '') + ''.join(
        ' %s.%s=%s' % (p.type, p.name, p.value) for p in r.properties))
";
    let mut child = Command::new(parts().join("venv/bin/python"))
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(value.trim_start().as_bytes()).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "authres cannot read {value:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(Into::into).collect()
}
