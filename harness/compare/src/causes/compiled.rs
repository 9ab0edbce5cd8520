//! Programs and generated texts that hold when, where, or as which build they were made.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::peek::dates::differ_in_dates_only;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct BuildId;
pub(super) struct Date;
pub(super) struct BuildPath;

impl Cause for BuildId {
    fn page(&self) -> &'static Page {
        &Page {
            id: "build-id",
            title: "A program differs in its build id only",
            severity: Severity::Reproducibility,
            what: "An ELF file's build id (or Go's) is another one, and nothing else. It is a sum over the inputs of the linker, so something among them was another: often a path.",
            how: "The linker hashes paths of a temporary directory, or draws a number (`--build-id=uuid`); Go puts the version-control state in.",
            fix: "`-Wl,--build-id=none` or `=sha1`; build in a fixed directory, with `-ffile-prefix-map=$PWD=.`; for Go `-trimpath -buildvcs=false -ldflags=-buildid=`.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let peek = peek?;
        let is_id = |around: &[u8]| {
            [&b"\x03\0\0\0GNU\0"[..], b"Go build ID: \"", b"\x04\0\0\0Go\0\0"]
                .iter()
                .any(|mark| has(around, mark))
        };
        let all = peek.knows_all_spots() && peek.spots.iter().all(|spot| is_id(&spot.left));
        (peek.begin_with(b"\x7fELF") && all).then(Said::nothing)
    }
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

impl Cause for Date {
    fn page(&self) -> &'static Page {
        &Page {
            id: "embedded-date",
            title: "A file says when it was made",
            severity: Severity::Reproducibility,
            what: "Two contents are one but for dates and times in them.",
            how: "`__DATE__` and `__TIME__` of a compiler, `$(date)` in a script, a generator that signs its output with the hour.",
            fix: "Set SOURCE_DATE_EPOCH (`ARG SOURCE_DATE_EPOCH`, and export it in the RUN): compilers and many generators take it for the time; else take the date out.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let peek = peek?;
        if let Some((left, right)) = peek.texts() {
            return differ_in_dates_only(left, right).then(Said::nothing);
        }
        let lossy = |bytes: &[u8]| -> String {
            bytes
                .iter()
                .map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '\n' })
                .collect()
        };
        let is_date =
            |spot: &crate::peek::Spot| differ_in_dates_only(&lossy(&spot.left), &lossy(&spot.right));
        let all = peek.knows_all_spots() && peek.spots.iter().all(is_date);
        all.then(Said::nothing)
    }
}

impl Cause for BuildPath {
    fn page(&self) -> &'static Page {
        &Page {
            id: "build-path",
            title: "A file names the directory it was made in",
            severity: Severity::Reproducibility,
            what: "Two contents are one but for a path: that of a temporary or working directory.",
            how: "Compilers write source paths for debuggers, generators what they read, and mktemp gives each run another directory.",
            fix: "Build in a fixed directory; `-ffile-prefix-map=$PWD=.`, `-trimpath`, `--remap-path-prefix`.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let peek = peek?;
        if let Some((left, right)) = peek.texts() {
            return paths_only(left, right).map(|(l, r)| Said::this(format!("{l} and {r}")));
        }
        let lossy = |bytes: &[u8]| -> String {
            bytes.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '\n' }).collect()
        };
        if !peek.knows_all_spots() {
            return None;
        }
        let of = |spot: &crate::peek::Spot| {
            paths_only(&lossy(&spot.left), &lossy(&spot.right)).map(|(l, r)| format!("{l} and {r}"))
        };
        let mut spots = peek.spots.iter().map(of);
        let first = spots.next()??;
        spots.all(|spot| spot.is_some()).then(|| Said::this(first))
    }
}

/// The first pair of paths that differ, where nothing else does and what is left of them is the same file.
fn paths_only<'t>(left: &'t str, right: &'t str) -> Option<(&'t str, &'t str)> {
    let is_end = |c: char| c.is_whitespace() || "\"'`=:;,()[]{}<>|".contains(c);
    let (mut lefts, mut rights) = (left.split(is_end), right.split(is_end));
    let mut first = None;
    loop {
        match (lefts.next(), rights.next()) {
            (None, None) => return first,
            (Some(l), Some(r)) if l == r => {}
            (Some(l), Some(r)) if is_one_file(l, r) => first = first.or(Some((l, r))),
            _ => return None,
        }
    }
}

/// Absolute paths of two or more components, of which the last, or all but one, are the same.
fn is_one_file(left: &str, right: &str) -> bool {
    let parts = |path: &str| -> Vec<String> { path.split('/').map(str::to_owned).collect() };
    if !left.starts_with('/') || !right.starts_with('/') {
        return false;
    }
    let (left, right) = (parts(left), parts(right));
    if left.len() < 3 || right.len() < 3 {
        return false;
    }
    let differ = left.iter().zip(&right).filter(|(l, r)| l != r).count();
    let temporary =
        |parts: &[String]| matches!(&*parts[1], "tmp" | "build" | "home" | "workspace" | "var" | "buildkit");
    (left.len() == right.len() && differ == 1 && temporary(&left))
        || (left.last() == right.last() && temporary(&left) && temporary(&right))
}
