//! One entry of a layer, as the tar has it: path, kind, owner, mode, times, and what it says about what lies below.

use std::collections::BTreeMap;

use bstr::ByteSlice;

use crate::at::At;
use crate::content::Content;
use crate::mtime::Mtime;

/// What every kind of file carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time.
    pub mtime: Mtime,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Meta {
    /// `mode`, owned by root, no extended attributes.
    pub fn new(mode: u32, mtime: Mtime) -> Self {
        Self { mode, uid: 0, gid: 0, mtime, xattrs: BTreeMap::new() }
    }
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum Kind {
    File(Content),
    Dir,
    /// The link's text, unresolved.
    Symlink(Vec<u8>),
    /// Another name of the entry at this place. Never in a [`crate::Tree`], where names share an inode.
    Hardlink(At),
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
}

impl Kind {
    /// The word goldens and reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir => "dir",
            Self::Symlink(_) => "symlink",
            Self::Hardlink(_) => "hardlink",
            Self::Char { .. } => "char",
            Self::Block { .. } => "block",
            Self::Fifo => "fifo",
        }
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self, Self::Dir)
    }
}

/// One entry of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is, cleaned.
    pub at: At,
    /// The path as written, where it is not `at` in the usual form (relative, a directory ending in `/`).
    pub raw: Option<Vec<u8>>,
    pub kind: Kind,
    pub meta: Meta,
    /// Owner's name as written; mostly empty.
    pub uname: Vec<u8>,
    /// Group's name as written; mostly empty.
    pub gname: Vec<u8>,
}

/// What a `.wh.` entry says about the layers below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whiteout {
    /// This place is gone.
    Removed(At),
    /// Everything below this directory is gone, the directory itself stays.
    Opaque(At),
}

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Entry {
    /// An entry in the usual form.
    pub fn new(at: At, kind: Kind, meta: Meta) -> Self {
        Self { at, raw: None, kind, meta, uname: Vec::new(), gname: Vec::new() }
    }

    /// The path in the usual form: relative, a directory ending in `/`, the root `./`.
    pub fn usual_path(&self) -> Vec<u8> {
        if self.at.is_root() {
            return b"./".to_vec();
        }
        let mut path = self.at.as_bytes().to_vec();
        if self.kind.is_dir() {
            path.push(b'/');
        }
        path
    }

    /// The path as it stands in the tar.
    pub fn path(&self) -> Vec<u8> {
        self.raw.clone().unwrap_or_else(|| self.usual_path())
    }

    /// What the entry hides, if it is a whiteout. AUFS's own bookkeeping names (`.wh..wh.…`) hide nothing.
    pub fn whiteout(&self) -> Option<Whiteout> {
        let name = self.at.name();
        let hidden = name.strip_prefix(PREFIX)?;
        let dir = self.at.parent()?;
        if name == OPAQUE {
            return Some(Whiteout::Opaque(dir));
        }
        (!hidden.starts_with_str(".wh.") && !hidden.is_empty()).then(|| Whiteout::Removed(dir.join(hidden)))
    }

    /// Where the whiteout that removes `at` stands.
    pub fn whiteout_of(at: &At) -> At {
        at.parent().unwrap_or_default().join([PREFIX, at.name()].concat())
    }

    /// Where the marker that makes directory `at` opaque stands.
    pub fn opaque_of(at: &At) -> At {
        at.join(OPAQUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whiteout(path: &str) -> Option<Whiteout> {
        Entry::new(At::from(path), Kind::Dir, Meta::new(0, Mtime::secs(0))).whiteout()
    }

    #[test]
    fn whiteouts_are_told_apart() {
        assert_eq!(whiteout("a/.wh.b"), Some(Whiteout::Removed(At::from("a/b"))));
        assert_eq!(whiteout("a/.wh..wh..opq"), Some(Whiteout::Opaque(At::from("a"))));
        assert_eq!(whiteout(".wh..wh.plnk"), None);
        assert_eq!(whiteout("a/.wh"), None);
        assert_eq!(Entry::whiteout_of(&At::from("b")), At::from(".wh.b"));
    }
}
