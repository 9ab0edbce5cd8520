//! The same files, laid into other layers: split, empty, moved, repeated.

use std::collections::BTreeMap;

use super::{Cause, Claim, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Empty;
pub(super) struct Moved;
pub(super) struct Repeated;
pub(super) struct Split;

impl Cause for Empty {
    fn page(&self) -> &'static Page {
        &Page {
            id: "empty-layer",
            title: "One image has layers without entries where the other has none",
            severity: Severity::Reproducibility,
            what: "An instruction that changed no file made an empty layer in one image and only an entry of the history (`empty_layer`) in the other.",
            how: "A WORKDIR of a directory that exists, or a RUN that changes nothing: some builders write the empty tar, others leave it out.",
            fix: "Leave the instruction out if it does nothing; nothing has to be done for whoever runs the image.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.sides();
        let alone = |text: &str| text.split_once("alone: ").map(|(_, alone)| alone.to_owned());
        let mut layers = [left, right].into_iter().filter_map(alone).peekable();
        layers.peek()?;
        let is_empty = |text: String| text.split(", ").all(|layer| layer.ends_with("(0 entries)"));
        (row.rule() == "layer_count" && layers.all(is_empty)).then(String::new)
    }
}

impl Cause for Moved {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-layer",
            title: "The same files are in another layer",
            severity: Severity::Reproducibility,
            what: "A path is missing in one layer and there in another one of the same image; the flattened file systems do not differ.",
            how: "Instructions were reordered, or a builder takes its snapshots at other moments (one for several instructions, or one at the end).",
            fix: "Order the instructions alike; where a builder can be told, let it make one layer an instruction.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let mut by_path: BTreeMap<_, [Vec<usize>; 2]> = BTreeMap::new();
        for row in open.iter().filter(|row| row.layer().is_some() && !is_in_rootfs(row)) {
            if let (Some(lone), Some(at)) = (row.lone(), row.at()) {
                by_path.entry(at).or_default()[usize::from(lone.is_left)].push(row.number);
            }
        }
        let both = by_path.into_values().filter(|[right, left]| !right.is_empty() && !left.is_empty());
        let rows: Vec<usize> = both.flat_map(|[right, left]| left.into_iter().chain(right)).collect();
        if rows.is_empty() { Vec::new() } else { vec![Claim { rows, ..Claim::default() }] }
    }
}

fn is_in_rootfs(row: &Row<'_>) -> bool {
    row.difference.seen == Some(crate::Seen::Both)
}

impl Cause for Repeated {
    fn page(&self) -> &'static Page {
        &Page {
            id: "repeated-file",
            title: "A layer repeats what is there already",
            severity: Severity::Reproducibility,
            what: "One layer has an entry that the other's has not, and yet the flattened file systems are the same: what it brings was there below, or something later covers it. The image is bigger for it.",
            how: "`chown -R`, `chmod -R` and `touch` over files of lower layers copy all of them; builders that look at times take a touched file for a changed one.",
            fix: "Give owner and mode where the file comes in: `COPY --chown=… --chmod=…`; do not touch what does not change.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let lone = row.lone()?;
        (row.layer().is_some() && row.is_covered()).then(|| format!("only the {} layer has it", lone.side()))
    }
}

impl Cause for Split {
    fn page(&self) -> &'static Page {
        &Page {
            id: "layer-count",
            title: "The images have different numbers of layers",
            severity: Severity::Reproducibility,
            what: "Layers of one image have no counterpart in the other. What that means for files is told by the other findings; if there are none about files, the flattened file systems are the same.",
            how: "One builder squashes, or makes one layer of several instructions; or an instruction was added.",
            fix: "Compare the Dockerfiles; look for `--squash`, `--single-snapshot`, `--layers=false` in how the images were built.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let rows: Vec<usize> =
            open.iter().filter(|row| row.rule() == "layer_count").map(|row| row.number).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        // What lies in another layer for it and is there all the same.
        let is_shifted = |row: &&Row<'_>| row.rule() == "paths" && row.is_covered();
        let consequences = open.iter().filter(is_shifted).map(|row| row.number).collect();
        vec![Claim { rows, consequences, said: String::new() }]
    }
}
