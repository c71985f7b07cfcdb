//! The folder of the record: the local key, and files of at most an hour that go as a whole.
//!
//! Several processes may write (the service, and `waxseal sign`): each has a file of its own. Everything is for its owner
//! alone. A file that cannot be read is left out; what is there beside ours is left alone.

use super::{Entry, Id, digests::LocalKey};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

const KEY_FILE: &str = "key";
const PREFIX: &str = "signed-";

/// A file takes what is signed in so many seconds.
const SPAN: u64 = 3600;

/// The key of the folder, which is made with it where there is none.
pub fn key(folder: &Path) -> io::Result<LocalKey> {
    match read_key(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut octets = [0; 32];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| io::Error::other("the system gave no random octets"))?;
    // Whoever comes second takes the key of the first: it is complete when it gets its name.
    let mut new = tempfile::Builder::new().prefix(".key").tempfile_in(folder)?;
    new.write_all(&octets)?;
    given_to_owner(folder, new.as_file())?;
    match new.persist_noclobber(folder.join(KEY_FILE)) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error),
    }
    read_key(folder)
}

/// The key of a folder that has one.
pub fn read_key(folder: &Path) -> io::Result<LocalKey> {
    let mut octets = Vec::new();
    File::open(folder.join(KEY_FILE))?.take(64).read_to_end(&mut octets)?;
    let octets: [u8; 32] =
        octets.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the key is not of 32 octets"))?;
    Ok(LocalKey::new(&octets))
}

/// What the record has of messages that are found by one of these.
pub fn find(folder: &Path, wanted: &[Id]) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for (_, path, _) in files(folder)? {
        if let Ok(octets) = fs::read(path) {
            found.extend(Entry::find(&octets, wanted));
        }
    }
    Ok(found)
}

/// Files of the record: since when each is, and how large, the oldest first.
fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let since = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if let (Some(since), Ok(facts)) = (since, entry.metadata()) {
            files.push((since, entry.path(), facts.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// Writes entries.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    /// Seconds.
    keep: u64,
    max_bytes: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    since: u64,
    size: u64,
}

impl Writer {
    /// For this folder, which must be there; nothing is written yet. `keep` is in seconds.
    pub fn new(folder: &Path, keep: u64, max_bytes: u64) -> Writer {
        Writer { folder: folder.to_owned(), keep, max_bytes, current: None }
    }

    /// Writes one entry; `now` is in seconds since 1970.
    pub fn append(&mut self, entry: &[u8], now: u64) -> io::Result<()> {
        let full = self.max_bytes / 8;
        let fits = |current: &Current| now < current.since + SPAN && current.size + entry.len() as u64 <= full;
        if !self.current.as_ref().is_some_and(fits) {
            self.tidy(now, entry.len() as u64)?;
            self.current = Some(self.next(now)?);
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        current.size += entry.len() as u64;
        let written = current.file.write_all(entry);
        if written.is_err() {
            // What follows a torn entry could not be found.
            self.current = None;
        }
        written
    }

    /// Removes what is too old, and the oldest of what is too much.
    pub fn tidy(&mut self, now: u64, needed: u64) -> io::Result<()> {
        let files = files(&self.folder)?;
        // The file that comes next may grow to its full size.
        let mut size: u64 = files.iter().map(|(.., size)| size).sum::<u64>() + needed.max(self.max_bytes / 8);
        for (since, path, length) in files {
            let old = since.saturating_add(SPAN).saturating_add(self.keep) <= now;
            if old || size > self.max_bytes {
                size -= length;
                if self.current.as_ref().is_some_and(|current| current.path == path) {
                    self.current = None;
                }
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn next(&self, now: u64) -> io::Result<Current> {
        for number in 0..1000 {
            let path = self.folder.join(format!("{PREFIX}{now}-{number}"));
            match OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    given_to_owner(&self.folder, &file)?;
                    return Ok(Current { file, path, since: now, size: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many files of one second"))
    }
}

/// What root writes with `waxseal sign` must stay readable for the service.
fn given_to_owner(folder: &Path, file: &File) -> io::Result<()> {
    let (around, own) = (fs::metadata(folder)?, file.metadata()?);
    if around.uid() != own.uid() {
        fchown(file, Some(around.uid()), Some(around.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_whoever_comes_first_and_for_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/signed");
        let ids: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..4).map(|_| scope.spawn(|| key(&path).expect("a key").of_signature(b"x"))).collect();
            starts.into_iter().map(|start| start.join().expect("it ends")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(fs::metadata(path.join(KEY_FILE)).expect("the key").mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).expect("the folder").mode() & 0o777, 0o700);
    }

    #[test]
    fn what_is_old_or_too_much_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::write(path.join("key"), [1; 32]).expect("written");
        fs::write(path.join("notes"), "mine").expect("written");
        let total = || files(path).expect("a list").iter().map(|(.., size)| size).sum::<u64>();
        let mut writer = Writer::new(path, 2 * 3600, 80_000);
        for second in 0..500 {
            writer.append(&[1; 1000], 1_000_000 + second).expect("written");
            assert!(total() <= 80_000);
        }
        assert!(total() > 60_000, "{}", total());
        writer.append(&[1; 1000], 1_000_000 + 4 * 3600).expect("written");
        assert_eq!(total(), 1000, "older than two hours and the hour of a file");
        assert!(path.join("key").exists() && path.join("notes").exists());
    }
}
