//! One trial of a race on the engine on disk, turn by turn.

use std::path::Path;
use std::rc::Rc;

use futures_util::FutureExt as _;
use samebuild_store::choosers::Kind;
use samebuild_store::engine::Engine;
use samebuild_store::floor::{End, Floor, drive};
use samebuild_store::session::Journal;
use samebuild_store::stage::Setting;
use samebuild_store::strategies::Strategy;

use super::DiskEngine;
use crate::races::cast::{cast, plain_beginning};
use crate::races::ground::{LiveError, REPOSITORIES};
use crate::races::notes::Notes;
use crate::races::trial::{Outcome, Turning, fate};

/// One trial in a new store below `dir`, in the order of turns that `kind` draws from `seed`.
///
/// # Errors
/// The race has a part that only the model can play, the disk fails, or the actors wait for one another.
pub fn on_disk(
    dir: &Path,
    setting: &Setting,
    strategy: &dyn Strategy,
    kind: Kind,
    seed: u64,
) -> Result<Outcome, LiveError> {
    /// About how many turns a trial takes, for choosers that have to know.
    const TURNS: usize = 16;
    let io = |source| LiveError::Io { what: format!("keep a store below {}", dir.display()), source };
    let place = tempfile::tempdir_in(dir).map_err(io)?;
    let parts = setting.race.cast;
    let floor = Floor::scheduled(parts.len(), true, false);
    let disk = Rc::new(DiskEngine::open(place.path(), Rc::clone(&floor), &REPOSITORIES).map_err(io)?);
    let mut known = 0;
    for (image, content) in plain_beginning(setting)?.images() {
        disk.add(content, |_| image.names.clone()).map_err(io)?;
        known += 1;
    }
    let (engine, notes): (Rc<dyn Engine>, Rc<Notes>) = (disk.clone(), Rc::new(Notes::new()));
    let journal: Rc<dyn Journal> = notes.clone();
    let mut actors = cast(&engine, &floor, &journal, setting.race, strategy, None)?;
    let mut turning = Turning { chooser: kind.chooser(seed, parts.len(), TURNS), parts, rows: Vec::new() };
    let end = drive(&floor, &mut actors, &mut turning).now_or_never();
    drop(actors);
    if end != Some(End::Finished) {
        let why = format!("seed {seed} does not end: {end:?}");
        return Err(LiveError::Race { race: setting.race.id.to_owned(), why });
    }
    // The look at the end is nobody's turn.
    let after = disk.on(Floor::free());
    let Some(fate) = fate(&after, &notes, known, &[]).now_or_never() else {
        return Err(LiveError::Race { race: setting.race.id.to_owned(), why: "the disk waits".to_owned() });
    };
    Ok(Outcome {
        fate,
        ready_after: notes.ready_after.get(),
        pruned_after: notes.pruned_after.get(),
        retries: notes.retries.get(),
        log: Vec::new(),
        timeline: turning.rows,
        said: Vec::new(),
    })
}
