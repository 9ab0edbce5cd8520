//! BuildKit by itself, commit 73ed6825 of 2026-08-21: runc worker, overlayfs snapshotter, OCI exporter.

use samebuild_dockerfile::Syntax;

use super::rules::{GlobalArgDefault, ImageRules};
use super::{BUILDKIT_26_1_CONTAINERD, Dialect};
use crate::history::{ArgText, GoValues, HistoryRules, RunArgs};
use crate::stamp::SourceDateEpoch;
use crate::steps::copy::{ArchiveOwner, ChmodOfMade, ChmodWord, CopyRules, LinksBelowMatch};

/// See the top of this file.
pub const BUILDKIT_HEAD: Dialect = Dialect {
    id: "buildkit@head",
    about: "BuildKit of August 2026 by itself, runc worker, overlayfs snapshotter",
    syntax: Syntax::BUILDKIT_HEAD,
    image: ImageRules {
        global_arg_default: GlobalArgDefault::Fails, // from its source
        source_date_epoch: SourceDateEpoch::DatesImageAndWorkdir,
        ..BUILDKIT_26_1_CONTAINERD.image
    },
    history: HistoryRules {
        values: GoValues::ListAndFields,
        run_args: RunArgs::EachOnce,
        arg: ArgText::Effective,
        ..BUILDKIT_26_1_CONTAINERD.history
    },
    copy: CopyRules {
        archive_owner: ArchiveOwner::Chown,
        chmod_of_made: ChmodOfMade::Applied,
        chmod_word: ChmodWord::Expanded,
        links_below_match: LinksBelowMatch::LeftAlone, // from its source
        ..BUILDKIT_26_1_CONTAINERD.copy
    },
    ..BUILDKIT_26_1_CONTAINERD
};
