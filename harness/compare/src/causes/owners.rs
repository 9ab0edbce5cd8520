//! Owners and groups.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Claim, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct IdMap;
pub(super) struct NotChanged;
pub(super) struct Owner;
pub(super) struct Names;

/// A shift of ids that no `--chown` makes.
const FAR: i128 = 10_000;

impl Cause for IdMap {
    fn page(&self) -> &'static Page {
        &Page {
            id: "id-map",
            title: "All ids are shifted by the same number",
            severity: Severity::Security,
            what: "Every owner of one image is that of the other plus a constant: ids of a user namespace got into the image.",
            how: "A rootless builder, or one with `userns-remap`, wrote ids as the host sees them.",
            fix: "Build with a builder that maps ids back, or pack the layer inside of the user namespace (`buildah unshare`, `podman unshare`).",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let mut by_shift: BTreeMap<i128, (Vec<usize>, BTreeSet<u64>)> = BTreeMap::new();
        for row in open {
            let Some(((uid, gid), (right_uid, right_gid))) = row.owners() else { continue };
            let shift = i128::from(right_uid) - i128::from(uid);
            if shift != 0 && shift == i128::from(right_gid) - i128::from(gid) {
                let (rows, uids) = by_shift.entry(shift).or_default();
                rows.push(row.number);
                uids.insert(uid);
            }
        }
        let is_map = |shift: i128, rows: &[usize], uids: &BTreeSet<u64>| {
            rows.len() > 1 && (uids.len() > 1 || shift.abs() >= FAR)
        };
        let found = by_shift.into_iter().filter(|(shift, (rows, uids))| is_map(*shift, rows, uids));
        found
            .map(|(shift, (rows, _))| Claim {
                rows,
                said: format!("right is left {shift:+}"),
                ..Claim::default()
            })
            .collect()
    }
}

impl Cause for NotChanged {
    fn page(&self) -> &'static Page {
        &Page {
            id: "copied-owner",
            title: "What COPY or ADD brought belongs to root on one side only",
            severity: Severity::Security,
            what: "One builder gave the files to root, the other to somebody else.",
            how: "`--chown` is there in one Dockerfile only, or is read differently (parents, directories that exist, archives); kaniko keeps the owners of directories of the context.",
            fix: "Say it in numbers, on every COPY: `COPY --chown=1000:1000`.",
        }
    }

    fn row(&self, scene: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.owners()?;
        let copied = matches!(scene.keyword(row), "COPY" | "ADD");
        (copied && (left == (0, 0)) != (right == (0, 0))).then(|| said(left, right))
    }
}

impl Cause for Owner {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-owner",
            title: "Files belong to somebody else",
            severity: Severity::Security,
            what: "Owner or group differ: who may write what is another question in each image.",
            how: "A user got another number (`useradd` takes the next free one), a chown ran in one build only, an archive brought its own owners.",
            fix: "Give users fixed numbers: `useradd --uid 1000`; chown by number.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.owners()?;
        Some(said(left, right))
    }
}

impl Cause for Names {
    fn page(&self) -> &'static Page {
        &Page {
            id: "owner-names",
            title: "The tars name owners otherwise, the numbers are the same",
            severity: Severity::Cosmetic,
            what: "Names of owner and group stand in a tar beside the numbers; engines look at the numbers only.",
            how: "The writer looked names up on the host, in the image, or not at all.",
            fix: "`tar --numeric-owner --owner=0 --group=0`; or ignore it: `--ignore cause=owner-names`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "owner_name").then(String::new)
    }
}

fn said(left: (u64, u64), right: (u64, u64)) -> String {
    format!("{}:{} and {}:{}", left.0, left.1, right.0, right.1)
}
