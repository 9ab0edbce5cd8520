//! What digests the base images of a Dockerfile stand for now. All that it names count, those of stages that are not built
//! too: a build more than needed is cheaper than an old base (GoogleContainerTools/skaffold#5063).
//!
//! A name that is kept here, or says its digest, is asked of nobody; another's registry is asked for its digest, once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use samebuild_image::Digest;

use crate::bases::Policy;
use crate::images::store::Store;
use crate::images::{names, registry};

/// Begins what stands for an image that is required and perhaps not there yet; no image can be called so.
pub(super) const REQUIRED: &str = "REQUIRED:";

/// Digests of bases, each asked for once.
pub(super) struct Bases {
    store: Store,
    /// Of the bases of our own cases.
    own: BTreeMap<String, Digest>,
    known: Mutex<BTreeMap<String, Result<String, String>>>,
}

impl Bases {
    pub(super) fn new(store: Store) -> Self {
        let own = Policy::compiled_in().map(|policy| {
            let all = policy.names().filter_map(|id| policy.base(id).ok());
            all.map(|base| (names::whole(&base.image), base.known.manifest)).collect()
        });
        Self { store, own: own.unwrap_or_default(), known: Mutex::default() }
    }

    /// What `name` stands for now.
    ///
    /// # Errors
    /// Nobody knows.
    pub(super) fn digest(&self, name: &str) -> Result<String, String> {
        let whole = names::whole(name);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&whole) {
            return known.clone();
        }
        let found = self.find(name, &whole);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(whole).or_insert(found).clone()
    }

    fn find(&self, name: &str, whole: &str) -> Result<String, String> {
        let kept = self.store.named(name).map_err(|error| format!("{error:#}"))?;
        if !kept.is_empty() {
            // One for each platform: which of them is taken is the platform's affair, which is in the key.
            let mut digests: Vec<String> = kept.iter().map(|entry| entry.digest.to_string()).collect();
            digests.sort();
            return Ok(digests.join(","));
        }
        if let Some(digest) = self.own.get(whole) {
            return Ok(format!("ours {digest}"));
        }
        let reference = names::parse(name)?;
        if let Some(digest) = reference.digest() {
            return Ok(digest.to_owned());
        }
        match registry::digest(&reference) {
            Ok(Some(digest)) => Ok(digest.to_string()),
            Ok(None) => Err(format!("find the base image {name}: {} has none", reference.registry())),
            Err(error) => Err(error.to_string()),
        }
    }
}
