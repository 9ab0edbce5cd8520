//! A place inside an image: `etc/passwd`. No host path; resolving symbolic links is [`crate::Tree`]'s affair.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bstr::{BStr, ByteSlice};

/// A clean path inside an image: bytes, relative, no empty, `.` or `..` component. The root is empty.
///
/// Ordered as builders walk a tree: a directory comes right before what is in it, names by their bytes.
///
/// Cheap to clone: trees hand their places around.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct At(Arc<[u8]>);

impl Default for At {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl At {
    /// The root directory.
    pub fn root() -> Self {
        Self::default()
    }

    /// Cleans `path` as Go's `path.Clean("/" + path)` does: `..` never climbs above the root.
    pub fn clean(path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref();
        let is_name = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
        if path.split(|b| *b == b'/').all(is_name) {
            return Self(path.into());
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop();
                }
                name => parts.push(name),
            }
        }
        Self(parts.join(&b'/').into())
    }

    /// The bytes, without a leading or trailing slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root directory.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rfind_byte(b'/').map_or(&self.0, |slash| &self.0[slash + 1..])
    }

    /// The directory it is in; `None` for the root.
    pub fn parent(&self) -> Option<At> {
        if self.is_root() {
            return None;
        }
        Some(self.0.rfind_byte(b'/').map_or_else(Self::root, |slash| Self(self.0[..slash].into())))
    }

    /// Parents from the top (without the root) down to the direct one.
    pub fn parents(&self) -> impl Iterator<Item = At> + '_ {
        self.0.find_iter(b"/").map(|slash| Self(self.0[..slash].into()))
    }

    /// `name` (one or more components) below this place; cleaned, so it cannot climb.
    pub fn join(&self, name: impl AsRef<[u8]>) -> At {
        let name = name.as_ref();
        // One name that is clean already is what a walk has, thousands of times.
        if !self.is_root() && !matches!(name, b"" | b"." | b"..") && name.find_byte(b'/').is_none() {
            let mut joined = Vec::with_capacity(self.0.len() + 1 + name.len());
            joined.extend_from_slice(&self.0);
            joined.push(b'/');
            joined.extend_from_slice(name);
            return Self(joined.into());
        }
        let name = At::clean(name);
        if self.is_root() {
            return name;
        }
        if name.is_root() {
            return self.clone();
        }
        Self([self.as_bytes(), name.as_bytes()].join(&b'/').into())
    }

    /// Whether this is `dir` or lies below it.
    pub fn is_within(&self, dir: &At) -> bool {
        self.below(dir).is_some()
    }

    /// What is left of this place below `dir`; empty when it is `dir` itself.
    pub fn below(&self, dir: &At) -> Option<&[u8]> {
        if dir.is_root() {
            return Some(&self.0);
        }
        let rest = self.0.strip_prefix(dir.as_bytes())?;
        match rest.first() {
            None => Some(rest),
            Some(b'/') => Some(&rest[1..]),
            Some(_) => None,
        }
    }

    /// Whether this lies in `dir` itself and not further down.
    pub fn is_in(&self, dir: &At) -> bool {
        self.below(dir).is_some_and(|rest| !rest.is_empty() && rest.find_byte(b'/').is_none())
    }

    /// The components, top first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty())
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |b: &u8| if *b == b'/' { 0 } else { u16::from(*b) + 1 };
        let same = shared(&self.0, &other.0);
        self.0[same..].first().map(key).cmp(&other.0[same..].first().map(key))
    }
}

/// How many bytes both begin with: places of one tree have long beginnings in common, and maps compare them all the time.
fn shared(left: &[u8], right: &[u8]) -> usize {
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    let words = left_words.iter().zip(right_words).take_while(|(left, right)| left == right).count();
    let bytes = left[words * 8..].iter().zip(&right[words * 8..]);
    words * 8 + bytes.take_while(|(left, right)| left == right).count()
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", BStr::new(&self.0))
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for At {
    fn from(text: &str) -> Self {
        At::clean(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_sorts_right_before_its_children() {
        let mut places: Vec<At> = ["a-b", "a/z", "a", "a/b/c", "b", "a/b"].map(At::from).to_vec();
        places.sort();
        assert_eq!(places, ["a", "a/b", "a/b/c", "a/z", "a-b", "b"].map(At::from));
    }

    #[test]
    fn the_order_is_that_of_components_however_long_the_common_beginning_is() {
        let long = "deep/".repeat(5);
        let mut places: Vec<At> = Vec::new();
        for cut in 0..long.len() {
            for end in ["", "a", "a/b", "a-b", "ab", "/"] {
                places.push(At::clean(format!("{}{end}", &long[..cut])));
            }
        }
        for (left, right) in places.iter().flat_map(|left| places.iter().map(move |right| (left, right))) {
            assert_eq!(left.cmp(right), left.components().cmp(right.components()), "{left} {right}");
        }
    }

    #[test]
    fn cleaning_never_climbs_above_the_root() {
        assert_eq!(At::clean("../../etc//./x/../passwd"), At::from("etc/passwd"));
        for (name, want) in
            [("../../b", "a/b"), ("..", "a"), (".", "a"), ("", "a"), ("b", "a/b"), ("b/c/", "a/b/c")]
        {
            assert_eq!(At::from("a").join(name), At::from(want), "{name}");
        }
    }

    #[test]
    fn parents_run_from_the_top_down() {
        let parents: Vec<At> = At::from("a/b/c").parents().collect();
        assert_eq!(parents, [At::from("a"), At::from("a/b")]);
    }

    #[test]
    fn a_name_with_the_same_beginning_is_not_within() {
        assert!(!At::from("ab/c").is_within(&At::from("a")));
        assert!(At::from("a/c").is_within(&At::from("a")));
    }
}
