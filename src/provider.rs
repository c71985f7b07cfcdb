//! Provider profiles: which selector a service uses for which environment and region, as data in `conf/providers/`.

/// What a provider documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its short name, as in the settings.
    pub name: String,
}
