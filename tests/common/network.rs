//! A network of the test's own, with nothing but loopback: every address of 127.0.0.0/8 is free, port 53 among them.
//!
//! The kernel gives it to everybody, root or not, as a network namespace inside a user namespace (unshare(1)). A test
//! enters it by running itself once more, so that its threads and its programs are all inside.

use super::{eventually, open_folder, process::Process};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

/// Tells the second run that it is inside.
const INSIDE: &str = "WAXSEAL_TEST_NETWORK";

/// Runs `test` in a network of its own; `name` is the full name of the test that calls this.
#[track_caller]
pub fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let program = std::env::current_exe().expect("a test has a file");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name}: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The address 127.0.0.`host`, port 53.
pub fn dns(host: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 53))
}

/// A private Unbound, which finds everything from the root down.
pub struct Unbound {
    process: Process,
    _folder: tempfile::TempDir,
}

impl Unbound {
    /// Starts it at `address`, with the root at `root` and these lines in its section `server:`.
    #[track_caller]
    pub fn start(address: SocketAddr, root: SocketAddr, lines: &str) -> Unbound {
        let folder = open_folder();
        let at = |file: &str| folder.path().join(file).display().to_string();
        let hints = format!(". 3600 NS ns.root-servers.net.\nns.root-servers.net. 3600 A {}\n", root.ip());
        fs::write(at("hints"), hints).expect("the hints");
        let config = format!(
            "server:\n interface: {}\n port: {}\n access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n \
             do-ip6: no\n do-daemonize: no\n use-syslog: no\n username: \"\"\n chroot: \"\"\n directory: \"{}\"\n \
             pidfile: \"{}\"\n root-hints: \"{}\"\n num-threads: 1\n outgoing-range: 64\n ede: yes\n \
             module-config: \"iterator\"\n{lines}\nremote-control:\n control-enable: no\n",
            address.ip(),
            address.port(),
            folder.path().display(),
            at("pid"),
            at("hints"),
        );
        fs::write(at("unbound.conf"), config).expect("a configuration");
        // Debian keeps it out of the PATH of users.
        let debian = "/usr/sbin/unbound";
        let mut command = Command::new(if Path::new(debian).exists() { debian } else { "unbound" });
        command.args(["-d", "-c"]).arg(at("unbound.conf"));
        let mut process = Process::start(command, folder.path().join("said"));
        eventually("Unbound answers", Duration::from_secs(30), || {
            assert!(process.ended().is_none(), "Unbound ended: {}", process.said());
            answers(address).then_some(())
        });
        Unbound { process, _folder: folder }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.process.signal("TERM");
        if !thread::panicking() {
            self.process.wait(Duration::from_secs(20));
        }
    }
}

/// Does anybody answer here, whatever the answer?
fn answers(server: SocketAddr) -> bool {
    // version.bind. CH TXT
    let query = [&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x07version\x04bind\0", &[0, 16, 0, 3]].concat();
    forward(&query, server, Duration::from_millis(200)).is_some()
}

/// Sends a packet, and gives the one that comes back.
fn forward(packet: &[u8], server: SocketAddr, patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.set_read_timeout(Some(patience)).ok()?;
    socket.connect(server).ok()?;
    socket.send(packet).ok()?;
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).ok()?;
    reply.truncate(length);
    Some(reply)
}

/// What stands between a client and a server may do with a question.
pub enum Meddle {
    /// Let it through.
    Pass,
    /// Lose it.
    Drop,
    /// Answer it with this rcode.
    Say(u8),
}

/// Stands at `address` in front of `server` and does to each packet what `meddle` says, until the test ends.
pub fn between(address: SocketAddr, server: SocketAddr, meddle: impl Fn(&[u8]) -> Meddle + Send + 'static) {
    let socket = UdpSocket::bind(address).expect("the address is free");
    thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            let question = &packet[..length];
            let reply = match meddle(question) {
                Meddle::Pass => forward(question, server, Duration::from_secs(5)),
                Meddle::Drop => None,
                Meddle::Say(rcode) => {
                    let mut reply = question.to_vec();
                    reply[2] |= 0x80;
                    reply[3] = rcode;
                    Some(reply)
                }
            };
            if let Some(reply) = reply {
                socket.send_to(&reply, client).expect("loopback takes packets");
            }
        }
    });
}
