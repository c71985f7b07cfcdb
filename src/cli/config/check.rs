//! `waxseal config check`: everything that would stop or fail `waxseal run`, found without starting it.

use super::{Exit, File, Mistake, count, told};
use crate::config::Settings;

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: File,
}

/// Judges the settings, and every key in full.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let settings = Settings::load(&options.file.path).map_err(told)?;
    settings.check_keys().map_err(told)?;
    let keys = settings.domains.values().map(|domain| domain.keys.len()).sum();
    println!(
        "{}: good: {}, {}, {}",
        options.file.path.display(),
        count(settings.domains.len(), "domain"),
        count(keys, "key"),
        count(settings.listeners.len(), "listener")
    );
    Ok(Exit::Good)
}
