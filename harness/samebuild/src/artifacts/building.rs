//! One artifact built by the reference builder, into the store in the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use samebuild_builder::cache::{LayerCache, Local};
use samebuild_builder::disk::index::Belief;
use samebuild_builder::snapshot::probe::Clear;
use samebuild_builder::stamp::Stamp;
use samebuild_builder::{
    BuildError, Dialect, Event, Failure, Network, OwnIgnore, Pace, Request, Trust, disk, own_platform,
    platform_of,
};
use samebuild_image::layout::WrittenImage;
use samebuild_image::manifest::Platform;

use super::file::Artifact;
use crate::cases::as_sent;
use crate::fetch::{Http, Limits};
use crate::images::sources::{self, Sources};
use crate::images::store::Store;
use crate::scratch::Scratch;

/// How artifacts are built.
#[derive(Clone, Debug)]
pub struct Way {
    pub dialect: Dialect,
    /// What was changed of it, as it was written.
    pub sets: Vec<String>,
    /// `--platform`, before what a file says.
    pub platform: Option<String>,
    /// Whether files whose stat is as it was count as read.
    pub belief: Belief,
    /// Whether steps are looked for among those of earlier builds, and kept.
    pub layer_cache: bool,
    pub cache: PathBuf,
}

impl Way {
    /// In words that say all that can change an image; a newer samebuild may build otherwise.
    pub(super) fn words(&self) -> String {
        format!("samebuild {} as {} with {:?}", env!("CARGO_PKG_VERSION"), self.dialect.id, self.sets)
    }

    /// What an artifact is for.
    ///
    /// # Errors
    /// It is no platform.
    pub(super) fn platform(&self, artifact: &Artifact) -> Result<Platform, String> {
        match self.platform.as_deref().or(artifact.platform.as_deref()) {
            None | Some("local") => Ok(own_platform()),
            Some(text) => platform_of(text),
        }
    }
}

/// Why an artifact was not built.
#[derive(Debug)]
pub enum NotBuilt {
    /// The Dockerfile is at fault.
    Failed {
        failure: Box<Failure>,
        file: PathBuf,
        text: Vec<u8>,
    },
    Broken(anyhow::Error),
}

/// Who hears of a build.
#[derive(Clone, Copy)]
pub struct Ears {
    pub steps: fn(Event<'_>),
    pub lines: fn(&str),
}

/// Builds `artifact` with these arguments, and keeps it under `name`.
///
/// # Errors
/// See [`NotBuilt`].
pub(super) fn build(
    artifact: &Artifact,
    args: BTreeMap<String, String>,
    name: &str,
    way: &Way,
    ears: Ears,
) -> Result<WrittenImage, NotBuilt> {
    let broken = NotBuilt::Broken;
    let file = &artifact.dockerfile;
    let text = std::fs::read(file).with_context(|| format!("read {}", file.display())).map_err(broken)?;
    let beside = beside(file).map_err(broken)?;
    let context = disk::scan(&artifact.context).map_err(|error| broken(error.into()))?;
    let context = as_sent(context);
    let work = Scratch::on_disk(&way.cache).map_err(broken)?;
    let means = sources::Means {
        contexts: &[],
        engine: None,
        cache: way.cache.clone(),
        work: work.path(),
        progress: &ears.lines,
    };
    let images = Sources::open(&means).map_err(|why| broken(anyhow::anyhow!(why)))?;
    let http = Http::new(Limits::USUAL);
    let unpacked = way.cache.join("unpacked");
    std::fs::create_dir_all(&unpacked)
        .with_context(|| format!("create {}", unpacked.display()))
        .map_err(broken)?;
    let platform = way.platform(artifact).map_err(|why| broken(anyhow::anyhow!(why)))?;
    let dockerfile_name = file.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy());
    let layers = Arc::new(Local::new(&way.cache.join("layers")));
    let cache = way.layer_cache.then(|| LayerCache::at(layers));
    let built = samebuild_builder::build(&Request {
        dockerfile: &text,
        dockerfile_name: &dockerfile_name,
        own_ignore: OwnIgnore::Given(beside.as_deref()),
        context: &context,
        dialect: &way.dialect,
        build_args: args,
        target: artifact.target.clone(),
        secrets: BTreeMap::new(),
        platform,
        images: &images,
        fetch: &http,
        work: work.path(),
        unpacked: &unpacked,
        network: if artifact.host_network { Network::Host } else { Network::None },
        now: crate::builders::now(),
        pace: Pace::Still,
        stamp: Stamp::Clock,
        child: PathBuf::from("/proc/self/exe"),
        snapshotter: None,
        trust: Trust::Dialect,
        witness: false,
        cache: cache.as_ref(),
        lens: &Clear,
        progress: &ears.steps,
    });
    let built = match built {
        Ok(built) => built,
        Err(BuildError::Failed(failure)) if failure.class == "image-not-found" => {
            let line = failure.line.map_or_else(String::new, |line| format!(":{line}"));
            let error = anyhow::anyhow!("{}", failure.message);
            return Err(broken(error.context(format!("build for {}{line}", file.display()))));
        }
        Err(BuildError::Failed(failure)) => {
            return Err(NotBuilt::Failed { failure, file: file.clone(), text });
        }
        Err(error) => return Err(broken(error.into())),
    };
    let used = &built.cache;
    used.warnings.iter().for_each(|warning| (ears.lines)(&format!("warning: failed to {warning}")));
    if !used.looked.is_empty() {
        (ears.lines)(&used.told());
    }
    Store::in_cache(&way.cache).put(&built.image, &[name.to_owned()], way.dialect.tar_style()).map_err(broken)
}

fn beside(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let mut name = file.as_os_str().to_owned();
    name.push(".dockerignore");
    match std::fs::read(&name) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", Path::new(&name).display())),
    }
}
