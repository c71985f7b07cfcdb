//! Several SPF records at one name: a permanent error by definition (RFC 7208 §4.5).

use super::{Judged, Sight, strings::is_all};
use crate::{
    diagnose::{
        finding::{Confidence, Effect, Finding},
        register::spf as causes,
    },
    dns::Data,
    spf::{Record, Selection, TermKind, has_version, select},
};

/// Records of one name that are merged.
const MOST: usize = 8;

/// Terms of the merged record.
const TERMS: usize = 100;

/// Several records, and what they say in one.
pub fn findings(judged: &Judged<'_>, sight: Sight<'_>) -> Vec<Finding> {
    let texts = sight.answer.joined_txt();
    let Selection::Several(found) = select(texts.iter().map(Vec::as_slice)) else { return Vec::new() };
    let merged = merged(&found);
    let identical = found.windows(2).all(|pair| pair[0] == pair[1]);
    let claim = format!(
        "{} has {} TXT records that begin with v=spf1{}; SPF allows one",
        sight.domain,
        found.len(),
        if identical { ", all the same" } else { "" }
    );
    let mut finding =
        judged.breaks(&causes::MULTIPLE_RECORDS, Confidence::Certain, claim).dns("the TXT records", sight.answer);
    if Record::read(&merged).0.is_valid() {
        if judged.passes(sight.domain, &merged) {
            finding = finding.text("tried", "with the merged record, SPF passes");
        }
        finding = finding.repaired(sight, &merged);
        if sight.own {
            finding = finding.fix("delete the other TXT records that begin with v=spf1");
        }
        return vec![finding];
    }
    vec![finding.fix(format!("leave one of the SPF records of {} and delete the others", sight.domain))]
}

/// One record that a zone file says twice. Name servers serve it once (RFC 2181 §5), so that nothing fails; but where the
/// copies come from a panel's database or a server that keeps them, strict verifiers count two.
pub fn repeated(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let is_spf = |data: &Data| matches!(data, Data::Txt(strings) if has_version(&strings.concat()));
    sight.answer.repeated.iter().find(|data| is_spf(data))?;
    let claim = format!(
        "the SPF record of {} stands more than once in the zone file: name servers make one of it, and where they do \
         not, strict receivers count several",
        sight.domain
    );
    let finding = judged.finding(&causes::MULTIPLE_RECORDS, Effect::Risk, Confidence::Certain, claim);
    Some(finding.dns("the TXT records", sight.answer).fix(format!("leave one copy at {}", sight.domain)))
}

/// One record with the terms of all, each once. The laxest `all` ends it, but for one that would let everyone in.
fn merged(found: &[&[u8]]) -> Vec<u8> {
    let mut terms: Vec<Vec<u8>> = Vec::new();
    let mut all: Option<Vec<u8>> = None;
    let (mut redirects, mut explanation): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
    for text in found.iter().take(MOST) {
        let (record, _) = Record::read(text);
        for term in record.terms() {
            let word = text[term.range.clone()].to_vec();
            let known = |words: &[Vec<u8>]| words.iter().any(|known| known.eq_ignore_ascii_case(&word));
            let rank = |word: &[u8]| b"-~?".iter().position(|sign| word.first() == Some(sign));
            match &term.kind {
                _ if is_all(&word) => all = all.into_iter().chain([word]).max_by_key(|word| rank(word)),
                TermKind::Redirect(target) => {
                    let target = text[target.range()].to_vec();
                    if !redirects.iter().any(|known| known.eq_ignore_ascii_case(&target)) {
                        redirects.push(target);
                    }
                }
                TermKind::Exp(_) => explanation = explanation.or(Some(word)),
                _ if !known(&terms) && terms.len() < TERMS => terms.push(word),
                _ => {}
            }
        }
    }
    // A record can redirect once, and not at all beside `all`; what it leads to can be included.
    let redirect = if all.is_none() && redirects.len() == 1 { redirects.pop() } else { None };
    terms.extend(redirects.iter().map(|target| [b"include:", &target[..]].concat()));
    let redirect = redirect.map(|target| [b"redirect=", &target[..]].concat());
    let end = [all, redirect, explanation].into_iter().flatten().collect();
    [vec![b"v=spf1".to_vec()], terms, end].concat().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn records_are_merged_into_one() {
        for (records, want) in [
            (
                &["v=spf1 include:a.example ~all", "v=spf1 mx include:A.example include:b.example -all"][..],
                "v=spf1 include:a.example mx include:b.example ~all",
            ),
            (&["v=spf1 -all", "v=spf1 -all"], "v=spf1 -all"),
            (&["v=spf1 a redirect=x.example", "v=spf1 mx ?all"], "v=spf1 a mx include:x.example ?all"),
            (&["v=spf1 redirect=x.example", "v=spf1 redirect=y.example"], "v=spf1 include:x.example include:y.example"),
            (&["v=spf1 a", "v=spf1 redirect=y.example exp=e.example"], "v=spf1 a redirect=y.example exp=e.example"),
            (&["v=spf1", "v=spf1 mx"], "v=spf1 mx"),
        ] {
            let records: Vec<&[u8]> = records.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(String::from_utf8_lossy(&merged(&records)), want);
        }
    }
}
