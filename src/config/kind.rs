//! The kinds of value that a setting can have: read from TOML with a reason where that fails, and shown as TOML.

use super::{
    Mode, Network, Place, SenderRule, WhenNotReady, http,
    reader::{found, nearest},
    signed::{DIAGNOSTIC_WORDS, Diagnostics},
    store,
    verify::{ACTIONS, Action, DMARC_ACTIONS, NAME_SERVERS, NameServers},
};
use crate::{dkim::Canon, name::DomainName};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use toml::{Value, de::DeValue};

/// How one kind of value is read and shown.
pub(super) struct Kind<T> {
    pub(super) read: fn(&DeValue<'_>) -> Result<T, String>,
    pub(super) show: fn(&T) -> Value,
}

/// A header field: its name and its value.
pub(super) type Field = (String, String);

pub(super) const BOOL: Kind<bool> = Kind { read: read_bool, show: |value| Value::Boolean(*value) };
pub(super) const NUMBER: Kind<usize> = Kind { read: read_number, show: show_number };
pub(super) const TEXT: Kind<String> = Kind { read: read_text, show: |value| Value::String(value.clone()) };
pub(super) const TEXTS: Kind<Vec<String>> = Kind { read: read_texts, show: |value| list(value) };
pub(super) const NAME: Kind<DomainName> = Kind { read: read_name, show: |value| Value::String(value.to_string()) };
pub(super) const DURATION: Kind<Duration> = Kind { read: read_duration, show: |value| Value::String(duration(*value)) };
pub(super) const EXPIRE: Kind<Option<Duration>> = Kind { read: read_expire, show: show_expire };
pub(super) const CANON: Kind<(Canon, Canon)> = Kind { read: read_canon, show: show_canon };
pub(super) const FIELDS: Kind<Arc<[Box<str>]>> = Kind { read: read_fields, show: |value| list(value) };
pub(super) const MARK: Kind<Option<Field>> = Kind { read: read_mark, show: show_mark };
pub(super) const SECRET_MARK: Kind<Option<Field>> = Kind { read: read_mark, show: show_secret_mark };
pub(super) const NETWORKS: Kind<Vec<Network>> = Kind { read: read_networks, show: |value| list(value) };
pub(super) const SOCKET_MODE: Kind<u32> = Kind { read: read_mode, show: |mode| Value::String(format!("{mode:04o}")) };
pub(super) const MODE: Kind<Mode> = Kind { read: |value| word(value, MODES), show: |mode| show_word(mode, MODES) };
pub(super) const DIAGNOSTICS: Kind<Diagnostics> =
    Kind { read: |value| word(value, DIAGNOSTIC_WORDS), show: |what| show_word(what, DIAGNOSTIC_WORDS) };
pub(super) const SENDER: Kind<SenderRule> =
    Kind { read: |value| word(value, SENDERS), show: |rule| show_word(rule, SENDERS) };
pub(super) const WHEN_NOT_READY: Kind<WhenNotReady> =
    Kind { read: |value| word(value, NOT_READY), show: |when| show_word(when, NOT_READY) };
/// JSON?
pub(super) const FORMAT: Kind<bool> =
    Kind { read: |value| word(value, FORMATS), show: |json| show_word(json, FORMATS) };
pub(super) const LEVEL: Kind<tracing::Level> =
    Kind { read: |value| word(value, LEVELS), show: |level| show_word(level, LEVELS) };

pub(super) const ACTION: Kind<Action> =
    Kind { read: |value| word(value, ACTIONS), show: |action| show_word(action, ACTIONS) };
pub(super) const DMARC_ACTION: Kind<Option<Action>> =
    Kind { read: |value| word(value, DMARC_ACTIONS), show: |action| show_word(action, DMARC_ACTIONS) };
pub(super) const WHOM: Kind<NameServers> =
    Kind { read: |value| word(value, NAME_SERVERS), show: |servers| show_word(servers, NAME_SERVERS) };
pub(super) const NAMES: Kind<Vec<DomainName>> = Kind { read: |value| texts(value, name), show: |value| list(value) };
pub(super) const AUTHSERV_ID: Kind<Option<String>> =
    Kind { read: read_authserv_id, show: |id| Value::String(id.clone().unwrap_or_default()) };
pub(super) const PLACE: Kind<Option<Place>> = Kind { read: store::read_place, show: store::show_place };
pub(super) const LISTEN: Kind<Option<SocketAddr>> = Kind { read: http::read_listen, show: http::show_listen };
pub(super) const RESOLVER: Kind<Option<SocketAddr>> = Kind {
    read: read_resolver,
    show: |address| Value::String(address.map(|address| address.to_string()).unwrap_or_default()),
};

const MODES: &[(&str, Mode)] = &[("auto", Mode::Auto), ("sign", Mode::Sign), ("verify", Mode::Verify)];
const SENDERS: &[(&str, SenderRule)] =
    &[("any", SenderRule::Any), ("envelope", SenderRule::Envelope), ("user", SenderRule::User)];
const NOT_READY: &[(&str, WhenNotReady)] =
    &[("sign", WhenNotReady::Sign), ("skip", WhenNotReady::Skip), ("tempfail", WhenNotReady::Tempfail)];
const FORMATS: &[(&str, bool)] = &[("text", false), ("json", true)];
const LEVELS: &[(&str, tracing::Level)] = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

/// Units of time, the largest first.
const UNITS: &[(&str, u64)] = &[("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

fn wrong(expected: &str, value: &DeValue<'_>) -> String {
    format!("expected {expected}, found {}", found(value))
}

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong("a string", value))
}

fn texts<T>(value: &DeValue<'_>, read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items = value.as_array().ok_or_else(|| wrong("a list of strings", value))?;
    items.iter().map(|item| text(item.get_ref()).and_then(read)).collect()
}

fn word<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let given = text(value)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == given) {
        return Ok(*meaning);
    }
    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let hint = match nearest(given, &known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("one of {}", known.join(", ")),
    };
    Err(format!("{given:?} means nothing here; {hint}"))
}

fn show_word<T: PartialEq>(meaning: &T, words: &[(&str, T)]) -> Value {
    let word = words.iter().find(|(_, candidate)| candidate == meaning).map_or("", |(word, _)| word);
    Value::String(word.to_owned())
}

fn list<T: ToString>(items: &[T]) -> Value {
    Value::Array(items.iter().map(|item| Value::String(item.to_string())).collect())
}

fn read_bool(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong("true or false", value))
}

fn read_number(value: &DeValue<'_>) -> Result<usize, String> {
    let number = value.as_integer().ok_or_else(|| wrong("a number", value))?;
    usize::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| format!("{number} is not a number from 0 to {}", usize::MAX))
}

fn show_number(number: &usize) -> Value {
    Value::Integer(i64::try_from(*number).unwrap_or(i64::MAX))
}

fn read_text(value: &DeValue<'_>) -> Result<String, String> {
    text(value).map(str::to_owned)
}

fn read_texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    texts(value, |item| if item.is_empty() { Err("an empty string".to_owned()) } else { Ok(item.to_owned()) })
}

fn read_name(value: &DeValue<'_>) -> Result<DomainName, String> {
    text(value).and_then(name)
}

/// Anything that can stand in a header field as one word (RFC 8601 §2.5); empty for the name of the host.
fn read_authserv_id(value: &DeValue<'_>) -> Result<Option<String>, String> {
    let text = text(value)?;
    let good = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match good {
        true => Ok((!text.is_empty()).then(|| text.to_ascii_lowercase())),
        false => Err(format!("{text:?} cannot name a mail system in Authentication-Results; use a host name")),
    }
}

fn read_resolver(value: &DeValue<'_>) -> Result<Option<SocketAddr>, String> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)));
    address.map(Some).ok_or_else(|| format!("{text:?} is not an address; write \"127.0.0.1\" or \"127.0.0.1:5353\""))
}

fn name(text: &str) -> Result<DomainName, String> {
    DomainName::new(text).map_err(|error| format!("{text:?} cannot stand in DNS: {error}"))
}

fn read_duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let text = text(value).map_err(|why| format!("{why}; write it as \"30s\", \"5m\", \"2h\" or \"7d\""))?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = (digits.trim(), &text[digits.len()..]);
    let seconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
    match (number.parse::<u64>().ok(), seconds) {
        (Some(number), Some(seconds)) if number > 0 => {
            number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| format!("{text:?} is too long"))
        }
        _ => Err(format!("{text:?} is not a duration; write it as \"30s\", \"5m\", \"2h\" or \"7d\"")),
    }
}

/// A duration of whole seconds as the settings write it.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, length) = UNITS.iter().find(|(_, length)| seconds.is_multiple_of(*length)).copied().unwrap_or(("s", 1));
    format!("{}{unit}", seconds / length)
}

fn read_expire(value: &DeValue<'_>) -> Result<Option<Duration>, String> {
    match value.as_str() {
        Some("never") => Ok(None),
        _ => read_duration(value).map(Some).map_err(|why| format!("{why}, or \"never\"")),
    }
}

fn show_expire(expire: &Option<Duration>) -> Value {
    Value::String(expire.map_or_else(|| "never".to_owned(), duration))
}

fn read_canon(value: &DeValue<'_>) -> Result<(Canon, Canon), String> {
    let text = text(value)?;
    text.split_once('/')
        .and_then(|(header, body)| Some((header.parse().ok()?, body.parse().ok()?)))
        .ok_or_else(|| format!("{text:?} is not simple or relaxed for the header, a slash, and the same for the body"))
}

fn show_canon((header, body): &(Canon, Canon)) -> Value {
    Value::String(format!("{header}/{body}"))
}

fn read_fields(value: &DeValue<'_>) -> Result<Arc<[Box<str>]>, String> {
    let fields = texts(value, |name| field_name(name).map(|name| name.to_ascii_lowercase().into_boxed_str()))?;
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].contains(field) {
            return Err(format!("{field:?} stands there twice"));
        }
    }
    Ok(fields.into())
}

/// A field name: printable ASCII without a colon (RFC 5322 §2.2), and without a semicolon, which would end h=.
fn field_name(name: &str) -> Result<&str, String> {
    if !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b':' | b';')) {
        Ok(name)
    } else {
        Err(format!("{name:?} is not the name of a header field"))
    }
}

fn read_mark(value: &DeValue<'_>) -> Result<Option<Field>, String> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    let (name, content) = text.split_once(':').ok_or_else(|| format!("{text:?} is not \"Name: value\""))?;
    let content = content.trim();
    if content.is_empty() || !content.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ') {
        return Err(format!("{text:?} is not \"Name: value\" with a value of printable ASCII"));
    }
    Ok(Some((field_name(name.trim_end())?.to_owned(), content.to_owned())))
}

fn show_mark(mark: &Option<Field>) -> Value {
    Value::String(mark.as_ref().map_or_else(String::new, |(name, content)| format!("{name}: {content}")))
}

/// Who knows the value can have mail signed, so it is not shown.
fn show_secret_mark(mark: &Option<Field>) -> Value {
    Value::String(mark.as_ref().map_or_else(String::new, |(name, _)| format!("{name}: (secret)")))
}

fn read_networks(value: &DeValue<'_>) -> Result<Vec<Network>, String> {
    texts(value, network)
}

pub(super) fn network(text: &str) -> Result<Network, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let refused = || format!("{text:?} is not an address or a network, as \"192.0.2.0/24\" or \"2001:db8::/32\"");
    let address: IpAddr = address.parse().map_err(|_| refused())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse::<u8>().ok().filter(|prefix| *prefix <= width).ok_or_else(refused)?,
        None => width,
    };
    // Clients are compared as IPv4 wherever they have an IPv4 address.
    let (address, prefix) = match address {
        IpAddr::V6(v6) if prefix >= 96 => match v6.to_ipv4_mapped() {
            Some(v4) => (IpAddr::V4(v4), prefix - 96),
            None => (address, prefix),
        },
        _ => (address, prefix),
    };
    if prefix == 0 {
        return Err(format!(
            "{text:?} is the whole Internet: everybody's mail would be signed; name your own networks"
        ));
    }
    let first = first_address(address, prefix);
    if first != address {
        return Err(format!("{text:?} has bits beyond its prefix; did you mean \"{first}/{prefix}\"?"));
    }
    Ok(Network { address, prefix })
}

/// The address with every bit after the prefix cleared.
pub(super) fn first_address(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

fn read_mode(value: &DeValue<'_>) -> Result<u32, String> {
    let text = text(value).map_err(|why| format!("{why}; write it as \"0660\""))?;
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| format!("{text:?} is not a mode, as \"0660\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Spanned;

    fn value(text: &str) -> Spanned<DeValue<'_>> {
        DeValue::parse(text).expect("TOML")
    }

    #[test]
    fn durations_have_one_number_and_one_unit() {
        for (text, want) in [
            ("\"30s\"", Some(30)),
            ("\"5m\"", Some(300)),
            ("\"2h\"", Some(7200)),
            ("\"7d\"", Some(604_800)),
            ("\"1w\"", Some(604_800)),
            ("\"0s\"", None),
            ("\"7\"", None),
            ("\"7 days\"", None),
            ("\"-1s\"", None),
            ("\"99999999999999999w\"", None),
            ("7", None),
        ] {
            assert_eq!(read_duration(value(text).get_ref()).ok().map(|d| d.as_secs()), want, "{text}");
        }
        for text in ["30s", "90s", "5m", "2h", "1d", "2w"] {
            let read = read_duration(value(&format!("{text:?}")).get_ref()).expect("a duration");
            assert_eq!(duration(read), text);
        }
    }

    #[test]
    fn networks_are_read_and_wide_or_crooked_ones_refused() {
        for (text, want) in [
            ("127.0.0.0/8", Ok("127.0.0.0/8")),
            ("::1", Ok("::1/128")),
            ("192.0.2.7", Ok("192.0.2.7/32")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("::ffff:10.0.0.0/104", Ok("10.0.0.0/8")),
            ("0.0.0.0/0", Err("the whole Internet")),
            ("::ffff:0.0.0.0/96", Err("the whole Internet")),
            ("::/0", Err("the whole Internet")),
            ("10.1.0.0/8", Err("did you mean \"10.0.0.0/8\"?")),
            ("10.0.0.0/33", Err("is not an address")),
            ("localhost", Err("is not an address")),
        ] {
            match (network(text), want) {
                (Ok(network), Ok(want)) => assert_eq!(network.to_string(), want, "{text}"),
                (Err(why), Err(want)) => assert!(why.contains(want), "{text}: {why}"),
                (got, want) => panic!("{text}: {got:?}, wanted {want:?}"),
            }
        }
    }

    #[test]
    fn marks_are_a_field_name_and_a_value() {
        for (text, want) in [
            ("\"\"", Some(None)),
            ("\"X-Ours: 3b1f\"", Some(Some(("X-Ours".to_owned(), "3b1f".to_owned())))),
            ("\"X-Ours\"", None),
            ("\"X-Ours:\"", None),
            ("\"X Ours: a\"", None),
            ("\"X-Ours: a\\nb\"", None),
        ] {
            assert_eq!(read_mark(value(text).get_ref()).ok(), want, "{text}");
        }
    }

    #[test]
    fn canonicalizations_and_modes() {
        let canon = |text: &str| read_canon(value(text).get_ref()).ok();
        assert_eq!(canon("\"relaxed/simple\""), Some((Canon::Relaxed, Canon::Simple)));
        assert_eq!((canon("\"relaxed\""), canon("\"Relaxed/relaxed\"")), (None, None));
        let mode = |text: &str| read_mode(value(text).get_ref()).ok();
        assert_eq!((mode("\"0660\""), mode("\"1777\""), mode("660")), (Some(0o660), None, None));
    }
}
