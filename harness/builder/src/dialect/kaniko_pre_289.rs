//! kaniko before its change 289 (commit 36039005 of 2018-08-24): a COPY of what is there already makes a layer only if the
//! clock went on in between. From its source, and from layer counts of builds with it; what it copies how is taken to be as
//! in 1.24. The order within its layers was that of a Go map, which is none; here they are sorted.

use samebuild_dockerfile::Syntax;

use super::rules::{ImageRules, StageArgs, TarHeader, WorkdirOwner};
use super::{Dialect, KANIKO_1_24};
use crate::history::{HistoryRules, HistoryText};
use crate::steps::copy::{CopyRules, GlobWithoutMatch, HeredocSources, UrlName};
use crate::unpacked::UnpackedRules;
use crate::unpacked::rules::{
    Base, Directories, EmptyCopy, FirstLook, InnerStages, LastStep, LinkTargets, Listed, Names, SnapshotMode,
    StageFiles, Whiteouts,
};

/// See the top of this file.
pub const KANIKO_PRE_289: Dialect = Dialect {
    id: "kaniko@pre-289",
    about: "kaniko of August 2018, before its change 289: layers depend on the clock",
    syntax: Syntax::KANIKO_PRE_289,
    image: ImageRules {
        tar_header: TarHeader::Permissions,
        stage_args: StageArgs::Fresh,
        workdir_owner: WorkdirOwner::Root,
        ..KANIKO_1_24.image
    },
    history: HistoryRules { text: HistoryText::WithoutKeyword, ..KANIKO_1_24.history },
    copy: CopyRules {
        url_name: UrlName::BehindLastSlash,
        glob_without_match: GlobWithoutMatch::Fails,
        heredoc_sources: HeredocSources::Files, // of no effect: the language has none
        ..KANIKO_1_24.copy
    },
    unpacked: UnpackedRules {
        mode: SnapshotMode::FullButLinks,
        listed: Listed::WhenChanged,
        last_step: LastStep::WholeRoot,
        inner_stages: InnerStages::LastStep,
        base: Base::Always,
        first_look: FirstLook::StageStart,
        empty_copy: EmptyCopy::NoLayer,
        link_targets: LinkTargets::Left,
        whiteouts: Whiteouts::Once,
        names: Names::Absolute,
        directories: Directories::Always,
        stage_files: StageFiles::SavedCopy,
        ..KANIKO_1_24.unpacked
    },
    ..KANIKO_1_24
};
