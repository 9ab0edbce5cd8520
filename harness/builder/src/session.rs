//! What every step of a build can look at: the request, the dialect, the finished stages, scratch space. And how a step
//! says that it did not end well. Running the steps is `build`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use samebuild_dockerfile::expand::Expander;
use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::syntax::CopyReach;
use samebuild_dockerfile::{CopyInstruction, Dockerfile, InstructionKind, Span, Word};
use samebuild_image::manifest::Platform;
use samebuild_image::{Digest, Image, Mtime, Tree};

use crate::cache::Times;
use crate::cache::base::Ground;
use crate::cache::turn::Turn;
use crate::cache::{named, unread};
use crate::delta::LayerForm;
use crate::dialect::Dialect;
use crate::dialect::rules::{ForeignBase, PlatformArgs};
use crate::failure::{StepFailure, UNSUPPORTED};
use crate::platform;
use crate::request::{Event, Request, Wanted};
use crate::stage::Stage;
use crate::stamp::Stamp;
use crate::unpacked::rules::StageFiles;

/// What every step of a build can look at.
pub struct Session<'a> {
    pub request: &'a Request<'a>,
    pub dialect: &'a Dialect,
    /// Words are expanded, flags and values checked, configurations followed; nothing is copied, made or run.
    pub(crate) converts: bool,
    /// And that only to find what is named of the context.
    pub(crate) only_names: bool,
    /// Which times the image carries.
    pub(crate) stamp: Stamp,
    pub expander: Expander,
    pub(crate) dockerfile: &'a Dockerfile,
    /// The context without what is ignored; without what nobody names, where that shows.
    pub context: Tree,
    /// While converting: what of the context is named.
    pub(crate) named: Mutex<BTreeSet<String>>,
    /// ARGs before the first FROM, by name.
    pub(crate) global_args: Vec<(String, Option<String>)>,
    /// Finished stages by index, and their names.
    pub(crate) done: BTreeMap<usize, Stage>,
    pub(crate) names: Vec<Option<String>>,
    /// The layer cache, where it is asked. It may read what lies in `scratch` until it goes, so it goes first.
    pub(crate) cache: Option<Turn<'a>>,
    pub(crate) scratch: Mutex<Vec<Arc<tempfile::TempDir>>>,
    /// Number of the step under way.
    pub(crate) step: std::sync::atomic::AtomicUsize,
    /// Directories of cache mounts, by id.
    pub(crate) caches: Mutex<BTreeMap<String, PathBuf>>,
}

/// Why a step did not end well.
#[derive(Debug)]
pub enum StepError {
    Failed(StepFailure),
    Unmet { need: String, at: Option<Span> },
    Broken { what: String, source: Box<dyn std::error::Error + Send + Sync> },
}

impl From<StepFailure> for StepError {
    fn from(failure: StepFailure) -> Self {
        if failure.class == UNSUPPORTED {
            Self::Unmet { need: failure.message, at: failure.at }
        } else {
            Self::Failed(failure)
        }
    }
}

impl StepError {
    /// What this machine, or this user, lacks for the whole instruction.
    pub fn unmet(need: String) -> Self {
        Self::Unmet { need, at: None }
    }

    /// Wraps an error that says nothing about the Dockerfile.
    pub fn broken<E: std::error::Error + Send + Sync + 'static>(what: &str) -> impl Fn(E) -> Self {
        let what = what.to_owned();
        move |source| Self::Broken { what: what.clone(), source: Box::new(source) }
    }
}

/// Hears nothing.
fn nobody(_: Event<'_>) {}

impl<'a> Session<'a> {
    /// Whom to tell of steps: nobody while converting.
    pub(crate) fn progress(&self) -> &'a (dyn Fn(Event<'_>) + Sync) {
        if self.converts { &nobody } else { self.request.progress }
    }
}

impl Session<'_> {
    /// The time entries made by the builder carry.
    pub fn now(&self) -> Mtime {
        let number = self.step.load(std::sync::atomic::Ordering::Relaxed);
        let (secs, nanos) = self.request.pace.at(self.request.now, number);
        Mtime::At { secs, nanos }
    }

    /// Number of the step under way, from 1 over all stages.
    pub fn step_number(&self) -> usize {
        self.step.load(std::sync::atomic::Ordering::Relaxed).max(1)
    }

    /// `--build-arg`.
    pub fn build_arg(&self, name: &str) -> Option<String> {
        self.request.build_args.get(name).cloned()
    }

    /// The value of a global ARG or of one the builder predefines.
    pub fn global_arg(&self, name: &str) -> Option<String> {
        let global = self.global_args.iter().rev().find(|(key, _)| key == name);
        // One that is declared without a value hides the predefined one of its name.
        global.map_or_else(|| self.platform_arg(name), |(_, value)| value.clone())
    }

    pub(crate) fn platform_arg(&self, name: &str) -> Option<String> {
        if self.dialect.image.platform_args == PlatformArgs::Absent {
            return None;
        }
        let (own, part) = match (name.strip_prefix("BUILD"), name.strip_prefix("TARGET")) {
            (Some(part), _) => (Some(platform::own_platform()), part),
            (None, Some(part)) => (None, part),
            (None, None) => return None,
        };
        let platform = own.as_ref().unwrap_or(&self.request.platform);
        Some(match part {
            "PLATFORM" => platform.to_string(),
            "OS" => platform.os.clone(),
            "ARCH" => platform.architecture.clone(),
            "VARIANT" => platform.variant.clone().unwrap_or_default(),
            _ => return None,
        })
    }

    /// An image by its name, and its files.
    pub(crate) fn image(&self, name: &str, platform: &Platform) -> Result<(Image, Tree), StepFailure> {
        let any_platform = self.dialect.image.foreign_base != ForeignBase::PassedOver;
        let found = self.request.images.find(&Wanted { name, platform, any_platform });
        let image = found.map_err(|error| StepFailure::new("image-not-found", error.to_string()))?;
        let tree = self.request.images.tree(name, &image);
        let tree = tree.map_err(|error| StepFailure::new("bad-image", error.to_string()))?;
        Ok((image, tree))
    }

    /// An image's configuration and its layers by their digests, without their files where that is less work.
    pub(crate) fn outline(&self, name: &str, platform: &Platform) -> Option<Result<Image, StepFailure>> {
        let any_platform = self.dialect.image.foreign_base != ForeignBase::PassedOver;
        let found = self.request.images.outline(&Wanted { name, platform, any_platform })?;
        Some(found.map_err(|error| StepFailure::new("image-not-found", error.to_string())))
    }

    /// What is known of an image's files without looking at them.
    pub(crate) fn ground_of(&self, name: &str) -> Option<Ground> {
        let platform = &self.request.platform;
        match self.outline(name, platform) {
            Some(found) => Ground::image(&found.ok()?),
            None => Ground::image(&self.image(name, platform).ok()?.0),
        }
    }

    /// Whether times of files count in the cache.
    pub(crate) fn times(&self) -> Times {
        self.cache.as_ref().map_or(Times::Kept, |turn| turn.cache.times)
    }

    /// A scratch directory that lives as long as the image built in it.
    pub fn scratch(&self) -> Result<PathBuf, StepError> {
        let dir =
            tempfile::Builder::new().prefix("step-").tempdir_in(self.request.work).map_err(|source| {
                StepError::broken(&format!("make a scratch directory in {}", self.request.work.display()))(
                    source,
                )
            })?;
        let path = dir.path().to_owned();
        if let Ok(mut dirs) = self.scratch.lock() {
            dirs.push(Arc::new(dir));
        }
        Ok(path)
    }

    /// The directory of the cache mount `id`, the same for all of a build's RUNs.
    pub fn cache_dir(&self, id: &str) -> Result<PathBuf, StepError> {
        let known = self.caches.lock().ok().and_then(|caches| caches.get(id).cloned());
        if let Some(dir) = known {
            return Ok(dir);
        }
        let dir = self.scratch()?.join("cache");
        std::fs::create_dir(&dir).map_err(StepError::broken("make a cache"))?;
        if let Ok(mut caches) = self.caches.lock() {
            caches.insert(id.to_owned(), dir.clone());
        }
        Ok(dir)
    }

    /// The file system a mount's `from` names: a stage by name, or an image.
    pub fn tree_named(&self, index: usize, name: &str) -> Result<Tree, StepError> {
        self.tree_of(index, &Word { text: name.to_owned(), span: samebuild_dockerfile::Span::default() })
    }

    /// Twelve hexadecimal digits, as a container would have; the same in every build of the same Dockerfile.
    pub fn container_id(&self, step: usize) -> String {
        Digest::of(format!("{step} {:?}", self.request.dockerfile).as_bytes()).hex()[..12].to_owned()
    }

    /// Whether `--from` names a stage of which only a copy is kept of what later ones name.
    pub fn saves_files_of(&self, index: usize, from: &Word) -> bool {
        self.dialect.image.layer_form == LayerForm::UnpackedRoot
            && self.dialect.unpacked.stage_files == StageFiles::SavedCopy
            && matches!(self.dockerfile.copy_origin(index, from, &self.dialect.syntax), Ok(Origin::Stage(_)))
    }

    /// The sources of every COPY of the file from the stage that `from` names in stage `index`.
    pub fn copied_from(&self, index: usize, from: &Word) -> Vec<&Word> {
        let origin = |index: usize, from: &Word| match self.dockerfile.copy_origin(
            index,
            from,
            &self.dialect.syntax,
        ) {
            Ok(Origin::Stage(stage)) => Some(stage),
            _ => None,
        };
        let wanted = origin(index, from);
        let copies = self.dockerfile.stages.iter().flat_map(|stage| {
            stage.instructions.iter().filter_map(move |node| match &node.kind {
                InstructionKind::Copy(copy) => Some((stage.index, copy)),
                _ => None,
            })
        });
        let same = |(index, copy): &(usize, &CopyInstruction)| {
            copy.from.as_ref().is_some_and(|from| origin(*index, from) == wanted)
        };
        copies.filter(same).flat_map(|(_, copy)| copy.transfer.paths()).collect()
    }

    /// The file system that `--from` names in stage `index`: another stage or an image.
    pub fn tree_of(&self, index: usize, from: &Word) -> Result<Tree, StepError> {
        let origin = self.dockerfile.copy_origin(index, from, &self.dialect.syntax).map_err(|error| {
            StepFailure::new(error.class.slug(), error.message).says(error.builder_message)
        })?;
        match origin {
            Origin::Scratch => Ok(Tree::new()),
            // A trigger of the parent image names a stage that nobody knew was needed: it is as good as empty.
            Origin::Stage(index)
                if !self.done.contains_key(&index)
                    && self.dialect.syntax.copy_reach == CopyReach::AnyStage =>
            {
                Ok(Tree::new())
            }
            Origin::Stage(index) => match self.done.get(&index) {
                Some(stage) => unread::tree_of(stage, self),
                None => {
                    let message = format!("copy from stage {index}: it is not built before this one");
                    Err(StepFailure::new("later-stage", message).into())
                }
            },
            Origin::Image(name)
                if name.len() < 2 && self.dialect.syntax.copy_reach == CopyReach::EarlierElseImage =>
            {
                let message = format!("copy from the image `{name}`: no repository has so short a name");
                Err(StepFailure::new("bad-image-name", message).into())
            }
            Origin::Image(name) => Ok(named::image(self, &name, &self.request.platform)?.1),
        }
    }
}
