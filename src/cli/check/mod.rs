//! `waxseal check`: the documented checklist, run against DNS for one domain, for several, or for all that are configured.
//!
//! What a domain should have comes from the arguments, else from the settings. Each step is ok, failed, warning or
//! skipped, and says why; a fault of DNS is told apart from a mistake in it (exit status 75).

mod examine;
mod expect;
mod postfix;
mod report;
mod screen;

use super::{
    Exit, Mistake, output,
    paint::Paint,
    source::{Ask, Source},
};
use crate::{clock, name::DomainName};
use examine::Checked;
use std::{
    collections::VecDeque,
    io::{self, IsTerminal},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The domains that sign
    #[arg(value_name = "DOMAIN", value_parser = name, required_unless_present_any = ["all", "postfix"])]
    domains: Vec<DomainName>,
    /// Every domain of the settings
    #[arg(long, conflicts_with = "domains")]
    all: bool,
    /// Judge the settings of Postfix too: what in main.cf and master.cf breaks signatures [DIR: /etc/postfix]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = postfix::DEFAULT)]
    postfix: Option<PathBuf>,
    /// The settings: what is not given here is taken from them [default: /etc/waxseal/waxseal.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The provider that should send [default with --environment: ncloud]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The environment at the provider: private, financial or public
    #[arg(long, value_name = "ENV", requires = "region")]
    environment: Option<String>,
    /// The region at the provider: kr, jp or sg
    #[arg(long, value_name = "REGION", requires = "environment")]
    region: Option<String>,
    /// The selector that should have the key
    #[arg(long, value_name = "NAME", value_parser = name, conflicts_with_all = ["environment", "region"])]
    selector: Option<DomainName>,
    /// Our private key: the published key must be its public half
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    key: Option<PathBuf>,
    /// A file with the public key, or the record, that should be published
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Where another key is published: show the record to replace it, since nobody signs with it any more
    #[arg(long)]
    replace: bool,
    /// The token that must stand at the domain
    #[arg(long, value_name = "TEXT")]
    token: Option<String>,
    /// The name that the SPF record must include
    #[arg(long, value_name = "NAME", value_parser = name)]
    spf_include: Option<DomainName>,
    /// An address that SPF must authorise
    #[arg(long, value_name = "IP")]
    client_ip: Option<IpAddr>,
    /// Also ask each authoritative server [default, unless --dns is given]
    #[arg(long, conflicts_with = "no_authoritative")]
    authoritative: bool,
    /// Ask the resolver alone
    #[arg(long)]
    no_authoritative: bool,
    #[command(flatten)]
    source: Ask,
    /// Check as of this time, as 2026-11-23T04:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Print JSON: one object, or an array for several domains
    #[arg(long)]
    json: bool,
}

/// Domains checked at the same time; most of its time each waits for DNS.
const AT_ONCE: usize = 8;

/// So many domains and people want to see that it goes on, and a summary.
const MANY: usize = 5;

/// Checks the domains.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let mut expect = expect::Expect::new(&options)?;
    let domains = if options.all { expect.configured()? } else { options.domains.clone() };
    let directory = options.postfix.as_deref();
    let audited = directory.map(|folder| postfix::Audited::new(folder, expect.settings())).transpose()?;
    if let Some(audited) = audited.as_ref().filter(|_| domains.is_empty()) {
        output::write(if options.json { report::alone(audited.value()) } else { audited.text(Paint::stdout()) })?;
        return Ok(audited.exit());
    }
    expect.recall(&domains);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Mistake::new(format!("the runtime cannot start: {error}")))?;
    runtime.block_on(check(options, expect, domains, audited))
}

async fn check(
    options: Options,
    expect: expect::Expect,
    domains: Vec<DomainName>,
    audited: Option<postfix::Audited>,
) -> Result<Exit, Mistake> {
    let source = Source::new(&options.source)?;
    let examiner = Arc::new(examine::Examiner {
        dns: source.dns.clone(),
        allowance: source.allowance(),
        live: source.is_live() && !options.no_authoritative || options.authoritative,
        client_ip: options.client_ip,
        at: match options.at {
            None => clock::unix_seconds(),
            Some(time) => u64::try_from(time.as_second())
                .map_err(|_| Mistake::new(format!("--at {time}: there was no mail authentication before 1970")))?,
        },
    });
    let total = domains.len();
    let worst = audited.as_ref().map_or(Exit::Good, postfix::Audited::exit);
    let mut printer = Printer { json: options.json, total, done: 0, bad: Vec::new(), audited };
    let (mut worst, mut under_way, mut domains) = (worst, VecDeque::new(), domains.into_iter());
    loop {
        while under_way.len() < AT_ONCE
            && let Some(domain) = domains.next()
        {
            let place = expect.of(&domain)?;
            let examiner = examiner.clone();
            under_way.push_back(tokio::spawn(async move { examiner.examine(domain, place).await }));
        }
        let Some(next) = under_way.pop_front() else { break };
        let checked = next.await.map_err(|died| Mistake::new(format!("a domain could not be checked: {died}")))?;
        worst = worst.or_worse(checked.exit());
        printer.domain(&checked)?;
    }
    printer.end()?;
    source.save().await.map_err(Mistake::new)?;
    Ok(worst)
}

/// Standard output, and progress on standard error where people watch.
struct Printer {
    json: bool,
    total: usize,
    done: usize,
    bad: Vec<String>,
    /// The audit of Postfix, until it is printed: with the first domain.
    audited: Option<postfix::Audited>,
}

impl Printer {
    fn domain(&mut self, checked: &Checked) -> Result<(), Mistake> {
        let audited = self.audited.take();
        let text = if self.json {
            let before = match (self.total, self.done) {
                (1, _) => "",
                (_, 0) => "[\n",
                _ => ",\n",
            };
            format!("{before}{}", report::json(checked, audited.map(|audited| audited.value())))
        } else {
            let audited = audited.map(|audited| audited.text(Paint::stdout()) + "\n").unwrap_or_default();
            format!("{audited}{}{}", if self.done == 0 { "" } else { "\n" }, screen::text(checked, Paint::stdout()))
        };
        self.done += 1;
        if checked.exit() != Exit::Good {
            self.bad.push(checked.domain.to_string());
        }
        if self.total >= MANY && io::stderr().is_terminal() && !io::stdout().is_terminal() {
            eprint!("\r{}", Paint::stderr().dim(format_args!("{} of {} domains", self.done, self.total)));
        }
        output::write(text)
    }

    fn end(&self) -> Result<(), Mistake> {
        if self.json {
            return output::write(match (self.total, self.done) {
                (1, _) => "\n",
                (_, 0) => "[]\n",
                _ => "\n]\n",
            });
        }
        if self.total < 2 {
            return Ok(());
        }
        let good = self.done - self.bad.len();
        let names = match self.bad.as_slice() {
            [] => String::new(),
            names => format!("; not ready: {}", names.join(", ")),
        };
        output::write(format!("\n{good} of {} domains are ready{names}\n", self.done))
    }
}

fn name(text: &str) -> Result<DomainName, String> {
    DomainName::new(text).map_err(|error| error.to_string())
}
