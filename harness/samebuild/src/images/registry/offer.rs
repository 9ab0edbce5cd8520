//! What a name in a registry offers: the platforms of an index. No image is pulled.

use oci_client::Reference;
use samebuild_image::layout::Offer;
use samebuild_image::manifest::{Index, Platform};

use super::pull::{Pull, disk};
use super::retry::patiently;
use super::{Registry, RegistryError, runtime};
use crate::engines::Progress;
use crate::images::store::Store;

/// What the index of that name offers; nothing where the name is that of one image.
///
/// # Errors
/// As [`super::pull`].
pub fn offer(reference: &Reference, store: &Store, progress: Progress) -> Result<Offer, RegistryError> {
    let _adding = store.prepare().map_err(|error| disk(store, &error))?;
    let (registry, runtime) = (Registry::of(reference)?, runtime()?);
    let platform = Platform::linux_amd64();
    let pull = Pull { registry: &registry, reference, platform: &platform, store, progress };
    let (bytes, _) = runtime.block_on(patiently(progress, async || pull.raw_manifest(reference).await))?;
    let odd = |error: serde_json::Error| RegistryError::Odd {
        what: format!("the manifest of {reference}"),
        why: error.to_string(),
    };
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes).map_err(odd)?;
    let mut offer = Offer::default();
    if fields.contains_key("manifests") {
        offer.add(&serde_json::from_slice::<Index>(&bytes).map_err(odd)?);
    }
    Ok(offer)
}
