//! A private Postfix for `--postfix`: its own settings, queue, data, log and port, in a folder that is removed at the end.
//!
//! The system's instance is never touched. What is missing on this machine is a mistake with its remedy; what goes wrong
//! later is told with the end of Postfix's own log.

use super::{
    Unexpected,
    letters::{DOMAIN, Letter},
    smtp::{self, Sink},
};
use crate::cli::Mistake;
use rustix::process::{Pid, Signal};
use std::{
    env, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Where Postfix keeps its own account unless it was built otherwise.
const OWNER: &str = "postfix";
/// A free port may be taken by another program before Postfix binds it.
const TRIES: usize = 5;
/// How long a message may take through Postfix, and Postfix to end; both take well under a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often we look whether Postfix has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What `--postfix` needs of this machine.
#[derive(Clone, Debug)]
pub struct Installed {
    program: PathBuf,
    /// The account of Postfix's daemons.
    owner: u32,
}

/// A Postfix that runs until it is dropped, and the sink behind it.
pub struct Postfix {
    folder: tempfile::TempDir,
    address: SocketAddr,
    sink: Sink,
}

impl Installed {
    /// Looks for everything that is needed, and names all that is missing at once.
    pub fn find() -> Result<Installed, Mistake> {
        let program = find_program("postfix");
        let owner = account(OWNER);
        let mut missing = Vec::new();
        if program.is_none() {
            missing.push("there is no postfix program; install Postfix (Debian: apt-get install postfix)".to_owned());
        } else if owner.is_none() {
            missing.push(format!("there is no user {OWNER:?} in /etc/passwd; install Postfix from a package"));
        }
        if !rustix::process::geteuid().is_root() {
            missing.push("Postfix starts only as root; run it with sudo".to_owned());
        }
        match (program, owner) {
            (Some(program), Some(owner)) if missing.is_empty() => Ok(Installed { program, owner }),
            _ => Err(Mistake::new(format!(
                "demo --postfix: {}\n`waxseal demo` shows the same without Postfix and without root",
                missing.join("; ")
            ))),
        }
    }
}

impl Postfix {
    /// Starts an instance with this milter, as main.cf names it.
    pub async fn start(installed: &Installed, milter: &str) -> Result<Postfix, Unexpected> {
        let mut tries = 0;
        loop {
            tries += 1;
            let postfix = Postfix::prepare(installed, milter)
                .await
                .map_err(Unexpected::when("the folders of the private Postfix cannot be made"))?;
            let mut command = Command::new(&installed.program);
            command.arg("-c").arg(postfix.config()).arg("start");
            // Ctrl-C is for us; half a start would leave a master that nobody knows.
            command.process_group(0);
            // On a thread of its own: who gives up waiting does not stop the start, and the instance ends after it.
            let started = tokio::task::spawn_blocking(move || (command.output(), postfix));
            let (output, postfix) = started.await.map_err(Unexpected::when("postfix(1)"))?;
            let output = output.map_err(Unexpected::when("postfix(1) cannot be started"))?;
            if output.status.success() {
                return Ok(postfix);
            }
            let log = postfix.log();
            if tries == TRIES || !log.contains("Address already in use") {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Unexpected::new(format!(
                    "the private Postfix does not start: {}",
                    last_lines(&said, &log)
                )));
            }
        }
    }

    async fn prepare(installed: &Installed, milter: &str) -> io::Result<Postfix> {
        let sink = Sink::start().await?;
        // Only the port is wanted; Postfix binds it anew.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = tempfile::Builder::new().prefix("waxseal-demo-postfix-").tempdir()?;
        // Postfix's daemons run under its own account and must be able to enter.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let root = folder.path();
        for (name, owner) in [("config", None), ("queue", None), ("data", Some(())), ("log", Some(()))] {
            fs::create_dir(root.join(name))?;
            if owner.is_some() {
                chown(root.join(name), Some(installed.owner), None)?;
            }
        }
        fs::write(root.join("config/main.cf"), main_cf(root, milter, sink.address))?;
        fs::write(root.join("config/master.cf"), master_cf(address))?;
        Ok(Postfix { folder, address, sink })
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a letter through; its queue id, and the message as it was delivered.
    pub async fn send(&mut self, letter: &Letter) -> Result<(String, Vec<u8>), Unexpected> {
        let through = async {
            let queue_id = smtp::submit(self.address, letter).await?;
            Ok((queue_id, self.sink.next().await?))
        };
        let outcome = timeout(PATIENCE, through).await;
        let fault = match outcome {
            Ok(Ok(delivered)) => return Ok(delivered),
            Ok(Err::<_, io::Error>(error)) => error.to_string(),
            Err(_) => format!("nothing was delivered within {} s", PATIENCE.as_secs()),
        };
        Err(Unexpected::new(format!("Postfix: {fault}; {}", last_lines("", &self.log()))))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log/maillog")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The master process of this instance; it ends all others of the instance when it is told to end.
    fn master(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.folder.path().join("queue/pid/master.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let Some(master) = self.master() else { return };
        let _ = rustix::process::kill_process(master, Signal::TERM);
        let patience = Instant::now() + PATIENCE;
        while rustix::process::test_kill_process(master).is_ok() {
            if Instant::now() > patience {
                eprintln!(
                    "waxseal: the private Postfix, process {master}, does not end",
                    master = master.as_raw_nonzero()
                );
                return;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Loopback alone, no DNS, all mail to the sink. XCLIENT is open to loopback, so that the demo can be a remote user.
fn main_cf(root: &Path, milter: &str, sink: SocketAddr) -> String {
    let root = root.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log/maillog
maillog_file_prefixes = {root}
myhostname = mail.{DOMAIN}
myorigin = {DOMAIN}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = static:all
relayhost = [{ip}]:{port}
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
notify_classes =
biff = no
smtpd_milters = {milter}
non_smtpd_milters = {milter}
milter_default_action = tempfail
",
        ip = sink.ip(),
        port = sink.port(),
    )
}

/// The services that one message needs; none is chrooted, since the instance has its own folder already.
fn master_cf(address: SocketAddr) -> String {
    format!(
        "{address} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
    )
}

/// In PATH, or where packages put programs of the administrator, which users often do not have in theirs.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0))
}

/// The number of a user in /etc/passwd.
fn account(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// What Postfix said last, here and in its log.
fn last_lines(said: &str, log: &str) -> String {
    let lines: Vec<_> = said.lines().chain(log.lines()).collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}
