//! Answers: how do the pruner and the explorer name images, repositories and tags?
//! Small copyable symbols, because a schedule is explored hundreds of thousands of times a second.
//! Leaves what a symbol means on a real daemon (digests, strings) to the engine's adapter, and how it is
//! printed there to `Engine::show_image` and `Engine::show_name`.

use std::fmt;

/// An image ID: what `DELETE /images/<id>` takes. Two builds of one content share it when the cache hits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageId(pub u32);

/// A repository: the part of a name before the colon, and what a prune pass works on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Repository(pub u16);

/// What is built: sources and Dockerfile together. Equal contents may hit the build cache.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Content(pub u16);

/// The part of a name after the colon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tag {
    /// What the user's tag policy yields: `latest`, a commit, a date.
    Policy(u16),
    /// The hex of the image ID. A function of the ID, so an identical rebuild re-creates a name that a stale
    /// victim list already holds (Skaffold, `TagWithImageID`).
    Unique(ImageId),
    /// A name whose only use is to be there: a pin on the image.
    Lease(u16),
}

/// `repository:tag`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name {
    pub repository: Repository,
    pub tag: Tag,
}

/// How a container (or a delete) names its image. moby #45839 is about every row but the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reference {
    Name(Name),
    Id(ImageId),
    ShortId(ImageId),
    Digest(Repository, ImageId),
}

impl Name {
    /// `repository:<hex of id>`, the name the deployer uses.
    pub fn unique(repository: Repository, id: ImageId) -> Name {
        Name { repository, tag: Tag::Unique(id) }
    }

    /// `repository:<policy tag n>`.
    pub fn policy(repository: Repository, n: u16) -> Name {
        Name { repository, tag: Tag::Policy(n) }
    }
}

/// A, B, … Z, A1, B1, …: images are told apart by letters in a timeline.
impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(b'A' + u8::try_from(self.0 % 26).unwrap_or(0));
        match self.0 / 26 {
            0 => write!(f, "{letter}"),
            round => write!(f, "{letter}{round}"),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("app"),
            1 => f.write_str("web"),
            n => write!(f, "repo{n}"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            Tag::Policy(0) => write!(f, "{}:latest", self.repository),
            Tag::Policy(n) => write!(f, "{}:v{n}", self.repository),
            Tag::Unique(id) => write!(f, "{}:id-{id}", self.repository),
            Tag::Lease(n) => write!(f, "{}:lease-{n}", self.repository),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Name(name) => write!(f, "{name}"),
            Reference::Id(id) => write!(f, "{id}"),
            Reference::ShortId(id) => write!(f, "short id of {id}"),
            Reference::Digest(repository, id) => write!(f, "{repository}@digest-of-{id}"),
        }
    }
}
