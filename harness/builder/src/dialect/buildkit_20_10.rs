//! Docker Engine 20.10, the BuildKit inside it (v0.8), overlay2. Seen in builds of Debian's 20.10.24+dfsg1.

use samebuild_dockerfile::Syntax;

use super::{
    ArgsEscaped, CLASSIC_20_10, Dialect, EmptyStep, HealthcheckNone, IgnoreFileName, OnbuildHistory,
    PlatformArgs, ScratchWorkdir, StageArgs, UnknownOwner, WorkdirOwner,
};
use crate::config::Schema;
use crate::history::{ArgText, CopyFlags, GoValues, HistoryText, RunArgs, SourceText};
use crate::steps::copy::{
    ArchiveOwner, CopyRules, DirectoryOverOther, DirectoryParents, Fifos, FileOverDirectory,
    GlobWithoutMatch, OutsideContext, Setuid, SeveralToAFile,
};
use crate::steps::run::{Groups, Hostname, MountPoints, MountTargets, RunRules, Volumes};

/// See the top of this file.
pub const BUILDKIT_20_10: Dialect = Dialect {
    id: "buildkit@20.10",
    about: "Docker Engine 20.10, its BuildKit (v0.8), overlay2",
    syntax: Syntax::BUILDKIT_20_10,
    schema: Schema::OnlyPresentAndOnBuild,
    history: HistoryText::Source(SourceText {
        copy_flags: CopyFlags::Omitted,
        values: GoValues::MapAndPointer,
        run_args: RunArgs::AsDeclared,
        arg: ArgText::Default,
    }),
    empty_step: EmptyStep::EmptyLayer,
    stage_args: StageArgs::Inherited,
    workdir_owner: WorkdirOwner::CurrentUser,
    unknown_owner: UnknownOwner::IsRoot,
    scratch_workdir: ScratchWorkdir::Root,
    healthcheck_none: HealthcheckNone::Replaces,
    args_escaped: ArgsEscaped::SetWithCmd,
    onbuild_history: OnbuildHistory::Absent,
    ignore_file: IgnoreFileName::BesideDockerfile,
    platform_args: PlatformArgs::Predefined,
    copy: CopyRules {
        glob_without_match: GlobWithoutMatch::CopiesNothing,
        several_to_a_file: SeveralToAFile::EachInTurn,
        outside_context: OutsideContext::StopsAtRoot,
        file_over_directory: FileOverDirectory::Fails,
        directory_over_other: DirectoryOverOther::Fails,
        directory_parents: DirectoryParents::Owner,
        setuid: Setuid::Kept,
        archive_owner: ArchiveOwner::Chown,
        fifos: Fifos::LeftOut,
        ..CLASSIC_20_10.copy
    },
    run: RunRules {
        mount_points: MountPoints::MadeAndRemoved,
        volumes: Volumes::Ignored,
        hostname: Hostname::Fixed("buildkitsandbox"),
        groups: Groups::Listed,
        mount_targets: MountTargets::Left,
    },
    ..CLASSIC_20_10
};
