//! Times as people write and read them, in local time or UTC.

use super::Mistake;
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// The time zone of people.
#[derive(Clone)]
pub struct Clock {
    zone: TimeZone,
    is_utc: bool,
    now: Timestamp,
}

impl Clock {
    /// Local time, or UTC.
    pub fn new(utc: bool) -> Clock {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        Clock { zone, is_utc: utc, now: Timestamp::now() }
    }

    /// Reads `--since`: milliseconds since 1970.
    pub fn read(&self, text: &str) -> Result<i64, Mistake> {
        let midnight = |date: Date| date.to_zoned(self.zone.clone()).map(|zoned| zoned.timestamp()).ok();
        let today = self.now.to_zoned(self.zone.clone()).date();
        let time = match text {
            "now" => Some(self.now),
            "today" => midnight(today),
            "yesterday" => today.yesterday().ok().and_then(midnight),
            _ => ago(text)
                .and_then(|seconds| self.now.checked_sub(seconds.seconds()).ok())
                .or_else(|| text.parse::<Timestamp>().ok())
                // A date without a time is its midnight.
                .or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(self.zone.clone()).ok()?.timestamp())),
        };
        time.map(Timestamp::as_millisecond).ok_or_else(|| {
            Mistake::new(format!(
                "--since {text:?} is no time; write 2026-11-23T04:00:00Z, 2026-11-23, today, yesterday, 30m, 2h or 3d"
            ))
        })
    }

    /// The start of a day so many days ago, in milliseconds since 1970.
    pub fn midnight(&self, days_ago: i32) -> i64 {
        let date = self.now.to_zoned(self.zone.clone()).date();
        let date = date.checked_sub(days_ago.days()).unwrap_or(date);
        date.to_zoned(self.zone.clone()).map_or(0, |zoned| zoned.timestamp().as_millisecond())
    }

    /// Now, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// The full hours or days of people from before a time until after now, in milliseconds since 1970.
    pub fn marks(&self, since: i64, width: i64) -> Vec<i64> {
        let time = Timestamp::from_millisecond(since).unwrap_or(self.now);
        // Local days may have 23 or 25 hours; the offset of now is near enough for a chart.
        let ahead = i64::from(self.zone.to_offset(self.now).seconds()) * 1000;
        let first = time.as_millisecond() - (time.as_millisecond() + ahead).rem_euclid(width);
        let most = (self.now() - first).div_euclid(width) + 1;
        (0..=most.max(1)).map(|number| first + number * width).collect()
    }

    /// Date and time to the second, `Z` behind it in UTC.
    pub fn show(&self, millis: i64) -> String {
        self.form(millis, if self.is_utc { "%Y-%m-%d %H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%S" })
    }

    /// Date and time in a form of its own.
    pub fn form(&self, millis: i64, form: &str) -> String {
        let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        time.to_zoned(self.zone.clone()).strftime(form).to_string()
    }

    /// What the times are called.
    pub fn name(&self) -> &'static str {
        if self.is_utc { "UTC" } else { "local time" }
    }
}

/// `2h` in seconds.
fn ago(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(|c: char| c.is_ascii_alphabetic())?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(9));
        // 00:30 of the 24th in Seoul is still the 23rd in UTC.
        let now: Timestamp = "2026-11-23T15:30:00Z".parse().expect("a time");
        let clock = Clock { zone, is_utc: false, now };
        for (text, want) in [
            ("2026-11-23T04:00:00Z", Some("2026-11-23T04:00:00Z")),
            ("2026-11-23T04:00:00+09:00", Some("2026-11-22T19:00:00Z")),
            ("today", Some("2026-11-23T15:00:00Z")),
            ("yesterday", Some("2026-11-22T15:00:00Z")),
            ("30m", Some("2026-11-23T15:00:00Z")),
            ("2h", Some("2026-11-23T13:30:00Z")),
            ("3d", Some("2026-11-20T15:30:00Z")),
            ("2026-11-23", Some("2026-11-22T15:00:00Z")),
            ("2026-11-23 12:00", Some("2026-11-23T03:00:00Z")),
            ("2", None),
            ("h", None),
            ("-2h", None),
            ("2 h", None),
            ("99999999999999999999d", None),
            ("999999999999999d", None),
            ("", None),
            ("noon", None),
        ] {
            let want = want.map(|want| want.parse::<Timestamp>().expect("a time").as_millisecond());
            assert_eq!(clock.read(text).ok(), want, "{text}");
        }
        assert_eq!(clock.show(now.as_millisecond()), "2026-11-24 00:30:00");
        assert_eq!(clock.midnight(1), clock.read("yesterday").expect("a time"));
    }
}
