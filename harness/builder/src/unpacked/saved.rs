//! What is kept of a stage for later ones, before its root is emptied: exactly what their COPYs name, copied file by file.

use std::collections::BTreeSet;

use samebuild_dockerfile::glob;
use samebuild_image::{At, Inode, Kind, Meta, Mtime, Tree};

use super::rules::OwnName;
use crate::failure::StepFailure;

/// The builder's own directory, a name that no path may end in.
const OWN: &[u8] = b"kaniko";

/// The files of `tree` that `patterns` mean, as they are kept. An error says what cannot be.
pub fn saved(tree: &Tree, patterns: &[String], own_name: OwnName, now: Mtime) -> Result<Tree, StepFailure> {
    let mut kept = Tree::new();
    if let Some(root) = kept.meta_mut(&At::root()) {
        root.mtime = now;
    }
    let named: BTreeSet<At> =
        patterns.iter().flat_map(|pattern| matches(tree, &At::clean(pattern))).collect();
    // What lies in a directory that is named too goes with the directory.
    let is_within = |at: &At| named.iter().any(|other| other != at && at.is_within(other));
    for at in named.iter().filter(|at| !is_within(at)) {
        keep(tree, at, own_name, now, &mut kept)?;
    }
    Ok(kept)
}

fn matches(tree: &Tree, pattern: &At) -> Vec<At> {
    let Ok(text) = std::str::from_utf8(pattern.as_bytes()) else { return Vec::new() };
    let depth = pattern.components().count();
    let fits = |at: &At| {
        let name = std::str::from_utf8(at.as_bytes()).unwrap_or_default();
        at.components().count() == depth && (at == pattern || glob::go_match(text, name).unwrap_or(false))
    };
    let mut found: Vec<At> = tree.iter().map(|(at, _, _)| at).filter(|at| fits(at)).cloned().collect();
    // A path through a symbolic link is looked up as the kernel does.
    if found.is_empty()
        && let Ok(real) = tree.resolve(pattern.as_bytes(), false)
        && tree.get(&real).is_some()
    {
        found.push(real);
    }
    found
}

fn keep(tree: &Tree, at: &At, own_name: OwnName, now: Mtime, kept: &mut Tree) -> Result<(), StepFailure> {
    if at.is_root() {
        let message = "keep the whole root of a stage for a later one: /proc is mounted in it and cannot be copied; \
                       name what is needed";
        return Err(StepFailure::new("stage-not-saved", message));
    }
    let Some(inode) = tree.get(at) else { return Ok(()) };
    if let Kind::Symlink(_) = inode.kind {
        put(kept, at, inode, false, now);
        if let Ok(target) = tree.resolve(at.as_bytes(), true)
            && tree.get(&target).is_some()
        {
            keep(tree, &target, own_name, now, kept)?;
        }
        return Ok(());
    }
    let own = |below: &At| below.name() == OWN && tree.get(below).is_some_and(|inode| inode.kind.is_dir());
    for (below, _, inode) in tree.within(at) {
        if own_name == OwnName::Fails && own(below) {
            let message = format!(
                "keep {below} for a later stage: the builder passes over what is called so, and then misses it"
            );
            return Err(StepFailure::new("stage-not-saved", message));
        }
        if matches!(inode.kind, Kind::Char { .. } | Kind::Block { .. }) {
            let message = format!(
                "keep {below} for a later stage: the builder passes devices over, and then misses it"
            );
            return Err(StepFailure::new("stage-not-saved", message));
        }
        put(kept, below, inode, below != at, now);
    }
    Ok(())
}

/// Copies one entry; owners are set after modes where it is not named itself, which costs setuid and setgid.
fn put(kept: &mut Tree, at: &At, inode: &Inode, is_nested: bool, now: Mtime) {
    for dir in at.parents() {
        if kept.get(&dir).is_none() {
            kept.insert(&dir, Kind::Dir, Meta::new(0o755, now));
        }
    }
    let mut meta = Meta { mtime: now, xattrs: Default::default(), ..inode.meta.clone() };
    if is_nested && matches!(inode.kind, Kind::File(_)) {
        meta.mode &= 0o1777;
    }
    kept.insert(at, inode.kind.clone(), meta);
}

#[cfg(test)]
mod tests {
    use samebuild_image::Content;

    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for dir in ["d", "d/kaniko", "e"] {
            tree.insert(&At::from(dir), Kind::Dir, Meta::new(0o2755, Mtime::secs(1)));
        }
        for file in ["d/suid", "d/kaniko/f", "e/f"] {
            let meta = Meta::new(0o4755, Mtime::secs(1));
            tree.insert(&At::from(file), Kind::File(Content::inline(*b"x")), meta);
        }
        tree.insert(&At::from("l"), Kind::Symlink(b"e/f".to_vec()), Meta::new(0o777, Mtime::secs(1)));
        tree
    }

    fn kept(patterns: &[&str], own_name: OwnName) -> Result<Vec<String>, &'static str> {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let kept = saved(&tree(), &patterns, own_name, Mtime::secs(9)).map_err(|failure| failure.class)?;
        Ok(kept.iter().map(|(at, _, inode)| format!("{at} {:o}", inode.meta.mode)).collect())
    }

    #[test]
    fn a_file_that_is_named_goes_with_a_directory_that_is_named_too() {
        assert_eq!(kept(&["e/f", "e"], OwnName::Ordinary), kept(&["e"], OwnName::Ordinary));
    }

    /// GoogleContainerTools/kaniko#2075, #2089: named itself a file keeps setuid, in a directory it does not.
    #[test]
    fn setuid_is_kept_of_a_file_that_is_named_and_lost_in_a_directory() {
        assert_eq!(kept(&["d/suid"], OwnName::Ordinary).unwrap(), ["/ 755", "/d 755", "/d/suid 4755"]);
        assert_eq!(kept(&["/e"], OwnName::Ordinary).unwrap(), ["/ 755", "/e 2755", "/e/f 755"]);
    }

    #[test]
    fn a_link_is_kept_with_what_it_leads_to() {
        assert_eq!(kept(&["l"], OwnName::Fails).unwrap(), ["/ 755", "/e 755", "/e/f 4755", "/l 777"]);
    }

    #[test]
    fn neither_the_root_nor_the_builder_s_own_name_can_be_kept() {
        assert_eq!(kept(&["/"], OwnName::Fails), Err("stage-not-saved"));
        assert_eq!(kept(&["d"], OwnName::Fails), Err("stage-not-saved"));
        assert!(kept(&["d"], OwnName::Ordinary).is_ok());
    }
}
