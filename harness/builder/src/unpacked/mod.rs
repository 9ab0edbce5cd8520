//! One root that everything is unpacked into, as a builder without layers of its own has it: a step changes it, and a
//! snapshot afterwards finds the layer. What a step changed it says itself or leaves to be found ([`Did`]).
//!
//! Here is when things happen; which paths a layer takes is `snapshot`, `resolve` and `ignore`, what is known of them
//! [`map`], how they are written `layer`. RUN in such a root is `run`, what it surely
//! left alone `kept`; files kept for later stages are `saved`.

pub mod ignore;
mod kept;
mod layer;
pub mod map;
pub mod resolve;
pub mod rules;
pub mod run;
pub mod saved;
mod snapshot;

use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::{Instruction, InstructionKind};
use samebuild_image::{At, Content, Kind, Meta, Tree};

pub use rules::UnpackedRules;

use crate::delta::LayerForm;
use crate::history::Line;
use crate::session::{Session, StepError};
use crate::stage::Stage;
use ignore::Ignored;
use map::LayeredMap;
use rules::{Base, Directories, EmptyCopy, FirstLook, InnerStages, LastStep, Moments, RunChanges};

/// What a stage remembers of its root.
#[derive(Debug, Clone, Default)]
pub struct Root {
    /// The base image's files, whatever steps and stages have made of them.
    base: Tree,
    map: LayeredMap,
    looked: bool,
    ignored: Ignored,
    did: Did,
}

/// What the step under way has done to the root.
#[derive(Debug, Clone, Default)]
enum Did {
    /// It cannot change files.
    #[default]
    Metadata,
    /// It wrote these, in this order.
    Listed(Vec<At>),
    /// It changed these, and may have removed something.
    Found(Vec<At>),
    /// Whatever.
    Anything,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Whether it is the stage's last.
    pub is_last: bool,
    /// Whether the stage is the image.
    pub is_final: bool,
}

impl Root {
    /// On a base image.
    pub fn on_base(base: Tree) -> Self {
        Self { base, ..Self::default() }
    }

    /// Whether what is at this place is none of the image's: mount points, what lies in a volume, the container's mark.
    pub fn is_hidden(&self, at: &At) -> bool {
        self.ignored.hides(at) || *at == At::from(CONTAINER_MARK)
    }

    /// A COPY or ADD wrote these files.
    pub fn wrote(&mut self, files: Vec<At>, rules: &UnpackedRules) {
        self.did = match rules.empty_copy {
            EmptyCopy::WholeRoot if files.is_empty() => Did::Anything,
            _ => Did::Listed(files),
        };
    }

    /// A WORKDIR made these directories, or found the last of them.
    pub fn workdir(&mut self, made: &[At], at: &At, rules: &UnpackedRules) {
        let listed = !made.is_empty() || rules.directories == Directories::Always;
        self.did = Did::Listed(if listed { vec![at.clone()] } else { Vec::new() });
    }
}

/// Whether this builder works in one root.
pub fn is_spoken(session: &Session<'_>) -> bool {
    session.dialect.image.layer_form == LayerForm::UnpackedRoot
}

/// What Docker puts into every container's root. It is there before the first stage, and gone with it.
const CONTAINER_MARK: &str = ".dockerenv";

/// Whether a stage has to have its base's files: a step of it reads or writes some, or another stage copies from it.
pub fn is_needed(session: &Session<'_>, stage: &samebuild_dockerfile::Stage, triggers: &[String]) -> bool {
    let works = |kind: &InstructionKind| {
        matches!(kind, InstructionKind::Run(_) | InstructionKind::Copy(_) | InstructionKind::Add(_))
    };
    let triggered = |text: &String| {
        samebuild_dockerfile::parse_trigger(text, &session.dialect.syntax).is_ok_and(|node| works(&node.kind))
    };
    let copies = |node: &Instruction, from: usize| match &node.kind {
        InstructionKind::Copy(copy) => copy.from.as_ref().is_some_and(|word| {
            let origin = session.dockerfile.copy_origin(from, word, &session.dialect.syntax);
            matches!(origin, Ok(Origin::Stage(index)) if index == stage.index)
        }),
        _ => false,
    };
    stage.instructions.iter().any(|node| works(&node.kind))
        || triggers.iter().any(triggered)
        || session
            .dockerfile
            .stages
            .iter()
            .any(|other| other.instructions.iter().any(|node| copies(node, other.index)))
}

/// A stage begins: its root is what its base unpacks to. Directories and symbolic links are from now, files as they were.
pub fn begin(
    stage: &mut Stage,
    session: &Session<'_>,
    is_needed: bool,
    is_first: bool,
) -> Result<(), StepError> {
    let rules = &session.dialect.unpacked;
    let now = session.now();
    let mut tree = Tree::new();
    if is_needed || rules.base == Base::Always {
        tree = stage.unpacked.base.clone();
        for layer in stage.layers.iter().skip(stage.base_layers) {
            tree.apply(layer).map_err(StepError::broken("unpack the layers of a stage"))?;
        }
    }
    let from_now: Vec<At> = tree
        .iter()
        .filter(|(_, _, inode)| matches!(inode.kind, Kind::Dir | Kind::Symlink(_)))
        .map(|(at, _, _)| at.clone())
        .collect();
    for at in from_now {
        if let Some(meta) = tree.meta_mut(&at) {
            meta.mtime = now;
        }
    }
    if let Some(meta) = tree.meta_mut(&At::root()) {
        *meta = Meta::new(0o755, now);
    }
    if is_first {
        tree.insert(&At::from(CONTAINER_MARK), Kind::File(Content::inline(*b"")), Meta::new(0o755, now));
    }
    stage.unpacked = Root { base: std::mem::take(&mut stage.unpacked.base), ..Root::default() };
    stage.unpacked.ignored.clear(&mut tree);
    stage.tree = tree;
    let single = rules.moments == Moments::LastStep;
    if single || rules.first_look == FirstLook::StageStart {
        snapshot::first_look(stage, session)?;
    }
    Ok(())
}

/// Before a step: a RUN whose changes a walk finds must know what was there.
pub fn before(stage: &mut Stage, session: &Session<'_>, node: &Instruction) -> Result<(), StepError> {
    stage.unpacked.did = Did::Metadata;
    let walked = session.dialect.unpacked.run_changes == RunChanges::Walk;
    if matches!(node.kind, InstructionKind::Run(_)) && walked && !stage.unpacked.looked {
        snapshot::first_look(stage, session)?;
    }
    Ok(())
}

/// After a step: the snapshot, where there is one, and its line in the history, where it found something.
pub fn after(
    stage: &mut Stage,
    session: &Session<'_>,
    node: &Instruction,
    place: Place,
) -> Result<(), StepError> {
    let rules = &session.dialect.unpacked;
    let did = std::mem::take(&mut stage.unpacked.did);
    let once =
        rules.moments == Moments::LastStep || !place.is_final && rules.inner_stages == InnerStages::LastStep;
    let ends_whole = place.is_last && (once || rules.last_step == LastStep::WholeRoot);
    let layer = match did {
        _ if ends_whole => snapshot::whole(stage, session)?,
        _ if once => None,
        Did::Metadata => None,
        Did::Anything => snapshot::whole(stage, session)?,
        Did::Listed(files) => snapshot::listed(stage, session, files, false)?,
        Did::Found(files) => snapshot::listed(stage, session, files, true)?,
    };
    if let Some(layer) = layer {
        stage.layers.push(layer);
        let line = Line::Whole(node.original.clone());
        stage.record(session.dialect, &line, false);
    }
    Ok(())
}

/// VOLUME: its directories are made now, and from now on what is in them is not the image's.
pub fn volume(stage: &mut Stage, session: &Session<'_>, paths: &[String]) {
    let mut listed = Vec::new();
    for path in paths {
        let at = stage.tree.resolve(path, true).unwrap_or_else(|_| At::clean(path));
        let mut delta = crate::delta::Delta::new(&stage.tree, session.now());
        let meta = Meta::new(0o755, delta.now());
        // What is in the way stays in the way; the builder would fail to make it later, too.
        if delta.make_dirs(&at, &meta).is_ok() {
            stage.tree = delta.into_tree();
        }
        stage.unpacked.ignored.volumes.push(At::clean(path));
        listed.push(At::clean(path));
    }
    if session.dialect.unpacked.directories == Directories::Always {
        stage.unpacked.did = Did::Listed(listed);
    }
}
