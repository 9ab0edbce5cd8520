//! Fields of the configuration that no engine acts on.

use super::{Cause, Page};
use crate::difference::Where;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct ArgsEscaped;
pub(super) struct Nothing;
pub(super) struct Unknown;

impl Cause for ArgsEscaped {
    fn page(&self) -> &'static Page {
        &Page {
            id: "args-escaped",
            title: "ArgsEscaped is written by one builder only",
            severity: Severity::Cosmetic,
            what: "A field that tells Windows that a command is escaped already; on Linux nobody reads it.",
            how: "Docker's builders write it for a CMD or ENTRYPOINT in shell form, depending on their version; others never do.",
            fix: "Write CMD and ENTRYPOINT in exec form; or ignore it: `--ignore cause=args-escaped`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let is_it = |name: &str| name == "ArgsEscaped" || name.ends_with(".ArgsEscaped");
        matches!(&row.difference.at, Where::Config(name) | Where::Top(name) if is_it(name)).then(String::new)
    }
}

impl Cause for Nothing {
    fn page(&self) -> &'static Page {
        &Page {
            id: "null-or-absent",
            title: "Fields that mean nothing are written in other ways",
            severity: Severity::Cosmetic,
            what: "Absent, `null`, `[]`, `{}`, `\"\"` and `false` mean the same to engines, not to a digest.",
            how: "Each builder has its own structure that it writes as JSON.",
            fix: "None is needed; ignore it with `--ignore cause=null-or-absent`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "config_null").then(String::new)
    }
}

impl Cause for Unknown {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-field",
            title: "Fields of the configuration that no engine acts on differ",
            severity: Severity::Cosmetic,
            what: "`container_config`, `docker_version`, `id`, `parent`, `moby.buildkit.*`, `author` and fields that no schema has.",
            how: "Builders leave there what they want to remember.",
            fix: "None is needed for whoever runs the image; look whether a field is one that your platform reads.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "config_other").then(String::new)
    }
}
