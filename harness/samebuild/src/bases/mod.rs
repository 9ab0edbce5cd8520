//! Base images: what cases start FROM. Made here, in memory, from `ci/bases.toml` and a busybox, the same on every
//! machine that finds the same busybox; kept in the cache as an OCI layout and a docker-archive for those who need files.
//! Which image a FROM means is the builder's question.

mod busybox;
mod elf;
mod make;
mod policy;
mod stored;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use samebuild_image::{At, Digest, Image, Kind, Tree};

use crate::engines::Progress;

pub use busybox::Tried;
pub use policy::{BasePolicy, Policy};

/// A base image, ready to be built on.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its row in `ci/bases.toml`, which is what a case calls it.
    pub name: String,
    /// The name a Dockerfile says, e.g. `samebuild.test/base:1`.
    pub reference: String,
    pub image: Image,
    /// All of the image's files.
    pub tree: Tree,
    /// Where each content of the image lies (the first such place), so that a golden can say `=base:/bin/busybox`.
    pub files: BTreeMap<Digest, At>,
    /// The time everything in it carries, seconds since 1970.
    pub time: i64,
    pub config: Digest,
    pub manifest: Digest,
    /// Which busybox is in it.
    pub busybox: Digest,
    /// Where that busybox came from, in words.
    pub from: String,
    /// The image as an OCI layout in the cache.
    pub layout: PathBuf,
    /// The image as `docker load` takes it, in the cache.
    pub archive: PathBuf,
}

/// Why there is no base image. Every text fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    #[error("read ci/bases.toml: {0}")]
    Policy(String),
    #[error("find the base `{name}`; ci/bases.toml has {known}")]
    Unknown { name: String, known: String },
    #[error(
        "find a busybox for the base `{name}`:{}\n  install Debian's busybox-static, or put a static busybox with these applets on PATH",
        lines(tried)
    )]
    NoBusybox { name: String, tried: Vec<Tried> },
    #[error("make the base `{name}`: {why}")]
    Make { name: String, why: String },
    #[error("keep the base `{name}` in the cache {}: {source}; free some space there or set SAMEBUILD_CACHE to another directory", dir.display())]
    Store { name: String, dir: PathBuf, source: std::io::Error },
}

fn lines(tried: &[Tried]) -> String {
    tried.iter().map(|tried| format!("\n  {tried}")).collect()
}

/// The base image called `name`. `cache` is as [`crate::engines::cache_dir`] gives it; whatever has to be fetched is kept
/// there, and several runs may ask at once.
///
/// # Errors
/// [`BaseError`]; where no busybox fits, it lists each way that was tried and what went wrong.
pub fn provide(name: &str, cache: &Path, progress: Progress) -> Result<Base, BaseError> {
    let policy = Policy::compiled_in()?;
    let base = policy.base(name)?;
    let dir = home(&policy, name, cache);
    let store_error = |source| BaseError::Store { name: name.to_owned(), dir: dir.clone(), source };
    let _lock = stored::lock(&dir).map_err(store_error)?;
    let found = busybox::find(&busybox::Search { policy: base, dir: &dir, cache, progress })
        .map_err(|tried| BaseError::NoBusybox { name: name.to_owned(), tried })?;
    let made =
        make::make(base, &found.bytes).map_err(|why| BaseError::Make { name: name.to_owned(), why })?;
    let places = stored::keep(&dir, base, &found, &made).map_err(store_error)?;
    let tree =
        made.image.tree().map_err(|e| BaseError::Make { name: name.to_owned(), why: e.to_string() })?;
    let files = files(&tree).map_err(|e| BaseError::Make { name: name.to_owned(), why: e.to_string() })?;
    Ok(Base {
        name: name.to_owned(),
        reference: base.image.clone(),
        image: made.image,
        tree,
        files,
        time: base.time.secs,
        config: made.config.digest,
        manifest: made.manifest.digest,
        busybox: Digest::of(&found.bytes),
        from: found.from,
        layout: places.layout,
        archive: places.archive,
    })
}

/// The image of a base that was made before, without the entries of its layers; `None` where it has to be made.
#[must_use]
pub fn outline(name: &str, cache: &Path) -> Option<Image> {
    let policy = Policy::compiled_in().ok()?;
    policy.base(name).ok()?;
    stored::outline(&home(&policy, name, cache))
}

fn home(policy: &Policy, name: &str, cache: &Path) -> PathBuf {
    cache.join("bases").join(format!("{name}-{}", &policy.digest().hex()[..16]))
}

fn files(tree: &Tree) -> std::io::Result<BTreeMap<Digest, At>> {
    let mut files = BTreeMap::new();
    for (at, _, inode) in tree.iter() {
        if let Kind::File(content) = &inode.kind {
            files.entry(content.digest()?).or_insert_with(|| at.clone());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_debians_busybox_the_known_digests_come_out() {
        let base = match crate::engines::cache_dir().map(|cache| provide("busybox", &cache, &|_| {})) {
            Ok(Ok(base)) => base,
            other => {
                println!("not exercised: {other:?}");
                return;
            }
        };
        assert_eq!(base.files[&base.busybox], At::from("bin/busybox"));
        let policy = Policy::compiled_in().unwrap();
        let known = &policy.base("busybox").unwrap().known;
        if base.busybox != known.busybox {
            println!("not exercised: the busybox is {} from {}", base.busybox, base.from);
            return;
        }
        assert_eq!(base.image.layers[0].diff_id, Some(known.layer));
        assert_eq!((base.config, base.manifest), (known.config, known.manifest));
    }
}
