//! The environment of containers.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Order;
pub(super) struct Path;
pub(super) struct Variable;

impl Cause for Order {
    fn page(&self) -> &'static Page {
        &Page {
            id: "env-order",
            title: "The same environment variables in another order",
            severity: Severity::Reproducibility,
            what: "Names and values are the same; the order matters only where one name is there twice.",
            how: "A builder keeps them in a hash table, or puts PATH first.",
            fix: "None is needed for whoever runs the image.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "env" && row.sides().0.starts_with("order ")).then(String::new)
    }
}

impl Cause for Path {
    fn page(&self) -> &'static Page {
        &Page {
            id: "default-path",
            title: "One builder wrote a PATH into the image that nobody asked for",
            severity: Severity::Behaviour,
            what: "PATH is set on one side only. Runtimes have a default of their own, so that most programs are found all the same.",
            how: "BuildKit gives an image from scratch a PATH, the classic builder and kaniko do not, or do it for a RUN only.",
            fix: "`ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin` in the Dockerfile.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.sides();
        (row.rule() == "env" && (left == "no PATH" || right == "no PATH")).then(String::new)
    }
}

impl Cause for Variable {
    fn page(&self) -> &'static Page {
        &Page {
            id: "env-value",
            title: "Environment variables differ",
            severity: Severity::Behaviour,
            what: "A variable has another value, or is set on one side only.",
            how: "An ARG went into an ENV (`ENV VERSION=$VERSION`), a proxy leaked in, an expansion is read differently.",
            fix: "Set it explicitly; for values of the build only use ARG, which is not kept.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "env").then(String::new)
    }
}
