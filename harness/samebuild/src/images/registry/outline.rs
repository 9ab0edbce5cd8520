//! What an image in a registry is made of: the manifest and the configuration, and no layer. A layer is fetched into the
//! store when somebody reads it.

use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::Arc;

use oci_client::{Reference, RegistryOperation};
use samebuild_image::manifest::{Descriptor, Platform, Role};
use samebuild_image::{Digest, Image, Layer, Source};
use tokio::runtime::Runtime;

use super::pull::{Pull, disk};
use super::retry::patiently;
use super::{Registry, RegistryError, runtime};
use crate::engines::Progress;
use crate::images::store::Store;

/// The image without its layers' entries.
///
/// # Errors
/// As [`super::pull`].
pub fn outline(
    reference: &Reference,
    platform: &Platform,
    store: &Store,
    progress: Progress,
) -> Result<Image, RegistryError> {
    let _adding = store.prepare().map_err(|error| disk(store, &error))?;
    let (registry, runtime) = (Registry::of(reference)?, runtime()?);
    let pull = Pull { registry: &registry, reference, platform, store, progress };
    let manifest = runtime.block_on(async {
        let manifest = pull.stored(&pull.manifest().await?)?;
        pull.parts_of(&manifest, |part| part == &manifest.config).await?;
        Ok::<_, RegistryError>(manifest)
    })?;
    let what = || format!("the configuration of {reference}");
    let path = store.blob(&manifest.config.digest);
    let config = std::fs::read(&path).map_err(|error| disk(store, &error))?;
    if Digest::of(&config) != manifest.config.digest {
        // Damaged since it was kept: whoever asks again has it fetched.
        let _ = std::fs::remove_file(&path);
        return Err(RegistryError::WrongDigest { what: what(), want: manifest.config.digest.to_string() });
    }
    let odd = |why: String| RegistryError::Odd { what: what(), why };
    let config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&config).map_err(|error| odd(error.to_string()))?;
    let ids = config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")).cloned();
    let ids = ids.unwrap_or_else(|| serde_json::Value::Array(Vec::new()));
    let ids: Vec<Digest> = serde_json::from_value(ids).map_err(|error| odd(error.to_string()))?;
    if ids.len() != manifest.layers.len() {
        return Err(odd("it does not have as many diff ids as there are layers".to_owned()));
    }
    let from =
        Arc::new(From { registry, runtime, reference: reference.clone(), store: Store::at(store.root()) });
    let layers = manifest.layers.iter().zip(ids).map(|(part, id)| {
        let Some(Role::Layer(compression)) = Role::of(&part.media_type) else {
            return Err(odd(format!("`{}` is no layer", part.media_type)));
        };
        let source = Later { from: Arc::clone(&from), part: part.clone() };
        let blob: Option<(Arc<dyn Source>, _)> = Some((Arc::new(source), compression));
        Ok(Layer { diff_id: Some(id), blob, ..Layer::default() })
    });
    Ok(Image { layers: layers.collect::<Result<_, _>>()?, config, annotations: manifest.annotations.clone() })
}

/// Where layers are fetched from, and where to.
struct From {
    registry: Registry,
    runtime: Runtime,
    reference: Reference,
    store: Store,
}

/// A layer that is fetched when it is read.
struct Later {
    from: Arc<From>,
    part: Descriptor,
}

impl Later {
    fn fetch(&self) -> Result<(), RegistryError> {
        let From { registry, runtime, reference, store } = &*self.from;
        let platform = Platform::linux_amd64();
        let pull = Pull { registry, reference, platform: &platform, store, progress: &|_| {} };
        runtime.block_on(patiently(&|_| {}, async || {
            registry.log_in(reference, RegistryOperation::Pull).await?;
            registry.client.store_auth_if_needed(reference.resolve_registry(), &registry.auth).await;
            pull.blob(self.name(), &self.part).await
        }))
    }
}

impl Source for Later {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let path = self.from.store.blob(&self.part.digest);
        if std::fs::metadata(&path).map_or(true, |stat| stat.len() != self.part.size) {
            self.fetch().map_err(io::Error::other)?;
        }
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file.take(len)))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.part.size)
    }

    fn name(&self) -> String {
        format!("{} of {}", self.part.digest, self.from.reference)
    }

    fn stated(&self) -> Option<Digest> {
        Some(self.part.digest)
    }
}
