//! The rule `media_type`: in whose words manifest, configuration and layers are described. How a layer is compressed stands
//! in its media type too, but is the rule `packing`'s. A docker-archive has no media types.

use super::{About, Findings, Rule, Severity};
use crate::difference::{LayerNumber, Where};
use crate::options::Options;
use crate::pairing::Sides;
use crate::side::Packed;

pub(super) struct MediaType;

impl Rule for MediaType {
    fn about(&self) -> About {
        About {
            name: "media_type",
            question: "In whose words is the image described: OCI's or Docker's?",
            severity: Severity::Cosmetic,
            prints: "manifest application/vnd.oci.image.manifest.v1+json",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        let (Some(left), Some(right)) = (sides.left.manifest, sides.right.manifest) else { return };
        for (what, left, right) in [
            ("manifest", &left.media_type, &right.media_type),
            ("config", &left.config_media_type, &right.config_media_type),
        ] {
            if left != right {
                let show = |text: &str| format!("{what} {}", if text.is_empty() { "unnamed" } else { text });
                found.say(Where::Image, show(left), show(right));
            }
        }
        if let (Some(left), Some(right)) = (&left.listing.index, &right.listing.index)
            && left.media_type != right.media_type
        {
            let show = |text: &str| format!("index {}", if text.is_empty() { "unnamed" } else { text });
            found.say(Where::Image, show(&left.media_type), show(&right.media_type));
        }
        let layers = sides.layers.iter().filter(|_| options.layers && options.tar);
        for pair in layers {
            let packed = (&sides.left.layers[pair.0].packed, &sides.right.layers[pair.1].packed);
            if let (Some(left), Some(right)) = packed
                && let (Some(left), Some(right)) = (family(left), family(right))
                && left != right
            {
                found.say(Where::Layer(LayerNumber::of(*pair)), left, right);
            }
        }
    }
}

/// The media type without what says how the layer is compressed.
fn family(packed: &Packed) -> Option<&str> {
    let name = packed.media_type.as_deref()?;
    Some(["+gzip", "+zstd", ".gzip", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name))
}
