//! Extended attributes.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Capability;
pub(super) struct HostLabel;
pub(super) struct Xattr;

/// The names of the attributes that a row shows.
fn names(row: Row<'_>) -> Vec<String> {
    let (left, right) = row.sides();
    let of = |text: &str| -> Vec<String> {
        text.split(' ').filter_map(|word| Some(word.split_once('=')?.0.to_owned())).collect()
    };
    of(left).into_iter().chain(of(right)).collect()
}

impl Cause for Capability {
    fn page(&self) -> &'static Page {
        &Page {
            id: "file-capability",
            title: "Capabilities of a program were lost or changed",
            severity: Severity::Security,
            what: "`security.capability` lets a program do without root what only root may (as ping does). Without it the program fails; with it, it may more.",
            how: "Rootless builders cannot write it, `COPY --from` of some builders drops it; versions 2 and 3 differ by a user id.",
            fix: "Run setcap in the last stage, in a RUN of its own builder; check with `getcap -r /`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "xattr" && names(row).iter().any(|name| name == "security.capability"))
            .then(String::new)
    }
}

impl Cause for HostLabel {
    fn page(&self) -> &'static Page {
        &Page {
            id: "host-label",
            title: "Labels of the host's file system got into the image",
            severity: Severity::Reproducibility,
            what: "`security.selinux`, `trusted.overlay.*` and `user.overlay.*` belong to the machine that built it, and mean nothing elsewhere.",
            how: "The host labels files, or an overlay keeps its bookkeeping there, and the builder copied all attributes.",
            fix: "Pack layers without them: `tar --no-selinux`, or a builder that takes `security.capability` and `user.*` only.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let is_host = |name: &String| {
            name == "security.selinux"
                || name.contains(".overlay.")
                || name == "security.ima"
                || name == "security.evm"
        };
        let names = names(row);
        (row.rule() == "xattr" && !names.is_empty() && names.iter().all(is_host)).then(String::new)
    }
}

impl Cause for Xattr {
    fn page(&self) -> &'static Page {
        &Page {
            id: "extended-attribute",
            title: "Extended attributes or access lists differ",
            severity: Severity::Behaviour,
            what: "An attribute is on one side only, or has another value. `system.posix_acl_access` decides who may read.",
            how: "One builder copies them and another does not; a checkout does not keep them.",
            fix: "Set them in a RUN, or do without.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "xattr").then(|| {
            let mut names = names(row);
            names.sort();
            names.dedup();
            names.join(", ")
        })
    }
}
