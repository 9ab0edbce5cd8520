//! Sources of ADD that are not in the context: what stands behind a URL becomes a tree with one file. How a network is
//! reached is [`crate::fetch`]'s; putting the file in place is the copy's.

use std::str::FromStr as _;

use samebuild_dockerfile::remote;
use samebuild_image::{At, Digest, Kind, Meta, Mtime, Tree};

use super::{UrlName, UrlTime};
use crate::disk::FileSource;
use crate::failure::StepFailure;
use crate::fetch::{FetchError, Fetched};
use crate::session::Session;

/// What a file without a name is called.
const UNNAMED: &str = "__unnamed__";

/// One file as a tree, and its name in it.
pub(crate) struct Remote {
    pub tree: Tree,
    pub name: String,
    /// Whether the name is none, and the destination counts.
    pub nameless: bool,
    pub digest: Digest,
}

impl Remote {
    /// What nobody has asked for yet.
    pub fn unseen(url: &str) -> Self {
        Self { tree: Tree::new(), name: url.to_owned(), nameless: false, digest: Digest::of(b"") }
    }
}

/// Fetches `url` for a copy to `dest`: 0600, root's, from when the server says it was modified, else from 1970.
pub(crate) fn fetch(session: &Session<'_>, url: &str, dest: &str) -> Result<Remote, StepFailure> {
    let failed =
        |why: &dyn std::fmt::Display| StepFailure::new("fetch-failed", format!("fetch {url}: {why}"));
    let dir = session.scratch().map_err(|error| StepFailure::new("no-scratch", format!("{error:?}")))?;
    let file = dir.join("fetched");
    let fetched = session.request.fetch.fetch(url, &file).map_err(|error| match &error {
        FetchError::NotHere(_) => StepFailure::unmet(format!("fetch {url}: {error}")),
        FetchError::Failed(_) => failed(&error),
    })?;
    if fetched.status >= 400 {
        let message = format!("fetch {url}: the server answers {}; look the address up", fetched.status);
        return Err(StepFailure::new("fetch-status", message));
    }
    let rule = session.dialect.copy.url_name;
    let name = name(url, &fetched, dest, rule)?;
    let nameless = rule == UrlName::PathElseDestination && remote::last_component(url).is_none();
    let at = At::clean(&name);
    if at.name() != name.as_bytes() {
        return Err(failed(&format!("`{name}` cannot be the name of a file")));
    }
    let content = FileSource::new(file, fetched.size).content();
    let digest = content.digest().map_err(|error| failed(&error))?;
    let mut tree = Tree::new();
    let unsaid = match session.dialect.copy.url_time {
        UrlTime::Epoch => Mtime::secs(0),
        UrlTime::Now => session.now(),
    };
    let time = fetched.modified_secs().map_or(unsaid, Mtime::secs);
    tree.insert(&at, Kind::File(content), Meta::new(0o600, time));
    Ok(Remote { tree, name, nameless, digest })
}

/// What the file is called where `dest` is a directory.
fn name(url: &str, fetched: &Fetched, dest: &str, rule: UrlName) -> Result<String, StepFailure> {
    if [UrlName::LastComponent, UrlName::PathElseDestination].contains(&rule) {
        return Ok(remote::last_component(url).unwrap_or_else(|| UNNAMED.to_owned()));
    }
    if rule == UrlName::BehindLastSlash {
        let (_, behind) = url.split_once("//").unwrap_or(("", url));
        let last = behind.trim_end_matches('/').rsplit_once('/').map_or(UNNAMED, |(_, last)| last);
        return Ok(percent_decoded(last));
    }
    let path = remote::path(url).unwrap_or_default();
    let by_path = remote::last_component(url).filter(|_| !path.ends_with('/'));
    match by_path.or_else(|| fetched.disposition_name()) {
        Some(name) => Ok(name),
        None if dest.ends_with('/') => {
            let message = format!(
                "name what {url} is: neither its path nor the answer names a file; write the destination with a file's name"
            );
            let says = format!("cannot determine filename for source {url}");
            Err(StepFailure::new("fetch-without-name", message).says(says))
        }
        None => Ok(UNNAMED.to_owned()),
    }
}

/// `%20` as a blank; what is no such sequence, or no UTF-8 then, stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A checksum as `--checksum` takes it.
pub(crate) fn checksum(text: &str) -> Result<Digest, StepFailure> {
    Digest::from_str(text).map_err(|_| {
        let message = format!("read --checksum={text}; it takes sha256: and 64 hexadecimal digits");
        StepFailure::new("bad-checksum", message)
    })
}

/// Holds what was fetched against the checksum that was promised.
pub(crate) fn verify(url: &str, found: Digest, promised: Digest) -> Result<(), StepFailure> {
    if found == promised {
        return Ok(());
    }
    let message = format!("fetch {url}: its digest is {found}, --checksum says {promised}");
    Err(StepFailure::new("checksum-mismatch", message).says(format!("digest mismatch {found}: {promised}")))
}
