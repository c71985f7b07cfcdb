//! OpenDKIM's configuration as settings of Waxseal: the same mail signed with the same keys, under the same names.
//!
//! Reads opendkim.conf and every table that it names; the keys themselves are looked at, never shown and never copied.
//! What has no counterpart is told with its line and the nearest that there is; what OpenDKIM itself would refuse is a mistake.

mod carry;
mod conf;
mod dataset;
mod hosts;
mod keys;
mod options;
mod signing;
mod socket;
mod tables;
mod told;

pub use conf::Place;
pub use told::{Told, Weight};

use super::{Mistake, Mistakes, Settings};
use carry::{Carried, Line, quoted};
use conf::Conf;
use keys::Keys;
use signing::Signer;
use std::{fmt::Write, path::Path};
use told::Reading;

/// What an import gives.
#[derive(Debug)]
pub struct Imported {
    /// The text of the settings file.
    pub text: String,
    /// The domains that sign.
    pub domains: usize,
    /// What there is to know, what matters most first.
    pub told: Vec<Told>,
    /// What has to be done before the settings can be used: commands that copy the keys.
    pub commands: Vec<String>,
}

/// Reads the configuration at `path` for settings that are to be written to `out`.
pub fn import(path: &Path, out: &Path) -> Result<Imported, Mistakes> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let mut mistakes = Vec::new();
    let conf = Conf::read(&path, &mut mistakes);
    let mut reading = Reading { conf: &conf, told: Vec::new(), mistakes };
    let carried = carry::all(&mut reading);
    let signs = conf.get("Mode").is_none_or(|mode| mode.value.contains('s'));
    let signers = if signs { signing::signers(&mut reading) } else { Vec::new() };
    let keys = keys::place(&mut reading, &signers, out.parent().unwrap_or(Path::new("/")));
    let Reading { mut told, mistakes, .. } = reading;
    Mistakes::none_or(mistakes)?;
    told.sort_by_key(|told| told.weight);
    let text = write(&path, &carried, &signers, &keys, &told);
    Settings::parse(&text, &out).map_err(|mistakes| {
        let what = format!("what came of it is not accepted, which is a mistake of the import; report it: {mistakes}");
        Mistakes::from(Mistake { file: path, line: None, what })
    })?;
    let domains = keys.unfit.iter().filter(|unfit| unfit.is_none()).count();
    Ok(Imported { text, domains, told, commands: keys.commands })
}

fn write(path: &Path, carried: &Carried, signers: &[Signer], keys: &Keys, told: &[Told]) -> String {
    let mut text = format!(
        "# The settings of Waxseal, made from {} by `waxseal config import-opendkim`.\n\
         # All others have their defaults: `waxseal config show` lists them. What was not carried over stands at the end.\n",
        one_line(&path.display().to_string())
    );
    if !keys.commands.is_empty() {
        text += "#\n# Before the start, copy the keys to where only Waxseal can read them:\n#\n";
        for command in &keys.commands {
            put(&mut text, format_args!("#     {}\n", one_line(command)));
        }
    }
    text += "\n";
    if let Some(directory) = &keys.directory {
        let directory = quoted(&directory.display().to_string());
        put(&mut text, format_args!("# The keys stay where they are.\nkey_directory = {directory}\n\n"));
    }
    lines(&mut text, "", &carried.top);
    lines(&mut text, "[[listener]]", &carried.listener);
    lines(&mut text, "[signing]", &carried.signing);
    lines(&mut text, "[verify]", &carried.verify);
    lines(&mut text, "[verify.actions]", &carried.actions);
    lines(&mut text, "[limits]", &carried.limits);
    for (signer, (file, unfit)) in signers.iter().zip(keys.files.iter().zip(&keys.unfit)) {
        domain(&mut text, signer, file, unfit.as_deref());
    }
    ending(&mut text, told);
    text
}

fn lines(text: &mut String, table: &str, lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    if !table.is_empty() {
        put(text, format_args!("{table}\n"));
    }
    for line in lines {
        for comment in line.comment.lines() {
            put(text, format_args!("# {}\n", one_line(comment)));
        }
        put(text, format_args!("{}\n", line.text));
    }
    text.push('\n');
}

/// The table of a domain; as a comment where its key cannot sign.
fn domain(text: &mut String, signer: &Signer, file: &Path, unfit: Option<&str>) {
    let hash = if unfit.is_some() { "#" } else { "" };
    put(text, format_args!("# {}\n", signer.place));
    if let Some(why) = unfit {
        put(text, format_args!("# Not signed: {}\n", one_line(why)));
    }
    put(text, format_args!("{hash}[domains.\"{}\"]\n", signer.made.domain));
    put(text, format_args!("{hash}selector = {}\n", quoted(signer.made.selector.as_str())));
    put(text, format_args!("{hash}key = {}\n", quoted(&file.display().to_string())));
    if signer.subdomains {
        put(text, format_args!("{hash}subdomains = true\n"));
    }
    if let Some(identity) = &signer.identity {
        put(text, format_args!("{hash}identity = {}\n", quoted(identity)));
    }
    text.push('\n');
}

fn ending(text: &mut String, told: &[Told]) {
    for (weight, heading) in [
        (Weight::Lost, "Not carried over, and what comes nearest:"),
        (Weight::Changed, "Carried over, and not quite the same:"),
        (Weight::Needless, "Not needed here:"),
    ] {
        let mut of_weight = told.iter().filter(|told| told.weight == weight).peekable();
        if of_weight.peek().is_none() {
            continue;
        }
        put(text, format_args!("# {heading}\n#\n"));
        for told in of_weight {
            put(text, format_args!("# - {}\n", one_line(&told.to_string())));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

/// Without what would end a comment, or hide in one.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a String does not fail");
}
