//! What a snapshotter can see of a file: a stat and a digest. The seam through which a lagging mtime is injected.
//!
//! What to do with what is seen is `walk`'s; who lies, and how, is the fault `mtime-lag` in `samebuild`.

use samebuild_image::{At, Digest, Inode, Kind, Mtime, Tree};

/// A file as `lstat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// `file`, `dir`, `symlink`, …
    pub kind: &'static str,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Size of a regular file in bytes, or of the text of a symbolic link.
    pub size: u64,
    pub mtime: Mtime,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// What the file may do besides what its owner may.
    pub capability: Option<Vec<u8>>,
}

/// Looks at the file system of one moment.
pub trait Probe {
    /// Every path there is, in walking order, without the root.
    fn paths(&self) -> Vec<At>;

    /// What `lstat` shows.
    fn lstat(&mut self, at: &At) -> std::io::Result<Stat>;

    /// The digest of a regular file's content; `None` for everything else.
    fn digest(&mut self, at: &At) -> std::io::Result<Option<Digest>>;

    /// The text of a symbolic link; `None` for everything else.
    fn link(&mut self, at: &At) -> std::io::Result<Option<Vec<u8>>>;
}

/// What stands between a snapshotter and the file system. A fault is a lens that lies.
pub trait Lens: Sync {
    /// `honest` as it looks through this lens. `step` counts instructions from 1, so that lies can be told of in order.
    fn through<'t>(&self, honest: Honest<'t>, step: usize) -> Box<dyn Probe + 't>;
}

/// No fault.
pub struct Clear;

impl Lens for Clear {
    fn through<'t>(&self, honest: Honest<'t>, _: usize) -> Box<dyn Probe + 't> {
        Box::new(honest)
    }
}

/// The truth about a tree.
pub struct Honest<'t>(pub &'t Tree);

impl Probe for Honest<'_> {
    fn paths(&self) -> Vec<At> {
        self.0.iter().map(|(at, _, _)| at.clone()).filter(|at| !at.is_root()).collect()
    }

    fn lstat(&mut self, at: &At) -> std::io::Result<Stat> {
        self.0
            .get(at)
            .map(stat)
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, at.to_string()))
    }

    fn digest(&mut self, at: &At) -> std::io::Result<Option<Digest>> {
        match self.0.get(at).map(|inode| &inode.kind) {
            Some(Kind::File(content)) => content.digest().map(Some),
            _ => Ok(None),
        }
    }

    fn link(&mut self, at: &At) -> std::io::Result<Option<Vec<u8>>> {
        match self.0.get(at).map(|inode| &inode.kind) {
            Some(Kind::Symlink(text)) => Ok(Some(text.clone())),
            _ => Ok(None),
        }
    }
}

fn stat(inode: &Inode) -> Stat {
    let size = match &inode.kind {
        Kind::File(content) => content.size(),
        Kind::Symlink(text) => text.len() as u64,
        _ => 0,
    };
    let meta = &inode.meta;
    Stat {
        kind: inode.kind.word(),
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        size,
        mtime: meta.mtime,
        device: match inode.kind {
            Kind::Char { major, minor } | Kind::Block { major, minor } => Some((major, minor)),
            _ => None,
        },
        capability: meta.xattrs.get(b"security.capability".as_slice()).cloned(),
    }
}
