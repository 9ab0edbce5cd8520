//! What a step sees of the files it uses: each with its place, kind, mode, link text, extended attributes, content, which
//! names are of one file; the owner where it counts, and the time unless it is asked not to. Which files are used is told by
//! the same code that copies them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::digest::Hasher;
use samebuild_image::tree::Ino;
use samebuild_image::{At, Digest, Inode, Kind, Mtime, Tree};

use super::key::framed;
use crate::steps::copy::sources::{self, Source};
use crate::steps::copy::{self, Copy};

/// Files that are being listed.
pub struct Listing {
    hasher: Hasher,
    /// For people; only where somebody asked.
    lines: Option<Vec<String>>,
    how: Sees,
    first: BTreeMap<Ino, usize>,
    count: usize,
    text: String,
    /// Where what is listed lies, for people.
    of: Vec<u8>,
}

/// What of a file counts besides what it is.
#[derive(Clone, Copy, Debug)]
pub struct Sees {
    pub times: bool,
    pub owners: bool,
    /// The time of what the builder makes itself, a heredoc or a directory around files that are not ignored: whatever
    /// the clock says, it is of now.
    pub now: Mtime,
}

impl Listing {
    pub fn new(how: Sees, for_people: bool) -> Self {
        Self {
            hasher: Hasher::default(),
            lines: for_people.then(Vec::new),
            how,
            first: BTreeMap::new(),
            count: 0,
            text: String::new(),
            of: Vec::new(),
        }
    }

    /// The digest of the list, and its lines.
    pub fn finish(self) -> (Digest, Vec<String>) {
        (self.hasher.finish().0, self.lines.unwrap_or_default())
    }

    /// Adds a word that stands between files.
    pub fn word(&mut self, text: &[u8]) {
        framed(&mut self.hasher, b"word");
        framed(&mut self.hasher, text);
        if let Some(lines) = &mut self.lines {
            lines.push(String::from_utf8_lossy(text).into_owned());
        }
    }

    /// Adds everything at `at` and below that `counts`, named as seen from there. Directories count whenever something
    /// may be in them.
    ///
    /// # Errors
    /// A content cannot be read.
    pub fn within(&mut self, tree: &Tree, at: &At, counts: impl Fn(&At, bool) -> bool) -> io::Result<()> {
        for (place, ino, inode) in tree.within(at) {
            if counts(place, inode.kind.is_dir()) {
                let name = place.below(at).unwrap_or_default();
                self.file(name, ino, inode)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &[u8], ino: Ino, inode: &Inode) -> io::Result<()> {
        let number = *self.first.entry(ino).or_insert(self.count);
        let text = &mut self.text;
        text.clear();
        let meta = &inode.meta;
        let written = match &inode.kind {
            _ if number != self.count => write!(text, "another name of entry {number}"),
            Kind::File(content) => {
                let digest = content.digest()?;
                write!(text, "file {:04o} {digest} {}", meta.mode, content.size())
            }
            Kind::Char { major, minor } | Kind::Block { major, minor } => {
                write!(text, "{} {:04o} {major} {minor}", inode.kind.word(), meta.mode)
            }
            kind => write!(text, "{} {:04o}", kind.word(), meta.mode),
        };
        written.map_err(io::Error::other)?;
        if number == self.count {
            if self.how.owners {
                write!(text, " {}:{}", meta.uid, meta.gid).map_err(io::Error::other)?;
            }
            if self.how.times {
                let time = match meta.mtime.timestamp() {
                    _ if meta.mtime == self.how.now => write!(text, " now"),
                    Some((secs, nanos)) => write!(text, " {secs}.{nanos:09}"),
                    None => write!(text, " {}", meta.mtime),
                };
                time.map_err(io::Error::other)?;
            }
        }
        framed(&mut self.hasher, name);
        framed(&mut self.hasher, text.as_bytes());
        let link: &[u8] = if let Kind::Symlink(link) = &inode.kind { link } else { b"" };
        framed(&mut self.hasher, link);
        self.hasher.update(&(meta.xattrs.len() as u64).to_be_bytes());
        for (name, value) in &meta.xattrs {
            framed(&mut self.hasher, name);
            framed(&mut self.hasher, value);
        }
        if let Some(lines) = &mut self.lines {
            let parts = [self.of.as_slice(), name].into_iter().filter(|part| !part.is_empty());
            let place = parts.map(String::from_utf8_lossy).collect::<Vec<_>>().join("/");
            let mut line = format!("{place} {text}");
            if !link.is_empty() {
                line = format!("{line} -> {}", String::from_utf8_lossy(link));
            }
            for (name, value) in &meta.xattrs {
                line = format!("{line} {}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            }
            lines.push(line);
        }
        self.count += 1;
        Ok(())
    }
}

/// Lists what one COPY or ADD takes.
///
/// # Errors
/// It takes nothing that there is, or a content cannot be read: then the step itself will say so.
pub fn taken(copy: &Copy<'_>, listing: &mut Listing) -> Result<(), String> {
    let failed = |error: crate::failure::StepFailure| error.message;
    let unreadable = |error: io::Error| error.to_string();
    if copy.parents {
        for pattern in copy.patterns {
            let (starts, take) = copy::parents::of(copy, pattern).map_err(failed)?;
            for start in &starts {
                source(start, listing);
                let takes = |at: &At| takes(&take, &start.at, at);
                listing
                    .within(copy.from, &start.at, |at, is_dir| is_dir || !start.is_dir || takes(at))
                    .map_err(unreadable)?;
            }
        }
        return Ok(());
    }
    for found in sources::find(copy).map_err(failed)? {
        source(&found, listing);
        listing
            .within(copy.from, &found.at, |at, is_dir| is_dir || !copy.leaves_out(&found.at, at))
            .map_err(unreadable)?;
    }
    Ok(())
}

fn source(found: &Source, listing: &mut Listing) {
    listing.word(&found.name);
    listing.of = found.at.as_bytes().to_vec();
}

fn takes(take: &IgnoreFile, root: &At, at: &At) -> bool {
    let below = at.below(root).and_then(|below| std::str::from_utf8(below).ok());
    below.is_some_and(|below| take.excludes(below))
}
