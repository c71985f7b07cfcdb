//! The grammar of an SPF record (RFC 7208 §12), term by term.
//!
//! One pass over the bytes; each term is read for itself, so one that is broken does not hide the next. A term has at
//! most one problem, the first that reading it meets.

use super::{
    DualPrefix, MacroString, Mechanism, Problem, ProblemKind, Qualifier, Term, TermKind, has_version,
    macros::{self, Context},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Range,
};

/// Reads the version and the terms of a record.
pub(super) fn read(bytes: &[u8]) -> (Vec<Term>, Vec<Problem>) {
    let mut problems = Vec::new();
    let start = version_end(bytes, &mut problems);
    let mut terms = Vec::new();
    let (mut redirects, mut explanations) = (0, 0);
    let mut at = start;
    for word in bytes[start..].split(|&b| b == b' ') {
        let range = at..at + word.len();
        at = range.end + 1;
        if word.is_empty() {
            continue;
        }
        let kind = match read_term(bytes, range.clone()) {
            Ok(kind) => kind,
            Err(problem) => {
                problems.push(problem);
                TermKind::Unreadable
            }
        };
        let seen = match kind {
            TermKind::Redirect(_) => &mut redirects,
            TermKind::Exp(_) => &mut explanations,
            _ => &mut 0,
        };
        *seen += 1;
        if *seen > 1 {
            problems.push(Problem::new(bytes, range.clone(), ProblemKind::DuplicateModifier));
        }
        terms.push(Term { range, kind });
    }
    (terms, problems)
}

/// Where the terms begin; a version that is missing or misspelled is a problem.
fn version_end(bytes: &[u8], problems: &mut Vec<Problem>) -> usize {
    if has_version(bytes) {
        return 6;
    }
    let blanks = bytes.iter().take_while(|&&b| b == b' ').count();
    let word = bytes[blanks..].iter().take_while(|&&b| b != b' ').count();
    let range = blanks..blanks + word;
    let like_version = bytes[range.clone()].windows(3).any(|part| part.eq_ignore_ascii_case(b"spf"));
    let is_term = !like_version || matches!(read_term(bytes, range.clone()), Ok(TermKind::Directive { .. }));
    let end = if is_term { 0 } else { range.end };
    problems.push(Problem::new(bytes, range, ProblemKind::Version));
    end
}

/// Reads one term: a modifier if `=` follows a name at once, else a directive (§4.6.1).
fn read_term(bytes: &[u8], range: Range<usize>) -> Result<TermKind, Problem> {
    let text = &bytes[range.clone()];
    if let Some(at) = text.iter().position(|b| !b.is_ascii_graphic()) {
        let at = range.start + at;
        return Err(Problem::new(bytes, at..at + 1, ProblemKind::Character(bytes[at])));
    }
    let name = text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')).count();
    if text.get(name) == Some(&b'=') {
        return read_modifier(bytes, range.start..range.start + name, range);
    }
    read_directive(bytes, range)
}

fn read_modifier(bytes: &[u8], name: Range<usize>, term: Range<usize>) -> Result<TermKind, Problem> {
    let value = name.end + 1..term.end;
    let text = &bytes[name.clone()];
    if !text.first().is_some_and(u8::is_ascii_alphabetic) {
        let known = text.strip_prefix(b"-").is_some_and(is_known_modifier);
        let kind = if known { ProblemKind::ModifierAsMechanism } else { ProblemKind::ModifierName };
        return Err(Problem::new(bytes, term, kind));
    }
    if text.eq_ignore_ascii_case(b"redirect") {
        return domain_spec(bytes, value, &term).map(TermKind::Redirect);
    }
    if text.eq_ignore_ascii_case(b"exp") {
        return domain_spec(bytes, value, &term).map(TermKind::Exp);
    }
    let (value, _) = macros::read(bytes, value, Context::Record)?;
    Ok(TermKind::OtherModifier { name, value })
}

fn is_known_modifier(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"redirect") || name.eq_ignore_ascii_case(b"exp")
}

fn read_directive(bytes: &[u8], term: Range<usize>) -> Result<TermKind, Problem> {
    let (qualifier, start) = match bytes[term.start] {
        b'+' => (Qualifier::Pass, term.start + 1),
        b'-' => (Qualifier::Fail, term.start + 1),
        b'~' => (Qualifier::SoftFail, term.start + 1),
        b'?' => (Qualifier::Neutral, term.start + 1),
        _ => (Qualifier::Pass, term.start),
    };
    let name = bytes[start..term.end].iter().take_while(|b| !matches!(b, b':' | b'/' | b'=')).count();
    let rest = start + name..term.end;
    let problem = |kind| Problem::new(bytes, term.clone(), kind);

    let mechanism = match &*bytes[start..start + name].to_ascii_lowercase() {
        b"all" if rest.is_empty() => Mechanism::All,
        b"all" => return Err(problem(ProblemKind::UnexpectedArgument)),
        b"include" => Mechanism::Include(required_domain(bytes, rest, &term)?),
        b"exists" => Mechanism::Exists(required_domain(bytes, rest, &term)?),
        b"a" => {
            let (domain, prefix) = domain_and_prefix(bytes, rest, &term)?;
            Mechanism::A(domain, prefix)
        }
        b"mx" => {
            let (domain, prefix) = domain_and_prefix(bytes, rest, &term)?;
            Mechanism::Mx(domain, prefix)
        }
        b"ptr" => Mechanism::Ptr(optional_domain(bytes, rest, &term)?),
        b"ip4" => {
            let (address, prefix) = network(bytes, rest, &term, 32)?;
            Mechanism::Ip4(address, prefix)
        }
        b"ip6" => {
            let (address, prefix) = network(bytes, rest, &term, 128)?;
            Mechanism::Ip6(address, prefix)
        }
        name if is_known_modifier(name) => return Err(problem(ProblemKind::ModifierAsMechanism)),
        _ => return Err(problem(ProblemKind::UnknownMechanism)),
    };
    Ok(TermKind::Directive { qualifier, mechanism })
}

/// `":" domain-spec`
fn required_domain(bytes: &[u8], rest: Range<usize>, term: &Range<usize>) -> Result<MacroString, Problem> {
    optional_domain(bytes, rest, term)?.ok_or_else(|| Problem::new(bytes, term.clone(), ProblemKind::MissingArgument))
}

/// `[":" domain-spec]`
fn optional_domain(bytes: &[u8], rest: Range<usize>, term: &Range<usize>) -> Result<Option<MacroString>, Problem> {
    match bytes[rest.clone()].first() {
        None => Ok(None),
        Some(b':') => domain_spec(bytes, rest.start + 1..rest.end, term).map(Some),
        Some(_) => Err(Problem::new(bytes, rest, ProblemKind::UnexpectedArgument)),
    }
}

/// `[":" domain-spec] ["/" ip4-prefix] ["//" ip6-prefix]`, the prefixes found from the right: a name may hold `/`.
fn domain_and_prefix(
    bytes: &[u8],
    rest: Range<usize>,
    term: &Range<usize>,
) -> Result<(Option<MacroString>, DualPrefix), Problem> {
    let mut prefix = DualPrefix { ip4: 32, ip6: 128 };
    let mut end = rest.end;
    if let Some(found) = trailing_number(&bytes[rest.start..end], b"//") {
        prefix.ip6 = prefix_length(bytes, end - found..end, 128)?;
        end -= found + 2;
    }
    if let Some(found) = trailing_number(&bytes[rest.start..end], b"/") {
        prefix.ip4 = prefix_length(bytes, end - found..end, 32)?;
        end -= found + 1;
    }
    Ok((optional_domain(bytes, rest.start..end, term)?, prefix))
}

/// How many digits stand at the end, if there are any and `mark` stands before them.
fn trailing_number(text: &[u8], mark: &[u8]) -> Option<usize> {
    let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0 && text[..text.len() - digits].ends_with(mark)).then_some(digits)
}

/// A prefix length: no leading zeros, at most `max` (§5.6).
fn prefix_length(bytes: &[u8], range: Range<usize>, max: u8) -> Result<u8, Problem> {
    let text = &bytes[range.clone()];
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let leading_zero = text.len() > 1 && text[0] == b'0';
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u8>().ok());
    match number {
        Some(number) if digits && !leading_zero && number <= max => Ok(number),
        _ => Err(Problem::new(bytes, range, ProblemKind::Prefix)),
    }
}

/// `":" address ["/" prefix]`
fn network<A>(bytes: &[u8], rest: Range<usize>, term: &Range<usize>, max: u8) -> Result<(A, u8), Problem>
where
    A: std::str::FromStr,
{
    let text = &bytes[rest.clone()];
    match text.first() {
        Some(b':') if text.len() > 1 => {}
        Some(b':') | None => return Err(Problem::new(bytes, term.clone(), ProblemKind::MissingArgument)),
        Some(_) => return Err(Problem::new(bytes, rest, ProblemKind::UnexpectedArgument)),
    }
    let slash = text.iter().position(|&b| b == b'/').map(|at| rest.start + at);
    let address = rest.start + 1..slash.unwrap_or(rest.end);
    let written = std::str::from_utf8(&bytes[address.clone()]).unwrap_or_default();
    let Ok(network) = written.parse::<A>() else {
        let other = written.parse::<Ipv4Addr>().is_ok() || written.parse::<Ipv6Addr>().is_ok();
        let kind = if other { ProblemKind::AddressFamily } else { ProblemKind::Address };
        return Err(Problem::new(bytes, address, kind));
    };
    let prefix = match slash {
        Some(slash) => prefix_length(bytes, slash + 1..rest.end, max)?,
        None => max,
    };
    Ok((network, prefix))
}

/// A domain: a macro string that ends in a macro, or in a dot and a top-level label (§7.1).
fn domain_spec(bytes: &[u8], range: Range<usize>, term: &Range<usize>) -> Result<MacroString, Problem> {
    if range.is_empty() {
        return Err(Problem::new(bytes, term.clone(), ProblemKind::MissingArgument));
    }
    let (string, last_macro) = macros::read(bytes, range.clone(), Context::Record)?;
    let tail = &bytes[last_macro..range.end];
    if tail.is_empty() {
        return Ok(string);
    }
    let tail = tail.strip_suffix(b".").unwrap_or(tail);
    let label = tail.rsplit(|&b| b == b'.').next().unwrap_or_default();
    let problem = |kind| Problem::new(bytes, range.clone(), kind);
    if std::str::from_utf8(&bytes[range.clone()])
        .is_ok_and(|text| text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok())
    {
        return Err(problem(ProblemKind::AddressAsName));
    }
    if !is_top_label(label) {
        return Err(problem(ProblemKind::TopLabel));
    }
    if label.len() == tail.len() {
        return Err(problem(ProblemKind::SingleLabel));
    }
    Ok(string)
}

/// Letters, digits and `-`, neither end a `-`, not all digits.
fn is_top_label(label: &[u8]) -> bool {
    let ends = [label.first(), label.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && !label.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::{Letter, MacroFault, Record};
    use super::*;

    fn kinds(text: &str) -> Vec<TermKind> {
        let (record, problems) = Record::read(text.as_bytes());
        assert_eq!(problems, [], "{text}");
        record.terms().iter().map(|term| term.kind.clone()).collect()
    }

    #[test]
    fn terms_are_read_with_their_places() {
        let text = "v=spf1  +mx/24//64 -ip4:192.0.2.0/24 ?IP6:2001:db8::/32 ~a:x.%{d}/8 ptr exp=e.%{d2} x=y ALL ";
        let (record, problems) = Record::read(text.as_bytes());
        assert_eq!(problems, []);
        let places: Vec<&str> = record.terms().iter().map(|term| &text[term.range.clone()]).collect();
        let want: Vec<&str> = text.split(' ').skip(1).filter(|word| !word.is_empty()).collect();
        assert_eq!(places, want);
        let dual = DualPrefix { ip4: 24, ip6: 64 };
        let directive = |qualifier, mechanism| TermKind::Directive { qualifier, mechanism };
        let terms = kinds(text);
        assert_eq!(terms[0], directive(Qualifier::Pass, Mechanism::Mx(None, dual)));
        assert_eq!(terms[1], directive(Qualifier::Fail, Mechanism::Ip4([192, 0, 2, 0].into(), 24)));
        let net6 = "2001:db8::".parse().expect("an address");
        assert_eq!(terms[2], directive(Qualifier::Neutral, Mechanism::Ip6(net6, 32)));
        let TermKind::Directive { mechanism: Mechanism::A(Some(domain), prefix), .. } = &terms[3] else {
            panic!("{:?}", terms[3]);
        };
        assert_eq!((&text[domain.range()], prefix), ("x.%{d}", &DualPrefix { ip4: 8, ip6: 128 }));
        assert!(domain.uses(Letter::Domain) && !domain.uses(Letter::Helo));
        assert_eq!(terms[4], directive(Qualifier::Pass, Mechanism::Ptr(None)));
        assert_eq!(record.exp().map(|exp| &text[exp.range()]), Some("e.%{d2}"));
        assert!(matches!(&terms[6], TermKind::OtherModifier { name, .. } if &text[name.clone()] == "x"));
        assert_eq!(terms[7], directive(Qualifier::Pass, Mechanism::All));
    }

    #[test]
    fn odd_but_legal_records_are_valid() {
        for text in [
            "v=spf1",
            "v=spf1 ",
            "v=spf1 a:foo:bar/baz.example.com",
            "v=spf1 a:foo:bar/baz.example.com/24//64",
            "v=spf1 a//0 mx/0 ip4:1.2.3.4/0 ip6:::/0 ip6:::ffff:1.2.3.4/128",
            "v=spf1 include:a.example. exists:%{d} exists:x%% exists:%{l1r+-}.x-1.example",
            "v=spf1 a:.com a:x..example a:foo.example.xn--zckzah a:x.1-2",
            "v=spf1 moo.cow-far_out=man:dog/cat empty= ip4=1.2.3.4 -all",
            "v=spf1 redirect=%{d}.x.example exp=%{o}",
        ] {
            let (record, problems) = Record::read(text.as_bytes());
            assert!(record.is_valid() && problems.is_empty(), "{text}: {problems:?}");
        }
    }

    #[test]
    fn every_problem_has_its_kind_and_place() {
        use ProblemKind::*;
        for (terms, want, place) in [
            ("inlcude:x.example", UnknownMechanism, "inlcude:x.example"),
            ("ip:192.0.2.1", UnknownMechanism, "ip:192.0.2.1"),
            ("all. ~all", UnknownMechanism, "all."),
            ("a,mx", UnknownMechanism, "a,mx"),
            ("!all", UnknownMechanism, "!all"),
            ("-", UnknownMechanism, "-"),
            ("redirect:x.example", ModifierAsMechanism, "redirect:x.example"),
            ("?exp=x.example", ModifierAsMechanism, "?exp=x.example"),
            ("-redirect=x.example", ModifierAsMechanism, "-redirect=x.example"),
            ("1up=foo", ModifierName, "1up=foo"),
            ("=all", ModifierName, "=all"),
            ("include", MissingArgument, "include"),
            ("ip4: 192.0.2.1", MissingArgument, "ip4:"),
            ("-a:/24", MissingArgument, "-a:/24"),
            ("redirect=", MissingArgument, "redirect="),
            ("exists/24", UnexpectedArgument, "/24"),
            ("all:x", UnexpectedArgument, "all:x"),
            ("ptr/0", UnexpectedArgument, "/0"),
            ("a/24/16", UnexpectedArgument, "/24"),
            ("a/24/64", Prefix, "64"),
            ("ip4:192.0.2", Address, "192.0.2"),
            ("ip4:192.0.2.1:25", Address, "192.0.2.1:25"),
            ("ip4:192.0.2.01", Address, "192.0.2.01"),
            ("ip4:mail.example.com", Address, "mail.example.com"),
            ("ip6::CAFE::BABE", Address, ":CAFE::BABE"),
            ("ip4:2001:db8::/32", AddressFamily, "2001:db8::"),
            ("ip6:192.0.2.1", AddressFamily, "192.0.2.1"),
            ("ip4:192.0.2.0/33", Prefix, "33"),
            ("ip4:192.0.2.0/032", Prefix, "032"),
            ("ip4:192.0.2.0//32", Prefix, "/32"),
            ("ip4:192.0.2.0/", Prefix, ""),
            ("ip6:::1/129", Prefix, "129"),
            ("a/33", Prefix, "33"),
            ("mx//129", Prefix, "129"),
            ("a/99999999999999999999", Prefix, "99999999999999999999"),
            ("a:192.0.2.1", AddressAsName, "192.0.2.1"),
            ("mx:192.0.2.1/24", AddressAsName, "192.0.2.1"),
            ("a:abc.123", TopLabel, "abc.123"),
            ("a:example.-com", TopLabel, "example.-com"),
            ("a:example.com..", TopLabel, "example.com.."),
            ("include:x.example,", TopLabel, "x.example,"),
            ("include:x.example.com~all", TopLabel, "x.example.com~all"),
            ("include:x.example/24", TopLabel, "x.example/24"),
            ("a:museum.", SingleLabel, "museum."),
            ("a:%{d}foo", SingleLabel, "%{d}foo"),
            ("exists:foo%.x.example", Macro(MacroFault::Percent), "%."),
            ("x=%abc", Macro(MacroFault::Percent), "%a"),
            ("exp=%{r}.example", Macro(MacroFault::ExplanationOnly), "%{r}"),
            ("exp=a.example exp=b.example", DuplicateModifier, "exp=b.example"),
            ("redirect=a.example x redirect=b.example", UnknownMechanism, "x"),
            ("a:x.example\t-all", Character(b'\t'), "\t"),
            ("a:x.example\0", Character(0), "\0"),
        ] {
            let text = format!("v=spf1 a {terms} mx");
            let (record, problems) = Record::read(text.as_bytes());
            assert!(!record.is_valid());
            let first = &problems[0];
            assert_eq!((first.kind, &text[first.range.clone()]), (want, place), "{text}");
            assert_eq!(
                record.terms().len(),
                text.split_ascii_whitespace().count() - 1 - usize::from(terms.contains('\t'))
            );
        }
        let (_, problems) = Record::read(b"v=spf1 a:\xef\xbb\xbfx.example moo redirect=a.example redirect=b.example");
        let kinds: Vec<_> = problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [Character(0xef), UnknownMechanism, DuplicateModifier]);
        assert_eq!(problems[1].to_string(), "unknown mechanism (octet 22: moo)");
    }

    #[test]
    fn a_missing_version_is_a_problem_and_the_terms_are_read_all_the_same() {
        for (text, terms) in [
            ("v=spf1; a -all", 2),
            ("v=SPF2.0 a -all", 2),
            ("spf1 a -all", 2),
            ("\"v=spf1 a -all", 2),
            ("include:email.example.com ~all", 2),
            ("include:_spf.example.com ~all", 2),
            ("v=spf1mx -all", 1),
            ("", 0),
        ] {
            let (record, problems) = Record::read(text.as_bytes());
            assert_eq!(problems.first().map(|problem| problem.kind), Some(ProblemKind::Version), "{text}");
            assert_eq!((record.terms().len(), record.is_valid()), (terms, false), "{text}");
        }
    }

    #[test]
    fn huge_records_take_linear_time() {
        for (name, unit) in [
            ("terms", &b" a:x.example"[..]),
            ("broken terms", b" moo"),
            ("one long term", b"%{d}."),
            ("unclosed macros", b" a:%{d"),
            ("percent signs", b"%"),
            ("slashes", b"/1"),
            ("high octets", b" \xff"),
        ] {
            let text = [&b"v=spf1 a:"[..], &unit.repeat(80_000)].concat();
            let start = std::time::Instant::now();
            let (record, problems) = Record::read(&text);
            assert!(!record.terms().is_empty() && problems.len() <= record.terms().len(), "{name}");
            // Milliseconds without optimisation; were it quadratic, 80,000 terms would take minutes.
            assert!(start.elapsed() < std::time::Duration::from_secs(10), "{name}: {:?}", start.elapsed());
        }
    }
}
