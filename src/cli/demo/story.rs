//! What the demo tells, step by step; each step checks that what it tells is so.

use super::{
    Unexpected,
    journal::{Journal, Line},
    letters::{self, DOMAIN, Letter},
    postfix::Installed,
    receiver::{Judgement, Receiver},
    screen::Screen,
    stage::{self, Delivered, ENVIRONMENT, Elsewhere, Identity, REGION, Road, Stage},
};
use crate::{dkim::write::FIELD_NAME, message::Message, provider::DEFAULT_PROVIDER};
use std::time::Duration;
use tokio::time::timeout;

/// The log has the line before the MTA has its answer; a line that is not there after this will not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the receiver's MTA calls the message.
const RECEIVED: &str = "4DE3100001";

/// What is wrong with the record there.
const SPLIT: &str = "dkim-key-split-across-records";

/// Tells the whole story, and leaves the stage as it is then.
pub async fn tell(installed: Option<Installed>, screen: &Screen) -> Result<Stage, Unexpected> {
    screen.line(screen.paint.bold("Waxseal demo: from a new key to verified mail, on this machine alone"));
    let folder = stage::folder()?;
    let identity = Identity::make(&folder)?;
    show_key(&identity, screen);
    let mut stage = Stage::set(identity, folder, installed.as_ref()).await?;
    show_records(&stage, screen);
    show_milter(&stage, screen);
    let sent = send_all(&mut stage, screen).await?;
    let receiver = Receiver::new(stage.name_server.address())?;
    verify_all(&receiver, &sent, &stage.identity.key.value, screen).await?;
    tamper(&receiver, &sent, screen).await?;
    break_the_record(&mut stage, &sent, screen).await?;
    if let Some(complaint) = stage.journal.complaint() {
        return Err(Unexpected::new(format!("the milter complains: {complaint}")));
    }
    screen.line("");
    screen.line(screen.paint.good("Everything was as it should be."));
    Ok(stage)
}

fn show_key(identity: &Identity, screen: &Screen) {
    screen.step(1, "The key", "A sender signs with a private key; the selector names its public half in DNS.");
    screen.row("domain", DOMAIN);
    let place = format!("(provider {DEFAULT_PROVIDER}, environment {ENVIRONMENT}, region {REGION})");
    screen.row("selector", format_args!("{} {}", identity.selector, screen.paint.dim(place)));
    screen.row("key", "RSA of 2048 bits, mode 0600, in a temporary folder");
}

fn show_records(stage: &Stage, screen: &Screen) {
    let identity = &stage.identity;
    screen.step(2, "The records", "Receivers ask DNS for the key; here the demo's own small name server answers.");
    screen.row("server", format_args!("{} (UDP and TCP)", stage.name_server.address()));
    let value = &identity.key.value;
    let start = value.get(..32).unwrap_or(value);
    let size = format!("({} characters in {} strings)", value.len(), identity.key.strings().len());
    screen.row("DKIM", &identity.key.name);
    screen.row("", format_args!("{start}… {}", screen.paint.dim(size)));
    screen.row("SPF", format_args!("{:<20} {}", DOMAIN, identity.spf));
    screen.row("DMARC", format_args!("{:<20} {}", format!("_dmarc.{DOMAIN}"), identity.dmarc));
}

fn show_milter(stage: &Stage, screen: &Screen) {
    screen.step(3, "The milter", "Postfix asks it about every message. Settings as a server would have them:");
    screen.quote(&stage::settings_text());
    screen.row("listens", format_args!("inet:{}", stage.milter));
    if let Road::Postfix(postfix) = &stage.road {
        screen.row("Postfix", format_args!("a private instance, {}, with smtpd_milters set to it", postfix.address()));
    }
}

/// Sends every letter, and shows what the milter decided and wrote.
async fn send_all(stage: &mut Stage, screen: &Screen) -> Result<Vec<(Letter, Delivered)>, Unexpected> {
    let how = match stage.road {
        Road::Direct { .. } => "They are handed to the milter as Postfix does it, over the milter protocol.",
        Road::Postfix(_) => "They go through Postfix by SMTP, to a sink that takes everything.",
    };
    screen.step(4, "Three messages", how);
    let mut sent = Vec::new();
    for letter in letters::all() {
        let delivered = stage.send(&letter).await?;
        let decision = timeout(PATIENCE, stage.journal.decision(&delivered.queue_id))
            .await
            .map_err(|_| Unexpected::new(format!("{}: the log has no line about it", letter.name)))?
            .map_err(Unexpected::when("the milter complains"))?;
        let reason = decision["reason"].as_str().unwrap_or("no reason");
        let signed = decision["action"] == "sign" && decision["result"] == "pass";
        if signed != letter.ours {
            let what = if signed { "it was signed, and is not ours" } else { "it was not signed" };
            return Err(Unexpected::new(format!("{}: {what}: {reason}", letter.name)));
        }
        let (from, subject) = letter.headline();
        let word = if signed { screen.paint.good("signed") } else { screen.paint.odd("not signed") };
        screen.result(letter.name, word, format_args!("{from}: {subject}"));
        screen.result("", screen.paint.dim(""), screen.paint.dim(letter.about));
        if !signed {
            screen.row("why not", reason);
        }
        sent.push((letter, delivered));
    }
    let Some((letter, delivered)) = sent.first() else { return Ok(sent) };
    screen.line("");
    screen.line(format_args!("   New in the {}: d= the signer, s= its key, h= signed fields, bh= body.", letter.name));
    screen.quote(&signature(&delivered.message)?);
    Ok(sent)
}

/// The signature field of a message, its lines as they are.
fn signature(message: &[u8]) -> Result<String, Unexpected> {
    let message = Message::new(message);
    let field = message.header.named(FIELD_NAME).next();
    let field = field.ok_or_else(|| Unexpected::new("a message that was signed arrived without its signature"))?;
    Ok(String::from_utf8_lossy(field.raw()).replace('\t', " "))
}

async fn verify_all(
    receiver: &Receiver,
    sent: &[(Letter, Delivered)],
    published: &str,
    screen: &Screen,
) -> Result<(), Unexpected> {
    let why = "It gets the key from DNS and verifies (by mail-auth, which is not our code).";
    screen.step(5, "The receiver", why);
    for (letter, delivered) in sent {
        let (name, paint) = (letter.name, screen.paint);
        match receiver.judge(&delivered.message).await? {
            Judgement::Pass(key) if letter.ours && key.value == published.as_bytes() => {
                let facts = format!("{} strings, {} octets, TTL {}", key.strings, key.value.len(), key.ttl);
                screen.result(name, paint.good("pass"), format_args!("key from DNS: {facts}"));
            }
            Judgement::Unsigned if !letter.ours => {
                screen.result(name, paint.odd("none"), "no signature: we do not vouch for the mail of others");
            }
            other => return Err(Unexpected::new(format!("{name}: the receiver says {other:?}"))),
        }
    }
    Ok(())
}

async fn tamper(receiver: &Receiver, sent: &[(Letter, Delivered)], screen: &Screen) -> Result<(), Unexpected> {
    let (before, after) = letters::TAMPERING;
    screen.step(6, "One byte changed", "Somebody on the way rewrites the price. The signature no longer holds.");
    let note = sent.iter().find(|(letter, _)| letter.name == "note");
    let (letter, delivered) = note.ok_or_else(|| Unexpected::new("there is no message to change"))?;
    match receiver.judge(&letters::tamper(&delivered.message)?).await? {
        Judgement::BodyChanged => {
            let text = format!("{before:?} became {after:?}: bh= differs");
            screen.result(letter.name, screen.paint.bad("fail"), text);
            Ok(())
        }
        other => Err(Unexpected::new(format!("the changed message should fail, and the receiver says {other:?}"))),
    }
}

/// The record is published wrongly, and a receiver with Waxseal says so in its log.
async fn break_the_record(stage: &mut Stage, sent: &[(Letter, Delivered)], screen: &Screen) -> Result<(), Unexpected> {
    let why = "The same key, published as two TXT records. A receiver with Waxseal asks why it fails:";
    screen.step(7, "The record broken", why);
    let note = sent.iter().find(|(letter, _)| letter.name == "note");
    let (letter, delivered) = note.ok_or_else(|| Unexpected::new("there is no message to receive"))?;
    let elsewhere = Elsewhere::set(&stage.identity).await?;
    elsewhere.receive(RECEIVED, &delivered.message).await?;
    let event = timeout(PATIENCE, stage.journal.diagnosis(RECEIVED))
        .await
        .map_err(|_| Unexpected::new("the receiver's log does not say why the message failed"))?
        .map_err(Unexpected::when("the receiver's milter complains"))?;
    elsewhere.clear().await;
    let cause = &event["causes"][0];
    let text = |name: &str| cause[name].as_str().unwrap_or("-").to_owned();
    if text("cause") != SPLIT {
        return Err(Unexpected::new(format!("the cause should be {SPLIT}, and the log says {}", text("cause"))));
    }
    screen.result(letter.name, screen.paint.bad("permerror"), format_args!("{} ({})", SPLIT, text("confidence")));
    screen.line("");
    for (label, name) in [("what", "claim"), ("documented", "documented"), ("fix", "fix")] {
        screen.row(label, text(name));
    }
    screen.row("more", format_args!("waxseal explain {SPLIT}"));
    Ok(())
}

/// What a newcomer does now.
pub fn what_next(screen: &Screen) {
    screen.line("");
    screen.line(screen.paint.bold("Next"));
    let init = "waxseal config init --domain example.com --environment private --region kr";
    screen.line(format_args!("   {init}"));
    screen.line("       your domain: settings, key, record to publish, main.cf lines (--dir DIR)");
    screen.line("   waxseal demo --stay");
    screen.line("       this milter and this DNS stay up, to attach an MTA of yours");
    screen.line("   README.md: \"Five minutes with Postfix\", then \"Settings\"");
}

/// What `--stay` leaves for the reader to try.
pub fn invite(stage: &Stage, screen: &Screen) {
    let (dns, milter) = (stage.name_server.address(), stage.milter);
    screen.line("");
    screen.line(screen.paint.bold("Staying up until Ctrl-C or SIGTERM"));
    screen.line("   main.cf of a Postfix on this machine:");
    screen.line(format_args!("       smtpd_milters = inet:{milter}"));
    screen.line(format_args!("       non_smtpd_milters = inet:{milter}"));
    screen.line("       internal_mail_filter_classes = bounce");
    screen.line("       milter_default_action = tempfail");
    if let Road::Postfix(postfix) = &stage.road {
        screen.line(format_args!("   the private Postfix takes mail at {} and delivers it nowhere", postfix.address()));
    }
    screen.line(format_args!("   mail From {DOMAIN} is then signed; ask for its key with"));
    let name = &stage.identity.key.name;
    screen.line(format_args!("       dig @{} -p {} {name} TXT", dns.ip(), dns.port()));
    screen.line(format_args!("   settings and key: {}", stage.folder().display()));
    screen.line("   decisions from now on:");
}

/// Shows every decision of the milter, for ever.
pub async fn follow(journal: &mut Journal, screen: &Screen) {
    while let Some(line) = journal.next().await {
        match line {
            Line::Complaint(text) => screen.line(format_args!("   {}: {text}", screen.paint.bad("error"))),
            Line::Decision(event) => {
                let text = |name: &str| event[name].as_str().unwrap_or("-").escape_debug().to_string();
                let why = event["reason"].as_str().map(|_| format!(": {}", text("reason"))).unwrap_or_default();
                screen.line(format_args!(
                    "   {} {} from {} {}{why}",
                    text("queue_id"),
                    text("action"),
                    text("from_domain"),
                    text("result")
                ));
            }
        }
    }
}
