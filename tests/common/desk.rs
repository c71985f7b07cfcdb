//! The real `waxseal verify` on a message of the test, with DNS from a master file of the test alone.

use super::forge::Zone;
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// A folder with a zone and messages.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// A folder whose file `zone` holds these records.
    pub fn new(zone: &Zone) -> Desk {
        let desk = Desk { folder: tempfile::tempdir().expect("a folder") };
        desk.put("zone", zone.text());
        desk
    }

    /// Writes a file.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("the folder can be written");
        path
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `waxseal verify` in the folder.
    pub fn verify<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// The command of [`Desk::verify`].
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
        command.arg("verify").args(arguments).current_dir(self.folder.path());
        command
    }

    /// The JSON for one message under the zone, with further arguments, and the exit status.
    #[track_caller]
    pub fn judge(&self, mail: &[u8], arguments: &[&str]) -> (Value, i32) {
        self.put("mail", mail);
        let output =
            self.verify(["--dns", "zone", "--json"].into_iter().chain(arguments.iter().copied()).chain(["mail"]));
        let status = output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"));
        assert!(matches!(status, 0 | 1 | 75), "{output:?}");
        let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (value, status)
    }
}
