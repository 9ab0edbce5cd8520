//! Answers: what do the pruner, the builder protocol and the deployer need from a container engine?
//! The one trait through which this crate reaches the world. Leaves how it is done to its implementations:
//! `model::ModelEngine` here, our on-disk store and Docker's API at the rim.
//!
//! Every method may take several turns: it is split where the real engine is not atomic. Nothing here is
//! `Send`, on purpose: actors share one thread, in the model and on a current-thread runtime alike.

use std::future::Future;
use std::pin::Pin;

use crate::names::{Content, ImageId, Name, Reference, Repository};

/// A call in progress. Boxed so that engines and strategies can be trait objects.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The outcome of an engine call.
pub type Answer<T> = Result<T, EngineError>;

/// What an engine must do. Units: `created` is in whole seconds, as Docker's API reports it.
pub trait Engine {
    /// Images with a name in `repository`, newest first; ties in whatever order the engine likes.
    fn list(&self, repository: Repository) -> Call<'_, Answer<Vec<Summary>>>;
    /// One image with its names. Error: `NoSuchImage`.
    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>>;
    /// The image a name stands for. Error: `NoSuchImage`.
    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>>;
    /// Every container, running or not, with the image ID it was created from.
    fn containers(&self) -> Call<'_, Answer<Vec<Container>>>;
    /// `GET /system/df`: Skaffold asks it before the first delete, which makes the prune slow.
    fn disk_usage(&self) -> Call<'_, Answer<()>>;
    /// Builds with a layer cache: an image of equal content that exists is reused, with its ID.
    /// Error: `CacheVanished` when that image is deleted during the build.
    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>>;
    /// `POST /images/<id>/tag`. Moves the name when it exists.
    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>>;
    /// `DELETE /images/<target>`. By name: removes the name, and the image with its last name.
    /// By ID: removes every name and the image. Error: `Conflict`, `NoSuchImage`.
    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>>;
    /// `POST /images/prune` with `dangling=false`: every image no container uses, by the engine's own idea of use.
    fn prune_all(&self) -> Call<'_, Answer<Deleted>>;
    /// Creates (and starts, when `running`) a container. Error: `NoSuchImage` — the cluster's ErrImagePull.
    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>>;

    /// How this engine's image prints in a plan or a timeline.
    fn show_image(&self, id: ImageId) -> String {
        id.to_string()
    }
    /// How this engine's name prints in a plan or a timeline.
    fn show_name(&self, name: Name) -> String {
        name.to_string()
    }
}

/// One image as an engine lists it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Summary {
    pub id: ImageId,
    /// Seconds. Equal for images built in one second, and for all of ko, jib, bazel and buildpacks (the epoch).
    pub created: u32,
    pub names: Vec<Name>,
    /// The image this one was built on, where the engine keeps that (graphdriver only).
    pub parent: Option<ImageId>,
}

/// One container as an engine lists it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Container {
    /// The reference as the user gave it; may since have been moved or removed.
    pub reference: Reference,
    /// The image it was created from, whatever the reference says now.
    pub image: ImageId,
    pub running: bool,
}

/// What to build and how to name it (`docker build -t`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Build {
    pub content: Content,
    pub name: Name,
}

/// Options of a delete.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Delete {
    /// Skips soft conflicts: more than one name, a stopped container. Never a running container.
    pub force: bool,
    /// `noprune=0`: untagged parents go too, which no lock on `id` covers.
    pub parents: bool,
}

/// What a delete or prune removed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Deleted {
    pub names: Vec<Name>,
    pub images: Vec<ImageId>,
}

/// Why an engine said no.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no such image: {0}")]
    NoSuchImage(Reference),
    #[error("conflict: {0} is used by a running container")]
    HardConflict(ImageId),
    #[error("conflict: {0} has several names or a stopped container; force is needed")]
    SoftConflict(ImageId),
    #[error("conflict: {0} has dependent child images")]
    HasChildren(ImageId),
    #[error("the cached image {0} vanished during the build")]
    CacheVanished(ImageId),
    #[error("a prune operation is already running")]
    PruneRunning,
    /// The daemon went away. A delete that ends so may or may not have been done.
    #[error("connection to the engine lost")]
    ConnectionLost,
    /// The build came to an end without an image: what is built is at fault, or it could not be found out.
    #[error("the build failed")]
    NotBuilt,
    /// What none of the others says; the engine's log has its words.
    #[error("the engine answered with status {0}")]
    Refused(u16),
}
