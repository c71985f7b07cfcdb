//! What the integration tests share: the real programs that Waxseal works with, each started privately.
//!
//! Every part has its own temporary folder and a free port, and ends when its value is dropped, also when a test panics.
//! `tests/run` installs the programs; a test that misses one fails and says so.

#![allow(dead_code, reason = "each test file uses its own share of these modules")]

pub mod authres;
pub mod browser;
pub mod canon;
pub mod change;
pub mod delivery;
pub mod desk;
pub mod differential;
pub mod faults;
pub mod forge;
pub mod hostile;
pub mod internet;
pub mod mail;
pub mod mutate;
pub mod network;
pub mod nsd;
pub mod opendkim;
pub mod postfix;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod rspamd;
pub mod scene;
pub mod seal;
pub mod sink;
pub mod smtp;
pub mod source;
pub mod status;
pub mod suite;
pub mod table;
pub mod talk;
pub mod verifiers;
pub mod waxseal;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Asks again and again until there is an answer, and panics with `what` after `limit`.
///
/// The one place in the tests that sleeps: it waits between two looks, never for a guessed time.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// A loopback address of this test process alone, so that ports of test processes beside it cannot clash with ours.
pub fn loopback() -> Ipv4Addr {
    let pid = std::process::id();
    let octet = |shift: u32| u8::try_from((pid >> shift) % 250 + 1).expect("at most 250");
    Ipv4Addr::new(127, octet(16), octet(8), octet(0))
}

/// An address that was free a moment ago. Whoever starts a program on it must be ready to try another.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((loopback(), 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}

/// A new folder that every user may enter, for programs that give up root.
pub fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix("waxseal-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder")
}

/// Where `tests/run` put what is no Debian package.
pub fn parts() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let parts = target.parent().expect("the target folder").join("parts");
    assert!(parts.is_dir(), "{} is missing: run tests/run, which fills it", parts.display());
    parts
}

/// The path of a program, or a panic that says how to install it.
pub fn program(path: &str) -> &str {
    assert!(PathBuf::from(path).is_file(), "{path} is missing: run tests/run, which installs it");
    path
}
