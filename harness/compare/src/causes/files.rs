//! Files that one side has, and contents that differ for no reason that anybody above knows.

use samebuild_image::At;

use super::{Cause, Claim, Page, Said};
use crate::difference::LayerNumber;
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Changed;
pub(super) struct OneSided;

impl Cause for Changed {
    fn page(&self) -> &'static Page {
        &Page {
            id: "changed-content",
            title: "Files have other contents",
            severity: Severity::Behaviour,
            what: "The bytes differ, and in no way that is known to come of a clock, a cache or an order.",
            how: "The source differs, a tool does in its version, or something random went in.",
            fix: "Look at the differences shown; build the same side twice (`samebuild check`): what differs there too is no change of yours.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        Some(Said::nothing())
    }
}

impl Cause for OneSided {
    fn page(&self) -> &'static Page {
        &Page {
            id: "one-sided-files",
            title: "Files are in one image only",
            severity: Severity::Behaviour,
            what: "A path is in one image and not in the other.",
            how: "Another version of a package or a base, a cache, another .dockerignore, a pattern that matched more, a file that a step makes only sometimes.",
            fix: "Ask which instruction brings it; compare the contexts (`git status --ignored`), and look at .dockerignore.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        /// One claim being gathered: everything below one directory that only one side has.
        struct Root {
            layer: Option<LayerNumber>,
            is_left: bool,
            at: At,
            rows: Vec<usize>,
        }
        let mut roots: Vec<Root> = Vec::new();
        for row in open {
            let (Some(lone), Some(at)) = (row.lone(), row.at()) else { continue };
            // Rows come in the order of a walk: what is below a directory follows it.
            let under = roots.last_mut().filter(|root| {
                (root.layer, root.is_left) == (row.layer(), lone.is_left) && at.is_within(&root.at)
            });
            match under {
                Some(root) => root.rows.push(row.number),
                None => roots.push(Root {
                    layer: row.layer(),
                    is_left: lone.is_left,
                    at: at.clone(),
                    rows: vec![row.number],
                }),
            }
        }
        let (trees, single): (Vec<Root>, Vec<Root>) = roots.into_iter().partition(|root| root.rows.len() > 1);
        let side = |is_left: bool| if is_left { "left" } else { "right" };
        let mut claims: Vec<Claim> = trees
            .into_iter()
            .map(|root| Claim {
                said: format!("only on the {}: {} and all below", side(root.is_left), root.at),
                rows: root.rows,
                ..Claim::default()
            })
            .collect();
        for root in single {
            let said = format!("only on the {}", side(root.is_left));
            claims.push(Claim { rows: root.rows, said, ..Claim::default() });
        }
        claims
    }
}
