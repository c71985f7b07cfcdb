//! One message file judged: the verdicts of every method, and what stands between the message and authentication.

use super::envelope;
use crate::{
    address,
    cli::{
        Exit,
        input::{self, Note},
    },
    diagnose::{
        self, Placed,
        case::{Case, Expected},
    },
    dns::{
        Dns,
        budget::{self, Budget},
    },
    inquire::{Allowance, Inquiry},
    message::{Header, Message},
    name::DomainName,
    verify::{
        Word,
        dmarc::{self, Alignment, Authenticated, DmarcResult, SpfIdentity},
        message::{Envelope, Questions, Verdicts, Verifier, ask_spf},
        spf::SpfResult,
    },
};
use std::path::{Path, PathBuf};

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
}

/// One message, judged.
pub struct Judged {
    pub file: PathBuf,
    /// Seconds since 1970.
    pub at: u64,
    /// The mailboxes of From, where it can be read.
    pub from: Option<String>,
    pub verdicts: Verdicts,
    /// For each signature: does its domain align with From?
    pub aligned: Vec<Aligned>,
    /// Does the domain that SPF judged?
    pub spf_aligned: Aligned,
    /// Why SPF was not judged.
    pub spf_missing: Option<&'static str>,
    pub notes: Vec<Note>,
    /// Our Authentication-Results, unfolded.
    pub authentication_results: String,
    /// Why it fails, or will: the message's own cause first.
    pub findings: Vec<Placed>,
}

/// Does a domain align with From, whatever became of its check?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aligned {
    Yes,
    No,
    /// DNS did not say.
    Unknown,
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
        let mut aligned = Vec::new();
        for result in &verdicts.dkim {
            aligned.push(alignment(&dns, &verdicts.dmarc, result.signature.domain.as_ref(), Method::Dkim).await);
        }
        let domain = verdicts.spf.as_ref().and_then(|spf| spf.main.domain.as_ref());
        let spf_aligned = alignment(&dns, &verdicts.dmarc, domain, Method::Spf).await;
        let mut judged = Judged {
            file: file.to_owned(),
            at: self.at,
            from: author(header),
            authentication_results: verdicts.results(&self.authserv_id).to_string(),
            verdicts,
            aligned,
            spf_aligned,
            spf_missing: found.missing,
            notes,
            findings: Vec::new(),
        };
        judged.findings = self.diagnose(&judged, header, message.body, &found.envelope).await;
        judged
    }

    /// Why the message fails, or will.
    async fn diagnose(&self, judged: &Judged, header: &Header, body: &[u8], envelope: &Envelope) -> Vec<Placed> {
        let query = envelope.query(&self.authserv_id, self.at);
        let mut inquiry = Inquiry::new(&self.dns, query, self.allowance);
        inquiry.know(&judged.verdicts);
        inquiry.live(self.live);
        let aligned: Vec<Option<bool>> = judged.aligned.iter().map(|aligned| aligned.known()).collect();
        inquiry
            .settle(|facts| {
                diagnose::diagnose(&Case {
                    header,
                    body: Some(body),
                    verdicts: &judged.verdicts,
                    aligned: &aligned,
                    spf_aligned: judged.spf_aligned.known(),
                    authenticates: judged.authenticates(),
                    at: self.at,
                    expected: &self.expected,
                    facts,
                })
            })
            .await
    }
}

impl Aligned {
    /// As an answer to a question; `None` where DNS did not say.
    pub fn known(self) -> Option<bool> {
        match self {
            Aligned::Yes => Some(true),
            Aligned::No => Some(false),
            Aligned::Unknown => None,
        }
    }
}

impl Judged {
    /// Does the message authenticate: DMARC passes, or no record applies and something aligned passes?
    pub fn authenticates(&self) -> bool {
        let dmarc = &self.verdicts.dmarc;
        match dmarc.result {
            DmarcResult::Pass => true,
            DmarcResult::None => dmarc.dkim_aligned || dmarc.spf_aligned,
            DmarcResult::Fail | DmarcResult::TempError | DmarcResult::PermError => false,
        }
    }

    /// The exit status that this message alone would give.
    pub fn exit(&self) -> Exit {
        match (self.authenticates(), self.verdicts.dmarc.result) {
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
            .zip(&self.aligned)
            .any(|(result, &aligned)| open(aligned, result.result == Word::Pass, result.result == Word::TempError));
        let spf = self.verdicts.spf.as_ref().is_some_and(|spf| {
            let result = spf.main.result;
            open(self.spf_aligned, result == SpfResult::Pass, result == SpfResult::TempError)
        });
        dkim || spf
    }
}

#[derive(Clone, Copy)]
enum Method {
    Dkim,
    Spf,
}

/// Does this domain align with From? DMARC itself asks only for what passed.
async fn alignment(dns: &Dns, verdict: &dmarc::Verdict, domain: Option<&DomainName>, method: Method) -> Aligned {
    let (Some(author), Some(domain)) = (&verdict.author, domain) else { return Aligned::No };
    if author == domain {
        return Aligned::Yes;
    }
    let mode = verdict.applied.as_ref().map(|applied| match method {
        Method::Dkim => applied.record.dkim_alignment,
        Method::Spf => applied.record.spf_alignment,
    });
    match &verdict.organizational {
        _ if mode == Some(Alignment::Strict) => return Aligned::No,
        Some(organizational) if !domain.is_within(organizational) => return Aligned::No,
        None if author.labels().next_back() != domain.labels().next_back() => return Aligned::No,
        _ => {}
    }
    // As if it had passed.
    let (dkim, spf) = match method {
        Method::Dkim => (Some((Authenticated::Yes, domain)), None),
        Method::Spf => (None, Some((Authenticated::Yes, domain, SpfIdentity::MailFrom))),
    };
    let supposed = dmarc::verify(dns, Ok(author.clone()), dkim.as_slice(), spf).await;
    match supposed.result {
        _ if supposed.dkim_aligned || supposed.spf_aligned => Aligned::Yes,
        DmarcResult::TempError => Aligned::Unknown,
        _ => Aligned::No,
    }
}

/// The mailboxes of the one From field.
fn author(header: &Header) -> Option<String> {
    let mut fields = header.named("From");
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let mailboxes = address::mailboxes(field.value()).ok()?;
    Some(mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}
