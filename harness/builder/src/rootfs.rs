//! The file system a RUN works on: layers as lower directories of an overlay, put on disk when a RUN first needs them and
//! never before.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_image::{Digest, Layer, Tree};

use crate::materialise::{self, MaterialiseError};
use crate::session::StepError;

/// The layers a stage stands on, bottom first.
#[derive(Clone, Default)]
pub struct Rootfs {
    lowers: Vec<Lower>,
}

/// One lower directory, on disk or still to be put there.
#[derive(Clone)]
enum Lower {
    /// A base image, all its layers flattened.
    Base { tree: Arc<Tree>, identity: Digest },
    /// A layer computed on the Tree, with the tree it leads to.
    Computed { layer: Arc<Layer>, tree: Arc<Tree> },
    /// There already.
    OnDisk(PathBuf),
}

/// An overlay ready to be mounted.
pub struct Mounted {
    /// Lower directories, top first, as short names relative to the scratch directory.
    pub lowers: Vec<String>,
    pub upper: PathBuf,
}

/// Why the file system cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    #[error(transparent)]
    Materialise(#[from] MaterialiseError),
    #[error("set up the overlay in {}: {error}", dir.display())]
    Scratch {
        dir: PathBuf,
        #[source]
        error: std::io::Error,
    },
}

impl RootfsError {
    /// As the end of a step.
    pub fn in_step(self) -> StepError {
        match self {
            Self::Materialise(error) => error.in_step("unpack the layers"),
            scratch @ Self::Scratch { .. } => StepError::broken("unpack the layers")(scratch),
        }
    }
}

impl Rootfs {
    /// Stands on a base image.
    pub fn on_base(tree: Tree, identity: Digest) -> Self {
        Self { lowers: vec![Lower::Base { tree: Arc::new(tree), identity }] }
    }

    /// Adds a layer computed on the Tree.
    pub fn push_computed(&mut self, layer: Layer, tree: Tree) {
        self.lowers.push(Lower::Computed { layer: Arc::new(layer), tree: Arc::new(tree) });
    }

    /// Adds an upper directory that a RUN has filled.
    pub fn push_upper(&mut self, upper: PathBuf) {
        self.lowers.push(Lower::OnDisk(upper));
    }

    /// Puts everything on disk and makes a new upper directory in `scratch`; `init` lies right below it.
    pub fn mount(
        &mut self,
        scratch: &Path,
        unpacked: &Path,
        init: Option<(&Layer, &Tree)>,
    ) -> Result<Mounted, RootfsError> {
        let fail = |error| RootfsError::Scratch { dir: scratch.to_owned(), error };
        let mut names = Vec::new();
        std::fs::create_dir_all(scratch.join("l")).map_err(fail)?;
        for (n, lower) in self.lowers.iter_mut().enumerate() {
            let path = lower.on_disk(&scratch.join(format!("computed-{n}")), unpacked)?;
            let name = format!("l/{n}");
            symlink(&path, scratch.join(&name)).map_err(fail)?;
            names.push(name);
        }
        if let Some((layer, tree)) = init {
            materialise::layer(layer, tree, &scratch.join("init"))?;
            names.push("init".to_owned());
        }
        if names.is_empty() {
            std::fs::create_dir(scratch.join("empty")).map_err(fail)?;
            names.push("empty".to_owned());
        }
        names.reverse();
        let upper = scratch.join("upper");
        std::fs::create_dir(&upper).map_err(fail)?;
        std::fs::create_dir(scratch.join("overlay-work")).map_err(fail)?;
        Ok(Mounted { lowers: names, upper })
    }
}

impl Lower {
    /// Where it lies on disk; put there now if it does not yet, under `home` unless it is a base.
    fn on_disk(&mut self, home: &Path, unpacked: &Path) -> Result<PathBuf, MaterialiseError> {
        let path = match self {
            Self::OnDisk(path) => return Ok(path.clone()),
            Self::Base { tree, identity } => materialise::base(tree, identity, unpacked)?,
            Self::Computed { layer, tree } => {
                materialise::layer(layer, tree, home)?;
                home.to_owned()
            }
        };
        *self = Self::OnDisk(path.clone());
        Ok(path)
    }
}
