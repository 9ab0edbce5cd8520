//! The build context as a build sees it: without what `.dockerignore` leaves out. And the clock of the machine,
//! which a build cannot do without. What of it is left where only what is named is sent, `named` says.

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::{At, Content, Kind, Meta, Mtime, Tree};

use crate::dialect::rules::{IgnoreFileName, IgnoredParents};
use crate::failure::StepFailure;
use crate::request::{OwnIgnore, Request};

/// No ignore file is larger.
const LIMIT: u64 = 16 << 20;

/// The context without ignored entries. Directories that are ignored but hold something that is not stay.
pub fn without_ignored(request: &Request<'_>) -> Result<Tree, StepFailure> {
    let Some(text) = ignore_text(request)? else { return Ok(request.context.clone()) };
    let ignore = IgnoreFile::parse(&text, &request.dialect.syntax)
        .map_err(|error| StepFailure::new("bad-pattern", error.to_string()))?;
    let (secs, nanos) = request.now;
    let anew = Meta::new(0o755, Mtime::At { secs, nanos });
    let parents = match request.dialect.image.ignored_parents {
        IgnoredParents::AsInContext => None,
        IgnoredParents::MadeNow | IgnoredParents::FilledNow => Some(anew),
    };
    let mut kept = only(request.context, parents.as_ref(), |at| !leaves_out(&ignore, at));
    if request.dialect.image.ignored_parents == IgnoredParents::FilledNow {
        let filled: std::collections::BTreeSet<At> =
            kept.iter().filter_map(|(at, _, _)| at.parent()).collect();
        for dir in filled {
            if let Some(meta) = kept.meta_mut(&dir) {
                meta.mtime = Mtime::At { secs, nanos };
            }
        }
    }
    Ok(kept)
}

/// These entries and the directories above them, which look as they do in `context` or are made anew.
pub fn only(context: &Tree, anew: Option<&Meta>, is_kept: impl Fn(&At) -> bool) -> Tree {
    let mut kept = Tree::new();
    let mut names = std::collections::BTreeMap::new();
    for (at, ino, inode) in context.iter() {
        if at.is_root() || !is_kept(at) {
            continue;
        }
        for parent in at.parents() {
            if kept.get(&parent).is_none() {
                let there = context.get(&parent).map(|inode| &inode.meta);
                if let Some(meta) = anew.or(there) {
                    kept.insert(&parent, Kind::Dir, meta.clone());
                }
            }
        }
        match names.get(&ino) {
            Some(first) if !inode.kind.is_dir() => drop(kept.link(at, first)),
            _ => {
                kept.insert(at, inode.kind.clone(), inode.meta.clone());
                names.insert(ino, at.clone());
            }
        }
    }
    kept
}

/// Whether the entry, or a directory above it that is not entered, is left out. Patterns are text, so a name that is not
/// matches none.
fn leaves_out(ignore: &IgnoreFile, at: &At) -> bool {
    let text = |at: &At| std::str::from_utf8(at.as_bytes()).ok().map(str::to_owned);
    at.parents().filter_map(|dir| text(&dir)).any(|dir| ignore.skips(&dir))
        || text(at).is_some_and(|path| ignore.excludes(&path))
}

fn ignore_text(request: &Request<'_>) -> Result<Option<Vec<u8>>, StepFailure> {
    let own = format!("{}.dockerignore", request.dockerfile_name);
    let names: &[&str] = match (request.dialect.image.ignore_file, request.own_ignore) {
        (IgnoreFileName::Root, _) | (_, OwnIgnore::Given(None)) => &[".dockerignore"],
        (IgnoreFileName::BesideDockerfile, OwnIgnore::Given(Some(text))) => return Ok(Some(text.to_vec())),
        (IgnoreFileName::BesideDockerfile, OwnIgnore::InContext) => &[&own, ".dockerignore"],
    };
    for name in names {
        if let Some(Kind::File(content)) = request.context.get(&At::from(*name)).map(|inode| &inode.kind) {
            return read(name, content).map(Some);
        }
    }
    Ok(None)
}

fn read(name: &str, content: &Content) -> Result<Vec<u8>, StepFailure> {
    let unreadable = |why: String| StepFailure::new("unreadable-context", format!("read {name}: {why}"));
    content
        .read_up_to(LIMIT)
        .map_err(|error| unreadable(error.to_string()))?
        .ok_or_else(|| unreadable(format!("larger than {LIMIT} bytes")))
}

/// The clock, in seconds since 1970.
pub fn clock_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
