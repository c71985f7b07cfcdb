//! A conversation with the milter: packets cut from the input, sent to a real server in this process.
//!
//! Pieces end at FE FF. Each is one packet, its kind and its payload, and gets the length that it has; a piece that
//! begins with FE is sent as it stands behind that octet, so that lengths can lie. Whatever is sent, the connection is
//! answered or ended, and the next conversation is served.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UdpSocket, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use waxseal::{config::Settings, milter::Server};

const END: &[u8] = b"\xfe\xff";
/// How long a conversation may wait for the other side; both are this process.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    static SITE: OnceCell<Site> = const { OnceCell::new() };
}

struct Site {
    folder: tempfile::TempDir,
    _server: Server,
    _names: JoinHandle<()>,
}

/// Has the conversation.
pub fn run(data: &[u8]) {
    answers(data);
    // What an MTA begins with; the answer shows that nobody else suffered.
    let answer = answers(b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff");
    assert!(answer.get(4) == Some(&b'O'), "the next connection is not served: {answer:?}");
}

/// What the milter answers in the conversation that an input describes.
pub fn answers(data: &[u8]) -> Vec<u8> {
    SITE.with(|site| {
        let socket = site.get_or_init(|| super::wait(Site::start())).socket();
        super::wait(converse(&socket, &packets(data)))
    })
}

/// The octets to send for an input.
fn packets(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = rest.windows(END.len()).position(|pair| pair == END);
        let piece = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + END.len()..]);
        match piece.split_first() {
            Some((0xfe, raw)) => out.extend_from_slice(raw),
            Some(_) => out.extend(framed(piece)),
            None => {}
        }
    }
    out
}

/// A packet with its length.
fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("inputs are short");
    [&length.to_be_bytes()[..], packet].concat()
}

/// Sends everything, ends the sending side, and gives what came back until the other side ended too.
async fn converse(socket: &Path, octets: &[u8]) -> Vec<u8> {
    let stream = UnixStream::connect(socket).await.expect("the milter listens");
    let (mut reader, mut writer) = stream.into_split();
    let mut answers = Vec::new();
    let both = async {
        tokio::join!(
            async {
                // The other side may end the connection at any octet.
                let _ = writer.write_all(octets).await;
                drop(writer);
            },
            async {
                let _ = reader.read_to_end(&mut answers).await;
            }
        )
    };
    assert!(timeout(PATIENCE, both).await.is_ok(), "the milter neither answers nor ends the connection");
    answers
}

impl Site {
    /// Signs for example.com, verifies everything else, and asks a name server that knows no names.
    async fn start() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let names = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let resolver = names.local_addr().expect("it is bound");
        let text = format!(
            "key_directory = \".\"\nstore.url = \"\"\n[verify]\nresolver = \"{resolver}\"\n\
             [[listener]]\nsocket = \"unix:{}\"\n[domains.\"example.com\"]\nselector = \"s\"\nkey = \"key.pem\"\n",
            socket_in(folder.path()).display()
        );
        let key = waxseal::key::generate(waxseal::dkim::KeyType::Rsa).expect("a key");
        key.write(&folder.path().join("key.pem")).expect("a new file");
        let settings = Settings::parse(&text, &folder.path().join("waxseal.toml"));
        let settings = settings.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let server = Server::start(settings).expect("a socket");
        Site { folder, _server: server, _names: tokio::spawn(know_nothing(names)) }
    }

    fn socket(&self) -> PathBuf {
        socket_in(self.folder.path())
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("milter")
}

/// Answers each question with NXDOMAIN.
async fn know_nothing(names: UdpSocket) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = names.recv_from(&mut buffer).await {
        if length > 3 {
            // QR and RA are set, and the rcode says that there is no such name (RFC 1035 §4.1.1).
            buffer[2] |= 0x80;
            buffer[3] = 0x83;
            // The OPT record of the question goes back as it came.
            let _ = names.send_to(&buffer[..length], from).await;
        }
    }
}
