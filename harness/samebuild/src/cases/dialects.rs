//! The names a case may speak of: dialects, and, where the caller knows them, rules, faults and factors. What a dialect *does* is
//! `samebuild-builder`'s table; here are also builders that only have observations.

/// Every dialect, in the order reports list them.
pub const DIALECTS: &[&str] = &[
    "classic@20.10",
    "classic@26.1",
    "buildkit@20.10",
    "buildkit@26.1",
    "buildkit@26.1-containerd",
    "buildkit@head",
    "buildah@1.28",
    "buildah@1.39",
    "buildah@1.39-oci",
    "kaniko@1.24",
    "kaniko@pre-289",
];

/// What the words in a `case.toml` are checked against. An empty list checks nothing.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    pub dialects: &'a [&'a str],
    /// Names of difference rules, for `[[known]]`.
    pub rules: &'a [&'a str],
    /// Names of faults, for `[[under]]`.
    pub faults: &'a [&'a str],
    /// Names of factors, for `[[causes]]`.
    pub factors: &'a [&'a str],
}

impl Default for Vocabulary<'_> {
    fn default() -> Self {
        Self { dialects: DIALECTS, rules: &[], faults: &[], factors: &[] }
    }
}

/// Whether `glob` (a dialect's name in which `*` stands for any text) matches `dialect`.
pub fn matches(glob: &str, dialect: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = dialect.strip_prefix(first) else { return false };
    let Some(last) = glob.rsplit('*').next().filter(|_| glob.contains('*')) else { return rest.is_empty() };
    let middle: Vec<&str> = parts.collect();
    for part in &middle[..middle.len() - 1] {
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        assert!(matches("classic@20.10", "classic@20.10"));
        assert!(matches("classic@*", "classic@20.10"));
        assert!(matches("*", "kaniko@1.24"));
        assert!(matches("*@26.1*", "buildkit@26.1-containerd"));
        assert!(matches("b*k*@*d", "buildkit@head"));
        assert!(!matches("classic@*", "buildkit@20.10"));
        assert!(!matches("buildkit@26.1", "buildkit@26.1-containerd"));
        assert!(!matches("classic@2.*", "classic@20.10"));
        assert!(!matches("ab*ba", "aba"), "the ends may not overlap");
    }
}
