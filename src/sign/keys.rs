//! The private keys in use: each one is read when mail first needs it, and kept until the next reload.

use crate::{
    config::{Domain, KeyRef},
    key::{KeyMistake, PrivateKey},
};
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

/// Keys read so far. A key that cannot be read is tried again with the next message: mending the file is enough.
#[derive(Debug, Default)]
pub struct Keys {
    read: RwLock<HashMap<KeyRef, Arc<PrivateKey>>>,
}

impl Keys {
    /// The keys of a domain in the order of [`Domain::keys`], reading those that were not needed before; none may lead out
    /// of `key_directory`.
    pub fn of(&self, domain: &Domain, key_directory: &Path) -> Result<Vec<Arc<PrivateKey>>, KeyMistake> {
        let mut keys = Vec::with_capacity(domain.keys.len());
        for reference in &domain.keys {
            let known = self.read.read().unwrap_or_else(PoisonError::into_inner).get(reference).cloned();
            keys.push(match known {
                Some(key) => key,
                None => {
                    let key = Arc::new(PrivateKey::load(
                        &reference.path,
                        key_directory,
                        reference.algorithm,
                        reference.required_bits,
                    )?);
                    self.read.write().unwrap_or_else(PoisonError::into_inner).insert(reference.clone(), key.clone());
                    key
                }
            });
        }
        Ok(keys)
    }

    /// The same keys, for settings that differ in others.
    pub fn kept(&self) -> Keys {
        Keys { read: RwLock::new(self.read.read().unwrap_or_else(PoisonError::into_inner).clone()) }
    }

    /// The keys read so far, for a reload that wants to know whether they can still be read.
    pub fn in_use(&self) -> Vec<KeyRef> {
        self.read.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
