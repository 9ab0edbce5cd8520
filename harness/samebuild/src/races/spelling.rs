//! How the store's symbols are spelt on a real engine: repositories, tags and IDs as text, and back.

use samebuild_store::names::{Content, ImageId, Name, Reference, Repository, Tag};

/// Grows with what an engine lists. Symbols keep their meaning as long as it lives.
#[derive(Clone, Debug)]
pub struct Spelling {
    repositories: Vec<String>,
    images: Vec<String>,
    policy: Vec<String>,
    /// Set apart from those of other trials on the same engine.
    trial: Option<usize>,
}

/// Policy tags that races use by number: `latest`, `v1`, `v2`, …
const NUMBERED: u16 = 200;

impl Spelling {
    /// With these repositories as numbers 0, 1, …
    #[must_use]
    pub fn new(repositories: &[&str]) -> Self {
        let numbered = (1..NUMBERED).map(|n| format!("v{n}"));
        Self {
            repositories: repositories.iter().map(|text| (*text).to_owned()).collect(),
            images: Vec::new(),
            policy: std::iter::once("latest".to_owned()).chain(numbered).collect(),
            trial: None,
        }
    }

    /// With repositories and contents of their own for each number, so that trials share an engine and no image.
    #[must_use]
    pub fn of_trial(repositories: &[&str], number: usize) -> Self {
        let own: Vec<String> = repositories.iter().map(|text| format!("{text}-{number}")).collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        Self { trial: Some(number), ..Self::new(&own) }
    }

    /// What a content is made of.
    #[must_use]
    pub fn spell_content(&self, content: Content) -> String {
        let trial = self.trial.map_or(String::new(), |number| format!(" of trial {number}"));
        format!("content {}{trial}\n", content.0)
    }

    /// How many images have a symbol.
    #[must_use]
    pub fn images(&self) -> u32 {
        u32::try_from(self.images.len()).unwrap_or(u32::MAX)
    }

    /// The symbol of an ID; a new one gets the next number.
    pub fn image(&mut self, id: &str) -> ImageId {
        let at = index(&mut self.images, id);
        ImageId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The symbol of an ID that has one.
    #[must_use]
    pub fn known(&self, id: &str) -> Option<ImageId> {
        let at = self.images.iter().position(|known| known == id)?;
        u32::try_from(at).ok().map(ImageId)
    }

    /// The symbol of `repository:tag`. `None` if it is no such text, or there are too many.
    pub fn name(&mut self, text: &str) -> Option<Name> {
        let (repository, tag) = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
        let repository = u16::try_from(index(&mut self.repositories, repository)).ok()?;
        let is_digest = tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let tag = match tag.strip_prefix("lease-").and_then(|n| n.parse().ok()) {
            _ if is_digest => Tag::Unique(self.image(&format!("sha256:{tag}"))),
            Some(n) if tag == format!("lease-{n}") => Tag::Lease(n),
            _ => Tag::Policy(u16::try_from(index(&mut self.policy, tag)).ok()?),
        };
        Some(Name { repository: Repository(repository), tag })
    }

    /// `sha256:…`; an ID the engine never told is spelt as one it does not have.
    #[must_use]
    pub fn spell_image(&self, id: ImageId) -> String {
        let spelt = usize::try_from(id.0).ok().and_then(|at| self.images.get(at));
        spelt.cloned().unwrap_or_else(|| format!("sha256:{:064x}", id.0))
    }

    /// `repository`.
    #[must_use]
    pub fn spell_repository(&self, repository: Repository) -> String {
        let spelt = self.repositories.get(usize::from(repository.0));
        spelt.cloned().unwrap_or_else(|| format!("samebuild.test/repository-{}", repository.0))
    }

    /// `repository` and `tag`.
    #[must_use]
    pub fn spell_tag(&self, name: Name) -> (String, String) {
        let tag = match name.tag {
            Tag::Policy(n) => self.policy.get(usize::from(n)).cloned().unwrap_or_else(|| format!("v{n}")),
            Tag::Unique(id) => self.spell_image(id).trim_start_matches("sha256:").to_owned(),
            Tag::Lease(n) => format!("lease-{n}"),
        };
        (self.spell_repository(name.repository), tag)
    }

    /// `repository:tag`.
    #[must_use]
    pub fn spell_name(&self, name: Name) -> String {
        let (repository, tag) = self.spell_tag(name);
        format!("{repository}:{tag}")
    }

    /// As a container or a delete names its image.
    #[must_use]
    pub fn spell(&self, reference: Reference) -> String {
        match reference {
            Reference::Name(name) => self.spell_name(name),
            Reference::Id(id) => self.spell_image(id),
            Reference::ShortId(id) => short(&self.spell_image(id)).to_owned(),
            Reference::Digest(repository, id) => {
                format!("{}@{}", self.spell_repository(repository), self.spell_image(id))
            }
        }
    }
}

/// The twelve digits that Docker prints.
pub(super) fn short(id: &str) -> &str {
    let digits = id.trim_start_matches("sha256:");
    digits.get(..12).unwrap_or(digits)
}

fn index(table: &mut Vec<String>, text: &str) -> usize {
    table.iter().position(|known| known == text).unwrap_or_else(|| {
        table.push(text.to_owned());
        table.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_lists_is_spelt_as_it_was() {
        let mut spelling = Spelling::new(&["samebuild.test/app"]);
        let hex = "ab".repeat(32);
        for text in
            ["samebuild.test/app:latest", "host:5000/a/b:v7", "x:lease-3", "x:lease-03", &format!("x:{hex}")]
        {
            let name = spelling.name(text).unwrap();
            assert_eq!(spelling.spell_name(name), text);
        }
        assert_eq!(spelling.name("host:5000/a"), None);
    }

    #[test]
    fn a_unique_tag_is_the_hex_of_its_image() {
        let mut spelling = Spelling::new(&["r"]);
        let id = spelling.image(&format!("sha256:{}", "cd".repeat(32)));
        let name = Name::unique(Repository(0), id);
        assert_eq!(spelling.spell_name(name), format!("r:{}", "cd".repeat(32)));
        assert_eq!(spelling.name(&spelling.spell_name(name)), Some(name));
    }
}
