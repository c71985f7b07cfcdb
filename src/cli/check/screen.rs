//! One domain for people: the five steps, then what to do, on one screen.

use super::examine::{Checked, Status};
use crate::cli::{
    Exit, findings,
    paint::{self, Paint},
    wrap,
};
use std::fmt::Write;

/// Columns before a detail.
const MARGIN: usize = 14;

/// Longer details are cut.
const LONGEST: usize = 300;

/// The text of one domain, ending in a line end.
pub fn text(checked: &Checked, paint: Paint) -> String {
    let mut out = String::new();
    let selector = checked.selector.as_ref().map(|selector| format!(", selector {selector}")).unwrap_or_default();
    let verdict = match checked.exit() {
        Exit::Good => paint.good("ready"),
        Exit::Failed => paint.bad("not ready"),
        Exit::Temporary => paint.odd("cannot be decided: DNS gave no answer"),
    };
    put(&mut out, format_args!("{}{selector}: {verdict}\n", paint.bold(&checked.domain)));
    for judgement in &checked.steps {
        let word = judgement.status.as_str();
        let word = match judgement.status {
            Status::Ok => paint.good(word),
            Status::Failed => paint.bad(word),
            Status::Warning => paint.odd(word),
            Status::Skipped => paint.dim(word),
        };
        put(&mut out, format_args!("  {}. {word:<8} {}\n", judgement.step as u8, judgement.step.title()));
        let detail = paint::plain(&judgement.detail, LONGEST);
        for piece in wrap::pieces(&detail, paint.room(MARGIN)) {
            put(&mut out, format_args!("{:MARGIN$}{}\n", "", paint.dim(piece)));
        }
    }
    if let (Some((name, true)), Some(selector)) = (&checked.profile, &checked.selector)
        && !checked.findings.is_empty()
    {
        let told = format!("{name}, inferred from the selector {selector}; --provider names another");
        for (number, piece) in wrap::pieces(&told, paint.room(MARGIN)).iter().enumerate() {
            let label = if number == 0 { "  as of" } else { "" };
            put(&mut out, format_args!("{label:MARGIN$}{}\n", paint.dim(piece)));
        }
    }
    for state in &checked.rotations {
        put(&mut out, format_args!("  rotation\n"));
        for piece in wrap::pieces(state, paint.room(MARGIN)) {
            put(&mut out, format_args!("{:MARGIN$}{}\n", "", paint.dim(piece)));
        }
    }
    out.push_str(&findings::text(&checked.findings, findings::PRIMARY_AT_LENGTH, paint));
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}
