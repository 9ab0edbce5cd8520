//! A whole build: the Dockerfile read, the stages that are needed built in order, the image put together. And where it
//! fails: which of several failures the dialect tells of.

mod anew;
mod failed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use samebuild_dockerfile::expand::Expander;
use samebuild_dockerfile::syntax::{DuplicateStage, UnusedStages};
use samebuild_dockerfile::{ArgInstruction, Dockerfile, Instruction, InstructionKind, Node};
use samebuild_image::{Epochs, Image};

pub use anew::build_into;
use failed::{Place, fail, syntax, syntax_failure};

use crate::cache::turn::{self, Damage, Turn};
use crate::cache::unread;
use crate::cache::upload::Uploader;
use crate::context;
use crate::dialect::rules::{BareFrom, Context, FailureOrder, GlobalArgDefault, GlobalArgLine, Maintainer};
use crate::failure::StepFailure;
use crate::finish;
use crate::from::{from, visible_globals};
use crate::named;
use crate::request::{BuildError, Built, Event, Failure, Images, Request, Step};
use crate::session::{Session, StepError};
use crate::stage::Stage;
use crate::stamp::{self, SourceDateEpoch, Stamp};
use crate::steps::copy::sources::NOT_FOUND;
use crate::steps::{metadata, run, transfer, workdir};
use crate::unpacked;
use crate::witness;

/// Builds.
pub fn build(request: &Request<'_>) -> Result<Built, BuildError> {
    build_without(request, &mut Damage::default())
}

/// Builds without what is damaged, as far as that is known, and without what turns out to be.
fn build_without(request: &Request<'_>, damage: &mut Damage) -> Result<Built, BuildError> {
    let dialect = request.dialect;
    let mut dockerfile = Dockerfile::parse(request.dockerfile, &dialect.syntax)
        .map_err(|error| syntax_failure(&error, None))?;
    replace_stages(&mut dockerfile, request.images);
    let named = named_in(request, &dockerfile);
    loop {
        let ended = match stages(request, &dockerfile, named.as_ref(), Pass::Build, damage) {
            Ok((builder, session)) => {
                let target = builder.target;
                builder.built(session, target)
            }
            Err(BuildError::Failed(reached))
                if dialect.image.failure_order == FailureOrder::ConvertedFirst =>
            {
                Err(BuildError::Failed(told_first(request, &dockerfile).unwrap_or(reached)))
            }
            Err(error) => Err(error),
        };
        match ended {
            Err(error) if damage.is_to_blame(&error, request) => {}
            ended => return ended,
        }
    }
}

/// What a builder tells of that converts the whole Dockerfile before it runs anything of it, and then looks for everything
/// that is copied from the context. Asked only when a build has failed: one that does not has no such failure.
fn told_first(request: &Request<'_>, dockerfile: &Dockerfile) -> Option<Box<Failure>> {
    match stages(request, dockerfile, None, Pass::Convert, &Damage::default()) {
        Ok((builder, _)) => builder.missing,
        Err(BuildError::Failed(failure)) => Some(failure),
        Err(_) => None,
    }
}

/// What the stages that are built name of the context, where nothing else of it is sent and that shows. Of a build that fails
/// before anything is run it does not.
fn named_in(request: &Request<'_>, dockerfile: &Dockerfile) -> Option<BTreeSet<String>> {
    if request.dialect.image.context == Context::Whole || !named::shows(dockerfile) {
        return None;
    }
    let damage = Damage::default();
    let (_, session) = stages(request, dockerfile, None, Pass::Name, &damage).ok()?;
    Some(std::mem::take(&mut *session.named.lock().ok()?))
}

/// What a way through the Dockerfile is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Build,
    /// To find what is told of before anything is run.
    Convert,
    /// To find what is named of the context; no file of a base is needed for that.
    Name,
}

/// Every stage that is needed, in order; or only what can be said of it before anything is run.
fn stages<'a>(
    request: &'a Request<'a>,
    dockerfile: &'a Dockerfile,
    named: Option<&BTreeSet<String>>,
    pass: Pass,
    damage: &'a Damage,
) -> Result<(Builder, Session<'a>), BuildError> {
    let dialect = request.dialect;
    let context =
        context::without_ignored(request).map_err(|failure| fail(failure, None, None, Vec::new()))?;
    let context =
        named.map_or_else(|| context.clone(), |named| named::only(&context, named, &dialect.syntax));
    let stamp = stamp(request).map_err(|failure| fail(failure, None, None, Vec::new()))?;
    let mut session = Session {
        request,
        dialect,
        converts: pass != Pass::Build,
        only_names: pass == Pass::Name,
        stamp,
        expander: Expander::new(&dialect.syntax, dockerfile.escape),
        dockerfile,
        context,
        named: Mutex::default(),
        global_args: Vec::new(),
        done: BTreeMap::new(),
        names: Vec::new(),
        cache: None,
        scratch: Mutex::default(),
        step: Default::default(),
        caches: Mutex::default(),
    };
    // A witness looks at all there is, and one root knows more of its files than layers can tell.
    let is_asked = pass == Pass::Build && !request.witness && !unpacked::is_spoken(&session);
    if let Some(cache) = request.cache.filter(|_| is_asked) {
        let room = session.scratch().map_err(|error| match error {
            StepError::Broken { what, source } => BuildError::Broken { what, source },
            StepError::Unmet { need, .. } => BuildError::Unmet(need),
            StepError::Failed(failure) => fail(failure, None, None, Vec::new()),
        })?;
        let uploader = Uploader::start(&cache.to, dialect.tar_style(), &room);
        session.cache = Some(Turn::new(cache, uploader, damage));
    }
    let mut builder = Builder { steps: Vec::new(), log: Vec::new(), number: 0, target: 0, missing: None };
    builder.global_args(dockerfile, &mut session)?;
    let (target, needed) = plan(dockerfile, &session)?;
    builder.target = target;
    session.names = dockerfile.stages.iter().map(|stage| stage.name().map(str::to_owned)).collect();
    for index in needed {
        let Some(stage) = dockerfile.stages.get(index) else { continue };
        builder.number = first_step(dockerfile, index) - 1;
        let built = builder.stage(stage, &session)?;
        session.done.insert(index, built);
    }
    Ok((builder, session))
}

/// The times the image carries: as asked for, or as the build argument says where the dialect follows it.
fn stamp(request: &Request<'_>) -> Result<Stamp, StepFailure> {
    let follows = request.dialect.image.source_date_epoch != SourceDateEpoch::Ignored;
    match (request.stamp, request.build_args.get(stamp::VARIABLE)) {
        // An empty one is none.
        (Stamp::Clock, Some(text)) if follows && !text.is_empty() => stamp::parse(text)
            .map(Stamp::Epoch)
            .map_err(|error| StepFailure::new("bad-source-date-epoch", error.to_string())),
        (stamp, _) => Ok(stamp),
    }
}

/// A stage whose name the user gave to something else is that: nothing of it is built, and what it needs is not needed.
fn replace_stages(dockerfile: &mut Dockerfile, images: &dyn Images) {
    for stage in &mut dockerfile.stages {
        if let Some(name) = stage.name().map(str::to_owned).filter(|name| images.replaces_stage(name)) {
            stage.header.kind.image.text = name;
            stage.header.kind.platform = None;
            stage.instructions.clear();
        }
    }
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
    let known = wanted.map_or(dockerfile.stages.len().checked_sub(1), |name| {
        dockerfile.target_index(name, &session.dialect.syntax)
    });
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

/// Number of the FROM of a stage: steps are counted over the whole file, global ARGs too.
fn first_step(dockerfile: &Dockerfile, index: usize) -> usize {
    let before = dockerfile.stages.iter().take(index).map(|stage| 1 + stage.instructions.len());
    dockerfile.meta_args.len() + before.sum::<usize>() + 1
}

struct Builder {
    steps: Vec<Step>,
    log: Vec<String>,
    /// Number of the last step begun.
    number: usize,
    /// The stage that becomes the image.
    target: usize,
    /// While converting: the last path that is not in the context.
    missing: Option<Box<Failure>>,
}

impl Builder {
    fn global_args(&mut self, dockerfile: &Dockerfile, session: &mut Session<'_>) -> Result<(), BuildError> {
        for node in &dockerfile.meta_args {
            self.number += 1;
            let told = Told { stage: 0, number: self.number, line: node.line, text: &node.original };
            told.around(session.progress(), || self.global_arg(node, session)).0?;
        }
        Ok(())
    }

    fn global_arg(&self, node: &Node<ArgInstruction>, session: &mut Session<'_>) -> Result<(), BuildError> {
        let before = visible_globals(session);
        for definition in &node.kind.args {
            let seen = match session.dialect.image.global_arg_line {
                GlobalArgLine::Nothing => before.clone(),
                GlobalArgLine::Earlier => visible_globals(session),
            };
            let expand = |text: &str| session.expander.word(text, &seen);
            let expanded = expand(&definition.name.text).and_then(|name| {
                let default = definition.value.as_ref().map(|value| match expand(&value.text) {
                    Err(_) if session.dialect.image.global_arg_default == GlobalArgDefault::IsEmpty => {
                        Ok(String::new())
                    }
                    expanded => expanded,
                });
                Ok((name, default.transpose()?))
            });
            let (name, default) = expanded.map_err(|error| {
                let failure = StepFailure::new(error.class.slug(), error.message).says(error.builder_message);
                let place = Place::of(node, session.dockerfile);
                fail(failure, Some(self.number), Some(place), Vec::new())
            })?;
            let value = session.build_arg(&name).or(default);
            session.global_args.push((name, value));
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
            let earlier = session.names.iter().take(stage.index).flatten();
            let twice = name.is_some_and(|name| earlier.into_iter().any(|known| known == name));
            if twice && session.dialect.syntax.duplicate_stage == DuplicateStage::Refused {
                let message =
                    format!("name the stage `{}`: an earlier one has that name", name.unwrap_or_default());
                return Err(StepFailure::new("duplicate-stage", message).into());
            }
            from(&header.kind, stage.index, session)
        })?;
        built.index = stage.index;
        let triggers = std::mem::take(&mut built.config.on_build);
        if unpacked::is_spoken(session) {
            let needed = unpacked::is_needed(session, stage, &triggers);
            unpacked::begin(&mut built, session, needed, self.steps.len() == 1)
                .map_err(|error| self.place(error, self.number, Place::of(header, session.dockerfile)))?;
        }
        let is_final = stage.index == self.target;
        let last = stage.instructions.iter().rposition(|node| !passed_over(node, session));
        for (n, trigger) in triggers.iter().enumerate() {
            let is_last = last.is_none() && n + 1 == triggers.len();
            let place = unpacked::Place { is_last, is_final };
            let ended = self.trigger(trigger, header.line, place, &mut built, session);
            self.unless_missing(ended, session)?;
        }
        for (n, instruction) in stage.instructions.iter().enumerate() {
            let layers_before = built.layers.len();
            let place = unpacked::Place { is_last: last == Some(n), is_final };
            let ended = self.step(instruction, stage.index, session, |session| {
                self::instruction(&mut built, session, instruction, place)
            });
            self.unless_missing(ended, session)?;
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
        place: unpacked::Place,
        built: &mut Stage,
        session: &Session<'_>,
    ) -> Result<(), BuildError> {
        let parsed = samebuild_dockerfile::parse_trigger(text, &session.dialect.syntax)
            .map_err(|error| syntax_failure(&error, Some(line)))?;
        self.number -= 1; // a trigger is part of the FROM that brought it
        let here = Node { line, ..parsed };
        // Its columns are those of its text, which stands in another file.
        let unplaced = |error| match error {
            BuildError::Failed(failure) => BuildError::Failed(Box::new(Failure { column: None, ..*failure })),
            other => other,
        };
        let stage = built.index;
        self.step(&here, stage, session, |session| self::instruction(built, session, &here, place))
            .map_err(unplaced)
    }

    /// While converting, what is not there is not told of before everything else has been looked at.
    fn unless_missing(
        &mut self,
        ended: Result<(), BuildError>,
        session: &Session<'_>,
    ) -> Result<(), BuildError> {
        match ended {
            Err(BuildError::Failed(failure)) if session.converts && failure.class == NOT_FOUND => {
                self.missing = Some(failure);
                Ok(())
            }
            ended => ended,
        }
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
        session.step.store(number, std::sync::atomic::Ordering::Relaxed);
        self.log.push(format!("step {number}: {}", node.original));
        let told = Told { stage, number, line: node.line, text: &node.original };
        let (outcome, elapsed) = told.around(session.progress(), || match &node.refused {
            Some(error) => {
                Err(BuildError::Failed(Box::new(Failure { step: Some(number), ..syntax(error, None) })))
            }
            None => {
                step(session).map_err(|error| self.place(error, number, Place::of(node, session.dockerfile)))
            }
        });
        let outcome = outcome?;
        self.steps.push(Step {
            number,
            stage,
            line: node.line,
            text: node.original.clone(),
            layer: None,
            cached: session.cache.as_ref().is_some_and(|turn| turn.was_found(number)),
            elapsed,
        });
        Ok(outcome)
    }

    fn place(&self, error: StepError, number: usize, place: Place<'_>) -> BuildError {
        match error {
            StepError::Failed(failure) => fail(failure, Some(number), Some(place), self.log.clone()),
            StepError::Unmet { need, at } => {
                let column = place.column(at);
                BuildError::Unmet(format!("line {}, column {column}: {need}", place.line))
            }
            StepError::Broken { what, source } => BuildError::Broken { what, source },
        }
    }

    /// Layers that nobody has looked at are read where the image cannot be told without.
    fn read_what_is_needed(&self, stage: &mut Stage, session: &Session<'_>) -> Result<(), BuildError> {
        let Some(turn) = &session.cache else { return Ok(()) };
        let changes = matches!(session.stamp, Stamp::Clamped(_) | Stamp::Set(_));
        let read = match (turn.cache.whole, changes) {
            (true, _) => unread::settle(stage, session).and_then(|()| unread::entries(stage, session)),
            (false, true) => unread::entries(stage, session),
            (false, false) => Ok(()),
        };
        let header = session.dockerfile.stages.get(stage.index).map(|stage| &stage.header);
        read.map_err(|error| match (error, header) {
            (StepError::Broken { what, source }, _) => BuildError::Broken { what, source },
            (error, Some(header)) => self.place(error, self.number, Place::of(header, session.dockerfile)),
            (error, None) => BuildError::Unmet(format!("{error:?}")),
        })
    }

    fn built(self, session: Session<'_>, target: usize) -> Result<Built, BuildError> {
        let mut session = session;
        let mut stage = session.done.remove(&target).ok_or_else(|| BuildError::Broken {
            what: "put the image together".into(),
            source: "the target stage was not built".into(),
        })?;
        self.read_what_is_needed(&mut stage, &session)?;
        let used = session.cache.as_ref().map(Turn::finish).unwrap_or_default();
        for layer in &mut stage.layers {
            if let (Some(id), None) = (layer.diff_id, &layer.blob) {
                layer.blob = used.packed.get(&id).cloned();
            }
        }
        let Session { dialect, request, scratch, stamp, .. } = session;
        let nothing = stage.last.is_none() && stage.base_name.is_none();
        if nothing && dialect.image.bare_from == BareFrom::SameImage {
            let message = "make an image of `FROM scratch` alone; add an instruction";
            let header = session.dockerfile.stages.get(target).map(|stage| &stage.header);
            let place = header.map(|node| Place::of(node, session.dockerfile));
            return Err(fail(StepFailure::new("no-image", message), Some(self.number), place, self.log));
        }
        let config = finish::config(&stage, dialect, stamp.epoch().map_or(request.now, |epoch| (epoch, 0)));
        let unrecorded = match request.witness {
            true => witness::unrecorded(&stage, dialect).map_err(|error| BuildError::Broken {
                what: "hold the image against its root".into(),
                source: Box::new(error),
            })?,
            false => Vec::new(),
        };
        stamp.date(stage.layers.get_mut(stage.base_layers..).unwrap_or_default());
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
            unrecorded,
            cache: used,
            epochs: Epochs { now: Some((secs - 1, context::clock_seconds() + 1)), ..Epochs::default() },
        })
    }
}

fn instruction(
    stage: &mut Stage,
    session: &Session<'_>,
    node: &Instruction,
    place: unpacked::Place,
) -> Result<(), StepError> {
    let in_root = unpacked::is_spoken(session);
    if in_root {
        unpacked::before(stage, session, node)?;
    }
    turn::step(stage, session, node, |stage| carry_out(stage, session, node))?;
    if in_root {
        unpacked::after(stage, session, node, place)?;
    }
    Ok(())
}

/// Whether a builder that passes MAINTAINER over does not count it as a step.
fn passed_over(node: &Instruction, session: &Session<'_>) -> bool {
    matches!(node.kind, InstructionKind::Maintainer(_))
        && session.dialect.image.maintainer == Maintainer::PassedOver
}

fn carry_out(stage: &mut Stage, session: &Session<'_>, node: &Instruction) -> Result<(), StepError> {
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

/// What is told of a step when it begins and when it ends, however it does.
struct Told<'a> {
    stage: usize,
    number: usize,
    line: usize,
    text: &'a str,
}

impl Told<'_> {
    fn around<T>(&self, progress: &(dyn Fn(Event<'_>) + Sync), step: impl FnOnce() -> T) -> (T, Duration) {
        let &Self { stage, number, line, text } = self;
        progress(Event::Step { stage, number, text });
        let begun = Instant::now();
        let outcome = step();
        let elapsed = begun.elapsed();
        progress(Event::StepEnded { stage, number, line, text, elapsed });
        (outcome, elapsed)
    }
}
