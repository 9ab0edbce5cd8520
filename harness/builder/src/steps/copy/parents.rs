//! `--parents`: what a source means when the directories above it are kept. Putting entries in place is `place`'s.
//!
//! The part of a source before `/./` is a directory to start from, the context's root without one; the rest is a pattern
//! of what to take below it, read as a line of .dockerignore is. Facts: moby/buildkit#3001, #4728, and the copier of
//! tonistiigi/fsutil.

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::At;

use super::{Copy, Pattern, place, sources};
use crate::delta::Delta;
use crate::failure::StepFailure;

/// Copies what every source means, below the destination.
pub(super) fn copy(copy: &Copy<'_>, delta: &mut Delta) -> Result<(), StepFailure> {
    for pattern in copy.patterns {
        one(copy, pattern, delta)
            .map_err(|failure| StepFailure { at: failure.at.or(Some(pattern.span)), ..failure })?;
    }
    Ok(())
}

fn one(copy: &Copy<'_>, pattern: &Pattern, delta: &mut Delta) -> Result<(), StepFailure> {
    let (starts, take) = of(copy, pattern)?;
    for start in &starts {
        if start.is_dir {
            place::directory(copy, start, Some(&take), delta)?;
        } else {
            place::file(copy, start, delta)?;
        }
    }
    Ok(())
}

/// Where a source starts, and what it takes below.
pub(crate) fn of(
    copy: &Copy<'_>,
    pattern: &Pattern,
) -> Result<(Vec<sources::Source>, IgnoreFile), StepFailure> {
    let (start, below) = pattern.text.split_once("/./").unwrap_or(("/", &pattern.text));
    let below = At::clean(below);
    let text = String::from_utf8_lossy(below.as_bytes());
    let take = IgnoreFile::of([text.as_ref()], copy.syntax)
        .map_err(|error| StepFailure::new("bad-pattern", error.to_string()))?;
    let mut starts = Vec::new();
    if sources::is_wildcard(start) {
        sources::wildcard(copy, start, &mut starts)?;
    } else {
        starts.push(sources::one(copy, &At::clean(start), start)?);
        let must_be_there = !sources::is_wildcard(&text);
        let whole = || format!("{start}/{text}");
        if must_be_there && copy.from.resolve(whole(), false).ok().and_then(|at| copy.from.get(&at)).is_none()
        {
            return Err(sources::not_found(copy, &pattern.text));
        }
    }
    Ok((starts, take))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::LayerForm;
    use crate::dialect::BUILDKIT_HEAD;
    use proptest::prelude::*;
    use samebuild_dockerfile::{Span, Syntax};
    use samebuild_image::{Content, Kind, Meta, Mtime, Tree};

    const SYNTAX: &Syntax = &Syntax::BUILDKIT_HEAD;

    fn tree(files: &[(&str, u32)]) -> Tree {
        let mut tree = Tree::new();
        tree.insert(&At::root(), Kind::Dir, Meta::new(0o755, Mtime::secs(1)));
        for (path, mode) in files {
            let at = At::from(*path);
            for (depth, dir) in at.parents().enumerate().filter(|(_, dir)| !dir.is_root()) {
                let mode = 0o700 + u32::try_from(depth).unwrap_or(0);
                if tree.get(&dir).is_none() {
                    tree.insert(&dir, Kind::Dir, Meta::new(mode, Mtime::secs(2)));
                }
            }
            tree.insert(&at, Kind::File(Content::inline(path.as_bytes())), Meta::new(*mode, Mtime::secs(3)));
        }
        tree
    }

    fn copied(from: &Tree, source: &str, exclude: &[&str]) -> Result<Tree, StepFailure> {
        let patterns = [Pattern { text: source.to_owned(), span: Span::new(5, 9) }];
        let exclude = IgnoreFile::of(exclude.iter().copied(), SYNTAX).unwrap();
        let copy = Copy {
            patterns: &patterns,
            several: false,
            from,
            whole: None,
            from_context: true,
            dest: "/to/",
            workdir: "/",
            owner: None,
            mode: None,
            exclude: &exclude,
            unpack: false,
            literal: false,
            nameless: false,
            parents: true,
            spool: &|| Err(StepFailure::new("no-scratch", "spool nothing")),
            rules: &BUILDKIT_HEAD.copy,
            syntax: SYNTAX,
        };
        let mut delta = Delta::new(&Tree::new(), Mtime::secs(9));
        super::super::copy(&copy, &mut delta)?;
        Ok(delta.finish(LayerForm::DoubleWalk).0)
    }

    fn files(tree: &Tree) -> Vec<String> {
        let file = |inode: &samebuild_image::Inode| matches!(inode.kind, Kind::File(_));
        tree.iter().filter(|(_, _, inode)| file(inode)).map(|(at, _, _)| at.to_string()).collect()
    }

    #[test]
    fn directories_are_kept_from_the_pivot_on() {
        let from = tree(&[("a/b/c", 0o644), ("a/b/d", 0o644), ("x/b/c", 0o600)]);
        for (source, to) in [
            ("a/b/c", vec!["/to/a/b/c"]),
            ("./a/b/c", vec!["/to/a/b/c"]),
            ("/a/./b/c", vec!["/to/b/c"]),
            ("a/b/./c", vec!["/to/c"]),
            ("*/b/c", vec!["/to/a/b/c", "/to/x/b/c"]),
            ("*/./b/c", vec!["/to/b/c"]),
            ("**/d", vec!["/to/a/b/d"]),
            ("a", vec!["/to/a/b/c", "/to/a/b/d"]),
            ("nothing*", vec![]),
            ("../a/b/c", vec!["/to/a/b/c"]),
        ] {
            assert_eq!(files(&copied(&from, source, &[]).unwrap()), to, "{source}");
        }
    }

    #[test]
    fn what_is_not_there_fails_at_its_word_unless_it_is_a_pattern() {
        let from = tree(&[("a/b", 0o644)]);
        for source in ["c", "a/./c", "c/./b"] {
            let failure = copied(&from, source, &[]).unwrap_err();
            assert_eq!((failure.class, failure.at), ("copy-not-found", Some(Span::new(5, 9))), "{source}");
        }
        assert_eq!(files(&copied(&from, "a/c*", &[]).unwrap()), [] as [&str; 0]);
    }

    #[test]
    fn an_exception_brings_one_file_back_with_the_directories_above_it() {
        let from = tree(&[("a/b/c", 0o644), ("a/b/d", 0o644), ("a/e", 0o644)]);
        let out = copied(&from, "a", &["a/b", "!a/b/c"]).unwrap();
        assert_eq!(files(&out), ["/to/a/b/c", "/to/a/e"]);
        let dir = out.get(&At::from("to/a/b")).unwrap();
        assert_eq!(
            (dir.meta.mode, dir.meta.mtime),
            (0o701, Mtime::secs(9)),
            "mode of the source, time of the copy"
        );
        assert_eq!(out.get(&At::from("to/a")).unwrap().meta.mtime, Mtime::secs(2), "taken itself");
    }

    fn path() -> impl Strategy<Value = String> {
        proptest::collection::vec("[abc]", 1..4).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        /// One file named in full arrives under its whole name, its directories with the source's modes, and nothing else.
        #[test]
        fn a_file_named_in_full_arrives_alone_and_whole(
            paths in proptest::collection::btree_set(path(), 1..8), pick in any::<prop::sample::Index>(),
        ) {
            let paths: Vec<String> = paths.into_iter().collect();
            // A path that is another's directory is left to the longer one.
            let is_dir = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
            let kept: Vec<(&str, u32)> =
                paths.iter().filter(|path| !is_dir(path)).map(|path| (path.as_str(), 0o640)).collect();
            let from = tree(&kept);
            let (source, _) = kept[pick.index(kept.len())];
            let out = copied(&from, source, &[]).unwrap();
            prop_assert_eq!(files(&out), [format!("/to/{source}")]);
            let at = At::from(source);
            for dir in at.parents().filter(|dir| !dir.is_root()) {
                let there = out.get(&At::from("to").join(dir.as_bytes())).unwrap();
                prop_assert_eq!(there.meta.mode, from.get(&dir).unwrap().meta.mode);
            }
        }

        /// `**` takes everything, and no source leads out of the destination.
        #[test]
        fn nothing_leaves_the_destination(paths in proptest::collection::btree_set(path(), 1..8), source in "[a-c*./]{1,8}") {
            let paths: Vec<String> = paths.into_iter().collect();
            let is_dir = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
            let kept: Vec<(&str, u32)> =
                paths.iter().filter(|path| !is_dir(path)).map(|path| (path.as_str(), 0o640)).collect();
            let from = tree(&kept);
            prop_assert_eq!(files(&copied(&from, "**", &[]).unwrap()).len(), kept.len());
            if let Ok(out) = copied(&from, &source, &[]) {
                for (at, _, _) in out.iter() {
                    prop_assert!(at.is_root() || at.is_within(&At::from("to")), "{source}: {at}");
                }
            }
        }
    }
}
