//! `waxseal verify`: message files judged offline, for people or as JSON.
//!
//! Every file that can be read is judged, whatever happens to the others. Answers come from DNS or from master files
//! alone; with `--dns`, `--at` and the envelope given, two runs say the same to the byte, on any machine.

mod against;
mod envelope;
mod expected;
mod judge;
mod report;
mod screen;

use super::{
    Exit, Mistake, input,
    paint::Paint,
    source::{Ask, Source},
};
use crate::{clock, diagnose::case::Expected};
use judge::{Judge, Judged};
use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The messages; "-" reads standard input
    #[arg(value_name = "FILE", required_unless_present = "against_signed")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    source: Ask,
    /// Judge t= and x= as of this time, as 2026-11-23T04:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Print JSON: one object, or an array for several files
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    envelope: envelope::Known,
    #[command(flatten)]
    expected: expected::Expected,
    /// Compare copies of mail that we signed with the record of it, in this folder [default: /var/lib/waxseal/signed]
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    against_signed: Option<Option<PathBuf>>,
    /// Who says so in Authentication-Results; also the receiver in SPF macros
    #[arg(long, value_name = "NAME", default_value = "localhost", value_parser = authserv_id)]
    authserv_id: String,
}

/// Messages judged at the same time. Each is in memory whole, and most of its time it waits for DNS.
const AT_ONCE: usize = 8;

/// So many files and people want to see that it goes on.
const MANY_FILES: usize = 10;

/// Verifies the files.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let expected = options.expected.read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Mistake::new(format!("the runtime cannot start: {error}")))?;
    runtime.block_on(verify(options, expected))
}

async fn verify(mut options: Options, expected: Expected) -> Result<Exit, Mistake> {
    let record = against::record(options.against_signed.take(), &mut options.files)?;
    let source = Source::new(&options.source)?;
    let judge = Arc::new(Judge {
        dns: source.dns.clone(),
        at: at(options.at)?,
        envelope: options.envelope,
        authserv_id: options.authserv_id,
        expected,
        allowance: source.allowance(),
        live: source.is_live(),
        record,
    });
    let mut output = Output::new(options.json, options.files.len());
    let (mut worst, mut mistakes) = (Exit::Good, Vec::new());
    let mut files = options.files.into_iter();
    let mut under_way = VecDeque::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(file) = files.next()
        {
            let judge = judge.clone();
            under_way.push_back(tokio::spawn(async move {
                let read = input::read(&file).map_err(|error| format!("{}: {error}", input::shown(&file)));
                Ok::<Judged, String>(judge.judge(&file, read?).await)
            }));
        }
        let Some(next) = under_way.pop_front() else { break };
        match next.await {
            Ok(Ok(judged)) => {
                worst = worst.or_worse(judged.exit());
                if !output.message(&judged)? {
                    return Ok(worst);
                }
            }
            Ok(Err(mistake)) => mistakes.push(mistake),
            Err(died) => mistakes.push(format!("a message could not be judged: {died}")),
        }
    }
    output.end()?;
    if let Err(mistake) = source.save().await {
        mistakes.push(mistake);
    }
    match mistakes.is_empty() {
        true => Ok(worst),
        false => Err(Mistake::new(mistakes.join("\n"))),
    }
}

/// Seconds since 1970 at which the messages are judged.
fn at(given: Option<jiff::Timestamp>) -> Result<u64, Mistake> {
    match given {
        None => Ok(clock::unix_seconds()),
        Some(time) => u64::try_from(time.as_second())
            .map_err(|_| Mistake::new(format!("--at {time}: there was no mail authentication before 1970"))),
    }
}

fn authserv_id(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        true => Ok(text.into()),
        false => Err("a host name of ASCII characters is needed, as mx.example.net".into()),
    }
}

/// Standard output, and progress on standard error where people watch.
struct Output {
    json: bool,
    total: usize,
    done: usize,
    paint: Paint,
    progress: bool,
}

impl Output {
    fn new(json: bool, total: usize) -> Output {
        let progress = total >= MANY_FILES && io::stderr().is_terminal() && !io::stdout().is_terminal();
        Output { json, total, done: 0, paint: Paint::stdout(), progress }
    }

    /// Writes one message; `false` if nobody reads any more.
    fn message(&mut self, judged: &Judged) -> Result<bool, Mistake> {
        let text = match self.json {
            true => {
                let before = match (self.total, self.done) {
                    (1, _) => "",
                    (_, 0) => "[\n",
                    _ => ",\n",
                };
                format!("{before}{}", report::json(judged))
            }
            false => format!("{}{}", if self.done == 0 { "" } else { "\n" }, screen::text(judged, self.paint)),
        };
        self.done += 1;
        if self.progress {
            eprint!("\r{}", Paint::stderr().dim(format_args!("{} of {} messages", self.done, self.total)));
        }
        write(&text)
    }

    fn end(&self) -> Result<(), Mistake> {
        if self.progress {
            eprintln!();
        }
        let text = match (self.json, self.total, self.done) {
            (false, ..) | (_, 1, 0) => return Ok(()),
            (_, 1, _) => "\n",
            (_, _, 0) => "[]\n",
            _ => "\n]\n",
        };
        write(text).map(|_| ())
    }
}

fn write(text: &str) -> Result<bool, Mistake> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // A reader that has seen enough is no mistake.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Mistake::new(format!("standard output: {error}"))),
        Ok(()) => Ok(true),
    }
}
