//! What the sender should have: its provider, environment and region, and its token. Causes that need a profile rest on it.

use crate::{
    cli::Mistake,
    provider::{DEFAULT_PROVIDER, Profiles},
};

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
    /// Do they name what exists?
    pub fn judge(&self) -> Result<(), Mistake> {
        if self.token.as_ref().is_some_and(|token| token.is_empty() || token.chars().any(char::is_control)) {
            return Err(Mistake::new("--token: a text without control characters is needed"));
        }
        if self.provider.is_none() && self.environment.is_none() {
            return Ok(());
        }
        let profiles = Profiles::built_in();
        let provider = self.provider.as_deref().unwrap_or(DEFAULT_PROVIDER);
        let profile = profiles.get(provider).map_err(|none| Mistake::new(none.to_string()))?;
        if let (Some(environment), Some(region)) = (&self.environment, &self.region) {
            profile.selector(environment, region).map_err(|none| Mistake::new(none.to_string()))?;
        }
        match (&self.token, profile.domain_token) {
            (Some(_), false) => Err(Mistake::new(format!("--token: {} asks for no token", profile.name))),
            _ => Ok(()),
        }
    }
}
