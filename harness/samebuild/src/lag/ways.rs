//! Ways to find what a RUN changed, each looking at the same edits through the same lies: is the image that it records the
//! root that there is?
//!
//! Two oracles. *By content*: what is recorded, held against the root, byte by byte. *Lag on, lag off*: what is recorded,
//! held against what the same way recorded without lies.

use std::io;
use std::path::Path;

use samebuild_builder::Trust;
use samebuild_builder::delta::{Eyes, double_walk_through};
use samebuild_builder::snapshot::probe::{Clear, Honest, Lens};
use samebuild_builder::snapshot::walk::{self, Found};
use samebuild_builder::witness::{Unrecorded, differing};
use samebuild_image::{At, Layer, Mtime, Tree};

use super::script::{Edit, Root};
use crate::faults::lag::Lag;
use crate::faults::mtime_lag::{Lie, MtimeLag, Shape};

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub name: &'static str,
    pub finds: Finds,
    pub trust: Trust,
    /// Whether it is what a dialect does by itself, or `--rehash`: then it must record every change with times cut down.
    pub is_default: bool,
}

/// What it looks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Both trees, side by side: sizes and times, and contents where a time has no fraction.
    Walk,
    /// A row of `SNAPSHOTTERS`.
    Snapshotter(&'static str),
}

/// All of them.
pub const WAYS: [Way; 7] = [
    Way { name: "diff", finds: Finds::Walk, trust: Trust::Dialect, is_default: true },
    Way { name: "full", finds: Finds::Snapshotter("full"), trust: Trust::Dialect, is_default: true },
    Way { name: "redo", finds: Finds::Snapshotter("redo"), trust: Trust::Dialect, is_default: false },
    Way { name: "time", finds: Finds::Snapshotter("time"), trust: Trust::Dialect, is_default: false },
    Way { name: "naive", finds: Finds::Snapshotter("naive"), trust: Trust::Dialect, is_default: false },
    Way { name: "diff --rehash", finds: Finds::Walk, trust: Trust::Content, is_default: true },
    Way { name: "redo --rehash", finds: Finds::Snapshotter("redo"), trust: Trust::Content, is_default: true },
];

/// What is told of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Truth,
    Truncated,
    Frozen,
}

/// All of them; the truth first.
pub const TOLD: [Told; 3] = [Told::Truth, Told::Truncated, Told::Frozen];

impl Told {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truth => "the truth",
            Self::Truncated => "cut to 1 s",
            Self::Frozen => "frozen",
        }
    }

    fn lens(self) -> Option<MtimeLag> {
        let shape = match self {
            Self::Truth => return None,
            Self::Truncated => Shape::Truncate { granularity_s: 1 },
            Self::Frozen => Shape::Freeze { window_s: 3600 },
        };
        Some(MtimeLag::of(Lag::everywhere(shape)))
    }
}

impl Way {
    /// Whether it must record every change, whatever is told.
    pub fn must_be_right(self, told: Told) -> bool {
        self.trust == Trust::Content
            || self.finds == Finds::Snapshotter("full")
            || self.is_default && told == Told::Truncated
    }

    /// What it records of a script whose roots are `truths`, from the first on.
    ///
    /// # Errors
    /// A content cannot be read.
    fn records(self, truths: &[Tree], lens: &dyn Lens) -> io::Result<Tree> {
        let Some(first) = truths.first() else { return Ok(Tree::new()) };
        let mut recorded = first.clone();
        for (pair, step) in truths.windows(2).zip(1..) {
            let [before, after] = pair else { continue };
            let layer = self.layer(before, after, lens, step)?;
            recorded.apply(&layer).map_err(io::Error::other)?;
        }
        Ok(recorded)
    }

    fn layer(self, before: &Tree, after: &Tree, lens: &dyn Lens, step: usize) -> io::Result<Layer> {
        match self.finds {
            Finds::Walk => {
                let eyes = &mut Eyes {
                    before: lens.through(Honest(before), step),
                    after: lens.through(Honest(after), step + 1),
                    trust: self.trust,
                };
                Ok(Layer { entries: double_walk_through(before, after, eyes), ..Layer::default() })
            }
            Finds::Snapshotter(name) => {
                let found = walk::find(name).ok_or_else(|| io::Error::other("no such snapshotter"))?;
                let snapshotter = found.trusting(self.trust);
                let see = |tree, step| snapshotter.see(lens.through(Honest(tree), step).as_mut());
                let (seen, now) = (see(before, step)?, see(after, step + 1)?);
                Ok(walk::layer(after, &walk::compare(&seen, &now)))
            }
        }
    }
}

/// What one way made of a script.
#[derive(Clone, Debug)]
pub struct Ended {
    pub way: Way,
    pub told: Told,
    /// Noticed by content.
    pub lost: Vec<Unrecorded>,
    /// Noticed because it recorded otherwise without lies.
    pub unlike: Vec<Unrecorded>,
    pub lies: Vec<Lie>,
}

/// Edits a root below `dir`, and asks every way what it recorded.
///
/// # Errors
/// The root cannot be changed or read.
pub fn run(dir: &Path, script: &[Edit]) -> io::Result<Vec<Ended>> {
    let truths = roots(dir, script)?;
    let Some(truth) = truths.last() else { return Ok(Vec::new()) };
    let differing = |a: &Tree, b: &Tree| differing(a, b, &|_| true).map_err(io::Error::other);
    let mut out = Vec::new();
    for way in WAYS {
        let honest = way.records(&truths, &Clear)?;
        for told in TOLD {
            let lens = told.lens();
            let recorded = match &lens {
                None => honest.clone(),
                Some(lens) => way.records(&truths, lens)?,
            };
            let (lost, unlike) = (differing(truth, &recorded)?, differing(&honest, &recorded)?);
            let lies = lens.map(|lens| lens.lies()).unwrap_or_default();
            out.push(Ended { way, told, lost, unlike, lies });
        }
    }
    Ok(out)
}

/// The root at each look and at the end. What is unchanged stays the inode it was, as with an overlay below.
fn roots(dir: &Path, script: &[Edit]) -> io::Result<Vec<Tree>> {
    let mut root = Root::new(dir)?;
    let mut roots = vec![root.look()?];
    for edit in script.iter().copied().chain([Edit::Look]) {
        root.edit(edit)?;
        if edit == Edit::Look
            && let Some(before) = roots.last()
        {
            let now = onto(before, &root.look()?)?;
            roots.push(now);
        }
    }
    Ok(roots)
}

/// `now`, reached from `before` by a layer of all that differs, times too.
fn onto(before: &Tree, now: &Tree) -> io::Result<Tree> {
    let found = differing(now, before, &|_| true).map_err(io::Error::other)?;
    let (removed, changed): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| now.get(&found.at).is_none());
    let time = |tree: &Tree, at: &At| -> Option<Mtime> { tree.get(at).map(|inode| inode.meta.mtime) };
    let touched =
        now.iter().map(|(at, _, _)| at).filter(|at| !at.is_root() && time(now, at) != time(before, at));
    let changed = changed.into_iter().map(|found| found.at).chain(touched.cloned());
    let changed: std::collections::BTreeSet<At> = changed.collect();
    let found = Found {
        changed: changed.into_iter().collect(),
        removed: removed.into_iter().map(|found| found.at).collect(),
    };
    let mut out = before.clone();
    out.apply(&walk::layer(now, &found)).map_err(io::Error::other)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT_BACK: [Edit; 1] = [Edit::PutBack { name: 0, byte: b'b' }];

    fn of(ended: &[Ended], way: &str, told: Told) -> Ended {
        ended.iter().find(|ended| ended.way.name == way && ended.told == told).unwrap().clone()
    }

    #[test]
    fn a_time_that_was_put_back_is_lost_by_who_asks_for_it_and_only_content_tells() {
        let dir = tempfile::tempdir().unwrap();
        let ended = run(dir.path(), &PUT_BACK).unwrap();
        for way in ["diff", "redo", "time"] {
            let truth = of(&ended, way, Told::Truth);
            assert_eq!((truth.lost.len(), truth.unlike.len()), (1, 0), "{way}: {truth:?}");
        }
        let cut = of(&ended, "diff", Told::Truncated);
        assert_eq!((cut.lost.len(), cut.unlike.len()), (0, 1), "a time without a fraction is not believed");
        for way in ["full", "diff --rehash", "redo --rehash"] {
            assert!(TOLD.iter().all(|told| of(&ended, way, *told).lost.is_empty()), "{way}");
        }
    }

    #[test]
    fn a_frozen_time_is_noticed_by_both_oracles_and_each_lie_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let ended = run(dir.path(), &[Edit::Wait, Edit::Rewrite { name: 0, byte: b'b' }]).unwrap();
        let frozen = of(&ended, "redo", Told::Frozen);
        assert_eq!((frozen.lost.len(), frozen.unlike.len()), (1, 1), "{frozen:?}");
        let lie = frozen.lies.iter().find(|lie| lie.at == At::from("a")).unwrap();
        assert!(lie.step == 2 && lie.shown != lie.truth);
        assert!(of(&ended, "redo", Told::Truth).lost.is_empty());
    }
}
