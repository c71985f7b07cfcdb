//! `[http]`: where metrics and the status page are served.

use super::{
    kind,
    reader::{Reader, Section},
};
use std::net::SocketAddr;
use toml::{Value, de::DeValue};

/// Metrics, health and the status page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where they are served; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// May that be an address that other hosts reach?
    pub allow_remote: bool,
}

pub(super) fn read(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Http {
    let defaults = Http::default();
    let mut section = root.table_or_empty(reader, "http");
    let http = Http {
        listen: section.value(reader, "listen", &kind::LISTEN, defaults.listen),
        allow_remote: section.value(reader, "allow_remote", &kind::BOOL, defaults.allow_remote),
    };
    if let Some(address) = http.listen.filter(|address| !address.ip().is_loopback() && !http.allow_remote) {
        let why = format!(
            "http.listen: {address} can be reached from other hosts, and the page tells who wrote to whom; take \
             \"127.0.0.1:{}\", or set http.allow_remote = true if something else keeps strangers out",
            address.port()
        );
        reader.mistake(section.span_of("listen"), why);
    }
    section.finish(reader);
    http
}

pub(super) fn read_listen(value: &DeValue<'_>) -> Result<Option<SocketAddr>, String> {
    let text = kind::text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("{text:?} is not ADDRESS:PORT; write it as \"127.0.0.1:9891\""))
}

pub(super) fn show_listen(address: &Option<SocketAddr>) -> Value {
    Value::String(address.map(|address| address.to_string()).unwrap_or_default())
}
