//! The name of a case: where it lies below the directory that was loaded.

use std::fmt;

/// `group/name`; the group may have several components or, for a case that lies at the top, none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(String);

impl CaseId {
    /// From path components; `None` for no component, or one that could not be a plain directory name.
    pub fn new<'a>(components: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let components: Vec<&str> = components.into_iter().collect();
        let plain = |name: &&str| !name.is_empty() && *name != "." && *name != ".." && !name.contains('/');
        (!components.is_empty() && components.iter().all(plain)).then(|| Self(components.join("/")))
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes before the last slash; empty if there is none.
    pub fn group(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// What comes after the last slash.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text.split('/'))
            .ok_or_else(|| format!("`{text}` is not the name of a case; accepted: group/name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_at_the_last_slash() {
        let id: CaseId = "copy/deep/chown".parse().unwrap();
        assert_eq!((id.group(), id.name()), ("copy/deep", "chown"));
        let top: CaseId = "chown".parse().unwrap();
        assert_eq!((top.group(), top.name()), ("", "chown"));
    }

    #[test]
    fn a_name_cannot_climb() {
        for bad in ["", "/", "a//b", "../a", "a/.", "/a"] {
            assert!(bad.parse::<CaseId>().is_err(), "{bad}");
        }
    }
}
