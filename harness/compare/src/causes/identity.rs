//! What makes one machine another one and has no place in an image: keys, identifiers, files of a running container.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Key;
pub(super) struct MachineId;
pub(super) struct RuntimeFile;

impl Cause for Key {
    fn page(&self) -> &'static Page {
        &Page {
            id: "baked-in-key",
            title: "A private key or a random seed was made while building",
            severity: Severity::Security,
            what: "The image holds a secret that chance made during the build: everybody who has the image has it, and every container uses the same.",
            how: "Installing openssh-server makes host keys, other packages make certificates; a random seed is saved.",
            fix: "Delete it in the same RUN (`rm -f /etc/ssh/ssh_host_*`) and make it when a container starts.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let path = row.path();
        let name = path.rsplit('/').next().unwrap_or_default();
        let by_name = name.starts_with("ssh_host_")
            || name == "random-seed"
            || path.starts_with("/etc/ssl/private/")
            || name == "ssl-cert-snakeoil.pem";
        let is_key = |bytes: &[u8]| bytes.starts_with(b"-----BEGIN ") && contains(bytes, b"PRIVATE KEY-----");
        let by_content = peek.is_some_and(|peek| is_key(&peek.left) && is_key(&peek.right));
        (by_name || by_content).then(Said::nothing)
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).take(4096).any(|window| window == what)
}

impl Cause for MachineId {
    fn page(&self) -> &'static Page {
        &Page {
            id: "machine-id",
            title: "The number of a machine was made while building",
            severity: Severity::Security,
            what: "`/etc/machine-id` identifies one machine; with one in the image, all containers claim to be the same one. It is random, so each build has another.",
            how: "Installing systemd or dbus makes one where there is none.",
            fix: "Empty it in the same RUN: `: > /etc/machine-id && rm -f /var/lib/dbus/machine-id`; it is made when a machine starts.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        matches!(&*row.path(), "/etc/machine-id" | "/var/lib/dbus/machine-id").then(Said::nothing)
    }
}

impl Cause for RuntimeFile {
    fn page(&self) -> &'static Page {
        &Page {
            id: "runtime-files",
            title: "Files that the runtime lays into a container got into the image",
            severity: Severity::Reproducibility,
            what: "`/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` belong to the container that ran the RUN; in an image they tell of the machine that built it.",
            how: "The builder took its snapshot with the mounts in place, or a command copied them.",
            fix: "Do not write these files in a RUN; build with a builder that leaves them out.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        matches!(&*row.path(), "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf" | "/.dockerenv")
            .then(Said::nothing)
    }
}
