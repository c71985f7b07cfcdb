//! Which milters of Postfix are Waxseal's, and what their listeners do.
//!
//! With settings at hand the sockets of the listeners say it; without them the default port and the name do, and where
//! nothing else is named, a milter that stands alone is taken for ours.

use super::config::{Config, Milter, Service};
use crate::config::{Listener, Mode, Settings, Socket};
use std::path::{Path, PathBuf};

/// The listeners, if they are known.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    listeners: Option<Vec<Listener>>,
}

impl Ours {
    /// Those of the settings, or none known.
    pub fn new(settings: Option<&Settings>) -> Ours {
        Ours { listeners: settings.map(|settings| settings.listeners.clone()) }
    }

    /// Is it known which listener only verifies?
    pub fn knows_modes(&self) -> bool {
        self.listeners.is_some()
    }

    /// Is this milter ours?
    pub fn has(&self, config: &Config, service: &Service, milter: &Milter) -> bool {
        match &self.listeners {
            Some(_) => self.listener(config, service, milter).is_some(),
            None => {
                let alone = || {
                    let all = ["smtpd_milters", "non_smtpd_milters"].map(|name| config.milters(None, name)).concat();
                    let own: Vec<Milter> = config
                        .services
                        .iter()
                        .flat_map(|service| config.milters(Some(service), "smtpd_milters"))
                        .collect();
                    all.iter().chain(&own).all(|other| other.socket == milter.socket)
                };
                is_named_ours(milter) || alone()
            }
        }
    }

    /// May it sign there?
    pub fn may_sign(&self, config: &Config, service: &Service, milter: &Milter) -> bool {
        self.listener(config, service, milter).is_none_or(|listener| listener.mode != Mode::Verify)
    }

    /// Does it never sign there?
    pub fn only_verifies(&self, config: &Config, service: &Service, milter: &Milter) -> bool {
        self.listener(config, service, milter).is_some_and(|listener| listener.mode == Mode::Verify)
    }

    /// The value for main.cf.
    pub fn for_main_cf(&self) -> String {
        let first = self.listeners.iter().flatten().find(|listener| listener.mode != Mode::Verify);
        match first.or(self.listeners.iter().flatten().next()).map(|listener| &listener.socket) {
            Some(Socket::Systemd(_)) => "unix:waxseal/milter.sock".into(),
            Some(socket) => socket.to_string(),
            None => "inet:127.0.0.1:8891".into(),
        }
    }

    /// Where a process in the chroot looks for a socket that does not lie there, and the name that would find it.
    pub fn hidden_by_chroot(&self, config: &Config, service: &Service, milter: &Milter) -> Option<(String, String)> {
        let path = unix_path(&milter.socket).filter(|path| service.chroot && path.is_absolute())?;
        let queue = PathBuf::from(config.value(None, "queue_directory"));
        let looked_for = queue.join(path.strip_prefix("/").ok()?);
        let real = self.listeners.iter().flatten().find_map(|listener| match &listener.socket {
            Socket::Unix { path: real, .. } if *real == looked_for => Some(true),
            Socket::Unix { path: real, .. } if real == path => Some(false),
            _ => None,
        });
        // Without settings, a path that begins as the whole file system does was meant for it.
        let found = real.unwrap_or_else(|| !["/run", "/var", "/tmp", "/etc"].iter().any(|top| path.starts_with(top)));
        if found {
            return None;
        }
        let name = match path.strip_prefix(&queue) {
            Ok(below) => format!("unix:{}", below.display()),
            Err(_) => "unix:waxseal/milter.sock".into(),
        };
        Some((looked_for.display().to_string(), name))
    }

    fn listener(&self, config: &Config, service: &Service, milter: &Milter) -> Option<&Listener> {
        let queue = PathBuf::from(config.value(None, "queue_directory"));
        self.listeners.iter().flatten().find(|listener| match &listener.socket {
            Socket::Inet(address) => inet(&milter.socket).is_some_and(|(host, port)| {
                let any = address.ip().is_unspecified();
                port == address.port().to_string()
                    && (any || host.parse().is_ok_and(|ip: std::net::IpAddr| ip == address.ip()))
            }),
            Socket::Unix { path: real, .. } => unix_path(&milter.socket).is_some_and(|path| {
                let below = path.strip_prefix("/").unwrap_or(path);
                // Named wrongly for the chroot it is still meant.
                *real == queue.join(path) || *real == path || (service.chroot && *real == queue.join(below))
            }),
            Socket::Systemd(_) => is_named_ours(milter),
        })
    }
}

/// The default port, or a path with our name.
fn is_named_ours(milter: &Milter) -> bool {
    milter.socket.contains("waxseal")
        || inet(&milter.socket).is_some_and(|(_, port)| matches!(port, "8891" | "8892" | "8893"))
}

/// Host and port of `inet:host:port`; `localhost` as an address.
fn inet(socket: &str) -> Option<(String, &str)> {
    let rest = socket.strip_prefix("inet:").or(socket.strip_prefix("inet6:"))?;
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    Some((if host == "localhost" { "127.0.0.1".into() } else { host.to_owned() }, port))
}

fn unix_path(socket: &str) -> Option<&Path> {
    socket.strip_prefix("unix:").or(socket.strip_prefix("local:")).map(Path::new)
}
