//! What the sender should have: its provider, environment and region, and its token. Causes that need a profile rest on it.

use crate::{
    cli::Mistake,
    diagnose,
    provider::{DEFAULT_PROVIDER, Profiles},
};
use std::sync::Arc;

/// The arguments.
#[derive(clap::Args)]
pub struct Expected {
    /// The provider that the sender should use [default with --environment: ncloud]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The sender's environment at the provider: private, financial or public
    #[arg(long, value_name = "ENV", requires = "region")]
    environment: Option<String>,
    /// The sender's region at the provider: kr, jp or sg
    #[arg(long, value_name = "REGION", requires = "environment")]
    region: Option<String>,
    /// The token that a TXT record of the sender's domain should hold
    #[arg(long, value_name = "TEXT")]
    token: Option<String>,
}

impl Expected {
    /// What they name, if it exists.
    pub fn read(&self) -> Result<diagnose::case::Expected, Mistake> {
        if self.token.as_ref().is_some_and(|token| token.is_empty() || token.chars().any(char::is_control)) {
            return Err(Mistake::new("--token: a text without control characters is needed"));
        }
        let profiles = Arc::new(Profiles::built_in());
        let mut expected = diagnose::case::Expected {
            token: self.token.clone(),
            known: Some(profiles.clone()),
            ..diagnose::case::Expected::default()
        };
        if self.provider.is_none() && self.environment.is_none() {
            return Ok(expected);
        }
        let provider = self.provider.as_deref().unwrap_or(DEFAULT_PROVIDER);
        let profile = profiles.get(provider).map_err(|none| Mistake::new(none.to_string()))?;
        if let (Some(environment), Some(region)) = (&self.environment, &self.region) {
            let place = profile.selector(environment, region).map_err(|none| Mistake::new(none.to_string()))?;
            expected.selector = Some(place.selector.clone());
        }
        if self.token.is_some() && !profile.domain_token {
            return Err(Mistake::new(format!("--token: {} asks for no token", profile.name)));
        }
        expected.profile = Some(profile.clone());
        Ok(expected)
    }
}
