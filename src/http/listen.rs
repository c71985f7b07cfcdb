//! The socket: few connections at once, each for a short time, so that no client can hold the process up.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};

/// Connections at once; more wait in the kernel's queue. A browser opens six, Prometheus one.
const AT_ONCE: usize = 32;

/// How long a connection may last, which is one request: a page takes some seconds at most while its store is slow.
const LASTS: Duration = Duration::from_secs(20);

/// How long a failed accept waits, as that of the milter does.
const RETRY: Duration = Duration::from_millis(100);

/// A bound socket.
pub(super) struct Listener {
    inner: TcpListener,
    address: SocketAddr,
    places: Arc<Semaphore>,
}

/// A connection with its place and its deadline.
pub(super) struct Connection {
    inner: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Listener> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let inner = TcpListener::from_std(listener)?;
        let address = inner.local_addr()?;
        Ok(Listener { inner, address, places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.ok();
        loop {
            match self.inner.accept().await {
                Ok((inner, address)) => {
                    let deadline = Box::pin(tokio::time::sleep(LASTS));
                    return (Connection { inner, deadline, _place: place }, address);
                }
                Err(error) => {
                    tracing::debug!("accept failed at http.listen, trying again: {error}");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connection {
    /// An error once the time is over.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
