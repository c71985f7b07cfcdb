//! Alignment and policy: what passes and does not count, and what is wrong with the DMARC record.

use super::{
    case::Case,
    finding::{Confidence, Effect, Finding, Subject},
    register::{dns, policy as causes, spf},
};
use crate::{
    address::AuthorError,
    dns::{Answer, Outcome, RecordType},
    name::DomainName,
    verify::{
        Word,
        dmarc::{Alignment, DmarcResult, PolicyTag, Problem, Record, Standing},
        spf::SpfResult,
    },
};
use std::sync::Arc;

/// Domains that sending services sign with until a customer sets up the own domain.
const SERVICE_DOMAINS: &[&str] = &[
    "onmicrosoft.com",
    "amazonses.com",
    "sendgrid.net",
    "gappssmtp.com",
    "mailgun.org",
    "mtasv.net",
    "mcsv.net",
    "mcdlv.net",
    "mandrillapp.com",
    "sparkpostmail.com",
    "mailjet.com",
    "sendinblue.com",
    "brevosend.com",
    "zohomail.com",
    "email.ncloud.com",
];

/// Mail portals, whose addresses only they themselves may send from.
const PORTALS: &[&str] = &[
    "naver.com",
    "navercorp.com",
    "ncloud.com",
    "gmail.com",
    "googlemail.com",
    "daum.net",
    "hanmail.net",
    "kakao.com",
    "nate.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "yahoo.com",
    "yahoo.co.jp",
    "icloud.com",
    "aol.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "mail.ru",
    "qq.com",
    "163.com",
];

/// Why DMARC does not pass; `known` are the findings on signatures and SPF.
pub fn findings(case: &Case<'_>, known: &[Finding]) -> Vec<Finding> {
    let author = match &case.verdicts.author {
        Ok(author) => author,
        Err(error) => return vec![no_author(error).about(Subject::Dmarc(None))],
    };
    let mut findings = Vec::new();
    findings.extend(nonexistent(case, author));
    findings.extend(undecided(case));
    findings.extend(portal(case, author, known));
    findings.extend(not_aligned(case, author));
    findings.extend(both_failed(case, known));
    findings.extend(record(case, author));
    findings.extend(subdomain_policy(case, author));
    findings.extend(moved_boundary(case, author));
    findings.into_iter().map(|finding| finding.about(Subject::Dmarc(Some(author.clone())))).collect()
}

/// What a domain's DMARC record and its existence tell without a message.
pub fn domain_findings(case: &Case<'_>, domain: &DomainName) -> Vec<Finding> {
    let mut findings: Vec<Finding> = nonexistent(case, domain).into_iter().chain(undecided(case)).collect();
    findings.extend(record(case, domain));
    findings.into_iter().map(|finding| finding.about(Subject::Dmarc(Some(domain.clone())))).collect()
}

fn no_author(error: &AuthorError) -> Finding {
    match error {
        AuthorError::SeveralFields(count) => {
            Finding::breaks(&causes::MULTIPLE_FROM, Confidence::Certain, format!("the header has {count} From fields"))
                .fix("send exactly one From field")
        }
        AuthorError::SeveralDomains(domains) => {
            let names: Vec<&str> = domains.iter().take(5).map(DomainName::as_str).collect();
            let claim = format!("From names authors of {} domains: {}", domains.len(), names.join(", "));
            Finding::breaks(&causes::MULTIPLE_FROM, Confidence::Certain, claim)
                .fix("name one author in From; further ones belong into Cc or Reply-To")
        }
        error => Finding::breaks(&causes::FROM_UNREADABLE, Confidence::Certain, format!("{error}"))
            .fix("write From as \"Name\" <local@domain>"),
    }
}

/// The author's domain does not exist: NXDOMAIN for the name itself.
fn nonexistent(case: &Case<'_>, author: &DomainName) -> Option<Finding> {
    if case.standing.authenticates {
        return None;
    }
    let answer = case.facts.answer(author.as_str(), RecordType::A)?;
    // A CNAME to nowhere exists.
    if answer.outcome != Outcome::NxDomain || !answer.records.is_empty() {
        return None;
    }
    let claim = format!("{author}, the domain in From, does not exist in DNS");
    Some(
        Finding::breaks(&causes::FROM_DOMAIN_NONEXISTENT, Confidence::Certain, claim)
            .dns("the From domain", answer)
            .fix("send with a From domain that exists; if this one is yours, renew it"),
    )
}

/// DNS did not say which policy applies.
fn undecided(case: &Case<'_>) -> Option<Finding> {
    let verdict = &case.verdicts.dmarc;
    if verdict.result != DmarcResult::TempError {
        return None;
    }
    let answer = verdict.answers.iter().find(|answer| matches!(answer.outcome, Outcome::Fault(_)))?;
    Some(
        Finding::breaks(&dns::LOOKUP_FAILED, Confidence::Certain, format!("{} could not be looked up", answer.name))
            .dns("the question for the DMARC record", answer)
            .fix("try again later; if it stays, look at the resolver and at the domain's name servers"),
    )
}

/// A portal's domain in From, sent by somebody else; `known` may say that the portal did send it.
fn portal(case: &Case<'_>, author: &DomainName, known: &[Finding]) -> Option<Finding> {
    if case.standing.authenticates || !PORTALS.contains(&author.as_str()) {
        return None;
    }
    // With the portal's own signature the mail was sent by it, and something else broke.
    if case.standing.may_be_signed_by_author() {
        return None;
    }
    // Behind a relay, or where DNS did not answer, nobody knows.
    let open = [&spf::CHECKED_BEHIND_RELAY, &spf::DNS_TEMPERROR, &spf::INCLUDE_TEMPERROR];
    if known.iter().any(|finding| open.contains(&finding.cause)) {
        return None;
    }
    let claim = format!("{author} is a mail portal's domain, and the mail was not sent by the portal");
    Some(
        Finding::breaks(&causes::FROM_DOMAIN_NOT_YOURS, Confidence::Certain, claim)
            .fix(format!("send from an address of your own domain, and put the address of {author} into Reply-To")),
    )
}

/// What passes without counting.
fn not_aligned(case: &Case<'_>, author: &DomainName) -> Vec<Finding> {
    let verdict = &case.verdicts.dmarc;
    let mut findings = Vec::new();
    if case.standing.authenticates || !matches!(verdict.result, DmarcResult::Fail | DmarcResult::None) {
        return findings;
    }
    let passing: Vec<&DomainName> = case
        .verdicts
        .dkim
        .iter()
        .filter(|result| result.result == Word::Pass)
        .filter_map(|result| result.signature.domain.as_ref())
        .collect();
    if let Some(&domain) = passing.first() {
        let names: Vec<&str> = passing.iter().map(|domain| domain.as_str()).collect();
        let domains = format!("From: {author}; passing DKIM: {}", names.join(", "));
        findings.push(dkim_not_aligned(case, author, domain, &passing).text("the domains", domains));
    }
    if let Some(spf) = &case.verdicts.spf
        && spf.main.result == SpfResult::Pass
        && let Some(domain) = &spf.main.domain
    {
        let domains = format!("From: {author}; passing SPF: {domain}");
        findings.push(spf_not_aligned(case, author, domain).text("the domains", domains));
    }
    findings
}

fn dkim_not_aligned(case: &Case<'_>, author: &DomainName, domain: &DomainName, passing: &[&DomainName]) -> Finding {
    let strict = |alignment: fn(&Record) -> Alignment| is_strict(case, alignment);
    if strict(|record| record.dkim_alignment)
        && let Some(domain) = passing.iter().find(|domain| is_related(case, author, domain))
    {
        let claim = format!("DKIM passes for {domain}, which would count for {author} but for adkim=s");
        return Finding::breaks(&causes::STRICT_DKIM, Confidence::Certain, claim)
            .fix("take adkim=s out of the DMARC record")
            .fix(format!("or sign with d={author}"));
    }
    if passing.iter().all(|domain| is_service(case, domain)) {
        let claim = format!("the only signature that passes is the sending service's own, of {domain}");
        return Finding::breaks(&causes::THIRD_PARTY_SIGNATURE, Confidence::Certain, claim)
            .fix(format!("set up DKIM for {author} at the service, and enable it"));
    }
    let claim = format!("DKIM passes for {domain}, which is not of the organisation of {author}");
    Finding::breaks(&causes::DKIM_NOT_ALIGNED, Confidence::Certain, claim)
        .fix(format!("sign with d={author} or its organisational domain"))
}

fn spf_not_aligned(case: &Case<'_>, author: &DomainName, domain: &DomainName) -> Finding {
    if is_strict(case, |record| record.spf_alignment) && is_related(case, author, domain) {
        let claim = format!("SPF passes for {domain}, which would count for {author} but for aspf=s");
        return Finding::breaks(&causes::STRICT_SPF, Confidence::Certain, claim)
            .fix("take aspf=s out of the DMARC record")
            .fix(format!("or use {author} in MAIL FROM"));
    }
    let claim =
        format!("SPF passes for {domain}, the domain of MAIL FROM, which is not of the organisation of {author}");
    Finding::breaks(&causes::SPF_NOT_ALIGNED, Confidence::Certain, claim)
        .fix(format!("let DKIM sign with {author}: one aligned pass is enough"))
        .fix("or set up a return path of your own domain at the sending service")
}

fn is_strict(case: &Case<'_>, alignment: fn(&Record) -> Alignment) -> bool {
    case.verdicts.dmarc.applied.as_ref().is_some_and(|applied| alignment(&applied.record) == Alignment::Strict)
}

/// Would relaxed alignment count this domain?
fn is_related(case: &Case<'_>, author: &DomainName, domain: &DomainName) -> bool {
    let organizational = case.verdicts.dmarc.organizational.as_ref();
    domain != author && organizational.is_some_and(|organizational| domain.is_within(organizational))
}

fn is_service(case: &Case<'_>, domain: &DomainName) -> bool {
    let mut profiles = case.expected.known.iter().flat_map(|profiles| profiles.iter());
    if profiles.any(|profile| profile.signing_domains.iter().any(|service| domain.is_within(service))) {
        return true;
    }
    SERVICE_DOMAINS.iter().any(|service| {
        domain.as_str().strip_suffix(service).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

/// Both methods have a cause of their own.
fn both_failed(case: &Case<'_>, known: &[Finding]) -> Option<Finding> {
    if case.verdicts.dmarc.result != DmarcResult::Fail || case.verdicts.dkim.is_empty() {
        return None;
    }
    let passes = case.verdicts.dkim.iter().any(|result| result.result == Word::Pass)
        || case.verdicts.spf.as_ref().is_some_and(|spf| spf.main.result == SpfResult::Pass);
    let of = |wanted: fn(&Subject) -> bool| {
        known.iter().find(|finding| finding.effect == Effect::Breaks && wanted(&finding.subject))
    };
    let dkim = of(|subject| matches!(subject, Subject::Signature { .. }))?;
    let spf = of(|subject| matches!(subject, Subject::Spf(_)))?;
    if passes {
        return None;
    }
    let claim = format!("neither DKIM ({}) nor SPF ({}) passes", dkim.cause.code, spf.cause.code);
    Some(
        Finding::breaks(&causes::BOTH_FAILED, Confidence::Certain, claim)
            .fix(format!("mend {}: one aligned pass is enough, and DKIM survives forwarding", dkim.cause.code)),
    )
}

/// What is wrong with the DMARC record, where none applies or it is not as it should be.
fn record(case: &Case<'_>, author: &DomainName) -> Vec<Finding> {
    let verdict = &case.verdicts.dmarc;
    if let Some((name, count)) = verdict.several.first() {
        let finding = Finding::risk(
            &causes::RECORD_MULTIPLE,
            Confidence::Certain,
            format!("{count} DMARC records stand at _dmarc.{name}, so that none applies"),
        );
        return vec![
            with_answer(finding, verdict.answers.as_slice(), name).fix("keep one of them and delete the others"),
        ];
    }
    if let Some(applied) = &verdict.applied {
        return invalid(case, applied.domain.clone(), &applied.record).into_iter().collect();
    }
    if verdict.result != DmarcResult::None {
        return Vec::new();
    }
    // The walk found nothing, and so no organization.
    let registered = psl::domain_str(author.as_str()).and_then(|domain| DomainName::new(domain).ok());
    let organizational = registered.as_ref().unwrap_or(author);
    let mut findings: Vec<Finding> = unread(case, author, organizational).into_iter().collect();
    if findings.is_empty() {
        findings.extend(wrong_host(case, author, organizational));
    }
    if findings.is_empty() {
        findings.push(
            Finding::note(
                &causes::RECORD_MISSING,
                Confidence::Certain,
                format!("there is no DMARC record for {author}"),
            )
            .fix("publish one, at first with p=none, and read the reports")
            .publish(
                &format!("_dmarc.{organizational}"),
                format!("v=DMARC1; p=none; rua=mailto:dmarc@{organizational}"),
            ),
        );
    }
    findings
}

fn with_answer(finding: Finding, answers: &[Arc<Answer>], domain: &DomainName) -> Finding {
    let name = format!("_dmarc.{domain}");
    match answers.iter().find(|answer| answer.name == name) {
        Some(answer) => finding.dns("the DMARC record", answer),
        None => finding,
    }
}

/// A record that was found and says less than its owner meant.
fn invalid(case: &Case<'_>, domain: DomainName, record: &Record) -> Option<Finding> {
    let worst = record.problems.iter().find(|problem| match problem {
        Problem::NoPolicy | Problem::Duplicate(_) | Problem::NotATag(_) | Problem::LeadingBlank => true,
        Problem::Value(tag, _) => !matches!(tag.as_str(), "fo" | "pct" | "rf" | "ri"),
        Problem::Unknown(_) | Problem::Removed(_) => false,
    });
    if record.standing() == Standing::Good && worst.is_none() {
        return None;
    }
    let why = worst.map_or_else(|| "it has no policy that could be applied".into(), ToString::to_string);
    let claim = format!("the DMARC record at _dmarc.{domain} is not valid: {why}");
    let finding = Finding::risk(&causes::RECORD_INVALID, Confidence::Certain, claim);
    Some(
        with_answer(finding, &case.verdicts.dmarc.answers, &domain)
            .fix("publish it anew: v=DMARC1 first, then p=none, p=quarantine or p=reject, tags apart by semicolons"),
    )
}

/// A TXT record at the right name that was meant as a DMARC record and does not begin like one.
fn unread(case: &Case<'_>, author: &DomainName, organizational: &DomainName) -> Option<Finding> {
    let names = [author, organizational].map(|domain| format!("_dmarc.{domain}"));
    let answers = case.verdicts.dmarc.answers.iter().filter(|answer| names.contains(&answer.name));
    for answer in answers {
        for text in answer.joined_txt() {
            let lower = text.to_ascii_lowercase();
            let holds = |needle: &[u8]| lower.windows(needle.len()).any(|window| window == needle);
            if Record::read(&text).is_none()
                && (holds(b"dmarc") || holds(b"p=none") || holds(b"p=reject") || holds(b"p=quarantine"))
            {
                let claim = format!(
                    "the TXT record at {} does not begin with v=DMARC1; and so is no DMARC record",
                    answer.name
                );
                return Some(
                    Finding::risk(&causes::RECORD_INVALID, Confidence::Certain, claim)
                        .dns("the DMARC record", answer)
                        .fix(
                            "publish it anew: v=DMARC1 first, then p=, tags apart by semicolons, without quotes in it",
                        ),
                );
            }
        }
    }
    None
}

/// A DMARC record where nobody looks.
fn wrong_host(case: &Case<'_>, author: &DomainName, organizational: &DomainName) -> Option<Finding> {
    let mut names = Vec::new();
    for domain in [organizational, author] {
        names.extend([
            format!("_dmarc.{domain}.{domain}"),
            domain.to_string(),
            format!("dmarc.{domain}"),
            format!("_dmarc._dmarc.{domain}"),
        ]);
    }
    names.dedup();
    for name in names {
        let Some(answer) = case.facts.txt(&name) else { continue };
        let Some(text) = answer.joined_txt().into_iter().find(|text| Record::read(text).is_some()) else { continue };
        let right = format!("_dmarc.{organizational}");
        let claim = format!("a DMARC record stands at {name}, where nobody looks for it, and none at {right}");
        return Some(
            Finding::risk(&causes::RECORD_WRONG_HOST, Confidence::Certain, claim)
                .dns("the misplaced record", answer)
                .fix(format!("delete it at {name} and publish it at {right}"))
                .publish(&right, String::from_utf8_lossy(&text).into_owned()),
        );
    }
    None
}

/// sp= or np= decided.
fn subdomain_policy(case: &Case<'_>, author: &DomainName) -> Option<Finding> {
    let verdict = &case.verdicts.dmarc;
    let applied = verdict.applied.as_ref()?;
    let tag = match applied.tag {
        PolicyTag::P => return None,
        PolicyTag::Sp => "sp=",
        PolicyTag::Np => "np=",
    };
    if verdict.result != DmarcResult::Fail {
        return None;
    }
    let claim = format!(
        "{author} has no DMARC record of its own: {tag}{} of _dmarc.{} applied",
        applied.policy.as_str(),
        applied.domain
    );
    let finding = Finding::note(&causes::SUBDOMAIN_POLICY, Confidence::Certain, claim);
    Some(
        with_answer(finding, &verdict.answers, &applied.domain)
            .fix(format!("authenticate the mail of {author}, or publish a DMARC record at _dmarc.{author}")),
    )
}

/// psd= moved the boundary of the organisation away from where the Public Suffix List draws it.
fn moved_boundary(case: &Case<'_>, author: &DomainName) -> Option<Finding> {
    let verdict = &case.verdicts.dmarc;
    // Without any record the walk says nothing.
    verdict.applied.as_ref()?;
    let walked = verdict.organizational.as_ref()?;
    let listed = psl::domain_str(author.as_str())?;
    if walked.as_str() == listed || !author.is_within(walked) {
        return None;
    }
    // It matters only where some domain aligns by one of the two and not by the other.
    let signed = case.verdicts.dkim.iter().filter(|result| result.result == Word::Pass);
    let domains = signed.filter_map(|result| result.signature.domain.as_ref()).chain(
        case.verdicts
            .spf
            .iter()
            .filter(|spf| spf.main.result == SpfResult::Pass)
            .filter_map(|spf| spf.main.domain.as_ref()),
    );
    let differs = domains
        .filter(|domain| *domain != author)
        .any(|domain| domain.is_within(walked) != (psl::domain_str(domain.as_str()) == Some(listed)));
    if !differs {
        return None;
    }
    let claim = format!(
        "the organisational domain of {author} is {walked} by the tree walk, and {listed} by the Public Suffix List"
    );
    let effect = if case.standing.authenticates { Effect::Risk } else { Effect::Breaks };
    Some(
        Finding::new(&causes::PSL_VS_TREEWALK, effect, Confidence::Likely, claim)
            .fix(format!("sign with d={author}, which aligns for all receivers")),
    )
}
