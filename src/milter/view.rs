//! What others may look at while the milter serves: its settings, its numbers, and whether it could do its work now.
//!
//! Looking costs the mail path nothing: keys are read and the resolver is asked by the one who looks, on its own time.

use super::state::Shared;
use crate::{
    config::{Domain, Mistakes, Settings},
    dns::{Outcome, RecordType},
    event::metrics::Metrics,
    key::{PrivateKey, Record},
    watch::Readiness,
};
use std::sync::{Arc, atomic::Ordering};

/// Up to so many domains every key is read in full, and with more only looked at: reading a hundred thousand takes a
/// core for half a minute.
const MOST_READ: usize = 1000;

/// A running milter, seen from beside the mail path; cheap to clone.
#[derive(Clone)]
pub struct View(Arc<Shared>);

impl View {
    pub(super) fn new(shared: Arc<Shared>) -> View {
        View(shared)
    }

    /// Looks at the settings in force.
    pub fn settings<T>(&self, look: impl FnOnce(&Settings) -> T) -> T {
        look(&self.0.active.load().settings)
    }

    /// The name of this host.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The numbers of the mail path.
    pub fn metrics(&self) -> &Metrics {
        self.0.journal.metrics()
    }

    /// Events that the store could not keep since the start.
    pub fn dropped(&self) -> u64 {
        self.0.journal.dropped()
    }

    /// How the published records of our keys stand, as far as that is known, in the order of the names.
    pub fn readiness(&self) -> Vec<Arc<Readiness>> {
        self.0.watch.readiness()
    }

    /// Connections of the MTA that are open.
    pub fn connections(&self) -> usize {
        self.0.open.count()
    }

    /// Would a connection of the MTA be served now? Else why not.
    pub fn listening(&self) -> Result<(), String> {
        if self.0.stopping.load(Ordering::Acquire) {
            return Err("the service is stopping".into());
        }
        match self.0.open.places().available_permits() {
            0 => Err("every connection that limits.connections allows is in use".into()),
            _ => Ok(()),
        }
    }

    /// Could all mail be signed with the keys as they lie there now? Blocks.
    pub fn keys(&self) -> Result<(), Mistakes> {
        let active = self.0.active.load_full();
        match active.settings.domains.len() > MOST_READ {
            true => active.settings.inspect_keys(),
            false => active.settings.check_keys(),
        }
    }

    /// Does the resolver answer? It is asked for a key record of our own, which it has to find, or for the root.
    pub async fn dns(&self) -> Result<(), String> {
        let active = self.0.active.load_full();
        let first = active.settings.domains.values().min_by_key(|domain| domain.line);
        let own = first.and_then(|domain| Record::dkim_name(&domain.keys.first()?.selector, &domain.name).ok());
        let mut why = String::new();
        for (name, kind) in [own.as_ref().map(|name| (name.as_str(), RecordType::Txt)), Some(("", RecordType::Ns))]
            .into_iter()
            .flatten()
        {
            match &active.probe.query(name, kind).await.outcome {
                Outcome::Fault(fault) => why = fault.to_string(),
                _ => return Ok(()),
            }
        }
        Err(why)
    }

    /// The keys of a domain, read if no mail needed them before. Blocks.
    pub fn keys_of(&self, domain: &Domain) -> Result<Vec<Arc<PrivateKey>>, String> {
        let active = self.0.active.load_full();
        active.keys.of(domain, &active.settings.key_directory).map_err(|mistake| mistake.to_string())
    }
}
