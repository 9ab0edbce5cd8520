//! What of a context is sent where a client sends only what is named: by COPY, ADD and mounts of the stages that are built.
//! Looked at only where it shows, which is where a wildcard stands: what it may mean depends on what the others name.

use std::collections::BTreeSet;

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::syntax::Syntax;
use samebuild_dockerfile::{Dockerfile, InstructionKind, Source, glob};
use samebuild_image::{At, Kind, Tree};

use crate::context;
use crate::steps::copy::sources::is_wildcard;

/// Whether a source of the context has a wildcard, or a variable that may.
pub fn shows(dockerfile: &Dockerfile) -> bool {
    let mut instructions = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    instructions.any(|node| {
        let transfer = match &node.kind {
            InstructionKind::Copy(copy) if copy.from.is_none() => &copy.transfer,
            InstructionKind::Add(add) => &add.transfer,
            _ => return matches!(node.kind, InstructionKind::Onbuild(_)),
        };
        let may_be = |text: &str| text.contains('$') || text.contains('\\') || is_wildcard(text);
        transfer.sources.iter().any(|source| matches!(source, Source::Path(word) if may_be(&word.text)))
    })
}

/// What is left of `context`. Links on the way to what is named are sent too, and what they lead to.
pub fn only(context: &Tree, named: &BTreeSet<String>, syntax: &Syntax) -> Tree {
    let mut sent = BTreeSet::new();
    for path in named {
        follow(context, path, &mut sent);
    }
    let is_all = sent.contains("");
    // It is read as patterns are, `!` and all.
    let Some(patterns) = IgnoreFile::of(sent.iter().map(String::as_str), syntax).ok().filter(|_| !is_all)
    else {
        return context.clone();
    };
    let text = |at: &At| std::str::from_utf8(at.as_bytes()).ok().map(str::to_owned);
    let is_named = |at: &At| text(at).is_some_and(|path| patterns.excludes(&path));
    context::only(context, None, |at| {
        is_named(at) || at.parents().any(|dir| !dir.is_root() && is_named(&dir))
    })
}

/// Adds a path, component by component, and wherever links in it lead.
fn follow(context: &Tree, path: &str, sent: &mut BTreeSet<String>) {
    let whole = At::clean(path).to_string();
    let mut parts = whole.split('/').filter(|part| !part.is_empty()).peekable();
    let mut current = String::new();
    if parts.peek().is_none() {
        sent.insert(current);
        return;
    }
    while let Some(part) = parts.next() {
        let above = current.clone();
        current = joined(&current, part);
        let links = links(context, &above, part);
        let is_last = parts.peek().is_none();
        if (is_last || !links.is_empty()) && !sent.insert(current.clone()) {
            return;
        }
        if !links.is_empty() {
            let rest: Vec<&str> = parts.collect();
            for link in links {
                follow(context, &joined(&link, &rest.join("/")), sent);
            }
            return;
        }
    }
}

fn joined(dir: &str, rest: &str) -> String {
    [dir, rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// What the links of that name in a directory lead to; the name may be a pattern.
fn links(context: &Tree, dir: &str, name: &str) -> Vec<String> {
    let target = |at: &At| match context.get(at).map(|inode| &inode.kind) {
        Some(Kind::Symlink(target)) => {
            let target = String::from_utf8_lossy(target).into_owned();
            Some(if target.starts_with('/') { target } else { joined(dir, &target) })
        }
        _ => None,
    };
    if !is_wildcard(name) {
        return target(&At::clean(joined(dir, name))).into_iter().collect();
    }
    let Ok(dir) = context.resolve(dir, true) else { return Vec::new() };
    let below = context.within(&dir).filter(|(at, _, _)| at.parent().as_ref() == Some(&dir));
    let matches = below.filter(|(at, _, _)| {
        std::str::from_utf8(at.name()).is_ok_and(|own| glob::go_match(name, own).unwrap_or(false))
    });
    matches.filter_map(|(at, _, _)| target(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::{Content, Meta, Mtime};

    fn context() -> Tree {
        let mut tree = Tree::new();
        for dir in ["d", "d/sub", "e"] {
            tree.insert(&At::from(dir), Kind::Dir, Meta::new(0o755, Mtime::secs(1)));
        }
        for file in ["d/f", "d/g", "d/sub/h", "e/i", "other", "!x"] {
            tree.insert(
                &At::from(file),
                Kind::File(Content::inline(*b"x")),
                Meta::new(0o644, Mtime::secs(1)),
            );
        }
        for (link, to) in [("l", "d"), ("round", "round"), ("e/up", "../other"), ("abs", "/e/i")] {
            tree.insert(&At::from(link), Kind::Symlink(to.into()), Meta::new(0o777, Mtime::secs(1)));
        }
        tree
    }

    fn sent(named: &[&str]) -> Vec<String> {
        let named = named.iter().map(|path| (*path).to_owned()).collect();
        let tree = only(&context(), &named, &Syntax::BUILDKIT_26_1);
        tree.iter().filter(|(at, ..)| !at.is_root()).map(|(at, ..)| at.to_string()[1..].to_owned()).collect()
    }

    #[test]
    fn what_is_named_is_sent_with_the_directories_above_and_all_below() {
        assert_eq!(sent(&["d/f", "/e"]), ["d", "d/f", "e", "e/i", "e/up"]);
        assert_eq!(sent(&["d/[fz]", "none"]), ["d", "d/f"]);
        assert_eq!(sent(&["d/z*"]), [""; 0], "nothing of a directory in which nothing is named");
        assert_eq!(sent(&["d/sub/../f"]), ["d", "d/f"]);
    }

    #[test]
    fn links_on_the_way_are_sent_with_what_they_lead_to_and_links_below_alone() {
        assert_eq!(sent(&["l/f"]), ["d", "d/f", "l"]);
        assert_eq!(sent(&["e/u*"]), ["e", "e/up", "other"]);
        assert_eq!(sent(&["abs"]), ["abs", "e", "e/i"]);
        assert_eq!(sent(&["round"]), ["round"]);
        assert_eq!(sent(&["e"]), ["e", "e/i", "e/up"]);
    }

    #[test]
    fn all_of_it_is_all_and_a_name_that_begins_as_an_exception_is_one() {
        let all = context().iter().count() - 1;
        assert_eq!(sent(&[".", "d/f"]).len(), all);
        assert_eq!(sent(&["!x", "other"]), ["other"]);
    }
}
