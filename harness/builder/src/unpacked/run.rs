//! RUN in one root on disk: the tree is written out flat, hard links and all, the command runs in it, and it is read back.

use samebuild_dockerfile::RunInstruction;
use samebuild_image::{At, Content, Kind, Meta, Tree};

use super::Did;
use super::kept::Kept;
use super::rules::{RunChanges, SnapshotMode};
use super::snapshot::of_mode;
use crate::disk::scan::scan_knowing;
use crate::failure::StepFailure;
use crate::materialise;
use crate::sandbox::{Root, Stub};
use crate::session::{Session, StepError};
use crate::snapshot::probe::Honest;
use crate::snapshot::walk::compare;
use crate::stage::Stage;
use crate::steps::run::{command, started};
use crate::steps::surroundings::Surroundings;

/// RUN. What it changed is left for a snapshot to find.
pub fn run(stage: &mut Stage, session: &Session<'_>, run: &RunInstruction) -> Result<(), StepError> {
    let (command, script) = command(stage, session, run);
    let command = started(stage, session, command)?;
    let around = Surroundings::prepare(stage, session, run, script)?;
    let root = around.scratch.join("root");
    let on_disk = with_mount_points(&stage.tree, &around.stubs, session);
    materialise::tree(&on_disk, &root).map_err(StepError::broken("unpack the root"))?;
    let kept = Kept::of(&on_disk, &root, session.request.trust)
        .map_err(StepError::broken("look at the unpacked root"))?;
    around.run(Root::Dir(root.clone()), working_dir(stage)?, &command)?;
    let ignored = &stage.unpacked.ignored;
    let after = scan_knowing(&root, &|at, _| ignored.skips(at), &|stat| kept.known(stat))
        .map_err(StepError::broken("read what RUN changed"))?;
    let before = std::mem::replace(&mut stage.tree, after);
    stage.unpacked.did = match session.dialect.unpacked.run_changes {
        RunChanges::Walk => Did::Anything,
        RunChanges::BeforeAndAfter => Did::Found(changed(&before, stage, session)?),
    };
    Ok(())
}

/// The directory the command starts in: the root where there is nothing of that name.
fn working_dir(stage: &Stage) -> Result<String, StepFailure> {
    let wanted = &stage.config.working_dir;
    let is_there = stage.tree.resolve(wanted, false).is_ok_and(|at| stage.tree.get(&at).is_some());
    if !is_there {
        return Ok("/".to_owned());
    }
    let is_dir = |at: &At| stage.tree.get(at).is_some_and(|inode| inode.kind.is_dir());
    match stage.tree.resolve(wanted, true) {
        Ok(at) if is_dir(&at) => Ok(at.to_string()),
        _ => {
            let message = format!("run in {wanted}: it is not a directory");
            Err(StepFailure::new("not-a-directory", message))
        }
    }
}

/// The tree with what the builder's own container has mounted there since long before: no RUN sees a mount point made.
fn with_mount_points(tree: &Tree, stubs: &[Stub], session: &Session<'_>) -> Tree {
    let mut out = tree.clone();
    for stub in stubs {
        let at = At::clean(&stub.at);
        for dir in at.parents().filter(|dir| tree.get(dir).is_none()) {
            out.insert(&dir, Kind::Dir, Meta::new(0o755, session.now()));
        }
        if out.get(&at).is_none() {
            let kind = if stub.is_dir { Kind::Dir } else { Kind::File(Content::inline(*b"")) };
            out.insert(&at, kind, Meta::new(0o755, session.now()));
        }
    }
    out
}

/// What has another mode, owner, time or size than right before the command.
fn changed(before: &Tree, stage: &Stage, session: &Session<'_>) -> Result<Vec<At>, StepError> {
    let step = session.step_number();
    let looks = of_mode(SnapshotMode::Redo).trusting(session.request.trust);
    let look = |tree, step| {
        let mut probe = session.request.lens.through(Honest(tree), step);
        looks.see(probe.as_mut()).map_err(StepError::broken("look at the file system"))
    };
    let (before, after) = (look(before, step - 1)?, look(&stage.tree, step)?);
    let hides = |at: &At| stage.unpacked.ignored.hides(at);
    Ok(compare(&before, &after).changed.into_iter().filter(|at| !hides(at)).collect())
}
