//! SQLite: one file beside its write-ahead log, readable while it is written, whole after a kill at any moment.
//!
//! The file is made with mode 0600, and what SQLite puts beside it takes that mode over.

use super::database::{Database, Dialect, Fault, FaultKind, Row, Value};
use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags, ToSql,
    types::{ToSqlOutput, ValueRef},
};
use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long another process may hold the lock: a question of `waxseal log` never does, a copy of the file may.
const BUSY: Duration = Duration::from_secs(5);

/// An open file.
pub(super) struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file, and makes it if there is none.
    pub(super) fn open(path: &Path) -> Result<Sqlite, Fault> {
        // Made by us, so that it is private from its first moment on.
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(of_file(path, &error)),
            Err(_) => tighten(path),
            Ok(_) => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut sqlite = Sqlite::with_flags(path, flags)?;
        // With synchronous = NORMAL a kill loses nothing, and a power cut the last moments at most, never the file.
        sqlite.run(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;",
        )?;
        Ok(sqlite)
    }

    /// Opens a file that is there, for questions alone.
    pub(super) fn open_to_read(path: &Path) -> Result<Sqlite, Fault> {
        fs::File::open(path).map_err(|error| of_file(path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut sqlite = Sqlite::with_flags(path, flags)?;
        sqlite.run("PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;")?;
        Ok(sqlite)
    }

    /// An empty one of its own, gone when it is dropped.
    pub(super) fn temporary() -> Result<Sqlite, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut sqlite = Sqlite::with_flags(Path::new(""), flags)?;
        sqlite.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        Ok(sqlite)
    }

    fn with_flags(path: &Path, flags: OpenFlags) -> Result<Sqlite, Fault> {
        let connection = Connection::open_with_flags(path, flags).map_err(|error| fault(path, error))?;
        connection.busy_timeout(BUSY).map_err(|error| fault(path, error))?;
        Ok(Sqlite { connection, path: path.to_owned() })
    }

    fn pragma(&mut self, name: &str) -> Result<u64, Fault> {
        let mut rows = self.ask(&format!("PRAGMA {name}"), &[])?;
        Ok(rows.first_mut().map_or(0, |row| u64::try_from(row.number()).unwrap_or(0)))
    }
}

impl Database for Sqlite {
    fn run(&mut self, statements: &str) -> Result<(), Fault> {
        self.connection.execute_batch(statements).map_err(|error| fault(&self.path, error))
    }

    fn change(&mut self, statement: &str, values: &[Value]) -> Result<u64, Fault> {
        let mut statement = self.connection.prepare_cached(statement).map_err(|error| fault(&self.path, error))?;
        let changed =
            statement.execute(rusqlite::params_from_iter(values)).map_err(|error| fault(&self.path, error))?;
        Ok(changed as u64)
    }

    fn ask(&mut self, question: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let mut statement = self.connection.prepare_cached(question).map_err(|error| fault(&self.path, error))?;
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
            (0..columns).map(|column| row.get_ref(column).map(value)).collect::<Result<Vec<_>, _>>().map(Row::new)
        });
        rows.and_then(Iterator::collect).map_err(|error| fault(&self.path, error))
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn bytes(&mut self) -> Result<Option<u64>, Fault> {
        let pages = self.pragma("page_count")?.saturating_sub(self.pragma("freelist_count")?);
        Ok(Some(pages * self.pragma("page_size")?))
    }

    fn compact(&mut self) -> Result<(), Fault> {
        // Each row of the answer is a page given back; `run` would stop at the first.
        self.ask("PRAGMA incremental_vacuum", &[])?;
        self.ask("PRAGMA wal_checkpoint(TRUNCATE)", &[]).map(|_| ())
    }

    fn learn(&mut self) -> Result<(), Fault> {
        self.run("PRAGMA analysis_limit = 1000")?;
        self.ask("PRAGMA optimize", &[]).map(|_| ())
    }
}

/// Moves a damaged file aside, with what lies beside it, and gives its new name.
pub(super) fn move_aside(path: &Path, stamp: &str) -> io::Result<PathBuf> {
    let beside = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let aside = beside(path, &format!(".damaged-{stamp}"));
    fs::rename(path, &aside)?;
    for end in ["-wal", "-shm"] {
        // Without them a new file starts clean; a log of the old one must not be replayed into it.
        match fs::rename(beside(path, end), beside(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// A file that somebody made before us, such as a restored copy, is closed to others.
fn tighten(path: &Path) {
    if let Ok(metadata) = fs::metadata(path)
        && metadata.is_file()
        && metadata.permissions().mode() & 0o077 != 0
    {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Number(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Real(number) => Value::Number(number as i64),
        ValueRef::Text(text) | ValueRef::Blob(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null => Value::Null,
    }
}

fn of_file(path: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => FaultKind::Missing,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultKind::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultKind::Full,
        _ => FaultKind::Other,
    };
    Fault::new(kind, format!("{}: {}", path.display(), error.to_string().to_lowercase()))
}

fn fault(path: &Path, error: Error) -> Fault {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => FaultKind::Corrupt,
        Some(ErrorCode::DiskFull) => FaultKind::Full,
        Some(ErrorCode::CannotOpen) => FaultKind::Missing,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => FaultKind::Denied,
        Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => FaultKind::Event,
        _ => FaultKind::Other,
    };
    Fault::new(kind, format!("{}: {}", path.display(), error.to_string().to_lowercase()))
}
