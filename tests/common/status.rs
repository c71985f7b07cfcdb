//! A milter with metrics and status page, mail through it as an MTA hands it over, and a client that asks the page.

use super::{
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    nsd::Nsd,
    waxseal::{Home, Waxseal},
};
use indymilter_test::{MacroStage, SocketInfo, Status as Reply, TestConnection};
use std::{
    ffi::CString,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};
use waxseal::dkim::KeyType;

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";

/// A client that is not ours.
pub const STRANGER: &str = "192.0.2.7";
/// One that is.
pub const OURS: &str = "127.0.0.1";

/// The milter, and the name server that it asks.
pub struct Watched {
    pub waxseal: Waxseal,
    pub nsd: Nsd,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub header: String,
    pub body: String,
}

impl Watched {
    /// A milter for ours.example and other.example, with `lines` in its settings. The key of ours.example is published,
    /// that of other.example is not; sound.example, broken.example and split.example are strangers.
    #[track_caller]
    pub fn start(lines: &str) -> Watched {
        Watched::start_in(Home::new(), lines)
    }

    /// The same, in a home that may have a history.
    #[track_caller]
    pub fn start_in(home: Home, lines: &str) -> Watched {
        let key = home.key(KeyType::Rsa, "mail2026");
        home.key(KeyType::Rsa, "next");
        let record = RSA_2048.record();
        let (one, two) = record.split_at(255);
        let zone = Zone::default()
            .line(SOA)
            .txt("mail2026._domainkey.ours.example", &key.record)
            .txt("sound.example", "v=spf1 ip4:192.0.2.0/24 -all")
            .txt("sel._domainkey.sound.example", &record)
            .txt("sel._domainkey.other-key.example", &OTHER_2048.record())
            .txt("sel._domainkey.split.example", one)
            .txt("sel._domainkey.split.example", two);
        let nsd = Nsd::start(&[("example", zone.text())]);
        home.settings(&format!(
            "watch.enabled = true\nhttp.listen = \"127.0.0.1:0\"\nverify.resolver = \"{}\"\nverify.authserv_id = \"mx.ours.example\"\n{lines}\n\
             [[listener]]\nsocket = \"inet:127.0.0.1:0\"\n\
             [domains.\"ours.example\"]\nselector = \"mail2026\"\nkey = \"keys/mail2026.pem\"\n\
             [domains.\"other.example\"]\nselector = \"next\"\nkey = \"keys/next.pem\"\n",
            nsd.address()
        ));
        Watched { waxseal: Waxseal::start(home), nsd }
    }

    /// Where metrics and page are.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let lines = self.waxseal.log();
        let said = lines.iter().rev().find_map(|line| {
            line["message"].as_str()?.strip_prefix("metrics and status page on http://")?.strip_suffix('/')
        });
        said.expect("it says where").parse().expect("an address")
    }

    /// Asks for a page.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        ask(self.address(), &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// The value of one metric, its labels written as in the text.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").body;
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {series} in:\n{text}")).parse().expect("a number")
    }

    /// Hands over one message as an MTA does.
    pub async fn send(&self, queue_id: &str, client: &str, mail_from: &str, mail: &[u8]) {
        let address = self.waxseal.socket();
        let address = address.strip_prefix("inet:").expect("an address").to_owned();
        let mut milter =
            TestConnection::configure().exact_leading_space(true).open_tcp(address).await.expect("it listens");
        let ip: IpAddr = client.parse().expect("an address");
        milter.connect("client.example", SocketInfo::Inet((ip, 25).into())).await.expect("an answer");
        milter.helo("client.example").await.expect("an answer");
        milter.mail([c_string(mail_from.as_bytes())]).await.expect("an answer");
        milter.rcpt(["<bob@ours.example>"]).await.expect("an answer");
        let (header, body) = split(mail);
        for (name, value) in fields(header) {
            milter.header(c_string(&name), c_string(&value)).await.expect("an answer");
        }
        milter.macros(MacroStage::Eoh, [("i", queue_id)]).await.expect("macros");
        if milter.eoh().await.expect("an answer") == Reply::Continue {
            milter.body(body.to_vec()).await.expect("an answer");
            milter.macros(MacroStage::Eom, [("i", queue_id)]).await.expect("macros");
            milter.eom().await.expect("an answer");
        }
        milter.close().await.expect("closed");
    }
}

/// A message of an author.
pub fn mail(from: &str) -> String {
    format!(
        "From: {from}\r\nTo: bob@ours.example\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
         Message-ID: <1@{}>\r\n\r\nbody\r\n",
        from.rsplit('@').next().unwrap_or_default()
    )
}

/// The same, signed by its domain under `sel`.
pub fn signed(from: &str) -> Vec<u8> {
    Signer::new(&RSA_2048, from.rsplit('@').next().unwrap_or_default()).sign(mail(from).as_bytes())
}

/// Sends a request as it stands and reads the answer to its end.
#[track_caller]
pub fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    stream.write_all(request.as_bytes()).expect("it reads");
    let (mut bytes, mut piece) = (Vec::new(), [0; 65536]);
    while !is_whole(&bytes) {
        match stream.read(&mut piece).expect("it answers") {
            0 => break,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (header, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = header.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.expect("a status"), header: header.to_ascii_lowercase(), body: body.to_owned() }
}

/// Is an answer there to its end, as far as its Content-Length tells?
fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let header = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = header.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= end + 4 + length)
}

fn split(mail: &[u8]) -> (&[u8], &[u8]) {
    let end = mail.windows(4).position(|four| four == b"\r\n\r\n").expect("an empty line");
    (&mail[..end + 2], &mail[end + 4..])
}

/// Name and value of each field, the folds as the MTA writes them.
fn fields(header: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        match fields.last_mut() {
            Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                field.push(b'\n');
                field.extend_from_slice(line);
            }
            _ => fields.push(line.to_vec()),
        }
    }
    let parted = |field: Vec<u8>| {
        let colon = field.iter().position(|octet| *octet == b':').expect("a colon");
        (field[..colon].to_vec(), field[colon + 1..].to_vec())
    };
    fields.into_iter().map(parted).collect()
}

fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("no NUL")
}
