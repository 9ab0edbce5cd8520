//! What a step's result is known by: named parts, and the digest of all of them. Unambiguous (every name and value goes in
//! with its length, so that no two lists of parts are written alike), versioned and separated from every other use of the
//! digest. Which parts a step has is `parts`' affair.

use std::fmt;
use std::str::FromStr;

use samebuild_image::Digest;
use samebuild_image::digest::Hasher;

/// Changes whenever the same parts mean something else than before: then nothing that is kept is found any more.
const VERSION: u32 = 2;
const DOMAIN: &[u8] = b"samebuild layer cache";

/// The digest of a step's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Digest);

impl Key {
    /// A key by other rules than ours.
    pub fn of(digest: Digest) -> Self {
        Self(digest)
    }

    /// 64 hexadecimal digits: a name of files and a tag in registries.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key of the cache; accepted: 64 hexadecimal digits, as `samebuild cache ls` prints them")]
pub struct BadKey(pub String);

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        Digest::from_hex(text).map(Self).ok_or_else(|| BadKey(text.to_owned()))
    }
}

/// What a step's result depends on, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(Vec<Part>);

/// One thing that a step's result depends on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    pub name: String,
    /// What counts, as it is hashed.
    #[serde(with = "serde_bytes_as_text")]
    pub value: Vec<u8>,
    /// Where the value is the digest of a list: its lines, for people. Not hashed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

impl Parts {
    /// Adds a part.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push(Part { name: name.into(), value: value.into(), lines: Vec::new() });
    }

    /// Adds a list of texts as one part.
    pub fn add_list<T: AsRef<[u8]>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        let mut list = List::default();
        for item in items {
            list.add(item.as_ref());
        }
        let lines = list.lines.clone();
        self.0.push(Part { name: name.to_owned(), value: list.finish().to_string().into_bytes(), lines });
    }

    /// Adds a list that was taken elsewhere.
    pub fn add_taken(&mut self, name: &str, digest: Digest, lines: Vec<String>) {
        self.0.push(Part { name: name.to_owned(), value: digest.to_string().into_bytes(), lines });
    }

    /// All of them.
    pub fn all(&self) -> &[Part] {
        &self.0
    }

    /// The digest.
    pub fn key(&self) -> Key {
        let mut hasher = Hasher::default();
        framed(&mut hasher, DOMAIN);
        hasher.update(&VERSION.to_be_bytes());
        hasher.update(&(self.0.len() as u64).to_be_bytes());
        for part in &self.0 {
            framed(&mut hasher, part.name.as_bytes());
            framed(&mut hasher, &part.value);
        }
        Key(hasher.finish().0)
    }
}

impl From<Vec<Part>> for Parts {
    fn from(parts: Vec<Part>) -> Self {
        Self(parts)
    }
}

/// A list being digested; its lines are kept for people.
#[derive(Default)]
struct List {
    hasher: Hasher,
    lines: Vec<String>,
}

impl List {
    fn add(&mut self, item: &[u8]) {
        framed(&mut self.hasher, item);
        self.lines.push(String::from_utf8_lossy(item).into_owned());
    }

    fn finish(self) -> Digest {
        self.hasher.finish().0
    }
}

/// Bytes after their length.
pub fn framed(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

/// Values are mostly text; others are shown as hexadecimal digits behind a mark that no text begins with.
mod serde_bytes_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.starts_with('\u{0}') => serializer.serialize_str(text),
            _ => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                serializer.serialize_str(&format!("\u{0}{digits}"))
            }
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Some(digits) = text.strip_prefix('\u{0}') else { return Ok(text.into_bytes()) };
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        bytes.ok_or_else(|| serde::de::Error::custom("no hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[(&str, &str)]) -> Key {
        let mut all = Parts::default();
        for (name, value) in parts {
            all.add(*name, *value);
        }
        all.key()
    }

    // osscontainertools/kaniko: joined with `-`, `a-b` and `c` read as `a` and `b-c`.
    #[test]
    fn no_two_lists_of_parts_are_written_alike() {
        let keys = [
            key(&[]),
            key(&[("", "")]),
            key(&[("a", "b"), ("c", "d")]),
            key(&[("a", "bc"), ("", "d")]),
            key(&[("ab", ""), ("c", "d")]),
            key(&[("c", "d"), ("a", "b")]),
            key(&[("a", "b-c"), ("d", "")]),
            key(&[("a", "b"), ("c-d", "")]),
        ];
        for (n, key) in keys.iter().enumerate() {
            assert!(!keys[..n].contains(key), "{n}");
        }
        let list = |items: &[&str]| {
            let mut parts = Parts::default();
            parts.add_list("list", items);
            parts.key()
        };
        assert_ne!(list(&["a", "b"]), list(&["ab"]));
        assert_ne!(list(&["a", "b"]), list(&["a\nb"]));
    }

    #[test]
    fn parts_that_are_no_text_come_back_from_json() {
        let mut parts = Parts::default();
        parts.add("bytes", vec![0xff, 0, 7]);
        parts.add("text", "ä");
        parts.add("mark", "\u{0}x");
        let json = serde_json::to_string(parts.all()).unwrap();
        let back: Vec<Part> = serde_json::from_str(&json).unwrap();
        assert_eq!(Parts::from(back), parts);
    }

    #[test]
    fn a_key_reads_back_and_nothing_else_is_one() {
        let it = key(&[("a", "b")]);
        assert_eq!(it.hex().parse(), Ok(it));
        for bad in ["", "abc", "../../etc/passwd", &format!("sha256:{it}"), &format!("{it}0")] {
            assert!(bad.parse::<Key>().unwrap_err().to_string().contains("64 hexadecimal digits"), "{bad}");
        }
    }
}
