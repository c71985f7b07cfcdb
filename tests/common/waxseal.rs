//! The built program as a milter: own folder, own socket, its log as JSON, and the signals that an operator sends.

use super::{eventually, open_folder, process::Process};
use serde_json::Value;
use std::{
    fs,
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};
use waxseal::{dkim::KeyType, key::generate};

/// How long a start may take on a machine that compiles at the same time.
const START: Duration = Duration::from_secs(30);

/// A key of ours, and the record that goes with it.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its type.
    pub algorithm: KeyType,
    /// s=.
    pub selector: String,
    /// The file's name in the key directory.
    pub file: String,
    /// The text of the record.
    pub record: String,
}

/// A running `waxseal run`; it ends when dropped.
pub struct Waxseal {
    process: Option<Process>,
    home: Home,
    /// A socket that outlives it, as one of systemd does.
    passed: Option<UnixListener>,
    /// A command that is given the command of the program, and executes it in the end.
    under: Vec<String>,
}

/// The folder with settings, keys, socket and log.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// A new, empty one.
    pub fn new() -> Home {
        use std::os::unix::fs::DirBuilderExt;
        let folder = open_folder();
        fs::DirBuilder::new().mode(0o700).create(folder.path().join("keys")).expect("a new folder");
        Home { folder }
    }

    /// Makes a key in the key directory; its file is `SELECTOR.pem`.
    pub fn key(&self, algorithm: KeyType, selector: &str) -> Key {
        let file = format!("{selector}.pem");
        let new = generate(algorithm).expect("a key can be made");
        new.write(&self.path("keys").join(&file)).expect("a new file");
        Key { algorithm, selector: selector.into(), file, record: new.key.public_record() }
    }

    /// Writes the settings: what they all share, then `text`.
    pub fn settings(&self, text: &str) {
        let store = if text.contains("store.url") { "" } else { "store.url = \"sqlite:events.db\"\n" };
        // No test asks a name server that it did not start.
        let watch = if text.contains("watch.enabled") { "" } else { "watch.enabled = false\n" };
        let shared =
            format!("key_directory = \"keys\"\nrotation.path = \"rotations\"\nlog.format = \"json\"\n{store}{watch}");
        fs::write(self.path("waxseal.toml"), format!("{shared}{text}")).expect("the settings");
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Key {
    /// Its record for a domain: name and text.
    pub fn published(&self, domain: &str) -> (String, String) {
        (format!("{}._domainkey.{domain}", self.selector), self.record.clone())
    }
}

impl Waxseal {
    /// Starts the milter in a home that has settings, and waits until it serves.
    #[track_caller]
    pub fn start(home: Home) -> Waxseal {
        let mut waxseal = Waxseal { process: None, home, passed: None, under: Vec::new() };
        waxseal.restart();
        waxseal
    }

    /// As [`Waxseal::start`], with a socket that it is handed under the name `milter`, at every start the same.
    #[track_caller]
    pub fn start_on(home: Home, socket: UnixListener) -> Waxseal {
        let mut waxseal = Waxseal { process: None, home, passed: Some(socket), under: Vec::new() };
        waxseal.restart();
        waxseal
    }

    /// As [`Waxseal::start`], with a folder that is a small disk of its own, of a size in the words of mount(8), seen by
    /// this process alone.
    #[track_caller]
    pub fn start_with_small_disk(home: Home, folder: &Path, size: &'static str) -> Waxseal {
        let script = "mount -t tmpfs -o \"size=$1\" none \"$2\" && shift 2 && exec \"$@\"";
        let folder = folder.to_str().expect("a path in UTF-8");
        Waxseal::start_under(home, &["/usr/bin/unshare", "-m", "--", "/bin/sh", "-c", script, "sh", size, folder])
    }

    /// As [`Waxseal::start`], by a command that executes it, such as prlimit(1).
    #[track_caller]
    pub fn start_under(home: Home, command: &[&str]) -> Waxseal {
        let under = command.iter().map(|&word| word.to_owned()).collect();
        let mut waxseal = Waxseal { process: None, home, passed: None, under };
        waxseal.restart();
        waxseal
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Starts it again after it has ended, and waits until it serves.
    #[track_caller]
    pub fn restart(&mut self) {
        let before = self.count("ready: ");
        let program = &program();
        let (mut command, input) = match (&self.passed, self.under.split_first()) {
            (None, None) => (Command::new(program), Stdio::null()),
            (None, Some((first, rest))) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                (command, Stdio::null())
            }
            (Some(socket), _) => {
                // What systemd does (sd_listen_fds(3)): the socket is descriptor 3, and the process knows that it is meant.
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$@\"", "sh", program]);
                command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "milter");
                let socket: OwnedFd = socket.try_clone().expect("a second handle").into();
                (command, Stdio::from(socket))
            }
        };
        command.arg("run").arg("--config").arg(self.home.path("waxseal.toml"));
        let mut process = Process::start_with(command, input, self.home.path("log"));
        let ready = eventually("waxseal serves or ends", START, || match process.ended() {
            Some(_) => Some(false),
            None => (self.count("ready: ") > before).then_some(true),
        });
        assert!(ready, "waxseal does not start:\n{}", process.said());
        self.process = Some(process);
    }

    /// Its home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// The value for `smtpd_milters`.
    #[track_caller]
    pub fn socket(&self) -> String {
        let lines = self.messages();
        let address = lines.iter().rev().find_map(|line| line.strip_prefix("listening on "));
        address.expect("a milter that serves says where").to_string()
    }

    /// Reloads, and waits until it says how that went: `Ok`, or why the old settings stay.
    #[track_caller]
    pub fn reload(&self) -> Result<(), String> {
        let outcome = |line: &String| line.starts_with("reloaded: ") || line.starts_with("not reloaded");
        let before = self.messages().into_iter().filter(outcome).count();
        self.signal("HUP");
        let line = eventually("waxseal reloads", START, || self.messages().into_iter().filter(outcome).nth(before));
        if line.starts_with("reloaded: ") { Ok(()) } else { Err(line) }
    }

    /// Ends it as the operator does, and gives its exit status.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut process = self.process.take().expect("it runs");
        process.wait(Duration::from_secs(60))
    }

    /// Ends it as the kernel does when memory is short.
    pub fn kill(&mut self) {
        self.signal("KILL");
        let mut process = self.process.take().expect("it runs");
        process.wait(Duration::from_secs(60));
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("it runs").signal(name);
    }

    /// Every line of its log. One that was cut off by a kill is left out.
    pub fn log(&self) -> Vec<Value> {
        log(&self.home.path("log"))
    }

    /// One event per message: the lines with a queue id, but for those that only tell why an earlier one failed.
    pub fn events(&self) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["queue_id"].is_string() && line["action"] != "diagnose").collect()
    }

    /// The last event, once it is this one: a line reaches the log some milliseconds after the MTA has its answer.
    #[track_caller]
    pub fn last_event(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually("the event of the message", START, || self.events().pop().filter(&is_it))
    }

    /// What was found out about messages that failed.
    pub fn diagnoses(&self) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["action"] == "diagnose").collect()
    }

    /// Everything else that it said.
    fn messages(&self) -> Vec<String> {
        let text = |line: Value| line.get("message").and_then(Value::as_str).map(str::to_string);
        self.log().into_iter().filter_map(text).collect()
    }

    fn count(&self, start: &str) -> usize {
        self.messages().iter().filter(|line| line.starts_with(start)).count()
    }
}

/// The program under test: the one that cargo built, unless the environment names another, such as a package's.
fn program() -> String {
    std::env::var("WAXSEAL_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_waxseal").to_owned())
}

fn log(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
