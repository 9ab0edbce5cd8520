//! Logs that programs wrote during the build.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Log;

impl Cause for Log {
    fn page(&self) -> &'static Page {
        &Page {
            id: "log-left-behind",
            title: "A log of the build is in the image",
            severity: Severity::Reproducibility,
            what: "A program that ran while building wrote down when; nobody reads that in the image.",
            how: "apt, dpkg, npm and others log every step with its time.",
            fix: "Delete logs in the same RUN: `rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /root/.npm/_logs`; a later RUN is too late, the layer has them.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        let path = row.path();
        let is_log = path.starts_with("/var/log/") || path.contains("/_logs/") || path.ends_with(".log");
        is_log.then(Said::nothing)
    }
}
