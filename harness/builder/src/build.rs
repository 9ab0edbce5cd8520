//! A whole build: the Dockerfile read, the stages that are needed built in order, the image put together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use samebuild_dockerfile::expand::Expander;
use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::syntax::{DuplicateStage, UnusedStages};
use samebuild_dockerfile::{Dockerfile, Instruction, InstructionKind, Node};
use samebuild_dockerfile::{SyntaxError, Word};
use samebuild_image::{Digest, Epochs, Image, Mtime, Tree};

use crate::config::{self, Config};
use crate::context;
use crate::dialect::Dialect;
use crate::dialect::rules::{PlatformArgs, ScratchWorkdir, StageArgs};
use crate::failure::{StepFailure, UNSUPPORTED};
use crate::finish;
use crate::request::{BuildError, Built, Event, Failure, Request, Step};
use crate::stage::{Args, Stage};
use crate::steps::{metadata, run, transfer, workdir};

/// What every step of a build can look at.
pub struct Session<'a> {
    pub request: &'a Request<'a>,
    pub dialect: &'a Dialect,
    pub expander: Expander,
    dockerfile: &'a Dockerfile,
    /// The context without what is ignored.
    pub context: Tree,
    /// ARGs before the first FROM, by name.
    global_args: Vec<(String, Option<String>)>,
    /// Finished stages by index, and their names.
    done: BTreeMap<usize, Stage>,
    names: Vec<Option<String>>,
    scratch: Mutex<Vec<Arc<tempfile::TempDir>>>,
    /// Directories of cache mounts, by id.
    caches: Mutex<BTreeMap<String, PathBuf>>,
}

/// Why a step did not end well.
#[derive(Debug)]
pub enum StepError {
    Failed(StepFailure),
    Unmet(String),
    Broken { what: String, source: Box<dyn std::error::Error + Send + Sync> },
}

impl From<StepFailure> for StepError {
    fn from(failure: StepFailure) -> Self {
        if failure.class == UNSUPPORTED { Self::Unmet(failure.message) } else { Self::Failed(failure) }
    }
}

impl StepError {
    /// Wraps an error that says nothing about the Dockerfile.
    pub fn broken<E: std::error::Error + Send + Sync + 'static>(what: &str) -> impl Fn(E) -> Self {
        let what = what.to_owned();
        move |source| Self::Broken { what: what.clone(), source: Box::new(source) }
    }
}

impl Session<'_> {
    /// The time entries made by the builder carry.
    pub fn now(&self) -> Mtime {
        let (secs, nanos) = self.request.now;
        Mtime::At { secs, nanos }
    }

    /// `--build-arg`.
    pub fn build_arg(&self, name: &str) -> Option<String> {
        self.request.build_args.get(name).cloned()
    }

    /// The value of a global ARG or of one the builder predefines.
    pub fn global_arg(&self, name: &str) -> Option<String> {
        let global = self.global_args.iter().rev().find(|(key, _)| key == name);
        global.and_then(|(_, value)| value.clone()).or_else(|| self.platform_arg(name))
    }

    fn platform_arg(&self, name: &str) -> Option<String> {
        if self.dialect.image.platform_args == PlatformArgs::Absent {
            return None;
        }
        let arch = context::architecture();
        Some(match name {
            "BUILDPLATFORM" | "TARGETPLATFORM" => format!("linux/{arch}"),
            "BUILDOS" | "TARGETOS" => "linux".into(),
            "BUILDARCH" | "TARGETARCH" => arch.into(),
            "BUILDVARIANT" | "TARGETVARIANT" => String::new(),
            _ => return None,
        })
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
    pub fn tree_named(&self, index: usize, name: &str) -> Result<Tree, StepFailure> {
        self.tree_of(index, &Word { text: name.to_owned(), span: samebuild_dockerfile::Span::default() })
    }

    /// Twelve hexadecimal digits, as a container would have; the same in every build of the same Dockerfile.
    pub fn container_id(&self, step: usize) -> String {
        Digest::of(format!("{step} {:?}", self.request.dockerfile).as_bytes()).hex()[..12].to_owned()
    }

    /// The file system that `--from` names in stage `index`: another stage or an image.
    pub fn tree_of(&self, index: usize, from: &Word) -> Result<Tree, StepFailure> {
        let origin =
            self.dockerfile.copy_origin(index, from, &self.dialect.syntax).map_err(|error| StepFailure {
                class: error.class.slug(),
                message: error.message,
                builder_message: error.builder_message,
            })?;
        match origin {
            Origin::Scratch => Ok(Tree::new()),
            Origin::Stage(index) => self.done.get(&index).map(|stage| stage.tree.clone()).ok_or_else(|| {
                StepFailure::new(
                    "later-stage",
                    format!("copy from stage {index}: it is not built before this one"),
                )
            }),
            Origin::Image(name) => {
                let image = self.request.images.find(&name);
                let image = image.map_err(|error| StepFailure::new("image-not-found", error.to_string()))?;
                image.tree().map_err(|error| StepFailure::new("bad-image", error.to_string()))
            }
        }
    }
}

/// Builds.
pub fn build(request: &Request<'_>) -> Result<Built, BuildError> {
    let dialect = request.dialect;
    let dockerfile = Dockerfile::parse(request.dockerfile, &dialect.syntax)
        .map_err(|error| syntax_failure(&error, None))?;
    let context =
        context::without_ignored(request).map_err(|failure| fail(failure, None, None, Vec::new()))?;
    let mut session = Session {
        request,
        dialect,
        expander: Expander::new(&dialect.syntax, dockerfile.escape),
        dockerfile: &dockerfile,
        context,
        global_args: Vec::new(),
        done: BTreeMap::new(),
        names: Vec::new(),
        scratch: Mutex::default(),
        caches: Mutex::default(),
    };
    let mut builder = Builder { steps: Vec::new(), log: Vec::new(), number: 0 };
    builder.global_args(&dockerfile, &mut session)?;
    let (target, needed) = plan(&dockerfile, &session)?;
    for stage in dockerfile.stages.iter().take(target + 1) {
        if needed.contains(&stage.index) {
            let built = builder.stage(stage, &session)?;
            session.done.insert(stage.index, built);
        } else {
            builder.number += 1 + stage.instructions.len();
        }
        session.names.push(stage.name().map(str::to_owned));
    }
    builder.built(session, target)
}

/// The target stage and the stages to build.
fn plan(dockerfile: &Dockerfile, session: &Session<'_>) -> Result<(usize, Vec<usize>), BuildError> {
    let globals = visible_globals(session);
    let base = |stage: &samebuild_dockerfile::Stage| {
        let image = &stage.from().image.text;
        session.expander.word(image, &globals).unwrap_or_else(|_| image.clone())
    };
    let bases: Vec<String> = dockerfile.stages.iter().map(base).collect();
    let wanted = session.request.target.as_deref();
    let known = wanted.map_or(dockerfile.stages.len().checked_sub(1), |name| dockerfile.stage_index(name));
    match (session.dialect.syntax.unused_stages, known) {
        // What a stage names is looked at when it is reached.
        (UnusedStages::Built, Some(target)) => Ok((target, (0..=target).collect())),
        _ => {
            let plan = dockerfile
                .plan(wanted, &bases, &session.dialect.syntax)
                .map_err(|error| syntax_failure(&error, None))?;
            Ok((plan.target, plan.order))
        }
    }
}

struct Builder {
    steps: Vec<Step>,
    log: Vec<String>,
    /// Number of the last step begun.
    number: usize,
}

impl Builder {
    fn global_args(&mut self, dockerfile: &Dockerfile, session: &mut Session<'_>) -> Result<(), BuildError> {
        for node in &dockerfile.meta_args {
            self.number += 1;
            for definition in &node.kind.args {
                let seen = visible_globals(session);
                let expand = |text: &str| session.expander.word(text, &seen);
                let expanded = expand(&definition.name.text).and_then(|name| {
                    Ok((name, definition.value.as_ref().map(|value| expand(&value.text)).transpose()?))
                });
                let (name, default) = expanded.map_err(|error| {
                    let failure = StepFailure {
                        class: error.class.slug(),
                        message: error.message,
                        builder_message: Some(error.builder_message),
                    };
                    fail(failure, Some(self.number), Some(node.line), Vec::new())
                })?;
                let value = session.build_arg(&name).or(default);
                session.global_args.push((name, value));
            }
        }
        Ok(())
    }

    fn stage(
        &mut self,
        stage: &samebuild_dockerfile::Stage,
        session: &Session<'_>,
    ) -> Result<Stage, BuildError> {
        let header = &stage.header;
        let name = stage.name();
        let mut built = self.step(header, stage.index, session, |_| {
            let twice = name.is_some_and(|name| session.names.iter().flatten().any(|known| known == name));
            if twice && session.dialect.syntax.duplicate_stage == DuplicateStage::Refused {
                let message =
                    format!("name the stage `{}`: an earlier one has that name", name.unwrap_or_default());
                return Err(StepFailure::new("duplicate-stage", message).into());
            }
            from(&header.kind.image.text, session)
        })?;
        built.index = stage.index;
        let triggers = std::mem::take(&mut built.config.on_build);
        for trigger in triggers {
            self.trigger(&trigger, header.line, stage.index, &mut built, session)?;
        }
        for instruction in &stage.instructions {
            let layers_before = built.layers.len();
            self.step(instruction, stage.index, session, |session| {
                self::instruction(&mut built, session, instruction)
            })?;
            if built.layers.len() > layers_before
                && let Some(step) = self.steps.last_mut()
            {
                step.layer = Some(layers_before);
            }
        }
        Ok(built)
    }

    /// An instruction that the parent image left for its children.
    fn trigger(
        &mut self,
        text: &str,
        line: usize,
        stage: usize,
        built: &mut Stage,
        session: &Session<'_>,
    ) -> Result<(), BuildError> {
        let parsed = samebuild_dockerfile::parse_trigger(text, &session.dialect.syntax)
            .map_err(|error| syntax_failure(&error, Some(line)))?;
        self.number -= 1; // a trigger is part of the FROM that brought it
        let here = Node { line, ..parsed };
        self.step(&here, stage, session, |session| self::instruction(built, session, &here))
    }

    /// Runs one step, timed, told of, and its failure placed.
    fn step<K, T>(
        &mut self,
        node: &Node<K>,
        stage: usize,
        session: &Session<'_>,
        step: impl FnOnce(&Session<'_>) -> Result<T, StepError>,
    ) -> Result<T, BuildError> {
        self.number += 1;
        let number = self.number;
        (session.request.progress)(Event::Step { stage, number, text: &node.original });
        self.log.push(format!("step {number}: {}", node.original));
        let begun = Instant::now();
        let outcome = match &node.refused {
            Some(error) => {
                Err(BuildError::Failed(Box::new(Failure { step: Some(number), ..syntax(error, None) })))
            }
            None => step(session).map_err(|error| self.place(error, number, node.line)),
        }?;
        self.steps.push(Step {
            number,
            stage,
            line: node.line,
            text: node.original.clone(),
            layer: None,
            elapsed: begun.elapsed(),
        });
        Ok(outcome)
    }

    fn place(&self, error: StepError, number: usize, line: usize) -> BuildError {
        match error {
            StepError::Failed(failure) => fail(failure, Some(number), Some(line), self.log.clone()),
            StepError::Unmet(need) => BuildError::Unmet(format!("line {line}: {need}")),
            StepError::Broken { what, source } => BuildError::Broken { what, source },
        }
    }

    fn built(self, session: Session<'_>, target: usize) -> Result<Built, BuildError> {
        let Session { mut done, dialect, request, scratch, .. } = session;
        let stage = done.remove(&target).ok_or_else(|| BuildError::Broken {
            what: "put the image together".into(),
            source: "the target stage was not built".into(),
        })?;
        let config = finish::config(&stage, dialect, request.now);
        let files = scratch.into_inner().unwrap_or_default();
        let (secs, _) = request.now;
        Ok(Built {
            base_layers: stage.base_layers,
            base_history: stage.base_history.len(),
            base_name: stage.base_name.clone(),
            image: Image { config, layers: stage.layers, annotations: BTreeMap::new() },
            log: self.log,
            steps: self.steps,
            files,
            epochs: Epochs { now: Some((secs - 1, context::clock_seconds() + 1)), ..Epochs::default() },
        })
    }
}

fn instruction(stage: &mut Stage, session: &Session<'_>, node: &Instruction) -> Result<(), StepError> {
    match &node.kind {
        InstructionKind::Add(add) => transfer::add(stage, session, add)?,
        InstructionKind::Arg(arg) => metadata::arg(stage, session, arg)?,
        InstructionKind::Cmd(command) => metadata::cmd(stage, session, command),
        InstructionKind::Copy(copy) => transfer::copy(stage, session, copy)?,
        InstructionKind::Entrypoint(command) => metadata::entrypoint(stage, session, command),
        InstructionKind::Env(pairs) => metadata::env(stage, session, pairs)?,
        InstructionKind::Expose(expose) => metadata::expose(stage, session, expose)?,
        InstructionKind::Healthcheck(check) => metadata::healthcheck(stage, session, check),
        InstructionKind::Label(pairs) => metadata::label(stage, session, pairs)?,
        InstructionKind::Maintainer(name) => metadata::maintainer(stage, session, name),
        InstructionKind::Onbuild(onbuild) => metadata::onbuild(stage, session, &onbuild.expression),
        InstructionKind::Run(run) => run::run(stage, session, run)?,
        InstructionKind::Shell(words) => metadata::shell(stage, session, words),
        InstructionKind::StopSignal(word) => metadata::stop_signal(stage, session, word)?,
        InstructionKind::User(word) => metadata::user(stage, session, word)?,
        InstructionKind::Volume(volume) => metadata::volume(stage, session, &volume.paths)?,
        InstructionKind::Workdir(word) => {
            let path = stage.word(&session.expander, &word.text)?;
            workdir::workdir(stage, session, &path)?;
        }
    }
    Ok(())
}

/// What a stage starts from: nothing, an earlier stage, or an image.
fn from(image: &str, session: &Session<'_>) -> Result<Stage, StepError> {
    let name = session.expander.word(image, &visible_globals(session)).map_err(|error| StepFailure {
        class: error.class.slug(),
        message: error.message,
        builder_message: Some(error.builder_message),
    })?;
    if name.is_empty() {
        return Err(StepFailure::new(
            "blank-from",
            format!("find the base image `{image}`: it is blank after expansion"),
        )
        .into());
    }
    let mut stage = match session
        .names
        .iter()
        .rposition(|known| known.as_deref() == Some(name.to_lowercase().as_str()))
    {
        Some(index) => on_stage(session, index)?,
        None if name == "scratch" => {
            let mut stage = Stage::scratch();
            if session.dialect.image.scratch_workdir == ScratchWorkdir::Root {
                stage.config.working_dir = "/".into();
            }
            stage
        }
        None => on_image(&name, session)?,
    };
    if stage.config.get_env("PATH").is_none() {
        stage.config.set_env("PATH", config::DEFAULT_PATH);
    }
    Ok(stage)
}

fn on_stage(session: &Session<'_>, index: usize) -> Result<Stage, StepError> {
    let parent = session
        .done
        .get(&index)
        .ok_or_else(|| StepFailure::new("later-stage", "start from a stage that is not built"))?;
    let inherited = match session.dialect.image.stage_args {
        StageArgs::Fresh => Vec::new(),
        StageArgs::Inherited => parent.args.for_run(&parent.config),
    };
    let args = Args { inherited, ..Args::with_proxies(&session.request.build_args) };
    Ok(Stage { args, cmd_set: false, ..parent.clone() })
}

fn on_image(name: &str, session: &Session<'_>) -> Result<Stage, StepError> {
    let image = session
        .request
        .images
        .find(name)
        .map_err(|error| StepFailure::new("image-not-found", error.to_string()))?;
    let tree = image.tree().map_err(StepError::broken("read the base image"))?;
    let identity = Stage::identity(&image.layers).unwrap_or_else(|| Digest::of(name.as_bytes()));
    let mut platform = image.config.clone();
    for field in [
        "config",
        "container_config",
        "history",
        "rootfs",
        "created",
        "author",
        "container",
        "docker_version",
        "id",
        "parent",
    ] {
        platform.shift_remove(field);
    }
    Ok(Stage {
        rootfs: crate::rootfs::Rootfs::on_base(tree.clone(), identity),
        tree,
        base_layers: image.layers.len(),
        base_history: image.history().to_vec(),
        base_name: Some(name.to_owned()),
        platform,
        config: Config::of_image(&image.config),
        layers: image.layers,
        args: Args::with_proxies(&session.request.build_args),
        ..Stage::scratch()
    })
}

fn visible_globals(session: &Session<'_>) -> Vec<(String, String)> {
    let platform = [
        "TARGETPLATFORM",
        "TARGETOS",
        "TARGETARCH",
        "TARGETVARIANT",
        "BUILDPLATFORM",
        "BUILDOS",
        "BUILDARCH",
        "BUILDVARIANT",
    ]
    .into_iter()
    .filter_map(|name| session.platform_arg(name).map(|value| (name.to_owned(), value)));
    let own = session
        .global_args
        .iter()
        .filter_map(|(name, value)| value.clone().map(|value| (name.clone(), value)));
    platform.chain(own).collect()
}

fn fail(failure: StepFailure, step: Option<usize>, line: Option<usize>, log: Vec<String>) -> BuildError {
    let StepFailure { class, message, builder_message } = failure;
    BuildError::Failed(Box::new(Failure { step, line, column: None, class, message, builder_message, log }))
}

fn syntax_failure(error: &SyntaxError, line: Option<usize>) -> BuildError {
    BuildError::Failed(Box::new(syntax(error, line)))
}

fn syntax(error: &SyntaxError, line: Option<usize>) -> Failure {
    Failure {
        step: None,
        line: Some(line.unwrap_or(error.line)),
        column: line.is_none().then_some(error.column),
        class: error.class.slug(),
        message: error.message.clone(),
        builder_message: error.builder_message.clone(),
        log: Vec::new(),
    }
}
