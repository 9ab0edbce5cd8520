//! Docker Engine 26.1, the classic builder, overlay2 graph driver. Seen in builds of Debian's 26.1.5+dfsg1.

use samebuild_dockerfile::Syntax;

use super::rules::{ForeignBase, ImageRules, WorkdirText};
use super::{CLASSIC_20_10, Dialect};
use crate::history::{ChownText, HistoryRules};
use crate::steps::copy::{CopyRules, HeredocSources};
use crate::steps::run::{Heredocs, RunRules};

/// See the top of this file.
pub const CLASSIC_26_1: Dialect = Dialect {
    id: "classic@26.1",
    about: "Docker Engine 26.1, classic builder, overlay2",
    engine_version: "26.1.5+dfsg1",
    syntax: Syntax::CLASSIC_26_1,
    image: ImageRules {
        workdir_text: WorkdirText::Cleaned,
        foreign_base: ForeignBase::PassedOver,
        ..CLASSIC_20_10.image
    },
    history: HistoryRules { chown: ChownText::Spaced, ..CLASSIC_20_10.history },
    copy: CopyRules { heredoc_sources: HeredocSources::Ignored, ..CLASSIC_20_10.copy },
    run: RunRules { heredocs: Heredocs::LineOnly, ..CLASSIC_20_10.run },
    ..CLASSIC_20_10
};
