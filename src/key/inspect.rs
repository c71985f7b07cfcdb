//! The cheap look at a key file: could anybody but its owner have read or replaced it?
//!
//! Used for every key at start and at reload, so it costs one system call a key (the folder is judged once) and reads no
//! contents. The rules: a regular file inside of the key directory, symbolic links resolved; it and its folder belong to
//! root or to us; group and others have no right on it; nobody else may replace files in the folder, unless its sticky
//! bit forbids that. Root judges on behalf of the service, so for root the owner of the key directory counts as us.

use super::{KeyMistake, KeyReason};
use rustix::fs::{Access, OFlags};
use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const STICKY: u32 = 0o1000;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const ANY_RIGHT_OF_OTHERS: u32 = 0o077;

/// Inspects key files; it remembers the folders that it has seen, so make a new one for each round.
#[derive(Debug)]
pub struct Inspector {
    directory: PathBuf,
    owners: Owners,
    /// Folders by the name they were asked for: where they really are, or why their files cannot be trusted.
    /// By their octets, since comparing paths by their parts is the slowest step of a hundred thousand keys.
    folders: HashMap<OsString, Result<PathBuf, KeyReason>>,
}

/// Whose files are trusted.
#[derive(Clone, Copy, Debug)]
struct Owners {
    us: u32,
    /// The owner of the key directory.
    directory: u32,
}

/// What the rules need to know of a file or a folder.
#[derive(Clone, Copy, Debug)]
struct Facts {
    regular: bool,
    owner: u32,
    mode: u32,
}

impl Inspector {
    /// Inspects files that must lie in this directory or below.
    pub fn new(directory: &Path) -> Inspector {
        let us = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(directory).map_or(us, |facts| facts.uid());
        Inspector { directory: directory.to_owned(), owners: Owners { us, directory: owner }, folders: HashMap::new() }
    }

    /// Judges a key file without reading it.
    pub fn inspect(&mut self, path: &Path) -> Result<(), KeyMistake> {
        self.locate(path).map(|_| ()).map_err(|reason| KeyMistake { file: path.to_owned(), reason })
    }

    /// Opens a key file; what was judged is what is opened, even if the file was replaced in between.
    pub fn open(&mut self, path: &Path) -> Result<File, KeyMistake> {
        self.open_located(path).map_err(|reason| KeyMistake { file: path.to_owned(), reason })
    }

    /// May keys be put into this folder? The same rules as for the folder of an existing key.
    pub fn folder(&mut self, folder: &Path) -> Result<(), KeyReason> {
        self.real_folder(folder).map(|_| ())
    }

    fn open_located(&mut self, path: &Path) -> Result<File, KeyReason> {
        let real = self.locate(path)?;
        // Without NONBLOCK, a pipe put there meanwhile would hold us up for ever.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(&real).map_err(reason_of)?;
        let facts = file.metadata().map_err(reason_of)?;
        match self.owners.fault_of_file(Facts::of(&facts)) {
            Some(reason) => Err(reason),
            None => Ok(file),
        }
    }

    /// Where the file really is, once all rules hold.
    fn locate(&mut self, path: &Path) -> Result<PathBuf, KeyReason> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(KeyReason::NotAFile);
        };
        let mut real = self.real_folder(folder)?.join(name);
        let mut facts = fs::symlink_metadata(&real).map_err(reason_of)?;
        if facts.is_symlink() {
            real = fs::canonicalize(&real).map_err(reason_of)?;
            if let Some(folder) = real.parent().map(Path::to_owned) {
                // The link may leave the key directory through its target alone, so the target is what is named.
                self.real_folder(&folder).map_err(|reason| match reason {
                    KeyReason::Outside { directory, .. } => KeyReason::Outside { real: real.clone(), directory },
                    other => other,
                })?;
            }
            facts = fs::metadata(&real).map_err(reason_of)?;
        }
        if let Some(reason) = self.owners.fault_of_file(Facts::of(&facts)) {
            return Err(reason);
        }
        // Only a file of root's that we read by an access list or a capability needs the kernel's own word.
        if facts.uid() != self.owners.us && self.owners.us != 0 {
            rustix::fs::access(&real, Access::READ_OK).map_err(|error| reason_of(error.into()))?;
        }
        Ok(real)
    }

    fn real_folder(&mut self, folder: &Path) -> Result<PathBuf, KeyReason> {
        if let Some(known) = self.folders.get(folder.as_os_str()) {
            return known.clone();
        }
        let judged = self.judge_folder(folder);
        self.folders.insert(folder.as_os_str().to_owned(), judged.clone());
        judged
    }

    fn judge_folder(&self, folder: &Path) -> Result<PathBuf, KeyReason> {
        let directory = fs::canonicalize(&self.directory).map_err(reason_of)?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = fs::canonicalize(folder).map_err(reason_of)?;
        if !real.starts_with(&directory) {
            return Err(KeyReason::Outside { real, directory });
        }
        let facts = fs::metadata(&real).map_err(reason_of)?;
        match self.owners.fault_of_folder(&real, Facts::of(&facts)) {
            Some(reason) => Err(reason),
            None => Ok(real),
        }
    }
}

impl Owners {
    fn trusted(self, owner: u32) -> bool {
        owner == 0 || owner == self.us || (self.us == 0 && owner == self.directory)
    }

    fn fault_of_file(self, facts: Facts) -> Option<KeyReason> {
        if !facts.regular {
            Some(KeyReason::NotAFile)
        } else if !self.trusted(facts.owner) {
            Some(KeyReason::FileOwner(facts.owner))
        } else if facts.mode & ANY_RIGHT_OF_OTHERS != 0 {
            Some(KeyReason::FileMode(facts.mode & 0o777))
        } else {
            None
        }
    }

    fn fault_of_folder(self, folder: &Path, facts: Facts) -> Option<KeyReason> {
        if !self.trusted(facts.owner) {
            Some(KeyReason::FolderOwner(folder.to_owned(), facts.owner))
        } else if facts.mode & WRITABLE_BY_OTHERS != 0 && facts.mode & STICKY == 0 {
            Some(KeyReason::FolderMode(folder.to_owned(), facts.mode & 0o7777))
        } else {
            None
        }
    }
}

impl Facts {
    fn of(metadata: &Metadata) -> Facts {
        Facts { regular: metadata.is_file(), owner: metadata.uid(), mode: metadata.mode() }
    }
}

fn reason_of(error: io::Error) -> KeyReason {
    match error.kind() {
        io::ErrorKind::NotFound => KeyReason::Missing,
        _ => KeyReason::Unreadable(error.to_string().to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode set");
    }

    fn file(path: &Path) {
        fs::write(path, "key").expect("written");
        set_mode(path, 0o600);
    }

    /// A key directory inside of a folder that is not part of it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().expect("a folder");
        let keys = root.path().canonicalize().expect("it exists").join("keys");
        fs::create_dir(&keys).expect("made");
        set_mode(&keys, 0o700);
        (root, keys)
    }

    #[test]
    fn a_good_key_is_accepted_directly_and_through_a_link_within_the_directory() {
        let (_root, keys) = place();
        file(&keys.join("a.pem"));
        symlink("a.pem", keys.join("b.pem")).expect("linked");
        let mut inspector = Inspector::new(&keys);
        for name in ["a.pem", "b.pem"] {
            assert_eq!(inspector.inspect(&keys.join(name)), Ok(()), "{name}");
            inspector.open(&keys.join(name)).expect("opened");
        }
    }

    #[test]
    fn a_key_directory_may_itself_be_a_link() {
        let (root, keys) = place();
        file(&keys.join("a.pem"));
        let link = root.path().join("link");
        symlink(&keys, &link).expect("linked");
        assert_eq!(Inspector::new(&link).inspect(&link.join("a.pem")), Ok(()));
    }

    #[test]
    fn files_that_others_could_read_or_swap_are_refused() {
        let (root, keys) = place();
        let real_root = root.path().canonicalize().expect("it exists");
        for (name, mode) in [("group.pem", 0o640), ("others.pem", 0o604), ("write.pem", 0o620)] {
            file(&keys.join(name));
            set_mode(&keys.join(name), mode);
            let mistake = Inspector::new(&keys).inspect(&keys.join(name)).expect_err("refused");
            assert_eq!(mistake.reason, KeyReason::FileMode(mode), "{name}");
        }
        let outside = real_root.join("outside.pem");
        file(&outside);
        symlink(&outside, keys.join("link.pem")).expect("linked");
        symlink("nowhere", keys.join("dangling.pem")).expect("linked");
        fs::create_dir(keys.join("folder.pem")).expect("made");
        let is_outside = KeyReason::Outside { real: outside.clone(), directory: keys.clone() };
        for (path, want) in [
            (keys.join("link.pem"), is_outside),
            (outside, KeyReason::Outside { real: real_root, directory: keys.clone() }),
            (keys.join("dangling.pem"), KeyReason::Missing),
            (keys.join("none.pem"), KeyReason::Missing),
            (keys.join("folder.pem"), KeyReason::NotAFile),
        ] {
            let mistake = Inspector::new(&keys).inspect(&path).expect_err("refused");
            assert_eq!(mistake.reason, want, "{}", path.display());
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_unless_sticky() {
        let (_root, keys) = place();
        let key = keys.join("a.pem");
        file(&key);
        for (mode, good) in [(0o770, false), (0o707, false), (0o755, true), (0o1777, true)] {
            set_mode(&keys, mode);
            let judged = Inspector::new(&keys).inspect(&key);
            let want = if good { Ok(()) } else { Err(KeyReason::FolderMode(keys.clone(), mode)) };
            assert_eq!(judged.map_err(|mistake| mistake.reason), want, "{mode:o}");
        }
    }

    #[test]
    fn owners_are_root_and_us_and_for_root_the_owner_of_the_directory() {
        for (us, directory, owner, want) in [
            (100, 100, 100, true),
            (100, 100, 0, true),
            (100, 100, 7, false),
            (100, 7, 7, false),
            (0, 100, 100, true),
            (0, 0, 100, false),
        ] {
            let owners = Owners { us, directory };
            let facts = Facts { regular: true, owner, mode: 0o600 };
            assert_eq!(owners.fault_of_file(facts).is_none(), want, "{us} {directory} {owner}");
            let facts = Facts { regular: false, owner, mode: 0o700 };
            assert_eq!(owners.fault_of_folder(Path::new("/k"), facts).is_none(), want, "{us} {directory} {owner}");
        }
    }
}
