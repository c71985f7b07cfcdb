//! `waxseal demo`: the whole job on an embedded DNS, with no root and no set-up.
//!
//! Real parts throughout: a key as `keygen` makes it, settings as `run` reads them, the milter itself, DNS and the milter
//! protocol on the wire. Only loopback is used. What does not go as it should ends the demo with the reason, exit status 1;
//! whatever happens, the temporary folders go and the private Postfix of `--postfix` is stopped.

mod journal;
mod letters;
mod mta;
mod name_server;
mod postfix;
mod receiver;
mod screen;
mod smtp;
mod stage;
mod story;

use super::{Exit, Mistake};
use screen::Screen;
use std::fmt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// Keep the milter and its DNS up, and print the lines that attach an MTA
    #[arg(long)]
    stay: bool,
    /// Send the messages through a private Postfix (needs root and an installed Postfix)
    #[arg(long)]
    postfix: bool,
}

/// What did not go as it should, and where.
#[derive(Debug)]
pub struct Unexpected(String);

impl Unexpected {
    /// With its text: lower case, no full stop.
    pub fn new(text: impl Into<String>) -> Unexpected {
        Unexpected(text.into())
    }

    /// An error that happened on the way to something.
    pub fn when<E: fmt::Display>(what: &'static str) -> impl Fn(E) -> Unexpected {
        move |error| Unexpected(format!("{what}: {error}"))
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unexpected {}

/// Runs the demo.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let installed = options.postfix.then(postfix::Installed::find).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Mistake::new(format!("the runtime cannot start: {error}")))?;
    let screen = Screen::new();
    match runtime.block_on(perform(&options, installed, &screen)) {
        Ok(()) => Ok(Exit::Good),
        Err(unexpected) => {
            screen.failure(&unexpected);
            Ok(Exit::Failed)
        }
    }
}

async fn perform(options: &Options, installed: Option<postfix::Installed>, screen: &Screen) -> Result<(), Unexpected> {
    let mut stop = Stop::listen().map_err(Unexpected::when("signals cannot be received"))?;
    let mut stage = tokio::select! {
        stage = story::tell(installed, screen) => stage?,
        () = stop.wanted() => return Err(Unexpected::new("interrupted")),
    };
    if options.stay {
        story::invite(&stage, screen);
        tokio::select! {
            () = story::follow(&mut stage.journal, screen) => {}
            () = stop.wanted() => screen.line("stopped; the temporary folder is removed"),
        }
    } else {
        story::what_next(screen);
    }
    stage.clear().await;
    Ok(())
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Stop> {
        Ok(Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
