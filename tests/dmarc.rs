//! DMARC over zone files: policy discovery, alignment, policies, faults; and side by side with mail-auth.

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DnsError, Error, MessageAuthenticator, Parameters, RecordSet, ResolverCache,
    SpfOutput, Txt,
    common::parse::TxtRecordParser,
    dmarc::{Dmarc, verify::DmarcParameters},
    hickory_resolver::config::{ResolverConfig, ResolverOpts},
};
use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};
use waxseal::{
    address::author_domain,
    dns::{Answer, Dns, Fault, Outcome, Pending, RecordType, Source, zone},
    message::Header,
    name::DomainName,
    verify::dmarc::{Authenticated, SpfIdentity, Verdict, discover, verify},
};

/// A zone file whose names in `faults` have no answer.
struct Faulty {
    zone: Dns,
    faults: BTreeSet<String>,
}

impl Source for Faulty {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(async move {
            let answer = self.zone.query(name, kind).await;
            if !self.faults.contains(name) {
                return answer;
            }
            let outcome = Outcome::Fault(Fault::ServFail);
            Arc::new(Answer { outcome, records: Vec::new(), took: Duration::ZERO, ..(*answer).clone() })
        })
    }
}

/// DNS from lines of a master file; `! name` is a name without an answer.
fn dns(lines: &str) -> Dns {
    let faults = lines.lines().filter_map(|line| line.trim().strip_prefix("! ")).map(str::to_owned).collect();
    let zone: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.starts_with('!')).collect();
    let zone = zone::parse(format!("$TTL 300\n{}\n", zone.join("\n")), "zone").expect("a good zone");
    Dns::new(Faulty { zone, faults })
}

fn name(text: &str) -> DomainName {
    DomainName::new(text).expect(text)
}

/// Judges a message; `auth` holds words like `dkim=pass:example.com`, `spf=temperror:example.com`, `helo=pass:...` and
/// `null=pass:...` (the HELO name of a null sender).
async fn judge(dns: &Dns, from: &[&str], auth: &str) -> Verdict {
    let mut header = Header::new();
    for value in from {
        header.push(b"From", value.as_bytes());
    }
    let mut dkim = Vec::new();
    let mut spf = None;
    for word in auth.split_whitespace() {
        let (method, rest) = word.split_once('=').expect(word);
        let (result, domain) = rest.split_once(':').expect(word);
        let state = match result {
            "pass" => Authenticated::Yes,
            "temperror" => Authenticated::Unknown,
            _ => Authenticated::No,
        };
        match method {
            "dkim" => dkim.push((state, name(domain))),
            "spf" => spf = Some((state, name(domain), SpfIdentity::MailFrom)),
            "null" => spf = Some((state, name(domain), SpfIdentity::NullSender)),
            "helo" => spf = Some((state, name(domain), SpfIdentity::Helo)),
            _ => panic!("{word}"),
        }
    }
    let dkim: Vec<(Authenticated, &DomainName)> = dkim.iter().map(|(state, domain)| (*state, domain)).collect();
    let spf = spf.as_ref().map(|(state, domain, identity)| (*state, domain, *identity));
    verify(dns, author_domain(&header), &dkim, spf).await
}

/// `result policy record-domain flags`, as the tables state it: flags are `d`, `s`, `ds` or `-`.
fn shown(verdict: &Verdict) -> String {
    let domain = verdict.applied.as_ref().map_or("-", |applied| applied.domain.as_str());
    let flags = match (verdict.dkim_aligned, verdict.spf_aligned) {
        (true, true) => "ds",
        (true, false) => "d",
        (false, true) => "s",
        (false, false) => "-",
    };
    format!("{} {} {domain} {flags}", verdict.result, verdict.policy())
}

async fn table(zone: &str, rows: &[(&str, &str, &str)]) {
    let dns = dns(zone);
    for (from, auth, want) in rows {
        let verdict = judge(&dns, &[&format!("a@{from}")], auth).await;
        assert_eq!(shown(&verdict), *want, "From {from}, {auth}: {}", verdict.reason);
        assert!(verdict.answers.len() <= 9 + 16);
    }
}

#[tokio::test]
async fn alignment_is_by_organizational_domain_or_strict() {
    let zone = r#"
        _dmarc.example.com. TXT "v=DMARC1; p=reject; sp=quarantine"
        _dmarc.strict.example. TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
        _dmarc.dkim.example. TXT "v=DMARC1; p=none; adkim=s"
        mail.example.com. A 192.0.2.1
        _dmarc.apart.example.com. TXT "v=DMARC1; p=none; psd=n"
    "#;
    table(
        zone,
        &[
            ("example.com", "dkim=pass:example.com", "pass reject example.com d"),
            ("example.com", "dkim=pass:mail.example.com", "pass reject example.com d"),
            ("mail.example.com", "dkim=pass:example.com", "pass quarantine example.com d"),
            ("mail.example.com", "dkim=pass:news.example.com", "pass quarantine example.com d"),
            ("example.com", "spf=pass:bounce.example.com", "pass reject example.com s"),
            ("example.com", "dkim=pass:example.com spf=pass:example.com", "pass reject example.com ds"),
            ("example.com", "dkim=fail:example.com spf=fail:example.com", "fail reject example.com -"),
            ("example.com", "", "fail reject example.com -"),
            ("example.com", "dkim=pass:com", "fail reject example.com -"),
            ("example.com", "dkim=pass:notexample.com spf=pass:example.com.evil", "fail reject example.com -"),
            // A failing aligned signature and a passing strange one do not add up.
            ("example.com", "dkim=fail:example.com dkim=pass:attack.example", "fail reject example.com -"),
            ("example.com", "dkim=pass:attack.example dkim=pass:example.com", "pass reject example.com d"),
            // The names of HELO count only in place of a null sender.
            ("example.com", "helo=pass:example.com", "fail reject example.com -"),
            ("example.com", "null=pass:example.com", "pass reject example.com s"),
            // A domain that declares itself organizational aligns with nothing above or beside it.
            ("apart.example.com", "dkim=pass:example.com", "fail none apart.example.com -"),
            ("example.com", "dkim=pass:apart.example.com", "fail reject example.com -"),
            ("x.apart.example.com", "dkim=pass:y.apart.example.com", "pass none apart.example.com d"),
            ("strict.example", "dkim=pass:mail.strict.example", "fail reject strict.example -"),
            ("strict.example", "spf=pass:mail.strict.example", "fail reject strict.example -"),
            ("strict.example", "dkim=pass:strict.example", "pass reject strict.example d"),
            ("mail.strict.example", "dkim=pass:strict.example", "fail reject strict.example -"),
            ("dkim.example", "dkim=pass:m.dkim.example spf=pass:m.dkim.example", "pass none dkim.example s"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_tree_decides_which_record_applies() {
    let zone = r#"
        _dmarc.corp.example. TXT "v=DMARC1; p=reject; sp=none"
        _dmarc.mail.corp.example. TXT "v=DMARC1; p=quarantine; sp=reject"
        _dmarc.bank. TXT "v=DMARC1; psd=y; p=reject; sp=quarantine; np=reject"
        _dmarc.own.bank. TXT "v=DMARC1; p=none"
        exists.bank. A 192.0.2.1
        _dmarc.uk. TXT "v=DMARC1; psd=y; p=none"
        _dmarc.co.uk. TXT "v=DMARC1; psd=y; p=reject"
        a.shop.co.uk. A 192.0.2.1
        _dmarc.several.example. TXT "v=DMARC1; p=reject"
        _dmarc.several.example. TXT "v=DMARC1; p=none"
        _dmarc.sub.several.example. TXT "v=DMARC1; p=quarantine"
        _dmarc.beside.example. TXT "v=DMARC1; p=reject"
        _dmarc.beside.example. TXT "v=spf1 -all"
        _dmarc.split.example. TXT "v=DMARC1; p=rej" "ect"
        _dmarc.alias.example. CNAME _dmarc.corp.example.
        _dmarc.deep.example. TXT "v=DMARC1; p=reject"
    "#;
    table(
        zone,
        &[
            ("nothing.example", "dkim=pass:nothing.example", "none none - d"),
            ("nothing.example", "dkim=pass:other.example", "none none - -"),
            // The author's own record, else the organizational domain's; never one between.
            ("mail.corp.example", "", "fail quarantine mail.corp.example -"),
            ("mail.corp.example", "dkim=pass:corp.example", "pass quarantine mail.corp.example d"),
            ("a.mail.corp.example", "", "fail none corp.example -"),
            ("a.mail.corp.example", "dkim=pass:news.corp.example", "pass none corp.example d"),
            // Below a public suffix the organizational domain is one label longer, with or without a record.
            ("own.bank", "dkim=pass:mail.own.bank", "pass none own.bank d"),
            ("exists.bank", "dkim=pass:own.bank", "fail quarantine bank -"),
            ("x.exists.bank", "dkim=pass:y.exists.bank", "pass reject bank d"),
            ("missing.bank", "", "fail reject bank -"),
            ("bank", "dkim=pass:bank", "pass reject bank d"),
            ("bank", "dkim=pass:own.bank", "fail reject bank -"),
            ("a.shop.co.uk", "dkim=pass:shop.co.uk", "pass reject co.uk d"),
            ("a.shop.co.uk", "dkim=pass:other.co.uk", "fail reject co.uk -"),
            // Several records are none; other texts beside the record do not matter; strings are joined.
            ("several.example", "dkim=pass:several.example", "none none - d"),
            ("sub.several.example", "", "fail quarantine sub.several.example -"),
            ("beside.example", "", "fail reject beside.example -"),
            ("split.example", "", "fail reject split.example -"),
            ("alias.example", "", "fail reject alias.example -"),
            // From eight labels on the walk jumps to seven.
            ("1.2.3.4.5.6.deep.example", "dkim=pass:deep.example", "pass reject deep.example d"),
            ("1.2.3.4.5.6.7.8.9.deep.example", "dkim=pass:deep.example", "pass reject deep.example d"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_policy_is_that_of_the_tag_that_applies() {
    let zone = r#"
        _dmarc.all.example. TXT "v=DMARC1; p=none; sp=quarantine; np=reject"
        there.all.example. A 192.0.2.1
        empty.all.example. TXT "no address"
        x.ent.all.example. A 192.0.2.1
        cname.all.example. CNAME nowhere.example.
        _dmarc.under.all.example. CNAME nowhere.example.
        _dmarc.np.example. TXT "v=DMARC1; p=reject; np=none"
        there.np.example. A 192.0.2.1
        _dmarc.test.example. TXT "v=DMARC1; p=reject; sp=quarantine; t=y"
        _dmarc.asnone.example. TXT "v=DMARC1; p=rejct; rua=mailto:a@asnone.example"
        _dmarc.badsp.example. TXT "v=DMARC1; p=reject; sp=x; rua=mailto:a@badsp.example"
        _dmarc.norua.example. TXT "v=DMARC1; p=rejct"
        _dmarc.badtag.example. TXT "v=DMARC1; p=reject; adkim=x; pct=50; foo=bar"
        _dmarc.notv.example. TXT "p=reject; v=DMARC1"
        _dmarc.case.example. TXT "V=DMARC1;P=REJECT"
        _dmarc.unknown.example. TXT "v=DMARC1; p=quarantine; np=reject"
        ! unknown.unknown.example
    "#;
    table(
        zone,
        &[
            ("all.example", "", "fail none all.example -"),
            ("there.all.example", "", "fail quarantine all.example -"),
            ("empty.all.example", "", "fail quarantine all.example -"),
            ("ent.all.example", "", "fail quarantine all.example -"),
            ("cname.all.example", "", "fail quarantine all.example -"),
            ("under.all.example", "", "fail quarantine all.example -"),
            ("gone.all.example", "", "fail reject all.example -"),
            ("x.gone.all.example", "dkim=pass:all.example", "pass reject all.example d"),
            ("there.np.example", "", "fail reject np.example -"),
            ("gone.np.example", "", "fail none np.example -"),
            // The milder policy where DNS does not say whether the domain exists.
            ("unknown.unknown.example", "", "fail quarantine unknown.example -"),
            ("test.example", "", "fail quarantine test.example -"),
            ("x.test.example", "", "fail none test.example -"),
            ("asnone.example", "", "fail none asnone.example -"),
            ("badsp.example", "", "fail none badsp.example -"),
            ("norua.example", "dkim=pass:norua.example", "none none norua.example d"),
            ("badtag.example", "dkim=pass:m.badtag.example", "pass reject badtag.example d"),
            ("notv.example", "", "none none - -"),
            ("case.example", "", "fail reject case.example -"),
        ],
    )
    .await;
}

#[tokio::test]
async fn faults_are_temperror_unless_something_passes() {
    let zone = r#"
        ! _dmarc.broken.example
        _dmarc.above.test. TXT "v=DMARC1; p=reject"
        ! _dmarc.test
        _dmarc.strict.test. TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
        _dmarc.good.example. TXT "v=DMARC1; p=reject"
        ! _dmarc.sub.good.example
    "#;
    table(
        zone,
        &[
            ("broken.example", "dkim=pass:broken.example", "temperror none - d"),
            ("x.broken.example", "", "temperror none - -"),
            // Aligned with the author's own domain whatever stands above.
            ("above.test", "dkim=pass:above.test", "pass reject above.test d"),
            ("above.test", "dkim=pass:x.above.test", "temperror reject above.test -"),
            ("above.test", "dkim=pass:attack.example", "fail reject above.test -"),
            ("above.test", "", "fail reject above.test -"),
            ("x.above.test", "", "temperror none - -"),
            ("strict.test", "dkim=pass:x.strict.test", "fail reject strict.test -"),
            // An aligned identity that DNS left undecided.
            ("good.example", "dkim=temperror:good.example", "temperror reject good.example -"),
            ("good.example", "spf=temperror:m.good.example", "temperror reject good.example -"),
            ("good.example", "dkim=temperror:good.example spf=pass:good.example", "pass reject good.example s"),
            ("good.example", "dkim=temperror:good.example dkim=pass:m.good.example", "pass reject good.example d"),
            ("good.example", "dkim=temperror:other.test spf=temperror:other.test", "fail reject good.example -"),
            ("good.example", "helo=temperror:good.example", "fail reject good.example -"),
            ("good.example", "dkim=pass:sub.good.example", "temperror reject good.example -"),
            ("good.example", "dkim=pass:sub.good.example spf=pass:good.example", "pass reject good.example s"),
        ],
    )
    .await;
}

#[tokio::test]
async fn from_without_exactly_one_domain_is_permerror_and_asks_nothing() {
    let dns = dns(r#"_dmarc.example.com. TXT "v=DMARC1; p=reject""#);
    let fifty: Vec<String> = (0..50).map(|n| format!("a@d{n}.example")).collect();
    let fifty = fifty.join(", ");
    for from in [
        &[][..],
        &[" a@example.com", " a@example.com"],
        &[" a@example.com, b@other.example"],
        &[" =?utf-8?B?YUBleGFtcGxlLmNvbQ==?="],
        &[" <@attack.example:a@example.com>"],
        &[" <a@example.com>\\,<b@attack.example>"],
        &[" undisclosed:;"],
        &[" root"],
        &[&fifty],
    ] {
        let verdict = judge(&dns, from, "dkim=pass:example.com spf=pass:example.com").await;
        assert_eq!((shown(&verdict).as_str(), verdict.answers.len()), ("permerror none - -", 0), "{from:?}");
        assert!(!verdict.reason.is_empty());
    }
    // Several mailboxes of one domain are one domain.
    let verdict = judge(&dns, &[" a@example.com, B <b@Example.COM>"], "dkim=pass:example.com").await;
    assert_eq!(shown(&verdict), "pass reject example.com d");
}

#[tokio::test]
async fn questions_are_bounded() {
    let dns = dns(r#"_dmarc.long.example. TXT "v=DMARC1; p=reject; np=none""#);
    let long = "a.".repeat(110) + "long.example";
    let many: Vec<String> = (0..50).map(|n| format!("dkim=pass:{n}.{}long.example", "b.".repeat(20))).collect();
    let verdict = judge(&dns, &[&format!("a@{long}")], "dkim=fail:long.example").await;
    assert_eq!((shown(&verdict).as_str(), verdict.answers.len()), ("fail none long.example -", 9));
    let verdict = judge(&dns, &[&format!("a@{long}")], &many.join(" ")).await;
    assert!(verdict.answers.len() <= 9 + 16, "{} questions", verdict.answers.len());
    // The longest name leaves no room for `_dmarc.`: nothing can be published there, so its parents decide.
    let longest = format!("{}.{}.{}.{}.long.example", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(46));
    assert_eq!(longest.len(), 251);
    let verdict = judge(&dns, &[&format!("a@{longest}")], "dkim=pass:long.example").await;
    assert_eq!(shown(&verdict), "pass none long.example d");
}

#[tokio::test]
async fn the_result_is_told_in_authentication_results() {
    let dns = dns(r#"_dmarc.example.com. TXT "v=DMARC1; p=reject""#);
    for (from, auth, want) in [
        (&["a@example.com"][..], "dkim=pass:example.com", "dmarc=pass header.from=example.com policy.dmarc=reject"),
        (
            &["a@example.com"],
            "dkim=pass:other.example",
            "dmarc=fail reason=\"dkim passed for other.example, not aligned with example.com\" \
             header.from=example.com policy.dmarc=reject",
        ),
        (&["a@b.example"], "", "dmarc=none reason=\"no record for b.example\" header.from=b.example"),
        (&[], "", "dmarc=permerror reason=\"no From field\""),
    ] {
        let results = vec![judge(&dns, from, auth).await.method_result()];
        let field = waxseal::authres::AuthResults { authserv_id: "mx".into(), results };
        assert_eq!(field.to_string(), format!("mx; {want}"));
    }
}

#[tokio::test]
async fn discovery_can_run_while_the_body_arrives() {
    let dns = dns(r#"_dmarc.example.com. TXT "v=DMARC1; p=reject""#);
    let early = tokio::spawn({
        let dns = dns.clone();
        async move { discover(&dns, Ok(name("mail.example.com"))).await }
    });
    let domain = name("example.com");
    let dkim = [(Authenticated::Yes, &domain)];
    let verdict = early.await.expect("no panic").judge(&dns, &dkim, None).await;
    assert_eq!(shown(&verdict), "pass reject example.com d");
    // `_dmarc.example.com` and `_dmarc.com` were asked once, for both domains.
    assert_eq!(verdict.answers.len(), 3);
}

// Side by side with mail-auth 0.13.3, whose cache is filled beforehand so that it asks nobody.

struct Filled<V>(HashMap<Box<str>, V>);

impl<V: Clone> ResolverCache<Box<str>, V> for Filled<V> {
    fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.get(key).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: V, _: Instant) {}
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }
}

const NAMES: &[&str] = &[
    "example",
    "corp.example",
    "mail.corp.example",
    "a.mail.corp.example",
    "news.corp.example",
    "other.example",
    "1.2.3.4.5.6.7.8.corp.example",
];

const PLAIN: &[&str] = &[
    "v=DMARC1; p=reject",
    "v=DMARC1; p=quarantine; sp=none",
    "v=DMARC1; p=none; sp=reject",
    "v=DMARC1; p=none; sp=reject; np=quarantine",
    "v=DMARC1; p=reject; adkim=s",
    "v=DMARC1; p=reject; aspf=s; t=y",
    "v=DMARC1; p=quarantine; psd=y",
    "v=DMARC1; p=reject; psd=n",
    "v=DMARC1; psd=y; rua=mailto:a@b.example",
    "v=DMARC1; rua=mailto:a@b.example",
    "v=DMARC1",
    "V=DMARC1 ;P = Reject; foo=bar; pct=10",
    "v=DMARC1;p=none;fo=1:d:s;ruf=mailto:a@b.example!10m",
    "v=spf1 -all",
    "v=DMARC1 p=reject",
];

const ODD: &[&str] = &[
    "v=dmarc1; p=reject",
    "v=DMARC1; p=rejct",
    "v=DMARC1; p=reject; sp=x; rua=mailto:a@b.example",
    "v=DMARC1; p=reject; adkim=x",
    "v=DMARC1; p=none; p=reject",
    "v=DMARC1; p=reject; nonsense; rua=x",
];

// Differences that must also look as their reason says; the others change which records there are.
const FAULT: &str = "a fault above the author's own record: mail-auth ends, we judge what it cannot change";
const SINGLE_LABEL: &str = "a single label: mail-auth asks nothing";
const NONEXISTENT: &str = "np=: mail-auth's cache cannot hold an NXDOMAIN, so it applies sp=";

/// One generated message and what DNS holds for it.
struct Case {
    records: BTreeMap<&'static str, Vec<&'static str>>,
    faults: BTreeSet<&'static str>,
    author: &'static str,
    author_exists: bool,
    auth: Vec<(&'static str, &'static str, &'static str)>,
}

impl Case {
    fn new(random: &mut Random) -> Case {
        let mut records = BTreeMap::new();
        for domain in NAMES {
            let texts = match random.below(10) {
                0..5 => vec![],
                5..8 => vec![random.pick(PLAIN)],
                8 if random.below(3) == 0 => vec![random.pick(PLAIN), random.pick(PLAIN)],
                8 => vec!["some other text", random.pick(PLAIN)],
                _ if random.below(2) == 0 => vec![random.pick(ODD)],
                _ => vec![random.pick(PLAIN)],
            };
            records.insert(*domain, texts);
        }
        let faults = NAMES.iter().copied().filter(|_| random.below(60) == 0).collect();
        let mut auth = Vec::new();
        for _ in 0..random.below(4) {
            auth.push(("dkim", random.pick(&["pass", "pass", "temperror", "fail"]), random.pick(NAMES)));
        }
        if random.below(2) == 0 {
            auth.push(("spf", random.pick(&["pass", "pass", "temperror", "fail"]), random.pick(NAMES)));
        }
        Case { records, faults, author: random.pick(NAMES), author_exists: random.below(4) > 0, auth }
    }

    async fn ours(&self) -> Verdict {
        let mut zone = String::new();
        for (domain, texts) in &self.records {
            for text in texts {
                zone += &format!("_dmarc.{domain}. TXT \"{text}\"\n");
            }
        }
        if self.author_exists {
            zone += &format!("{}. A 192.0.2.1\n", self.author);
        }
        for domain in &self.faults {
            zone += &format!("! _dmarc.{domain}\n");
        }
        let auth: Vec<String> = self.auth.iter().map(|(method, result, d)| format!("{method}={result}:{d}")).collect();
        judge(&dns(&zone), &[&format!("a@{}", self.author)], &auth.join(" ")).await
    }

    /// What mail-auth's own resolver would have put into its cache.
    fn caches(&self) -> (Filled<Txt>, Filled<RecordSet<Ipv4Addr>>) {
        let nothing = || Txt::Error(Error::Dns(DnsError::InvalidRecordType));
        let mut texts = HashMap::new();
        for domain in NAMES {
            let mut parts: Vec<&str> = domain.split('.').collect();
            while !parts.is_empty() {
                texts.entry(format!("_dmarc.{}.", parts.join(".")).into()).or_insert_with(nothing);
                parts.remove(0);
            }
            let mut found = nothing();
            for text in &self.records[domain] {
                match Dmarc::parse(text.as_bytes()) {
                    Ok(record) => {
                        found = Txt::Dmarc(Arc::new(record));
                        break;
                    }
                    Err(error) => found = Txt::Error(error),
                }
            }
            if self.faults.contains(domain) {
                found = Txt::Error(Error::Dns(DnsError::Resolver("no answer".into())));
            }
            texts.insert(format!("_dmarc.{domain}.").into(), found);
        }
        let mut addresses = HashMap::new();
        if self.author_exists {
            let rrset = RecordSet { rrset: Arc::new([Ipv4Addr::LOCALHOST]), dnssec_status: Default::default() };
            addresses.insert(format!("{}.", self.author).into(), rrset);
        }
        (Filled(texts), Filled(addresses))
    }

    async fn theirs(&self, authenticator: &MessageAuthenticator) -> (String, String, bool, bool) {
        let text = format!("From: a@{}\r\n\r\n", self.author);
        let message = AuthenticatedMessage::parse(text.as_bytes()).expect("a message");
        let unanswered = || Error::Dns(DnsError::Resolver("no answer".into()));
        let signatures: Vec<mail_auth::dkim::Signature> = self
            .auth
            .iter()
            .map(|(_, _, d)| mail_auth::dkim::Signature { d: (*d).into(), ..Default::default() })
            .collect();
        let mut dkim = Vec::new();
        let mut spf = SpfOutput::new(String::new());
        let mut mail_from = "";
        for ((method, result, domain), signature) in self.auth.iter().zip(&signatures) {
            if *method == "spf" {
                mail_from = domain;
                spf = SpfOutput::new((*domain).into()).with_result(match *result {
                    "pass" => mail_auth::SpfResult::Pass,
                    "temperror" => mail_auth::SpfResult::TempError,
                    _ => mail_auth::SpfResult::Fail,
                });
                continue;
            }
            let output = match *result {
                "pass" => DkimOutput::pass(),
                "temperror" => DkimOutput::temp_err(unanswered()),
                _ => DkimOutput::fail(Error::NotAligned),
            };
            dkim.push(output.with_signature(signature));
        }
        let (texts, addresses) = self.caches();
        let parameters = Parameters::new(DmarcParameters {
            message: &message,
            dkim_output: &dkim,
            dkim2_output: None,
            rfc5321_mail_from_domain: mail_from,
            spf_output: &spf,
        });
        let output = authenticator.verify_dmarc(parameters.with_txt_cache(&texts).with_ipv4_cache(&addresses)).await;
        let word = |result: &mail_auth::DmarcResult| match result {
            mail_auth::DmarcResult::Pass => "pass",
            mail_auth::DmarcResult::Fail(_) => "fail",
            mail_auth::DmarcResult::TempError(_) => "temperror",
            mail_auth::DmarcResult::PermError(_) => "permerror",
            mail_auth::DmarcResult::None => "none",
        };
        let pass = |result: &mail_auth::DmarcResult| *result == mail_auth::DmarcResult::Pass;
        let policy = output.policy().to_string();
        (word(&output.result()).into(), policy, pass(output.dkim_result()), pass(output.spf_result()))
    }

    /// Why the two may differ; `None` where they must agree.
    fn licence(&self) -> Option<&'static str> {
        let texts = |test: fn(&str) -> bool| self.records.values().flatten().any(|text| test(text));
        let dmarc = |text: &&&str| waxseal::verify::dmarc::Record::read(text.as_bytes()).is_some();
        if self.records.values().any(|texts| texts.iter().filter(dmarc).count() > 1) {
            return Some("several records: mail-auth takes the first, RFC 9989 §4.10 discards all");
        }
        if texts(|text| matches!(Dmarc::parse(text.as_bytes()), Err(error) if !matches!(error, Error::Dns(_)))) {
            return Some("a bad value: mail-auth ends in permerror, §4.8 discards the tag");
        }
        if texts(|text| text.contains("p=none; p=reject")) {
            return Some("a tag twice: mail-auth takes the last, we take neither");
        }
        if texts(|text| text.starts_with("v=dmarc1")) {
            return Some("v=dmarc1: mail-auth takes it, for §4.7 it is no record");
        }
        if self.author == "example" {
            return Some(SINGLE_LABEL);
        }
        if !self.faults.is_empty() {
            return Some(FAULT);
        }
        if !self.author_exists {
            return Some(NONEXISTENT);
        }
        None
    }
}

#[tokio::test]
async fn mail_auth_agrees_or_differs_for_a_known_reason() {
    let config = ResolverConfig::from_parts(None, vec![], vec![]);
    let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).expect("a resolver without servers");
    let mut random = Random(0xd3a2c);
    let mut differences: BTreeMap<&str, usize> = BTreeMap::new();
    let mut agreed: BTreeMap<String, usize> = BTreeMap::new();
    let mut must_agree = 0;
    for number in 0..20_000 {
        let case = Case::new(&mut random);
        let verdict = case.ours().await;
        let (result, policy, dkim, spf) = case.theirs(&authenticator).await;
        let judged = |result: &str| matches!(result, "pass" | "fail");
        let ours = verdict.result.as_str();
        // Without a verdict mail-auth says nothing about policy and alignment.
        let same = ours == result
            && (!judged(ours)
                || (verdict.policy().as_str(), verdict.dkim_aligned, verdict.spf_aligned)
                    == (policy.as_str(), dkim, spf));
        must_agree += usize::from(case.licence().is_none());
        match case.licence() {
            _ if same => *agreed.entry(result).or_default() += 1,
            Some(reason) => {
                let flags = (verdict.dkim_aligned, verdict.spf_aligned) == (dkim, spf);
                let explained = match reason {
                    FAULT => result == "temperror" || (!case.author_exists && ours == result && flags),
                    SINGLE_LABEL => result == "none",
                    NONEXISTENT => ours == result && flags,
                    _ => true,
                };
                assert!(
                    explained,
                    "case {number}: {ours} {} {} {}, mail-auth {result} {policy} {dkim} {spf}, {} {} {:?} {:?} {:?}: not explained by: {reason}",
                    verdict.policy(),
                    verdict.dkim_aligned,
                    verdict.spf_aligned,
                    case.author,
                    case.author_exists,
                    case.auth,
                    case.records,
                    case.faults
                );
                *differences.entry(reason).or_default() += 1;
            }
            None => panic!(
                "case {number}: {ours} {} d={} s={}, mail-auth {result} {policy} d={dkim} s={spf}\n\
                 From {}, {:?}\n{:#?}\n{}",
                verdict.policy(),
                verdict.dkim_aligned,
                verdict.spf_aligned,
                case.author,
                case.auth,
                case.records,
                verdict.reason
            ),
        }
    }
    println!("must agree {must_agree}, agreed {agreed:?}\ndiffered {differences:#?}");
    assert!(must_agree > 4_000, "only {must_agree} cases without any licence to differ");
    assert!(["pass", "fail", "none", "temperror"].iter().all(|word| agreed[*word] > 300), "{agreed:?}");
}
