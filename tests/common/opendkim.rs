//! OpenDKIM as the signing milter: the control that shows what is Postfix's doing and what is ours.

use super::{eventually, free_address, open_folder, process::Process, program};
use std::{fs, net::TcpStream, path::Path, process::Command, time::Duration};

/// A running opendkim that signs; it ends when dropped.
pub struct OpenDkim {
    _process: Process,
    folder: Option<tempfile::TempDir>,
    socket: String,
}

impl OpenDkim {
    /// Signs all mail from loopback whose From is in this domain.
    #[track_caller]
    pub fn start(domain: &str, selector: &str, key: &Path, canonicalization: &str) -> OpenDkim {
        OpenDkim::with(canonicalization, "rsa-sha256", selector, &[(domain, key)])
    }

    /// Signs all mail from loopback whose From is in one of these domains, each with its key.
    #[track_caller]
    pub fn with(canonicalization: &str, algorithm: &str, selector: &str, domains: &[(&str, &Path)]) -> OpenDkim {
        let folder = open_folder();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let keys = domains.iter().map(|(domain, key)| format!("{domain} {domain}:{selector}:{}\n", key.display()));
        let signing = domains.iter().map(|(domain, _)| format!("{domain} {domain}\n"));
        fs::write(at("keys"), keys.collect::<String>()).expect("the table of keys");
        fs::write(at("signing"), signing.collect::<String>()).expect("the table of domains");
        fs::write(at("internal"), "127.0.0.0/8\n").expect("the list of networks");
        let mut opendkim = OpenDkim::run(&folder.path().join("opendkim.conf"), |socket| {
            format!(
                "Mode s\nKeyTable {}\nSigningTable {}\nCanonicalization {canonicalization}\n\
                 SignatureAlgorithm {algorithm}\nInternalHosts {}\nSocket {socket}\nSyslog no\n\
                 MinimumKeyBits 1024\nRequireSafeKeys no\n",
                at("keys"),
                at("signing"),
                at("internal"),
            )
        });
        opendkim.folder = Some(folder);
        opendkim
    }

    /// Runs with the settings that `settings` makes for a `Socket`; they are written to `file`.
    #[track_caller]
    pub fn run(file: &Path, settings: impl Fn(&str) -> String) -> OpenDkim {
        program("/usr/sbin/opendkim");
        for _ in 0..5 {
            let address = free_address();
            fs::write(file, settings(&format!("inet:{}@{}", address.port(), address.ip()))).expect("the settings");
            let mut command = Command::new("/usr/sbin/opendkim");
            command.arg("-f").arg("-x").arg(file);
            let mut process = Process::start(command, file.with_extension("said"));
            let serves = eventually("opendkim serves or ends", Duration::from_secs(20), || {
                if TcpStream::connect(address).is_ok() {
                    return Some(true);
                }
                process.ended().map(|_| false)
            });
            if serves {
                let socket = format!("inet:{}:{}", address.ip(), address.port());
                return OpenDkim { _process: process, folder: None, socket };
            }
            assert!(process.said().contains("in use"), "opendkim does not start: {}", process.said());
        }
        panic!("no free port for opendkim in five tries");
    }

    /// The value for `smtpd_milters`.
    pub fn socket(&self) -> &str {
        &self.socket
    }
}
