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
        let folder = open_folder();
        let internal = folder.path().join("internal");
        fs::write(&internal, "127.0.0.0/8\n").expect("the list of networks");
        let file = folder.path().join("opendkim.conf");
        let mut opendkim = OpenDkim::run(&file, |socket| {
            format!(
                "Mode s\nDomain {domain}\nSelector {selector}\nKeyFile {}\nCanonicalization {canonicalization}\n\
                 InternalHosts {}\nSocket {socket}\nSyslog no\nMinimumKeyBits 1024\nRequireSafeKeys no\n",
                key.display(),
                internal.display(),
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
