//! Ways in which a builder with a cache has been wrong whatever its keys were, to show each of them beside what is right:
//! [`super::keys::KEYS`] says whose they were. Each is one function here and one call where it strikes; nobody has one who
//! does not ask for it by `--cache-keys`, and nobody should build with one.

use samebuild_dockerfile::{Instruction, InstructionKind};
use samebuild_image::{Content, Kind, Layer, Meta, Mtime, Tree};

use super::entry::Entry;
use super::parts::is_kept;
use crate::session::{Session, StepError};
use crate::stage::Stage;
use crate::steps::metadata;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A layer that was found is unpacked with its whiteouts as files, besides what they do (osscontainertools/kaniko #774).
    WhiteoutsStay,
    /// A WORKDIR after which nothing needs files is carried out without any (kaniko 1.24).
    WorkdirOnNothing,
    /// Of what was found only a stage's last step is in the image (kaniko 1.24 with `--single-snapshot`).
    LastLayerAlone,
    /// What ARG says further down is known already, because somebody looked ahead (kaniko #1910, #1912).
    ArgumentsFromAhead,
}

fn has(session: &Session<'_>, flaw: Flaw) -> bool {
    session.cache.as_ref().is_some_and(|turn| turn.cache.keys.flaws.contains(&flaw))
}

/// After a layer that was found was applied to `tree`.
pub(super) fn unpacked(session: &Session<'_>, layer: &Layer, tree: &mut Tree) {
    if has(session, Flaw::WhiteoutsStay) {
        for entry in layer.entries.iter().filter(|entry| entry.whiteout().is_some()) {
            tree.insert(&entry.at, Kind::File(Content::inline([].as_slice())), Meta::new(0, Mtime::secs(0)));
        }
    }
}

/// Whether a step is carried out as if there were no files.
pub(super) fn stands_on_nothing(session: &Session<'_>, stage: &Stage, node: &Instruction) -> bool {
    use InstructionKind::{Add, Copy, Run, Workdir};
    let needs_files = |node: &Instruction| matches!(node.kind, Add(_) | Copy(_) | Run(_));
    matches!(node.kind, Workdir(_))
        && has(session, Flaw::WorkdirOnNothing)
        && !after(session, stage, node).any(needs_files)
}

/// What stands in for a step that was found.
pub(super) fn found(entry: Entry, session: &Session<'_>, stage: &Stage, node: &Instruction) -> Entry {
    let is_last = !after(session, stage, node).any(is_kept);
    match has(session, Flaw::LastLayerAlone) && !is_last {
        true => Entry { layer: None, fixes: None, listing: None, ..entry },
        false => entry,
    }
}

/// Before a step's key is taken.
///
/// # Errors
/// An ARG further down is wrong.
pub(super) fn look_ahead(
    stage: &mut Stage,
    session: &Session<'_>,
    node: &Instruction,
) -> Result<(), StepError> {
    if has(session, Flaw::ArgumentsFromAhead) {
        let mut ahead = stage.clone();
        for node in after(session, stage, node) {
            if let InstructionKind::Arg(arg) = &node.kind {
                metadata::arg(&mut ahead, session, arg)?;
            }
        }
        stage.args = ahead.args;
    }
    Ok(())
}

/// The instructions of the stage below `node`.
fn after<'s>(
    session: &Session<'s>,
    stage: &Stage,
    node: &Instruction,
) -> impl Iterator<Item = &'s Instruction> {
    let (all, line) = (session.dockerfile.stages.get(stage.index), node.line);
    all.into_iter().flat_map(|stage| &stage.instructions).filter(move |node| node.line > line)
}
