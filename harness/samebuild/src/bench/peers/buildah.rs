//! The buildah on PATH, in a storage of its own that is empty each time but for the base. Uncompressed, as its storage is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Means, Peer};
use crate::bench::cost::{Cost, measured};
use crate::programs::on_path;

struct Buildah<'a> {
    program: PathBuf,
    means: &'a Means<'a>,
}

pub(super) fn open<'a>(means: &'a Means<'a>) -> Result<Box<dyn Peer + 'a>, String> {
    let program = on_path("buildah").ok_or("there is no buildah on PATH")?;
    if !samebuild_builder::sandbox::standing().is_root() {
        return Err("buildah's overlays need root".to_owned());
    }
    Ok(Box::new(Buildah { program, means }))
}

impl Peer for Buildah<'_> {
    fn id(&self) -> &'static str {
        "buildah"
    }

    fn dialect(&self) -> Option<&str> {
        None
    }

    fn build(&self, context: &Path) -> Result<Cost> {
        let storage = tempfile::Builder::new().prefix("buildah-").tempdir_in(self.means.room);
        self.once(context, storage.context("make an empty storage")?.path(), "--no-cache")
    }

    fn rebuild(&self, context: &Path) -> Option<Result<Cost>> {
        Some(self.once(context, &self.means.room.join("buildah-kept"), "--layers"))
    }
}

impl Buildah<'_> {
    fn once(&self, context: &Path, storage: &Path, how: &str) -> Result<Cost> {
        let (root, run) = (storage.join("root"), storage.join("run"));
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&root).arg("--runroot").arg(&run).args(["--storage-driver", "overlay"]);
        command.args(["build", how, "--isolation", "oci", "--network", "none", "--from"]);
        command.arg(format!("docker-archive:{}", self.means.base.archive.display()));
        command.args(["--tag", "samebuild.test/bench:1"]).arg(context);
        let (cost, ending) = measured(&command)?;
        // Its storage leaves a mount behind.
        let _ = nix::mount::umount2(&root.join("overlay"), nix::mount::MntFlags::MNT_DETACH);
        if !ending.is_good() {
            bail!("{ending}");
        }
        Ok(cost)
    }
}
