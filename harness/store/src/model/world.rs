//! Answers: what state does the engine in memory have? Images, names, containers, as small as they can be.
//! Leaves how requests change it, turn by turn, to the other files of this module.

use crate::engine::{Container, Summary};
use crate::names::{Content, ImageId, Name, Reference, Repository};

/// Which engine is modelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// References and images live in two stores without a common lock; a delete is four steps.
    Graphdriver,
    /// The names are the images: an image is there as long as a name, a dangling one included, refers to it.
    Containerd,
}

impl Mode {
    /// Every mode, as `--engine` names them.
    pub const ALL: [(&'static str, Mode); 2] =
        [("graph", Mode::Graphdriver), ("containerd", Mode::Containerd)];

    /// The mode's name on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Mode::Graphdriver => "graph",
            Mode::Containerd => "containerd",
        }
    }
}

/// The state of the engine in memory.
#[derive(Clone, Hash, Debug)]
pub struct World {
    pub(crate) mode: Mode,
    pub(crate) images: Vec<Image>,
    /// Sorted by name.
    pub(crate) names: Vec<(Name, ImageId)>,
    pub(crate) containers: Vec<Container>,
    pub(crate) clock: u32,
    /// Counts daemon restarts: a request that spans one is lost.
    pub(crate) epoch: u8,
    pub(crate) pruning: bool,
    /// Whether `image prune` looks only at the exact name a container was created by, as before moby #45839.
    pub(crate) before_45839: bool,
    /// Names or images changed in this turn.
    pub(crate) changed: bool,
}

#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Image {
    pub(crate) content: Content,
    pub(crate) created: u32,
    pub(crate) parent: Option<ImageId>,
    pub(crate) exists: bool,
    /// Containerd only: kept without a name by a dangling record.
    pub(crate) dangling: bool,
}

impl World {
    /// An engine with nothing in it.
    pub fn new(mode: Mode) -> World {
        World {
            mode,
            images: Vec::new(),
            names: Vec::new(),
            containers: Vec::new(),
            clock: 100,
            epoch: 0,
            pruning: false,
            before_45839: false,
            changed: false,
        }
    }

    /// Adds an image built one second after the one before.
    pub fn add(&mut self, content: Content) -> ImageId {
        self.clock += 1;
        self.add_created(content, self.clock)
    }

    /// Adds an image created at `created` seconds.
    pub fn add_created(&mut self, content: Content, created: u32) -> ImageId {
        let id = ImageId(u32::try_from(self.images.len()).unwrap_or(u32::MAX));
        self.images.push(Image { content, created, parent: None, exists: true, dangling: false });
        id
    }

    /// Makes `parent` the parent of `child`.
    pub fn set_parent(&mut self, child: ImageId, parent: ImageId) {
        self.images[child.0 as usize].parent = Some(parent);
    }

    /// `image prune` as it was before moby #45839 (containerd mode only).
    pub fn before_45839(&mut self) {
        self.before_45839 = true;
    }

    /// Gives `id` a name, or moves the name to it.
    pub fn name(&mut self, id: ImageId, name: Name) {
        self.changed = true;
        match self.names.binary_search_by_key(&name, |(name, _)| *name) {
            Ok(at) => {
                let before = std::mem::replace(&mut self.names[at].1, id);
                let nameless = before != id && self.names_of(before).next().is_none();
                self.images[before.0 as usize].dangling |= nameless && self.mode == Mode::Containerd;
            }
            Err(at) => self.names.insert(at, (name, id)),
        }
    }

    /// Removes a name.
    pub fn unname(&mut self, name: Name) {
        self.changed = true;
        self.names.retain(|(other, _)| *other != name);
    }

    /// Adds a container of `image`, created by `reference`.
    pub fn contain(&mut self, reference: Reference, image: ImageId, running: bool) {
        self.containers.push(Container { reference, image, running });
    }

    /// The daemon restarts: containers stop, requests in progress are lost.
    pub fn restart(&mut self) {
        self.epoch += 1;
        self.pruning = false;
        self.containers.iter_mut().for_each(|container| container.running = false);
    }

    /// Whether the image exists.
    pub fn exists(&self, id: ImageId) -> bool {
        self.images.get(id.0 as usize).is_some_and(|image| image.exists)
    }

    /// Every container.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// The existing images by ID, and what each was built from: what an engine other than the model has to be given
    /// to be in this state.
    pub fn images(&self) -> impl Iterator<Item = (Summary, Content)> + '_ {
        let ids = (0..).map(ImageId).zip(&self.images).filter(|(_, image)| image.exists);
        ids.map(|(id, image)| (self.summary(id), image.content))
    }

    /// The existing image that `reference` stands for.
    pub fn find(&self, reference: Reference) -> Option<ImageId> {
        let id = match reference {
            Reference::Name(name) => self.target(name)?,
            Reference::Id(id) | Reference::ShortId(id) | Reference::Digest(_, id) => id,
        };
        self.exists(id).then_some(id)
    }

    /// What a name points at, existing or not.
    pub(crate) fn target(&self, name: Name) -> Option<ImageId> {
        self.names.binary_search_by_key(&name, |(name, _)| *name).ok().map(|at| self.names[at].1)
    }

    pub(crate) fn names_of(&self, id: ImageId) -> impl Iterator<Item = Name> + '_ {
        self.names.iter().filter(move |(_, target)| *target == id).map(|(name, _)| *name)
    }

    pub(crate) fn remove(&mut self, id: ImageId) {
        self.changed = true;
        let image = &mut self.images[id.0 as usize];
        image.exists = false;
        image.dangling = false;
    }

    pub(crate) fn summary(&self, id: ImageId) -> Summary {
        let Image { created, parent, .. } = self.images[id.0 as usize];
        Summary { id, created, names: self.names_of(id).collect(), parent }
    }

    /// Existing images with a name in `repository`, newest first, ties by age of ID: the older first, as an
    /// unstable sort may.
    pub(crate) fn list(&self, repository: Repository) -> Vec<Summary> {
        let mut ids: Vec<ImageId> = self
            .names
            .iter()
            .filter(|(name, id)| name.repository == repository && self.exists(*id))
            .map(|(_, id)| *id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.sort_by_key(|id| std::cmp::Reverse(self.images[id.0 as usize].created));
        ids.into_iter().map(|id| self.summary(id)).collect()
    }

    pub(crate) fn has_running_container(&self, id: ImageId) -> bool {
        self.containers.iter().any(|container| container.image == id && container.running)
    }

    pub(crate) fn has_container(&self, id: ImageId) -> bool {
        self.containers.iter().any(|container| container.image == id)
    }

    pub(crate) fn has_children(&self, id: ImageId) -> bool {
        self.images.iter().any(|image| image.exists && image.parent == Some(id))
    }
}
