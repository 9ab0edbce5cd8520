//! Docker Engine 26.1, the BuildKit inside it (v0.13), overlay2 graph driver. Seen in builds of Debian's 26.1.5+dfsg1.

use samebuild_dockerfile::Syntax;

use super::rules::{Context, IgnoredParents, ImageRules, TarHeader, UnknownOwner};
use super::{BUILDKIT_20_10, Dialect};
use crate::config::Schema;
use crate::history::{CopyFlags, HistoryRules};
use crate::stamp::SourceDateEpoch;
use crate::steps::copy::{
    ChecksumOfLocal, ChmodSpecial, CopyRules, Devices, DirectoryTime, DotDestination, Fifos, LinksBelowMatch,
    UrlChecksum,
};
use crate::steps::run::{Groups, MountTargets, RunRules};

/// See the top of this file.
pub const BUILDKIT_26_1: Dialect = Dialect {
    id: "buildkit@26.1",
    about: "Docker Engine 26.1, its BuildKit (v0.13), overlay2",
    syntax: Syntax::BUILDKIT_26_1,
    image: ImageRules {
        schema: Schema::OnlyPresent,
        tar_header: TarHeader::Permissions,
        unknown_owner: UnknownOwner::IsRoot,
        ignored_parents: IgnoredParents::AsInContext,
        context: Context::OnlyNamed,
        source_date_epoch: SourceDateEpoch::DatesImage,
        ..BUILDKIT_20_10.image
    },
    history: HistoryRules { copy_flags: CopyFlags::OwnerAndMode, ..BUILDKIT_20_10.history },
    copy: CopyRules {
        directory_time: DirectoryTime::Source,
        chmod_special: ChmodSpecial::Kept,
        fifos: Fifos::Copied,
        devices: Devices::AsCharacters,
        dot_destination: DotDestination::Directory,
        checksum_of_local: ChecksumOfLocal::Fails,
        links_below_match: LinksBelowMatch::MustLeadSomewhere, // moby/buildkit#4946
        url_checksum: UrlChecksum::Verified,
        ..BUILDKIT_20_10.copy
    },
    run: RunRules { groups: Groups::WithOwn, mount_targets: MountTargets::Removed, ..BUILDKIT_20_10.run },
    ..BUILDKIT_20_10
};
