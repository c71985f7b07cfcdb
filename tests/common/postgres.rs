//! A private PostgreSQL: own folder, own socket, free port, ended with its value. It refuses to be root, so it runs as
//! the user of its package.

use super::{eventually, free_address, open_folder, process::Process};
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long a start may take on a machine that compiles at the same time.
const START: Duration = Duration::from_secs(60);
const USER: &str = "postgres";

/// A running server.
pub struct Postgres {
    folder: tempfile::TempDir,
    address: SocketAddr,
    process: Option<Process>,
}

impl Postgres {
    /// As [`Postgres::start`], and it takes no connection without TLS; its certificate is [`Postgres::certificate`].
    #[track_caller]
    pub fn start_with_tls() -> Postgres {
        let mut postgres = Postgres::start();
        postgres.stop();
        let data = postgres.folder.path().join("data");
        let mut openssl = as_user(Path::new("/usr/bin/openssl"));
        openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=db".split(' '));
        openssl.args(["-addext", &format!("subjectAltName=IP:{}", postgres.address.ip())]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(data.join("server.key"));
        super::process::run(openssl.arg("-out").arg(data.join("server.crt")));
        let settings = data.join("postgresql.conf");
        let text = fs::read_to_string(&settings).expect("its settings");
        fs::write(settings, format!("{text}\nssl = on\n")).expect("its settings");
        fs::write(data.join("pg_hba.conf"), "hostssl all all all trust\n").expect("its rules");
        postgres.restart();
        postgres
    }

    /// The file of its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("data/server.crt")
    }

    /// Makes an empty cluster and starts its server.
    #[track_caller]
    pub fn start() -> Postgres {
        let folder = open_folder();
        let (uid, gid) = user();
        chown(folder.path(), Some(uid), Some(gid)).expect("the folder can be given away");
        let data = folder.path().join("data");
        let mut initdb = as_user(&program("initdb"));
        initdb.args(["--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"]).arg(&data);
        super::process::run(&mut initdb);
        let mut postgres = Postgres { folder, address: free_address(), process: None };
        postgres.restart();
        postgres
    }

    /// Starts it again after it has ended, at the same place, and waits until it answers.
    #[track_caller]
    pub fn restart(&mut self) {
        let mut command = as_user(&program("postgres"));
        command.arg("-D").arg(self.folder.path().join("data"));
        command.arg("-k").arg(self.folder.path()).args(["-h", &self.address.ip().to_string()]);
        command.args(["-p", &self.address.port().to_string(), "-c", "fsync=off"]);
        self.process = Some(Process::start(command, self.folder.path().join("log")));
        let ready = "database system is ready to accept connections";
        let before = self.said().matches(ready).count();
        eventually("PostgreSQL answers", START, || {
            let process = self.process.as_mut().expect("it was started");
            assert!(process.ended().is_none(), "PostgreSQL ended: {}", process.said());
            (self.said().matches(ready).count() > before && TcpStream::connect(self.address).is_ok()).then_some(())
        });
    }

    /// Ends it at once, as a power cut would end it for us.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        // QUIT is its immediate shutdown: clients are cut off, and nothing is left behind that a restart trips over.
        process.signal("QUIT");
        process.wait(START);
    }

    /// Stops it from answering, with its connections open; `CONT` undoes it.
    pub fn signal_all(&self, name: &str) {
        let group = self.process.as_ref().expect("it runs").id();
        super::process::signal_group(group, name);
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@{}/postgres", self.address)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            // Its own children end with it only if it is asked.
            super::process::signal_group(process.id(), "CONT");
            process.signal("QUIT");
        }
        if let Some(process) = &mut self.process {
            eventually("PostgreSQL ends", START, || process.ended());
        }
    }
}

/// A program of the newest PostgreSQL that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.sort();
    let found = found.into_iter().rfind(|path| path.is_file());
    found.unwrap_or_else(|| panic!("PostgreSQL is missing: run tests/run, which installs it"))
}

fn as_user(program: &Path) -> Command {
    let (uid, gid) = user();
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups", "--"]).arg(program);
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// The ids of its user.
fn user() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let line = passwd.lines().find(|line| line.starts_with(&format!("{USER}:")));
    let mut ids = line.expect("the user of PostgreSQL's package: run tests/run").split(':').skip(2);
    let mut id = || ids.next().and_then(|id| id.parse().ok()).expect("an id");
    (id(), id())
}
