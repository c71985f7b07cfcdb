//! `waxseal check --postfix`: Postfix's configuration read, with postconf(1) where it is there, and judged.
//!
//! Nothing is changed, and no running Postfix is asked: a folder with main.cf and master.cf is enough.

use crate::{
    cli::{
        Exit, Mistake, findings, output,
        paint::{self, Paint},
    },
    config::Settings,
    diagnose::{
        Placed,
        finding::Severity,
        postfix::{CHECKS, Config, Ours, audit},
        report,
    },
};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where Postfix's configuration is, unless it is said.
pub const DEFAULT: &str = "/etc/postfix";

/// Larger tables are not looked into; those of checks are written by hand.
const GREATEST_TABLE: u64 = 1024 * 1024;

/// What came of the audit.
pub struct Audited {
    directory: PathBuf,
    findings: Vec<Placed>,
}

impl Audited {
    /// Judges the configuration of a folder.
    pub fn new(directory: &Path, settings: Option<&Settings>) -> Result<Audited, Mistake> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| {
                let fix = "--postfix takes the folder of main.cf and master.cf";
                Mistake::new(format!("{}: {}; {fix}", path.display(), error.to_string().to_lowercase()))
            })
        };
        let (main, master) = (read("main.cf")?, read("master.cf")?);
        let mut config = Config::read(&main, &master, postconf(directory).as_deref());
        for name in unread_tables(&config) {
            if let Some(text) = table(&name) {
                config = config.with_table(&name, text);
            }
        }
        let findings = audit(&config, &Ours::new(settings));
        Ok(Audited { directory: directory.to_owned(), findings })
    }

    /// 1 if something breaks signatures.
    pub fn exit(&self) -> Exit {
        if self.has(Severity::Error) { Exit::Failed } else { Exit::Good }
    }

    /// For people.
    pub fn text(&self, paint: Paint) -> String {
        let verdict = match (self.has(Severity::Error), self.has(Severity::Warning)) {
            (true, _) => paint.bad("breaks or misses signatures"),
            (false, true) => paint.odd("works, with risks"),
            (false, false) => paint.good("leaves signatures whole"),
        };
        let directory = self.directory.display().to_string();
        let head = format!("Postfix, {}: {verdict}\n", paint.bold(paint::plain(&directory, 200)));
        head + &findings::text(&self.findings, self.findings.len(), paint)
    }

    /// For programs.
    pub fn value(&self) -> Value {
        let status = match (self.has(Severity::Error), self.has(Severity::Warning)) {
            (true, _) => "failed",
            (false, true) => "warning",
            (false, false) => "ok",
        };
        json!({ "directory": self.directory, "status": status, "findings": report::entries(&self.findings) })
    }

    fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|placed| placed.severity == severity)
    }
}

/// What `postconf -x -c DIR` prints, every value expanded; nothing where it is not installed, or does not like the files.
fn postconf(directory: &Path) -> Option<String> {
    let run = |program: &str| {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Command::new(program).args(["-x", "-c"]).arg(directory).stdin(Stdio::null()).output()
    };
    let output = match run("postconf") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => run("/usr/sbin/postconf").ok()?,
        other => other.ok()?,
    };
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        output::say(format_args!("postconf: {}; its defaults are taken from memory", paint::plain(&why, 400)));
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The tables whose text is not in main.cf itself.
fn unread_tables(config: &Config) -> Vec<String> {
    let everywhere = config.services.iter().map(Some).chain([None]);
    let tables = everywhere.flat_map(|service| CHECKS.iter().flat_map(move |name| config.tables(service, name)));
    tables.filter(|(_, text)| text.is_none()).map(|(name, _)| name).collect()
}

/// The text of a table of patterns.
fn table(name: &str) -> Option<String> {
    let path = name.strip_prefix("regexp:").or(name.strip_prefix("pcre:")).filter(|path| path.starts_with('/'))?;
    let facts = fs::metadata(path).ok().filter(|facts| facts.is_file() && facts.len() <= GREATEST_TABLE);
    facts.and_then(|_| fs::read(path).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
