//! `waxseal config show`: what holds, and why.

use super::{Exit, File, Mistake, told};
use crate::{
    cli::output,
    config::{Settings, Shown},
};
use serde_json::json;
use std::path::Path;

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: File,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Prints every setting.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let (settings, all) = Settings::explain(&options.file.path).map_err(told)?;
    let file = settings.file.as_deref().unwrap_or(&options.file.path);
    let text = if options.json { format!("{:#}\n", as_json(file, &all)) } else { as_lines(file, &all) };
    output::write(text).map(|()| Exit::Good)
}

fn as_lines(file: &Path, all: &[Shown]) -> String {
    let mut text = format!("# {}\n", file.display());
    for Shown { name, value, line } in all {
        let origin = line.map_or_else(|| "default".to_owned(), |line| format!("line {line}"));
        text += &format!("{name} = {value}  # {origin}\n");
    }
    text
}

fn as_json(file: &Path, all: &[Shown]) -> serde_json::Value {
    let settings: Vec<_> = all
        .iter()
        .map(|Shown { name, value, line }| {
            let origin = line.map_or_else(|| "default".to_owned(), |line| format!("{}:{line}", file.display()));
            json!({ "name": name, "value": value, "origin": origin })
        })
        .collect();
    json!({ "schema": "waxseal.config/1", "file": file, "settings": settings })
}
