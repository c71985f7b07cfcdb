//! One message file judged: the verdicts of every method, and what stands between the message and authentication.

use super::{against::Record, envelope};
use crate::{
    address,
    cli::{
        Exit,
        input::{self, Note},
    },
    diagnose::{
        self, Placed,
        case::{Expected, InUse},
    },
    dns::{
        Dns, Fault, Outcome,
        budget::{self, Budget},
    },
    inquire::{self, Allowance, Inquiry, Reach},
    message::{Header, Message},
    name::DomainName,
    verify::{
        Word,
        dkim::{DkimResult, KeyState, State},
        dmarc::DmarcResult,
        message::{Envelope, Questions, Verdicts, Verifier, ask_spf},
        spf::SpfResult,
        standing::{Aligned, Standing},
    },
};
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

/// What all messages of a run have in common.
pub struct Judge {
    pub dns: Dns,
    /// Seconds since 1970.
    pub at: u64,
    pub envelope: envelope::Known,
    pub authserv_id: String,
    /// What the senders should have.
    pub expected: Expected,
    /// What a diagnosis may ask.
    pub allowance: Allowance,
    /// May authoritative servers be asked?
    pub live: bool,
    /// What was signed, if the messages are to be compared with it.
    pub record: Option<Record>,
}

/// One message, judged.
pub struct Judged {
    pub file: PathBuf,
    /// Seconds since 1970.
    pub at: u64,
    /// The mailboxes of From, where it can be read.
    pub from: Option<String>,
    pub verdicts: Verdicts,
    /// How it stands.
    pub standing: Standing,
    /// The profile whose demands were made, if any.
    pub profile: Option<InUse>,
    /// Why SPF was not judged.
    pub spf_missing: Option<&'static str>,
    pub notes: Vec<Note>,
    /// What the record of what was signed has to say.
    pub record_note: Option<String>,
    /// Our Authentication-Results, unfolded.
    pub authentication_results: String,
    /// Why it fails, or will: the message's own cause first.
    pub findings: Vec<Placed>,
}

impl Judge {
    /// Judges one file.
    pub async fn judge(&self, file: &Path, bytes: Vec<u8>) -> Judged {
        let notes = input::notes(&bytes);
        let bytes = input::with_crlf(bytes);
        let message = Message::new(&bytes);
        let header = &message.header;
        let dns = Dns::new(Budget::new(self.dns.clone(), budget::QUESTIONS, budget::PATIENCE));
        let found = self.envelope.of(header);
        let preferred: Vec<DomainName> = address::author_domain(header).into_iter().collect();
        let mut verifier = Verifier::new(header, &preferred, self.at);
        let questions = Questions::new(header, &verifier);
        let spf = ask_spf(&dns, &found.envelope, &self.authserv_id, self.at).await;
        let answers = questions.ask(&dns).await;
        verifier.body(message.body);
        let verdicts = Verdicts::conclude(&dns, header, verifier, answers, spf).await;
        let standing = verdicts.standing(&dns).await;
        let mut judged = Judged {
            file: file.to_owned(),
            at: self.at,
            from: author(header),
            profile: self.expected.profile_in_use(&verdicts.dkim),
            authentication_results: verdicts.results(&self.authserv_id, found.missing).to_string(),
            verdicts,
            standing,
            spf_missing: found.missing,
            notes,
            record_note: None,
            findings: Vec::new(),
        };
        let expected = match &self.record {
            None => Cow::Borrowed(&self.expected),
            Some(record) => {
                let compared = record.compare(header, message.body, &judged.verdicts.dkim);
                judged.record_note = compared.note;
                Cow::Owned(Expected { signed: compared.by_signature, ..self.expected.clone() })
            }
        };
        judged.findings = self.diagnose(&judged, &message, &found.envelope, &expected).await;
        for result in judged.verdicts.dkim.iter_mut().filter(|result| result.key == KeyState::Unknown) {
            if diagnose::header_was_undone(&judged.findings, result.index) {
                (result.header, result.key) = (State::Changed, KeyState::Signer);
            }
        }
        judged
    }

    /// Why the message fails, or will.
    async fn diagnose(
        &self,
        judged: &Judged,
        message: &Message<'_>,
        envelope: &Envelope,
        expected: &Expected,
    ) -> Vec<Placed> {
        let query = envelope.query(&self.authserv_id, self.at);
        let mut inquiry = Inquiry::new(&self.dns, query, self.allowance);
        inquiry.live(if self.live { Reach::Everybody } else { Reach::Nobody });
        let judged = inquire::Judged {
            header: &message.header,
            body: Some(message.body),
            verdicts: &judged.verdicts,
            standing: &judged.standing,
            at: self.at,
            expected,
        };
        inquiry.message(judged).await
    }
}

impl Judged {
    /// The exit status that this message alone would give.
    pub fn exit(&self) -> Exit {
        match (self.standing.authenticates, self.verdicts.dmarc.result) {
            (true, _) => Exit::Good,
            (_, DmarcResult::TempError | DmarcResult::None) if self.could_authenticate() => Exit::Temporary,
            _ => Exit::Failed,
        }
    }

    /// Would it authenticate if DNS had answered, for all that is known?
    fn could_authenticate(&self) -> bool {
        let open = |aligned, passed, undecided| match aligned {
            Aligned::Yes | Aligned::Unknown => passed || undecided,
            Aligned::No => false,
        };
        let dkim = self
            .verdicts
            .dkim
            .iter()
            .zip(&self.standing.aligned)
            .any(|(result, &aligned)| open(aligned, result.result == Word::Pass, is_undecided(result)));
        let spf = self.verdicts.spf.as_ref().is_some_and(|spf| {
            let result = spf.main.result;
            open(self.standing.spf_aligned, result == SpfResult::Pass, result == SpfResult::TempError)
        });
        dkim || spf
    }
}

/// Does only a fault of DNS that passes keep the signature from a verdict? Aliases in a circle stay until somebody mends them.
fn is_undecided(result: &DkimResult) -> bool {
    let circle = result.answer.as_ref().is_some_and(|answer| answer.outcome == Outcome::Fault(Fault::CnameLoop));
    result.result == Word::TempError && !circle
}

/// The mailboxes of the one From field.
fn author(header: &Header) -> Option<String> {
    let mut fields = header.named("From");
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let mailboxes = address::mailboxes(field.value()).ok()?;
    Some(mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}
