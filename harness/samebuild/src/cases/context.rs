//! A case's build context in memory: what is under `context/`, made the same on every machine, and what `case.toml` adds
//! to it. What `.dockerignore` takes away from it is the builder's (or its client's) affair.

use std::path::Path;
use std::sync::Arc;

use samebuild_builder::disk::{ScanError, scan_without};
use samebuild_image::{At, Content, Kind, Meta, Mtime, Tree};

use super::entry::{self, Shape, shape, usual_mode};
use super::format::EntryToml;
use super::problem::Problem;

/// The time everything in a context carries unless the case says otherwise: 2021-01-01T00:00:00Z.
pub const CONTEXT_EPOCH: Mtime = Mtime::secs(1_609_459_200);

/// The files of `dir` as git would have checked them out anywhere: root's, 0755 or 0644, no extended attributes, all of
/// one time. `.git` itself is no part of it.
pub(super) fn from_disk(dir: &Path) -> Result<Tree, ScanError> {
    let mut tree = scan_without(dir, &|at, is_dir| is_dir && at.name() == b".git")?;
    tree.change_meta(|_, kind, meta| {
        let mode = match kind {
            Kind::File(_) if meta.mode & 0o100 == 0 => 0o644,
            Kind::File(_) | Kind::Dir => 0o755,
            kind => usual_mode(kind),
        };
        *meta = Meta::new(mode, CONTEXT_EPOCH);
    });
    Ok(tree)
}

/// A context as Docker's client sends it: everything belongs to root.
pub fn as_sent(mut context: Tree) -> Tree {
    context.change_meta(|_, _, meta| (meta.uid, meta.gid) = (0, 0));
    context
}

/// A context with nothing in it.
pub(super) fn empty() -> Tree {
    let mut tree = Tree::new();
    tree.insert(&At::root(), Kind::Dir, Meta::new(0o755, CONTEXT_EPOCH));
    tree
}

/// Puts a plain file (0644, root's) into the context.
pub(super) fn put_file(tree: &mut Tree, name: &str, bytes: Arc<[u8]>) {
    tree.insert(&At::from(name), Kind::File(Content::inline(bytes)), Meta::new(0o644, CONTEXT_EPOCH));
}

/// Applies the entries in their order, hard links last. Parents that are missing are made 0755, root's.
///
/// # Errors
/// A path that is absolute, climbs, goes through a symbolic link or is there already; a hard link to nothing.
pub(crate) fn plant(tree: &mut Tree, entries: &[EntryToml], epoch: Mtime) -> Result<(), Problem> {
    let mut links = Vec::new();
    for entry in entries {
        let at = place(entry)?;
        entry::no_metadata(entry)?;
        match shape(entry, epoch)? {
            Shape::Hardlink(target, span) => links.push((entry, at, target, span)),
            Shape::Keep => keep(tree, entry, &at)?,
            Shape::New(kind) => {
                make_room(tree, entry, &at, epoch)?;
                let meta = entry::meta(entry, usual_mode(&kind), epoch);
                tree.insert(&at, kind, meta);
            }
        }
    }
    for (entry, at, target, span) in links {
        make_room(tree, entry, &at, epoch)?;
        let to = At::clean(&target);
        let names_a_file = tree.get(&to).is_some_and(|inode| !inode.kind.is_dir());
        if !names_a_file || target != String::from_utf8_lossy(to.as_bytes()) {
            return Err(Problem::at(
                span,
                format!(
                    "`{}` is a hard link to `{target}`, which is no file in the context",
                    entry.path.get_ref()
                ),
                "name a file of the context by its path from the context's root, such as \"data/a\"",
            ));
        }
        tree.link(&at, &to);
    }
    Ok(())
}

/// Where the entry goes, if its path is one that stays inside.
fn place(entry: &EntryToml) -> Result<At, Problem> {
    let path = entry.path.get_ref().as_str();
    let bad = |found: String, help: &str| Err(Problem::at(entry.path.span(), found, help));
    if path.is_empty() {
        return bad(
            "an entry has an empty path".to_owned(),
            "give it a path such as \"data/a\"; `.` is the context itself",
        );
    }
    if path.starts_with('/') {
        return bad(
            format!("the path `{path}` is absolute"),
            "write it as it is seen from the context's root, without the leading slash",
        );
    }
    if path.split('/').any(|part| part == "..") {
        return bad(
            format!("the path `{path}` has a `..`"),
            "write it as it is seen from the context's root, without `..`",
        );
    }
    if path.contains('\0') {
        return bad(
            format!("the path {path:?} has a NUL byte"),
            "no file system can hold that; take it away",
        );
    }
    let at = At::clean(path);
    let clean = if at.is_root() { "." } else { path_of(&at) };
    if clean != path {
        return bad(
            format!("the path `{path}` is not in its simplest form"),
            &format!("write it as \"{clean}\""),
        );
    }
    Ok(at)
}

fn path_of(at: &At) -> &str {
    std::str::from_utf8(at.as_bytes()).unwrap_or_default()
}

/// Changes what is there already.
fn keep(tree: &mut Tree, entry: &EntryToml, at: &At) -> Result<(), Problem> {
    let path = entry.path.get_ref();
    if let (Some(Kind::Symlink(_)), Some(mode)) = (tree.get(at).map(|inode| &inode.kind), &entry.mode) {
        return Err(Problem::at(
            mode.span(),
            format!("the symbolic link `{path}` has a mode"),
            "take away `mode`: Linux gives every symbolic link 0777",
        ));
    }
    let Some(meta) = tree.meta_mut(at) else {
        return Err(Problem::at(
            entry.path.span(),
            format!("`{path}` is not in context/, so there is nothing to change"),
            "put the file there, or say what it is with one of text, hex, link, hardlink, kind, size, archive",
        ));
    };
    entry::change(entry, meta);
    Ok(())
}

/// Checks that nothing is at `at` yet, and makes its parents.
fn make_room(tree: &mut Tree, entry: &EntryToml, at: &At, epoch: Mtime) -> Result<(), Problem> {
    let path = entry.path.get_ref();
    for parent in at.parents() {
        match tree.get(&parent).map(|inode| &inode.kind) {
            Some(Kind::Dir) => {}
            None => tree.insert(&parent, Kind::Dir, Meta::new(0o755, epoch)),
            Some(Kind::Symlink(_)) => {
                return Err(Problem::at(
                    entry.path.span(),
                    format!("the path `{path}` goes through the symbolic link `{}`", path_of(&parent)),
                    "a link may lead out of the context: write the path of the directory it should be in",
                ));
            }
            Some(other) => {
                return Err(Problem::at(
                    entry.path.span(),
                    format!(
                        "the path `{path}` goes through `{}`, which is a {}",
                        path_of(&parent),
                        other.word()
                    ),
                    "put it into a directory",
                ));
            }
        }
    }
    match tree.get(at) {
        None => Ok(()),
        Some(_) => Err(Problem::at(
            entry.path.span(),
            format!(
                "`{path}` is in the context already, from context/, the case's Dockerfile or an earlier entry"
            ),
            "keep one of the two; an entry with nothing but metadata (mode, uid, gid, mtime, xattrs) changes what is there",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::tree::Inode;

    #[derive(serde::Deserialize)]
    struct Entries {
        context: Vec<EntryToml>,
    }

    fn planted(toml: &str) -> Result<Tree, String> {
        let entries: Entries = toml::from_str(toml).map_err(|e| e.to_string())?;
        let mut tree = empty();
        plant(&mut tree, &entries.context, CONTEXT_EPOCH).map_err(|problem| problem.found)?;
        Ok(tree)
    }

    fn line(at: &At, inode: &Inode) -> String {
        let meta = &inode.meta;
        format!("{at} {} {:o} {}:{} {}", inode.kind.word(), meta.mode, meta.uid, meta.gid, meta.mtime)
    }

    #[test]
    fn every_kind_of_entry_lands_in_the_tree() {
        let tree = planted(
            r#"
            context = [
                { path = "a/b", text = "x", mode = "0640", uid = 5, mtime = 2001-02-03T04:05:06Z },
                { path = "hard", hardlink = "a/b" },
                { path = "a", mode = "0700" },
                { path = "bin", hex = "00 ff" },
                { path = "l", link = "/etc/passwd" },
                { path = "p", kind = "fifo" },
                { path = "null", kind = "char", device = "1:3" },
                { path = "big", size = 1000, seed = 1, xattrs = { "user.a" = "0x00ff", "user.b" = "b" } },
            ]"#,
        )
        .unwrap();
        let lines: Vec<String> = tree.iter().map(|(at, _, inode)| line(at, inode)).collect();
        let epoch = "2021-01-01T00:00:00Z";
        assert_eq!(
            lines,
            [
                format!("/ dir 755 0:0 {epoch}"),
                format!("/a dir 700 0:0 {epoch}"),
                "/a/b file 640 5:0 2001-02-03T04:05:06Z".to_owned(),
                format!("/big file 644 0:0 {epoch}"),
                format!("/bin file 644 0:0 {epoch}"),
                "/hard file 640 5:0 2001-02-03T04:05:06Z".to_owned(),
                format!("/l symlink 777 0:0 {epoch}"),
                format!("/null char 644 0:0 {epoch}"),
                format!("/p fifo 644 0:0 {epoch}"),
            ]
        );
        assert_eq!(tree.ino(&At::from("hard")), tree.ino(&At::from("a/b")));
        let xattrs = &tree.get(&At::from("big")).unwrap().meta.xattrs;
        assert_eq!(xattrs[&b"user.a"[..]], [0, 0xff]);
        assert_eq!(xattrs[&b"user.b"[..]], *b"b");
    }

    #[test]
    fn no_path_leaves_the_context() {
        for path in ["/etc/x", "../x", "a/../../x", "l/x", "", "a//b", "./a", "a/"] {
            let toml =
                format!("context = [{{ path = \"l\", link = \"/\" }}, {{ path = {path:?}, text = \"x\" }}]");
            assert!(planted(&toml).is_err(), "{path}");
        }
    }

    #[test]
    fn a_checked_out_context_is_the_same_whatever_the_umask_was() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, mode| {
            let path = dir.path().join(name);
            std::fs::write(&path, name).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        put("a", 0o600);
        put("b", 0o664);
        put("x", 0o700);
        let tree = from_disk(dir.path()).unwrap();
        let modes: Vec<u32> = tree.iter().map(|(_, _, inode)| inode.meta.mode).collect();
        assert_eq!(modes, [0o755, 0o644, 0o644, 0o755]);
        assert!(tree.iter().all(|(_, _, inode)| inode.meta.mtime == CONTEXT_EPOCH && inode.meta.uid == 0));
    }
}
