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

#[cfg(test)]
mod tests {
    use super::*;

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
