//! `[store]`: where events are kept, and for how long.

use super::{
    kind,
    reader::{Reader, Section},
};
use std::{fmt, path::PathBuf, time::Duration};
use toml::{Value, de::DeValue};

/// A file smaller than this would forget events of the same hour, in octets.
const LEAST_BYTES: u64 = 16 * 1024 * 1024;

/// Where events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where; `None` for nowhere but in the log.
    pub place: Option<Place>,
    /// How long they are kept; `None` for ever.
    pub delete_after: Option<Duration>,
    /// The size beyond which the oldest are deleted from a file, in octets.
    pub max_bytes: u64,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL-wire server.
    Postgres(Url),
}

/// The URL of a database server; its password is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// A URL as the settings write it: `postgres://` or `postgresql://` at its start.
    pub fn new(text: &str) -> Option<Url> {
        let is_one = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        is_one.then(|| Url(text.to_owned()))
    }

    /// The whole URL, for the one who connects.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl Default for Store {
    /// A file in the folder that the systemd unit makes (StateDirectory=waxseal). An event takes about a kilobyte with its
    /// indexes, so the size is reached before the age only beyond twenty thousand messages a day.
    fn default() -> Store {
        Store {
            place: Some(Place::Sqlite("/var/lib/waxseal/events.db".into())),
            delete_after: Some(Duration::from_secs(90 * 86_400)),
            max_bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Store {
    let defaults = Store::default();
    let mut section = root.table_or_empty(reader, "store");
    let place = match section.value(reader, "url", &kind::PLACE, defaults.place) {
        Some(Place::Sqlite(path)) => Some(Place::Sqlite(reader.resolve(path))),
        place => place,
    };
    let delete_after = section.value(reader, "delete_after", &kind::EXPIRE, defaults.delete_after);
    let max_bytes = usize::try_from(defaults.max_bytes).unwrap_or(usize::MAX);
    let max_bytes = section.value(reader, "max_bytes", &kind::NUMBER, max_bytes) as u64;
    if max_bytes < LEAST_BYTES {
        let why = format!("store.max_bytes: {max_bytes} would hold next to nothing; at least {LEAST_BYTES}");
        reader.mistake(section.span_of("max_bytes"), why);
    }
    section.finish(reader);
    Store { place, delete_after, max_bytes }
}

pub(super) fn read_place(value: &DeValue<'_>) -> Result<Option<Place>, String> {
    let text = kind::text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        return Ok(Some(Place::Sqlite(path.into())));
    }
    // The value is not repeated, since it may hold a password.
    Url::new(text)
        .map(|url| Some(Place::Postgres(url)))
        .ok_or_else(|| "neither \"sqlite:PATH\" nor \"postgres://USER:PASSWORD@HOST/DATABASE\" nor empty".to_owned())
}

pub(super) fn show_place(place: &Option<Place>) -> Value {
    Value::String(place.as_ref().map(ToString::to_string).unwrap_or_default())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for Url {
    /// Without its password, which may stand before the last `@` or among the parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((user, place)) => match user.split_once(':') {
                Some((user, _)) => write!(f, "{scheme}://{user}:(secret)@{place}"),
                None => write!(f, "{scheme}://{user}@{place}"),
            },
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, want) in [
            ("postgres://wax:s3cret@db.example/events", "postgres://wax:(secret)@db.example/events"),
            ("postgres://wax:s3c@ret@db/events", "postgres://wax:(secret)@db/events"),
            ("postgresql://wax@db/events?password=s3cret", "postgresql://wax@db/events"),
            ("postgres:///events", "postgres:///events"),
        ] {
            let url = Url::new(url).expect("a URL");
            assert_eq!(url.to_string(), want);
            assert!(!format!("{url:?}").contains("s3c"));
        }
    }
}
