//! FROM: what a stage starts from, and which arguments its line can see.

use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::{FromInstruction, Instruction, InstructionKind, Word};
use samebuild_image::manifest::Platform;
use samebuild_image::{Digest, Image, Tree};

use crate::cache::base::Ground;
use crate::cache::unread::Unread;
use crate::config::{self, Config};
use crate::dialect::rules::{ForeignBase, FromPlatform, ScratchWorkdir, StageArgs};
use crate::failure::StepFailure;
use crate::platform::{self, platform_of};
use crate::session::{Session, StepError};
use crate::stage::{Args, Stage};
use crate::unpacked;

/// What a stage starts from: nothing, an earlier stage, or an image.
pub(crate) fn from(line: &FromInstruction, stage: usize, session: &Session<'_>) -> Result<Stage, StepError> {
    let globals = visible_globals(session);
    let expand = |word: &Word| {
        session.expander.word(&word.text, &globals).map_err(|error| {
            StepFailure::new(error.class.slug(), error.message).says(error.builder_message).at(word.span)
        })
    };
    let name = expand(&line.image)?;
    // The flag without a value is as good as absent.
    let heeded = session.dialect.image.from_platform == FromPlatform::Heeded;
    let platform = line.platform.as_ref().filter(|word| heeded && !word.text.is_empty()).map(|word| {
        let text = expand(word)?;
        platform_of(&text)
            .map_err(|why| StepFailure::new("bad-platform", format!("read --platform: {why}")).at(word.span))
    });
    let platform = platform.transpose()?;
    let platform = platform.as_ref().unwrap_or(&session.request.platform);
    named(&name, platform, stage, session).map_err(|error| match error {
        StepError::Failed(failure) => StepError::Failed(failure.at(line.image.span)),
        other => other,
    })
}

fn named(name: &str, platform: &Platform, stage: usize, session: &Session<'_>) -> Result<Stage, StepError> {
    if name.is_empty() {
        return Err(
            StepFailure::new("blank-from", "find the base image: its name is blank after expansion").into()
        );
    }
    let stage_index = stage;
    let mut stage = match session.dockerfile.base_of(stage, name, &session.dialect.syntax) {
        Origin::Stage(index) => on_stage(session, index)?,
        // Nothing is for any platform: what a FROM says of it does not count.
        Origin::Scratch => {
            let platform = platform::fields(&stated(&session.request.platform, session));
            let ground = Some(Ground::scratch());
            let mut stage = Stage { platform, ground, ..Stage::scratch() };
            if session.dialect.image.scratch_workdir == ScratchWorkdir::Root {
                stage.config.working_dir = "/".into();
            }
            stage
        }
        Origin::Image(name) => on_image(&name, platform, session)?,
    };
    if session.dialect.image.stage_args == StageArgs::Carried
        && let Some((_, before)) = session.done.range(..stage_index).next_back()
    {
        stage.args.inherited = before.args.for_run(&before.config);
    }
    if stage.config.get_env("PATH").is_none() {
        stage.config.set_env("PATH", config::DEFAULT_PATH);
    }
    Ok(stage)
}

/// The platform an image is said to be for.
fn stated(wanted: &Platform, session: &Session<'_>) -> Platform {
    match session.dialect.image.foreign_base {
        ForeignBase::RelabelledWithoutVariant => Platform { variant: None, ..wanted.clone() },
        ForeignBase::Kept | ForeignBase::Relabelled | ForeignBase::PassedOver => wanted.clone(),
    }
}

fn on_stage(session: &Session<'_>, index: usize) -> Result<Stage, StepError> {
    let parent = session
        .done
        .get(&index)
        .ok_or_else(|| StepFailure::new("later-stage", "start from a stage that is not built"))?;
    let inherited = match session.dialect.image.stage_args {
        StageArgs::Fresh | StageArgs::Carried => Vec::new(),
        StageArgs::Inherited => parent.args.for_run(&parent.config),
    };
    let args = Args { inherited, ..Args::with_proxies(&session.request.build_args) };
    Ok(Stage { args, cmd_set: false, ..parent.clone() })
}

fn on_image(name: &str, wanted: &Platform, session: &Session<'_>) -> Result<Stage, StepError> {
    let repository =
        name.split(['@']).next().unwrap_or(name).rsplit_once(':').map_or(name, |(repository, _)| repository);
    if repository.rsplit('/').next().is_some_and(|last| last.chars().any(char::is_uppercase)) {
        let message = format!("find the base image `{name}`: the name of a repository is in lower case");
        return Err(StepFailure::new("bad-image-name", message).into());
    }
    let asks_later = session.cache.is_some() || session.only_names;
    if (asks_later || looks_at_no_file(session))
        && let Some(outline) = session.outline(name, wanted)
    {
        let image = outline?;
        let may_be_unread = asks_later || !has_triggers(&image);
        // Without knowing what its layers are, there is nothing to look them up by.
        if let Some(ground) = Ground::image(&image).filter(|_| may_be_unread) {
            let mut stage = standing_on(name, wanted, image, Tree::new(), session);
            stage.ground = Some(ground);
            stage.unread = Unread::base(name, wanted);
            return Ok(stage);
        }
    }
    let (image, tree) = session.image(name, wanted)?;
    let ground = Ground::image(&image);
    Ok(Stage { ground, ..standing_on(name, wanted, image, tree, session) })
}

/// Whether no instruction of the Dockerfile needs a file, so that the files of its bases need never be fetched. With a cache
/// each instruction asks for them itself.
fn looks_at_no_file(session: &Session<'_>) -> bool {
    use InstructionKind::{Add, Copy, Onbuild, Run, Workdir};
    let looks = |node: &Instruction| matches!(node.kind, Add(_) | Copy(_) | Onbuild(_) | Run(_) | Workdir(_));
    let has_one_root = unpacked::is_spoken(session);
    let mut all = session.dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    !has_one_root && !session.request.witness && !all.any(looks)
}

/// Whether it has instructions for whoever starts from it.
fn has_triggers(image: &Image) -> bool {
    let triggers = image.config.get("config").and_then(|config| config.get("OnBuild"));
    triggers.and_then(serde_json::Value::as_array).is_some_and(|triggers| !triggers.is_empty())
}

/// A stage on an image whose files are `tree`, or still to be read.
fn standing_on(name: &str, wanted: &Platform, image: Image, tree: Tree, session: &Session<'_>) -> Stage {
    let identity = Stage::identity(&image.layers).unwrap_or_else(|| Digest::of(name.as_bytes()));
    let mut platform = image.config.clone();
    let is_foreign = platform::stated(&image.config).is_none_or(|stated| !wanted.takes(&stated));
    let relabelled = [ForeignBase::Relabelled, ForeignBase::RelabelledWithoutVariant]
        .contains(&session.dialect.image.foreign_base);
    if is_foreign && relabelled || !platform.contains_key("architecture") {
        platform.shift_remove("variant");
        platform.extend(platform::fields(&stated(wanted, session)));
    }
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
    Stage {
        unpacked: crate::unpacked::Root::on_base(tree.clone()),
        rootfs: crate::rootfs::Rootfs::on_base(tree.clone(), identity),
        tree,
        base_layers: image.layers.len(),
        base_history: image.history().to_vec(),
        base_name: Some(name.to_owned()),
        platform,
        config: Config::of_image(&image.config),
        base_config: Some(image.config),
        layers: image.layers,
        args: Args::with_proxies(&session.request.build_args),
        ..Stage::scratch()
    }
}

pub(crate) fn visible_globals(session: &Session<'_>) -> Vec<(String, String)> {
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
    // One that is declared without a value has none.
    .filter(|name| session.global_args.iter().all(|(known, _)| known != name))
    .filter_map(|name| session.platform_arg(name).map(|value| (name.to_owned(), value)));
    let own = session
        .global_args
        .iter()
        .filter_map(|(name, value)| value.clone().map(|value| (name.clone(), value)));
    platform.chain(own).collect()
}
