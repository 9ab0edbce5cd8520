//! COPY and ADD on the Tree: which sources, where to, who owns what and when it is from. No root, no disk.
//!
//! Finding sources is [`sources`], putting them in place is [`place`], telling archives from files is
//! `archive`, unpacking them `unpack`. Everything at
//! which builders differ is a field of [`CopyRules`].

pub mod anew;
pub mod archive;
pub(crate) mod parents;
pub mod place;
pub(crate) mod remote;
pub mod sources;
mod unpack;

use samebuild_dockerfile::chmod::Chmod;
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::{Span, Syntax, decisions, variants};
use samebuild_image::{At, Tree};

use crate::delta::Delta;
use crate::failure::StepFailure;
use sources::Source;

/// One COPY or ADD, its words expanded.
pub struct Copy<'a> {
    /// As written, after expansion.
    pub patterns: &'a [Pattern],
    /// Whether the instruction has sources besides these patterns.
    pub several: bool,
    /// Where from: the context or another stage's or image's tree.
    pub from: &'a Tree,
    /// The context with what `.dockerignore` leaves out, where that is where it is from.
    pub whole: Option<&'a Tree>,
    /// Whether `from` is the context: then everything is root's, whoever owned it.
    pub from_context: bool,
    /// As written, after expansion.
    pub dest: &'a str,
    /// What a relative destination is relative to.
    pub workdir: &'a str,
    /// `--chown`.
    pub owner: Option<Owner>,
    /// `--chmod`.
    pub mode: Option<Chmod>,
    /// `--exclude`, relative to each source.
    pub exclude: &'a IgnoreFile,
    /// Archives are unpacked.
    pub unpack: bool,
    /// The patterns are names: a star in one is a star.
    pub literal: bool,
    /// What is copied has no name: it becomes the destination, even if that is written as a directory.
    pub nameless: bool,
    /// `--parents`: directories above what is copied are kept, from `/./` on if the source has one.
    pub parents: bool,
    /// Makes a directory that lives as long as the build's results.
    pub spool: &'a dyn Fn() -> Result<std::path::PathBuf, StepFailure>,
    pub rules: &'a CopyRules,
    /// How the dialect reads patterns.
    pub syntax: &'a Syntax,
}

/// A source that is a path or a pattern, after expansion, and its word in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub text: String,
    pub span: Span,
}

/// A numeric owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    pub uid: u64,
    pub gid: u64,
}

decisions! {
    /// Everything at which builders' COPY and ADD differ.
    CopyRules {
        /// A wildcard that matches nothing.
        glob_without_match: GlobWithoutMatch,
        /// Whether an unknown owner or a missing source is told of.
        owner_looked_up: OwnerLookedUp,
        /// Several sources and a destination that does not end in `/`.
        several_to_a_file: SeveralToAFile,
        /// A source with `..` that leads out of the context, or an absolute destination that leads above the root.
        outside_context: OutsideContext,
        /// A file where a directory is.
        file_over_directory: FileOverDirectory,
        /// A directory below the source where something else is at the destination.
        directory_over_other: DirectoryOverOther,
        /// The time of the directory that a source directory's contents are copied into.
        directory_time: DirectoryTime,
        /// `--chown` with a directory as source: the directories made above the destination.
        directory_parents: DirectoryParents,
        /// `--chmod`: the directories made for the destination.
        chmod_of_made: ChmodOfMade,
        /// setuid and setgid of files.
        setuid: Setuid,
        /// `ADD --chown` of an archive.
        archive_owner: ArchiveOwner,
        /// setuid, setgid and the sticky bit in `--chmod`.
        chmod_special: ChmodSpecial,
        /// Variables in `--chmod`.
        chmod_word: ChmodWord,
        /// A source with a bracket that is not closed.
        bad_pattern: BadPattern,
        /// A wildcard that ends in a slash.
        glob_slash: GlobSlash,
        /// Symbolic links below a directory that a wildcard matches.
        links_below_match: LinksBelowMatch,
        /// Several names of one thing below a directory that is copied.
        hard_links: HardLinks,
        /// FIFOs among what is copied.
        fifos: Fifos,
        /// Devices among what is copied.
        devices: Devices,
        /// A destination that ends in `/.`.
        dot_destination: DotDestination,
        /// `ADD --checksum` of a file of the context.
        checksum_of_local: ChecksumOfLocal,
        /// What a file behind a URL is called in a directory.
        url_name: UrlName,
        /// The time of a file behind a URL that the server says nothing of.
        url_time: UrlTime,
        /// `ADD --checksum` of a file behind a URL.
        url_checksum: UrlChecksum,
        /// Heredocs as sources, where the language has them.
        heredoc_sources: HeredocSources,
        /// How files get to the destination.
        writing: Writing,
        /// A source that `.dockerignore` leaves out.
        ignored_source: IgnoredSource,
        /// A source that is a symbolic link.
        link_source: LinkSource,
        /// What ADD takes for an archive.
        archives: Archives,
    }
}

variants! {
    /// setuid, setgid and the sticky bit in `--chmod`.
    ChmodSpecial {
        /// They are set.
        Kept = "kept",
        /// They are passed over.
        Lost = "lost",
    }
    /// Variables in `--chmod`.
    ChmodWord {
        /// They are not expanded.
        AsWritten = "as-written",
        /// They are expanded.
        Expanded = "expanded",
    }
    /// A source with a bracket that is not closed.
    BadPattern {
        /// It matches nothing.
        MatchesNothing = "matches-nothing",
        /// The build fails with an error of its own.
        Fails = "fails",
    }
    /// A wildcard that ends in a slash.
    GlobSlash {
        /// It matches nothing.
        MatchesNothing = "matches-nothing",
        /// The slash is passed over.
        PassedOver = "passed-over",
    }
    /// Symbolic links below a directory that a wildcard matches.
    LinksBelowMatch {
        /// Nobody follows them.
        LeftAlone = "left-alone",
        /// They are followed for the digest of what is copied: the build fails at one that leads nowhere.
        MustLeadSomewhere = "must-lead-somewhere",
    }
    /// Several names of one thing below a directory that is copied.
    HardLinks {
        /// They stay names of one thing.
        OfEverything = "of-everything",
        /// They do if it is a file; of a symbolic link, a FIFO or a device each name becomes one of its own.
        OfFiles = "of-files",
    }
    /// How files get to the destination.
    Writing {
        /// As an archive of them would be unpacked: times, hard links and, between stages, extended attributes stay.
        AsArchive = "as-archive",
        /// Each is opened and written anew: from now, by itself, through a symbolic link in its place. The destination
        /// takes mode and owner of a source directory, and everything the owner it has in the context.
        Anew = "anew",
    }
    /// A source that `.dockerignore` leaves out.
    IgnoredSource {
        /// It is not there, and the build fails.
        NotFound = "not-found",
        /// It is there and is not copied.
        NotCopied = "not-copied",
    }
    /// A source that is a symbolic link.
    LinkSource {
        /// What it leads to is copied.
        Followed = "followed",
        /// The link is copied.
        Copied = "copied",
    }
    /// What ADD takes for an archive.
    Archives {
        /// A file that is, once decompressed, a tar.
        Tars = "tars",
        /// Any compressed file, and a tar: one compressed with anything but gzip or bzip2 is not understood, and one with
        /// something else in it cannot be unpacked; the build fails.
        AnyCompressed = "any-compressed",
    }
    /// A wildcard that matches nothing.
    GlobWithoutMatch {
        /// The build fails if no source of the instruction matches anything.
        Fails = "fails",
        /// Nothing is copied; but the directory before the first wildcard must be there.
        NeedsDirectory = "needs-directory",
        /// Nothing is copied.
        CopiesNothing = "copies-nothing",
    }
    /// Whether an unknown owner or a missing source is told of.
    OwnerLookedUp {
        /// The owner is looked up before the sources.
        BeforeSources = "before-sources",
        /// The sources are looked up before the owner.
        AfterSources = "after-sources",
    }
    /// Several sources and a destination that does not end in `/`.
    SeveralToAFile {
        /// The build fails.
        Fails = "fails",
        /// Each is copied to that name, one over the other.
        EachInTurn = "each-in-turn",
    }
    /// A source with `..` that leads out of the context, or an absolute destination that leads above the root.
    OutsideContext {
        /// The build fails.
        Fails = "fails",
        /// `..` stops at the context's root.
        StopsAtRoot = "stops-at-root",
        /// It is looked for there; with nothing beside the context, nothing is found.
        LooksOutside = "looks-outside",
    }
    /// A file where a directory is.
    FileOverDirectory {
        /// The directory goes, with all in it.
        Replaces = "replaces",
        /// The build fails.
        Fails = "fails",
    }
    /// A directory below the source where something else is at the destination, a symbolic link to a directory included.
    DirectoryOverOther {
        /// It replaces what is there.
        Replaces = "replaces",
        /// The build fails.
        Fails = "fails",
    }
    /// The time of the directory that a source directory's contents are copied into.
    DirectoryTime {
        /// When something was put into it.
        WhenChanged = "when-changed",
        /// When it was copied to, even if nothing was.
        Now = "now",
        /// The source directory's.
        Source = "source",
    }
    /// `--chown` with a directory as source: the directories made above the destination.
    DirectoryParents {
        /// Belong to root.
        Root = "root",
        /// Belong to the new owner, as with a file as source.
        Owner = "owner",
    }
    /// `--chmod`: the directories made for the destination, and above it.
    ChmodOfMade {
        /// They are 0755 all the same.
        Usual = "usual",
        /// They have the mode, as what is copied has.
        Applied = "applied",
    }
    /// setuid and setgid of files.
    Setuid {
        /// Lost, because the owner is set after the mode.
        Lost = "lost",
        /// They stay.
        Kept = "kept",
    }
    /// `ADD --chown` of an archive.
    ArchiveOwner {
        /// Entries keep their owners; the destination is root's.
        FromArchive = "from-archive",
        /// Entries keep their owners; the destination belongs to the new owner.
        Destination = "destination",
        /// Everything belongs to the new owner.
        Chown = "chown",
    }
    /// Heredocs as sources.
    HeredocSources {
        /// Each is a file with its text.
        Files = "files",
        /// They are passed over.
        Ignored = "ignored",
    }
    /// A destination that ends in `/.`.
    DotDestination {
        /// The dot goes: what is left names a file.
        Cleaned = "cleaned",
        /// It names a directory, as a slash at the end does.
        Directory = "directory",
    }
    /// `ADD --checksum` of a file of the context.
    ChecksumOfLocal {
        /// The flag is passed over.
        Ignored = "ignored",
        /// The build fails.
        Fails = "fails",
    }
    /// What a file behind a URL is called in a directory.
    UrlName {
        /// As the last component of the URL's path; without one, `__unnamed__`.
        LastComponent = "last-component",
        /// As the path's last component, else as the answer's Content-Disposition says; without either, `__unnamed__`, and
        /// the build fails if the destination ends in a slash.
        PathOrDisposition = "path-or-disposition",
        /// As the path's last component. Without one it becomes the destination itself.
        PathElseDestination = "path-else-destination",
        /// As whatever stands behind the URL's last slash but one at its very end, its question included. Behind a server's
        /// address alone `__unnamed__` stands for that address.
        BehindLastSlash = "behind-last-slash",
    }
    /// The time of a file behind a URL that the server says nothing of.
    UrlTime {
        /// The beginning of 1970.
        Epoch = "epoch",
        /// When it was fetched.
        Now = "now",
    }
    /// `ADD --checksum` of a file behind a URL.
    UrlChecksum {
        /// The flag is passed over.
        Ignored = "ignored",
        /// The build fails unless the content has that digest.
        Verified = "verified",
    }
    /// Devices among what is copied.
    Devices {
        /// They are copied as devices.
        Copied = "copied",
        /// Each becomes an empty file.
        EmptyFiles = "empty-files",
        /// They are copied as character devices, block devices too.
        AsCharacters = "as-characters",
    }
    /// FIFOs among what is copied.
    Fifos {
        /// They are copied like files.
        Copied = "copied",
        /// They are passed over without a word.
        LeftOut = "left-out",
        /// The build waits for somebody to write into it, and nobody does.
        Hangs = "hangs",
    }
}

/// What is to be copied, and whether it can be to this destination.
pub fn sources_of(copy: &Copy<'_>) -> Result<Vec<Source>, StepFailure> {
    let climbs = copy.dest.starts_with('/') && sources::climbs_out(copy.dest);
    if climbs && copy.rules.outside_context == OutsideContext::Fails {
        let message = format!("copy to {}: it lies above the root; leave out the `..`", copy.dest);
        return Err(StepFailure::new("copy-outside-context", message));
    }
    if copy.parents {
        return Ok(Vec::new());
    }
    let sources = sources::find(copy)?;
    let several = copy.several || sources.len() > 1;
    if several && !copy.dest.ends_with('/') && copy.rules.several_to_a_file == SeveralToAFile::Fails {
        let message = format!(
            "copy several sources to {}: the destination must be a directory and end with a /",
            copy.dest
        );
        return Err(StepFailure::new("copy-several-to-file", message));
    }
    Ok(sources)
}

/// Carries the copy out on `delta`.
pub fn copy(copy: &Copy<'_>, delta: &mut Delta) -> Result<(), StepFailure> {
    let sources = sources_of(copy)?;
    if copy.parents {
        return parents::copy(copy, delta);
    }
    for source in &sources {
        put(copy, source, delta)?;
    }
    Ok(())
}

fn put(copy: &Copy<'_>, source: &Source, delta: &mut Delta) -> Result<(), StepFailure> {
    let anew = copy.rules.writing == Writing::Anew;
    if source.is_dir {
        return if anew {
            anew::directory(copy, source, delta)
        } else {
            place::directory(copy, source, None, delta)
        };
    }
    if copy.unpack
        && let Some(archive) = archive::open(copy.from, &source.at, copy.rules.archives, copy.spool)?
    {
        return if anew {
            anew::archive(copy, &archive, delta)
        } else {
            unpack::unpack(copy, &archive, delta)
        };
    }
    if anew { anew::file(copy, source, delta) } else { place::file(copy, source, delta) }
}

impl Copy<'_> {
    /// Whether the destination is written as a directory.
    fn names_directory(&self) -> bool {
        let dot = self.dest.ends_with("/.") || self.dest == ".";
        self.dest.ends_with('/') || dot && self.rules.dot_destination == DotDestination::Directory
    }

    /// The destination as an absolute path, symbolic links not yet followed.
    fn absolute_dest(&self) -> String {
        if self.dest.starts_with('/') {
            self.dest.to_owned()
        } else {
            format!("{}/{}", self.workdir, self.dest)
        }
    }

    /// Whether `--exclude` leaves out what is at `at` below the source `root`.
    pub(crate) fn leaves_out(&self, root: &At, at: &At) -> bool {
        !self.exclude.is_empty() && matches(self.exclude, root, at)
    }

    /// Who owns what this copy makes, if it is not the source's owner.
    fn new_owner(&self) -> Option<Owner> {
        self.owner.or(self.from_context.then_some(Owner::default()))
    }
}

/// Whether `patterns` match what is at `at`, seen from `root`.
fn matches(patterns: &IgnoreFile, root: &At, at: &At) -> bool {
    let below = at.below(root).and_then(|below| std::str::from_utf8(below).ok());
    below.is_some_and(|below| patterns.excludes(below))
}
