//! The name a built image gets, `NAME[:TAG]`, as `docker build -t` takes it. Where it is written is up to the format.

use std::fmt;
use std::str::FromStr;

use crate::images::names;

/// A repository and a tag; `latest` where none was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    repository: String,
    tag: String,
}

impl Tag {
    /// The tag alone, by which an OCI layout knows its images.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// A text that names no image.
#[derive(Debug, thiserror::Error)]
#[error(
    "name the image `{0}`: accepted is NAME[:TAG], NAME in lower case, as app, app:1 or example.com:5000/team/app:1.2"
)]
pub struct BadTag(String);

impl FromStr for Tag {
    type Err = BadTag;

    fn from_str(text: &str) -> Result<Self, BadTag> {
        // As it is written, not in full: `app` is told as `app`, wherever it goes.
        let named = names::parse(text).ok().filter(|name| name.digest().is_none());
        named.ok_or_else(|| BadTag(text.to_owned()))?;
        let (repository, tag) =
            text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((text, "latest"));
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        for (text, whole, tag) in [
            ("app", "app:latest", "latest"),
            ("app:1.2-rc_1", "app:1.2-rc_1", "1.2-rc_1"),
            ("Host.example:5000/a/b__c", "Host.example:5000/a/b__c:latest", "latest"),
            ("localhost/a--b:1", "localhost/a--b:1", "1"),
        ] {
            let named: Tag = text.parse().unwrap();
            assert_eq!((named.to_string().as_str(), named.tag()), (whole, tag));
        }
    }

    #[test]
    fn what_docker_would_refuse_is_refused() {
        let long = format!("app:{}", "a".repeat(129));
        let digest = format!("app@sha256:{}", "a".repeat(64));
        for text in [
            "", "App", "a b", "a:", ":1", "a/", "/a", "a//b", "a:.1", "a___b", "a.-b", "-a", "a@b", "h:x/a",
            "a:é", "A/b", &long, &digest,
        ] {
            let error = text.parse::<Tag>().unwrap_err().to_string();
            assert!(error.contains("NAME[:TAG]"), "{error}");
        }
    }
}
