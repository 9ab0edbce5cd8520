//! The file system a RUN works on: layers as lower directories of an overlay, put on disk when a RUN first needs them and
//! never before.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_image::{At, Digest, Layer, Tree};

use crate::erofs;
use crate::materialise::{self, MaterialiseError};
use crate::roots::Root;
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
    /// A base image that is there, held.
    Root(Arc<Root>),
    /// There already, as a directory.
    OnDisk(PathBuf),
    /// There already, as an EROFS image.
    Image(PathBuf),
}

/// An overlay ready to be mounted.
pub struct Mounted {
    /// Lower directories, top first, as short names relative to the scratch directory.
    pub lowers: Vec<String>,
    /// Images, and which of the lower directories they are to be mounted on.
    pub images: Vec<(PathBuf, String)>,
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
        let (mut names, mut images) = (Vec::new(), Vec::new());
        std::fs::create_dir_all(scratch.join("l")).map_err(fail)?;
        for (n, lower) in self.lowers.iter_mut().enumerate() {
            lower.put_on_disk(&scratch.join(format!("computed-{n}")), unpacked)?;
            let name = format!("l/{n}");
            match lower {
                Lower::Image(image) => {
                    std::fs::create_dir(scratch.join(&name)).map_err(fail)?;
                    images.push((image.clone(), name.clone()));
                }
                Lower::Root(root) => symlink(root.path(), scratch.join(&name)).map_err(fail)?,
                Lower::OnDisk(path) => symlink(&path, scratch.join(&name)).map_err(fail)?,
                Lower::Base { .. } | Lower::Computed { .. } => continue,
            }
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
        Ok(Mounted { lowers: names, images, upper })
    }
}

impl Lower {
    /// Puts it on disk if it is not there yet, at `home` unless it is a base.
    fn put_on_disk(&mut self, home: &Path, unpacked: &Path) -> Result<(), MaterialiseError> {
        let failed = |error| MaterialiseError { at: At::root(), dir: home.to_owned(), error };
        *self = match self {
            Self::Root(_) | Self::OnDisk(_) | Self::Image(_) => return Ok(()),
            Self::Base { tree, identity } => Self::Root(Arc::new(Root::of(tree, identity, unpacked)?)),
            Self::Computed { layer, tree }
                if erofs::pays(layer) && erofs::image(layer, tree, home).map_err(failed)? =>
            {
                Self::Image(home.to_owned())
            }
            Self::Computed { layer, tree } => {
                materialise::layer(layer, tree, home)?;
                Self::OnDisk(home.to_owned())
            }
        };
        Ok(())
    }
}
