//! The systemd units against the tools of systemd and against the program itself; no unit is ever started.

mod common;

use common::{eventually, open_folder, process::Process, program};
use indymilter_test::{SocketInfo, Status, TestConnection};
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use waxseal::config::{Settings, Socket};

const WAXSEAL: &str = env!("CARGO_BIN_EXE_waxseal");
const LIMIT: Duration = Duration::from_secs(30);

/// The least exposure that a service with sockets of its own and DNS can have is 1.1: what remains is the network itself.
const MOST_EXPOSURE: &str = "1.2";

fn unit_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// The values of one setting of a unit, in order.
fn values(unit: &str, setting: &str) -> Vec<String> {
    let text = fs::read_to_string(unit_file(unit)).expect("the unit");
    let lines = text.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

fn value(unit: &str, setting: &str) -> String {
    let mut all = values(unit, setting);
    assert_eq!(all.len(), 1, "{unit}: {setting}=: {all:?}");
    all.remove(0)
}

fn seconds(text: &str) -> u64 {
    text.strip_suffix('s').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}: seconds"))
}

#[test]
fn the_service_is_hardened() {
    let output = Command::new(program("/usr/bin/systemd-analyze"))
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(unit_file("waxseal.service"))
        .output()
        .expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let score = said.rsplit_once("Overall exposure level for waxseal.service: ").map(|(_, rest)| &rest[..3]);
    let score = score.unwrap_or_else(|| panic!("no score: {said}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(score <= MOST_EXPOSURE, "{said}");
}

#[test]
fn systemd_finds_nothing_wrong() {
    let folder = open_folder();
    for name in ["waxseal.service", "waxseal.socket"] {
        let text = fs::read_to_string(unit_file(name)).expect("the unit");
        // It is judged as installed, and the program is not installed here.
        let text = text.replace("ExecStart=/usr/bin/waxseal ", &format!("ExecStart={WAXSEAL} "));
        fs::write(folder.path().join(name), text).expect("written");
    }
    let output = Command::new(program("/usr/bin/systemd-analyze"))
        .arg("verify")
        .args(["waxseal.service", "waxseal.socket"].map(|name| folder.path().join(name)))
        .output()
        .expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("waxseal")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}\n{said}", output.status);
}

#[test]
fn limits_of_the_service_fit_those_of_the_settings() {
    let limits = Settings::default().limits;
    // After limits.drain, each listener has two seconds for what is stuck.
    let stop = seconds(&value("waxseal.service", "TimeoutStopSec"));
    assert!(stop >= limits.drain.as_secs() + 10, "TimeoutStopSec={stop}s, limits.drain {:?}", limits.drain);
    let files: usize = value("waxseal.service", "LimitNOFILE").parse().expect("a number");
    assert!(files >= limits.connections + 1000, "LimitNOFILE={files}, limits.connections {}", limits.connections);
}

/// A folder with settings for one listener.
fn home(socket: &str) -> tempfile::TempDir {
    use std::os::unix::fs::DirBuilderExt;
    let folder = open_folder();
    fs::DirBuilder::new().mode(0o700).create(folder.path().join("keys")).expect("a folder");
    fs::write(folder.path().join("waxseal.toml"), format!("[[listener]]\nsocket = \"{socket}\"\nmode = \"sign\"\n"))
        .expect("written");
    folder
}

fn start(command: &mut Command, home: &Path) -> Process {
    let mut whole = Command::new(command.get_program());
    whole.args(command.get_args()).args(["run", "--config"]).arg(home.join("waxseal.toml"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            None => whole.env_remove(name),
        };
    }
    Process::start(whole, home.join("log"))
}

/// Type=notify, WatchdogSec= and ExecReload= stand on these.
#[test]
fn systemd_hears_of_start_life_reload_and_stop() {
    let home = home("inet:127.0.0.1:0");
    let socket = home.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).expect("a socket");
    systemd.set_read_timeout(Some(LIMIT)).expect("a limit");
    let hear = |what: &str| {
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 256];
            let size = systemd.recv(&mut buffer).unwrap_or_else(|error| panic!("{what}: {error}; heard {heard:?}"));
            let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
            if text.lines().any(|line| line == what) {
                return text;
            }
            heard.push(text);
        }
    };
    let mut process =
        start(Command::new(WAXSEAL).env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000"), home.path());
    hear("READY=1");
    hear("WATCHDOG=1");
    process.signal("HUP");
    let reloading = hear("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "Type=notify-reload wants to know when: {reloading}");
    hear("READY=1");
    hear("WATCHDOG=1");
    process.signal("TERM");
    hear("STOPPING=1");
    assert_eq!(process.wait(LIMIT).code(), Some(0), "{}", process.said());
}

#[test]
fn a_mistake_in_the_settings_has_the_status_that_prevents_a_restart() {
    let home = home("inet:nowhere");
    let mut process = start(&mut Command::new(WAXSEAL), home.path());
    let status = process.wait(LIMIT).code().expect("an exit status").to_string();
    assert_eq!(status, value("waxseal.service", "RestartPreventExitStatus"), "{}", process.said());
}

#[tokio::test]
async fn the_socket_unit_hands_its_sockets_over() {
    let name = value("waxseal.socket", "FileDescriptorName");
    let home = home(&format!("systemd:{name}"));
    let file = home.path().join("waxseal.toml");
    let second =
        format!("\n[[listener]]\nsocket = \"systemd:second\"\n{}", fs::read_to_string(&file).expect("settings"));
    fs::write(&file, second).expect("written");
    let listener = Settings::load(&home.path().join("waxseal.toml")).expect("settings").listeners.remove(1);
    assert_eq!(listener.socket, Socket::Systemd(name.clone()));
    let socket = home.path().join("milter.sock");
    let other = home.path().join("second.sock");
    let mut command = Command::new(program("/usr/bin/systemd-socket-activate"));
    command.arg("-l").arg(&socket).arg("-l").arg(&other).arg(format!("--fdname={name}:second")).arg(WAXSEAL);
    let process = start(&mut command, home.path());
    // A socket is there a moment before it listens: the row in /proc/net/unix says when it does.
    eventually("both sockets listen", LIMIT, || (listens(&socket) && listens(&other)).then_some(()));
    // The program starts with this connection, and must answer on it.
    let mut connection = TestConnection::configure().open_unix(&socket).await.expect("negotiated");
    let stranger = SocketInfo::Inet("192.0.2.1:40000".parse().expect("an address"));
    connection.connect("mx.example.net", stranger).await.expect("connect");
    connection.mail(["<a@example.net>"]).await.expect("MAIL");
    connection.rcpt(["<b@example.com>"]).await.expect("RCPT");
    connection.header("From", " <a@example.net>").await.expect("a field");
    assert_eq!(connection.eoh().await.expect("end of header"), Status::Accept);
    connection.close().await.expect("closed");
    TestConnection::configure().open_unix(&other).await.expect("negotiated").close().await.expect("closed");
    process.signal("TERM");
}

/// Does a unix socket at this path listen? The kernel marks it with the flag 00010000 (__SO_ACCEPTCON).
fn listens(path: &Path) -> bool {
    let rows = fs::read_to_string("/proc/net/unix").expect("the sockets of this machine");
    let path = path.to_str().expect("a path in UTF-8");
    rows.lines().any(|row| row.ends_with(path) && row.split_whitespace().nth(3) == Some("00010000"))
}

/// The socket has to be where a Postfix in its chroot can see it, and main.cf names it from there.
#[test]
fn the_socket_lies_below_the_queue_directory() {
    let path = value("waxseal.socket", "ListenStream");
    let name = path.strip_prefix("/var/spool/postfix/").expect("below the queue directory of Debian");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["systemd/waxseal.socket", "conf/postfix/main.cf.example", "docs/operations.md"] {
        let text = fs::read_to_string(root.join(file)).expect("read");
        assert!(text.contains(&format!("unix:{name}")), "{file} does not say unix:{name}");
    }
}
