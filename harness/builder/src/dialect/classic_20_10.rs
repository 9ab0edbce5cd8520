//! Docker Engine 20.10, the classic builder (`DOCKER_BUILDKIT=0`), overlay2. Seen in builds of Debian's
//! 20.10.24+dfsg1, which also names itself in every configuration.

use samebuild_dockerfile::Syntax;

use super::Dialect;
use super::rules::{
    ArgAfterEnv, ArgLine, ArgsEscaped, BareFrom, ChownGroup, Context, EmptyCommand, EmptyStep, Expose,
    FailureOrder, ForeignBase, FromPlatform, GlobalArgDefault, GlobalArgLine, HealthcheckNone,
    IgnoreFileName, IgnoredParents, ImageRules, Link, Maintainer, OwnerNumber, PlatformArgs, ScratchWorkdir,
    StageArgs, TarHeader, UnknownOwner, VolumeText, WorkdirEmpty, WorkdirOwner, WorkdirText,
};
use crate::config::Schema;
use crate::delta::LayerForm;
use crate::history::{
    ArgText, ChownText, CopyFlags, EmptyHistory, GoValues, HistoryRules, HistoryText, OnbuildHistory, RunArgs,
};
use crate::stamp::SourceDateEpoch;
use crate::steps::copy::{
    ArchiveOwner, Archives, BadPattern, ChecksumOfLocal, ChmodOfMade, ChmodSpecial, ChmodWord, CopyRules,
    Devices, DirectoryOverOther, DirectoryParents, DirectoryTime, DotDestination, Fifos, FileOverDirectory,
    GlobSlash, GlobWithoutMatch, HardLinks, HeredocSources, IgnoredSource, LinkSource, LinksBelowMatch,
    OutsideContext, OwnerLookedUp, Setuid, SeveralToAFile, UrlChecksum, UrlName, UrlTime, Writing,
};
use crate::steps::run::{
    ExplicitGroup, Groups, Heredocs, Hostname, LoneUid, MountFlags, MountPoints, MountTargets, NotFound,
    NumberGroup, NumericUser, RunRules, Volumes,
};
use crate::unpacked::UnpackedRules;

/// See the top of this file.
pub const CLASSIC_20_10: Dialect = Dialect {
    id: "classic@20.10",
    about: "Docker Engine 20.10, classic builder, overlay2",
    engine_version: "20.10.24+dfsg1",
    syntax: Syntax::CLASSIC_20_10,
    image: ImageRules {
        global_arg_default: GlobalArgDefault::Fails,
        schema: Schema::EveryField,
        layer_form: LayerForm::UpperDirectory,
        tar_header: TarHeader::TypeAndPermissions,
        empty_step: EmptyStep::NoLayer,
        stage_args: StageArgs::Fresh,
        workdir_owner: WorkdirOwner::Root,
        workdir_text: WorkdirText::AsWritten,
        failure_order: FailureOrder::AsReached,
        workdir_empty: WorkdirEmpty::Fails,
        empty_command: EmptyCommand::ShellAlone,
        global_arg_line: GlobalArgLine::Nothing,
        bare_from: BareFrom::SameImage,
        owner_number: OwnerNumber::AnyNumber,
        arg_line: ArgLine::Nothing,
        from_platform: FromPlatform::Heeded,
        volume_text: VolumeText::AsWritten,
        chown_group: ChownGroup::OfTheSameName,
        arg_after_env: ArgAfterEnv::EnvWins,
        unknown_owner: UnknownOwner::Fails,
        scratch_workdir: ScratchWorkdir::Unset,
        healthcheck_none: HealthcheckNone::KeepsOptions,
        args_escaped: ArgsEscaped::Absent,
        ignore_file: IgnoreFileName::Root,
        ignored_parents: IgnoredParents::MadeNow,
        context: Context::Whole,
        platform_args: PlatformArgs::Absent,
        foreign_base: ForeignBase::Kept,
        link: Link::AsWithout,
        source_date_epoch: SourceDateEpoch::Ignored,
        maintainer: Maintainer::Author,
        expose: Expose::Ports,
    },
    history: HistoryRules {
        text: HistoryText::NopComment,
        empty: EmptyHistory::Null,
        chown: ChownText::Glued,
        // Of no effect while instructions are told as commands.
        copy_flags: CopyFlags::OwnerAndMode,
        values: GoValues::MapAndPointer,
        run_args: RunArgs::AsDeclared,
        arg: ArgText::Default,
        onbuild: OnbuildHistory::Recorded,
    },
    copy: CopyRules {
        owner_looked_up: OwnerLookedUp::AfterSources,
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
        links_below_match: LinksBelowMatch::LeftAlone,
        hard_links: HardLinks::OfEverything,
        archive_owner: ArchiveOwner::FromArchive,
        fifos: Fifos::Copied,
        devices: Devices::Copied,
        dot_destination: DotDestination::Cleaned,
        checksum_of_local: ChecksumOfLocal::Ignored,
        heredoc_sources: HeredocSources::Files,
        writing: Writing::AsArchive,
        ignored_source: IgnoredSource::NotFound,
        link_source: LinkSource::Followed,
        archives: Archives::Tars,
        url_name: UrlName::PathOrDisposition,
        url_time: UrlTime::Epoch,
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
        numeric_user: NumericUser::Number,
        heredocs: Heredocs::Script,
        mount_flags: MountFlags::Mounted,
        explicit_group: ExplicitGroup::Taken,
        number_group: NumberGroup::Root,
    },
    // Of no effect: nothing is unpacked into one root.
    unpacked: UnpackedRules::KANIKO_1_24,
};
