//! rspamd as a milter that signs and does nothing else: its proxy with the module dkim_signing alone.

use super::{eventually, free_address, open_folder, process::Process, program};
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A running rspamd; it ends when dropped.
pub struct Rspamd {
    process: Process,
    _folder: tempfile::TempDir,
    socket: String,
}

impl Rspamd {
    /// Signs mail of these domains, each under the selector `sel` with the key in the file; asks `resolver` alone.
    #[track_caller]
    pub fn start(resolver: SocketAddr, domains: &[(&str, &Path)]) -> Rspamd {
        program("/usr/bin/rspamd");
        let folder = open_folder();
        // A list of all public suffixes would be compiled at each start.
        fs::write(folder.path().join("suffixes"), "example\n").expect("a list");
        for _ in 0..5 {
            let address = free_address();
            let file = folder.path().join("rspamd.conf");
            fs::write(&file, settings(folder.path(), address, resolver, domains)).expect("the settings");
            let mut command = Command::new("/usr/bin/rspamd");
            command.args(["-f", "-i", "-c"]).arg(&file);
            let mut process = Process::start(command, folder.path().join("said"));
            let serves = eventually("rspamd serves or ends", Duration::from_secs(30), || {
                if TcpStream::connect(address).is_ok() {
                    return Some(true);
                }
                process.ended().map(|_| false)
            });
            if serves {
                let socket = format!("inet:{}:{}", address.ip(), address.port());
                return Rspamd { process, _folder: folder, socket };
            }
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(log.contains("in use"), "rspamd does not start: {}{log}", process.said());
        }
        panic!("no free port for rspamd in five tries");
    }

    /// The value for `smtpd_milters`.
    pub fn socket(&self) -> &str {
        &self.socket
    }
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        // On SIGTERM it ends its workers; SIGKILL, which comes next, would leave them, also where a test has failed.
        self.process.signal("TERM");
        let start = Instant::now();
        let patience = Duration::from_secs(10);
        eventually("rspamd ends or is given up", patience * 2, || {
            (self.process.ended().is_some() || start.elapsed() > patience).then_some(())
        });
    }
}

fn settings(folder: &Path, address: SocketAddr, resolver: SocketAddr, domains: &[(&str, &Path)]) -> String {
    let folder = folder.display();
    let keys: String = domains
        .iter()
        .map(|(domain, key)| format!("    \"{domain}\" {{ selector = \"sel\"; path = \"{}\"; }}\n", key.display()))
        .collect();
    format!(
        r#"options {{
  filters = "dkim";
  url_tld = "{folder}/suffixes";
  local_addrs = "127.0.0.0/8";
  control_socket = "{folder}/control mode=0600";
  dns {{ nameserver = ["{}:{}"]; }}
}}
logging {{ type = "file"; filename = "{folder}/log"; level = "info"; }}
modules {{ path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }}
worker "rspamd_proxy" {{
  bind_socket = "{}:{}";
  count = 1;
  milter = yes;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
dkim_signing {{
  sign_local = true;
  use_domain = "header";
  use_esld = false;
  allow_hdrfrom_mismatch = true;
  allow_username_mismatch = true;
  check_pubkey = false;
  try_fallback = false;
  use_redis = false;
  domain {{
{keys}  }}
}}
"#,
        resolver.ip(),
        resolver.port(),
        address.ip(),
        address.port()
    )
}
