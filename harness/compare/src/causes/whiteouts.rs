//! Deletions: one that was not recorded and what comes back for it, and the forms in which one can be written down.

use samebuild_image::entry::Whiteout;
use samebuild_image::{At, Entry, Kind, Meta, Mtime};

use super::{Cause, Claim, Page};
use crate::difference::Where;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Missing;
pub(super) struct Opaque;
pub(super) struct Nothing;
pub(super) struct Dress;

impl Cause for Missing {
    fn page(&self) -> &'static Page {
        &Page {
            id: "missing-whiteout",
            title: "A deletion was not recorded, so what was deleted is still there",
            severity: Severity::Security,
            what: "A layer of one image says that a path below it is gone, the other's does not: what an instruction deleted is in that image still. It may be a secret.",
            how: "The builder did not notice the deletion: it compared times or sizes only, ignored a directory, or wrote an opaque marker that another tool does not know.",
            fix: "Delete in the RUN that made the file, so that no layer ever has it; build with a builder that records the deletion; never count on a later layer to hide a secret: use `RUN --mount=type=secret`.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let in_rootfs =
            |row: &&Row<'_>| row.rule() == "paths" && matches!(row.difference.at, Where::Rootfs(_));
        let shown: Vec<&Row<'_>> = open.iter().filter(in_rootfs).collect();
        let mut claims = Vec::new();
        for (row, whiteout) in of_paths(open) {
            let hidden = match &whiteout {
                Whiteout::Removed(at) | Whiteout::Opaque(at) => at,
            };
            let is_below = |other: &&&Row<'_>| {
                other.at().is_some_and(|at| {
                    at.is_within(hidden) && (at != hidden || matches!(whiteout, Whiteout::Removed(_)))
                })
            };
            let consequences: Vec<usize> = shown.iter().filter(is_below).map(|other| other.number).collect();
            if row.is_covered() && consequences.is_empty() {
                continue;
            }
            let side = row.lone().map_or("one", |lone| lone.side());
            let said = format!(
                "only the {side} image deletes {hidden}{}",
                match consequences.len() {
                    0 => String::new(),
                    1 => "; 1 path below it is there in the other".to_owned(),
                    n => format!("; {n} paths below it are there in the other"),
                }
            );
            claims.push(Claim { rows: vec![row.number], consequences, said });
        }
        claims
    }
}

impl Cause for Opaque {
    fn page(&self) -> &'static Page {
        &Page {
            id: "opaque-form",
            title: "One layer empties a directory with an opaque marker, the other deletes its entries one by one",
            severity: Severity::Reproducibility,
            what: "`.wh..wh..opq` in a directory hides everything below it at once; whiteouts hide entries one at a time. The flattened file systems are the same.",
            how: "Builders that read an overlay's upper directory write the marker, builders that walk two trees write whiteouts.",
            fix: "Nothing has to be done for whoever runs the image. For equal digests, build both with one kind of builder.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let found = of_paths(open);
        let mut claims = Vec::new();
        for (row, whiteout) in &found {
            let Whiteout::Opaque(dir) = whiteout else { continue };
            let same = |(other, whiteout): &&(Row<'_>, Whiteout)| {
                other.layer() == row.layer()
                    && matches!(whiteout, Whiteout::Removed(at) if at.parent().as_ref() == Some(dir))
            };
            let mut rows = vec![row.number];
            rows.extend(found.iter().filter(same).map(|(other, _)| other.number));
            claims.push(Claim { rows, said: format!("in {dir}"), ..Claim::default() });
        }
        claims
    }
}

impl Cause for Nothing {
    fn page(&self) -> &'static Page {
        &Page {
            id: "whiteout-of-nothing",
            title: "A layer deletes what the layers below do not have",
            severity: Severity::Cosmetic,
            what: "A whiteout stands in one layer only, and the flattened file systems do not differ there: there was nothing to delete, or a later layer puts something in its place.",
            how: "A file was made and deleted within one RUN, and the builder wrote down its deletion all the same.",
            fix: "None is needed; ignore it with `--ignore cause=whiteout-of-nothing`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "paths" && row.is_covered() && whiteout(row.at()?).is_some()).then(String::new)
    }
}

impl Cause for Dress {
    fn page(&self) -> &'static Page {
        &Page {
            id: "whiteout-metadata",
            title: "Whiteouts have other modes, owners or times",
            severity: Severity::Cosmetic,
            what: "An entry `.wh.NAME` has mode, owner and time like any other, but nobody looks at them: it only hides NAME.",
            how: "Builders give it mode 0 or 0600, the time of the deletion or none (containers/storage #1195).",
            fix: "None is needed; ignore it with `--ignore cause=whiteout-metadata`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() != "paths" && whiteout(row.at()?).is_some()).then(String::new)
    }
}

fn of_paths<'a>(open: &[Row<'a>]) -> Vec<(Row<'a>, Whiteout)> {
    let of = |row: &Row<'a>| (row.rule() == "paths").then(|| Some((*row, whiteout(row.at()?)?)))?;
    open.iter().filter_map(of).collect()
}

fn whiteout(at: &At) -> Option<Whiteout> {
    Entry::new(at.clone(), Kind::Fifo, Meta::new(0, Mtime::secs(0))).whiteout()
}
