//! The command line: the grammar, one file per subcommand beside this one, and the exit status.
//!
//! A subcommand gives an [`Exit`] or a [`Mistake`]; only this file prints a mistake and only `main` ends the process.

mod check;
mod config;
mod demo;
mod explain;
mod findings;
mod generate;
pub mod input;
mod keygen;
mod log;
mod output;
mod paint;
mod publish;
mod rotate;
mod run;
mod sign;
mod source;
mod verify;
mod wrap;

use crate::config::{Mistakes, Settings};
use clap::{CommandFactory, Parser, Subcommand};
use std::{fmt, path::Path, process::ExitCode};

/// A milter for Postfix that signs, verifies, and says why mail authentication failed.
#[derive(Parser)]
#[command(name = "waxseal", version, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The milter: attach it to Postfix with smtpd_milters
    Run(run::Options),
    /// Judge message files: DKIM, SPF and DMARC, live or from zone files
    Verify(verify::Options),
    /// The documented checklist, run against DNS: is a domain ready?
    Check(check::Options),
    /// One cause of failure at length, or the list of all
    Explain(explain::Options),
    /// Sign one message: message in, signed message out
    Sign(sign::Options),
    /// Make a key and print the record to publish
    Keygen(keygen::Options),
    /// What happened to which message: signed, verified, or why not
    Log(log::Options),
    /// A first configuration; settings judged and shown
    Config(config::Options),
    /// The whole job on an embedded DNS: no root, no set-up
    Demo(demo::Options),
    /// Manual pages and shell completions, written from this grammar
    #[command(hide = true)]
    Generate(generate::Options),
}

/// The exit status of a command that did its work (CONTRACT: worst first 2, 1, 75, 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Good,
    /// 1: the answer is a failure.
    Failed,
    /// 75: only a temporary fault stands in the way.
    Temporary,
}

impl Exit {
    /// The worse of two: 1, then 75, then 0.
    fn or_worse(self, other: Exit) -> Exit {
        match (self, other) {
            (Exit::Failed, _) | (_, Exit::Failed) => Exit::Failed,
            (Exit::Temporary, _) | (_, Exit::Temporary) => Exit::Temporary,
            (Exit::Good, Exit::Good) => Exit::Good,
        }
    }
}

/// A mistake in arguments, settings or files: exit status 2. The text names the thing, the place and the fix.
#[derive(Debug)]
pub struct Mistake(String);

impl Mistake {
    /// A mistake with its text: lower case, no full stop; lines after the first are indented by the writer.
    pub fn new(text: impl Into<String>) -> Mistake {
        Mistake(text.into())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    // Key material stays in memory: no core file of ours, and no look into us by other processes of the same user.
    // Where the kernel refuses it, which none is known to do, everything else is still right.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    match Arguments::try_parse() {
        Ok(arguments) => status(perform(arguments.command)),
        Err(mistake) if mistake.use_stderr() => {
            // Where standard error fails, the status is all that is left to tell.
            let _ = mistake.print();
            ExitCode::from(2)
        }
        Err(help) => status(output::help(&help).map(|()| Exit::Good)),
    }
}

fn perform(command: Command) -> Result<Exit, Mistake> {
    match command {
        Command::Run(options) => run::run(options),
        Command::Verify(options) => verify::run(options),
        Command::Check(options) => check::run(options),
        Command::Explain(options) => explain::run(options),
        Command::Sign(options) => sign::run(options),
        Command::Keygen(options) => keygen::run(options),
        Command::Log(options) => log::run(options),
        Command::Config(options) => config::run(options),
        Command::Demo(options) => demo::run(options),
        Command::Generate(options) => generate::run(options, &Arguments::command()),
    }
}

fn status(result: Result<Exit, Mistake>) -> ExitCode {
    match result {
        Ok(Exit::Good) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Ok(Exit::Temporary) => ExitCode::from(75),
        Err(mistake) => {
            output::say(format_args!("waxseal: {mistake}"));
            ExitCode::from(2)
        }
    }
}

/// Settings of a file, judged against this machine.
fn load_settings(file: &Path, judge: fn(&Settings) -> Result<(), Mistakes>) -> Result<Settings, Mistake> {
    let settings = Settings::load(file).map_err(|mistakes| Mistake::new(mistakes.to_string()))?;
    judge(&settings).map_err(|mistakes| Mistake::new(mistakes.to_string()))?;
    Ok(settings)
}
