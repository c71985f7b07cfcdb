//! Findings about DNS that does not answer: a name server of the test's own on loopback, with a fault for each name.

mod common;

use common::{
    desk::Desk,
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    scene::{AT, MAIL, Said},
};
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::TXT},
};
use std::{
    net::{SocketAddr, UdpSocket},
    process::Command,
    sync::Arc,
    thread,
};

/// What the server does with a question.
#[derive(Clone)]
enum Deed {
    Code(ResponseCode),
    Txt(String),
    /// Cut; and nobody listens for TCP.
    Cut,
    /// An answer that ends too early.
    Garbage,
}

/// Starts a server that answers questions for TXT records by name; everything else has no such record.
fn server(deed: impl Fn(&str) -> Deed + Send + Sync + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    let deed = Arc::new(deed);
    // The thread ends with the test's process.
    thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let query = Message::from_vec(&packet[..length]).expect("what we send can be read");
            let reply = reply(&query, &*deed);
            // A client that is gone is no fault of the server.
            socket.send_to(&reply, from).ok();
        }
    });
    address
}

fn reply(query: &Message, deed: &dyn Fn(&str) -> Deed) -> Vec<u8> {
    let question = &query.queries[0];
    let name = question.name.to_string().trim_end_matches('.').to_ascii_lowercase();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    match deed(&name) {
        Deed::Code(code) => reply.metadata.response_code = code,
        Deed::Cut => reply.metadata.truncation = true,
        Deed::Txt(text) if question.query_type == RecordType::TXT => {
            let strings = text.as_bytes().chunks(255).map(|chunk| String::from_utf8_lossy(chunk).into_owned());
            let data = RData::TXT(TXT::new(strings.collect()));
            reply.add_answer(Record::from_rdata(Name::from_ascii(&name).expect("a name"), 300, data));
        }
        Deed::Txt(_) => {}
        Deed::Garbage => {
            let octets = reply.to_vec().expect("a message");
            return octets[..octets.len() - 3].to_vec();
        }
    }
    reply.to_vec().expect("a message")
}

/// Verifies a message against such a server.
#[track_caller]
fn verify(mail: &[u8], deed: impl Fn(&str) -> Deed + Send + Sync + 'static) -> Said {
    let desk = Desk::new(&Zone::default());
    desk.put("mail", mail);
    let server = server(deed).to_string();
    let output = desk.verify(["--resolver", &server, "--at", AT, "--json", "mail"]);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Said { report, status: output.status.code().expect("an exit status") }
}

fn mail() -> Vec<u8> {
    Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes())
}

/// The zone of example.com is there but for the key, which has this fault.
fn key_with(deed: Deed) -> impl Fn(&str) -> Deed {
    move |name| match name.contains("_domainkey") {
        true => deed.clone(),
        false => Deed::Txt("v=spf1 -all".into()),
    }
}

#[test]
fn a_question_without_an_answer_is_no_missing_record() {
    for deed in [
        Deed::Code(ResponseCode::ServFail),
        Deed::Code(ResponseCode::Refused),
        Deed::Code(ResponseCode::NotImp),
        Deed::Garbage,
    ] {
        let said = verify(&mail(), key_with(deed));
        said.leads("dns-lookup-failed", "certain").never(&["dkim-record-not-found", "verifier-resolver-failure"]);
        assert_eq!(said.status, 75);
    }
    let said = verify(&mail(), key_with(Deed::Code(ResponseCode::ServFail)));
    assert_eq!(said.finding("dns-lookup-failed")["evidence"][0]["rcode"], "SERVFAIL");
    verify(&mail(), key_with(Deed::Code(ResponseCode::NXDomain)))
        .leads("dkim-record-not-found", "certain")
        .never(&["dns-lookup-failed"]);
}

#[test]
fn an_answer_that_was_cut_needs_tcp() {
    verify(&mail(), key_with(Deed::Cut))
        .leads("dns-truncated-no-tcp", "certain")
        .never(&["dns-lookup-failed", "dkim-record-not-found"]);
}

#[test]
fn a_resolver_that_answers_nothing_is_our_own() {
    let strangers = Signer::new(&OTHER_2048, "relay.test").sign(&mail());
    let said = verify(&strangers, |_| Deed::Code(ResponseCode::Refused));
    let finding = said.finding("verifier-resolver-failure");
    assert_eq!((&finding["primary"], &finding["confidence"]), (&true.into(), &"likely".into()));
    // Of one domain nothing follows.
    verify(&mail(), |_| Deed::Code(ResponseCode::Refused))
        .leads("dns-lookup-failed", "certain")
        .never(&["verifier-resolver-failure"]);
    // Nor where anything was answered.
    let record = RSA_2048.record();
    verify(&strangers, move |name| match name.ends_with("relay.test") {
        true => Deed::Code(ResponseCode::ServFail),
        false => Deed::Txt(record.clone()),
    })
    .never(&["verifier-resolver-failure"]);
}

#[test]
fn a_server_that_denies_a_name_above_another() {
    let check = |above: Deed| {
        let record = RSA_2048.record();
        let server = server(move |name| match name {
            "sel._domainkey.example.com" => Deed::Txt(record.clone()),
            "_domainkey.example.com" => above.clone(),
            _ => Deed::Code(ResponseCode::NXDomain),
        });
        let output = Command::new(env!("CARGO_BIN_EXE_waxseal"))
            .args(["check", "example.com", "--selector", "sel", "--no-authoritative", "--json", "--at", AT])
            .args(["--resolver", &server.to_string()])
            .output()
            .expect("the program runs");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Said { report, status: output.status.code().expect("an exit status") }
    };
    let said = check(Deed::Code(ResponseCode::NXDomain));
    assert_eq!(said.finding("dns-ent-nxdomain")["confidence"], "certain");
    check(Deed::Txt("a name like any other".into())).never(&["dns-ent-nxdomain"]);
}
