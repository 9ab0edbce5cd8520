//! What a comparison looks at. What it tolerates is not decided here: nothing is, differences are values.

use std::sync::Arc;

use samebuild_image::layer_walk::WalkOptions;
use samebuild_image::{Epochs, Image};

/// The views and clocks of one comparison.
#[derive(Clone, Debug)]
pub struct Options {
    /// The named moments of the build that made the left image; times in records are named already.
    pub left: Epochs,
    /// The named moments of the build that made the right image.
    pub right: Epochs,
    /// Hold layer against layer, entry by entry.
    pub layers: bool,
    /// Within a pair of layers: the order of the entries, how paths are spelt, and the digests. Needs `layers`.
    pub tar: bool,
    /// Hold the flattened file systems against each other.
    pub rootfs: bool,
    /// What two records stand on, if it is at hand: then their flattened file systems are whole. Without it a place that
    /// only one of them touches differs, because what the base has there is not known. Its times get their names from
    /// `left` and `right`.
    pub base: Option<Arc<Image>>,
    /// Compare `created` and `history[].created`. Records have none.
    pub clocks: bool,
    /// How stored layers are read, and whether their digests are taken or believed.
    pub walk: WalkOptions,
}

impl Options {
    /// Everything: how a golden is held against a build.
    pub fn strict() -> Self {
        let (left, right) = (Epochs::default(), Epochs::default());
        Self {
            left,
            right,
            layers: true,
            tar: true,
            rootfs: true,
            base: None,
            clocks: true,
            walk: WalkOptions::default(),
        }
    }

    /// What a running container can notice: the flattened file system and the configuration.
    pub fn rootfs() -> Self {
        Self { layers: false, tar: false, clocks: false, ..Self::strict() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::strict()
    }
}
