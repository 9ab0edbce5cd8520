//! Contents by their digest: what a record leaves out of an image, for whoever still has it and asks why two records differ.
//! Nothing is read here.

use std::collections::BTreeMap;

use samebuild_image::{Content, Digest};

/// Contents that rows of records show as size and digest.
#[derive(Clone, Debug, Default)]
pub struct Contents(BTreeMap<Digest, Content>);

impl Contents {
    /// The content of that digest is this one.
    pub fn add(&mut self, digest: Digest, content: Content) {
        self.0.insert(digest, content);
    }

    /// All of these too.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().map(|(digest, content)| (*digest, content.clone())));
    }

    /// The content that a row shows as `12 sha256:…`.
    pub(crate) fn shown_as(&self, text: &str) -> Option<&Content> {
        let (size, digest) = text.split_once(' ')?;
        let content = self.0.get(&digest.parse().ok()?)?;
        (size.parse() == Ok(content.size())).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_found_by_what_a_row_shows_of_it() {
        let digest = Digest::of(b"abc");
        let mut contents = Contents::default();
        contents.add(digest, Content::inline(*b"abc"));
        assert!(contents.shown_as(&format!("3 {digest}")).is_some());
        for other in [format!("4 {digest}"), format!("3 {}", Digest::of(b"x")), "absent".to_owned()] {
            assert!(contents.shown_as(&other).is_none(), "{other}");
        }
    }
}
