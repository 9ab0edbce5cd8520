//! Takes a snapshot: of all of the root, or of the files that a step lists. Everything is seen through the request's lens.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use samebuild_image::{At, Layer, Tree};

use super::layer::{Taken, layer};
use super::resolve;
use super::rules::{Listed, OnlyDirectories, SnapshotMode, Whiteouts};
use crate::session::{Session, StepError};
use crate::snapshot::Snapshotter;
use crate::snapshot::probe::{Honest, Probe};
use crate::snapshot::walk::{self, Key};
use crate::stage::Stage;

/// Looks at everything and makes no layer of it.
pub(super) fn first_look(stage: &mut Stage, session: &Session<'_>) -> Result<(), StepError> {
    stage.unpacked.looked = true;
    walked(stage, session).map(drop)
}

/// The layer of all that a walk finds changed.
pub(super) fn whole(stage: &mut Stage, session: &Session<'_>) -> Result<Option<Layer>, StepError> {
    let taken = walked(stage, session)?;
    let rules = &session.dialect.unpacked;
    let is_dir = |at: &At| stage.tree.get(at).is_some_and(|inode| inode.kind.is_dir());
    let only_directories = taken.whiteouts.is_empty() && taken.adds.iter().all(is_dir);
    if only_directories && rules.only_directories == OnlyDirectories::NoLayer {
        return Ok(None);
    }
    Ok(layer(&stage.tree, taken, rules))
}

/// The layer of what a step lists; `removed` if something may have gone too. Volumes always go with it: they have no
/// layer of their own.
pub(super) fn listed(
    stage: &mut Stage,
    session: &Session<'_>,
    mut files: Vec<At>,
    removed: bool,
) -> Result<Option<Layer>, StepError> {
    let rules = &session.dialect.unpacked;
    let Stage { tree, unpacked, .. } = stage;
    unpacked.map.begin();
    let from_volumes = unpacked.ignored.volumes.iter().filter(|at| tree.get(at).is_some());
    files.extend(from_volumes.cloned());
    let paths =
        if files.is_empty() { Vec::new() } else { resolve::paths(tree, &files, &unpacked.ignored, rules) };
    let mut eye = Eye::new(session, tree);
    let mut taken = Taken::default();
    for at in paths.into_iter().filter(|at| tree.get(at).is_some()) {
        let key = eye.key(&at)?;
        if rules.listed == Listed::Always || unpacked.map.is_changed(&at, &key) {
            unpacked.map.add(at.clone(), key);
            taken.adds.insert(at);
        }
    }
    if removed {
        let found: BTreeSet<&At> = tree.iter().map(|(at, _, _)| at).collect();
        taken.whiteouts = removed_since(&mut unpacked.map, &found, rules.whiteouts);
    }
    Ok(layer(tree, taken, rules))
}

fn walked(stage: &mut Stage, session: &Session<'_>) -> Result<Taken, StepError> {
    let rules = &session.dialect.unpacked;
    let Stage { tree, unpacked, .. } = stage;
    unpacked.map.begin();
    let mut eye = Eye::new(session, tree);
    let mut changed = Vec::new();
    let mut found = BTreeSet::new();
    for at in tree.iter().map(|(at, _, _)| at).filter(|at| !unpacked.ignored.skips(at)) {
        let key = eye.key(at)?;
        if unpacked.map.is_changed(at, &key) {
            changed.push(at.clone());
        }
        found.insert(at);
    }
    let mut taken = Taken::default();
    for at in resolve::paths(tree, &changed, &unpacked.ignored, rules) {
        if unpacked.ignored.hides(&at) || tree.get(&at).is_none() {
            continue;
        }
        let key = eye.key(&at)?;
        unpacked.map.add(at.clone(), key);
        taken.adds.insert(at);
    }
    if changed.is_empty() {
        // Not even the root: nothing is above nothing.
        taken.adds.clear();
    }
    taken.whiteouts = removed_since(&mut unpacked.map, &found, rules.whiteouts);
    Ok(taken)
}

/// What is known and not found any more; of a directory that is gone with all in it, the directory alone.
fn removed_since(
    map: &mut super::map::LayeredMap,
    found: &BTreeSet<&At>,
    whiteouts: Whiteouts,
) -> BTreeSet<At> {
    let gone: BTreeSet<At> = map.paths().into_iter().filter(|at| !found.contains(*at)).cloned().collect();
    let mut out = BTreeSet::new();
    for at in &gone {
        let again = map.delete(at.clone());
        let with_parent = at.parent().is_some_and(|dir| gone.contains(&dir));
        let is_told = again && whiteouts == Whiteouts::Once;
        if !with_parent && !is_told {
            out.insert(at.clone());
        }
    }
    out
}

/// What a mode sees of the paths of one moment; each is looked at once.
struct Eye<'t> {
    probe: Box<dyn Probe + 't>,
    snapshotter: &'t Snapshotter,
    seen: BTreeMap<At, Key>,
}

impl<'t> Eye<'t> {
    fn new(session: &'t Session<'_>, tree: &'t Tree) -> Self {
        let own = of_mode(session.dialect.unpacked.mode);
        Self {
            probe: session.request.lens.through(Honest(tree), session.step_number()),
            snapshotter: session.request.snapshotter.unwrap_or(own).trusting(session.request.trust),
            seen: BTreeMap::new(),
        }
    }

    fn key(&mut self, at: &At) -> Result<Key, StepError> {
        if let Some(key) = self.seen.get(at) {
            return Ok(key.clone());
        }
        let key = self.look(at).map_err(StepError::broken("look at the file system"))?;
        self.seen.insert(at.clone(), key.clone());
        Ok(key)
    }

    fn look(&mut self, at: &At) -> io::Result<Key> {
        self.snapshotter.key_of(self.probe.as_mut(), at)
    }
}

/// The snapshotter of a mode.
pub(super) fn of_mode(mode: SnapshotMode) -> &'static Snapshotter {
    let name = match mode {
        SnapshotMode::Full => "full",
        SnapshotMode::FullButLinks => "full-but-links",
        SnapshotMode::Redo => "redo",
        SnapshotMode::Time => "time",
    };
    walk::SNAPSHOTTERS.iter().find(|row| row.name == name).unwrap_or(&walk::SNAPSHOTTERS[0])
}
