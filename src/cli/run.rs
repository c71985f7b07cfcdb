//! `waxseal run`: the milter until it is told to stop.
//!
//! SIGHUP reloads, SIGTERM and SIGINT drain and end. systemd is told when we are ready, reloading, alive and stopping.

use super::{Exit, Mistake};
use crate::{
    config::{DEFAULT_FILE, Settings},
    event::{Journal, log},
    http,
    milter::{ListenError, Server},
};
use sd_notify::NotifyState;
use std::{path::PathBuf, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The settings
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Runs the milter until a signal ends it.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let settings = super::load_settings(&options.config, Settings::inspect)?;
    let _log = log::start(&settings.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Mistake::new(format!("the runtime cannot start: {error}")))?;
    runtime.block_on(serve(settings, &options.config))
}

async fn serve(settings: Settings, config: &std::path::Path) -> Result<Exit, Mistake> {
    let mut hangup = listen_for(SignalKind::hangup())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let domains = settings.domains.len();
    doubt(&settings);
    let places = Settings { file: settings.file.clone(), listeners: settings.listeners.clone(), ..Settings::default() };
    let (journal, store, pages) = (Journal::new(&settings.log), settings.store.clone(), settings.http.clone());
    let mut server = Server::start_with(settings, journal.clone()).map_err(|error| not_listening(&places, &error))?;
    let mut http = http::Server::new(server.view());
    http.switch(http.prepare(&pages).map_err(Mistake::new)?);
    journal.keep_in(&store);
    server.keep_watch();
    for address in server.addresses() {
        tracing::info!("listening on {address}");
    }
    say_where(&http);
    tracing::info!("ready: version {}, {domains} domains", env!("CARGO_PKG_VERSION"));
    notify(&[NotifyState::Ready]);
    let mut exit = Exit::Good;
    let mut alive = tokio::time::interval(watchdog_period());
    loop {
        tokio::select! {
            _ = alive.tick() => notify(&[NotifyState::Watchdog]),
            _ = hangup.recv() => reload(&mut server, &mut http, &journal, config),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            why = server.failed() => {
                // Half a milter looks alive to whoever watches it; one that has ended is started again.
                tracing::error!("{why}");
                exit = Exit::Failed;
                break;
            }
        }
    }
    tracing::info!("stopping: no new connections, open ones end");
    notify(&[NotifyState::Stopping]);
    server.drain().await;
    journal.close().await;
    tracing::info!("stopped");
    Ok(exit)
}

fn listen_for(kind: SignalKind) -> Result<Signal, Mistake> {
    signal(kind).map_err(|error| Mistake::new(format!("signals cannot be received: {error}")))
}

/// All or nothing: a mistake anywhere leaves the old settings in force.
fn reload(server: &mut Server, http: &mut http::Server, journal: &Journal, config: &std::path::Path) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    notify(&[NotifyState::Reloading, NotifyState::MonotonicUsec(micros)]);
    let outcome =
        super::load_settings(config, Settings::inspect).map_err(|mistake| mistake.to_string()).and_then(|settings| {
            let prepared = http.prepare(&settings.http)?;
            server.reload(settings).map(|()| prepared)
        });
    match outcome {
        Ok(prepared) => {
            let before = http.address();
            http.switch(prepared);
            if http.address() != before {
                say_where(http);
            }
            let settings = server.settings();
            journal.keep_in(&settings.store);
            tracing::info!("reloaded: {} domains", settings.domains.len());
            doubt(&settings);
        }
        Err(reason) => tracing::error!("not reloaded, the old settings stay in force: {reason}"),
    }
    notify(&[NotifyState::Ready]);
}

/// Says where metrics and the status page are.
fn say_where(http: &http::Server) {
    if let Some(address) = http.address() {
        tracing::info!("metrics and status page on http://{address}/");
    }
}

/// The socket that cannot be had, at its place in the settings.
fn not_listening(settings: &Settings, error: &ListenError) -> Mistake {
    let listener = settings.listeners.iter().find(|listener| listener.socket.to_string() == error.socket);
    Mistake::new(match listener {
        Some(listener) => settings.listener_mistake(listener, &error.reason).to_string(),
        None => error.to_string(),
    })
}

/// Says what is allowed and most likely not meant.
fn doubt(settings: &Settings) {
    for doubt in settings.doubts() {
        tracing::warn!("{doubt}");
    }
}

/// Half of what systemd allows (WatchdogSec=); an hour where it asks for nothing.
fn watchdog_period() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |limit| limit / 2)
}

/// Tells systemd, if it listens; nothing depends on it.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
