//! Answers: what does an image depend on? Everything that can change it, as one digest: the recipe (Dockerfile, base
//! digests, platform, builder, build arguments, target), every file by its whole path with kind, mode, link text,
//! extended attributes and content, and the keys of the artifacts it requires.
//!
//! Not in it: the name of the image (a renamed image is tagged, not built), where the sources lie, times and owners of
//! files (a checkout changes them, and clients send root's).
//!
//! Unambiguous: each part is preceded by its label and its length, each kind of key begins with a word of its own, and
//! the first part is a version. Skaffold hashes the base name of a file, not its directory, and no separators
//! (GoogleContainerTools/skaffold `hash.go`), so moving `a/f` to `b/f` keeps its key; and not the base image (#5063).

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

/// The digest of all that an image depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

/// What is built, but for its files.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// Who builds, and how: a dialect with what was changed of it, and where the image goes.
    pub builder: &'a str,
    pub platform: &'a str,
    pub target: Option<&'a str>,
    pub args: &'a BTreeMap<String, String>,
    pub dockerfile: &'a [u8],
    /// Every image the Dockerfile names, and the digest it stands for now.
    pub bases: &'a BTreeMap<String, String>,
}

/// One file of a workspace.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// From the root of the context, all of it.
    pub path: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    pub xattrs: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    pub kind: Kind<'a>,
}

/// What a file is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// With the digest of its content.
    Regular([u8; 32]),
    Dir,
    /// With what it says, not what is there.
    Symlink(&'a [u8]),
    /// Another name of the file that is called this, too.
    HardLink(&'a [u8]),
    Fifo,
    /// Block or character, major, minor.
    Device(bool, u32, u32),
}

/// The key of a workspace, apart from what it requires.
pub fn workspace<'a>(recipe: &Recipe<'_>, files: impl IntoIterator<Item = File<'a>>) -> Key {
    let mut parts = Parts::of(b"samebuild workspace 1");
    parts.add(b"builder", recipe.builder.as_bytes());
    parts.add(b"platform", recipe.platform.as_bytes());
    match recipe.target {
        Some(target) => parts.add(b"target", target.as_bytes()),
        None => parts.add(b"last stage", b""),
    }
    for (name, value) in recipe.args {
        parts.add(b"arg", name.as_bytes());
        parts.add(b"value", value.as_bytes());
    }
    parts.add(b"dockerfile", recipe.dockerfile);
    for (name, digest) in recipe.bases {
        parts.add(b"base", name.as_bytes());
        parts.add(b"digest", digest.as_bytes());
    }
    for file in files {
        parts.add(b"path", file.path);
        parts.add(b"mode", &file.mode.to_le_bytes());
        match file.kind {
            Kind::Regular(digest) => parts.add(b"regular", &digest),
            Kind::Dir => parts.add(b"dir", b""),
            Kind::Symlink(text) => parts.add(b"symlink", text),
            Kind::HardLink(first) => parts.add(b"hard link", first),
            Kind::Fifo => parts.add(b"fifo", b""),
            Kind::Device(block, major, minor) => {
                parts.add(if block { b"block" } else { b"char" }, &major.to_le_bytes());
                parts.add(b"minor", &minor.to_le_bytes());
            }
        }
        for (name, value) in file.xattrs {
            parts.add(b"xattr", name);
            parts.add(b"value", value);
        }
    }
    parts.key()
}

/// `own` with the artifacts it requires, each listed once whoever asks for it how often: by the argument that names it.
pub fn required(own: Key, required: &BTreeMap<String, Key>) -> Key {
    if required.is_empty() {
        return own;
    }
    let mut parts = Parts::of(b"samebuild required 1");
    parts.add(b"own", &own.0);
    for (alias, key) in required {
        parts.add(b"alias", alias.as_bytes());
        parts.add(b"key", &key.0);
    }
    parts.key()
}

struct Parts(Sha256);

impl Parts {
    fn of(domain: &[u8]) -> Parts {
        let mut parts = Parts(Sha256::new());
        parts.add(b"domain", domain);
        parts
    }

    fn add(&mut self, label: &[u8], bytes: &[u8]) {
        for part in [label, bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    fn key(self) -> Key {
        Key(self.0.finalize().into())
    }
}

impl Key {
    /// A key without sources, for an engine in memory.
    pub fn symbol(number: u64) -> Key {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Key(bytes)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl std::str::FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Key, NoKey> {
        let bad = || NoKey(text.to_owned());
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).ok_or_else(bad)?;
        }
        Ok(Key(bytes))
    }
}

/// A text that is no key.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no key; accepted: 64 hexadecimal digits, as `samebuild artifacts ls` prints them")]
pub struct NoKey(String);

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = (&'static str, u32, Kind<'static>, BTreeMap<Vec<u8>, Vec<u8>>);

    fn key(change: impl FnOnce(&mut Recipe<'_>, &mut Vec<Owned>)) -> Key {
        let args = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let bases = BTreeMap::from([("alpine".to_owned(), "sha256:00".to_owned())]);
        let mut recipe = Recipe {
            builder: "buildkit@26.1",
            platform: "linux/amd64",
            target: None,
            args: &args,
            dockerfile: b"FROM alpine\n",
            bases: &bases,
        };
        let mut files: Vec<Owned> = vec![
            ("a", 0o755, Kind::Dir, BTreeMap::new()),
            ("a/f", 0o644, Kind::Regular([1; 32]), BTreeMap::new()),
            ("l", 0o777, Kind::Symlink(b"a/f"), BTreeMap::new()),
        ];
        change(&mut recipe, &mut files);
        let files = files.iter().map(|(path, mode, kind, xattrs)| File {
            path: path.as_bytes(),
            mode: *mode,
            xattrs,
            kind: kind.clone(),
        });
        workspace(&recipe, files)
    }

    fn leaked(name: &str, value: &str) -> &'static BTreeMap<String, String> {
        Box::leak(Box::new(BTreeMap::from([(name.to_owned(), value.to_owned())])))
    }

    /// Skaffold's key is blind to the first, the third, the fourth and the base.
    #[test]
    fn every_part_that_can_change_an_image_changes_its_key() {
        let keys = [
            key(|_, _| {}),
            key(|_, files| files[1].0 = "b/f"),
            key(|_, files| files[1].1 = 0o755),
            key(|_, files| files[2].2 = Kind::Symlink(b"a/g")),
            key(|_, files| files[2].2 = Kind::HardLink(b"a/f")),
            key(|_, files| files[1].2 = Kind::Regular([2; 32])),
            key(|_, files| files[1].3 = BTreeMap::from([(b"user.a".to_vec(), b"1".to_vec())])),
            key(|_, files| drop(files.pop())),
            key(|recipe, _| recipe.builder = "classic@20.10"),
            key(|recipe, _| recipe.platform = "linux/arm64"),
            key(|recipe, _| recipe.target = Some("")),
            key(|recipe, _| recipe.args = leaked("A", "2")),
            key(|recipe, _| recipe.dockerfile = b"FROM alpine\n\n"),
            key(|recipe, _| recipe.bases = leaked("alpine", "sha256:01")),
        ];
        for (n, one) in keys.iter().enumerate() {
            assert!(keys[..n].iter().all(|other| other != one), "change {n}");
        }
        assert_eq!(keys[0], key(|_, _| {}));
    }

    /// mz873 in kaniko's forks: parts joined by a hyphen.
    #[test]
    fn no_bytes_can_move_from_one_part_to_the_next() {
        let one = key(|_, files| files[2].2 = Kind::Symlink(b"xy"));
        let two = key(|_, files| {
            files[2].0 = "lx";
            files[2].2 = Kind::Symlink(b"y");
        });
        assert_ne!(one, two);
    }

    #[test]
    fn what_is_required_changes_the_key_and_counts_once() {
        let (own, base, other) = (Key::symbol(1), Key::symbol(2), Key::symbol(3));
        let with = |keys: &[(&str, Key)]| {
            required(own, &keys.iter().map(|(alias, key)| ((*alias).to_owned(), *key)).collect())
        };
        assert_eq!(with(&[]), own);
        assert_eq!(with(&[("BASE", base)]), with(&[("BASE", base), ("BASE", base)]));
        assert_ne!(with(&[("BASE", base)]), with(&[("BASE", other)]));
        assert_ne!(with(&[("BASE", base)]), with(&[("OTHER", base)]));
        assert_ne!(with(&[("A", base), ("B", other)]), with(&[("A", other), ("B", base)]));
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = key(|_, _| {});
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        for text in ["", "xyz", &"é".repeat(32), &"a".repeat(63)] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
