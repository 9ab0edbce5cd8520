//! Snapshotters that find what changed by looking at every file, as a family: a trait and the table [`SNAPSHOTTERS`].
//!
//! Each keeps what it saw last time and calls a path changed when its key differs. What it saw may be a lie: that is the
//! point of looking through a [`Probe`].

use std::collections::BTreeMap;
use std::io;

use samebuild_image::{At, Digest, Layer, Mtime, Tree};

use super::probe::{Probe, Stat};
use crate::request::Trust;

/// One way of deciding that a file is unchanged.
pub struct Snapshotter {
    /// Its name in `--snapshot-mode`.
    pub name: &'static str,
    /// Two files with the same key are the same, to this snapshotter.
    pub means_unchanged: &'static str,
    key: fn(&mut dyn Probe, &At, &Stat) -> io::Result<Key>,
}

/// What a snapshotter remembers of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Time(Mtime),
    Stat(Stat),
    Content(Stat, Option<Digest>),
    /// As moby's archive walk asks: what it does not look at is not in it, and a time without a fraction stands for its
    /// whole second.
    FsTime(Stat),
}

impl Key {
    /// Whether a path with this key is taken for unchanged if it had `before`.
    pub fn is_as(&self, before: &Self) -> bool {
        let (Self::FsTime(now), Self::FsTime(then)) = (self, before) else { return self == before };
        let but_for_times = Stat { mtime: then.mtime, ..now.clone() } == *then;
        but_for_times && same_fs_time(now.mtime, then.mtime)
    }

    /// The key as hexadecimal digits.
    pub fn hash(&self) -> String {
        Digest::of(format!("{self:?}").as_bytes()).hex()
    }
}

/// All of them, the one that misses nothing first.
pub const SNAPSHOTTERS: [Snapshotter; 6] = [
    Snapshotter {
        name: "full",
        means_unchanged: "mode, owner, mtime and content are equal, or the text of a symbolic link",
        key: |probe, at, stat| {
            let text = probe.link(at)?.map(|text| Digest::of(&text));
            let content = probe.digest(at)?.or(text);
            Ok(Key::Content(Stat { size: 0, device: None, ..stat.clone() }, content))
        },
    },
    Snapshotter {
        name: REHASH,
        means_unchanged: "the same, and the number of a device: nothing that a time or a size says settles it",
        key: |probe, at, stat| {
            let text = probe.link(at)?.map(|text| Digest::of(&text));
            let content = probe.digest(at)?.or(text);
            Ok(Key::Content(Stat { size: 0, ..stat.clone() }, content))
        },
    },
    Snapshotter {
        name: "full-but-links",
        means_unchanged: "mode, owner, mtime and content are equal; where a symbolic link leads is not looked at",
        key: |probe, at, stat| {
            let stat = Stat { size: 0, capability: None, device: None, ..stat.clone() };
            Ok(Key::Content(stat, probe.digest(at)?))
        },
    },
    Snapshotter {
        name: "redo",
        means_unchanged: "mode, owner, mtime and size are equal; content is never read",
        key: |_, _, stat| Ok(Key::Stat(Stat { capability: None, device: None, ..stat.clone() })),
    },
    Snapshotter {
        name: "time",
        means_unchanged: "mtime is equal; nothing else is looked at",
        key: |_, _, stat| Ok(Key::Time(stat.mtime)),
    },
    Snapshotter {
        name: "naive",
        means_unchanged: "mode, owner, device and capability are equal, of a file its size and second too, and its fraction where both have one",
        key: |_, _, stat| {
            let unseen = Stat { size: 0, mtime: Mtime::secs(0), ..stat.clone() };
            Ok(Key::FsTime(if stat.kind == "dir" { unseen } else { stat.clone() }))
        },
    },
];

/// moby's `sameFsTime`, for storage that keeps whole seconds: such a time is any within its second.
fn same_fs_time(one: Mtime, other: Mtime) -> bool {
    match (one.timestamp(), other.timestamp()) {
        (Some((secs, nanos)), Some((then, fraction))) => {
            secs == then && (nanos == fraction || nanos == 0 || fraction == 0)
        }
        _ => one == other,
    }
}

/// The snapshotter called `name`.
pub fn find(name: &str) -> Option<&'static Snapshotter> {
    SNAPSHOTTERS.iter().find(|snapshotter| snapshotter.name == name)
}

/// What was seen at one moment.
pub type Seen = BTreeMap<At, Key>;

/// The layer a snapshotter would write: what it found changed, as it really is now, and the directories above it.
pub fn layer(tree: &Tree, found: &Found) -> Layer {
    let mut kept = std::collections::BTreeSet::new();
    for at in &found.changed {
        kept.extend(at.parents());
        kept.insert(at.clone());
    }
    let mut layer = crate::delta::entries_of(tree, &kept);
    let gone = found.removed.iter().filter(|at| at.parent().is_some_and(|dir| tree.get(&dir).is_some()));
    layer.entries.extend(gone.map(|at| crate::delta::whiteout(at, 0, Mtime::secs(0))));
    layer
}

/// What differs between two moments, each in walking order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// New or changed.
    pub changed: Vec<At>,
    pub removed: Vec<At>,
}

/// What `--rehash` looks with.
const REHASH: &str = "rehash";

impl Snapshotter {
    /// This one, or where no stat is to be trusted the one that trusts none.
    pub fn trusting(&'static self, trust: Trust) -> &'static Self {
        match trust {
            Trust::Dialect => self,
            Trust::Content => find(REHASH).unwrap_or(self),
        }
    }

    /// Looks at one path.
    pub fn key_of(&self, probe: &mut dyn Probe, at: &At) -> io::Result<Key> {
        let stat = probe.lstat(at)?;
        (self.key)(probe, at, &stat)
    }

    /// Looks at everything.
    pub fn see(&self, probe: &mut dyn Probe) -> io::Result<Seen> {
        let mut seen = Seen::new();
        for at in probe.paths() {
            let key = self.key_of(probe, &at)?;
            seen.insert(at, key);
        }
        Ok(seen)
    }
}

/// What is different in `now`.
pub fn compare(before: &Seen, now: &Seen) -> Found {
    Found {
        changed: now
            .iter()
            .filter(|(at, key)| !before.get(at).is_some_and(|before| key.is_as(before)))
            .map(|(at, _)| at.clone())
            .collect(),
        removed: before.keys().filter(|at| !now.contains_key(at)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use samebuild_image::{Content, Kind, Meta};

    use super::super::probe::Honest;
    use super::*;

    fn tree(text: &str, secs: i64) -> Tree {
        let mut tree = Tree::new();
        tree.insert(
            &At::from("f"),
            Kind::File(Content::inline(text.as_bytes())),
            Meta::new(0o644, Mtime::secs(secs)),
        );
        tree
    }

    fn finds(name: &str, before: &Tree, now: &Tree) -> usize {
        let snapshotter = find(name).unwrap();
        let seen = |tree| snapshotter.see(&mut Honest(tree)).unwrap();
        compare(&seen(before), &seen(now)).changed.len()
    }

    #[test]
    fn only_full_finds_a_same_size_rewrite_with_the_old_time() {
        let (before, now) = (tree("aaaa", 1), tree("bbbb", 1));
        assert_eq!(["full", "redo", "time"].map(|name| finds(name, &before, &now)), [1, 0, 0]);
    }

    /// Docker's `vfs` and buildah's: layers keep whole seconds, so what was unpacked has no fraction.
    #[test]
    fn naive_takes_a_time_without_a_fraction_for_its_whole_second() {
        let at = |text: &str, secs, nanos| {
            let mut tree = Tree::new();
            let meta = Meta::new(0o644, Mtime::At { secs, nanos });
            tree.insert(&At::from("f"), Kind::File(Content::inline(text.as_bytes())), meta);
            tree
        };
        let unpacked = at("aaaa", 1, 0);
        for (now, found) in
            [(at("bbbb", 1, 7), 0), (at("bbbb", 2, 0), 1), (at("bbbbb", 1, 7), 1), (at("aaaa", 1, 0), 0)]
        {
            assert_eq!(finds("naive", &unpacked, &now), found);
        }
        assert_eq!(finds("naive", &at("aaaa", 1, 5), &at("bbbb", 1, 7)), 1);
    }

    #[test]
    fn time_alone_misses_a_longer_file_that_redo_finds() {
        let (before, now) = (tree("aaaa", 1), tree("bbbbb", 1));
        assert_eq!(["full", "redo", "time"].map(|name| finds(name, &before, &now)), [1, 1, 0]);
    }
}
