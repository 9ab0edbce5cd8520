//! Docker Engine 20.10, the BuildKit inside it (v0.8), overlay2. Seen in builds of Debian's 20.10.24+dfsg1.

use samebuild_dockerfile::Syntax;

use super::rules::{
    ArgAfterEnv, ArgsEscaped, BareFrom, ChownGroup, EmptyCommand, EmptyStep, FailureOrder, ForeignBase,
    GlobalArgDefault, GlobalArgLine, HealthcheckNone, IgnoreFileName, IgnoredParents, ImageRules,
    OwnerNumber, PlatformArgs, ScratchWorkdir, StageArgs, UnknownOwner, WorkdirEmpty, WorkdirOwner,
};
use super::{CLASSIC_20_10, Dialect};
use crate::config::Schema;
use crate::history::{CopyFlags, HistoryRules, HistoryText, OnbuildHistory};
use crate::steps::copy::{
    ArchiveOwner, BadPattern, ChmodSpecial, CopyRules, Devices, DirectoryOverOther, DirectoryParents,
    DirectoryTime, Fifos, FileOverDirectory, GlobSlash, GlobWithoutMatch, HardLinks, OutsideContext,
    OwnerLookedUp, Setuid, SeveralToAFile, UrlName,
};
use crate::steps::run::{Groups, Hostname, LoneUid, MountPoints, NotFound, RunRules, Volumes};

/// See the top of this file.
pub const BUILDKIT_20_10: Dialect = Dialect {
    id: "buildkit@20.10",
    about: "Docker Engine 20.10, its BuildKit (v0.8), overlay2",
    syntax: Syntax::BUILDKIT_20_10,
    image: ImageRules {
        global_arg_default: GlobalArgDefault::IsEmpty,
        schema: Schema::OnlyPresentAndOnBuild,
        empty_step: EmptyStep::EmptyLayer,
        stage_args: StageArgs::Inherited,
        workdir_owner: WorkdirOwner::CurrentUser,
        failure_order: FailureOrder::ConvertedFirst,
        workdir_empty: WorkdirEmpty::Nothing,
        empty_command: EmptyCommand::EmptyText,
        global_arg_line: GlobalArgLine::Earlier,
        bare_from: BareFrom::OwnImage,
        chown_group: ChownGroup::OfTheUser,
        arg_after_env: ArgAfterEnv::LastWins,
        owner_number: OwnerNumber::ThirtyTwoBits,
        unknown_owner: UnknownOwner::IsRootIfListed,
        scratch_workdir: ScratchWorkdir::Root,
        healthcheck_none: HealthcheckNone::Replaces,
        args_escaped: ArgsEscaped::SetWithCmd,
        ignore_file: IgnoreFileName::BesideDockerfile,
        ignored_parents: IgnoredParents::FilledNow,
        platform_args: PlatformArgs::Predefined,
        foreign_base: ForeignBase::PassedOver,
        ..CLASSIC_20_10.image
    },
    history: HistoryRules {
        text: HistoryText::Source,
        copy_flags: CopyFlags::Omitted,
        onbuild: OnbuildHistory::Absent,
        ..CLASSIC_20_10.history
    },
    copy: CopyRules {
        owner_looked_up: OwnerLookedUp::BeforeSources,
        glob_without_match: GlobWithoutMatch::NeedsDirectory,
        several_to_a_file: SeveralToAFile::EachInTurn,
        outside_context: OutsideContext::StopsAtRoot,
        file_over_directory: FileOverDirectory::Fails,
        directory_over_other: DirectoryOverOther::Fails,
        directory_parents: DirectoryParents::Owner,
        setuid: Setuid::Kept,
        chmod_special: ChmodSpecial::Lost,
        bad_pattern: BadPattern::Fails,
        glob_slash: GlobSlash::PassedOver,
        hard_links: HardLinks::OfFiles,
        archive_owner: ArchiveOwner::Destination,
        directory_time: DirectoryTime::WhenChanged,
        fifos: Fifos::LeftOut,
        devices: Devices::EmptyFiles,
        url_name: UrlName::LastComponent,
        ..CLASSIC_20_10.copy
    },
    run: RunRules {
        mount_points: MountPoints::MadeAndRemoved,
        volumes: Volumes::Ignored,
        hostname: Hostname::BuildkitSandbox,
        groups: Groups::Listed,
        not_found: NotFound::ExitCode,
        lone_uid: LoneUid::NeedsPasswd,
        ..CLASSIC_20_10.run
    },
    ..CLASSIC_20_10
};
