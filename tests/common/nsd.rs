//! A private NSD: authoritative answers on loopback, from the zones of the test.

use super::{eventually, free_address, open_folder, process::Process};
use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    time::Duration,
};

/// A running instance; it ends when dropped.
pub struct Nsd {
    process: Process,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nsd {
    /// Serves these zones, origin and master file, and waits until it answers for the first.
    #[track_caller]
    pub fn start(zones: &[(&str, &str)]) -> Nsd {
        for _ in 0..5 {
            let mut nsd = Nsd::launch(zones, free_address());
            let answers = eventually("NSD answers or ends", Duration::from_secs(30), || match nsd.process.ended() {
                Some(_) => Some(false),
                None => serves(nsd.address, zones[0].0).unwrap_or(false).then_some(true),
            });
            if answers {
                return nsd;
            }
            assert!(nsd.said().contains("in use"), "NSD does not start: {}", nsd.said());
        }
        panic!("no free port for NSD in five tries");
    }

    /// As [`Nsd::start`], at this address, which is free.
    #[track_caller]
    pub fn start_at(address: SocketAddr, zones: &[(&str, &str)]) -> Nsd {
        let mut nsd = Nsd::launch(zones, address);
        eventually("NSD answers", Duration::from_secs(30), || {
            assert!(nsd.process.ended().is_none(), "NSD ended: {}", nsd.said());
            serves(address, zones[0].0).unwrap_or(false).then_some(())
        });
        nsd
    }

    fn launch(zones: &[(&str, &str)], address: SocketAddr) -> Nsd {
        let folder = open_folder();
        let at = |file: &str| folder.path().join(file).display().to_string();
        let mut config = format!(
            "server:\n ip-address: {}@{}\n username: \"\"\n chroot: \"\"\n database: \"\"\n \
             zonesdir: \"{}\"\n pidfile: \"{}\"\n \
             xfrdfile: \"{}\"\n zonelistfile: \"{}\"\n logfile: \"{}\"\n server-count: 1\n minimal-responses: yes\n \
             rrl-ratelimit: 0\nremote-control:\n control-enable: no\n",
            address.ip(),
            address.port(),
            folder.path().display(),
            at("pid"),
            at("xfrd"),
            at("zonelist"),
            at("log"),
        );
        for (origin, text) in zones {
            // The root has no file name of its own.
            let file = format!("zone-{origin}");
            fs::write(folder.path().join(&file), text).expect("a zone file");
            config += &format!("zone:\n name: \"{origin}\"\n zonefile: \"{file}\"\n");
        }
        let file = folder.path().join("nsd.conf");
        fs::write(&file, config).expect("a configuration");
        // Debian keeps it out of the PATH of users.
        let debian = "/usr/sbin/nsd";
        let mut command = Command::new(if Path::new(debian).exists() { debian } else { "nsd" });
        command.args(["-d", "-c"]).arg(&file);
        let process = Process::start(command, folder.path().join("said"));
        Nsd { process, address, _folder: folder }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn said(&self) -> String {
        let log = fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
        self.process.said() + &log
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // NSD ends its children on SIGTERM; SIGKILL would leave them.
        self.process.signal("TERM");
        if !std::thread::panicking() {
            self.process.wait(Duration::from_secs(20));
        }
    }
}

/// Is there an answer to a question for the SOA of this zone?
fn serves(server: SocketAddr, origin: &str) -> io::Result<bool> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in origin.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend([0, 0, 6, 0, 1]);
    let socket = UdpSocket::bind((super::loopback(), 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.connect(server)?;
    socket.send(&query)?;
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply)?;
    Ok(length > 12 && reply[3] & 15 == 0 && reply[7] == 1)
}
