//! TLS to a database server, with the one TLS library that is there already.
//!
//! Where TLS is spoken, the certificate is checked: against the authorities of the system or those of `sslrootcert=`, and
//! against the host in the URL. Without `sslmode=`, a server of another host must speak it, and one of this host need not.

use crate::config::Url;
use ::postgres::{
    Config,
    config::{Host, SslMode},
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{
    TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject},
    },
};

/// Speaks TLS for the client library.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

/// Speaks it to one host.
pub(super) struct Handshake {
    connector: TlsConnector,
    host: ServerName<'static>,
}

/// A connection inside TLS.
pub(super) struct Encrypted<S>(client::TlsStream<S>);

/// What the URL says, for the client library, and how to speak TLS.
pub(super) fn read(url: &Url) -> Result<(Config, Tls), String> {
    let (place, parameters) = url.secret().split_once('?').unwrap_or((url.secret(), ""));
    let (mut ours, mut others) = ((None, None), Vec::new());
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => ours.0 = Some(mode),
            Some(("sslrootcert", file)) => ours.1 = Some(file.replace("%2F", "/")),
            _ => others.push(parameter),
        }
    }
    let (mode, authorities) = ours;
    let url = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
    let mut config: Config = url.parse().map_err(|error: ::postgres::Error| super::postgres::told(&error))?;
    let mode = match mode {
        Some("disable") => SslMode::Disable,
        Some("prefer") => SslMode::Prefer,
        Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some(other) => return Err(format!("sslmode={other} is none of disable, prefer and require")),
        None if config.get_hosts().iter().all(is_here) => SslMode::Disable,
        None => SslMode::Require,
    };
    config.ssl_mode(mode);
    let roots = match authorities {
        _ if mode == SslMode::Disable => RootCertStore::empty(),
        Some(file) => of_file(&file)?,
        None => of_system(),
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, Tls(Arc::new(tls))))
}

/// Is it this host, where nobody listens in between?
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

fn of_file(file: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let told = |why: &dyn std::fmt::Display| format!("sslrootcert={file}: {}", why.to_string().to_lowercase());
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| told(&error))? {
        let certificate = certificate.map_err(|error| told(&error))?;
        roots.add(certificate).map_err(|error| told(&error))?;
    }
    if roots.is_empty() { Err(told(&"no certificate in it")) } else { Ok(roots) }
}

fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is one that vouches for nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        let host = ServerName::try_from(host.to_owned())?;
        Ok(Handshake { connector: TlsConnector::from(self.0.clone()), host })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.host, stream).await.map(Encrypted) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        // The certificate is checked, which serves the same end.
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_must_speak_tls() {
        for (url, want) in [
            ("postgres://wax@127.0.0.1/events", Ok(SslMode::Disable)),
            ("postgres://wax@[::1]/events", Ok(SslMode::Disable)),
            ("postgres://wax@localhost/events?application_name=x", Ok(SslMode::Disable)),
            ("postgres://wax@%2Frun%2Fpostgresql/events", Ok(SslMode::Disable)),
            ("postgres://wax@db.example.com/events", Ok(SslMode::Require)),
            ("postgres://wax@localhost,db.example.com/events", Ok(SslMode::Require)),
            ("postgres://wax@db.example.com/events?sslmode=disable", Ok(SslMode::Disable)),
            ("postgres://wax@db.example.com/events?sslmode=prefer&connect_timeout=3", Ok(SslMode::Prefer)),
            ("postgres://wax@127.0.0.1/events?sslmode=verify-full", Ok(SslMode::Require)),
            ("postgres://wax@db.example.com/events?sslmode=allow", Err("sslmode=allow")),
            ("postgres://wax@db.example.com/events?sslrootcert=/nowhere/ca.pem", Err("/nowhere/ca.pem")),
            ("postgres://wax@db.example.com/events?colour=blue", Err("colour")),
        ] {
            let read = read(&Url::new(url).expect("a URL")).map(|(config, _)| config.get_ssl_mode());
            match (read, want) {
                (Ok(mode), Ok(want)) => assert_eq!(mode, want, "{url}"),
                (Err(why), Err(want)) => assert!(why.contains(want), "{url}: {why}"),
                (read, want) => panic!("{url}: {read:?}, not {want:?}"),
            }
        }
    }
}
