//! Colour for people at a terminal, and for nobody else: a pipe, a file and `NO_COLOR` get plain text. How wide the
//! terminal is is known here too.
//!
//! A painted text pads like the text itself, so that columns stay aligned with and without colour.

use std::{
    fmt,
    io::{self, IsTerminal},
    os::fd::AsFd,
};

/// Lines of running text are no wider, on the widest terminal: longer ones are hard to read.
const WIDEST: usize = 100;

/// Paints, or leaves text plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
    width: Option<usize>,
}

/// Text with its colour; shown with `{}`, and padded with `{:<12}` as the bare text would be.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    text: T,
    /// The parameter of the escape sequence (ECMA-48 §8.3.117); `None` for plain text.
    code: Option<&'static str>,
}

impl Paint {
    /// For what is written to standard output.
    pub fn stdout() -> Paint {
        Paint::of(&io::stdout())
    }

    /// For what is written to standard error.
    pub fn stderr() -> Paint {
        Paint::of(&io::stderr())
    }

    /// For whatever must not be coloured.
    #[cfg(test)]
    pub fn plain() -> Paint {
        Paint { on: false, width: None }
    }

    /// `NO_COLOR` counts when it is not empty (no-color.org); a dumb terminal would show the codes.
    fn of(stream: &(impl IsTerminal + AsFd)) -> Paint {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        Paint { on: stream.is_terminal() && !refused && !dumb, width: width(stream) }
    }

    /// The columns for a text behind so many columns of something else; `None` where the reader breaks the lines.
    pub fn room(self, taken: usize) -> Option<usize> {
        self.width.map(|width| width.saturating_sub(taken))
    }

    /// The same where lines are broken even for a reader who is no terminal.
    pub fn room_or(self, taken: usize, otherwise: usize) -> usize {
        self.room(taken).map_or(otherwise, |room| room.min(otherwise))
    }

    /// For headings.
    pub fn bold<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.with("1", text)
    }

    /// For what is there to be looked up, not to be read.
    pub fn dim<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.with("2", text)
    }

    /// For what is right.
    pub fn good<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.with("32", text)
    }

    /// For what is wrong.
    pub fn bad<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.with("31", text)
    }

    /// For what is neither right nor wrong, but worth a look.
    pub fn odd<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.with("33", text)
    }

    fn with<T: fmt::Display>(self, code: &'static str, text: T) -> Painted<T> {
        Painted { text, code: self.on.then_some(code) }
    }
}

/// `COLUMNS` where it is set, as shells and tests set it, else what the terminal says.
fn width(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let asked = || match stream.is_terminal() {
        true => rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col)),
        false => None,
    };
    said.or_else(asked).filter(|width| *width > 0).map(|width: usize| width.min(WIDEST))
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.to_string();
        let Some(code) = self.code else { return f.pad(&text) };
        write!(f, "\x1b[{code}m")?;
        f.pad(&text)?;
        f.write_str("\x1b[0m")
    }
}

/// A stranger's text without anything that a terminal would obey, cut after `longest` octets.
pub fn plain(text: &str, longest: usize) -> String {
    let mut out = String::with_capacity(text.len().min(longest + 3));
    for c in text.chars() {
        if out.len() > longest {
            out.push_str("...");
            break;
        }
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_changes_no_column() {
        let (plain, colour) = (Paint::plain(), Paint { on: true, width: None });
        assert_eq!(format!("{:<6}|", plain.good("pass")), "pass  |");
        assert_eq!(format!("{:<6}|", colour.good("pass")), "\x1b[32mpass  \x1b[0m|");
    }
}
