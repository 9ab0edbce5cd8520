//! Images for different machines.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Platform;
pub(super) struct Listed;

impl Cause for Platform {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-platform",
            title: "The images are for different machines",
            severity: Severity::Behaviour,
            what: "Architecture, variant, operating system or its version differ. Programs of one image do not run where the other's do, and most files differ for no other reason.",
            how: "A builder takes the platform of the machine it runs on, or of the base image, unless it is told; `arm64` with and without the variant `v8` are one platform written in two ways.",
            fix: "Say the platform: `--platform linux/amd64` for the build, and the same for the comparison.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "platform").then(String::new)
    }
}

impl Cause for Listed {
    fn page(&self) -> &'static Page {
        &Page {
            id: "index-platforms",
            title: "The indexes have images for other platforms, or other attestations",
            severity: Severity::Behaviour,
            what: "One name stands for an image a platform. A platform that is in one index only can be pulled from there only; attestations (provenance, lists of contents) stand beside the images and no engine runs them.",
            how: "The build for a platform failed or was left out; BuildKit adds provenance by itself when it exports to a registry or an archive, other exporters and `docker save` do not.",
            fix: "Name every platform: `--platform linux/amd64,linux/arm64`; `--provenance=false --sbom=false` for an image without attestations, or the same on both sides.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let of = |side: &str| side == "no index" || side.starts_with("index of ");
        (row.rule() == "listing" && of(row.sides().0) && of(row.sides().1)).then(String::new)
    }
}
