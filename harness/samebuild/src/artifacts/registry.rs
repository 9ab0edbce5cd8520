//! The registries of remote targets, as the artifact cache asks them: one name or one manifest at a time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use oci_client::Reference;
use samebuild_image::Digest;
use samebuild_store::artifacts::{ManifestId, Registry as Asked, Trouble};
use samebuild_store::engine::Call;
use samebuild_store::names::{ImageId, Name, Repository};

use crate::images::names;
use crate::images::registry::{self, Registry, RegistryError};
use crate::images::store::Store;
use crate::races::Spelling;

/// The registries of one run.
pub(super) struct Registries {
    pub(super) store: Store,
    pub(super) spelling: Rc<RefCell<Spelling>>,
    pub(super) told: fn(&str),
    /// By host.
    pub(super) open: RefCell<BTreeMap<String, Rc<Registry>>>,
}

impl Registries {
    fn of(&self, text: &str) -> Result<(Rc<Registry>, Reference), Trouble> {
        let reference = names::parse(text).map_err(Trouble)?;
        let host = reference.registry().to_owned();
        if let Some(open) = self.open.borrow().get(&host) {
            return Ok((Rc::clone(open), reference));
        }
        let open = Rc::new(Registry::of(&reference).map_err(trouble)?);
        self.open.borrow_mut().insert(host, Rc::clone(&open));
        Ok((open, reference))
    }

    fn named(&self, name: Name) -> Result<(Rc<Registry>, Reference), Trouble> {
        let text = self.spelling.borrow().spell_name(name);
        self.of(&text)
    }

    fn spelt(&self, manifest: ManifestId) -> String {
        self.spelling.borrow().spell_image(ImageId(manifest.0))
    }

    fn symbol(&self, digest: &Digest) -> ManifestId {
        ManifestId(self.spelling.borrow_mut().image(&digest.to_string()).0)
    }
}

impl Asked for Registries {
    fn digest(&self, name: Name) -> Call<'_, Result<Option<ManifestId>, Trouble>> {
        Box::pin(async move {
            let (registry, reference) = self.named(name)?;
            let digest = registry.digest(&reference).await.map_err(trouble)?;
            Ok(digest.map(|digest| self.symbol(&digest)))
        })
    }

    fn has(&self, repository: Repository, manifest: ManifestId) -> Call<'_, Result<bool, Trouble>> {
        Box::pin(async move {
            let repository = self.spelling.borrow().spell_repository(repository);
            let (registry, reference) = self.of(&format!("{repository}@{}", self.spelt(manifest)))?;
            Ok(registry.digest(&reference).await.map_err(trouble)?.is_some())
        })
    }

    fn tag(&self, manifest: ManifestId, name: Name) -> Call<'_, Result<bool, Trouble>> {
        Box::pin(async move {
            let (registry, reference) = self.named(name)?;
            registry.name(&reference, &self.spelt(manifest)).await.map_err(trouble)
        })
    }

    fn push(&self, id: ImageId, name: Name) -> Call<'_, Result<ManifestId, Trouble>> {
        Box::pin(async move {
            let (registry, reference) = self.named(name)?;
            let spelt = self.spelling.borrow().spell_image(id);
            let digest: Digest =
                spelt.parse().map_err(|error| Trouble(format!("push {reference}: {error}")))?;
            let held = self.store.holds(&digest).map_err(super::book::trouble)?;
            let Some(entry) = held else {
                return Err(Trouble(format!(
                    "push {reference}: {digest} is no longer in our store; try again"
                )));
            };
            (self.told)(&format!("pushing {reference}"));
            registry::push_with(&registry, self.store.root(), &entry, &reference, &self.told)
                .await
                .map_err(trouble)?;
            Ok(self.symbol(&digest))
        })
    }
}

fn trouble(error: RegistryError) -> Trouble {
    Trouble(error.to_string())
}
