//! `waxseal config check`: everything that would stop or fail `waxseal run`, found without starting it.

use super::{Exit, File, Mistake, count, told};
use crate::{cli::output, config::Settings};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: File,
}

/// Judges the settings, and every key in full.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let settings = Settings::load(&options.file.path).map_err(told)?;
    for rotating in &settings.rotations {
        let state = rotating.state(settings.rotation.keep);
        output::say(format_args!("note: {} {state}", rotating.domain));
    }
    settings.check().map_err(told)?;
    for doubt in settings.doubts() {
        output::say(format_args!("warning: {doubt}"));
    }
    let keys = settings.domains.values().map(|domain| domain.keys.len()).sum();
    let verdict = format!(
        "{}: good: {}, {}, {}\n",
        options.file.path.display(),
        count(settings.domains.len(), "domain"),
        count(keys, "key"),
        count(settings.listeners.len(), "listener")
    );
    output::write(verdict).map(|()| Exit::Good)
}
