//! A second look at an image, by content alone: what is in the root at the end of the build, and what the recorded layers
//! make of it. A change that a snapshot missed is found here, whether or not it is missed each time. Times are not looked at:
//! where only they differ, the final files are right.

use std::io;

use samebuild_image::tree::ApplyError;
use samebuild_image::{At, Inode, Kind, Tree};

use crate::delta::LayerForm;
use crate::dialect::Dialect;
use crate::stage::Stage;

/// A place where the image is not what the root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    pub at: At,
    /// What the layers did not record: `content`, `mode`, `owner`, `kind`, `removal`, …
    pub what: &'static str,
}

/// Why nobody can tell.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("flatten the layers: {0}")]
    Layers(#[from] ApplyError),
    #[error("read {at}: {source}")]
    Content {
        at: At,
        #[source]
        source: io::Error,
    },
}

/// What the layers of a finished stage do not say of its root.
pub(crate) fn unrecorded(stage: &Stage, dialect: &Dialect) -> Result<Vec<Unrecorded>, WitnessError> {
    let mut recorded = Tree::new();
    for layer in &stage.layers {
        recorded.apply(layer)?;
    }
    let in_a_root = dialect.image.layer_form == LayerForm::UnpackedRoot;
    let ours = |at: &At| !(in_a_root && stage.unpacked.is_hidden(at));
    differing(&stage.tree, &recorded, &ours)
}

/// Places of `truth` that are otherwise in `recorded`, and those of `recorded` that are gone; only those that are `ours`.
///
/// # Errors
/// A content cannot be read.
pub fn differing(
    truth: &Tree,
    recorded: &Tree,
    ours: &dyn Fn(&At) -> bool,
) -> Result<Vec<Unrecorded>, WitnessError> {
    let mut out = Vec::new();
    let of = |tree: &'_ Tree| -> Vec<At> {
        let all = tree.iter().map(|(at, _, _)| at);
        all.filter(|at| !at.is_root() && ours(at)).cloned().collect()
    };
    for at in of(truth) {
        let (Some(inode), found) = (truth.get(&at), recorded.get(&at)) else { continue };
        let what = match found {
            None => Some("being there"),
            Some(found) => {
                aspect(inode, found).map_err(|source| WitnessError::Content { at: at.clone(), source })?
            }
        };
        out.extend(what.map(|what| Unrecorded { at, what }));
    }
    let gone = of(recorded).into_iter().filter(|at| truth.get(at).is_none());
    out.extend(gone.map(|at| Unrecorded { at, what: "removal" }));
    out.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(out)
}

/// In what two inodes differ that a stat need not show.
fn aspect(truth: &Inode, recorded: &Inode) -> io::Result<Option<&'static str>> {
    let is_same = match (&truth.kind, &recorded.kind) {
        (Kind::File(a), Kind::File(b)) => {
            if a.size() != b.size() || a.digest()? != b.digest()? {
                return Ok(Some("content"));
            }
            true
        }
        (Kind::Symlink(a), Kind::Symlink(b)) => {
            if a != b {
                return Ok(Some("link"));
            }
            true
        }
        (Kind::Char { major: a, minor: b }, Kind::Char { major: c, minor: d })
        | (Kind::Block { major: a, minor: b }, Kind::Block { major: c, minor: d }) => (a, b) == (c, d),
        (a, b) => a.word() == b.word(),
    };
    Ok(match (&truth.meta, &recorded.meta) {
        _ if !is_same => Some("kind"),
        (a, b) if a.mode != b.mode => Some("mode"),
        (a, b) if (a.uid, a.gid) != (b.uid, b.gid) => Some("owner"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use samebuild_image::{Content, Meta, Mtime};

    use super::*;

    fn tree(text: &str, mode: u32, secs: i64) -> Tree {
        let mut tree = Tree::new();
        let meta = Meta::new(mode, Mtime::secs(secs));
        tree.insert(&At::from("f"), Kind::File(Content::inline(text.as_bytes())), meta);
        tree
    }

    fn found(truth: &Tree, recorded: &Tree) -> Vec<&'static str> {
        differing(truth, recorded, &|_| true).unwrap().into_iter().map(|found| found.what).collect()
    }

    #[test]
    fn a_content_a_mode_and_a_removal_that_nobody_recorded_are_found_and_a_time_is_not() {
        let truth = tree("bbbb", 0o644, 1);
        assert_eq!(found(&truth, &tree("aaaa", 0o644, 1)), ["content"]);
        assert_eq!(found(&truth, &tree("bbbb", 0o600, 1)), ["mode"]);
        assert_eq!(found(&truth, &Tree::new()), ["being there"]);
        assert_eq!(found(&Tree::new(), &truth), ["removal"]);
        assert_eq!(found(&truth, &tree("bbbb", 0o644, 2)), [""; 0]);
    }
}
