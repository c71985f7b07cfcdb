//! `waxseal config`: a first configuration; settings judged and shown without starting anything.

mod check;
mod import;
mod init;
mod show;

use super::{Exit, Mistake};
use crate::config::{DEFAULT_FILE, Mistakes};
use clap::Subcommand;
use std::path::PathBuf;

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a first configuration with its key, and say what to publish and to tell Postfix
    Init(init::Options),
    /// Judge the settings and every key without starting
    Check(check::Options),
    /// Show every setting with its value and where it comes from
    Show(show::Options),
    /// Make settings from those of OpenDKIM, and say what could not be carried
    ImportOpendkim(import::Options),
}

/// Which settings file.
#[derive(clap::Args)]
struct File {
    /// The settings
    #[arg(long = "config", value_name = "FILE", default_value = DEFAULT_FILE)]
    path: PathBuf,
}

/// Runs the command.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    match options.command {
        Command::Init(options) => init::run(options),
        Command::Check(options) => check::run(options),
        Command::Show(options) => show::run(options),
        Command::ImportOpendkim(options) => import::run(options),
    }
}

/// One mistake in its line; several under their number, so that a long list is no surprise.
fn told(mistakes: Mistakes) -> Mistake {
    match mistakes.iter().count() {
        1 => Mistake::new(mistakes.to_string()),
        many => Mistake::new(format!("{many} mistakes in the settings\n{mistakes}")),
    }
}

/// `1 key`, `2 keys`.
fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
