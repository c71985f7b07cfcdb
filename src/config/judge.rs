//! The settings against the machine that they are for: key files, and what each socket needs. One judgement for
//! `waxseal config check`, for the start and for a reload; nothing is changed.
//!
//! What is allowed and most likely not meant is a doubt: said, and no mistake.

use super::{DEFAULT_FILE, Domain, KeyRef, Listener, Mistake, Mistakes, Mode, Settings, Socket, WhenNotReady};
use crate::key::{Inspector, KeyMistake};
use rustix::{fs::Access, thread::CapabilitySet};
use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The folder that systemd makes when it starts the service (RuntimeDirectory=), and removes when it stops it.
const RUNTIME_FOLDER: &str = "/run/waxseal";
/// Files in a folder with this bit have its group.
const SETGID: u32 = 0o2000;
/// Why a socket keeps its group.
pub const NO_MEMBER: &str =
    "only a member of a group may give it files, so add the user of the service to it (usermod -aG)";

impl Settings {
    /// Everything that would keep a start from succeeding and that can be known beforehand: key files (exist, owner,
    /// mode, place) without reading them, and sockets.
    pub fn inspect(&self) -> Result<(), Mistakes> {
        let sockets = self.listeners.iter().filter_map(|listener| self.socket_mistake(listener));
        Mistakes::none_or(self.unfit_keys().into_iter().chain(sockets).collect())
    }

    /// The same, and every key is read in full.
    pub fn check(&self) -> Result<(), Mistakes> {
        // The service is not running while somebody checks what it is to start with.
        let listeners = self.listeners.iter().filter(|listener| !waits_for_systemd(listener));
        let sockets = listeners.filter_map(|listener| self.socket_mistake(listener));
        Mistakes::none_or(self.bad_keys().into_iter().chain(sockets).collect())
    }

    /// Looks at every key file (exists, owner, mode, place) without reading it.
    pub fn inspect_keys(&self) -> Result<(), Mistakes> {
        Mistakes::none_or(self.unfit_keys())
    }

    /// Reads every key in full: what [`Settings::inspect_keys`] does, and whether it is a key of the right type and size.
    pub fn check_keys(&self) -> Result<(), Mistakes> {
        Mistakes::none_or(self.bad_keys())
    }

    /// What is wrong with a key, at the line of its domain.
    pub fn key_mistake(&self, domain: &Domain, mistake: &KeyMistake) -> Mistake {
        let how = match self.configured.contains_key(&domain.name) {
            true => " (its key was rotated; `waxseal config show` says how far)",
            false => "",
        };
        self.mistake(Some(domain.line), format!("{mistake}{how}"))
    }

    /// What is wrong with a socket, at the line of its listener.
    pub fn listener_mistake(&self, listener: &Listener, what: &str) -> Mistake {
        self.mistake(listener.line, format!("cannot listen on {}: {what}", listener.socket))
    }

    /// What is allowed and most likely not meant.
    pub fn doubts(&self) -> Vec<Mistake> {
        let mut doubts = Vec::new();
        let signing = self.listeners.iter().any(|listener| listener.mode != Mode::Verify);
        let first_line = self.listeners.first().and_then(|listener| listener.line);
        if self.domains.is_empty() && signing {
            let what = "no domain is configured, so nothing will be signed; add [domains.\"example.com\"]";
            doubts.push(self.mistake(None, what.into()));
        } else if !self.domains.is_empty() && !signing {
            let what = "every listener only verifies, so nothing will be signed; one needs mode \"sign\" or \"auto\"";
            doubts.push(self.mistake(first_line, what.into()));
        }
        for listener in self.listeners.iter().filter(|listener| waits_for_systemd(listener)) {
            let what = format!("there is no folder {RUNTIME_FOLDER} yet; waxseal.service has it made when it starts");
            doubts.push(self.listener_mistake(listener, &what));
        }
        doubts.extend(self.unwatched());
        doubts.extend(self.legacy_selectors());
        doubts.extend(self.rotation_doubts());
        doubts
    }

    /// A decision about records that nobody looks at.
    fn unwatched(&self) -> Option<Mistake> {
        let decides = |when: WhenNotReady| when != WhenNotReady::Sign;
        let mut own: Vec<_> =
            self.domains.values().filter(|domain| domain.when_not_ready.is_some_and(decides)).collect();
        own.sort_by_key(|domain| domain.line);
        if self.watch || !decides(self.signing.when_not_ready) && own.is_empty() {
            return None;
        }
        let what =
            "when_not_ready decides nothing while watch.enabled = false; leave the watch on, or the decision out";
        Some(self.mistake(own.first().map(|domain| domain.line), what.into()))
    }

    /// Domains whose selector a provider no longer gives out; the first of them stands for all.
    fn legacy_selectors(&self) -> Option<Mistake> {
        let mut found: Vec<_> = self
            .domains
            .values()
            .filter(|domain| domain.provider.is_none())
            .filter_map(|domain| {
                let selector = &domain.keys.first()?.selector;
                let (profile, entry) = self.profiles.by_selector(selector)?;
                entry.legacy.then_some((domain.line, domain, selector, profile))
            })
            .collect();
        found.sort_by_key(|(line, ..)| *line);
        let (line, domain, selector, profile) = found.first()?;
        let others = match found.len() - 1 {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        let what = format!(
            "domains.\"{}\".selector: \"{selector}\" is a legacy selector of {}, given out no longer{others}; name \
             environment and region, or a selector of your own",
            domain.name, profile.name
        );
        Some(self.mistake(Some(*line), what))
    }

    fn unfit_keys(&self) -> Vec<Mistake> {
        let mut inspector = Inspector::new(&self.key_directory);
        self.for_every_key(|key| inspector.inspect(&key.path))
    }

    fn bad_keys(&self) -> Vec<Mistake> {
        self.for_every_key(|key| key.load(&self.key_directory).map(|_| ()))
    }

    /// Judges every key file once per demand, and gives the mistakes with the lines of their domains.
    fn for_every_key(&self, mut judge: impl FnMut(&KeyRef) -> Result<(), KeyMistake>) -> Vec<Mistake> {
        let mut seen = HashSet::new();
        let mut mistakes = Vec::new();
        for domain in self.domains.values() {
            for key in &domain.keys {
                if seen.insert((key.path.as_os_str(), key.algorithm, key.required_bits))
                    && let Err(mistake) = judge(key)
                {
                    mistakes.push(self.key_mistake(domain, &mistake));
                }
            }
        }
        mistakes
    }

    fn socket_mistake(&self, listener: &Listener) -> Option<Mistake> {
        let Socket::Unix { path, group, .. } = &listener.socket else { return None };
        let what = socket_folder(path)
            .and_then(|()| nothing_in_the_way(path))
            .and_then(|()| group.as_deref().map_or(Ok(()), |group| may_give(path, group)))
            .err()?;
        Some(self.listener_mistake(listener, &what))
    }

    pub(super) fn mistake(&self, line: Option<usize>, what: String) -> Mistake {
        let file = self.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        Mistake { file, line, what }
    }
}

/// The number of a group given by number, or by name in /etc/group.
pub fn group_id(group: &str) -> Result<u32, String> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string("/etc/group").map_err(|error| format!("/etc/group cannot be read: {error}"))?;
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
        })
        .next()
        .ok_or_else(|| {
            format!("there is no group {group:?} in /etc/group; set socket_group to one that is, or to a number")
        })
}

/// The group that a new file has at this path, if nobody gives it another: that of the process, or that of its folder
/// where the folder says so (inode(7), S_ISGID).
pub fn own_group(path: &Path) -> u32 {
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    match folder.filter(|folder| folder.mode() & SETGID != 0) {
        Some(folder) => folder.gid(),
        None => rustix::process::getegid().as_raw(),
    }
}

/// A socket can be given to the groups that we are in (chown(2)). Root, and who has its capability, may give it to any.
fn may_give(path: &Path, group: &str) -> Result<(), String> {
    let id = group_id(group)?;
    let ours = rustix::process::getgroups().map_err(|error| format!("our groups cannot be had: {error}"))?;
    if may_chown() || id == own_group(path) || id == rustix::process::getegid().as_raw() {
        return Ok(());
    }
    match ours.iter().any(|one| one.as_raw() == id) {
        true => Ok(()),
        false => Err(format!("it cannot be given to the group {group}; {NO_MEMBER}")),
    }
}

fn may_chown() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|all| all.effective.contains(CapabilitySet::CHOWN))
}

/// A socket is made in a folder that exists; we make none, because its owner and mode decide who may connect.
fn socket_folder(socket: &Path) -> Result<(), String> {
    let folder = socket.parent().unwrap_or(Path::new("/"));
    match fs::metadata(folder) {
        Ok(facts) if facts.is_dir() => rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| format!("in {}: {error}; give the folder to the user of the service", folder.display())),
        Ok(_) => Err(format!("{} is no folder; name another path in socket", folder.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!(
            "there is no folder {0}; make it for the user of the service (install -d -o USER {0}), or name another path",
            folder.display()
        )),
        Err(error) => Err(format!("{}: {error}; let the user of the service into it", folder.display())),
    }
}

/// A socket that is left over is replaced, and anything else is somebody's.
fn nothing_in_the_way(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(facts) if !facts.file_type().is_socket() => {
            Err("something that is no socket is in the way; remove it or choose another path".into())
        }
        _ => Ok(()),
    }
}

/// Does its folder appear only when systemd starts the service?
fn waits_for_systemd(listener: &Listener) -> bool {
    let Socket::Unix { path, .. } = &listener.socket else { return false };
    path.parent() == Some(Path::new(RUNTIME_FOLDER)) && !Path::new(RUNTIME_FOLDER).exists()
}
