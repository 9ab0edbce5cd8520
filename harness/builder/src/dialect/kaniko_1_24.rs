//! kaniko 1.24, the last of the GoogleContainerTools repository (commit 236ba569), without options but where the image
//! goes, in a container of Docker Engine 20.10. Seen in builds; what only its source says is marked.

use samebuild_dockerfile::Syntax;

use super::rules::{
    ArgAfterEnv, ArgLine, BareFrom, ChownGroup, EmptyCommand, Expose, ForeignBase, FromPlatform,
    GlobalArgLine, IgnoreFileName, IgnoredParents, ImageRules, Maintainer, OwnerNumber, StageArgs, TarHeader,
    UnknownOwner, VolumeText, WorkdirEmpty, WorkdirOwner, WorkdirText,
};
use super::{CLASSIC_26_1, Dialect};
use crate::config::Schema;
use crate::delta::LayerForm;
use crate::dialect::rules::HealthcheckNone;
use crate::history::{EmptyHistory, HistoryRules, HistoryText};
use crate::steps::copy::{
    Archives, BadPattern, ChmodSpecial, ChmodWord, CopyRules, Devices, DotDestination, Fifos,
    FileOverDirectory, GlobSlash, GlobWithoutMatch, HeredocSources, IgnoredSource, LinkSource,
    OutsideContext, OwnerLookedUp, UrlName, UrlTime, Writing,
};
use crate::steps::run::{
    ExplicitGroup, Groups, Heredocs, Hostname, MountFlags, MountPoints, NotFound, NumberGroup, NumericUser,
    RunRules, Volumes,
};
use crate::unpacked::UnpackedRules;

/// See the top of this file.
pub const KANIKO_1_24: Dialect = Dialect {
    id: "kaniko@1.24",
    about: "kaniko 1.24 (2025) in a container, snapshots by content",
    engine_version: "",
    syntax: Syntax::KANIKO_1_24,
    image: ImageRules {
        schema: Schema::OnlyPresent,
        layer_form: LayerForm::UnpackedRoot,
        tar_header: TarHeader::PermissionsAndFractions,
        stage_args: StageArgs::Carried,
        workdir_owner: WorkdirOwner::LastToUser,
        workdir_text: WorkdirText::CleanedToTheEnd,
        chown_group: ChownGroup::SameNumber, // from its source
        arg_after_env: ArgAfterEnv::EnvWins,
        unknown_owner: UnknownOwner::Fails,
        healthcheck_none: HealthcheckNone::Replaces,
        ignore_file: IgnoreFileName::BesideDockerfile,
        ignored_parents: IgnoredParents::MadeNow,
        bare_from: BareFrom::OwnImage,
        workdir_empty: WorkdirEmpty::Nothing,   // from its source
        empty_command: EmptyCommand::EmptyText, // from its parser
        owner_number: OwnerNumber::NameFirst,   // from its source, as the next six
        arg_line: ArgLine::Earlier,
        volume_text: VolumeText::Cleaned,
        from_platform: FromPlatform::PassedOver,
        global_arg_line: GlobalArgLine::Earlier, // from its source
        foreign_base: ForeignBase::RelabelledWithoutVariant, // from its source
        maintainer: Maintainer::PassedOver,
        expose: Expose::AnyText,
        ..CLASSIC_26_1.image
    },
    history: HistoryRules {
        text: HistoryText::AsWritten,
        empty: EmptyHistory::Absent,
        ..CLASSIC_26_1.history
    },
    copy: CopyRules {
        owner_looked_up: OwnerLookedUp::BeforeSources,
        glob_without_match: GlobWithoutMatch::CopiesNothing,
        outside_context: OutsideContext::LooksOutside,
        file_over_directory: FileOverDirectory::Fails,
        fifos: Fifos::Hangs,
        devices: Devices::EmptyFiles,               // from its source
        dot_destination: DotDestination::Directory, // from its source
        heredoc_sources: HeredocSources::Ignored,
        url_time: UrlTime::Now,                 // from its source
        url_name: UrlName::PathElseDestination, // from its source
        chmod_special: ChmodSpecial::Lost,      // from its source, as the next three
        chmod_word: ChmodWord::Expanded,
        bad_pattern: BadPattern::Fails,
        glob_slash: GlobSlash::PassedOver,
        writing: Writing::Anew,
        ignored_source: IgnoredSource::NotCopied,
        link_source: LinkSource::Copied,
        archives: Archives::AnyCompressed,
        ..CLASSIC_26_1.copy
    },
    run: RunRules {
        numeric_user: NumericUser::NameFirst, // from its source, as the next
        not_found: NotFound::NeverStarted,
        mount_points: MountPoints::LayerBelow,
        volumes: Volumes::LeftOut,
        hostname: Hostname::ContainerIdUntold,
        groups: Groups::OwnThenListed,
        heredocs: Heredocs::LineOnly,
        mount_flags: MountFlags::Ignored,
        explicit_group: ExplicitGroup::Dropped,
        number_group: NumberGroup::SameNumber,
        ..CLASSIC_26_1.run
    },
    unpacked: UnpackedRules::KANIKO_1_24,
};
