//! A colleague's image as what one's own sources would make: from a registry, the store or a file, into the store and the
//! book. That it is what these sources make is the word of who adds it (Skaffold's artifact cache left this for later, #1632).

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};
use samebuild_image::Image;
use samebuild_image::manifest::{Descriptor, Platform};
use samebuild_store::artifacts::{Key, Sources as _};
use samebuild_store::names::Content;

use super::book::{Disk, Note, trouble};
use super::building::Way;
use super::file::Artifact;
use super::workspace::Workspaces;
use crate::images::store::Store;
use crate::images::{names, registry};
use crate::stored;

/// What was added.
#[derive(Clone, Debug)]
pub struct Added {
    pub key: Key,
    pub digest: String,
}

/// Adds the image at `source` (a name, or the path of a layout or docker-archive) for artifact `number`.
///
/// # Errors
/// There is no such image, it is for another platform, the sources have no key.
pub fn add(
    artifacts: Vec<Artifact>,
    number: usize,
    way: Way,
    source: &str,
    tag: &str,
    told: fn(&str),
) -> Result<Added> {
    let (all, way) = (Rc::new(artifacts), Rc::new(way));
    let artifact = &all[number];
    let platform = way.platform(artifact).map_err(anyhow::Error::msg)?;
    let store = Store::in_cache(&way.cache);
    let content = Content(u16::try_from(number).context("count the artifacts: there are too many")?);
    let workspaces = Workspaces::read(Rc::clone(&all), Rc::clone(&way));
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("start an executor")?;
    let hashed =
        runtime.block_on(workspaces.hash(content)).map_err(|trouble| anyhow::anyhow!("{trouble}"))?;
    let found = find(source, &store, &way, &platform, told)?;
    if found.entry.platform.as_ref().is_some_and(|is| !platform.takes(is)) {
        let is = found.entry.platform.map(|is| is.to_string()).unwrap_or_default();
        bail!("add {source}: it is for {is}, and {} is to be for {platform}", artifact.image);
    }
    let digest = found.entry.digest;
    let names = [format!("{}:{tag}", artifact.image), format!("{}:{}", artifact.image, digest.hex())];
    store.give_names(&found.entry, &names)?;
    let note =
        Note { image: artifact.image.clone(), id: Some(digest), digest: found.remote.then_some(digest) };
    Disk::in_cache(&way.cache)
        .write(hashed.key, &note)
        .map_err(|error| anyhow::anyhow!("{}", trouble(error)))?;
    Ok(Added { key: hashed.key, digest: digest.to_string() })
}

struct Found {
    entry: Descriptor,
    /// A registry has it, byte for byte.
    remote: bool,
}

fn find(source: &str, store: &Store, way: &Way, platform: &Platform, told: fn(&str)) -> Result<Found> {
    if Path::new(source).exists() {
        let image: Image = stored::read_image(Path::new(source))?.image;
        let written = store.put(&image, &[], way.dialect.tar_style())?;
        return Ok(Found { entry: written.entry, remote: false });
    }
    let kept = store.named(source)?;
    if let Some(entry) = kept.iter().find(|entry| entry.platform.as_ref().is_none_or(|is| platform.takes(is)))
    {
        let whole = store.holds(&entry.digest)?;
        let whole = whole.with_context(|| format!("add {source}: parts of it are missing in our store"))?;
        return Ok(Found { entry: whole, remote: false });
    }
    let reference = names::parse(source).map_err(anyhow::Error::msg)?;
    let pulled = registry::fetch(&reference, platform, store, &told)?;
    let entry = store.holds(&pulled.entry.digest)?;
    let entry = entry.with_context(|| format!("add {source}: it went away while it was added"))?;
    Ok(Found { entry, remote: true })
}
