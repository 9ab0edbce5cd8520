//! Docker Engine 26.1, the BuildKit inside it (v0.13), overlay2 graph driver. Seen in builds of Debian's 26.1.5+dfsg1.

use samebuild_dockerfile::Syntax;

use super::{BUILDKIT_20_10, Dialect, IgnoredParents, Link};
use crate::config::Schema;
use crate::history::{ArgText, CopyFlags, GoValues, HistoryText, RunArgs, SourceText};
use crate::steps::copy::{CopyRules, DirectoryTime, Fifos};
use crate::steps::run::{Groups, MountTargets, RunRules};

/// See the top of this file.
pub const BUILDKIT_26_1: Dialect = Dialect {
    id: "buildkit@26.1",
    about: "Docker Engine 26.1, its BuildKit (v0.13), overlay2",
    syntax: Syntax::BUILDKIT_26_1,
    schema: Schema::OnlyPresent,
    history: HistoryText::Source(SourceText {
        copy_flags: CopyFlags::OwnerAndMode,
        values: GoValues::MapAndPointer,
        run_args: RunArgs::AsDeclared,
        arg: ArgText::Default,
    }),
    link: Link::AsWithout,
    ignored_parents: IgnoredParents::AsInContext,
    copy: CopyRules { directory_time: DirectoryTime::Source, fifos: Fifos::Copied, ..BUILDKIT_20_10.copy },
    run: RunRules { groups: Groups::WithOwn, mount_targets: MountTargets::Removed, ..BUILDKIT_20_10.run },
    ..BUILDKIT_20_10
};
