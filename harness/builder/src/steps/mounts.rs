//! `RUN --mount`: what is mounted where while the command runs. Only what the mount leaves behind, a mount point, can get
//! into the image.

use std::path::Path;
use std::sync::PoisonError;

use samebuild_dockerfile::RunInstruction;
use samebuild_dockerfile::mount::{Mount as Flag, MountError, MountType};
use samebuild_image::{At, Content, Kind, Meta, Mtime, Tree};

use super::container::subtree;
use super::run::MountTargets;
use crate::failure::StepFailure;
use crate::materialise::MaterialiseError;
use crate::sandbox::{Bind, Mount, MountKind, Stub};
use crate::session::{Session, StepError};
use crate::stage::Stage;

/// What one RUN's mounts need.
#[derive(Default)]
pub struct Mounts {
    pub mounts: Vec<Mount>,
    pub stubs: Vec<Stub>,
    /// Secrets given as variables.
    pub env: Vec<(String, String)>,
}

/// Prepares every `--mount` of `run` below `scratch`.
pub fn prepare(
    stage: &Stage,
    session: &Session<'_>,
    run: &RunInstruction,
    scratch: &Path,
) -> Result<Mounts, StepError> {
    let mut out = Mounts::default();
    for (n, flag) in run.mounts.iter().enumerate() {
        let mount = flag.resolve(&session.dialect.syntax, |word| stage.word(&session.expander, word))?;
        one(stage, session, &mount, &scratch.join(format!("mount-{n}")), &mut out)?;
    }
    Ok(out)
}

/// While converting: what it takes of the context. What cannot be mounted is told of when it is.
pub fn name(stage: &Stage, session: &Session<'_>, run: &RunInstruction) -> Result<(), StepError> {
    for flag in &run.mounts {
        let mount = flag.resolve(&session.dialect.syntax, |word| stage.word(&session.expander, word));
        if let Ok(mount) = mount
            && mount.kind == MountType::Bind
            && mount.from.is_none()
        {
            session.named.lock().unwrap_or_else(PoisonError::into_inner).insert(mount.source);
        }
    }
    Ok(())
}

impl From<MountError> for StepFailure {
    fn from(error: MountError) -> Self {
        Self::new("bad-mount", error.to_string()).says(error.builder_message)
    }
}

fn one(
    stage: &Stage,
    session: &Session<'_>,
    mount: &Flag,
    home: &Path,
    out: &mut Mounts,
) -> Result<(), StepError> {
    if mount.kind == MountType::Ssh {
        return Err(no_ssh());
    }
    let target = target(stage, mount)?;
    let kind = match mount.kind {
        MountType::Tmpfs => MountKind::Tmpfs { size: mount.size_bytes, mode: 0o1777 },
        MountType::Bind => bind(stage, session, mount, home)?,
        MountType::Cache => cache(session, mount, &target)?,
        MountType::Secret => match secret(session, mount, home, out)? {
            Some(kind) => kind,
            None => return Ok(()),
        },
        MountType::Ssh => return Err(no_ssh()),
    };
    let is_dir = !matches!(mount.kind, MountType::Secret)
        && !matches!(&kind, MountKind::Bind(bind) if bind.source.is_file());
    let at = stage
        .tree
        .resolve(&target, true)
        .map_err(|error| StepFailure::new("symlink-loop", error.to_string()))?;
    let left = session.dialect.run.mount_targets == MountTargets::Left;
    out.stubs.push(Stub { at: at.to_string(), is_dir, keep: left && is_dir, parents_too: !left });
    out.mounts.push(Mount { at: at.to_string(), kind });
    Ok(())
}

fn no_ssh() -> StepError {
    StepFailure::unsupported("RUN --mount=type=ssh").into()
}

/// Relative targets join the working directory; a secret without one goes to /run/secrets.
fn target(stage: &Stage, mount: &Flag) -> Result<String, StepFailure> {
    if mount.kind == MountType::Secret && mount.target.is_empty() {
        return Ok(format!("/run/secrets/{}", secret_id(mount)));
    }
    let target = if mount.target.starts_with('/') {
        mount.target.clone()
    } else {
        format!("{}/{}", stage.config.working_dir, mount.target)
    };
    if At::clean(&target).is_root() {
        return Err(StepFailure::new(
            "bad-mount",
            format!(
                "mount {} at `{}`: it would hide the whole root; name a directory",
                mount.kind.name(),
                mount.target
            ),
        ));
    }
    Ok(target)
}

fn bind(stage: &Stage, session: &Session<'_>, mount: &Flag, home: &Path) -> Result<MountKind, StepError> {
    let from = match &mount.from {
        Some(name) => session.tree_named(stage.index, name)?,
        None => session.context.clone(),
    };
    let source = from
        .resolve(&mount.source, true)
        .map_err(|error| StepFailure::new("symlink-loop", error.to_string()))?;
    let Some(inode) = from.get(&source) else {
        return Err(StepFailure::new(
            "mount-not-found",
            format!("mount {}: it is not there to bind", mount.source),
        )
        .into());
    };
    let broken = |error: MaterialiseError| error.in_step("fill a mount");
    if inode.kind.is_dir() {
        crate::materialise::tree(&subtree(&from, &source), home).map_err(broken)?;
        // Writes are allowed with `rw`, and thrown away.
        return Ok(MountKind::Bind(Bind { source: home.to_owned(), read_only: mount.read_only }));
    }
    let mut one = Tree::new();
    one.insert(&At::from("file"), inode.kind.clone(), inode.meta.clone());
    crate::materialise::tree(&one, home).map_err(broken)?;
    Ok(MountKind::Bind(Bind { source: home.join("file"), read_only: mount.read_only }))
}

/// A cache lives as long as the build: every build starts cold. How builds share one (`sharing=`) matters only between
/// builds that run at the same time.
fn cache(session: &Session<'_>, mount: &Flag, target: &str) -> Result<MountKind, StepError> {
    let id = mount.id.clone().unwrap_or_else(|| At::clean(target).to_string());
    // A cache that begins otherwise is another cache.
    let begins = (&mount.uid, &mount.gid, &mount.mode, &mount.from, &mount.source);
    let source = session.cache_dir(&format!("{id} {begins:?}"))?;
    if std::fs::read_dir(&source).map_err(StepError::broken("look into a cache"))?.next().is_none() {
        let meta = Meta {
            uid: mount.uid.unwrap_or(0).into(),
            gid: mount.gid.unwrap_or(0).into(),
            ..Meta::new(mount.mode.unwrap_or(0o755), session.now())
        };
        let mut tree = match &mount.from {
            Some(name) => {
                let from = session.tree_named(0, name)?;
                let at = from
                    .resolve(&mount.source, true)
                    .map_err(|e| StepFailure::new("symlink-loop", e.to_string()))?;
                subtree(&from, &at)
            }
            None => Tree::new(),
        };
        if let Some(root) = tree.meta_mut(&At::root()) {
            *root = meta;
        }
        crate::materialise::tree(&tree, &source).map_err(|error| error.in_step("fill a cache"))?;
    }
    Ok(MountKind::Bind(Bind { source, read_only: mount.read_only }))
}

pub(crate) fn secret_id(mount: &Flag) -> String {
    mount
        .id
        .clone()
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| String::from_utf8_lossy(At::clean(&mount.target).name()).into_owned())
}

fn secret(
    session: &Session<'_>,
    mount: &Flag,
    home: &Path,
    out: &mut Mounts,
) -> Result<Option<MountKind>, StepError> {
    let id = secret_id(mount);
    let Some(value) = session.request.secrets.get(&id) else {
        if mount.required {
            let message = format!(
                "mount the secret `{id}`: it is required and was not given; pass --secret id={id},src=FILE"
            );
            return Err(StepFailure::new("secret-not-found", message).into());
        }
        return Ok(None);
    };
    if let Some(name) = &mount.env {
        out.env.push((name.clone(), String::from_utf8_lossy(value).into_owned()));
        if mount.target.is_empty() {
            return Ok(None);
        }
    }
    let mut tree = Tree::new();
    let meta = Meta {
        uid: mount.uid.unwrap_or(0).into(),
        gid: mount.gid.unwrap_or(0).into(),
        ..Meta::new(mount.mode.unwrap_or(0o400), Mtime::secs(0))
    };
    tree.insert(&At::from("secret"), Kind::File(Content::inline(value.as_slice())), meta);
    crate::materialise::tree(&tree, home).map_err(|error| error.in_step("write a secret"))?;
    Ok(Some(MountKind::Bind(Bind { source: home.join("secret"), read_only: true })))
}
