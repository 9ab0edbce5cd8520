//! What a build is asked and what it answers. How it is done is in `stage.rs` and the steps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use samebuild_image::manifest::Platform;
use samebuild_image::tree::ApplyError;
use samebuild_image::{Epochs, Image, Tree};

use crate::cache::{LayerCache, Used};
use crate::dialect::Dialect;
use crate::fetch::Fetch;
use crate::pace::Pace;
use crate::snapshot::{Lens, Snapshotter};
use crate::stamp::Stamp;
use crate::witness::Unrecorded;

/// One build of one Dockerfile.
pub struct Request<'a> {
    /// The Dockerfile's bytes.
    pub dockerfile: &'a [u8],
    /// What to call it in messages, and the name whose `.dockerignore` sibling is looked for: `Dockerfile`.
    pub dockerfile_name: &'a str,
    /// The ignore file of this Dockerfile alone, for dialects that know one.
    pub own_ignore: OwnIgnore<'a>,
    /// The whole context, before `.dockerignore`; root-owned unless the dialect looks at owners.
    pub context: &'a Tree,
    /// Who is spoken.
    pub dialect: &'a Dialect,
    /// `--build-arg`.
    pub build_args: BTreeMap<String, String>,
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// `--target`: a stage's name or index.
    pub target: Option<String>,
    /// `--platform`: what the image is for. Only RUN asks whether this machine could run it.
    pub platform: Platform,
    /// Where images named by FROM and `COPY --from` come from.
    pub images: &'a dyn Images,
    /// How ADD reaches what stands behind a URL.
    pub fetch: &'a dyn Fetch,
    /// Where scratch directories are made; on a file system an overlay's upper directory may be on.
    pub work: &'a Path,
    /// Where unpacked base layers are kept between builds, by diff id.
    pub unpacked: &'a Path,
    /// `none` unless the case says `host`.
    pub network: Network,
    /// What "now" is for entries the builder makes itself (parents, WORKDIR), seconds since 1970 and nanoseconds.
    /// RUN sees the real clock.
    pub now: (i64, u32),
    /// Which times the image carries.
    pub stamp: Stamp,
    /// How `now` goes on from step to step.
    pub pace: Pace,
    /// The program that, called with [`crate::sandbox::CHILD`] as its first argument, becomes the sandboxed child:
    /// mostly `/proc/self/exe`, whose `main` calls [`crate::sandbox::become_child_if_asked`] first.
    pub child: PathBuf,
    /// How a RUN's changes are found: `None` reads the overlay's upper directory, which misses nothing.
    pub snapshotter: Option<&'static Snapshotter>,
    /// What it takes to believe that a RUN left a file as it was.
    pub trust: Trust,
    /// Whether to hold the image against the root it was taken from, content by content: [`Built::unrecorded`].
    pub witness: bool,
    /// Through what a snapshotter sees the file system: [`crate::snapshot::Clear`] unless a fault is installed.
    pub lens: &'a dyn Lens,
    /// Where results of steps are looked for and kept; `None` runs every step. A build under a fault, or with a witness, and
    /// one in one unpacked root are never asked and never kept.
    pub cache: Option<&'a LayerCache>,
    /// Told of each step as it begins and ends and of what RUN prints.
    pub progress: &'a (dyn Fn(Event<'_>) + Sync),
}

/// What it takes to believe that a RUN left a file as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Trust {
    /// What the dialect's builder looks at; for some that is a time and a size.
    #[default]
    Dialect,
    /// The content: no stat settles it.
    Content,
}

/// Where `<Dockerfile>.dockerignore` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OwnIgnore<'a> {
    /// In the context, if there is one, beside the Dockerfile.
    #[default]
    InContext,
    /// Here, if there is one: the Dockerfile is no part of its context.
    Given(Option<&'a [u8]>),
}

/// The network a RUN has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Network {
    /// Loopback only.
    #[default]
    None,
    /// The machine's own.
    Host,
}

/// Something worth telling while a build runs.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A step begins: stage index, step number from 1 over all stages, and its text.
    Step { stage: usize, number: usize, text: &'a str },
    /// That step ended, well or not, and took this long on the clock. `line` is its line in the Dockerfile, from 1.
    StepEnded { stage: usize, number: usize, line: usize, text: &'a str, elapsed: Duration },
    /// The step under way is not carried out: its result was found in this place.
    Cached { number: usize, place: &'a str },
    /// Something about the cache that fails no build; fits after "failed to".
    CacheWarning(&'a str),
    /// RUN printed this (stdout and stderr, as it came).
    Output(&'a [u8]),
}

/// Where images come from.
pub trait Images: Sync {
    /// The image that is wanted, or all places that were tried and what each said. Asked again in one build, it says the same:
    /// what is found damaged may be removed by who finds it.
    fn find(&self, wanted: &Wanted<'_>) -> Result<Image, NotFound>;

    /// Whether what the user calls `name` stands in for a stage of that name, as a named context does.
    fn replaces_stage(&self, _name: &str) -> bool {
        false
    }

    /// The image without its layers' entries, each of which can be had by its blob, for whoever may need no file of it;
    /// `None` where that is no less work.
    fn outline(&self, _wanted: &Wanted<'_>) -> Option<Result<Image, NotFound>> {
        None
    }

    /// Its flattened file system; for whoever has it at hand.
    fn tree(&self, _name: &str, image: &Image) -> Result<Tree, ApplyError> {
        image.tree()
    }
}

/// An image that a Dockerfile names.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// As it is written, after expansion.
    pub name: &'a str,
    pub platform: &'a Platform,
    /// Whether an image that is at hand will do where it is for another platform; else it counts as not being there.
    pub any_platform: bool,
}

/// No place has this image.
#[derive(Debug, Clone, thiserror::Error)]
#[error("find the image `{name}`; tried, in order:\n  {}", tried.join("\n  "))]
pub struct NotFound {
    pub name: String,
    pub tried: Vec<String>,
}

/// A finished build.
#[derive(Debug)]
pub struct Built {
    pub image: Image,
    /// How many of the image's layers and history entries are the base's.
    pub base_layers: usize,
    pub base_history: usize,
    /// The base image's name; `None` for scratch.
    pub base_name: Option<String>,
    /// Messages a builder would have printed, in order.
    pub log: Vec<String>,
    pub steps: Vec<Step>,
    /// Keeps files on disk alive that the image's contents lie in.
    pub files: Vec<std::sync::Arc<tempfile::TempDir>>,
    /// What is not in the image as it was in the root at the end; empty unless a witness was asked for.
    pub unrecorded: Vec<Unrecorded>,
    /// What the cache had to do with it.
    pub cache: Used,
    /// The moments this build knew; `base` and `context` are the caller's to fill in.
    pub epochs: Epochs,
}

/// What one instruction cost and did.
#[derive(Debug, Clone)]
pub struct Step {
    /// From 1, over all stages that were built.
    pub number: usize,
    pub stage: usize,
    /// Line in the Dockerfile, from 1.
    pub line: usize,
    /// The instruction as written.
    pub text: String,
    /// Index into the image's layers, if it made one.
    pub layer: Option<usize>,
    /// Whether its result was found in the cache.
    pub cached: bool,
    pub elapsed: Duration,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The build fails, as the dialect says it must: a result that can be the expected one.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// What the build needs is not there (root, overlay, an instruction we do not have yet); the sentence says what.
    #[error("{0}")]
    Unmet(String),
    /// We could not find out: disk, sandbox, a damaged base.
    #[error("build: {what}: {source}")]
    Broken {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A build that fails.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Step number from 1 over all stages, if it got that far; `None` for a Dockerfile that does not parse.
    pub step: Option<usize>,
    /// Line in the Dockerfile, from 1, and column in bytes, from 1.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// Stable slug: `unknown-flag`, `copy-not-found`, `run-exit`, …
    pub class: &'static str,
    /// Our own words.
    pub message: String,
    /// What the dialect's builder prints, where we know it word for word.
    pub builder_message: Option<String>,
    pub log: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}
