//! How the demo looks: numbered steps, one sentence each, and aligned rows below.

use super::Unexpected;
use crate::cli::paint::{Paint, Painted};
use std::{
    fmt,
    io::{self, Write},
};

/// Standard output, with colour where a person looks at it.
pub struct Screen {
    /// Colours.
    pub paint: Paint,
}

impl Screen {
    /// For this process.
    pub fn new() -> Screen {
        Screen { paint: Paint::stdout() }
    }

    /// One line. A reader that has gone (`demo | head`) is no reason to leave anything running: the demo goes on.
    pub fn line(&self, text: impl fmt::Display) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// A step: its number and title, and what a newcomer should know.
    pub fn step(&self, number: usize, title: &str, why: &str) {
        self.line("");
        self.line(format_args!("{}  {}", self.paint.bold(number), self.paint.bold(title)));
        self.line(format_args!("   {why}"));
    }

    /// A row of a step.
    pub fn row(&self, label: &str, text: impl fmt::Display) {
        self.line(format_args!("   {label:<10} {text}"));
    }

    /// A row with a result.
    pub fn result(&self, label: &str, result: Painted<&str>, text: impl fmt::Display) {
        self.line(format_args!("   {label:<10} {result:<11} {text}"));
    }

    /// Text of several lines, each dim, and indented by no more than what leaves 80 columns for a field of 78.
    pub fn quote(&self, text: &str) {
        for line in text.lines() {
            self.line(format_args!("  {}", self.paint.dim(line)));
        }
    }

    /// The last word of a demo that went wrong, on standard error.
    pub fn failure(&self, unexpected: &Unexpected) {
        let paint = Paint::stderr();
        let _ = writeln!(io::stderr(), "\nwaxseal demo: {}: {unexpected}", paint.bad("not as it should be"));
    }
}
