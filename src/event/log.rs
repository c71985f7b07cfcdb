//! The log on standard error: lines of text for people, or lines of JSON.
//!
//! Lines go through a bounded queue to a thread of their own. When its reader stalls or is gone, lines are dropped
//! and mail goes on.

use crate::{clock, config::Log};
use std::{fmt, io};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The target of the one event per message.
pub const EVENT: &str = "waxseal::event";

/// Lines that may wait for their reader: a few megabytes at most.
const WAITING_LINES: usize = 8192;

/// Starts the log for the whole process; lines still waiting are written when the guard is dropped.
///
/// Under systemd (`JOURNAL_STREAM` is set) text lines have no time, since the journal adds its own.
pub fn start(log: &Log) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).finish(io::stderr());
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
        let line = if self.json { json_line(level, fields) } else { self.text_line(level, fields) };
        writeln!(writer, "{line}")
    }
}

impl Lines {
    fn text_line(&self, level: Level, fields: Fields) -> String {
        let mut line = String::with_capacity(256);
        if self.time {
            line.push_str(&clock::timestamp());
            line.push(' ');
        }
        if level != Level::INFO {
            line.push_str(&level.as_str().to_ascii_lowercase());
            line.push_str(": ");
        }
        line.push_str(&fields.message);
        for (name, value) in fields.others {
            line.push_str(&format!(" {name}={value}"));
        }
        // One event is one line, whatever a library or a path put into it.
        line.replace(['\r', '\n'], " ")
    }
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
