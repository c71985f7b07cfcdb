//! Socket, UMask and Mode: the listener.

use super::{
    carry::{Carried, Line, quoted},
    conf::Entry,
    told::{Reading, Weight},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// Where the package of OpenDKIM puts its socket: a folder that goes when its service stops.
const THEIR_FOLDERS: [&str; 2] = ["/run/opendkim", "/var/run/opendkim"];

/// The socket of systemd/waxseal.service in its place.
const OUR_SOCKET: &str = "/run/waxseal/milter.sock";

/// Carries all three.
pub fn listener(reading: &mut Reading<'_>, carried: &mut Carried) {
    match reading.conf.get("Socket").cloned() {
        Some(entry) => socket(reading, carried, &entry),
        None => {
            let why = "OpenDKIM gets it from its command line then; Waxseal listens at inet:127.0.0.1:8891";
            reading.absent(Weight::Changed, "Socket", why);
        }
    }
    mode(reading, carried);
}

fn socket(reading: &mut Reading<'_>, carried: &mut Carried, entry: &Entry) {
    let origin = format!("{}: Socket {}", entry.place, entry.value);
    let (family, rest) = match entry.value.split_once(':') {
        Some((family, rest)) if !family.starts_with('/') => (family.to_ascii_lowercase(), rest),
        _ => ("local".to_owned(), entry.value.as_str()),
    };
    let v6 = family == "inet6";
    match family.as_str() {
        "local" | "unix" => unix(reading, carried, entry, Path::new(rest)),
        "inet" | "inet6" => match internet(rest, v6) {
            Ok((address, note)) => {
                if let Some(note) = note {
                    reading.option(Weight::Changed, entry, note);
                }
                carried.listener.push(Line { comment: origin, text: format!("socket = \"inet:{address}\"") });
            }
            Err(why) => reading.mistake(entry, why),
        },
        _ => reading.mistake(entry, format!("{family:?} is none of inet, inet6 and local; mend it")),
    }
}

/// `port` or `port@host`.
fn internet(text: &str, v6: bool) -> Result<(SocketAddr, Option<String>), String> {
    let (port, host) = match text.split_once('@') {
        Some((port, host)) => (port, Some(host.trim_matches(['[', ']']))),
        None => (text, None),
    };
    let port: u16 = port.trim().parse().map_err(|_| format!("{port:?} is no port number; write the number"))?;
    let local = if v6 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let every = if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let (host, note) = match host {
        None => (every, Some(format!("every interface listens: whoever reaches port {port} can have mail signed"))),
        Some(name) if name.eq_ignore_ascii_case("localhost") => (local, None),
        Some(name) => match name.parse() {
            Ok(address) => (address, None),
            Err(_) => {
                (local, Some(format!("{name:?} is a name, and a listener takes an address: {local} was written")))
            }
        },
    };
    Ok((SocketAddr::new(host, port), note))
}

fn unix(reading: &mut Reading<'_>, carried: &mut Carried, entry: &Entry, path: &Path) {
    let origin = format!("{}: Socket {}", entry.place, entry.value);
    let theirs = path.parent().is_some_and(|folder| THEIR_FOLDERS.iter().any(|known| folder == Path::new(known)));
    let (path, comment) = match theirs {
        true => {
            let why = format!("that folder goes with OpenDKIM; main.cf has to say unix:{OUR_SOCKET} now");
            reading.option(Weight::Changed, entry, why);
            (
                Path::new(OUR_SOCKET),
                format!("{origin}\nThat folder goes with OpenDKIM: this is ours, and main.cf must name it."),
            )
        }
        false => (path, format!("{origin}\nIts folder has to belong to the user of the service.")),
    };
    carried.listener.push(Line { comment, text: format!("socket = {}", quoted(&format!("unix:{}", path.display()))) });
    if let Some(umask) = reading.conf.get("UMask")
        && let Some(mask) = umask.number()
    {
        let mode = 0o666 & !mask;
        let comment =
            format!("{}: UMask {}\nadduser postfix waxseal lets Postfix in by the group.", umask.place, umask.value);
        carried.listener.push(Line { comment, text: format!("socket_mode = \"{mode:04o}\"") });
    }
}

fn mode(reading: &mut Reading<'_>, carried: &mut Carried) {
    let Some(entry) = reading.conf.get("Mode").cloned() else {
        let comment = "Mode is not set: OpenDKIM signs and verifies".to_owned();
        carried.listener.push(Line { comment, text: "mode = \"auto\"".into() });
        return;
    };
    let has = |letter| entry.value.contains(letter);
    let word = match (has('s'), has('v')) {
        _ if entry.value.chars().any(|c| !matches!(c, 's' | 'v')) => None,
        (true, true) => Some("auto"),
        (true, false) => Some("sign"),
        (false, true) => Some("verify"),
        (false, false) => None,
    };
    match word {
        Some(word) => {
            let comment = format!("{}: Mode {}", entry.place, entry.value);
            carried.listener.push(Line { comment, text: format!("mode = \"{word}\"") });
        }
        None => reading.mistake(&entry, "is none of s, v and sv; write one of them"),
    }
}
