//! The record while mail flows: digests as the body passes, and a thread that writes them.
//!
//! Nothing here waits for a disk or fails: without a folder, without room or behind a slow disk, messages are not recorded,
//! which is said once and once more when it is over.

use super::{
    Entry,
    digests::{Lines, LocalKey, Room},
    folder::{self, Writer},
};
use crate::{
    clock, config,
    dkim::Canon,
    message::{Field, Header},
    sign::{Plan, Signature},
};
use std::{
    fmt, io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Entries that wait for the disk: of mail as it mostly is a megabyte, and of the longest messages 32.
const WAITING: usize = 256;
/// How often old files are looked for while no mail is signed.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// How long an end waits for the last entries.
const CLOSING: Duration = Duration::from_secs(5);

/// An entry as octets, and when it was made.
type Waiting = (u64, Vec<u8>);

/// Records what is signed.
pub struct Recorder {
    settings: config::Signed,
    key: Option<LocalKey>,
    room: Room,
    queue: Mutex<Option<SyncSender<Waiting>>>,
    ended: Mutex<Option<Receiver<()>>>,
    losing: AtomicBool,
}

/// A message that is being recorded.
pub struct Recording {
    key: LocalKey,
    salt: [u8; 16],
    canonicalization: (Canon, Canon),
    lines: Lines,
}

impl Recorder {
    /// Starts the thread that writes. A folder that cannot be had is said in the log, and nothing is recorded until the
    /// next reload.
    pub fn start(settings: config::Signed) -> Recorder {
        let key = folder::key(&settings.path).map_err(|error| {
            tracing::error!("what is signed is not recorded: {}: {error}", settings.path.display());
        });
        let (queue, waiting) = sync_channel(WAITING);
        let (end, ended) = sync_channel(1);
        let limits = settings.clone();
        let started = thread::Builder::new().name("signed".into()).spawn(move || {
            write(&waiting, &limits);
            let _ = end.send(());
        });
        if let Err(error) = started {
            tracing::error!("what is signed is not recorded: no thread for it: {error}");
        }
        Recorder {
            settings,
            key: key.ok(),
            room: Room::default(),
            queue: Mutex::new(Some(queue)),
            ended: Mutex::new(Some(ended)),
            losing: AtomicBool::new(false),
        }
    }

    /// The settings that it was started with.
    pub fn settings(&self) -> &config::Signed {
        &self.settings
    }

    /// Begins to record a message, if it can be.
    pub fn begin(&self, canonicalization: (Canon, Canon)) -> Option<Recording> {
        Recording::begin(self.key.clone()?, canonicalization, self.room.clone()).ok()
    }

    /// Takes a recorded message, without waiting.
    pub fn keep(&self, entry: &Entry) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = queue.as_ref().is_some_and(|queue| queue.try_send((entry.time, entry.write())).is_ok());
        drop(queue);
        if taken == self.losing.load(Ordering::Relaxed) {
            self.losing.store(!taken, Ordering::Relaxed);
            match taken {
                true => tracing::info!("what is signed is recorded again"),
                false => tracing::warn!("messages are signed faster than they can be recorded; some are left out"),
            }
        }
    }

    /// Writes what waits, for some seconds at most; blocks.
    pub fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(RecvTimeoutError::Timeout)) = ended.map(|ended| ended.recv_timeout(CLOSING)) {
            tracing::warn!("the record of what was signed did not take its last messages in time");
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Recording {
    /// At the start of a body. Without random octets nothing is recorded.
    pub fn begin(key: LocalKey, canonicalization: (Canon, Canon), room: Room) -> io::Result<Recording> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("the system gave no random octets"))?;
        let lines = Lines::new(key.of_message(&salt), canonicalization.1, room);
        Ok(Recording { key, salt, canonicalization, lines })
    }

    /// Takes the next piece of the body.
    pub fn write(&mut self, piece: &[u8]) {
        self.lines.write(piece);
    }

    /// The message was signed: its entry. `now` is in seconds since 1970.
    pub fn finish(self, plan: &Plan, header: &Header, signatures: &[Signature], now: u64) -> Entry {
        let fields = plan.select(header).into_iter().filter_map(|(_, field)| field);
        self.entry(header, fields, signatures.iter().map(|signature| &signature.octets[..]), now)
    }

    /// The entry of a message of which these fields were signed, with these b= (decoded).
    pub(super) fn entry<'h>(
        self,
        header: &Header,
        fields: impl Iterator<Item = Field<'h>>,
        signatures: impl Iterator<Item = &'h [u8]>,
        now: u64,
    ) -> Entry {
        let key = self.key.of_message(&self.salt);
        let id = header.named("Message-ID").next().map(|field| self.key.of_message_id(field.value()));
        let (lines, complete) = self.lines.finish();
        Entry {
            ids: signatures.map(|signature| self.key.of_signature(signature)).chain(id).collect(),
            time: now,
            salt: self.salt,
            canonicalization: self.canonicalization,
            fields: fields.map(|field| key.field(self.canonicalization.0, field)).collect(),
            lines,
            complete,
        }
    }
}

/// Writes until the queue is closed.
fn write(queue: &Receiver<Waiting>, settings: &config::Signed) {
    let mut writer = Writer::new(&settings.path, settings.keep.as_secs(), settings.max_bytes);
    let mut failing = false;
    loop {
        let outcome = match queue.recv_timeout(TIDY_EVERY) {
            Ok((time, entry)) => writer.append(&entry, time),
            Err(RecvTimeoutError::Timeout) => writer.tidy(clock::unix_seconds(), 0),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match outcome {
            Err(error) if !failing => {
                tracing::error!("what is signed is not recorded: {}: {error}", settings.path.display());
                failing = true;
            }
            Ok(()) if failing => {
                tracing::info!("what is signed is recorded again");
                failing = false;
            }
            _ => {}
        }
    }
}
