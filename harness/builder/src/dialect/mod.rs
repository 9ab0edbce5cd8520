//! Dialects: one builder at one version, as a value for every decision. Where a decision matters is where it is used;
//! here they are only put together. A new version is one file: `..PARENT` plus what changed.

mod buildkit_20_10;
mod buildkit_26_1;
mod buildkit_26_1_containerd;
mod buildkit_head;
mod classic_20_10;

use samebuild_dockerfile::Syntax;
use samebuild_image::layer_write::TarStyle;

pub use buildkit_20_10::BUILDKIT_20_10;
pub use buildkit_26_1::BUILDKIT_26_1;
pub use buildkit_26_1_containerd::BUILDKIT_26_1_CONTAINERD;
pub use buildkit_head::BUILDKIT_HEAD;
pub use classic_20_10::CLASSIC_20_10;

use crate::config::Schema;
use crate::delta::LayerForm;
use crate::history::HistoryText;
use crate::steps::copy::CopyRules;
use crate::steps::run::RunRules;

/// A builder at a version.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// `classic@20.10`.
    pub id: &'static str,
    /// What the builder is, in words.
    pub about: &'static str,
    /// How the Dockerfile is read.
    pub syntax: Syntax,
    /// Which configuration fields are written.
    pub schema: Schema,
    /// How instructions are told in the history.
    pub history: HistoryText,
    /// How a layer is found and written down.
    pub layer_form: LayerForm,
    /// How its tar is written.
    pub tar: TarStyle,
    /// A RUN or WORKDIR that changes nothing.
    pub empty_step: EmptyStep,
    /// Whether `FROM stage` takes the stage's ARG values along.
    pub stage_args: StageArgs,
    /// Who owns directories WORKDIR makes.
    pub workdir_owner: WorkdirOwner,
    /// `--chown` with a name that the image's /etc/passwd does not have.
    pub unknown_owner: UnknownOwner,
    /// The working directory of an image from scratch.
    pub scratch_workdir: ScratchWorkdir,
    /// What a HEALTHCHECK keeps of an earlier one.
    pub healthcheck_none: HealthcheckNone,
    /// Whether `ArgsEscaped` is set with CMD.
    pub args_escaped: ArgsEscaped,
    /// Whether ONBUILD has a line in the history.
    pub onbuild_history: OnbuildHistory,
    /// Which file says what of the context is left out.
    pub ignore_file: IgnoreFileName,
    /// Arguments every stage can declare without a value of their own.
    pub platform_args: PlatformArgs,
    /// What `COPY --link` does, where there is such a flag.
    pub link: Link,
    /// Directories that are left out of the context but hold something that is not.
    pub ignored_parents: IgnoredParents,
    pub copy: CopyRules,
    pub run: RunRules,
}

/// A RUN or WORKDIR that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyStep {
    /// No layer; the history entry says `empty_layer`.
    NoLayer,
    /// A layer with nothing in it.
    EmptyLayer,
}

/// ARG values across `FROM stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageArgs {
    Fresh,
    Inherited,
}

/// Owner of directories WORKDIR makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkdirOwner {
    Root,
    CurrentUser,
}

/// `--chown` with an unknown name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownOwner {
    Fails,
    /// Root's, without a word.
    IsRoot,
}

/// Working directory of an image from scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScratchWorkdir {
    Unset,
    Root,
}

/// A HEALTHCHECK after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthcheckNone {
    /// Interval, timeout and retries that are not given stay as they were, even with NONE.
    KeepsOptions,
    Replaces,
}

/// `ArgsEscaped` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgsEscaped {
    Absent,
    SetWithCmd,
}

/// ONBUILD in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnbuildHistory {
    Recorded,
    Absent,
}

/// Where the list of ignored files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreFileName {
    /// `.dockerignore` at the context's root.
    Root,
    /// `<Dockerfile>.dockerignore` if there is one, else that at the root.
    BesideDockerfile,
}

/// `TARGETARCH` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformArgs {
    Absent,
    Predefined,
}

/// `COPY --link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The same as without: nothing is merged on this store.
    AsWithout,
    /// A layer of its own that knows nothing of what lies below: symbolic links there are not followed.
    OwnLayer,
}

/// Directories above something that `!` brings back into the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoredParents {
    /// Made anew.
    MadeNow,
    /// As they are in the context.
    AsInContext,
}

/// Every dialect, parents before children.
pub const DIALECTS: [&Dialect; 5] =
    [&CLASSIC_20_10, &BUILDKIT_20_10, &BUILDKIT_26_1, &BUILDKIT_26_1_CONTAINERD, &BUILDKIT_HEAD];

/// There is no such dialect.
#[derive(Debug, thiserror::Error)]
#[error("find the dialect `{0}`; there are: {list}; `samebuild dialects` says what they are", list = ids())]
pub struct UnknownDialect(pub String);

/// The dialect called `id`.
pub fn find(id: &str) -> Result<&'static Dialect, UnknownDialect> {
    DIALECTS.into_iter().find(|dialect| dialect.id == id).ok_or_else(|| UnknownDialect(id.to_owned()))
}

fn ids() -> String {
    DIALECTS.map(|dialect| dialect.id).join(", ")
}
