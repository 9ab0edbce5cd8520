//! Debian's buildah, with a storage of its own and settings of nobody's: found or fetched, given a base, told to build, and
//! asked for the image. Its steps run in runc, without a network where the case has none.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Around, Call, Printed, Silent};
use crate::engines::{Progress, Tools, cache_dir, tools};

/// No command takes this long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// The programs.
#[derive(Clone, Debug)]
pub struct Buildah {
    program: PathBuf,
    runtime: PathBuf,
    libraries: OsString,
    /// Upstream's: `1.28.2`.
    pub version: String,
}

/// What keeps images, and how it finds what a step changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Copies of whole directories; a walk finds what changed, by times.
    Vfs,
    /// The kernel keeps book.
    Overlay,
}

/// What a build may take from earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    Nothing,
    Steps,
}

impl Driver {
    /// As `--storage-driver` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vfs => "vfs",
            Self::Overlay => "overlay",
        }
    }
}

impl Buildah {
    /// The machine's, or Debian's from the cache; runc likewise.
    ///
    /// # Errors
    /// In a sentence: what the machine lacks, or why it cannot be fetched.
    pub fn find(progress: Progress) -> Result<Self, String> {
        if let Some(unmet) = super::unmet() {
            return Err(unmet);
        }
        let find = |package: &str| -> Result<Tools, String> {
            let cache = cache_dir().map_err(|error| error.to_string())?;
            tools(package, &[package], &cache, progress).map_err(|error| format!("failed to {error}"))
        };
        let (buildah, runc) = (find("buildah")?, find("runc")?);
        let first = |tools: &Tools| tools.programs.first().cloned().unwrap_or_default();
        let mut command = buildah.command("buildah").ok_or("buildah has no program")?;
        let said =
            command.arg("--version").output().map_err(|error| format!("buildah does not start: {error}"))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.strip_prefix("buildah version ").and_then(|rest| rest.split(' ').next());
        let version =
            version.ok_or_else(|| format!("buildah does not say its version, but `{}`", said.trim()))?;
        Ok(Self {
            program: first(&buildah),
            runtime: first(&runc),
            libraries: std::env::join_paths(buildah.libraries.iter().chain(&runc.libraries))
                .unwrap_or_default(),
            version: version.to_owned(),
        })
    }

    /// Major and minor version: `1.28`.
    pub fn series(&self) -> &str {
        self.version.rsplit_once('.').map_or(&self.version, |(series, _)| series)
    }
}

/// An empty place for images; gone, with them, when it drops.
#[derive(Debug)]
pub struct Storage {
    buildah: Buildah,
    home: tempfile::TempDir,
    driver: Driver,
}

/// Settings, none of which are the machine's.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("CONTAINERS_CONF", "containers.conf", ""),
    ("CONTAINERS_STORAGE_CONF", "storage.conf", "[storage]\ndriver = \"vfs\"\n"),
    ("CONTAINERS_REGISTRIES_CONF", "registries.conf", "unqualified-search-registries = []\n"),
    ("", "policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#),
];

impl Storage {
    /// Makes one in `work`.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn open(buildah: &Buildah, driver: Driver, work: &Path) -> std::io::Result<Self> {
        let home = tempfile::Builder::new().prefix("buildah-").tempdir_in(work)?;
        for dir in ["root", "run", "tmp"] {
            std::fs::create_dir(home.path().join(dir))?;
        }
        for (_, name, text) in SETTINGS {
            std::fs::write(home.path().join(name), text)?;
        }
        Ok(Self { buildah: buildah.clone(), home, driver })
    }

    /// Takes the image of a docker-archive in, under the name it has there.
    ///
    /// # Errors
    /// Buildah does not.
    pub fn load(&self, archive: &Path) -> Result<(), Silent> {
        let mut from = OsString::from("docker-archive:");
        from.push(archive);
        self.done("pull", [OsStr::new("--quiet"), &from])
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// Buildah does not.
    pub fn call_it(&self, image: &str, name: &str) -> Result<(), Silent> {
        let words = vec!["tag".into(), image.into(), name.into()];
        let printed = self.call(words, Around::default())?;
        if printed.is_good { Ok(()) } else { Err(refused("tag", &printed)) }
    }

    /// `buildah build`, a layer a step and nothing cached. `args` are further options, the context last. A failing build is a
    /// result.
    ///
    /// # Errors
    /// It cannot be tried, or hangs.
    pub fn build(&self, args: Vec<OsString>, around: Around<'_>) -> Result<Printed, Silent> {
        self.call(self.building(Cached::Nothing, args), around)
    }

    /// The same as a command for whoever measures it: as itself, on this machine's mounts. See [`Self::leave`].
    pub fn build_command(&self, cached: Cached, args: Vec<OsString>) -> Command {
        let mut command = Command::new(&self.buildah.program);
        command.args(self.arguments(self.building(cached, args))).envs(self.environment());
        command
    }

    /// Takes the mount down that a command left behind.
    pub fn leave(&self) {
        let at = self.home.path().join("root").join(self.driver.name());
        let _ = nix::mount::umount2(&at, nix::mount::MntFlags::MNT_DETACH);
    }

    fn building(&self, cached: Cached, args: Vec<OsString>) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["build".into(), "--layers".into()];
        words.extend((cached == Cached::Nothing).then(|| "--no-cache".into()));
        words.extend(["--pull-never", "--isolation", "oci", "--runtime"].map(Into::into));
        words.push(self.buildah.runtime.clone().into());
        words.extend(["--signature-policy".into(), self.home.path().join("policy.json").into()]);
        words.extend(args);
        words
    }

    /// Writes an image as a docker-archive.
    ///
    /// # Errors
    /// Buildah does not.
    pub fn export(&self, image: &str, file: &Path) -> Result<(), Silent> {
        let mut to = OsString::from("docker-archive:");
        to.push(file);
        to.push(format!(":{image}"));
        self.done("push", [OsStr::new("--quiet"), OsStr::new(image), &to])
    }

    fn done<const N: usize>(&self, verb: &str, args: [&OsStr; N]) -> Result<(), Silent> {
        let mut words =
            vec![verb.into(), "--signature-policy".into(), self.home.path().join("policy.json").into()];
        words.extend(args.map(ToOwned::to_owned));
        let printed = self.call(words, Around::default())?;
        if printed.is_good { Ok(()) } else { Err(refused(verb, &printed)) }
    }

    fn call(&self, words: Vec<OsString>, around: Around<'_>) -> Result<Printed, Silent> {
        let (args, env) = (self.arguments(words), self.environment());
        let files = self.home.path().join("root");
        Call { program: &self.buildah.program, args, env, files: &files, deadline: DEADLINE }.run(around)
    }

    fn arguments(&self, words: Vec<OsString>) -> Vec<OsString> {
        let at = |name: &str| self.home.path().join(name);
        let mut args: Vec<OsString> =
            vec!["--root".into(), at("root").into(), "--runroot".into(), at("run").into()];
        args.extend(["--storage-driver".into(), self.driver.name().into()]);
        args.extend(words);
        args
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let at = |name: &str| self.home.path().join(name);
        let mut env: Vec<(&'static str, OsString)> = vec![
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("HOME", at("").into()),
            ("TMPDIR", at("tmp").into()),
            ("LC_ALL", "C".into()),
        ];
        if !self.buildah.libraries.is_empty() {
            env.push(("LD_LIBRARY_PATH", self.buildah.libraries.clone()));
        }
        let named = SETTINGS.iter().filter(|(variable, ..)| !variable.is_empty());
        env.extend(named.map(|(variable, name, _)| (*variable, at(name).into())));
        env
    }
}

fn refused(verb: &str, printed: &Printed) -> Silent {
    Silent::Broken(format!("buildah {verb}: {}", printed.last()))
}
