//! The log on standard error: lines of text for people, or lines of JSON.
//!
//! Lines go through a bounded queue to a thread of their own (`lines`). When its reader stalls or is gone, lines are
//! dropped and mail goes on.

use super::lines::{self, Guard};
use crate::{clock, config::Log};
use std::{fmt, io};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The target of the one event per message.
pub const EVENT: &str = "waxseal::event";

/// Starts the log for the whole process; lines still waiting are written when the guard is dropped.
///
/// Under systemd (`JOURNAL_STREAM` is set) text lines have no time, since the journal adds its own.
pub fn start(log: &Log) -> Guard {
    let (writer, guard) = lines::to(io::stderr());
    let level = LevelFilter::from_level(log.level);
    // Libraries speak at their own levels; only their warnings matter to an operator.
    let others = LevelFilter::from_level(log.level.min(Level::WARN));
    let lines = Lines { json: log.json, time: std::env::var_os("JOURNAL_STREAM").is_none() };
    let layer = tracing_subscriber::fmt::layer().event_format(lines).with_writer(writer);
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry()
        .with(Targets::new().with_target("waxseal", level).with_default(others))
        .with(layer)
        .try_init();
    guard
}

struct Lines {
    json: bool,
    time: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        match self.json {
            true => writer.write_str(&json_line(level, fields))?,
            false => self.text_line(&mut writer, level, &fields)?,
        }
        writer.write_char('\n')
    }
}

impl Lines {
    /// One event is one line, whatever a library or a path put into it.
    fn text_line(&self, writer: &mut Writer<'_>, level: Level, fields: &Fields) -> fmt::Result {
        if self.time {
            write!(writer, "{} ", clock::timestamp())?;
        }
        if level != Level::INFO {
            write!(writer, "{}: ", level.as_str().to_ascii_lowercase())?;
        }
        in_one_line(writer, &fields.message)?;
        for (name, value) in &fields.others {
            write!(writer, " {name}=")?;
            in_one_line(writer, value)?;
        }
        Ok(())
    }
}

fn in_one_line(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    let mut parts = text.split(['\r', '\n']);
    writer.write_str(parts.next().unwrap_or_default())?;
    parts.try_for_each(|part| write!(writer, " {part}"))
}

fn json_line(level: Level, fields: Fields) -> String {
    let level = level.as_str().to_ascii_lowercase();
    match fields.json.strip_prefix('{') {
        Some(rest) => format!("{{\"level\":\"{level}\",{rest}"),
        None => {
            let mut object = serde_json::Map::new();
            object.insert("level".into(), level.into());
            object.insert("time".into(), clock::timestamp().into());
            object.insert("message".into(), fields.message.into());
            for (name, value) in fields.others {
                object.insert(name.into(), value.into());
            }
            serde_json::Value::Object(object).to_string()
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    json: String,
    others: Vec<(&'static str, String)>,
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "json" => self.json = text,
            // `log` records of libraries carry their place under these names.
            name if name.starts_with("log.") => {}
            name => self.others.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
