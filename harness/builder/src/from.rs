//! FROM: what a stage starts from, and which arguments its line can see.

use samebuild_dockerfile::Word;
use samebuild_dockerfile::plan::Origin;
use samebuild_image::Digest;

use crate::config::{self, Config};
use crate::dialect::rules::{ScratchWorkdir, StageArgs};
use crate::failure::StepFailure;
use crate::session::{Session, StepError};
use crate::stage::{Args, Stage};

/// What a stage starts from: nothing, an earlier stage, or an image.
pub(crate) fn from(image: &Word, stage: usize, session: &Session<'_>) -> Result<Stage, StepError> {
    named(&image.text, stage, session).map_err(|error| match error {
        StepError::Failed(failure) => StepError::Failed(failure.at(image.span)),
        other => other,
    })
}

fn named(image: &str, stage: usize, session: &Session<'_>) -> Result<Stage, StepError> {
    let name = session
        .expander
        .word(image, &visible_globals(session))
        .map_err(|error| StepFailure::new(error.class.slug(), error.message).says(error.builder_message))?;
    if name.is_empty() {
        return Err(StepFailure::new(
            "blank-from",
            format!("find the base image `{image}`: it is blank after expansion"),
        )
        .into());
    }
    let mut stage = match session.dockerfile.base_of(stage, &name, &session.dialect.syntax) {
        Origin::Stage(index) => on_stage(session, index)?,
        Origin::Scratch => {
            let mut stage = Stage::scratch();
            if session.dialect.image.scratch_workdir == ScratchWorkdir::Root {
                stage.config.working_dir = "/".into();
            }
            stage
        }
        Origin::Image(name) => on_image(&name, session)?,
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
    let repository =
        name.split(['@']).next().unwrap_or(name).rsplit_once(':').map_or(name, |(repository, _)| repository);
    if repository.rsplit('/').next().is_some_and(|last| last.chars().any(char::is_uppercase)) {
        let message = format!("find the base image `{name}`: the name of a repository is in lower case");
        return Err(StepFailure::new("bad-image-name", message).into());
    }
    let image = session
        .request
        .images
        .find(name)
        .map_err(|error| StepFailure::new("image-not-found", error.to_string()))?;
    let tree = session.request.images.tree(name, &image).map_err(StepError::broken("read the base image"))?;
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
        base_config: Some(image.config),
        layers: image.layers,
        args: Args::with_proxies(&session.request.build_args),
        ..Stage::scratch()
    })
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
    .filter_map(|name| session.platform_arg(name).map(|value| (name.to_owned(), value)));
    let own = session
        .global_args
        .iter()
        .filter_map(|(name, value)| value.clone().map(|value| (name.clone(), value)));
    platform.chain(own).collect()
}
