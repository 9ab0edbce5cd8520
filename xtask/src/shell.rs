//! Where the checkout is, and how its chores run other programs. What they run is `chores.rs`'s table.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, anyhow, bail};

/// The checkout this xtask belongs to.
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// As cargo tells at run time, so that a target directory shared by two checkouts does not mix them up.
    pub(crate) fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().ok_or_else(|| anyhow!("{} has no parent", manifest.display()))?;
        if !root.join("ci/gate.toml").is_file() {
            bail!("{} is not a checkout of samebuild; run `cargo xtask` inside one", root.display());
        }
        Ok(Self::at(root))
    }

    /// A checkout at `root`, unchecked.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `path` in the checkout.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Files git knows or would add, as paths relative to the root, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let sh = xshell::Shell::new()?;
        sh.change_dir(&self.root);
        let listed =
            xshell::cmd!(sh, "git -c core.quotePath=off ls-files --cached --others --exclude-standard")
                .quiet()
                .read()
                .context("list the files of the checkout; is git installed?")?;
        let mut files: Vec<String> =
            listed.lines().filter(|file| self.join(file).exists()).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The `cargo` that runs us, in the root. Goldens are checked, never rewritten behind one's back.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).env("INSTA_UPDATE", "no");
        cargo
    }

    /// Builds `samebuild` and becomes it: signals reach it directly, its exit code is ours. Returns only to say why not.
    pub(crate) fn become_samebuild(&self, verb: &str, args: &[String]) -> Result<ExitCode> {
        self.build_and_become(&[], verb, args)
    }

    /// The same with a release build, where it is speed that is asked about.
    pub(crate) fn become_released(&self, verb: &str, args: &[String]) -> Result<ExitCode> {
        self.build_and_become(&["--release"], verb, args)
    }

    fn build_and_become(&self, profile: &[&str], verb: &str, args: &[String]) -> Result<ExitCode> {
        let mut cargo = self.cargo();
        cargo.args(["run", "--quiet", "--package", "samebuild"]).args(profile).arg("--").arg(verb).args(args);
        self.build_samebuild(profile)?;
        Err(anyhow::Error::new(cargo.exec()).context("run cargo"))
    }

    /// Compiles with cargo's own progress on stderr; says nothing when there is nothing to do.
    fn build_samebuild(&self, profile: &[&str]) -> Result<()> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--package", "samebuild", "--bin", "samebuild"]).args(profile);
        // cargo's last line ("Finished") would stand above every table; its progress does not.
        if std::env::var_os("CI").is_some() || !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            cargo.arg("--quiet");
        }
        succeed(&mut cargo)
    }
}

/// Runs it; its failure is an error that names it.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().display());
    }
    Ok(())
}

/// Runs it and hands on its exit code.
pub(crate) fn code_of(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(crate::BROKEN)))
}
