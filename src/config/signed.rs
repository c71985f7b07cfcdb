//! `[signed]` and `diagnostics`: what is kept of the mail that we sign, so that a copy that comes back shows what changed.

use super::{
    kind,
    reader::{Reader, Section},
};
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

/// Where it is kept unless the settings say otherwise: in the folder that the systemd unit makes (StateDirectory=waxseal).
pub const DEFAULT_PATH: &str = "/var/lib/waxseal/signed";

/// A copy takes an hour to come back; after a month nobody asks any more.
const KEEP_RANGE: RangeInclusive<Duration> = Duration::from_secs(3600)..=Duration::from_secs(31 * 86_400);

/// Less would not hold an hour of mail, in octets.
const LEAST_BYTES: u64 = 1024 * 1024;

/// What a signature leaves behind for those who look into changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// Copies of the signed fields in the signature itself (z=, RFC 6376 §3.5).
    pub copies: bool,
    /// Digests of fields and lines in a record of this host ([`Signed`]).
    pub record: bool,
}

/// Where digests of signed mail are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// A folder of ours alone.
    pub path: PathBuf,
    /// How long.
    pub keep: Duration,
    /// The size beyond which the oldest go, in octets.
    pub max_bytes: u64,
}

pub(super) const DIAGNOSTIC_WORDS: &[(&str, Diagnostics)] = &[
    ("none", Diagnostics { copies: false, record: false }),
    ("copies", Diagnostics { copies: true, record: false }),
    ("record", Diagnostics { copies: false, record: true }),
    ("both", Diagnostics { copies: true, record: true }),
];

impl Default for Signed {
    /// Bounces, copies from lists and reports of failures come back within two days or never. A message of a hundred lines
    /// takes about two kilobytes, so 64 MiB hold some thirty thousand.
    fn default() -> Signed {
        Signed { path: DEFAULT_PATH.into(), keep: Duration::from_secs(48 * 3600), max_bytes: 64 * 1024 * 1024 }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Signed {
    let defaults = Signed::default();
    let mut section = root.table_or_empty(reader, "signed");
    let path = section.path(reader, "path", defaults.path);
    let keep = section.value(reader, "keep", &kind::DURATION, defaults.keep);
    reader.within(&section, "keep", keep, KEEP_RANGE);
    let most = usize::try_from(defaults.max_bytes).unwrap_or(usize::MAX);
    let max_bytes = section.value(reader, "max_bytes", &kind::NUMBER, most) as u64;
    if max_bytes < LEAST_BYTES {
        let why = format!("signed.max_bytes: {max_bytes} would forget mail of the same hour; at least {LEAST_BYTES}");
        reader.mistake(section.span_of("max_bytes"), why);
    }
    section.finish(reader);
    Signed { path, keep, max_bytes }
}
