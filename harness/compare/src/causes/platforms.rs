//! Images for different machines.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Platform;

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
