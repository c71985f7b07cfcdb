//! The settings: every text gives settings, or mistakes that name the file and are fit to be shown.

use std::path::Path;
use waxseal::config::Settings;

/// Reads the input as settings.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Settings::parse(&text, Path::new("/nowhere/waxseal.toml")) {
        Ok(settings) => {
            settings.doubts();
            for (name, domain) in &settings.domains {
                assert!(settings.domain_for(name).is_some_and(|found| found.name == domain.name));
            }
        }
        Err(mistakes) => {
            assert!(mistakes.iter().count() > 0);
            let lines = text.lines().count().max(1);
            for mistake in mistakes.iter() {
                assert!(!mistake.what.is_empty() && mistake.line.is_none_or(|line| (1..=lines + 1).contains(&line)));
            }
        }
    }
}
