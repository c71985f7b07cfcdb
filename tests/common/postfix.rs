//! A private Postfix: own configuration, queue, data folder, log and port; the system's instance is never touched.
//!
//! It takes mail from loopback for every domain and hands all of it to one sink; DNS is never asked.
//! XCLIENT is open to loopback, so that a test can be any client or authenticated user.

use super::{
    eventually, free_address, open_folder,
    process::{run, signal},
    program,
    smtp::Client,
};
use std::{
    fmt::Write as _,
    fs, io,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// What a test decides about its Postfix.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where all mail goes.
    pub sink: SocketAddr,
    /// `smtpd_milters` and `non_smtpd_milters`: `inet:host:port` or `unix:/path`; empty for none.
    pub milter: String,
    /// Further lines of main.cf: name and value; they override ours.
    pub main: Vec<(String, String)>,
}

/// A running instance; it ends when dropped.
pub struct Postfix {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

/// One message in the queue, as postqueue tells it.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Queued {
    /// active, deferred, incoming, hold or maildrop.
    pub queue_name: String,
    /// The queue id.
    pub queue_id: String,
    /// The envelope sender.
    pub sender: String,
}

impl Options {
    /// Mail through `milter` to `sink`; no line is ever broken on the way out (`smtp_line_length_limit` = 0).
    pub fn new(sink: SocketAddr, milter: impl Into<String>) -> Options {
        Options { sink, milter: milter.into(), main: vec![("smtp_line_length_limit".into(), "0".into())] }
    }

    /// With another line of main.cf.
    pub fn with(mut self, name: &str, value: &str) -> Options {
        self.main.push((name.into(), value.into()));
        self
    }
}

impl Postfix {
    /// Starts an instance and waits until it greets.
    #[track_caller]
    pub fn start(options: &Options) -> Postfix {
        program("/usr/sbin/postfix");
        for _ in 0..5 {
            let postfix = Postfix::prepare(options);
            let started = postfix.command("postfix").arg("start").output().expect("postfix(1) starts");
            assert!(started.status.success(), "Postfix does not start: {started:?}\n{}", postfix.log());
            let greets = eventually("Postfix greets or says why not", Duration::from_secs(30), || {
                if Client::connect(postfix.address).is_ok() {
                    return Some(true);
                }
                let log = postfix.log();
                (log.contains("Address already in use") || log.contains("fatal:")).then_some(false)
            });
            if greets {
                return postfix;
            }
            assert!(postfix.log().contains("Address already in use"), "Postfix does not start:\n{}", postfix.log());
        }
        panic!("no free port for Postfix in five tries");
    }

    fn prepare(options: &Options) -> Postfix {
        let folder = open_folder();
        let postfix = Postfix { folder, address: free_address() };
        let root = postfix.root();
        for (name, owner) in [("config", None), ("queue", None), ("data", Some("postfix")), ("log", Some("postfix"))] {
            let path = root.join(name);
            fs::create_dir(&path).expect("a new folder");
            if let Some(owner) = owner {
                run(Command::new("chown").arg(owner).arg(&path));
            }
        }
        fs::write(root.join("config/main.cf"), postfix.main_cf(options)).expect("main.cf");
        fs::write(root.join("config/master.cf"), master_cf(postfix.address)).expect("master.cf");
        postfix
    }

    fn main_cf(&self, options: &Options) -> String {
        let root = self.root().display();
        let sink = format!("[{}]:{}", options.sink.ip(), options.sink.port());
        let milter = &options.milter;
        let mut text = format!(
            "compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log/maillog
maillog_file_prefixes = {root}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
myhostname = mail.example.com
myorigin = example.com
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = static:all
relayhost = {sink}
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
in_flow_delay = 0
message_size_limit = 40000000
mailbox_size_limit = 0
smtputf8_enable = yes
notify_classes =
biff = no
smtpd_milters = {milter}
non_smtpd_milters = {milter}
milter_default_action = tempfail
milter_connect_timeout = 10s
milter_command_timeout = 20s
milter_content_timeout = 60s
internal_mail_filter_classes = bounce
"
        );
        for (name, value) in &options.main {
            writeln!(text, "{name} = {value}").expect("a string takes every text");
        }
        text
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder: `config`, `queue`, `data`, `log`.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A new connection, greeted.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address).expect("Postfix greets")
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.root().join("log/maillog")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Hands over a message by sendmail(1), as a local program would; lines end in LF.
    #[track_caller]
    pub fn sendmail(&self, mail_from: &str, rcpt_to: &str, message: &[u8]) {
        let mut child = Command::new(program("/usr/sbin/sendmail"))
            .arg("-C")
            .arg(self.config())
            .args(["-i", "-f", mail_from, rcpt_to])
            .stdin(Stdio::piped())
            .spawn()
            .expect("sendmail starts");
        child.stdin.take().expect("a pipe").write_all(message).expect("sendmail reads");
        assert!(child.wait().expect("sendmail ends").success(), "sendmail refused the message");
    }

    /// Tries everything in the queue again, now.
    pub fn flush(&self) {
        run(self.command("postqueue").arg("-f"));
    }

    /// What is in the queue.
    pub fn queue(&self) -> Vec<Queued> {
        let list = run(self.command("postqueue").arg("-j"));
        list.lines().map(|line| serde_json::from_str(line).expect("postqueue writes JSON")).collect()
    }

    /// Changes one line of main.cf and reloads.
    pub fn set(&self, name: &str, value: &str) {
        run(self.command("postconf").arg(format!("{name}={value}")));
        run(self.command("postfix").arg("reload"));
    }

    fn config(&self) -> PathBuf {
        self.root().join("config")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(format!("/usr/sbin/{name}"));
        command.arg("-c").arg(self.config());
        command
    }

    fn pid(&self) -> io::Result<u32> {
        let text = fs::read_to_string(self.root().join("queue/pid/master.pid"))?;
        text.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // On SIGTERM the master ends all processes of the instance.
        if let Ok(pid) = self.pid() {
            signal(pid, "TERM");
            let alive = Path::new("/proc").join(pid.to_string());
            if !std::thread::panicking() {
                eventually("Postfix ends", Duration::from_secs(20), || (!alive.exists()).then_some(()));
            }
        }
    }
}

/// The services; none is chrooted, since the instance has its own folder already.
///
/// pickup(8) looks every second, not every minute: what a milter refused for now is left for its next look.
fn master_cf(address: SocketAddr) -> String {
    format!(
        "{address} inet n - n - - smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
