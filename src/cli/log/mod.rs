//! `waxseal log`: what happened, from the store or from a JSON log.
//!
//! A question is read here, answered by [`source`], and told by [`line`], [`summary`] or [`note`]. Whatever strangers
//! wrote into an event is escaped before it reaches a terminal.

mod causes;
mod line;
mod note;
mod source;
mod summary;
mod time;

use super::{Exit, Mistake, output};
use crate::{
    config::DEFAULT_FILE,
    event::{Action, Event, bound, store::Filter},
};
use clap::{Args, Subcommand};
use line::Lines;
use source::Source;
use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};
use time::Clock;

/// The arguments.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(flatten)]
    whence: Whence,
    #[command(flatten)]
    which: Which,
    /// Only the last N events
    #[arg(long, short = 'n', value_name = "N", conflicts_with = "summary")]
    lines: Option<usize>,
    /// Counts by domain and cause, with charts, in place of the events
    #[arg(long)]
    summary: bool,
    /// The last events, then each new one as it comes
    #[arg(long, conflicts_with_all = ["summary", "from_log"])]
    follow: bool,
    /// One JSON object for each event, or one for the summary
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where events are, and how times are read and shown.
#[derive(Args, Clone)]
struct Whence {
    /// At or after this time: 2026-11-23T04:00:00Z, 2026-11-23, today, yesterday, 30m, 2h, 3d
    #[arg(long, value_name = "TIME", global = true)]
    since: Option<String>,
    /// Times in UTC, not in local time
    #[arg(long, global = true)]
    utc: bool,
    /// Read a log with lines of JSON in place of the store; "-" is standard input
    #[arg(long, value_name = "FILE", global = true)]
    from_log: Option<PathBuf>,
    /// The settings, which name the store
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE, global = true)]
    config: PathBuf,
}

/// Which events.
#[derive(Args)]
struct Which {
    /// Of this domain: it signed, or stands in From
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// With this queue id of Postfix
    #[arg(long, value_name = "ID")]
    queue_id: Option<String>,
    /// With this Message-ID
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// From this envelope sender; '<>' is the null sender
    #[arg(long, value_name = "ADDR")]
    mail_from: Option<String>,
    /// To this recipient
    #[arg(long, value_name = "ADDR")]
    rcpt_to: Option<String>,
    /// With this cause of failure
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// What was done
    #[arg(long, value_enum)]
    action: Option<Word>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Word {
    Sign,
    Verify,
    Pass,
    Diagnose,
    Watch,
}

#[derive(Subcommand)]
enum Command {
    /// The text to send to the operator of a domain whose mail fails
    Note(note::Options),
}

/// Answers one question.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let clock = Clock::new(options.whence.utc);
    let since = options.whence.since.as_deref().map(|text| clock.read(text)).transpose()?;
    let mut source = Source::open(options.whence.from_log.as_deref(), &options.whence.config)?;
    let mut out = Out(BufWriter::new(io::stdout()));
    let outcome = match &options.command {
        Some(Command::Note(note)) => note::write(note, since, &mut source, &mut out),
        None => answer(&options, since, source, &clock, &mut out),
    };
    match outcome.and_then(|()| out.flush()) {
        Ok(()) | Err(Stop::Enough) => Ok(Exit::Good),
        Err(Stop::Mistake(mistake)) => Err(mistake),
    }
}

fn answer(options: &Options, since: Option<i64>, mut source: Source, clock: &Clock, out: &mut Out) -> Result<(), Stop> {
    let filter = options.which.filter(since);
    if options.summary {
        return summary::write(&filter, options.json, &mut source, clock, out);
    }
    let lines = Lines::new(clock.clone(), super::paint::Paint::stdout());
    if options.follow {
        return source.follow(&filter, options.lines, |events| {
            for event in events {
                if options.json { out.json(event) } else { out.line(&lines.of(event)) }?;
            }
            out.flush()
        });
    }
    let mut count = 0_u64;
    let mut show = |event: &Event| {
        count += 1;
        if options.json { out.json(event) } else { out.line(&lines.of(event)) }
    };
    match options.lines {
        Some(most) => source.newest(&filter, most, &mut show)?,
        None => source.each(&filter, &mut show)?,
    }
    if count == 0 {
        output::say("no event matches");
    }
    Ok(())
}

impl Which {
    fn filter(&self, since: Option<i64>) -> Filter {
        Filter {
            since,
            domain: self.domain.clone(),
            queue_id: self.queue_id.clone(),
            message_id: self.message_id.clone(),
            mail_from: self.mail_from.clone(),
            rcpt_to: self.rcpt_to.clone(),
            cause: self.cause.clone(),
            action: self.action.map(|action| match action {
                Word::Sign => Action::Sign,
                Word::Verify => Action::Verify,
                Word::Pass => Action::Pass,
                Word::Diagnose => Action::Diagnose,
                Word::Watch => Action::Watch,
            }),
        }
    }
}

/// Why an answer ends early.
enum Stop {
    /// The reader has seen enough, as `head` does: no mistake.
    Enough,
    /// It cannot be given.
    Mistake(Mistake),
}

impl From<Mistake> for Stop {
    fn from(mistake: Mistake) -> Stop {
        Stop::Mistake(mistake)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Enough,
            _ => Stop::Mistake(Mistake::new(format!("standard output: {error}"))),
        }
    }
}

/// Standard output.
struct Out(BufWriter<io::Stdout>);

impl Out {
    /// Writes a line that is safe for a terminal.
    fn line(&mut self, line: &str) -> Result<(), Stop> {
        Ok(writeln!(self.0, "{line}")?)
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Stop> {
        let json = serde_json::to_string(value).map_err(|error| Mistake::new(format!("JSON: {error}")))?;
        self.line(&bound::safe_json(json))
    }

    fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.0.flush()?)
    }
}
