//! `waxseal explain`: one cause at length, or the list of all.
//!
//! The text is the comment above the cause in the register, so that the program, the docs and the code say the same.

use super::{Exit, Mistake, output, paint::Paint, wrap};
use crate::diagnose::register::{self, Cause, SEED_TITLE, SEED_URL};
use serde_json::json;
use std::fmt::Write as _;

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The cause, as reports name it; without it, the list of all
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Columns of running text, where the terminal is not narrower.
const WIDTH: usize = 88;

/// Explains.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let text = match &options.code {
        None if options.json => list_json(),
        None => list(Paint::stdout()),
        Some(code) => {
            let cause = register::find(code).ok_or_else(|| unknown(code))?;
            if options.json { one_json(cause) } else { page(cause, Paint::stdout()) }
        }
    };
    output::write(text).map(|()| Exit::Good)
}

/// No such cause: the nearest names, if any are near.
fn unknown(code: &str) -> Mistake {
    let wanted = code.trim().to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> =
        register::all().map(|cause| (strsim::damerau_levenshtein(&wanted, cause.code), cause.code)).collect();
    near.sort_unstable();
    let near: Vec<&str> = near.iter().filter(|(far, _)| *far <= 4).take(3).map(|(_, code)| *code).collect();
    let hint = match near.as_slice() {
        [] => "`waxseal explain` lists them all".to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    Mistake::new(format!("no cause is called {code:?}: {hint}"))
}

fn list(paint: Paint) -> String {
    let longest = register::all().map(|cause| cause.code.len()).max().unwrap_or(0);
    let (mut out, mut family) = (String::new(), None);
    for cause in register::all() {
        if family != Some(cause.family) {
            family = Some(cause.family);
            let gap = if out.is_empty() { "" } else { "\n" };
            put(&mut out, format_args!("{gap}{}\n", paint.bold(cause.family.as_str())));
        }
        for (piece, number) in wrap::pieces(cause.title, paint.room(longest + 4)).iter().zip(0..) {
            let code = if number == 0 { cause.code } else { "" };
            put(&mut out, format_args!("  {code:longest$}  {piece}\n"));
        }
    }
    put(&mut out, format_args!("\n{}\n", paint.dim("waxseal explain CODE tells one of them at length")));
    out
}

fn page(cause: &Cause, paint: Paint) -> String {
    let page = cause.page();
    let mut out = String::new();
    let room = paint.room(0).map(|room| room.saturating_sub(cause.code.len() + 2));
    let title = wrap::pieces(cause.title, room).join("\n  ");
    put(&mut out, format_args!("{}: {title}\n", paint.bold(cause.code)));
    for (heading, text) in [
        ("", &page.fact),
        ("Why it fails", &page.why),
        ("How it comes about", &page.how),
        ("What to do", &page.fix),
        ("Not this", &page.not_this),
    ] {
        out.push('\n');
        if !heading.is_empty() {
            put(&mut out, format_args!("{}\n", paint.bold(heading)));
        }
        out.push_str(&wrapped(text, paint));
    }
    let mut sources: Vec<String> = cause
        .seed_section()
        .map(|section| {
            let lines = cause.seed_lines();
            format!("{SEED_TITLE}, \"{}\" (lines {}): {SEED_URL}", section.title, ranges(&lines))
        })
        .into_iter()
        .collect();
    sources.extend(cause.see.iter().map(ToString::to_string));
    if !sources.is_empty() {
        put(&mut out, format_args!("\n{}\n", paint.bold("Documented")));
        for source in sources {
            for (piece, number) in wrap::pieces(&source, paint.room(4)).iter().zip(0..) {
                put(&mut out, format_args!("{:indent$}{piece}\n", "", indent = if number == 0 { 2 } else { 4 }));
            }
        }
    }
    out
}

/// Running text, indented by two and broken between words.
fn wrapped(text: &str, paint: Paint) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let pieces = wrap::pieces(&text, Some(paint.room_or(2, WIDTH - 2)));
    pieces.iter().map(|piece| format!("  {piece}\n")).collect()
}

/// Line numbers, runs of them as ranges: `7-8, 27`.
fn ranges(lines: &[u16]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &line in lines {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            _ => runs.push((line, line)),
        }
    }
    let shown = |(start, end): &(u16, u16)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    };
    runs.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn entry(cause: &Cause) -> serde_json::Value {
    json!({
        "cause": cause.code,
        "family": cause.family.as_str(),
        "severity": cause.severity.as_str(),
        "title": cause.title,
        "documented": !cause.seed.is_empty(),
    })
}

fn list_json() -> String {
    let list: Vec<_> = register::all().map(entry).collect();
    format!("{:#}\n", serde_json::Value::from(list))
}

fn one_json(cause: &Cause) -> String {
    let page = cause.page();
    let mut one = entry(cause);
    one["fact"] = page.fact.into();
    one["why"] = page.why.into();
    one["how"] = page.how.into();
    one["fix"] = page.fix.into();
    one["not_this"] = page.not_this.into();
    one["seed_lines"] = cause.seed_lines().into();
    one["see"] = cause.see.to_vec().into();
    format!("{one:#}\n")
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        assert!(unknown("dkim-record-not-fond").to_string().contains("did you mean dkim-record-not-found"));
        assert!(unknown("nonsense-altogether").to_string().contains("lists them all"));
    }

    #[test]
    fn runs_of_lines_are_ranges() {
        assert_eq!(ranges(&[7, 8, 27, 30, 31]), "7-8, 27, 30-31");
    }
}
