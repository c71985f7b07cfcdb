//! `[[listener]]`: the sockets that Postfix reaches us at.

use super::{
    Listener, Mode, Socket,
    defaults::SOCKET_MODE,
    kind,
    reader::{Reader, Section, found},
};
use std::{net::SocketAddr, path::PathBuf};

/// How the table is named in the file.
const AS_WRITTEN: &str = "[[listener]]";

/// The longest path of a unix socket: 108 octets of sun_path (unix(7)), less the final NUL and the `.new` that it has
/// until its mode and group are right.
const LONGEST_PATH: usize = 103;

/// Reads all listeners; the default one where the file names none.
pub(super) fn all(reader: &mut Reader<'_>, root: &mut Section<'_>, has_outbound_mark: bool) -> Vec<Listener> {
    let Some(value) = root.take("listener") else {
        // Read as an empty table, so that its defaults are shown like all others.
        let mut section = Section::empty("listener");
        let listener = one(reader, &mut section, has_outbound_mark);
        section.known_as(AS_WRITTEN).finish(reader);
        return listener.into_iter().collect();
    };
    let Some(items) = value.get_ref().as_array() else {
        let what = format!("listener: expected [[listener]], found {}", found(value.get_ref()));
        reader.mistake(Some(value.span()), what);
        return Vec::new();
    };
    if items.is_empty() {
        reader.mistake(Some(value.span()), "listener: an empty list serves nobody; remove it for the default");
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut section = Section::of(reader, format!("listener[{}]", index + 1), item).known_as(AS_WRITTEN);
        let listener = one(reader, &mut section, has_outbound_mark);
        let span = section.span_of("socket");
        section.finish(reader);
        // One that could not be read is named already.
        let Some(listener) = listener else { continue };
        let is_same = |other: &Listener| other.socket.to_string() == listener.socket.to_string();
        let takes_any_port = matches!(listener.socket, Socket::Inet(address) if address.port() == 0);
        if !takes_any_port && listeners.iter().any(is_same) {
            let what = format!("two listeners at {}; each socket can stand there once", listener.socket);
            reader.mistake(span, what);
        }
        listeners.push(listener);
    }
    listeners
}

fn one(reader: &mut Reader<'_>, section: &mut Section<'_>, has_outbound_mark: bool) -> Option<Listener> {
    let defaults = Listener::default();
    let text = section.value(reader, "socket", &kind::TEXT, defaults.socket.to_string());
    let mode = section.value(reader, "mode", &kind::MODE, defaults.mode);
    let observe = section.value(reader, "observe", &kind::BOOL, defaults.observe);
    let reinjected = section.value(reader, "reinjected", &kind::BOOL, defaults.reinjected);
    let socket = socket(reader, section, &text)
        .map_err(|what| reader.mistake(section.span_of("socket"), format!("{}: {what}", section.full("socket"))));
    if reinjected && mode != Mode::Verify && !has_outbound_mark {
        let what = format!(
            "{}: nothing would be signed here without signing.outbound_mark, by which our own mail is recognised; set it",
            section.full("reinjected")
        );
        reader.mistake(section.span_of("reinjected"), what);
    }
    let line = section.span_of("socket").map(|span| reader.line(&span));
    Some(Listener { socket: socket.ok()?, mode, observe, reinjected, line })
}

fn socket(reader: &mut Reader<'_>, section: &mut Section<'_>, text: &str) -> Result<Socket, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let mode = section.value(reader, "socket_mode", &kind::SOCKET_MODE, SOCKET_MODE);
        let group = section.value(reader, "socket_group", &kind::TEXT, String::new());
        let path = unix_path(reader, path)?;
        return Ok(Socket::Unix { path, mode, group: (!group.is_empty()).then_some(group) });
    }
    for name in ["socket_mode", "socket_group"] {
        if section.take(name).is_some() {
            let what = format!("{}: only a socket \"unix:PATH\" has one; remove it", section.full(name));
            reader.mistake(section.span_of(name), what);
        }
    }
    if let Some(address) = text.strip_prefix("inet:") {
        let address: SocketAddr = address.parse().map_err(|_| {
            format!("{address:?} is not an IP address and a port, as \"inet:127.0.0.1:8891\" or \"inet:[::1]:8891\"")
        })?;
        Ok(Socket::Inet(address))
    } else if let Some(name) = text.strip_prefix("systemd:").filter(|name| !name.is_empty()) {
        Ok(Socket::Systemd(name.to_owned()))
    } else {
        Err(format!("{text:?} is none of \"inet:ADDRESS:PORT\", \"unix:PATH\" and \"systemd:NAME\""))
    }
}

fn unix_path(reader: &Reader<'_>, path: &str) -> Result<PathBuf, String> {
    let path = if path.is_empty() { Err("no path after \"unix:\"".to_owned()) } else { Ok(reader.resolve(path)) }?;
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(format!("{path:?} is longer than the {LONGEST_PATH} octets that the path of a socket may have"));
    }
    Ok(path)
}
