//! The running milter: its listeners, its settings, and how both change while mail flows.
//!
//! Everything that can fail at a start or a reload is done first; only then does anything change.

use super::{
    callbacks,
    listen::{self, Acceptor, Bound, ListenError},
    state::{Active, Open, Shared},
};
use crate::{
    config::{Listener, Settings, Socket},
    event::Journal,
};
use arc_swap::ArcSwap;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};

/// A milter that serves its listeners.
pub struct Server {
    shared: Arc<Shared>,
    running: Vec<Running>,
}

/// One listener that is served.
struct Running {
    socket: Socket,
    address: String,
    rules: Arc<ArcSwap<Listener>>,
    /// No further connections.
    stop: watch::Sender<bool>,
    /// No further commands either.
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds every listener and serves them; needs a tokio runtime.
    pub fn start(settings: Settings) -> Result<Server, ListenError> {
        let bound: Vec<(Listener, Bound)> = settings
            .listeners
            .iter()
            .map(|listener| Ok((listener.clone(), listen::bind(&listener.socket)?)))
            .collect::<Result<_, ListenError>>()?;
        let host = host_name();
        let shared = Arc::new(Shared {
            journal: Journal::new(&settings.log),
            active: ArcSwap::from_pointee(Active::new(settings, None, &host)),
            host,
            open: Arc::new(Open::default()),
        });
        let running = bound.into_iter().map(|(listener, bound)| Running::serve(&shared, listener, bound)).collect();
        Ok(Server { shared, running })
    }

    /// Where each listener listens, in the order of the settings: the real port where port 0 was configured.
    pub fn addresses(&self) -> Vec<String> {
        self.running.iter().map(|running| running.address.clone()).collect()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.shared.active.load().settings.clone()
    }

    /// Puts new settings in force, all or nothing: new sockets are bound, and the keys in use read anew, before anything
    /// changes. Messages under way end under the settings they began with.
    pub fn reload(&mut self, settings: Settings) -> Result<(), String> {
        let active = self.with_keys_in_use(settings)?;
        let at = |listener: &Listener, error: ListenError| {
            active.settings.listener_mistake(listener, &error.reason).to_string()
        };
        let mut added = Vec::new();
        for listener in &active.settings.listeners {
            match self.running.iter().find(|running| listen::same_place(&running.socket, &listener.socket)) {
                Some(running) if running.socket == listener.socket => {}
                Some(_) => listen::resettle(&listener.socket).map_err(|error| at(listener, error))?,
                None => {
                    added.push((listener.clone(), listen::bind(&listener.socket).map_err(|error| at(listener, error))?))
                }
            }
        }
        let wanted = active.settings.listeners.clone();
        self.shared.active.store(active);
        for running in &mut self.running {
            match wanted.iter().find(|listener| listen::same_place(&listener.socket, &running.socket)) {
                Some(listener) => {
                    running.socket = listener.socket.clone();
                    running.rules.store(Arc::new(listener.clone()));
                }
                // Its open sessions go on; it takes no new ones.
                None => drop(running.stop.send(true)),
            }
        }
        self.running.retain(|running| !*running.stop.borrow());
        self.running.extend(added.into_iter().map(|(listener, bound)| Running::serve(&self.shared, listener, bound)));
        Ok(())
    }

    /// New settings with the keys that mail is being signed with, read again from their files.
    fn with_keys_in_use(&self, settings: Settings) -> Result<Arc<Active>, String> {
        let before = self.shared.active.load();
        let active = Active::new(settings, Some(&before), &self.shared.host);
        let in_use = before.keys.in_use();
        for domain in active.settings.domains.values() {
            if domain.keys.iter().any(|key| in_use.contains(key)) {
                let read = active.keys.of(domain, &active.settings.key_directory);
                read.map_err(|mistake| active.settings.key_mistake(domain, &mistake).to_string())?;
            }
        }
        Ok(Arc::new(active))
    }

    /// Stops: no new connections, open sessions go on for `limits.drain`, then end after the command under way.
    pub async fn drain(self) {
        let drain = self.shared.active.load().settings.limits.drain;
        for running in &self.running {
            let _ = running.stop.send(true);
        }
        if tokio::time::timeout(drain, self.shared.open.none()).await.is_err() {
            tracing::warn!("{} connections were still open after {} s", self.shared.open.count(), drain.as_secs());
        }
        for running in self.running {
            let _ = running.end.send(true);
            // A session that does not end even now is stuck in a write to an MTA that reads nothing.
            let _ = tokio::time::timeout(Duration::from_secs(2), running.task).await;
        }
    }
}

impl Running {
    fn serve(shared: &Arc<Shared>, listener: Listener, bound: Bound) -> Running {
        let (stop, stopped) = watch::channel(false);
        let (end, mut ended) = watch::channel(false);
        let limits = shared.active.load().settings.limits.clone();
        let socket = listener.socket.clone();
        let address = bound.address.clone();
        let rules = Arc::new(ArcSwap::from_pointee(listener));
        let acceptor = Acceptor::new(bound, shared.open.clone(), stopped);
        let milter = indymilter::run(
            acceptor,
            callbacks(shared, &rules),
            indymilter::Config {
                max_connections: limits.connections,
                connection_timeout: limits.idle,
                ..Default::default()
            },
            async move {
                let _ = ended.wait_for(|end| *end).await;
            },
        );
        let task = tokio::spawn(async move {
            if let Err(error) = milter.await {
                tracing::error!("a listener ended: {error}");
            }
        });
        Running { socket, address, rules, stop, end, task }
    }
}

/// The name of this host, for events.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
