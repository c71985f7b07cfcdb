//! What the verdicts amount to: which domains align with From, and whether the message authenticates.
//!
//! DMARC itself asks only about what passed; a diagnosis wants to know of what failed whether it would have counted.
//!
//! Where no DMARC record applies, its tree walk finds no organization, and each name would be its own (RFC 9989 §4.10.2).
//! That a domain without a record signs its own subdomains' mail is no failure, so there the Public Suffix List tells
//! what belongs together. The verdict of DMARC is `none` either way.

use super::{
    Word,
    dmarc::{self, Alignment, Authenticated, DmarcResult, SpfIdentity},
    message::Verdicts,
    spf::SpfResult,
};
use crate::{dns::Dns, name::DomainName};

/// Does a domain align with From, whatever became of its check?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aligned {
    /// It does.
    Yes,
    /// It does not, or there is none.
    No,
    /// DNS did not say.
    Unknown,
}

/// How a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For each signature, top first: does its domain align?
    pub aligned: Vec<Aligned>,
    /// Does the domain that SPF judged?
    pub spf_aligned: Aligned,
    /// Does DMARC pass, or does no record apply and something aligned passes?
    pub authenticates: bool,
}

impl Standing {
    /// Does the domain of the signature with this number align? The first has 1.
    pub fn of_signature(&self, index: usize) -> Aligned {
        let aligned = index.checked_sub(1).and_then(|at| self.aligned.get(at));
        aligned.copied().unwrap_or(Aligned::Unknown)
    }

    /// Is there a signature of the author's domain, or one that may be?
    pub fn may_be_signed_by_author(&self) -> bool {
        self.aligned.iter().any(|aligned| *aligned != Aligned::No)
    }
}

impl Verdicts {
    /// How the message stands; asks for what only unaligned or failed domains need.
    pub async fn standing(&self, dns: &Dns) -> Standing {
        let mut aligned = Vec::new();
        for result in &self.dkim {
            aligned.push(alignment(dns, &self.dmarc, result.signature.domain.as_ref(), Method::Dkim).await);
        }
        let domain = self.spf.as_ref().and_then(|spf| spf.main.domain.as_ref());
        let spf_aligned = alignment(dns, &self.dmarc, domain, Method::Spf).await;
        let authenticates = match self.dmarc.result {
            DmarcResult::Pass => true,
            DmarcResult::None => self.passes_aligned(&aligned, spf_aligned),
            DmarcResult::Fail | DmarcResult::TempError | DmarcResult::PermError => false,
        };
        Standing { aligned, spf_aligned, authenticates }
    }

    /// Does anything pass that belongs to the author?
    fn passes_aligned(&self, aligned: &[Aligned], spf_aligned: Aligned) -> bool {
        let signed = self
            .dkim
            .iter()
            .zip(aligned)
            .any(|(result, &aligned)| aligned == Aligned::Yes && result.result == Word::Pass);
        let sent = self.spf.as_ref().is_some_and(|spf| spf.main.result == SpfResult::Pass);
        signed || sent && spf_aligned == Aligned::Yes
    }
}

#[derive(Clone, Copy)]
enum Method {
    Dkim,
    Spf,
}

/// As if the domain had passed.
async fn alignment(dns: &Dns, verdict: &dmarc::Verdict, domain: Option<&DomainName>, method: Method) -> Aligned {
    let (Some(author), Some(domain)) = (&verdict.author, domain) else { return Aligned::No };
    if author == domain {
        return Aligned::Yes;
    }
    if verdict.result == DmarcResult::None && verdict.applied.is_none() {
        let registered = psl::domain_str(author.as_str());
        let same = registered.is_some() && registered == psl::domain_str(domain.as_str());
        return if same { Aligned::Yes } else { Aligned::No };
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
