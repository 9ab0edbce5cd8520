//! Sources of ADD and COPY that are not files of the context. Looked at after expansion, when the build gets there.
//!
//! Fetching them is left to the builder.

use crate::error::Class;
use crate::syntax::{Support, Syntax};

/// What an expanded source of ADD or COPY is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A path or pattern in the context.
    No,
    /// A file to fetch by HTTP.
    Http,
    /// A git repository.
    Git,
}

/// COPY takes no remote sources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("copy from {text:?}; COPY takes paths, ADD takes URLs and git repositories")]
pub struct RemoteError {
    /// Always `bad-arguments`.
    pub class: Class,
    /// The source.
    pub text: String,
    /// What the builder prints.
    pub builder_message: String,
}

/// What `source` is; a git repository only where the syntax knows them.
pub fn kind(source: &str, syntax: &Syntax) -> Remote {
    let http = source.starts_with("http://") || source.starts_with("https://");
    let address = source.split(['#', '?']).next().unwrap_or(source);
    let git = (http && address.ends_with(".git"))
        || ["git://", "ssh://", "git@"].iter().any(|prefix| source.starts_with(prefix));
    match (git && syntax.git_source == Support::Present, http) {
        (true, _) => Remote::Git,
        (false, true) => Remote::Http,
        (false, false) => Remote::No,
    }
}

/// Refuses what COPY does not take.
pub fn check_copy(source: &str, syntax: &Syntax) -> Result<(), RemoteError> {
    let says = match kind(source, syntax) {
        Remote::No => return Ok(()),
        Remote::Http => "source can't be a URL for COPY",
        Remote::Git => "source can't be a git ref for COPY",
    };
    Err(RemoteError { class: Class::BadArguments, text: source.to_owned(), builder_message: says.to_owned() })
}

/// The path of an http(s) URL, percent-decoded; `None` where it cannot be decoded to text.
pub fn path(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    percent_decoded(rest.find('/').map_or("", |at| &rest[at..]))
}

/// Go's `path.Base` of a URL's path: its last component that is one; `None` where there is none.
pub fn last_component(url: &str) -> Option<String> {
    let path = path(url)?;
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Some(last.to_owned()).filter(|last| !last.is_empty() && last != ".")
}

/// `%41` as `A`; `None` for what is no escape, or not UTF-8 in the end.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_file_by_the_last_component_of_its_path() {
        for (url, path_of, last) in [
            ("http://h/a/b.txt", Some("/a/b.txt"), Some("b.txt")),
            ("http://h:80/a%20b%2Fc?x=/y#z", Some("/a b/c"), Some("c")),
            ("https://u@h/dir/", Some("/dir/"), Some("dir")),
            ("http://h", Some(""), None),
            ("http://h/?q=1", Some("/"), None),
            ("http://h/%zz", None, None),
            ("http://h/%ff", None, None),
            ("http://h/a*b", Some("/a*b"), Some("a*b")),
        ] {
            assert_eq!(path(url).as_deref(), path_of, "{url}");
            assert_eq!(last_component(url).as_deref(), last, "{url}");
        }
    }

    #[test]
    fn addresses_are_told_from_paths() {
        for (source, expected) in [
            ("a/b", Remote::No),
            ("http:/x", Remote::No),
            ("https://x/y.tar", Remote::Http),
            ("https://x/y.git#v1:dir", Remote::Git),
            ("git@github.com:x/y", Remote::Git),
            (".git", Remote::No),
        ] {
            assert_eq!(kind(source, &Syntax::BUILDKIT_HEAD), expected, "{source}");
        }
        assert_eq!(kind("https://x/y.git", &Syntax::CLASSIC_20_10), Remote::Http);
        let error = check_copy("http://x/y", &Syntax::BUILDKIT_HEAD).unwrap_err();
        assert_eq!(error.builder_message, "source can't be a URL for COPY");
    }
}
