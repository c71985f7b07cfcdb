//! A provider's profile: every text gives a profile, or a mistake.

use std::path::Path;
use waxseal::provider::Profile;

/// Reads the input as a profile.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Profile::read(&text, Path::new("provider.toml")) {
        Ok(profile) => {
            profile.listed_places();
            for (environment, region, selector) in profile.places() {
                let found = profile.selector(environment, region).expect("a place that is listed is found");
                assert_eq!(found.selector, selector.selector, "{environment} {region}");
            }
        }
        Err(mistake) => assert!(mistake.to_string().starts_with("provider.toml")),
    }
}
