//! Where events come from: the store that the settings name, or the lines of a JSON log.

use super::{Mistake, Stop};
use crate::{
    cli::input,
    config::{Place, Settings},
    event::{
        Event,
        store::{Archive, Cursor, Fault, FaultKind, Filter},
    },
};
use std::{
    collections::{BTreeSet, VecDeque},
    fs::{self, File},
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Events that are read from the store at once.
const PAGE: usize = 1000;
/// Events that a follower sees first.
const FOLLOW_FROM: usize = 10;
/// How often a follower looks.
const LOOK: Duration = Duration::from_millis(500);
/// Events of other hosts may come this much later than ours, and are still shown; in milliseconds.
const LATE: i64 = 15_000;
/// The longest line of a log that is read, in octets: the largest event is a tenth of it.
const LONGEST_LINE: u64 = 1024 * 1024;

/// Where events come from.
pub enum Source {
    /// The store.
    Store {
        /// Where it is read.
        archive: Archive,
        /// Where it is.
        place: Place,
    },
    /// A log.
    Log(PathBuf),
}

impl Source {
    /// Opens the log, if one is named, or else the store of the settings.
    pub fn open(log: Option<&Path>, config: &Path) -> Result<Source, Mistake> {
        if let Some(log) = log {
            return Ok(Source::Log(log.to_owned()));
        }
        let settings = Settings::load(config).map_err(|mistakes| {
            Mistake::new(format!("{mistakes}\n  a log can be read without settings: waxseal log --from-log FILE"))
        })?;
        let Some(place) = settings.store.place else {
            return Err(Mistake::new(format!(
                "{}: store.url is empty, so events are only in the log; set it, or, with log.format = \"json\": \
                 journalctl -u waxseal -o cat | waxseal log --from-log -",
                config.display()
            )));
        };
        let archive = Archive::open(&place).map_err(|fault| told(&fault, &place))?;
        Ok(Source::Store { archive, place })
    }

    /// Every event in its order.
    pub fn each(&mut self, filter: &Filter, mut show: impl FnMut(&Event) -> Result<(), Stop>) -> Result<(), Stop> {
        match self {
            Source::Store { archive, place } => {
                let mut after: Option<Cursor> = None;
                loop {
                    let page = archive.page(filter, after.as_ref(), PAGE).map_err(|fault| told(&fault, place))?;
                    for (_, event) in &page {
                        show(event)?;
                    }
                    match page.into_iter().nth(PAGE - 1) {
                        Some((cursor, _)) => after = Some(cursor),
                        None => return Ok(()),
                    }
                }
            }
            Source::Log(path) => read_log(path, |event| if filter.matches(&event) { show(&event) } else { Ok(()) }),
        }
    }

    /// The last events.
    pub fn newest(
        &mut self,
        filter: &Filter,
        most: usize,
        mut show: impl FnMut(&Event) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        match self {
            Source::Store { archive, place } => {
                let events = archive.newest(filter, most).map_err(|fault| told(&fault, place))?;
                events.iter().try_for_each(|(_, event)| show(event))
            }
            Source::Log(path) => {
                let mut last = VecDeque::new();
                read_log(path, |event| {
                    if filter.matches(&event) {
                        last.push_back(event);
                        if last.len() > most {
                            last.pop_front();
                        }
                    }
                    Ok(())
                })?;
                last.iter().try_for_each(show)
            }
        }
    }

    /// The last events, then each new one, until the reader has seen enough.
    pub fn follow(
        &mut self,
        filter: &Filter,
        lines: Option<usize>,
        mut show: impl FnMut(&[Event]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let Source::Store { archive, place } = self else { return Ok(()) };
        let first = match (lines, filter.since) {
            (None, Some(_)) => usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            (lines, _) => lines.unwrap_or(FOLLOW_FROM),
        };
        let events = archive.newest(filter, first).map_err(|fault| told(&fault, place))?;
        let mut seen: BTreeSet<Cursor> = events.iter().map(|(cursor, _)| cursor.clone()).collect();
        // What came before the first look is not news, even if it was not among the last events.
        let start = jiff::Timestamp::now().as_millisecond();
        let mut last = events.last().map_or(start, |(cursor, _)| cursor.millis());
        show(&events.into_iter().map(|(_, event)| event).collect::<Vec<_>>())?;
        let mut file = file_of(place);
        loop {
            thread::sleep(LOOK);
            // A file that was moved aside or deleted is followed no more; the one in its place is.
            if file_of(place) != file {
                file = file_of(place);
                match Archive::open(place) {
                    Ok(opened) => *archive = opened,
                    Err(_) => continue,
                }
            }
            let since = Some((last - LATE).max(filter.since.unwrap_or(0)));
            let page = archive.newest(&Filter { since, ..filter.clone() }, 100 * PAGE);
            let mut news = Vec::new();
            for (cursor, event) in page.map_err(|fault| told(&fault, place))? {
                last = last.max(cursor.millis());
                if seen.insert(cursor.clone()) {
                    news.push(event);
                }
            }
            seen = seen.split_off(&Cursor::first_of(last - 2 * LATE));
            show(&news)?;
        }
    }

    /// The same questions to whatever it is: a log is read into a store of its own first.
    pub fn archive(&mut self) -> Result<&mut Archive, Stop> {
        if let Source::Log(path) = self {
            let mut events = Vec::new();
            read_log(path, |event| {
                events.push(event);
                Ok(())
            })?;
            let place = Place::Sqlite(path.clone());
            let archive = Archive::of(events.into_iter()).map_err(|fault| told(&fault, &place))?;
            *self = Source::Store { archive, place };
        }
        match self {
            Source::Store { archive, .. } => Ok(archive),
            Source::Log(_) => Err(Mistake::new("the log cannot be read").into()),
        }
    }
}

/// Which file stands at the place, if it is one.
fn file_of(place: &Place) -> Option<(u64, u64)> {
    let Place::Sqlite(path) = place else { return None };
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// What is wrong with the store, with what to do.
pub fn told(fault: &Fault, place: &Place) -> Mistake {
    let fix = match (fault.kind, place) {
        (FaultKind::Missing, _) => {
            "\n  events are stored there once `waxseal run` has had mail; is [store] url right, and its folder there?"
        }
        (FaultKind::Denied, Place::Sqlite(_)) => {
            "\n  it is readable for its owner alone: runuser -u waxseal -- waxseal log"
        }
        (FaultKind::Denied, Place::Postgres(_)) => "\n  the server refuses this user; see [store] url",
        (FaultKind::Unreachable, _) => "\n  is the server up, and [store] url right?",
        (FaultKind::Corrupt, _) => "\n  `waxseal run` moves it aside when it next writes, and begins a new one",
        _ => "",
    };
    let log = "\n  a JSON log can be read in its place: waxseal log --from-log FILE";
    Mistake::new(format!("{fault}{fix}{log}"))
}

/// Reads the events of a log; lines of other things are passed over.
fn read_log(path: &Path, mut take: impl FnMut(Event) -> Result<(), Stop>) -> Result<(), Stop> {
    let mistake =
        |error: io::Error| Mistake::new(format!("{}: {}", input::shown(path), error.to_string().to_lowercase()));
    let mut reader: Box<dyn BufRead> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).map_err(mistake)?)),
    };
    let (mut lines, mut events) = (0_u64, 0_u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut reader, LONGEST_LINE).read_until(b'\n', &mut line).map_err(mistake)? == 0 {
            break;
        }
        lines += 1;
        if let Some(event) = event_of(&line) {
            events += 1;
            take(event)?;
        }
    }
    if lines > 0 && events == 0 {
        let why = "none of its lines is an event as JSON; set log.format = \"json\", and read the log from then on";
        return Err(Mistake::new(format!("{}: {why}", input::shown(path))).into());
    }
    Ok(())
}

/// The event of a line, behind whatever syslog or journalctl put before it.
fn event_of(line: &[u8]) -> Option<Event> {
    let start = line.iter().position(|&octet| octet == b'{')?;
    let text = String::from_utf8_lossy(&line[start..]);
    let value: serde_json::Value = serde_json::from_str(text.trim_end()).ok()?;
    // Other lines of the log have a message, and no action.
    value.get("action")?;
    serde_json::from_value(value).ok().map(crate::event::bound::bounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_among_the_lines_of_a_log() {
        for (line, want) in [
            (&br#"{"level":"info","time":"2026-11-23T04:00:00.000Z","queue_id":"4A","action":"sign"}"#[..], true),
            (br#"Nov 23 04:00:00 mx waxseal[7]: {"queue_id":"4A","action":"pass","unheard_of":1}"#, true),
            (br#"{"level":"info","message":"ready: version 0.1.0, 1 domains"}"#, false),
            (br#"{"queue_id":"4A","action":"fly"}"#, false),
            (br#"{"queue_id":"4A","action":"si"#, false),
            (b"4A: action=sign result=pass", false),
            (b"\xff\xfe{", false),
            (b"", false),
        ] {
            let event = event_of(line);
            assert_eq!(event.is_some(), want, "{}", line.escape_ascii());
            assert!(event.is_none_or(|event| event.queue_id == "4A"));
        }
    }
}
