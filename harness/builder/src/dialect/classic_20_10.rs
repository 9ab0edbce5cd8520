//! Docker Engine 20.10, the classic builder (`DOCKER_BUILDKIT=0`), overlay2. Seen in builds of Debian's
//! 20.10.24+dfsg1, which also names itself in every configuration.

use samebuild_dockerfile::Syntax;
use samebuild_image::layer_write::TarStyle;

use super::{
    ArgsEscaped, Dialect, EmptyStep, HealthcheckNone, IgnoreFileName, IgnoredParents, Link, OnbuildHistory,
    PlatformArgs, ScratchWorkdir, StageArgs, UnknownOwner, WorkdirOwner,
};
use crate::config::Schema;
use crate::delta::LayerForm;
use crate::history::HistoryText;
use crate::steps::copy::{
    ArchiveOwner, CopyRules, DirectoryOverOther, DirectoryParents, DirectoryTime, Fifos, FileOverDirectory,
    GlobWithoutMatch, OutsideContext, Setuid, SeveralToAFile,
};
use crate::steps::run::{Groups, Hostname, MountPoints, MountTargets, RunRules, Volumes};

/// See the top of this file.
pub const CLASSIC_20_10: Dialect = Dialect {
    id: "classic@20.10",
    about: "Docker Engine 20.10, classic builder, overlay2",
    syntax: Syntax::CLASSIC_20_10,
    schema: Schema::DockerEngine { version: "20.10.24+dfsg1" },
    history: HistoryText::NopComment,
    layer_form: LayerForm::UpperDirectory,
    tar: TarStyle::TYPED,
    empty_step: EmptyStep::NoLayer,
    stage_args: StageArgs::Fresh,
    workdir_owner: WorkdirOwner::Root,
    unknown_owner: UnknownOwner::Fails,
    scratch_workdir: ScratchWorkdir::Unset,
    healthcheck_none: HealthcheckNone::KeepsOptions,
    args_escaped: ArgsEscaped::Absent,
    onbuild_history: OnbuildHistory::Recorded,
    ignore_file: IgnoreFileName::Root,
    platform_args: PlatformArgs::Absent,
    link: Link::AsWithout,
    ignored_parents: IgnoredParents::MadeNow,
    copy: CopyRules {
        glob_without_match: GlobWithoutMatch::Fails,
        several_to_a_file: SeveralToAFile::Fails,
        outside_context: OutsideContext::Fails,
        file_over_directory: FileOverDirectory::Replaces,
        directory_over_other: DirectoryOverOther::Replaces,
        directory_time: DirectoryTime::WhenChanged,
        directory_parents: DirectoryParents::Root,
        setuid: Setuid::Lost,
        archive_owner: ArchiveOwner::FromArchive,
        fifos: Fifos::Copied,
    },
    run: RunRules {
        mount_points: MountPoints::LayerBelow,
        volumes: Volumes::MountedAside,
        hostname: Hostname::ContainerId,
        groups: Groups::WithOwn,
        mount_targets: MountTargets::Left,
    },
};
