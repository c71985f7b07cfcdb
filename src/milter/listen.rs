//! Sockets: bound before anything is served, with mode and group; accepted on for as long as we live.
//!
//! A failed accept (out of descriptors, a client already gone) waits and retries; it never ends the milter.
//! A stale Unix socket is replaced only if it is a socket and nobody answers on it.

use super::{
    state::Open,
    stream::{Kind as StreamKind, Stream},
};
use crate::config::{NO_MEMBER, Socket, group_id, own_group};
use rustix::fs::{Gid, Mode};
use std::{
    fmt, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{AcquireError, OwnedSemaphorePermit, watch},
    time::Sleep,
};

/// How long a failed accept waits: long enough not to spin, short enough to be back within a second.
const RETRY: Duration = Duration::from_millis(100);

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    kind: Kind,
    /// Where it listens, as the log and the tests say it.
    pub address: String,
    _unlink: Option<Unlink>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Why a socket cannot be had.
#[derive(Debug)]
pub struct ListenError {
    /// The socket as configured.
    pub socket: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// Opens a socket.
pub fn bind(socket: &Socket) -> Result<Bound, ListenError> {
    let failed = |reason: String| ListenError { socket: socket.to_string(), reason };
    match socket {
        Socket::Inet(address) => {
            let listener = std::net::TcpListener::bind(address).map_err(|error| failed(with_fix(&error)))?;
            tcp(listener).map_err(|error| failed(error.to_string()))
        }
        Socket::Unix { path, mode, group } => unix(path, *mode, group.as_deref()).map_err(failed),
        Socket::Systemd(name) => from_systemd(name).map_err(failed),
    }
}

/// Why an address cannot be had, and what to do.
fn with_fix(error: &io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("{text}; stop who has it (ss -ltnp), or take another port"),
        io::ErrorKind::AddrNotAvailable => format!("{text}; take an address of this host"),
        io::ErrorKind::PermissionDenied => format!("{text}; take a port from 1024 on"),
        _ => text,
    }
}

fn tcp(listener: std::net::TcpListener) -> io::Result<Bound> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = format!("inet:{}", listener.local_addr()?);
    Ok(Bound { kind: Kind::Tcp(listener), address, _unlink: None })
}

/// Binds beside the final name and renames, so that the socket never has another mode or group there.
fn unix(path: &Path, mode: u32, group: Option<&str>) -> Result<Bound, String> {
    let text = |error: io::Error| error.to_string();
    clear_stale(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    clear_stale(&beside)?;
    let listener = UnixListener::bind(&beside).map_err(text)?;
    let settled = settle(&beside, mode, group).and_then(|()| std::fs::rename(&beside, path).map_err(text));
    if let Err(reason) = settled {
        let _ = std::fs::remove_file(&beside);
        return Err(reason);
    }
    let inode = std::fs::symlink_metadata(path).map_err(text)?.ino();
    let unlink = Unlink { path: path.to_owned(), inode };
    Ok(Bound { kind: Kind::Unix(listener), address: format!("unix:{}", path.display()), _unlink: Some(unlink) })
}

/// Gives a socket of ours its group and its mode; where the group is refused, the mode is what it was. A group that is
/// right already is left alone: a sandbox may forbid the call for it.
fn settle(path: &Path, mode: u32, group: Option<&str>) -> Result<(), String> {
    let group = group.map_or_else(|| Ok(own_group(path)), group_id)?;
    let present = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?.gid();
    if present != group {
        rustix::fs::chown(path, None, Some(Gid::from_raw(group)))
            .map_err(|error| format!("it cannot be given to its group: {error}; {NO_MEMBER}"))?;
    }
    rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(|error| format!("its mode cannot be set: {error}"))
}

/// Gives open Unix sockets, each as it is, the mode and group of what it is to be: all of them, or none.
pub fn resettle(changes: &[(&Socket, &Socket)]) -> Result<(), ListenError> {
    for (at, (_, wanted)) in changes.iter().enumerate() {
        if let Err(error) = resettle_one(wanted) {
            for (before, _) in &changes[..at] {
                if let Err(error) = resettle_one(before) {
                    tracing::error!("a socket could not be given back what it had: {error}");
                }
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Gives an open Unix socket another mode and group.
fn resettle_one(socket: &Socket) -> Result<(), ListenError> {
    match socket {
        Socket::Unix { path, mode, group } => {
            settle(path, *mode, group.as_deref()).map_err(|reason| ListenError { socket: socket.to_string(), reason })
        }
        Socket::Inet(_) | Socket::Systemd(_) => Ok(()),
    }
}

/// Do two settings name one socket, whatever its mode and group?
pub fn same_place(one: &Socket, other: &Socket) -> bool {
    match (one, other) {
        (Socket::Unix { path: one, .. }, Socket::Unix { path: other, .. }) => one == other,
        _ => one == other,
    }
}

/// Removes a socket that nobody answers on; anything else at the path is in the way.
fn clear_stale(path: &Path) -> Result<(), String> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err("something that is no socket is in the way; remove it or choose another path".into());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err("another process answers on it; stop that process first".into()),
        // Nobody holds it any more. Any other error says nothing of that: another user's socket lets nobody else in.
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
            Err(format!("who has the socket that is there cannot be told: {error}; remove it or choose another path"))
        }
        Err(_) => std::fs::remove_file(path).map_err(|error| format!("the stale socket cannot be removed: {error}")),
    }
}

/// Takes the socket that systemd opened under this name (sd_listen_fds(3)).
fn from_systemd(name: &str) -> Result<Bound, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let Some(index) = names.split(':').position(|other| other == name) else {
        return Err(format!(
            "systemd passed no socket of this name (it passed {names:?}); set FileDescriptorName={name} in the socket unit"
        ));
    };
    let mut passed = passed().lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
        return tcp(listener).map_err(|error| error.to_string());
    }
    match passed.take_unix_listener(index) {
        Ok(Some(listener)) => {
            listener.set_nonblocking(true).map_err(|error| error.to_string())?;
            let listener = UnixListener::from_std(listener).map_err(|error| error.to_string())?;
            Ok(Bound { kind: Kind::Unix(listener), address: format!("systemd:{name}"), _unlink: None })
        }
        _ => Err("what systemd passed is no stream socket".into()),
    }
}

/// What systemd passed to this process: it can be read from the environment only once.
fn passed() -> &'static Mutex<listenfd::ListenFd> {
    static PASSED: OnceLock<Mutex<listenfd::ListenFd>> = OnceLock::new();
    PASSED.get_or_init(|| Mutex::new(listenfd::ListenFd::from_env()))
}

/// Removes our socket when we stop, unless another one stands there by then.
#[derive(Debug)]
struct Unlink {
    path: PathBuf,
    inode: u64,
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Accepts until it is told to stop; then it closes its socket and stays pending, so that open sessions can end.
///
/// A connection has to have one of the places that all listeners share. It is accepted first: a listener that nobody
/// connects to must not keep a place for itself. While it waits, the next ones stay in the queue of the kernel.
pub struct Acceptor {
    bound: Option<Bound>,
    open: Arc<Open>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    retry: Option<Pin<Box<Sleep>>>,
    waiting: Option<(Stream, Place)>,
}

/// A place to come.
type Place = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl Acceptor {
    /// Serves `bound` until `stop` turns true or its sender is gone.
    pub fn new(bound: Bound, open: Arc<Open>, mut stop: watch::Receiver<bool>) -> Acceptor {
        let stopped = Box::pin(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        Acceptor { bound: Some(bound), open, stopped, retry: None, waiting: None }
    }

    fn accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let Some(bound) = &self.bound else { return Poll::Pending };
        let kind = match &bound.kind {
            Kind::Tcp(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                // Without it, answers of two writes wait for a delayed acknowledgement: 44 ms a message, measured.
                stream.set_nodelay(true)?;
                StreamKind::Tcp(stream)
            }
            Kind::Unix(listener) => StreamKind::Unix(ready!(listener.poll_accept(cx))?.0),
        };
        Poll::Ready(Ok(Stream::new(kind, self.open.enter())))
    }

    /// The connection that was accepted, once it has its place.
    fn placed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let Some((_, place)) = &mut self.waiting else { return Poll::Pending };
        let place = ready!(place.as_mut().poll(cx)).map_err(io::Error::other)?;
        let Some((mut stream, _)) = self.waiting.take() else { return Poll::Pending };
        stream.take_place(place);
        Poll::Ready(Ok(stream))
    }
}

impl indymilter::Listener for Acceptor {
    type Io = Stream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        if self.bound.is_some() && self.stopped.as_mut().poll(cx).is_ready() {
            self.bound = None;
        }
        loop {
            if self.waiting.is_some() {
                return self.placed(cx);
            }
            if let Some(retry) = &mut self.retry {
                ready!(retry.as_mut().poll(cx));
                self.retry = None;
            }
            match ready!(self.accept(cx)) {
                Ok(stream) => {
                    self.waiting = Some((stream, Box::pin(self.open.places().acquire_owned())));
                }
                Err(error) => {
                    tracing::warn!("accept failed, trying again: {error}");
                    self.retry = Some(Box::pin(tokio::time::sleep(RETRY)));
                }
            }
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.socket, self.reason)
    }
}

impl std::error::Error for ListenError {}
