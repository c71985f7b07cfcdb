//! One message through the milter as Postfix would hand it over: the real server on a Unix socket, in this process.
//!
//! Client and server share the machine, so these are upper bounds. Nothing is logged, because no log was started.

mod material;

use divan::Bencher;
use indymilter_test::{SocketInfo, Status, TestConnection, any};
use material::{FIELDS, Kind, PIECE, body, settings};
use tokio::runtime::Runtime;
use waxseal::milter::Server;

/// 2 KiB, 50 KiB, 5 MiB.
const SIZES: [usize; 3] = [2 * 1024, 50 * 1024, 5 * 1024 * 1024];

fn main() {
    divan::main();
}

/// Signed, several messages over one connection.
#[divan::bench(args = SIZES)]
fn signed(bencher: Bencher<'_, '_>, size: usize) {
    conversation(bencher, "127.0.0.1", size);
}

/// Passed at the end of the header: a stranger, whose mail is not signed.
#[divan::bench]
fn passed(bencher: Bencher<'_, '_>) {
    conversation(bencher, "192.0.2.1", 2 * 1024);
}

fn conversation(bencher: Bencher<'_, '_>, client: &str, size: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("milter.sock");
    let settings = settings(folder.path(), &format!("unix:{}", socket.display()));
    let runtime = Runtime::new().expect("a runtime");
    let server = {
        let _inside = runtime.enter();
        Server::start(settings).expect("it listens")
    };
    // The client takes pieces of a body only if they live for ever, or copies.
    let body: &'static [u8] = body(Kind::Plain, size).leak();
    let mut connection = runtime.block_on(async {
        let mut connection =
            TestConnection::configure().exact_leading_space(true).open_unix(&socket).await.expect("connected");
        let address = std::net::SocketAddr::new(client.parse().expect("an address"), 40123);
        connection.connect("client.example.com", SocketInfo::Inet(address)).await.expect("connect");
        connection.helo("client.example.com").await.expect("HELO");
        connection
    });
    bencher.bench_local(|| runtime.block_on(message(&mut connection, body)));
    runtime.block_on(async {
        connection.close().await.expect("closed");
        server.drain().await;
    });
}

async fn message(connection: &mut TestConnection, body: &'static [u8]) {
    connection.mail(["<billing@example.com>"]).await.expect("MAIL");
    connection.rcpt(["<bob@example.net>"]).await.expect("RCPT");
    for (name, value) in FIELDS {
        connection.header(name, value).await.expect("a field");
    }
    if connection.eoh().await.expect("end of header") == Status::Accept {
        return;
    }
    for piece in body.chunks(PIECE) {
        connection.body(piece).await.expect("a piece");
    }
    let (actions, status) = connection.eom().await.expect("end of message");
    assert!(status == Status::Accept && actions.has_insert_header(1, "DKIM-Signature", any()), "it was signed");
}
