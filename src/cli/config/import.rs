//! `waxseal config import-opendkim`: settings made from those of OpenDKIM, and what the operator has to know of them.
//!
//! The settings go to standard output or into a new file; all else is said on standard error.

use super::{Exit, Mistake, count, told};
use crate::{
    cli::{keygen, output, paint},
    config::{
        DEFAULT_FILE,
        import_opendkim::{self, Imported, Told, Weight},
    },
};
use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// OpenDKIM's configuration
    #[arg(value_name = "FILE", default_value = "/etc/opendkim.conf")]
    opendkim: PathBuf,
    /// Where to write the settings; no file is overwritten [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Imports.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let file = options.out.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    if let Some(out) = &options.out {
        keygen::refuse_existing(out)?;
    }
    let imported = import_opendkim::import(&options.opendkim, file).map_err(told)?;
    match &options.out {
        Some(out) => create(out, &imported.text)?,
        None => output::write(&imported.text)?,
    }
    summary(&options, file, &imported);
    Ok(Exit::Good)
}

fn create(path: &Path, text: &str) -> Result<(), Mistake> {
    let failed = |error: std::io::Error| Mistake::new(format!("{} cannot be written: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn summary(options: &Options, file: &Path, imported: &Imported) {
    let told = |weight| imported.told.iter().filter(move |told: &&Told| told.weight == weight);
    let into = options.out.as_ref().map(|out| format!(" into {}", out.display())).unwrap_or_default();
    output::say(format_args!(
        "{}: {} carried over{into}",
        options.opendkim.display(),
        count(imported.domains, "signing domain")
    ));
    for (weight, heading) in [(Weight::Lost, "not carried over"), (Weight::Changed, "not quite the same")] {
        for told in told(weight) {
            output::say(format_args!("{heading}: {}", paint::plain(&told.to_string(), 2000)));
        }
    }
    let needless = told(Weight::Needless).count();
    if needless > 0 {
        let verb = if needless == 1 { "is" } else { "are" };
        let options = count(needless, "option");
        output::say(format_args!("{options} {verb} not needed here: the end of the settings says why"));
    }
    if !imported.commands.is_empty() {
        output::say("copy the keys before the start:");
        imported.commands.iter().for_each(|command| output::say(format_args!("  {}", paint::plain(command, 4000))));
    }
    output::say(format_args!("then judge the result: waxseal config check --config {}", file.display()));
}
