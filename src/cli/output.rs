//! Standard output and standard error: nothing that cannot be written makes the program panic.
//!
//! A reader that has seen enough (`| head`) is no mistake; a disk that is full is one. Where standard error fails there
//! is nobody left to tell, so that is ignored.

use super::Mistake;
use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

/// Writes all of it to standard output.
pub fn write(bytes: impl AsRef<[u8]>) -> Result<(), Mistake> {
    let mut output = io::stdout().lock();
    judge(output.write_all(bytes.as_ref()).and_then(|()| output.flush()))
}

/// Prints the help or the version that was asked for.
pub fn help(help: &clap::Error) -> Result<(), Mistake> {
    judge(help.print().and_then(|()| io::stdout().flush()))
}

/// Says one thing on standard error.
pub fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn judge(written: io::Result<()>) -> Result<(), Mistake> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Mistake::new(format!("standard output: {}", error.to_string().to_lowercase())))
        }
        _ => Ok(()),
    }
}
