//! The rule `packing`: how a layer is compressed; where its content is the same, also into what.

use super::{About, Findings, Rule, Severity};
use crate::difference::{LayerNumber, Where};
use crate::options::Options;
use crate::pairing::Sides;
use crate::side::Packed;
use samebuild_image::Compression;

pub(super) struct Packing;

impl Rule for Packing {
    fn about(&self) -> About {
        About {
            name: "packing",
            question: "How is the layer compressed?",
            severity: Severity::Cosmetic,
            prints: "gzip, 2310 bytes",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        if !options.layers || !options.tar {
            return;
        }
        for pair in &sides.layers {
            let (l, r) = (&sides.left.layers[pair.0], &sides.right.layers[pair.1]);
            let (Some(left), Some(right)) = (&l.packed, &r.packed) else { continue };
            let same_tar = l.diff_id.is_some() && l.diff_id == r.diff_id;
            let blobs = left.blob.zip(right.blob).is_some_and(|(left, right)| left != right);
            if left.compression != right.compression || same_tar && (left.size != right.size || blobs) {
                let (left, mut right) = (show(left), show(right));
                if left == right {
                    right.push_str(", other bytes");
                }
                found.say(Where::Layer(LayerNumber::of(*pair)), left, right);
            }
        }
    }
}

fn show(packed: &Packed) -> String {
    let how = match packed.compression {
        Some(Compression::None) => "not compressed",
        Some(Compression::Gzip) => "gzip",
        Some(Compression::Zstd) => "zstd",
        None => "unknown",
    };
    packed.size.map_or_else(|| how.to_owned(), |size| format!("{how}, {size} bytes"))
}
