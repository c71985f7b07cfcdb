//! `waxseal config show`: what holds, and why.

use super::{Exit, File, Mistake, told};
use crate::{
    cli::output,
    config::{Rotating, Settings, Shown},
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
    let rotations = rotations(&settings);
    let text = match options.json {
        true => format!("{:#}\n", as_json(file, &all, &rotations)),
        false => as_lines(file, &all, &rotations),
    };
    output::write(text).map(|()| Exit::Good)
}

/// What the settings file does not say: the keys that rotate, each with how far it is.
fn rotations(settings: &Settings) -> Vec<(&Rotating, String)> {
    settings.rotations.iter().map(|rotating| (rotating, rotating.state(settings.rotation.keep))).collect()
}

fn as_lines(file: &Path, all: &[Shown], rotations: &[(&Rotating, String)]) -> String {
    let mut text = format!("# {}\n", file.display());
    for Shown { name, value, line } in all {
        let origin = line.map_or_else(|| "default".to_owned(), |line| format!("line {line}"));
        text += &format!("{name} = {value}  # {origin}\n");
    }
    for (rotating, state) in rotations {
        text += &format!("# {} {state}\n", rotating.domain);
    }
    text
}

fn as_json(file: &Path, all: &[Shown], rotations: &[(&Rotating, String)]) -> serde_json::Value {
    let settings: Vec<_> = all
        .iter()
        .map(|Shown { name, value, line }| {
            let origin = line.map_or_else(|| "default".to_owned(), |line| format!("{}:{line}", file.display()));
            json!({ "name": name, "value": value, "origin": origin })
        })
        .collect();
    let rotations: Vec<_> = rotations
        .iter()
        .map(|(rotating, state)| {
            let Rotating { domain, from, to, .. } = rotating;
            let [domain, from, to] = [domain, from, to].map(|name| name.as_str());
            json!({
                "domain": domain, "from": from, "to": to, "switched": rotating.switched.is_some(), "state": state
            })
        })
        .collect();
    json!({ "schema": "waxseal.config/1", "file": file, "settings": settings, "rotations": rotations })
}
