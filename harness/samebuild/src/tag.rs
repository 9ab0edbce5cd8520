//! The name a built image gets, `NAME[:TAG]`, as `docker build -t` takes it. Where it is written is up to the format.

use std::fmt;
use std::str::FromStr;

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
        let (repository, tag) =
            text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((text, "latest"));
        let mut parts = repository.split('/');
        // A host may have capitals and a port.
        let first = parts.next().unwrap_or_default();
        let is_host = repository.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        let first_is_good = if is_host { is_host_name(first) } else { is_component(first) };
        if first_is_good && parts.all(is_component) && is_tag(tag) {
            return Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() });
        }
        Err(BadTag(text.to_owned()))
    }
}

fn is_host_name(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    is_port && host.split('.').all(is_name)
}

/// Lower-case letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(is_plain) && text.bytes().last().is_some_and(is_plain);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .into_iter()
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
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
        for text in [
            "", "App", "a b", "a:", ":1", "a/", "/a", "a//b", "a:.1", "a___b", "a.-b", "-a", "a@b", "h:x/a",
            &long,
        ] {
            let error = text.parse::<Tag>().unwrap_err().to_string();
            assert!(error.contains("NAME[:TAG]"), "{error}");
        }
    }
}
