//! The running milter: its listeners, its settings, and how both change while mail flows.
//!
//! Everything that can fail at a start or a reload is done first; only then does anything change.

use super::{
    Connection, callbacks,
    diagnosing::Diagnosing,
    listen::{self, Acceptor, Bound, ListenError},
    state::{Active, Open, Shared},
    view::View,
};
use crate::{
    config::{Listener, MAX_CONNECTIONS, Rotating, Settings, Socket},
    event::Journal,
    sign::selfcheck::Checked,
    watch::{Basis, Ground, Keeper, Recall, Rotor, Watch},
};
use arc_swap::ArcSwap;
use indymilter::Callbacks;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};

/// A milter that serves its listeners.
pub struct Server {
    shared: Arc<Shared>,
    running: Vec<Running>,
    /// Listeners that a reload took out of the settings: they take no new connections, and those that are open go on.
    leaving: Vec<Running>,
    /// Who looks at the records of our own keys, if somebody does.
    keeper: Option<Keeper>,
    /// Who carries the rotations of keys on, likewise.
    rotor: Option<Rotor>,
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
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// As [`Server::start_with`], with a journal that writes to the log alone.
    pub fn start(settings: Settings) -> Result<Server, ListenError> {
        let journal = Journal::new(&settings.log);
        Server::start_with(settings, journal)
    }

    /// Binds every listener and serves them; needs a tokio runtime.
    pub fn start_with(settings: Settings, journal: Journal) -> Result<Server, ListenError> {
        let bound: Vec<(Listener, Bound)> = settings
            .listeners
            .iter()
            .map(|listener| Ok((listener.clone(), listen::bind(&listener.socket)?)))
            .collect::<Result<_, ListenError>>()?;
        let host = host_name();
        let shared = Arc::new(Shared {
            recall: Recall::new(journal.clone()),
            changing: Mutex::default(),
            open: Arc::new(Open::new(settings.limits.connections)),
            checked: Checked::default(),
            diagnosing: Diagnosing::default(),
            watch: Arc::default(),
            active: ArcSwap::from_pointee(Active::new(settings, None, &host, journal.metrics())),
            stopping: AtomicBool::new(false),
            journal,
            host,
        });
        let running = bound.into_iter().map(|(listener, bound)| Running::serve(&shared, listener, bound)).collect();
        Ok(Server { shared, running, leaving: Vec::new(), keeper: None, rotor: None })
    }

    /// Where each listener listens, in the order of the settings: the real port where port 0 was configured.
    pub fn addresses(&self) -> Vec<String> {
        self.running.iter().map(|running| running.address.clone()).collect()
    }

    /// What others may look at while it serves.
    pub fn view(&self) -> View {
        View::new(self.shared.clone())
    }

    /// Begins to look at the records of our own keys, and to carry their rotations on; call it once the journal knows its store, which remembers them.
    pub fn keep_watch(&mut self) {
        let shared = self.shared.clone();
        let current = move || shared.active.load_full() as Arc<dyn Basis>;
        let Shared { watch, recall, journal, host, .. } = &*self.shared;
        let begin = || Keeper::begin(watch, recall.clone(), current, journal.clone(), host.clone());
        self.keeper = self.keeper.take().or_else(begin);
        let (current, shared) = (self.shared.clone(), self.shared.clone());
        let current = move || current.active.load_full() as Arc<dyn Ground>;
        let put_in_force = move || shared.rotate();
        self.rotor = Some(Rotor::begin(current, put_in_force, journal.clone(), host.clone()));
    }

    /// How the records of our own keys stand: for the status page and the metrics.
    pub fn watch(&self) -> Arc<Watch> {
        self.shared.watch.clone()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.shared.active.load().settings.clone()
    }

    /// Puts new settings in force, all or nothing: new sockets are bound, and the keys in use read anew, before anything
    /// changes. Messages under way end under the settings they began with.
    pub fn reload(&mut self, mut settings: Settings) -> Result<(), String> {
        let shared = self.shared.clone();
        let _changing = shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // What was written down since the settings were read counts too.
        settings.rotate(Rotating::read_all(&settings.rotation.path).map_err(|mistakes| mistakes.to_string())?);
        let active = self.with_keys_in_use(settings)?;
        let listeners = &active.settings.listeners;
        let at = |error: ListenError| match listeners.iter().find(|one| one.socket.to_string() == error.socket) {
            Some(listener) => active.settings.listener_mistake(listener, &error.reason).to_string(),
            None => error.to_string(),
        };
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for listener in listeners {
            match self.running.iter().find(|running| listen::same_place(&running.socket, &listener.socket)) {
                Some(running) if running.socket == listener.socket => {}
                Some(running) => changed.push((&running.socket, &listener.socket)),
                None => added.push((listener.clone(), listen::bind(&listener.socket).map_err(at)?)),
            }
        }
        // Last of what can fail, since it alone is seen from outside; sockets that were opened in vain go by themselves.
        listen::resettle(&changed).map_err(at)?;
        let wanted = listeners.clone();
        self.shared.active.store(active);
        self.shared.watch.reload();
        for running in &mut self.running {
            match wanted.iter().find(|listener| listen::same_place(&listener.socket, &running.socket)) {
                Some(listener) => {
                    running.socket = listener.socket.clone();
                    running.rules.store(Arc::new(listener.clone()));
                }
                None => drop(running.stop.send(true)),
            }
        }
        self.leaving.extend(self.running.extract_if(.., |running| *running.stop.borrow()));
        self.running.extend(added.into_iter().map(|(listener, bound)| Running::serve(&self.shared, listener, bound)));
        Ok(())
    }

    /// New settings with the keys that mail is being signed with, read again from their files.
    fn with_keys_in_use(&self, settings: Settings) -> Result<Arc<Active>, String> {
        let before = self.shared.active.load();
        let active = Active::new(settings, Some(&before), &self.shared.host, self.shared.journal.metrics());
        let in_use = before.keys.in_use();
        for domain in active.settings.domains.values() {
            if domain.keys.iter().any(|key| in_use.contains(key)) {
                let read = active.keys.of(domain, &active.settings.key_directory);
                read.map_err(|mistake| active.settings.key_mistake(domain, &mistake).to_string())?;
            }
        }
        Ok(Arc::new(active))
    }

    /// Waits for a listener that ends although nobody told it to, and says which and why; for ever, while all serve.
    pub async fn failed(&mut self) -> String {
        std::future::poll_fn(|cx| {
            for index in 0..self.running.len() {
                if let Poll::Ready(outcome) = Pin::new(&mut self.running[index].task).poll(cx) {
                    let ended = self.running.swap_remove(index);
                    let why = match outcome {
                        Ok(Ok(())) => "it stopped".to_owned(),
                        Ok(Err(error)) => error.to_string(),
                        Err(error) => error.to_string(),
                    };
                    return Poll::Ready(format!("the listener at {} ended unasked: {why}", ended.address));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Stops: no new connections, open sessions go on for `limits.drain`, then end after the command under way.
    pub async fn drain(self) {
        self.shared.stopping.store(true, Ordering::Release);
        let drain = self.shared.active.load().settings.limits.drain;
        for running in &self.running {
            let _ = running.stop.send(true);
        }
        if tokio::time::timeout(drain, self.shared.open.none()).await.is_err() {
            tracing::warn!("{} connections were still open after {} s", self.shared.open.count(), drain.as_secs());
        }
        self.shared.open.end();
        for running in self.running.into_iter().chain(self.leaving) {
            let _ = running.end.send(true);
            // A session that does not end even now is stuck in a write to an MTA that reads nothing.
            let _ = tokio::time::timeout(Duration::from_secs(2), running.task).await;
        }
        if let Some(recorder) = self.shared.active.load().recorder.clone() {
            let _ = tokio::task::spawn_blocking(move || recorder.close()).await;
        }
    }
}

impl Running {
    fn serve(shared: &Arc<Shared>, listener: Listener, bound: Bound) -> Running {
        let rules = Arc::new(ArcSwap::from_pointee(listener));
        let callbacks = callbacks(shared, &rules);
        Running::serve_with(shared, rules, bound, callbacks)
    }

    fn serve_with(
        shared: &Arc<Shared>,
        rules: Arc<ArcSwap<Listener>>,
        bound: Bound,
        callbacks: Callbacks<Connection>,
    ) -> Running {
        let (stop, stopped) = watch::channel(false);
        let (end, mut ended) = watch::channel(false);
        let idle = shared.active.load().settings.limits.idle;
        let socket = rules.load().socket.clone();
        let address = bound.address.clone();
        let acceptor = Acceptor::new(bound, shared.open.clone(), stopped);
        let milter = indymilter::run(
            acceptor,
            callbacks,
            indymilter::Config {
                // `limits.connections` holds for all listeners together: see `Acceptor`.
                max_connections: MAX_CONNECTIONS,
                connection_timeout: idle,
                ..Default::default()
            },
            async move {
                let _ = ended.wait_for(|end| *end).await;
            },
        );
        let task = tokio::spawn(milter);
        Running { socket, address, rules, stop, end, task }
    }
}

/// The name of this host, for events.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::KeyType;
    use indymilter_test::{EomAction, ProtoOpts, Status, TestConnection};
    use std::{net::SocketAddr, path::Path};

    fn settings(folder: &Path, lines: &str) -> Settings {
        crate::key::generate(KeyType::Rsa).expect("a key").write(&folder.join("key.pem")).expect("written");
        let text = format!(
            "key_directory = \".\"\n{lines}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n\
             [[listener]]\nsocket = \"inet:127.0.0.2:0\"\n\
             [domains.\"example.com\"]\nselector = \"s\"\nkey = \"key.pem\"\n"
        );
        Settings::parse(&text, &folder.join("waxseal.toml")).expect("settings")
    }

    async fn open(address: &str) -> TestConnection {
        let address: SocketAddr = address.strip_prefix("inet:").expect("inet").parse().expect("an address");
        // An MTA that sends commands that it does not know itself.
        let known = ProtoOpts::all() - ProtoOpts::NO_UNKNOWN;
        TestConnection::configure().available_opts(known).open_tcp(address).await.expect("a connection")
    }

    /// Is a message of ours signed?
    async fn is_signed(connection: &mut TestConnection) -> bool {
        connection.mail(["<a@example.com>"]).await.expect("mail");
        connection.rcpt(["<b@example.net>"]).await.expect("rcpt");
        connection.header("From", " a@example.com").await.expect("header");
        connection.eoh().await.expect("end of header");
        connection.body(b"x\r\n".to_vec()).await.expect("body");
        let (actions, status) = connection.eom().await.expect("end of message");
        status == Status::Accept && matches!(&actions.actions[..], [EomAction::InsertHeader { .. }])
    }

    #[tokio::test]
    async fn a_listener_that_ends_unasked_is_noticed_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Server::start(settings(folder.path(), "")).expect("a server");
        let [kept, lost] = &server.addresses()[..] else { panic!("two listeners") };
        assert!(tokio::time::timeout(Duration::ZERO, server.failed()).await.is_err(), "all serve");
        server.running[1].task.abort();
        let said = server.failed().await;
        assert!(said.contains(&**lost) && said.contains("ended unasked"), "{said}");
        let mut connection = open(kept).await;
        connection.connect("client.example", [127, 0, 0, 1]).await.expect("connect");
        assert!(is_signed(&mut connection).await, "what goes on can end in order");
        connection.close().await.expect("close");
        server.drain().await;
    }

    /// The panic is in a callback that we do not have; all the rest is what serves mail.
    #[tokio::test]
    async fn a_panic_in_one_session_hurts_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Server::start(settings(folder.path(), "limits.connections = 2")).expect("a server");
        let listener = server.shared.active.load().settings.listeners[0].clone();
        let bound = listen::bind(&listener.socket).expect("a socket");
        let address = bound.address.clone();
        let rules = Arc::new(ArcSwap::from_pointee(listener));
        let panics = callbacks(&server.shared, &rules).on_unknown(|_, _| panic!("as a test wants it"));
        server.running.push(Running::serve_with(&server.shared, rules, bound, panics));

        let mut other = open(&address).await;
        other.connect("client.example", [127, 0, 0, 1]).await.expect("connect");
        other.mail(["<a@example.com>"]).await.expect("mail");
        for _ in 0..5 {
            let mut connection = open(&address).await;
            connection.connect("client.example", [127, 0, 0, 1]).await.expect("connect");
            assert!(connection.unknown("BOOM").await.is_err(), "the session is gone");
        }
        other.abort().await.expect("abort");
        assert!(is_signed(&mut other).await);
        // Each of the five has given back its place, or the last could not have been served.
        assert!(tokio::time::timeout(Duration::ZERO, server.failed()).await.is_err(), "no listener ended");
        other.close().await.expect("close");
        server.drain().await;
    }
}
