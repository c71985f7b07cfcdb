//! What trusted sealers saw (RFC 8617 §7.2.1): did the author's domain authenticate before the message was changed?
//!
//! A chain proves who wrote it and that nothing has changed since, and never that it is true. So its word counts only
//! where every sealer is trusted: a stranger below a trusted sealer could have invented what he saw, and one above
//! could have changed the message and signed it anew. Of broken chains nothing is read.

use super::{ArcResult, Kind, chain};
use crate::{
    authres::{self, AuthResults, MethodResult},
    message::Header,
    name::DomainName,
    verify::Word,
};
use std::fmt;

/// A set of a trusted chain that speaks for the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The number of the set; the oldest that does.
    pub instance: usize,
    /// Who sealed it.
    pub sealer: DomainName,
    /// The method that passed there: `dmarc`, or `dkim` where DMARC was not judged.
    pub method: &'static str,
}

/// The oldest set that saw the author's domain authenticate, if the chain passes, covers From, and all its sealers are
/// trusted.
///
/// `aligned` says whether a signature of a domain speaks for the author.
pub fn vouched(
    header: &Header,
    chain: &ArcResult,
    trusted: &[DomainName],
    author: &DomainName,
    aligned: impl Fn(&DomainName) -> bool,
) -> Option<Vouched> {
    let sealers: Vec<&DomainName> = chain.sealers.iter().filter_map(|sealer| sealer.domain.as_ref()).collect();
    let all = sealers.len() == chain.instances && sealers.iter().all(|sealer| trusted.contains(sealer));
    if chain.result != Word::Pass || !chain.covers_author || !all {
        return None;
    }
    // In a chain that passes each field of this name belongs to one set, and is sealed.
    let results = header.named(Kind::Results.name()).filter_map(|field| chain::read_results(field.value()));
    let spoken = results.filter_map(|(instance, value)| {
        let (results, problems) = authres::read(value);
        let method = problems.is_empty().then(|| passed(&results, author, &aligned))??;
        Some(Vouched { instance, sealer: (*sealers.get(instance.checked_sub(1)?)?).clone(), method })
    });
    spoken.min_by_key(|vouched| vouched.instance)
}

/// What passed for the author. A verdict of DMARC counts before that of a signature, and one that is not `pass` ends it.
fn passed(results: &AuthResults, author: &DomainName, aligned: impl Fn(&DomainName) -> bool) -> Option<&'static str> {
    let of = |method: &'static str| results.results.iter().filter(move |result| result.method() == method);
    let judged: Vec<_> = of("dmarc").filter(|result| result.result() != "none").collect();
    if !judged.is_empty() {
        let pass = |result: &&MethodResult| result.result() == "pass" && name(result, "from").as_ref() == Some(author);
        return judged.iter().all(pass).then_some("dmarc");
    }
    let pass =
        |result: &MethodResult| result.result() == "pass" && name(result, "d").is_some_and(|name| aligned(&name));
    of("dkim").any(pass).then_some("dkim")
}

/// The name in a property of the header, if it stands there once.
fn name(result: &MethodResult, property: &str) -> Option<DomainName> {
    let mut found = result.properties().iter().filter(|one| one.ptype == "header" && one.name == property);
    let (one, None) = (found.next()?, found.next()) else { return None };
    DomainName::new(&one.value).ok()
}

/// As a clause: `example.net saw dmarc=pass in set 1`.
impl fmt::Display for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} saw {}=pass in set {}", self.sealer, self.method, self.instance)
    }
}
