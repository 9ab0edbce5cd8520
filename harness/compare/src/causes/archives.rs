//! Archives inside images, looked into: what differs may be nothing but a time in a header.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::peek::archive::{self, gunzip, gzip_head};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Times;
pub(super) struct Recompressed;
pub(super) struct Members;

/// Members that are named in a finding.
const NAMED: usize = 4;

impl Cause for Times {
    fn page(&self) -> &'static Page {
        &Page {
            id: "archive-times",
            title: "An archive in the image holds times",
            severity: Severity::Reproducibility,
            what: "What is packed in it is the same; the header of gzip, or of members of a tar, zip or jar, holds the time of a file or of the packing.",
            how: "gzip writes the time of the file it packs, tar and zip those of all members.",
            fix: "`gzip -n`; `tar --mtime=@$SOURCE_DATE_EPOCH --sort=name --owner=0 --group=0 --numeric-owner`; `zip -X` after `touch`; `jar --date`; or `strip-nondeterminism FILE` at the end of the RUN.",
        }
    }

    fn content(&self, scene: &Scene<'_>, row: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let Some(peek) = peek else {
            let path = row.path();
            let is_named =
                [".gz", ".tgz", ".tar", ".zip", ".jar", ".war", ".whl"].iter().any(|end| path.ends_with(end));
            return is_named.then(|| Said::all("by its name: not looked into"));
        };
        if let (Some(left), Some(right)) = (gzip_head(&peek.left), gzip_head(&peek.right)) {
            let (times, same) =
                ((i64::from(left.mtime), i64::from(right.mtime)), peek.differs_only_within(4..8));
            if left.mtime != right.mtime && (same || inflated_alike(peek)) {
                let of = scene.file_of_time(times.0, times.1).map(|path| format!(": the time of {path}"));
                let of = of.unwrap_or_default();
                return Some(Said::this(format!("gzip's header says {} and {}{of}", times.0, times.1)));
            }
        }
        let (left, right) = both(peek)?;
        let same = left.order == right.order
            && left
                .by_name
                .iter()
                .zip(&right.by_name)
                .all(|((_, left), (_, right))| left.content == right.content && left.rest == right.rest);
        let differ =
            left.by_name.values().zip(right.by_name.values()).filter(|(l, r)| l.mtime != r.mtime).count();
        (same && differ > 0)
            .then(|| Said::this(format!("{differ} of {} members have other times", left.order.len())))
    }
}

impl Cause for Recompressed {
    fn page(&self) -> &'static Page {
        &Page {
            id: "recompressed",
            title: "A file was compressed otherwise, its content is the same",
            severity: Severity::Cosmetic,
            what: "Unpacked, both are the same bytes.",
            how: "Another program, another version or level compressed it.",
            fix: "Say the level, and use one version of the compressor.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let peek = peek?;
        gzip_head(&peek.left)?;
        inflated_alike(peek).then(Said::nothing)
    }
}

impl Cause for Members {
    fn page(&self) -> &'static Page {
        &Page {
            id: "archive-members",
            title: "Members of an archive in the image differ",
            severity: Severity::Behaviour,
            what: "An archive was looked into: these of its members have other contents, owners or modes, stand in another order, or are in one of them only.",
            how: "What was packed differs; or its order does, where nobody sorted the names.",
            fix: "Look for the cause in what was packed; `tar --sort=name`, `find … | LC_ALL=C sort | zip -X@`.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let (left, right) = both(peek?)?;
        let mut said: Vec<String> = Vec::new();
        for (name, l) in &left.by_name {
            let name_shown = samebuild_image::golden::word(name);
            match right.by_name.get(name) {
                None => said.push(format!("{name_shown} only on the left")),
                Some(r) if r.content != l.content => said.push(format!("{name_shown} has other content")),
                Some(r) if r.rest != l.rest => {
                    said.push(format!("{name_shown} is {} and {}", l.rest, r.rest))
                }
                Some(_) => {}
            }
        }
        for name in right.by_name.keys().filter(|name| !left.by_name.contains_key(*name)) {
            said.push(format!("{} only on the right", samebuild_image::golden::word(name)));
        }
        if said.is_empty() && left.order != right.order {
            said.push("its members stand in another order".to_owned());
        }
        let more = said.len().saturating_sub(NAMED);
        said.truncate(NAMED);
        if more > 0 {
            said.push(format!("and {more} more"));
        }
        (!said.is_empty()).then(|| Said::this(said.join(", ")))
    }
}

fn both(peek: &Peek) -> Option<(archive::Members, archive::Members)> {
    if !peek.is_whole() {
        return None;
    }
    Some((archive::members(&peek.left)?, archive::members(&peek.right)?))
}

fn inflated_alike(peek: &Peek) -> bool {
    peek.is_whole() && gunzip(&peek.left).is_some_and(|left| Some(left) == gunzip(&peek.right))
}
