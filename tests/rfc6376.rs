//! RFC 6376 appendix A: the signed message of A.2 verifies with the key of appendix C, and §3.4.5 canonicalises as printed.

mod common_verify;

use common_verify::verify;
use waxseal::{
    dkim::{
        Canon,
        canon::{self, BodyCanon},
    },
    message::Message,
    verify::{Word, dkim::Reason},
};

const ZONE: &str = "$TTL 300\n\
brisbane._domainkey.example.com. IN TXT \"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB\"\n";

const SIGNED: &str = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r
      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r
      h=Received : From : To : Subject : Date : Message-ID;\r
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r
      4bmp/YzhwvcubU4=;\r
Received: from client1.football.example.com  [192.0.2.1]\r
      by submitserver.example.com with SUBMISSION;\r
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game. Are you hungry yet?\r
\r
Joe.\r
";

const NOW: u64 = 1_057_982_514;

#[test]
fn the_signed_message_verifies() {
    let results = verify(SIGNED.as_bytes(), ZONE, NOW);
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].result, &results[0].reason, results[0].key_bits), (Word::Pass, &None, Some(1024)));
}

#[test]
fn a_changed_word_does_not() {
    let changed = verify(SIGNED.replace("hungry", "angry").as_bytes(), ZONE, NOW);
    assert_eq!(changed[0].reason, Some(Reason::BodyChanged));
    let changed = verify(SIGNED.replace("dinner", "supper").as_bytes(), ZONE, NOW);
    assert_eq!(changed[0].reason, Some(Reason::HeaderChanged));
}

/// §3.4.5, example 1 (both relaxed) and example 2 (both simple).
#[test]
fn the_examples_of_canonicalization() {
    let input = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
    let message = Message::new(input);
    for (form, header, body) in [
        (Canon::Relaxed, &b"a:X\r\nb:Y Z\r\n"[..], &b" C\r\nD E\r\n"[..]),
        (Canon::Simple, b"A: X\r\nB : Y\t\r\n\tZ  \r\n", b" C \r\nD \t E\r\n"),
    ] {
        let mut out = Vec::new();
        message.header.fields().for_each(|field| canon::header_field(form, field, &mut out));
        assert_eq!(out, header, "{form}");
        let mut out = Vec::new();
        let mut state = BodyCanon::new(form);
        state.write(message.body, &mut |bytes| out.extend_from_slice(bytes));
        state.finish(&mut |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, body, "{form}");
    }
}
