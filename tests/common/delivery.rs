//! Many messages through one Postfix: handed over, collected at the sink, judged by every verifier.

use super::{
    mail::{Mail, Way},
    postfix::Postfix,
    sink::{Delivered, Sink},
    smtp::{Client, Envelope, Reply},
    verifiers::{Judge, Verifier},
    waxseal::Key,
};
use std::{collections::HashMap, io, sync::Arc, thread, time::Duration};
use waxseal::dkim::KeyType;

/// A kind of message that a verifier is known to judge wrongly, and why that is not the signer's fault.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The kind, as `mail` names it.
    pub kind: &'static str,
    /// The verifier that is wrong.
    pub verifier: Verifier,
    /// Why.
    pub because: &'static str,
}

/// Hands over all messages, over four connections at once, and panics unless Postfix takes every one.
#[track_caller]
pub fn send(postfix: &Postfix, messages: &[Mail]) {
    thread::scope(|scope| {
        for share in messages.chunks(messages.len().div_ceil(4)) {
            scope.spawn(move || {
                let mut client = postfix.client();
                for mail in share {
                    let reply = hand_over(postfix, &mut client, mail);
                    assert_eq!(reply.code, 250, "{}: {reply:?}\n{}", mail.name, postfix.log());
                }
            });
        }
    });
}

fn hand_over(postfix: &Postfix, client: &mut Client, mail: &Mail) -> Reply {
    if mail.way == Way::Sendmail {
        let text: Vec<u8> = mail.bytes.iter().copied().filter(|&byte| byte != b'\r').collect();
        postfix.sendmail(&mail.mail_from, &mail.rcpt_to, &text);
        return Reply { code: 250, text: "by sendmail".into() };
    }
    offer(client, mail).unwrap_or_else(|error| panic!("{}: {error}\n{}", mail.name, postfix.log()))
}

/// Offers one message over a connection.
pub fn offer(client: &mut Client, mail: &Mail) -> io::Result<Reply> {
    let envelope = Envelope { mail_from: &mail.mail_from, rcpt_to: vec![&mail.rcpt_to], utf8: mail.utf8 };
    client.send(&envelope, &mail.bytes)
}

/// Waits until every message has arrived, exactly once, and gives them in the order of `messages`.
#[track_caller]
pub fn collect(sink: &Sink, messages: &[Mail], limit: Duration) -> Vec<Arc<Delivered>> {
    let arrived = sink.wait_for(messages.len(), limit);
    let mut by_recipient: HashMap<&str, Vec<&Arc<Delivered>>> = HashMap::new();
    for delivered in &arrived {
        for rcpt in &delivered.rcpt_to {
            by_recipient.entry(rcpt).or_default().push(delivered);
        }
    }
    let once = |mail: &Mail| match by_recipient.get(mail.arrives_for.as_str()).map(Vec::as_slice) {
        Some([delivered]) => Arc::clone(delivered),
        Some(several) => panic!("{} arrived {} times", mail.name, several.len()),
        None => panic!("{} did not arrive", mail.name),
    };
    let collected = messages.iter().map(once).collect();
    assert_eq!(arrived.len(), messages.len(), "more arrived than was sent");
    collected
}

/// Judges every message with every verifier: each bears one signature by each of `keys`, all of `domain`, and nothing
/// else, and all verify, but for what is known.
///
/// A known difference that does not show is reported too, so that the list stays true.
#[track_caller]
pub fn all_verify(messages: &[Mail], delivered: &[Arc<Delivered>], domain: &str, keys: &[Key], known: &[Known]) {
    let records: Vec<_> = keys.iter().map(|key| key.published(domain)).collect();
    let wrong: Vec<String> = thread::scope(|scope| {
        let judges: Vec<_> = Judge::all(&records)
            .into_iter()
            .map(|judge| scope.spawn(|| differences(judge, messages, delivered, keys, known)))
            .collect();
        judges.into_iter().flat_map(|judge| judge.join().expect("a verifier runs to its end")).collect()
    });
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn differences(
    mut judge: Judge,
    messages: &[Mail],
    delivered: &[Arc<Delivered>],
    keys: &[Key],
    known: &[Known],
) -> Vec<String> {
    let mut wrong = Vec::new();
    let verifier = judge.verifier();
    for (mail, arrived) in messages.iter().zip(delivered) {
        let verdicts = judge.judge(&arrived.bytes);
        let good = verdicts.len() == keys.len()
            && verdicts.iter().zip(keys).all(|(verdict, key)| {
                let understood = key.algorithm == KeyType::Rsa || verifier.knows_ed25519();
                verdict.selector == key.selector && verdict.result == if understood { "pass" } else { "invalid" }
            });
        let known = known.iter().find(|known| known.kind == mail.kind && known.verifier == verifier);
        let said: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
        match (good, known) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => wrong.push(format!("{verifier}: {}: {said:?}", mail.name)),
            (true, Some(known)) => wrong.push(format!("{verifier}: {} is right, against: {known:?}", mail.name)),
        }
    }
    wrong
}
