//! Modification times, and the clock in the configuration.

use std::collections::BTreeMap;

use samebuild_image::{Epoch, Mtime};

use super::{Cause, Claim, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct MountPoint;
pub(super) struct SubSecond;
pub(super) struct Clamp;
pub(super) struct Shift;
pub(super) struct Run;
pub(super) struct Checkout;
pub(super) struct Other;
pub(super) struct Clock;

impl Cause for MountPoint {
    fn page(&self) -> &'static Page {
        &Page {
            id: "mount-point-times",
            title: "Directories that a runtime mounts on have other times",
            severity: Severity::Reproducibility,
            what: "`/proc`, `/sys`, `/dev`, `/run`, `/etc` and the like differ in nothing but their time.",
            how: "The runtime made or touched mount points when a RUN started (moby/buildkit#3455).",
            fix: "Have the directories in the base image; `rewrite-timestamp=true`; or ignore them: `--ignore cause=mount-point-times`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        const PLACES: &[&str] =
            &["/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/etc", "/run", "/tmp"];
        row.times()?;
        PLACES.contains(&&*row.path()).then(String::new)
    }
}

impl Cause for SubSecond {
    fn page(&self) -> &'static Page {
        &Page {
            id: "sub-second-times",
            title: "Times differ in their fraction of a second only",
            severity: Severity::Reproducibility,
            what: "One side has nanoseconds, the other whole seconds, or another fraction.",
            how: "PAX headers can hold fractions, ustar headers cannot; builders cut them or do not.",
            fix: "Cut times to seconds: `touch -d @SECONDS`, SOURCE_DATE_EPOCH with `rewrite-timestamp=true`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.times()?;
        let ((left, l), (right, r)) = (left.timestamp()?, right.timestamp()?);
        (left == right && l != r).then(String::new)
    }
}

impl Cause for Clamp {
    fn page(&self) -> &'static Page {
        &Page {
            id: "clamped-times",
            title: "One side sets times to a moment, the other keeps or only limits them",
            severity: Severity::Reproducibility,
            what: "All times of one side are one moment; those of the other are earlier, or their own.",
            how: "`--timestamp` sets every time, `rewrite-timestamp=true` and SOURCE_DATE_EPOCH only cut what is later; or one side was built with it and the other without.",
            fix: "Build both with the same option and the same SOURCE_DATE_EPOCH; with 0 both ways come to the same.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let mut claims = Vec::new();
        for rows in by_layer(open).into_values() {
            let times: Vec<(Mtime, Mtime)> = rows.iter().filter_map(Row::times).collect();
            let constant = |side: fn(&(Mtime, Mtime)) -> Mtime| {
                let first = side(&times[0]);
                times.iter().all(|pair| side(pair) == first).then_some(first)
            };
            let (left, right) = (constant(|pair| pair.0), constant(|pair| pair.1));
            let said = match (left, right) {
                (Some(to), None) if is_set(&to, times.len(), times.iter().map(|pair| pair.1)) => {
                    format!("every time on the left is {to}")
                }
                (None, Some(to)) if is_set(&to, times.len(), times.iter().map(|pair| pair.0)) => {
                    format!("every time on the right is {to}")
                }
                (Some(Mtime::Named(Epoch::SourceDate)), Some(_)) => {
                    "SOURCE_DATE_EPOCH on the left".to_owned()
                }
                (Some(_), Some(Mtime::Named(Epoch::SourceDate))) => {
                    "SOURCE_DATE_EPOCH on the right".to_owned()
                }
                _ => continue,
            };
            claims.push(Claim {
                rows: rows.iter().map(|row| row.number).collect(),
                said,
                ..Claim::default()
            });
        }
        claims
    }
}

/// Whether so many files have one time because somebody set it: the others are not all later by chance.
fn is_set(to: &Mtime, count: usize, mut others: impl Iterator<Item = Mtime>) -> bool {
    count > 2
        && !matches!(to, Mtime::Named(Epoch::Now | Epoch::Context | Epoch::Base))
        && others.all(|other| !matches!(other, Mtime::Named(Epoch::Context)))
}

/// Rows about times by layer, those of the flattened file systems apart.
fn by_layer<'a>(open: &[Row<'a>]) -> BTreeMap<Option<crate::LayerNumber>, Vec<Row<'a>>> {
    let mut layers: BTreeMap<_, Vec<Row<'a>>> = BTreeMap::new();
    for row in open.iter().filter(|row| row.times().is_some()) {
        layers.entry(row.layer()).or_default().push(*row);
    }
    layers
}

/// By how much all are later on the right, if it is the same for all; in nanoseconds.
fn delta(rows: &[Row<'_>]) -> Option<i128> {
    let of = |row: &Row<'_>| -> Option<i128> {
        let (left, right) = row.times()?;
        let nanos = |mtime: Mtime| {
            mtime.timestamp().map(|(secs, nanos)| i128::from(secs) * 1_000_000_000 + i128::from(nanos))
        };
        Some(nanos(right)? - nanos(left)?)
    };
    let first = of(rows.first()?)?;
    rows.iter().all(|row| of(row) == Some(first)).then_some(first)
}

/// A number of seconds, for a person.
fn seconds(nanos: i128) -> String {
    let (later, nanos) = (if nanos < 0 { "earlier" } else { "later" }, nanos.unsigned_abs());
    let (secs, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match rest {
        0 => format!("{secs} s {later}"),
        _ => format!("{secs}.{:03} s {later}", rest / 1_000_000),
    }
}

impl Cause for Shift {
    fn page(&self) -> &'static Page {
        &Page {
            id: "time-zone",
            title: "All times are shifted by whole quarters of an hour",
            severity: Severity::Reproducibility,
            what: "Every time in a layer is as much later on one side as two time zones are apart.",
            how: "An archive without a zone (zip, or tar from a script) was unpacked under another TZ, or `touch -d` read a local time.",
            fix: "Say the zone: `TZ=UTC` for the command, and times with a `Z`.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        const QUARTER: i128 = 900 * 1_000_000_000;
        let mut claims = Vec::new();
        for rows in by_layer(open).into_values().filter(|rows| rows.len() > 1) {
            let Some(delta) = delta(&rows).filter(|delta| *delta != 0) else { continue };
            if delta % QUARTER == 0 && delta.abs() <= 4 * 26 * QUARTER {
                let said = format!("every time on the right is {}", seconds(delta));
                claims.push(Claim {
                    rows: rows.iter().map(|row| row.number).collect(),
                    said,
                    ..Claim::default()
                });
            }
        }
        claims
    }
}

/// Claims the rows of layers that one of these instructions made, saying the constant difference, if it is one.
fn of_layers(scene: &Scene<'_>, open: &[Row<'_>], is_it: &dyn Fn(&Scene<'_>, Row<'_>) -> bool) -> Vec<Claim> {
    let mut claims = Vec::new();
    for rows in by_layer(open).into_values() {
        let rows: Vec<Row<'_>> = rows.into_iter().filter(|row| is_it(scene, *row)).collect();
        if rows.is_empty() {
            continue;
        }
        let said = delta(&rows).map(|delta| format!("every time on the right is {}", seconds(delta)));
        let rows = rows.iter().map(|row| row.number).collect();
        claims.push(Claim { rows, said: said.unwrap_or_default(), ..Claim::default() });
    }
    claims
}

impl Cause for Run {
    fn page(&self) -> &'static Page {
        &Page {
            id: "build-times",
            title: "Files are dated as of when they were built",
            severity: Severity::Reproducibility,
            what: "What a command wrote, or a builder made, is of the time of the build.",
            how: "A clock: every RUN does it, and so does every directory that COPY or WORKDIR makes.",
            fix: "SOURCE_DATE_EPOCH with `--output type=image,rewrite-timestamp=true` (BuildKit 0.13), `--timestamp` (buildah), `--reproducible` (kaniko); or `find … -exec touch -d @0 {} +` in the RUN.",
        }
    }

    fn groups(&self, scene: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        of_layers(scene, open, &|scene, row| {
            let now = |mtime: Mtime| mtime == Mtime::Named(Epoch::Now);
            let named = row.times().is_some_and(|(left, right)| now(left) || now(right));
            let directory = row.entry(true).is_some_and(|entry| entry.kind.is_dir());
            named
                || matches!(scene.keyword(row), "RUN" | "WORKDIR")
                || (directory && matches!(scene.keyword(row), "COPY" | "ADD"))
        })
    }
}

impl Cause for Checkout {
    fn page(&self) -> &'static Page {
        &Page {
            id: "context-times",
            title: "Copied files are dated as of their checkout",
            severity: Severity::Reproducibility,
            what: "COPY and ADD keep modification times, and those of a checkout are when it was made: git does not keep times.",
            how: "The context was cloned, checked out or written again between the two builds.",
            fix: "SOURCE_DATE_EPOCH with `rewrite-timestamp=true` and an epoch no later than the checkout (0 always is); `git restore-mtime` before the build; or `--timestamp`. `COPY --link` does not help.",
        }
    }

    fn groups(&self, scene: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        of_layers(scene, open, &|scene, row| {
            let context = |mtime: Mtime| mtime == Mtime::Named(Epoch::Context);
            let named = row.times().is_some_and(|(left, right)| context(left) || context(right));
            named || matches!(scene.keyword(row), "COPY" | "ADD")
        })
    }
}

impl Cause for Other {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-times",
            title: "Files have other times",
            severity: Severity::Reproducibility,
            what: "Modification times differ, and nobody says which instruction set them.",
            how: "A clock, a checkout, an archive that was made again.",
            fix: "SOURCE_DATE_EPOCH with `rewrite-timestamp=true`, `--timestamp` or `--reproducible`, whichever the builder has.",
        }
    }

    fn groups(&self, scene: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        of_layers(scene, open, &|_, _| true)
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "mtime").then(String::new)
    }
}

impl Cause for Clock {
    fn page(&self) -> &'static Page {
        &Page {
            id: "image-clock",
            title: "The image says it was made at another time",
            severity: Severity::Reproducibility,
            what: "`created`, of the image or of entries of its history.",
            how: "A clock: every build has another time, unless it is told one.",
            fix: "SOURCE_DATE_EPOCH (`--build-arg SOURCE_DATE_EPOCH=0` for BuildKit), `--timestamp 0` (buildah), `--reproducible` (kaniko).",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "created").then(String::new)
    }
}
