//! Docker Engine 26.1, its BuildKit on the containerd image store: layers are found by comparing two mounted trees
//! instead of reading an overlay's upper directory. Seen in builds of Debian's 26.1.5+dfsg1 with containerd 1.7.24.

use super::rules::{ForeignBase, ImageRules, Link};
use super::{BUILDKIT_26_1, Dialect};
use crate::delta::LayerForm;

/// See the top of this file.
pub const BUILDKIT_26_1_CONTAINERD: Dialect = Dialect {
    id: "buildkit@26.1-containerd",
    about: "Docker Engine 26.1, its BuildKit (v0.13), containerd image store",
    image: ImageRules {
        layer_form: LayerForm::DoubleWalk,
        link: Link::OwnLayer,
        foreign_base: ForeignBase::Relabelled,
        ..BUILDKIT_26_1.image
    },
    ..BUILDKIT_26_1
};
