//! A PostgreSQL-wire server: PostgreSQL, CockroachDB, YugabyteDB.
//!
//! Every wait has an end, so that a server that falls silent costs the events of that time and nothing else.

use super::{
    database::{Database, Dialect, Fault, FaultKind, Row, Value},
    tls,
};
use crate::config::Url;
use ::postgres::{
    Client, Error, Statement,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use bytes::BytesMut;
use std::{collections::HashMap, error, time::Duration};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may leave what we sent unacknowledged.
const SILENCE: Duration = Duration::from_secs(30);
/// Statements that are kept prepared: those that write, and the few that a follower repeats.
const MOST_PREPARED: usize = 32;

/// A connection.
pub(super) struct Postgres {
    client: Client,
    prepared: HashMap<String, Statement>,
    name: String,
}

impl Postgres {
    /// Connects.
    pub(super) fn open(url: &Url) -> Result<Postgres, Fault> {
        let name = url.to_string();
        let (mut config, tls) = tls::read(url).map_err(|why| Fault::new(FaultKind::Other, format!("{name}: {why}")))?;
        config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("waxseal");
        }
        let client = config.connect(tls).map_err(|error| fault(&name, &error))?;
        let mut postgres = Postgres { client, prepared: HashMap::new(), name };
        postgres.run("SET statement_timeout = '60s'")?;
        Ok(postgres)
    }

    fn prepare(&mut self, statement: &str) -> Result<Statement, Fault> {
        if let Some(prepared) = self.prepared.get(statement) {
            return Ok(prepared.clone());
        }
        if self.prepared.len() >= MOST_PREPARED {
            self.prepared.clear();
        }
        let prepared = self.client.prepare(statement).map_err(|error| fault(&self.name, &error))?;
        self.prepared.insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

impl Database for Postgres {
    fn run(&mut self, statements: &str) -> Result<(), Fault> {
        self.client.batch_execute(statements).map_err(|error| fault(&self.name, &error))
    }

    fn change(&mut self, statement: &str, values: &[Value]) -> Result<u64, Fault> {
        let prepared = self.prepare(statement)?;
        self.client.execute(&prepared, &borrowed(values)).map_err(|error| fault(&self.name, &error))
    }

    fn ask(&mut self, question: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let prepared = self.prepare(question)?;
        let rows = self.client.query(&prepared, &borrowed(values)).map_err(|error| fault(&self.name, &error))?;
        let read = |row: &::postgres::Row| -> Result<Row, Error> {
            let value = |(at, column): (usize, &::postgres::Column)| {
                Ok(match *column.type_() {
                    Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Number),
                    Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map_or(Value::Null, |n| Value::Number(n.into())),
                    _ => row.try_get::<_, Option<String>>(at)?.map_or(Value::Null, Value::Text),
                })
            };
            row.columns().iter().enumerate().map(value).collect::<Result<_, _>>().map(Row::new)
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| fault(&self.name, &error))
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    /// Its disk is its administrator's: what deleted rows leave stays with the tables, so a size would say nothing.
    fn bytes(&mut self) -> Result<Option<u64>, Fault> {
        Ok(None)
    }

    fn compact(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn learn(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn borrowed(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Number(number) => number.to_sql_checked(wanted, out),
            Value::Text(text) => text.to_sql_checked(wanted, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn fault(name: &str, error: &Error) -> Fault {
    // The first two characters of SQLSTATE are its class (PostgreSQL documentation, appendix A).
    let code = error.code().map(|state| state.code()).unwrap_or_default();
    let kind = match (code, code.get(..2).unwrap_or_default()) {
        ("53100", _) => FaultKind::Full,
        ("42501", _) | (_, "28") => FaultKind::Denied,
        ("3D000" | "42P01", _) => FaultKind::Missing,
        (_, "22" | "23") => FaultKind::Event,
        ("", _) => FaultKind::Unreachable,
        _ => FaultKind::Other,
    };
    Fault::new(kind, format!("{name}: {}", told(error)))
}

/// An error with what caused it: the library's own text names only where it happened.
pub(super) fn told(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.to_lowercase()
}
