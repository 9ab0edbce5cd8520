//! What earlier snapshots know of the root: for each one what it added and what it found gone, and both merged.
//! How a path is looked at is a snapshotter's, which paths are added `snapshot`'s affair.

use std::collections::BTreeSet;

use samebuild_image::{At, Digest};

use crate::snapshot::walk::{Key, Seen};

/// Layers of knowledge, the merged view of all but the last, and the last.
#[derive(Debug, Clone, Default)]
pub struct LayeredMap {
    /// Everything known when the snapshot under way began.
    merged: Seen,
    adds: Seen,
    deletes: BTreeSet<At>,
    /// Every path that ever went.
    gone: BTreeSet<At>,
}

impl LayeredMap {
    /// A snapshot begins: what the one before found is known from now on. What it deleted counts after what it added.
    pub fn begin(&mut self) {
        self.merged.append(&mut self.adds);
        for at in std::mem::take(&mut self.deletes) {
            self.merged.remove(&at);
        }
    }

    /// Whether the path is new, or not as it was when this snapshot began.
    pub fn is_changed(&self, at: &At, key: &Key) -> bool {
        !self.merged.get(at).is_some_and(|before| key.is_as(before))
    }

    /// The snapshot takes the path.
    pub fn add(&mut self, at: At, key: Key) {
        self.adds.insert(at, key);
    }

    /// The snapshot finds the path gone. Whether it went before.
    pub fn delete(&mut self, at: At) -> bool {
        let again = !self.gone.insert(at.clone());
        self.deletes.insert(at);
        again
    }

    /// Every path known, the snapshot under way included.
    pub fn paths(&self) -> BTreeSet<&At> {
        let known = self.merged.keys().chain(self.adds.keys());
        known.filter(|at| !self.deletes.contains(*at)).collect()
    }

    /// A digest of what the last snapshot found. Caches were keyed by it once; none is now.
    pub fn key(&self) -> Digest {
        let adds: std::collections::BTreeMap<String, String> =
            self.adds.iter().map(|(at, key)| (at.to_string(), key.hash())).collect();
        let deletes: Vec<String> = self.deletes.iter().map(ToString::to_string).collect();
        Digest::of(serde_json::json!([adds, deletes]).to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use samebuild_image::Mtime;

    use super::*;

    fn at(path: &str) -> At {
        At::from(path)
    }

    fn key(secs: i64) -> Key {
        Key::Time(Mtime::secs(secs))
    }

    #[test]
    fn what_is_added_counts_from_the_next_snapshot_on() {
        let mut map = LayeredMap::default();
        map.begin();
        map.add(at("a"), key(1));
        assert!(map.is_changed(&at("a"), &key(1)));
        map.begin();
        assert!(!map.is_changed(&at("a"), &key(1)));
        assert!(map.is_changed(&at("a"), &key(2)));
    }

    /// GoogleContainerTools/kaniko#2066: a file deleted and made again in later layers was lost.
    #[test]
    fn a_path_that_goes_and_comes_again_is_known_again() {
        let mut map = LayeredMap::default();
        map.begin();
        map.add(at("a"), key(1));
        map.begin();
        assert!(!map.delete(at("a")));
        assert_eq!(map.paths().len(), 0);
        map.begin();
        assert!(map.is_changed(&at("a"), &key(1)), "it went, so it is new");
        map.add(at("a"), key(1));
        map.begin();
        assert!(!map.is_changed(&at("a"), &key(1)));
        assert!(map.delete(at("a")), "it went before");
    }

    #[test]
    fn the_key_is_of_the_last_snapshot_alone() {
        let mut one = LayeredMap::default();
        one.begin();
        one.add(at("a"), key(1));
        let first = one.key();
        one.begin();
        assert_ne!(one.key(), first);
        one.add(at("a"), key(1));
        assert_eq!(one.key(), first);
        one.delete(at("b"));
        assert_ne!(one.key(), first);
    }
}
