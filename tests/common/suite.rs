//! Source archives of Python packages that hold test data: fetched once into the build folder, and no part of this project.
//!
//! An archive is taken only if it is the one that was read before it was trusted. Without `pip`, `tar` and the package
//! registry that pip knows, the test fails and says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The unpacked source archive of a package, fetched if it is not there yet; `sha256` is that of the archive.
#[track_caller]
pub fn source(package: &str, version: &str, sha256: &str) -> PathBuf {
    let name = format!("{package}-{version}");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("suites");
    let folder = kept.join(&name);
    if folder.is_dir() {
        return folder;
    }
    fs::create_dir_all(&kept).expect("the build folder can be written");
    // Unpacked elsewhere and then moved, so that a fetch that was cut short leaves nothing that looks complete.
    let fresh = tempfile::tempdir_in(&kept).expect("the build folder can be written");
    let wanted = fresh.path().join("wanted.txt");
    fs::write(&wanted, format!("{package}=={version} --hash=sha256:{sha256}\n")).expect("the folder can be written");
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"];
    let mut fetch = Command::new("python3");
    fetch.args(pip).arg("--require-hashes").arg("--requirement").arg(&wanted).arg("--dest").arg(fresh.path());
    run(&name, &mut fetch);
    run(&name, Command::new("tar").arg("-xzf").arg(format!("{name}.tar.gz")).current_dir(fresh.path()));
    let moved = fs::rename(fresh.path().join(&name), &folder);
    assert!(moved.is_ok() || folder.is_dir(), "{name} cannot be moved to {}: {moved:?}", kept.display());
    folder
}

#[track_caller]
fn run(name: &str, command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{name} cannot be had: {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} cannot be had: {command:?}: {}\n{said}", output.status);
}
