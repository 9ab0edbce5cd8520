//! A case, read and checked: what is built, how, and what is expected of whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use samebuild_image::Tree;
use serde::Deserialize;

use super::dialects::matches;
use super::id::CaseId;
use crate::served::{ARGUMENT, Page, Served};

/// The base of cases that name none.
pub(super) const USUAL_BASE: &str = "busybox";

/// One Dockerfile with its context.
#[derive(Clone, Debug)]
pub struct Case {
    pub id: CaseId,
    /// Where it lies on disk.
    pub dir: PathBuf,
    /// The Dockerfile, byte for byte.
    pub dockerfile: Arc<[u8]>,
    /// Where it is in the context; what to call it, if it is outside.
    pub dockerfile_name: String,
    /// For a Dockerfile that is no part of its context.
    pub outside: Option<Outside>,
    /// The question it asks; `None` for a directory without a `case.toml`.
    pub about: Option<String>,
    /// Where we learnt it, e.g. `moby/buildkit#790`.
    pub origin: Option<String>,
    /// What it needs beyond what each builder needs anyway.
    pub needs: BTreeSet<Need>,
    /// The name of the base image in `ci/bases.toml`.
    pub base: String,
    /// Globs of images for which the base stands in, because somebody said so.
    pub stands_for: Vec<String>,
    pub build: Build,
    /// What its own server answers while it is built; no server without.
    pub served: Vec<Page>,
    pub known: Vec<Known>,
    pub under: Vec<Under>,
    pub volatile: Vec<Volatile>,
    /// Why two builds of it make two images, where that is its nature.
    pub never_twice: Option<String>,
    /// What makes its image another one, as far as somebody wrote it down.
    pub causes: Vec<Cause>,
    /// By dialect glob, in the order of their text.
    pub(super) outcomes: BTreeMap<String, Outcome>,
    pub(super) context: Tree,
}

/// What lies beside a Dockerfile that is no part of its context.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// `<Dockerfile>.dockerignore`.
    pub ignore: Option<Arc<[u8]>>,
}

impl Case {
    /// A case nobody has described: nothing is known but how Dockerfiles are built at all.
    pub(super) fn without_description(
        dir: &std::path::Path,
        id: CaseId,
        dockerfile: Arc<[u8]>,
        context: Tree,
    ) -> Self {
        Self {
            id,
            dir: dir.to_owned(),
            dockerfile,
            dockerfile_name: "Dockerfile".to_owned(),
            outside: None,
            about: None,
            origin: None,
            needs: BTreeSet::new(),
            base: USUAL_BASE.to_owned(),
            stands_for: Vec::new(),
            build: Build::default(),
            served: Vec::new(),
            known: Vec::new(),
            under: Vec::new(),
            volatile: Vec::new(),
            never_twice: None,
            causes: Vec::new(),
            outcomes: BTreeMap::new(),
            context,
        }
    }

    /// Whether the base stands in for the image of this name.
    pub fn has_stand_in(&self, name: &str) -> bool {
        self.stands_for.iter().any(|glob| matches(glob, name))
    }

    /// What is expected of this dialect, where somebody said it.
    pub fn said_outcome(&self, dialect: &str) -> Option<Outcome> {
        (!self.outcomes.is_empty()).then(|| self.find_outcome(dialect).cloned()).flatten()
    }

    fn find_outcome(&self, dialect: &str) -> Option<&Outcome> {
        let matching = || self.outcomes.iter().find(|(glob, _)| matches(glob, dialect));
        self.outcomes.get(dialect).or_else(|| matching().map(|(_, outcome)| outcome))
    }

    /// The whole context, before `.dockerignore`, with the Dockerfile in it. Owners, modes and times are as the case
    /// says, else 0:0, 0644/0755 and [`super::CONTEXT_EPOCH`]; contents are read when they are needed.
    pub fn context_tree(&self) -> Tree {
        self.context.clone()
    }

    /// The same with another context.
    pub(crate) fn with_context(&self, context: Tree) -> Self {
        Self { context, ..self.clone() }
    }

    /// Why two builds of it need not be the same image, if case.toml says so: of itself, or of a file in it.
    pub fn volatile_why(&self) -> Option<&str> {
        self.never_twice.as_deref().or(self.volatile.first().map(|file| &*file.why))
    }

    /// What the builder of this dialect is expected to do. A name beats a glob; globs never disagree.
    pub fn outcome(&self, dialect: &str) -> Outcome {
        self.find_outcome(dialect).cloned().unwrap_or(Outcome::Builds)
    }
}

/// A case about to be built: its server runs as long as this lives.
pub struct Underway {
    server: Option<Served>,
    /// `--build-arg`s, the server's address among them.
    pub args: BTreeMap<String, String>,
}

impl Case {
    /// Starts the case's server, if it has one.
    ///
    /// # Errors
    /// There is no loopback to listen on.
    pub fn underway(&self) -> std::io::Result<Underway> {
        let server = if self.served.is_empty() { None } else { Some(Served::start(self.served.clone())?) };
        let mut args = self.build.args.clone();
        args.extend(server.as_ref().map(|server| (ARGUMENT.to_owned(), server.url())));
        Ok(Underway { server, args })
    }
}

impl Underway {
    /// The address of the server: `http://127.0.0.1:PORT`.
    pub fn server(&self) -> Option<String> {
        self.server.as_ref().map(Served::url)
    }
}

/// What a builder does with a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Builds,
    Fails {
        /// Number of the instruction from 1 over all stages that are built, FROM counted; 0 where the Dockerfile does not
        /// parse.
        step: u32,
        /// Stable slug, as in `samebuild_builder::Failure`; `None` where any failure will do.
        class: Option<String>,
    },
    /// No result, ever (kaniko reading a FIFO).
    Hangs,
}

/// What not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Being root: devices, or owners beyond those a user namespace maps.
    Root,
    /// The machine's network.
    Network,
    /// A file system with `user.` attributes.
    Xattr,
    /// Packages of a distribution, which our own base has not.
    Packages,
}

/// How the builder is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// `--target`.
    pub target: Option<String>,
    /// `--build-arg`.
    pub args: BTreeMap<String, String>,
    pub secrets: Vec<Secret>,
    /// `--platform`.
    pub platform: Option<String>,
    pub network: Network,
    /// Further options of a builder's own command line, by builder.
    pub flags: BTreeMap<String, Vec<String>>,
}

/// `--secret id=…` with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    pub id: String,
    pub text: String,
}

/// The network that RUN has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    #[default]
    None,
    Host,
}

/// A documented infidelity of one dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub dialect: String,
    /// Name of a difference rule.
    pub rule: String,
    /// Glob of places in the image; `None` for a rule that is not about a place.
    pub at: Option<String>,
    pub why: String,
}

/// The case once more, with a fault installed.
#[derive(Clone, Debug, PartialEq)]
pub struct Under {
    pub fault: String,
    /// Globs of the dialects in which it is tried; empty for all.
    pub dialects: Vec<String>,
    pub with: toml::Table,
    pub expect: Expect,
}

impl Under {
    /// Whether it is tried in this dialect.
    pub fn is_of(&self, dialect: &str) -> bool {
        self.dialects.is_empty() || self.dialects.iter().any(|glob| matches(glob, dialect))
    }
}

/// What a fault may do to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Same,
    Different,
}

/// A file whose content depends on the run or the host: it is there, but its bytes are not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volatile {
    pub at: samebuild_image::At,
    pub why: String,
    /// The row of [`samebuild_compare::CAUSES`] that explains it, where the case says.
    pub cause: Option<String>,
}

/// What `samebuild check` is to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Which change of the circumstances; `nothing` where two builds differ although nothing was changed.
    pub factor: String,
    /// Globs of the dialects in which it does; empty for all.
    pub dialects: Vec<String>,
    /// Glob of places in the image; `None` for anywhere.
    pub at: Option<String>,
    pub why: String,
    /// As [`Volatile::cause`].
    pub cause: Option<String>,
}
