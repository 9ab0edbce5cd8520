//! Permission bits.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct SetId;
pub(super) struct Umask;
pub(super) struct Mode;

impl Cause for SetId {
    fn page(&self) -> &'static Page {
        &Page {
            id: "set-id-bits",
            title: "Set-user-ID, set-group-ID or sticky bits were lost or gained",
            severity: Severity::Security,
            what: "A program runs as its owner in one image and as its caller in the other; or anybody may delete in a directory.",
            how: "chown clears these bits; an archive was unpacked without `-p`; a builder copies nine bits only.",
            fix: "chmod after chown, in the same RUN; `COPY --chmod=4755`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.modes()?;
        ((left ^ right) & 0o7000 != 0).then(|| format!("{left:04o} and {right:04o}"))
    }
}

impl Cause for Umask {
    fn page(&self) -> &'static Page {
        &Page {
            id: "umask",
            title: "Modes differ as another umask leaves them",
            severity: Severity::Behaviour,
            what: "Only bits of group and others differ: the context was checked out, or the builder ran, under another umask.",
            how: "git keeps one bit of a mode, whether it is executable, and the umask of whoever checks out makes the rest; COPY keeps what it finds.",
            fix: "Say the mode: `COPY --chmod=0644`, or in the build `chmod -R u=rwX,go=rX`; check out with `umask 022`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.modes()?;
        let bits = left ^ right;
        // A umask takes away: one side has all that the other has.
        let subset = left & right == left || left & right == right;
        (bits & !0o077 == 0 && subset).then(|| {
            format!("the bits {bits:03o} are the {}'s only", if left & bits != 0 { "left" } else { "right" })
        })
    }
}

impl Cause for Mode {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-mode",
            title: "Modes differ",
            severity: Severity::Security,
            what: "Somebody may read, write or run what in the other image they may not.",
            how: "A chmod in one build only, `--chmod`, an archive's own modes.",
            fix: "Say the mode where the file comes in: `COPY --chmod=…`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.sides();
        (row.rule() == "mode").then(|| format!("{left} and {right}"))
    }
}
