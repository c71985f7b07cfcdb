//! `waxseal demo`: The whole job on an embedded DNS.

use super::{Exit, Mistake};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {}

/// Runs the command.
pub fn run(_options: Options) -> Result<Exit, Mistake> {
    Err(Mistake::new("not built yet"))
}
