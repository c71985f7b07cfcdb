//! Questions to the store: events page by page, and counts. Nothing here writes.

use super::{
    database::{self, Database, Fault, FaultKind, Row, Value},
    notes::{self, Watched},
    rows::{self, COLUMNS, Ids, Kept},
    schema,
    sqlite::Sqlite,
};
use crate::{
    clock,
    config::Place,
    diagnose::history::Published,
    event::{Action, Event},
};

/// Where events are read.
pub struct Archive(Box<dyn Database>);

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At or after this time, in milliseconds since 1970.
    pub since: Option<i64>,
    /// This domain signed, is the From domain, or stands in a signature.
    pub domain: Option<String>,
    /// Postfix's queue id.
    pub queue_id: Option<String>,
    /// The Message-ID, with or without its angle brackets.
    pub message_id: Option<String>,
    /// The address of MAIL FROM, with or without its angle brackets, in any case; `<>` is the null sender.
    pub mail_from: Option<String>,
    /// An address of RCPT TO, likewise.
    pub rcpt_to: Option<String>,
    /// With this cause.
    pub cause: Option<String>,
    /// With this action.
    pub action: Option<Action>,
}

/// The place of an event in the order of events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor {
    id: i64,
    host: String,
}

/// How many events have this action and result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// sign, verify, pass or diagnose.
    pub action: String,
    /// The result of the first signature.
    pub result: Option<String>,
    /// How many.
    pub count: i64,
}

/// What became of the mail of one From domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCount {
    /// The From domain, or else that of the signature; empty where neither is known.
    pub name: String,
    /// Messages.
    pub messages: i64,
    /// Signed.
    pub signed: i64,
    /// To be signed, and refused for now because that could not be.
    pub refused: i64,
    /// Passed unsigned and unjudged.
    pub passed: i64,
    /// Judged, and found authentic: DMARC passes, or there is no policy and a signature passes.
    pub authentic: i64,
    /// Judged, and not found authentic.
    pub failed: i64,
}

/// How often a cause was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseCount {
    /// Its name.
    pub cause: String,
    /// How often.
    pub count: i64,
    /// For how many domains.
    pub domains: i64,
    /// When first, in milliseconds since 1970.
    pub first: i64,
    /// When last.
    pub last: i64,
}

/// What happened in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Its start, in milliseconds since 1970.
    pub start: i64,
    /// Signed.
    pub signed: i64,
    /// To be signed, and not.
    pub refused: i64,
    /// Judged and authentic.
    pub authentic: i64,
    /// Judged and not authentic.
    pub failed: i64,
}

const SIGNED: &str = "COUNT(CASE WHEN FACT.action = 'sign' AND FACT.result = 'pass' THEN 1 END)";
const REFUSED: &str = "COUNT(CASE WHEN FACT.action = 'sign' AND FACT.result <> 'pass' THEN 1 END)";
const PASSED: &str = "COUNT(CASE WHEN FACT.action = 'pass' THEN 1 END)";
const AUTHENTIC: &str = "COUNT(CASE WHEN FACT.action = 'verify' \
                         AND (FACT.dmarc = 'pass' OR FACT.dmarc = 'none' AND FACT.result = 'pass') THEN 1 END)";
const FAILED: &str = "COUNT(CASE WHEN FACT.action = 'verify' \
                      AND NOT (FACT.dmarc = 'pass' OR FACT.dmarc = 'none' AND FACT.result = 'pass') THEN 1 END)";

impl Archive {
    /// Opens the store for questions; what is not there is not made.
    pub fn open(place: &Place) -> Result<Archive, Fault> {
        let mut database = database::open_to_read(place)?;
        match schema::version(database.as_mut())? {
            0 => Err(Fault::new(FaultKind::Missing, format!("{place}: no events have been stored there"))),
            version => schema::steps(version).map(|_| Archive(database)),
        }
    }

    /// A store of these events alone, gone when it is dropped: the same questions for a log.
    pub fn of(events: impl Iterator<Item = Event>) -> Result<Archive, Fault> {
        let mut database = Box::new(Sqlite::temporary()?);
        schema::migrate(database.as_mut())?;
        database.run("BEGIN")?;
        let (mut ids, mut batch) = (Ids::new(), Vec::new());
        for event in events {
            batch.push(ids.give(event));
            if batch.len() == 512 {
                rows::insert(database.as_mut(), &batch)?;
                batch.clear();
            }
        }
        rows::insert(database.as_mut(), &batch)?;
        database.run("COMMIT")?;
        Ok(Archive(database))
    }

    /// Events in their order, after the given place, at most so many.
    pub fn page(
        &mut self,
        filter: &Filter,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Vec<(Cursor, Event)>, Fault> {
        let mut query = Query::of(filter);
        if let Some(Cursor { id, host }) = after {
            query.and("(KEY.id, KEY.host) > (?, ?)", [(*id).into(), host.as_str().into()]);
        }
        self.events(query, "KEY.id, KEY.host", most)
    }

    /// The last events, in their order, at most so many.
    pub fn newest(&mut self, filter: &Filter, most: usize) -> Result<Vec<(Cursor, Event)>, Fault> {
        let mut events = self.events(Query::of(filter), "KEY.id DESC, KEY.host DESC", most)?;
        events.reverse();
        Ok(events)
    }

    /// How many events there are of each action and result, the most frequent first.
    pub fn outcomes(&mut self, filter: &Filter) -> Result<Vec<Outcome>, Fault> {
        let rows = self.ask(
            Query::facts(filter),
            "FACT.action, FACT.result, COUNT(*)",
            "GROUP BY FACT.action, FACT.result ORDER BY COUNT(*) DESC, FACT.action, FACT.result",
        )?;
        let read =
            |mut row: Row| Outcome { action: row.text().unwrap_or_default(), result: row.text(), count: row.number() };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The From domains with the most mail.
    pub fn domains(&mut self, filter: &Filter, most: usize) -> Result<Vec<DomainCount>, Fault> {
        let (mut query, name) = Query::by_name(filter);
        query.and("FACT.action NOT IN ('diagnose', 'watch')", []);
        let rows = self.ask(
            query,
            &format!("{name}, COUNT(*), {SIGNED}, {REFUSED}, {PASSED}, {AUTHENTIC}, {FAILED}"),
            &format!("GROUP BY {name} ORDER BY COUNT(*) DESC, {name} LIMIT {most}"),
        )?;
        let read = |mut row: Row| DomainCount {
            name: row.text().unwrap_or_default(),
            messages: row.number(),
            signed: row.number(),
            refused: row.number(),
            passed: row.number(),
            authentic: row.number(),
            failed: row.number(),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The causes found most often.
    pub fn causes(&mut self, filter: &Filter, most: usize) -> Result<Vec<CauseCount>, Fault> {
        let rows = self.ask(
            Query::causes(filter),
            "c.cause, COUNT(*), COUNT(DISTINCT c.name), MIN(c.id), MAX(c.id)",
            &format!("GROUP BY c.cause ORDER BY COUNT(*) DESC, c.cause LIMIT {most}"),
        )?;
        Ok(rows.into_iter().map(cause_count).collect())
    }

    /// The causes that were found at or after this time and never before, as far back as the store goes.
    pub fn new_causes(&mut self, since: i64) -> Result<Vec<CauseCount>, Fault> {
        // The whole index of causes is read; it is small against the events.
        let question = "SELECT c.cause, COUNT(*), COUNT(DISTINCT c.name), MIN(c.id), MAX(c.id) FROM waxseal_causes c \
                        GROUP BY c.cause HAVING MIN(c.id) >= $1 ORDER BY MIN(c.id)";
        let rows = self.0.ask(question, &[rows::at(since).into()])?;
        Ok(rows.into_iter().map(cause_count).collect())
    }

    /// Why mail that came from us passed unsigned or was refused, the most frequent reasons first.
    pub fn unsigned(&mut self, filter: &Filter, most: usize) -> Result<Vec<(String, i64)>, Fault> {
        let mut query = Query::of(filter);
        // In the words of the index that holds these alone.
        query.and("e.reason IS NOT NULL AND e.action IN ('sign', 'pass')", []);
        if filter.domain.is_some() {
            // Already here, so that the events of a large domain are not all looked up.
            query.and("n.action IN ('sign', 'pass') AND (n.result IS NULL OR n.result <> 'pass')", []);
        }
        let rows = self.ask(
            query,
            "e.reason, COUNT(*)",
            &format!("GROUP BY e.reason ORDER BY COUNT(*) DESC, e.reason LIMIT {most}"),
        )?;
        Ok(rows.into_iter().map(|mut row| (row.text().unwrap_or_default(), row.number())).collect())
    }

    /// What happened in each span between two of these times, in milliseconds since 1970.
    pub fn over_time(&mut self, filter: &Filter, times: &[i64]) -> Result<Vec<Slot>, Fault> {
        // One question a span: grouping them all would sort every event first.
        let counts = format!("{SIGNED}, {REFUSED}, {AUTHENTIC}, {FAILED}");
        let read = |start: i64, mut row: Row| Slot {
            start,
            signed: row.number(),
            refused: row.number(),
            authentic: row.number(),
            failed: row.number(),
        };
        let mut slots = Vec::new();
        for span in times.windows(2) {
            let mut query = Query::facts(&Filter { since: filter.since.max(Some(span[0])), ..filter.clone() });
            query.and("KEY.id < ?", [rows::at(span[1]).into()]);
            let rows = self.ask(query, &counts, "")?;
            slots.extend(rows.into_iter().map(|row| read(span[0], row)));
        }
        Ok(slots)
    }

    /// The time of the first event that is kept, in milliseconds since 1970.
    pub fn oldest(&mut self) -> Result<Option<i64>, Fault> {
        let rows = self.0.ask("SELECT id FROM waxseal_events ORDER BY id LIMIT 1", &[])?;
        Ok(rows.into_iter().next().map(|mut row| rows::millis_of(row.number())))
    }

    /// What was published at this name; nothing where the store was made before such things were kept.
    pub fn published(&mut self, name: &str) -> Result<Vec<Published>, Fault> {
        match self.keeps_notes()? {
            true => notes::published(self.0.as_mut(), name),
            false => Ok(Vec::new()),
        }
    }

    /// What this host watched for signatures made at or after this time (seconds since 1970), the latest first, at most so
    /// many.
    pub fn watched(&mut self, host: &str, since: u64, most: usize) -> Result<Vec<Watched>, Fault> {
        match self.keeps_notes()? {
            true => notes::watched(self.0.as_mut(), host, since, most),
            false => Ok(Vec::new()),
        }
    }

    /// Has it the tables of the second version?
    fn keeps_notes(&mut self) -> Result<bool, Fault> {
        schema::version(self.0.as_mut()).map(|version| version >= 2)
    }

    fn events(&mut self, query: Query, order: &str, most: usize) -> Result<Vec<(Cursor, Event)>, Fault> {
        let columns = COLUMNS.map(|column| format!("e.{column}")).join(", ");
        let rows = self.ask(query, &columns, &format!("ORDER BY {order} LIMIT {most}"))?;
        let read = |row| {
            let Kept { id, event } = rows::read(row);
            (Cursor { id, host: event.host.clone() }, event)
        };
        Ok(rows.into_iter().map(read).collect())
    }

    fn ask(&mut self, query: Query, what: &str, rest: &str) -> Result<Vec<Row>, Fault> {
        let (question, values) = query.finish(what, rest);
        self.0.ask(&question, &values)
    }
}

fn cause_count(mut row: Row) -> CauseCount {
    CauseCount {
        cause: row.text().unwrap_or_default(),
        count: row.number(),
        domains: row.number(),
        first: rows::millis_of(row.number()),
        last: rows::millis_of(row.number()),
    }
}

impl Cursor {
    /// The time of the event, in milliseconds since 1970.
    pub fn millis(&self) -> i64 {
        rows::millis_of(self.id)
    }

    /// The place before all events of this time.
    pub fn first_of(millis: i64) -> Cursor {
        Cursor { id: rows::at(millis), host: String::new() }
    }
}

impl Filter {
    /// Does it ask for what only the event itself says?
    fn is_of_event(&self) -> bool {
        self.queue_id.is_some() || self.message_id.is_some() || self.mail_from.is_some() || self.rcpt_to.is_some()
    }

    /// Is the event one of these?
    pub fn matches(&self, event: &Event) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|it| found == Some(it));
        let bare = |id: &str| id.trim_matches(['<', '>']).to_owned();
        let is_path = |wanted: &String, path: &String| path_of(wanted) == path_of(path);
        let time = || event.time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
        let domain = self.domain.as_ref().map(|domain| domain.to_ascii_lowercase());
        is(&self.queue_id, Some(&event.queue_id))
            && is(&self.message_id.as_deref().map(bare), event.message_id.as_deref().map(bare).as_deref())
            && self.mail_from.as_ref().is_none_or(|wanted| is_path(wanted, &event.mail_from))
            && self.rcpt_to.as_ref().is_none_or(|wanted| event.rcpt_to.iter().any(|path| is_path(wanted, path)))
            && self.action.is_none_or(|action| action == event.action)
            && self.cause.as_ref().is_none_or(|cause| event.causes.iter().any(|found| found.cause == *cause))
            && domain.is_none_or(|domain| rows::names_of(event).contains(&domain))
            && self.since.is_none_or(|since| time() >= since)
    }
}

/// The tables and conditions of a question. `KEY` in it is the table whose index leads, `FACT` the one that says what
/// became of an event, and `?` a value.
struct Query {
    tables: Vec<&'static str>,
    /// The table that says what became of an event.
    fact: &'static str,
    conditions: Vec<&'static str>,
    values: Vec<Value>,
}

/// The events of so many seconds are sooner sorted than those of the whole store are read.
const SHORT: i64 = 3 * 86_400;

/// The tables by their short names.
const TABLES: [(&str, &str); 4] =
    [("e", "waxseal_events e"), ("n", "waxseal_names n"), ("c", "waxseal_causes c"), ("m", "waxseal_names m")];

impl Query {
    /// For whole events.
    fn of(filter: &Filter) -> Query {
        Query::new(filter, &["e"])
    }

    /// For what became of events, which the table of names says too.
    fn facts(filter: &Filter) -> Query {
        Query::new(filter, if filter.domain.is_some() { &[] } else { &["e"] })
    }

    /// For causes.
    fn causes(filter: &Filter) -> Query {
        Query::new(filter, &["c"])
    }

    /// For counts by name, and what the name is called there.
    fn by_name(filter: &Filter) -> (Query, &'static str) {
        if filter.domain.is_some() {
            // All events of one domain are that domain's.
            return (Query::facts(filter), "n.name");
        }
        let simple = filter.cause.is_none() && !filter.is_of_event();
        let is_short = filter.since.is_some_and(|since| since / 1000 + SHORT > clock::unix_seconds().cast_signed());
        if is_short || !simple {
            return (Query::of(filter), "COALESCE(e.from_domain, e.domain, '')");
        }
        // In the order of the names, so that nothing has to be sorted.
        let mut query = Query::new(filter, &["m"]);
        query.and("m.main = 1", []);
        (query, "m.name")
    }

    /// A domain or a cause is looked up in its own table, in whose index its events stand in their order.
    fn new(filter: &Filter, needed: &[&'static str]) -> Query {
        let mut tables = Vec::new();
        for (table, wanted) in [
            ("n", filter.domain.is_some()),
            ("c", filter.cause.is_some()),
            ("e", filter.is_of_event() || filter.action.is_some() && filter.domain.is_none() && !needed.contains(&"m")),
        ] {
            if wanted || needed.contains(&table) {
                tables.push(table);
            }
        }
        if needed.contains(&"m") {
            tables.push("m");
        }
        let fact = ["n", "m", "e"].into_iter().find(|table| tables.contains(table)).unwrap_or("e");
        let mut query = Query { tables, fact, conditions: Vec::new(), values: Vec::new() };
        for table in query.tables.clone().into_iter().skip(1) {
            query.and(joined(table), []);
        }
        if let Some(domain) = &filter.domain {
            query.and("n.name = ?", [domain.to_ascii_lowercase().into()]);
        }
        if let Some(cause) = &filter.cause {
            query.and("c.cause = ?", [cause.as_str().into()]);
        }
        if let Some(since) = filter.since {
            query.and("KEY.id >= ?", [rows::at(since).into()]);
        }
        if let Some(queue_id) = &filter.queue_id {
            query.and("e.queue_id = ?", [queue_id.as_str().into()]);
        }
        if let Some(id) = &filter.message_id {
            let bare = id.trim_matches(['<', '>']);
            query.and("e.message_id IN (?, ?)", [format!("<{bare}>").into(), bare.into()]);
        }
        if let Some(address) = &filter.mail_from {
            query.and("LOWER(e.mail_from) = ?", [path_of(address).into()]);
        }
        if let Some(address) = &filter.rcpt_to {
            query.and("LOWER(e.rcpt_to) LIKE ? ESCAPE '!'", [listed(address).into()]);
        }
        if let Some(action) = &filter.action {
            query.and("FACT.action = ?", [rows::word(action).into()]);
        }
        query
    }

    fn and<const N: usize>(&mut self, condition: &'static str, values: [Value; N]) {
        self.conditions.push(condition);
        self.values.extend(values);
    }

    /// The statement: `what` of all this, and `rest` at its end.
    fn finish(self, what: &str, rest: &str) -> (String, Vec<Value>) {
        let long = |table: &&str| TABLES.iter().find(|(short, _)| short == table).map_or("", |(_, long)| *long);
        let tables = self.tables.iter().map(long).collect::<Vec<_>>().join(", ");
        let mut question = format!("SELECT {what} FROM {tables}");
        let mut number = 0;
        for (at, condition) in self.conditions.iter().enumerate() {
            question += if at == 0 { " WHERE " } else { " AND " };
            for (at, part) in condition.split('?').enumerate() {
                if at > 0 {
                    number += 1;
                    question += &format!("${number}");
                }
                question += part;
            }
        }
        question += " ";
        question += rest;
        let key = self.tables.first().copied().unwrap_or("e");
        (question.replace("KEY.", &format!("{key}.")).replace("FACT.", &format!("{}.", self.fact)), self.values)
    }
}

/// An address as events have it, in small letters: in angle brackets.
fn path_of(address: &str) -> String {
    format!("<{}>", address.trim_matches(['<', '>']).to_ascii_lowercase())
}

/// The pattern of a list of paths, as it is stored, that holds this one.
fn listed(address: &str) -> String {
    let member = serde_json::Value::from(path_of(address)).to_string();
    let escaped = member.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

/// The condition that a further table speaks of the same event.
fn joined(table: &str) -> &'static str {
    match table {
        "c" => "c.id = KEY.id AND c.host = KEY.host",
        "m" => "m.id = KEY.id AND m.host = KEY.host",
        _ => "e.id = KEY.id AND e.host = KEY.host",
    }
}
