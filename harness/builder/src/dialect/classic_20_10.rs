//! Docker Engine 20.10, the classic builder (`DOCKER_BUILDKIT=0`), overlay2. Seen in builds of Debian's
//! 20.10.24+dfsg1, which also names itself in every configuration.

use samebuild_dockerfile::Syntax;

use super::Dialect;
use super::rules::{
    ArgAfterEnv, ArgsEscaped, BareFrom, ChownGroup, EmptyCommand, EmptyStep, ForeignBase, GlobalArgLine,
    HealthcheckNone, IgnoreFileName, IgnoredParents, ImageRules, Link, PlatformArgs, ScratchWorkdir,
    StageArgs, TarHeader, UnknownOwner, WorkdirEmpty, WorkdirOwner, WorkdirText,
};
use crate::config::Schema;
use crate::delta::LayerForm;
use crate::history::{
    ArgText, ChownText, CopyFlags, GoValues, HistoryRules, HistoryText, OnbuildHistory, RunArgs,
};
use crate::stamp::SourceDateEpoch;
use crate::steps::copy::{
    ArchiveOwner, BadPattern, ChecksumOfLocal, ChmodOfMade, ChmodSpecial, ChmodWord, CopyRules, Devices,
    DirectoryOverOther, DirectoryParents, DirectoryTime, DotDestination, Fifos, FileOverDirectory, GlobSlash,
    GlobWithoutMatch, HardLinks, HeredocSources, OutsideContext, Setuid, SeveralToAFile, UrlChecksum,
    UrlName,
};
use crate::steps::run::{
    Groups, Heredocs, Hostname, LoneUid, MountPoints, MountTargets, NotFound, RunRules, Volumes,
};

/// See the top of this file.
pub const CLASSIC_20_10: Dialect = Dialect {
    id: "classic@20.10",
    about: "Docker Engine 20.10, classic builder, overlay2",
    engine_version: "20.10.24+dfsg1",
    syntax: Syntax::CLASSIC_20_10,
    image: ImageRules {
        schema: Schema::EveryField,
        layer_form: LayerForm::UpperDirectory,
        tar_header: TarHeader::TypeAndPermissions,
        empty_step: EmptyStep::NoLayer,
        stage_args: StageArgs::Fresh,
        workdir_owner: WorkdirOwner::Root,
        workdir_text: WorkdirText::AsWritten,
        workdir_empty: WorkdirEmpty::Fails,
        empty_command: EmptyCommand::ShellAlone,
        global_arg_line: GlobalArgLine::Nothing,
        bare_from: BareFrom::SameImage,
        chown_group: ChownGroup::OfTheSameName,
        arg_after_env: ArgAfterEnv::EnvWins,
        unknown_owner: UnknownOwner::Fails,
        scratch_workdir: ScratchWorkdir::Unset,
        healthcheck_none: HealthcheckNone::KeepsOptions,
        args_escaped: ArgsEscaped::Absent,
        ignore_file: IgnoreFileName::Root,
        ignored_parents: IgnoredParents::MadeNow,
        platform_args: PlatformArgs::Absent,
        foreign_base: ForeignBase::Kept,
        link: Link::AsWithout,
        source_date_epoch: SourceDateEpoch::Ignored,
    },
    history: HistoryRules {
        text: HistoryText::NopComment,
        chown: ChownText::Glued,
        // Of no effect while instructions are told as commands.
        copy_flags: CopyFlags::OwnerAndMode,
        values: GoValues::MapAndPointer,
        run_args: RunArgs::AsDeclared,
        arg: ArgText::Default,
        onbuild: OnbuildHistory::Recorded,
    },
    copy: CopyRules {
        glob_without_match: GlobWithoutMatch::Fails,
        several_to_a_file: SeveralToAFile::Fails,
        outside_context: OutsideContext::Fails,
        file_over_directory: FileOverDirectory::Replaces,
        directory_over_other: DirectoryOverOther::Replaces,
        directory_time: DirectoryTime::Now,
        directory_parents: DirectoryParents::Root,
        chmod_of_made: ChmodOfMade::Usual,
        setuid: Setuid::Lost,
        chmod_special: ChmodSpecial::Kept,
        chmod_word: ChmodWord::AsWritten,
        bad_pattern: BadPattern::MatchesNothing,
        glob_slash: GlobSlash::MatchesNothing,
        hard_links: HardLinks::OfEverything,
        archive_owner: ArchiveOwner::FromArchive,
        fifos: Fifos::Copied,
        devices: Devices::Copied,
        dot_destination: DotDestination::Cleaned,
        checksum_of_local: ChecksumOfLocal::Ignored,
        heredoc_sources: HeredocSources::Files,
        url_name: UrlName::PathOrDisposition,
        url_checksum: UrlChecksum::Ignored,
    },
    run: RunRules {
        mount_points: MountPoints::LayerBelow,
        volumes: Volumes::MountedAside,
        hostname: Hostname::ContainerId,
        groups: Groups::WithOwn,
        mount_targets: MountTargets::Left,
        not_found: NotFound::Refused,
        lone_uid: LoneUid::Suffices,
        heredocs: Heredocs::Script,
    },
};
