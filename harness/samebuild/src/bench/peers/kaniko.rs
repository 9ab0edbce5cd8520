//! A kaniko executor, if SAMEBUILD_KANIKO names one, in a root and in namespaces of its own. Its bases come from registries
//! only; here the base's files lie in that root already and FROM is scratch, which is less work than it would have with a
//! base.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Means, Peer};
use crate::bench::cost::{Cost, measured};
use crate::programs::kaniko::{START, find, lay_out};

struct Kaniko<'a> {
    executor: PathBuf,
    means: &'a Means<'a>,
}

pub(super) fn open<'a>(means: &'a Means<'a>) -> Result<Box<dyn Peer + 'a>, String> {
    let executor = find()?;
    if !samebuild_builder::sandbox::standing().is_root() {
        return Err("a root of kaniko's own needs root".to_owned());
    }
    Ok(Box::new(Kaniko { executor, means }))
}

/// What the executor is told.
const ARGUMENTS: &str = "--force --context dir:///workspace --dockerfile /kaniko/Dockerfile --destination \
    samebuild.test/bench --no-push --tar-path /kaniko/image.tar --snapshot-mode full";

impl Peer for Kaniko<'_> {
    fn id(&self) -> &'static str {
        "kaniko"
    }

    fn dialect(&self) -> Option<&str> {
        None
    }

    fn build(&self, context: &Path) -> Result<Cost> {
        let home = tempfile::Builder::new().prefix("kaniko-").tempdir_in(self.means.room);
        let home = home.context("make a root for kaniko")?;
        let root = home.path().join("root");
        self.lay_out(&root, context).with_context(|| format!("lay out {}", root.display()))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
        command.args(["sh", "-c", START, "sh"]).arg(&root).arg(context);
        command.args(ARGUMENTS.split_whitespace()).env("PATH", path());
        let (cost, ending) = measured(&command)?;
        if !ending.is_good() {
            bail!("{ending}");
        }
        Ok(cost)
    }
}

impl Kaniko<'_> {
    fn lay_out(&self, root: &Path, context: &Path) -> Result<()> {
        samebuild_builder::disk::write_tree(&self.means.base.tree, root)?;
        lay_out(root, &self.executor)?;
        let dockerfile = std::fs::read_to_string(context.join("Dockerfile"))?;
        let from = format!("FROM {}", self.means.base.reference);
        std::fs::write(root.join("kaniko/Dockerfile"), dockerfile.replace(&from, "FROM scratch"))?;
        Ok(())
    }
}

/// What RUN finds its programs by is what we have.
fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into())
}
