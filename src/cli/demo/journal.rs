//! The log of the demo's milter, read as it is written: one event for each message, and every complaint.

use crate::event::log;
use serde_json::Value;
use std::fmt;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// What was decided about a message, with the field names of `waxseal log --json`.
    Decision(Value),
    /// A warning or an error.
    Complaint(String),
}

/// The lines that have not been read yet.
pub struct Journal {
    lines: UnboundedReceiver<Line>,
}

/// Listens to the log of this process.
pub fn listen() -> Journal {
    let (sender, lines) = mpsc::unbounded_channel();
    let targets = Targets::new().with_target("waxseal", LevelFilter::INFO).with_default(LevelFilter::ERROR);
    // A second start in one process keeps the first listener; the program starts only one.
    let _ = tracing_subscriber::registry().with(Listener { sender }.with_filter(targets)).try_init();
    Journal { lines }
}

impl Journal {
    /// The decision about the message of this queue id; complaints that came before it are an error.
    pub async fn decision(&mut self, queue_id: &str) -> Result<Value, String> {
        self.event(|event| event["queue_id"] == queue_id).await
    }

    /// Why the message of this queue id failed; complaints that came before it are an error.
    pub async fn diagnosis(&mut self, queue_id: &str) -> Result<Value, String> {
        self.event(|event| event["queue_id"] == queue_id && event["action"] == "diagnose").await
    }

    async fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, String> {
        loop {
            match self.next().await {
                Some(Line::Decision(event)) if wanted(&event) => return Ok(event),
                Some(Line::Decision(_)) => {}
                Some(Line::Complaint(text)) => return Err(text),
                None => return Err("the log has ended".into()),
            }
        }
    }

    /// The next line; `None` when nothing can come any more.
    pub async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }

    /// A complaint among the lines that are there already.
    pub fn complaint(&mut self) -> Option<String> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).find_map(|line| match line {
            Line::Complaint(text) => Some(text),
            Line::Decision(_) => None,
        })
    }
}

struct Listener {
    sender: UnboundedSender<Line>,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = if event.metadata().target() == log::EVENT {
            serde_json::from_str(&fields.json).ok().map(Line::Decision)
        } else {
            (*event.metadata().level() <= Level::WARN).then_some(Line::Complaint(fields.message))
        };
        // A demo that has ended reads nothing more.
        let _ = line.map(|line| self.sender.send(line));
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    json: String,
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "json" => self.json = format!("{value:?}"),
            _ => {}
        }
    }
}
