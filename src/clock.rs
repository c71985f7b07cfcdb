//! The wall clock, read in one place: everything else is handed the time.

use std::time::SystemTime;

/// Seconds since 1970; zero on a clock before that.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// RFC 3339 in UTC with milliseconds, as lines of the log and events say it.
pub fn timestamp() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
