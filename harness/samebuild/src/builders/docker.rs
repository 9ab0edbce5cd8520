//! The two builders of a Docker engine, live. The engine is `engines`' affair; here a case becomes a request, and what
//! comes back a record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use samebuild_builder::dialect;
use samebuild_dockerfile::{Dockerfile, InstructionKind};
use samebuild_image::golden::{self, Observation, Outcome, mask_message};
use samebuild_image::{At, Image};

use super::laid::{Laid, named_images};
use super::locate::{locate, timed};
use super::{Answer, Builder, Ended, Means, NO_LIE, Order, class_of, now, platform, read_as};
use crate::cases::{self, Case, as_sent, context_tar, shuffled_context_tar};
use crate::engines::{self, BuildOutcome, BuildRequest, ClientBuild, Context, Engine, EngineError};
use crate::programs::Around;

/// No build of a case takes this long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);

struct Docker<'a> {
    engine: &'a Engine,
    builder: engines::Builder,
    /// The product in words, for goldens.
    words: String,
    work: &'a std::path::Path,
    /// Bases that are loaded already, by name.
    loaded: Mutex<Vec<String>>,
    /// Held through a BuildKit build, which begins without a cache. `--no-cache` does not reach WORKDIR, whose directories
    /// then carry the time of whoever made them first; and two builds at a time share the run of a step they have in common
    /// (Docker Engine 20.10.24 and 26.1.5, cases that begin with the same WORKDIR).
    alone: Mutex<()>,
}

/// Opens the builder on the engine there is.
pub(super) fn open<'a>(
    means: &'a Means<'a>,
    builder: engines::Builder,
) -> Result<Box<dyn Builder + 'a>, String> {
    let Some(engine) = means.engine else {
        return Err(format!("{} needs an engine: --engine NAME, a row of ci/engines.toml", builder.name()));
    };
    let info = engine.info().map_err(|error| error.to_string())?;
    // The Debian revision is not what made the image.
    let version = info.version.split(['+', '~', '-']).next().unwrap_or(&info.version).to_owned();
    let product = match builder {
        engines::Builder::Classic => "classic builder",
        engines::Builder::BuildKit => "BuildKit",
    };
    let words = format!("Docker Engine {version}, {product}, {}", info.driver);
    Ok(Box::new(Docker {
        engine,
        builder,
        words,
        work: &means.work,
        loaded: Mutex::default(),
        alone: Mutex::default(),
    }))
}

impl Builder for Docker<'_> {
    fn build(&self, order: &Order<'_>) -> Answer {
        if order.around != Around::default() {
            return self.elsewhere(order);
        }
        if needs_client(order.case) && !self.engine.has_client() {
            return Answer::Unmet(format!(
                "{} has no docker client, and only a client reads .dockerignore, holds secrets and takes flags",
                self.words
            ));
        }
        if let Some(need) = foreign_run(order.case, order.dialect) {
            return Answer::Unmet(need);
        }
        let stood_in = match self.stand_in(order) {
            Ok(names) => names,
            Err(why) => return Answer::Unmet(why),
        };
        match self.try_build(order) {
            Ok(ended) => Answer::Ended(Box::new(Ended { stand_ins: stood_in, ..ended })),
            Err(why) => Answer::Broken(why),
        }
    }
}

impl Docker<'_> {
    /// A daemon has its zone and its files from its start on: another one, for this build.
    fn elsewhere(&self, order: &Order<'_>) -> Answer {
        let engine = match self.engine.another(order.around, &|_| {}) {
            Ok(engine) => engine,
            Err(error) => return Answer::Broken(error.to_string()),
        };
        let (words, work, builder) = (self.words.clone(), self.work, self.builder);
        let (loaded, alone) = (Mutex::default(), Mutex::default());
        let there = Docker { engine: &engine, builder, words, work, loaded, alone };
        let answer = there.build(&Order { around: Around::default(), ..*order });
        if matches!(answer, Answer::Ended(_)) && order.around.lag.is_some() && engine.lies() == 0 {
            return Answer::Unmet(NO_LIE.to_owned());
        }
        answer
    }

    fn try_build(&self, order: &Order<'_>) -> Result<Ended, String> {
        let say = |error: EngineError| error.to_string();
        self.load(order)?;
        // From the build to the export a `samebuild prune` beside us deletes nothing.
        let locks = self.engine.one_of_us().map_err(say)?;
        let _underway = locks.build().map_err(|error| format!("lock the engine for a build: {error}"))?;
        let tag = self.tag(order);
        let underway = order.case.underway();
        let underway = underway.map_err(|error| format!("serve the pages of {}: {error}", order.case.id))?;
        let alone = matches!(self.builder, engines::Builder::BuildKit)
            .then(|| self.alone.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if alone.is_some() && self.engine.is_private() {
            self.engine.prune_build_cache().map_err(say)?;
        }
        let (started, _) = now();
        let is_clients = needs_client(order.case) || self.engine.has_client() && takes_patterns(order);
        let outcome = if is_clients {
            self.by_client(order, &tag, &underway.args)?
        } else {
            self.by_upload(order, &tag, &underway.args)?
        };
        let built_between = (started - 1, now().0 + 1);
        drop(alone);
        match outcome {
            BuildOutcome::Built { image_id, log, times } => {
                let record = self.fetch(order, &tag, &image_id, built_between)?;
                self.engine.remove(&tag).map_err(say)?;
                let ended = self.ended(order, Outcome::Built(record), log, &times);
                Ok(Ended { image_id: Some(image_id), ..ended })
            }
            BuildOutcome::Failed { message, line, step, log, times } => {
                let failure = self.failure(order, &message, line, step.as_ref());
                Ok(self.ended(order, Outcome::Failed(failure), log, &times))
            }
        }
    }

    /// Loads the base once, whoever asks first.
    fn load(&self, order: &Order<'_>) -> Result<(), String> {
        let base = &order.base.base;
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !loaded.contains(&base.reference) {
            self.engine.load_base(&base.reference, &base.archive).map_err(|error| error.to_string())?;
            loaded.push(base.reference.clone());
        }
        Ok(())
    }

    /// Gives the base the names it stands in for, as far as FROM says them outright; only an engine of our own has them
    /// to give.
    fn stand_in(&self, order: &Order<'_>) -> Result<BTreeSet<String>, String> {
        if order.case.stands_for.is_empty() {
            return Ok(BTreeSet::new());
        }
        let names: BTreeSet<String> = named_images(order.case, read_as(order.dialect))
            .into_iter()
            .filter(|name| order.case.has_stand_in(name))
            .collect();
        self.load(order)?;
        for name in &names {
            let given = self.engine.call_it(&order.base.base.reference, name);
            given.map_err(|error| format!("let {} stand in for {name}: {error}", order.case.base))?;
        }
        Ok(names)
    }

    /// A name that no other case has: what no name may hold is told apart by a digest.
    fn tag(&self, order: &Order<'_>) -> String {
        let id = order.case.id.as_str();
        let plain =
            id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'/');
        let name = if plain {
            id.replace('/', "-")
        } else {
            format!("case-{}", &samebuild_image::Digest::of(id.as_bytes()).hex()[..16])
        };
        format!("samebuild.test/{name}:{}", self.builder.name())
    }

    /// The context as a tar, through the API.
    fn by_upload(
        &self,
        order: &Order<'_>,
        tag: &str,
        args: &BTreeMap<String, String>,
    ) -> Result<BuildOutcome, String> {
        let case = order.case;
        let tree = as_sent(case.context_tree());
        let tar = match order.shuffle {
            Some(seed) => shuffled_context_tar(&tree, seed),
            None => context_tar(&tree),
        };
        let tar = tar.map_err(|error| format!("pack the context of {}: {error}", case.id))?;
        let request = BuildRequest {
            context: Context::Bytes(tar),
            dockerfile: case.dockerfile_name.clone(),
            build_args: args.clone(),
            target: case.build.target.clone(),
            builder: self.builder,
            network: network(case),
            no_cache: true,
            tag: tag.to_owned(),
            labels: Default::default(),
            platform: case.build.platform.clone(),
            deadline: DEADLINE,
        };
        self.engine.build(&request).map_err(|error| error.to_string())
    }

    /// The context as a directory, by Docker's own client: only it reads `.dockerignore`.
    fn by_client(
        &self,
        order: &Order<'_>,
        tag: &str,
        args: &BTreeMap<String, String>,
    ) -> Result<BuildOutcome, String> {
        let case = order.case;
        let laid = Laid::out(case, self.work)?;
        let build = ClientBuild {
            secrets: laid.secrets,
            context: &laid.context,
            file: laid.file.as_deref(),
            flags: flags(case, self.builder),
            builder: self.builder,
            build_args: args,
            target: case.build.target.as_deref(),
            platform: case.build.platform.as_deref(),
            network: network(case),
            tag,
            deadline: DEADLINE,
        };
        self.engine.build_with_client(&build).map_err(|error| error.to_string())
    }

    /// The record of the image called `tag`, through a file that goes when it is read.
    fn fetch(
        &self,
        order: &Order<'_>,
        tag: &str,
        image_id: &str,
        now: (i64, i64),
    ) -> Result<golden::Record, String> {
        let dir = tempfile::Builder::new().prefix("export-").tempdir_in(self.work);
        let dir =
            dir.map_err(|error| format!("make room for an image in {}: {error}", self.work.display()))?;
        let file = dir.path().join("image.tar");
        let image = match self.engine.export(tag, &file) {
            Ok(()) => crate::stored::read_image(&file).map_err(|error| format!("{error:#}"))?.image,
            // An image of nothing but metadata cannot be saved; its configuration can be read.
            Err(EngineError::EmptyExport { .. }) => {
                let bytes = self.engine.inspect_config(image_id).map_err(|error| error.to_string())?;
                let config = serde_json::from_slice(&bytes)
                    .map_err(|error| format!("read the configuration of {tag}: {error}"))?;
                Image { config, ..Image::default() }
            }
            Err(error) => return Err(error.to_string()),
        };
        order.record(&image, Some(now)).map_err(|error| error.to_string())
    }

    fn failure(
        &self,
        order: &Order<'_>,
        message: &str,
        line: Option<u32>,
        step: Option<&engines::FailedStep>,
    ) -> golden::Failure {
        let counts_all = self.builder == engines::Builder::Classic;
        let syntax = dialect::find(order.dialect).ok().map(|dialect| &dialect.syntax);
        let place = step
            .zip(syntax)
            .and_then(|(step, syntax)| locate(&order.case.dockerfile, syntax, counts_all, step));
        let class = class_of(order.dialect, &mask_message(message, &[]));
        // Classic refuses a stage's name before it announces the step that gives it.
        let place = place.filter(|_| class != "duplicate-stage");
        golden::Failure {
            step: place.map(|(step, _)| step),
            line: line.or(place.map(|(_, line)| line)),
            class: class.to_owned(),
            message: mask_message(message, &[]),
        }
    }

    fn ended(
        &self,
        order: &Order<'_>,
        outcome: Outcome,
        log: Vec<String>,
        times: &[engines::TimedStep],
    ) -> Ended {
        let counts_all = self.builder == engines::Builder::Classic;
        let syntax = dialect::find(order.dialect).ok().map(|dialect| &dialect.syntax);
        // A builder that tells nothing at all has no times, not none of any instruction.
        let syntax = syntax.filter(|_| !times.is_empty());
        let times =
            syntax.map_or_else(Vec::new, |syntax| timed(&order.case.dockerfile, syntax, counts_all, times));
        let observation = Observation {
            seen_by: vec![order.dialect.to_owned()],
            builder: self.words.clone(),
            platform: platform(),
            outcome,
        };
        Ended { log, times, ..Ended::of(observation) }
    }
}

/// The sentence about a RUN for another platform than this machine's: an engine would need an emulator for it.
fn foreign_run(case: &Case, dialect: &str) -> Option<String> {
    let wanted = samebuild_builder::platform_of(case.build.platform.as_deref()?).ok()?;
    let own = samebuild_builder::own_platform();
    let syntax = &dialect::find(dialect).ok()?.syntax;
    let dockerfile = Dockerfile::parse(&case.dockerfile, syntax).ok()?;
    let runs = |stage: &&samebuild_dockerfile::Stage| {
        let is_run = |node: &samebuild_dockerfile::Instruction| matches!(node.kind, InstructionKind::Run(_));
        stage.from().platform.is_none() && stage.instructions.iter().any(is_run)
    };
    (wanted != own && dockerfile.stages.iter().any(|stage| runs(&stage)))
        .then(|| format!("RUN is for {wanted}, and this machine is {own}; nothing is emulated"))
}

fn network(case: &Case) -> engines::Network {
    match case.build.network {
        cases::Network::None => engines::Network::None,
        cases::Network::Host => engines::Network::Host,
    }
}

/// Whether the build takes something that only a client has: it decides what of the context is left out, files and
/// extended attributes, it holds secrets, takes flags, and finds a Dockerfile outside the context.
pub(crate) fn needs_client(case: &Case) -> bool {
    let build = &case.build;
    let has_flags = ["docker", "buildkit"].iter().any(|builder| build.flags.contains_key(*builder));
    if !build.secrets.is_empty() || has_flags || case.outside.is_some() {
        return true;
    }
    let tree = case.context_tree();
    if tree.iter().any(|(_, _, inode)| !inode.meta.xattrs.is_empty()) {
        return true;
    }
    let own = format!("{}.dockerignore", case.dockerfile_name);
    [".dockerignore", &own].iter().any(|name| tree.get(&At::from(*name)).is_some())
}

/// Whether a COPY or ADD may have a wildcard, and what it means depends on what a client sends: only what is named.
fn takes_patterns(order: &Order<'_>) -> bool {
    let spoken = dialect::DIALECTS.iter().find(|dialect| dialect.id == order.dialect);
    let text = String::from_utf8_lossy(&order.case.dockerfile);
    spoken.is_some_and(|spoken| spoken.image.context == dialect::rules::Context::OnlyNamed)
        && text.lines().any(|line| {
            let line = line.trim_start().to_ascii_uppercase();
            let line = line.trim_start_matches("ONBUILD ");
            (line.starts_with("COPY") || line.starts_with("ADD")) && line.contains(['*', '?', '[', '$'])
        })
}

/// What a case says to this builder's command line: `flags.docker` for classic, `flags.buildkit` for BuildKit.
fn flags(case: &Case, builder: engines::Builder) -> &[String] {
    let name = match builder {
        engines::Builder::Classic => "docker",
        engines::Builder::BuildKit => "buildkit",
    };
    case.build.flags.get(name).map_or(&[], Vec::as_slice)
}
