//! The program behind `tests/long/dkim-differential`: our DKIM verdicts against dkimpy's, as often as is asked for.
//!
//! Arguments: how many messages (100,000 by default) and the seed. Ends with status 1 if a disagreement has no reason.

#[path = "../common/mod.rs"]
mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let count = numbers.next().unwrap_or(100_000);
    let seed = numbers.next().unwrap_or(1);
    let report = common::differential::compare(seed, usize::try_from(count).expect("a small number"));
    println!("seed {seed}\n{report}");
    if report.unexplained.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
