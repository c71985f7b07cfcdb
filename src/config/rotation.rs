//! `[rotation]`, and what came of it: which selector signs for a domain while its key changes.
//!
//! A rotation is a file of a folder that the service may write to, since it may not write to the settings: it says from
//! which selector to which, and how far that is. `waxseal keygen --rotate` writes it, the watch carries it on, and every
//! program that reads the settings reads it with them, so that all sign alike. The settings stay as the operator wrote
//! them; once they name another selector than that the rotation began with, they alone count again.

use super::{
    Domain, KeyRef, Mistake, Mistakes, Settings, key_file_name, kind,
    reader::{Reader, Section},
};
use crate::{
    dkim::KeyType,
    key::{Inspector, Record},
    name::DomainName,
};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write},
    ops::RangeInclusive,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Where rotations are kept unless the settings say otherwise: in the folder that the systemd unit makes.
const DEFAULT_PATH: &str = "/var/lib/waxseal/rotations";

/// Longer, and whoever waits for it has forgotten it.
const SETTLE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

/// A queue gives up after five days; what is kept for a year is kept by mistake.
const KEEP_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(365 * 86_400);

const SCHEMA: &str = "waxseal.rotation/1";

/// How keys are rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The folder of the rotations.
    pub path: PathBuf,
    /// For how long a new record must have been seen everywhere before its key signs.
    pub settle: Duration,
    /// For how long the old record stays.
    pub keep: Duration,
}

/// One change of a key. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotating {
    /// d=.
    pub domain: DomainName,
    /// The type of both keys.
    pub algorithm: KeyType,
    /// The selector that signed.
    pub from: DomainName,
    /// The selector that is to sign.
    pub to: DomainName,
    /// When it was staged.
    pub staged: u64,
    /// Does it wait for a command, even where the record is seen everywhere?
    pub hold: bool,
    /// Since when `to` signs.
    pub switched: Option<u64>,
    /// Have the settings named another selector than `from` since? Then they alone count.
    pub settled: bool,
    /// When the note was written that the old record can go.
    pub told: Option<u64>,
}

/// How a rotation stands in its file.
#[derive(Serialize, Deserialize)]
struct Written {
    schema: String,
    domain: String,
    algorithm: String,
    from: String,
    to: String,
    staged: String,
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    switched: Option<String>,
    #[serde(default)]
    settled: bool,
    #[serde(default)]
    told: Option<String>,
}

impl Default for Rotation {
    /// An hour outlasts the negative answers of most zones, and servers behind one address that copy from one another.
    /// Two weeks outlast every queue, and receivers that verify late.
    fn default() -> Rotation {
        Rotation {
            path: DEFAULT_PATH.into(),
            settle: Duration::from_secs(3600),
            keep: Duration::from_secs(14 * 86_400),
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Rotation {
    let defaults = Rotation::default();
    let mut section = root.table_or_empty(reader, "rotation");
    let path = section.path(reader, "path", defaults.path);
    let settle = section.value(reader, "settle", &kind::DURATION, defaults.settle);
    reader.within(&section, "settle", settle, SETTLE_RANGE);
    let keep = section.value(reader, "keep", &kind::DURATION, defaults.keep);
    reader.within(&section, "keep", keep, KEEP_RANGE);
    section.finish(reader);
    Rotation { path, settle, keep }
}

impl Rotating {
    /// Every rotation of a folder; none where there is no folder.
    pub fn read_all(folder: &Path) -> Result<Vec<Rotating>, Mistakes> {
        let mistake = |file: &Path, what: String| Mistake { file: file.to_owned(), line: None, what };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let what = format!(
                    "the rotations of keys cannot be read: {error}; give the folder to the user of the service"
                );
                return Err(mistake(folder, what).into());
            }
        };
        let (mut found, mut mistakes) = (Vec::new(), Vec::new());
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_rotation(path)) {
            match read_file(&path) {
                Ok(rotating) => found.extend(rotating),
                Err(what) => mistakes.push(mistake(&path, format!("{what}; mend it, or remove it and stage anew"))),
            }
        }
        Mistakes::none_or(mistakes)?;
        found.sort_by(|one, other| (&one.domain, &one.from).cmp(&(&other.domain, &other.from)));
        Ok(found)
    }

    /// Changes the rotation of a domain that begins at this selector, while nobody else changes one: what `change` leaves
    /// is written down whole, or removed.
    pub fn update<T>(
        folder: &Path,
        domain: &DomainName,
        from: &DomainName,
        change: impl FnOnce(&mut Option<Rotating>) -> T,
    ) -> Result<T, String> {
        let path = folder.join(format!("{domain}.{from}.json"));
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let lock = File::open(folder).map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let before = read_file(&path).map_err(|what| format!("{}: {what}", path.display()))?;
        let mut after = before.clone();
        let told = change(&mut after);
        match &after {
            _ if after == before => {}
            Some(rotating) => rotating.write(folder, &path).map_err(failed)?,
            None => fs::remove_file(&path).and_then(|()| lock.sync_all()).map_err(failed)?,
        }
        Ok(told)
    }

    /// Makes the folder where there is none, and sees whether it can be written to. Root gives it to the owner of the
    /// folder around it, as it does with keys.
    pub fn prepare(folder: &Path) -> Result<(), String> {
        let make = || -> io::Result<()> {
            if !folder.is_dir() {
                DirBuilder::new().mode(0o750).create(folder)?;
                fs::set_permissions(folder, Permissions::from_mode(0o750))?;
                let around = fs::metadata(folder.join(".."))?;
                if rustix::process::geteuid().is_root() {
                    std::os::unix::fs::chown(folder, Some(around.uid()), Some(around.gid()))?;
                }
            }
            tempfile::tempfile_in(folder).map(|_| ())
        };
        make().map_err(|error| format!("rotations cannot be kept in {}: {error}", folder.display()))
    }

    fn write(&self, folder: &Path, path: &Path) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".rotation").tempfile_in(folder)?;
        file.as_file().set_permissions(Permissions::from_mode(0o640))?;
        let text = serde_json::to_string_pretty(&Written::from(self))?;
        writeln!(file, "{text}")?;
        if rustix::process::geteuid().is_root() {
            let owner = fs::metadata(folder)?;
            fchown(file.as_file(), Some(owner.uid()), Some(owner.gid()))?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(folder)?.sync_all()
    }

    /// The key that it leads to, in the key directory.
    pub fn next_key(&self, key_directory: &Path) -> KeyRef {
        KeyRef {
            selector: self.to.clone(),
            path: key_directory.join(key_file_name(&self.domain, &self.to)),
            algorithm: self.algorithm,
            required_bits: None,
        }
    }

    /// Where the old record stands.
    pub fn old_name(&self) -> String {
        record_name(&self.from, &self.domain)
    }

    /// Where the new record stands.
    pub fn new_name(&self) -> String {
        record_name(&self.to, &self.domain)
    }

    /// Until when the old record has to stay, once the new key signs.
    pub fn kept_until(&self, keep: Duration) -> Option<u64> {
        self.switched.map(|switched| switched.saturating_add(keep.as_secs()))
    }

    /// How far it is, in one clause after the name of the domain.
    pub fn state(&self, keep: Duration) -> String {
        let (from, to) = (&self.from, &self.to);
        let Some(switched) = self.switched else {
            let then = match self.hold {
                true => format!("`waxseal keygen --rotate {} --switch` switches to it", self.domain),
                false => "signs once its record is seen everywhere".to_owned(),
            };
            return format!("rotates from {from} to {to}: staged {}, {then}", day(self.staged));
        };
        let name = match self.settled {
            true => String::new(),
            false => format!(" (name {to} in the settings in place of {from})"),
        };
        let old = match (self.told, self.kept_until(keep)) {
            (Some(_), _) => format!("remove the record at {} if it is still there", self.old_name()),
            (None, until) => {
                format!("leave the record at {} until {}", self.old_name(), day(until.unwrap_or(switched)))
            }
        };
        format!("rotated from {from} to {to}, which signs since {}{name}; {old}", day(switched))
    }
}

impl Settings {
    /// Puts these rotations in force in place of those before: where a new key signs already, it takes the place of that
    /// of the settings.
    pub fn rotate(&mut self, rotations: Vec<Rotating>) {
        for (name, domain) in self.configured.drain() {
            self.domains.insert(name, domain);
        }
        self.rotations = rotations;
        let names: BTreeSet<&DomainName> = self.rotations.iter().map(|rotating| &rotating.domain).collect();
        for name in names {
            let Some(configured) = self.domains.get(name) else { continue };
            let mut domain = Domain::clone(configured);
            for key in &mut domain.keys {
                if let Some(last) = chain(&self.rotations, name, key).last() {
                    *key = last.next_key(&self.key_directory);
                }
            }
            if domain.keys == configured.keys {
                continue;
            }
            if domain.keys.first() != configured.keys.first() {
                // The selector is no longer the one that the provider gave out.
                domain.provider = None;
            }
            if let Some(configured) = self.domains.insert(name.clone(), Arc::new(domain)) {
                self.configured.insert(name.clone(), configured);
            }
        }
    }

    /// Do the settings name another selector than the one that a rotation began with?
    pub fn is_past(&self, rotating: &Rotating) -> bool {
        let entry = self.configured.get(&rotating.domain).or_else(|| self.domains.get(&rotating.domain));
        let key = entry.and_then(|entry| entry.keys.iter().find(|key| key.algorithm == rotating.algorithm));
        key.is_some_and(|key| {
            let on_the_way = chain(&self.rotations, &rotating.domain, key);
            key.selector != rotating.from && !on_the_way.iter().any(|other| other.from == rotating.from)
        })
    }

    /// The rotations of a domain.
    pub fn rotations_of<'a>(&'a self, domain: &'a DomainName) -> impl Iterator<Item = &'a Rotating> {
        self.rotations.iter().filter(move |rotating| rotating.domain == *domain)
    }

    /// What of the rotations will not go on by itself.
    pub(super) fn rotation_doubts(&self) -> Vec<Mistake> {
        let mut inspector = Inspector::new(&self.key_directory);
        let mut doubts = Vec::new();
        for rotating in self.rotations.iter().filter(|rotating| rotating.switched.is_none()) {
            let Some(domain) = self.domains.get(&rotating.domain) else {
                let what = format!("{} rotates to {} and is not in the settings", rotating.domain, rotating.to);
                doubts.push(self.mistake(None, what));
                continue;
            };
            let why = match inspector.inspect(&rotating.next_key(&self.key_directory).path) {
                Err(mistake) => mistake.to_string(),
                Ok(_) if !self.watch && !rotating.hold => {
                    "watch.enabled = false, so that nobody looks whether its record is there".to_owned()
                }
                Ok(_) => continue,
            };
            let what = format!("{} cannot switch to {} by itself: {why}", rotating.domain, rotating.to);
            doubts.push(self.mistake(Some(domain.line), what));
        }
        doubts
    }
}

/// The rotations that lead from a key of the settings to the one that signs, in their order.
fn chain<'r>(rotations: &'r [Rotating], domain: &DomainName, key: &KeyRef) -> Vec<&'r Rotating> {
    let (mut chain, mut selector): (Vec<&Rotating>, _) = (Vec::new(), &key.selector);
    let leads_on = |rotating: &&Rotating, selector: &DomainName| {
        rotating.domain == *domain
            && rotating.algorithm == key.algorithm
            && rotating.from == *selector
            && rotating.switched.is_some()
            && !rotating.settled
    };
    while chain.len() < rotations.len()
        && let Some(next) = rotations.iter().find(|rotating| leads_on(rotating, selector))
    {
        chain.push(next);
        selector = &next.to;
    }
    chain
}

fn record_name(selector: &DomainName, domain: &DomainName) -> String {
    Record::dkim_name(selector, domain).map_or_else(|_| format!("{selector} of {domain}"), |name| name.to_string())
}

fn is_rotation(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "json")
}

/// A rotation from its file; `None` where there is none (any more).
fn read_file(path: &Path) -> Result<Option<Rotating>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the rotation of a key cannot be read: {error}")),
    };
    let written: Written =
        serde_json::from_str(&text).map_err(|error| format!("is not the rotation of a key: {error}"))?;
    Rotating::try_from(written).map(Some).map_err(|why| format!("is not the rotation of a key: {why}"))
}

impl From<&Rotating> for Written {
    fn from(rotating: &Rotating) -> Written {
        Written {
            schema: SCHEMA.into(),
            domain: rotating.domain.to_string(),
            algorithm: rotating.algorithm.as_str().into(),
            from: rotating.from.to_string(),
            to: rotating.to.to_string(),
            staged: moment(rotating.staged),
            hold: rotating.hold,
            switched: rotating.switched.map(moment),
            settled: rotating.settled,
            told: rotating.told.map(moment),
        }
    }
}

impl TryFrom<Written> for Rotating {
    type Error = String;

    fn try_from(written: Written) -> Result<Rotating, String> {
        let name = |text: &str| DomainName::new(text).map_err(|error| format!("{text:?} is not a name: {error}"));
        let time = |text: &String| -> Result<u64, String> {
            let at: Timestamp = text.parse().map_err(|error| format!("{text:?} is not a time: {error}"))?;
            u64::try_from(at.as_second()).map_err(|_| format!("{text:?} is before 1970"))
        };
        if written.schema != SCHEMA {
            return Err(format!("its schema is {:?}, and {SCHEMA:?} is known", written.schema));
        }
        let algorithm = [KeyType::Rsa, KeyType::Ed25519].into_iter().find(|kind| kind.as_str() == written.algorithm);
        Ok(Rotating {
            domain: name(&written.domain)?,
            algorithm: algorithm.ok_or_else(|| format!("there are no keys of type {:?}", written.algorithm))?,
            from: name(&written.from)?,
            to: name(&written.to)?,
            staged: time(&written.staged)?,
            hold: written.hold,
            switched: written.switched.as_ref().map(time).transpose()?,
            settled: written.settled,
            told: written.told.as_ref().map(time).transpose()?,
        })
    }
}

fn moment(seconds: u64) -> String {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_default().to_string()
}

/// The day of a time, in UTC.
fn day(seconds: u64) -> String {
    moment(seconds).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::new(text).expect("a name")
    }

    fn rotating(from: &str, to: &str, switched: Option<u64>) -> Rotating {
        Rotating {
            domain: name("example.com"),
            algorithm: KeyType::Rsa,
            from: name(from),
            to: name(to),
            staged: 1_790_000_000,
            hold: false,
            switched,
            settled: false,
            told: None,
        }
    }

    fn settings(selector: &str) -> Settings {
        let text = format!(
            "[domains.\"example.com\"]\nselector = {selector:?}\nkey = \"keys/own.pem\"\ned25519 = {{ selector = \"ed\" }}\n"
        );
        Settings::parse(&text, Path::new("/etc/waxseal/waxseal.toml")).expect("settings")
    }

    fn signs(settings: &Settings) -> Vec<String> {
        let keys = &settings.domains[&name("example.com")].keys;
        keys.iter().map(|key| format!("{} {}", key.selector, key.path.display())).collect()
    }

    #[test]
    fn what_has_switched_takes_the_place_of_the_settings_until_they_name_another_selector() {
        let mut settings = settings("a");
        let before = settings.clone();
        settings.rotate(vec![rotating("a", "b", None)]);
        assert_eq!(settings.domains, before.domains, "staged is not switched");

        let steps = vec![rotating("a", "b", Some(1)), rotating("b", "c", Some(2)), rotating("c", "d", None)];
        settings.rotate(steps.clone());
        let ed = "ed /etc/waxseal/keys/example.com.ed.pem".to_owned();
        assert_eq!(signs(&settings), ["c /etc/waxseal/keys/example.com.c.pem".to_owned(), ed]);
        assert!(!steps.iter().any(|step| settings.is_past(step) && step.switched.is_some()));

        let mut later = self::settings("b");
        later.rotate(steps.clone());
        assert_eq!(signs(&later)[0], "c /etc/waxseal/keys/example.com.c.pem");
        assert!(later.is_past(&steps[0]) && !later.is_past(&steps[1]));

        // What has settled leads nowhere, even where the settings go back.
        let settled: Vec<_> = steps.iter().cloned().map(|step| Rotating { settled: true, ..step }).collect();
        settings.rotate(settled);
        assert_eq!(settings.domains, before.domains);

        // A circle, which nothing of ours writes, ends too.
        settings.rotate(vec![rotating("a", "b", Some(1)), rotating("b", "a", Some(2))]);
        settings.rotate(Vec::new());
        assert_eq!(Settings { configured: before.configured.clone(), ..settings }, before);
    }

    #[test]
    fn a_rotation_is_written_whole_read_again_and_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rotations");
        assert_eq!(Rotating::read_all(&path), Ok(Vec::new()));
        Rotating::prepare(&path).expect("made");
        let staged = rotating("a", "b", None);
        let write = |change: &dyn Fn(&mut Option<Rotating>)| {
            Rotating::update(&path, &staged.domain, &staged.from, |file| change(file)).expect("written");
        };
        write(&|file| *file = Some(staged.clone()));
        write(&|file| file.as_mut().expect("it is there").switched = Some(1_790_000_100));
        let read = Rotating::read_all(&path).expect("good files");
        assert_eq!(read, [Rotating { switched: Some(1_790_000_100), ..staged.clone() }]);
        let file = path.join("example.com.a.json");
        assert_eq!(fs::metadata(&file).expect("it is there").mode() & 0o777, 0o640);

        fs::write(&file, fs::read_to_string(&file).expect("text").replace("\"rsa\"", "\"dsa\"")).expect("written");
        let said = Rotating::read_all(&path).expect_err("a mistake").to_string();
        assert!(said.contains("example.com.a.json") && said.contains("\"dsa\""), "{said}");
        fs::write(&file, "").expect("written");
        assert!(
            Rotating::update(&path, &staged.domain, &staged.from, |_| ()).is_err(),
            "nothing unread is overwritten"
        );
        fs::remove_file(&file).expect("removed");
        write(&|file| *file = Some(staged.clone()));
        write(&|file| *file = None);
        assert_eq!(Rotating::read_all(&path), Ok(Vec::new()));
    }
}
