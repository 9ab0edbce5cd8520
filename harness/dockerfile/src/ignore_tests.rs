//! What .dockerignore leaves out, claim by claim.

use crate::ignore::{IgnoreFile, clean};
use crate::syntax::Syntax;

fn file(text: &str, syntax: &Syntax) -> IgnoreFile {
    IgnoreFile::parse(text.as_bytes(), syntax).unwrap()
}

/// The paths of `paths` that are left out.
fn excluded<'a>(text: &str, paths: &[&'a str], syntax: &Syntax) -> Vec<&'a str> {
    let file = file(text, syntax);
    paths.iter().copied().filter(|path| file.excludes(path)).collect()
}

const HEAD: Syntax = Syntax::BUILDKIT_HEAD;

#[test]
fn the_recorded_files_leave_out_what_docker_left_out() {
    // Recorded cases `ignore-basic` and `ignore-neg-nested`.
    let paths = [
        "a",
        "b",
        "d",
        "d/x",
        "d/sub",
        "d/sub/y",
        "r.md",
        "keep.md",
        "k",
        "k/z",
        "k/z/q",
        "k/m",
        "k/m/r.md",
        "k/m/keep.md",
    ];
    let text = "# c\n*.md\n!keep.md\nd/sub\n**/z\n/a\n";
    for syntax in [HEAD, Syntax::CLASSIC_20_10] {
        assert_eq!(excluded(text, &paths, &syntax), ["a", "d/sub", "d/sub/y", "r.md", "k/z", "k/z/q"]);
        let nested = "d\n!d/sub/deep/k\n";
        let paths = ["d", "d/sub", "d/sub/j", "d/sub/deep", "d/sub/deep/k"];
        assert_eq!(excluded(nested, &paths, &syntax), ["d", "d/sub", "d/sub/j", "d/sub/deep"]);
        assert!(!file(nested, &syntax).skips("d"));
        assert!(!file(nested, &syntax).skips("d/sub"));
        assert!(!file(nested, &syntax).skips("d/sub/deep"));
        assert!(file("d\n!x\n", &syntax).skips("d"));
    }
}

#[test]
fn lines_are_trimmed_cleaned_and_comments_stand_in_column_one() {
    let file = file("\u{feff}#no\n #yes\n\n  ./a//b/../c/  \n/d\n! /e\n/\n", &HEAD);
    let shown: Vec<_> = file.patterns().iter().map(|p| (p.text.as_str(), p.negated, p.line)).collect();
    assert_eq!(
        shown,
        [("#yes", false, 2), ("a/c", false, 4), ("d", false, 5), ("e", true, 6), ("/", false, 7)]
    );
}

#[test]
fn the_last_matching_pattern_decides() {
    let paths = ["a", "a/b", "a/b/c"];
    assert_eq!(excluded("a\n!a/b\n", &paths, &HEAD), ["a"]);
    assert_eq!(excluded("!a/b\na\n", &paths, &HEAD), ["a", "a/b", "a/b/c"]);
    assert_eq!(excluded("*\n!a/b\na/b/c\n", &paths, &HEAD), ["a", "a/b/c"]);
}

#[test]
fn single_stars_stop_at_slashes_and_double_stars_do_not() {
    let paths = ["x.md", "a/x.md", "a/b/x.md", "a", "a/y"];
    assert_eq!(excluded("*.md", &paths, &HEAD), ["x.md"]);
    assert_eq!(excluded("*/*.md", &paths, &HEAD), ["a/x.md"]);
    assert_eq!(excluded("**/*.md", &paths, &HEAD), ["x.md", "a/x.md", "a/b/x.md"]);
    assert_eq!(excluded("a/**", &paths, &HEAD), ["a/x.md", "a/b/x.md", "a/y"]);
    assert_eq!(excluded("a/**/x.md", &paths, &HEAD), ["a/x.md", "a/b/x.md"]);
    assert_eq!(excluded("**", &paths, &HEAD), paths);
    assert_eq!(excluded("?.[k-n]d", &paths, &HEAD), ["x.md"]);
    assert_eq!(excluded("[^a]*", &paths, &HEAD), ["x.md"]);
}

#[test]
fn a_double_star_before_a_name_is_whole_components_only_with_the_older_rule() {
    let paths = ["foo", "barfoo", "a/foo", "a/barfoo"];
    assert_eq!(excluded("**foo", &paths, &HEAD), paths);
    assert_eq!(excluded("**foo", &paths, &Syntax::CLASSIC_20_10), ["foo", "a/foo"]);
    assert_eq!(excluded("**/foo", &paths, &HEAD), ["foo", "a/foo"]);
}

#[test]
fn deep_parents_count_only_with_the_newer_rule() {
    // docker/buildx#850: a pattern with a double star, and a path well below what it matches.
    let deep = ["a/b/c/z", "a/b/c/z/q"];
    assert_eq!(excluded("**/z", &deep, &HEAD), deep);
    assert_eq!(excluded("**/z", &deep, &Syntax::CLASSIC_20_10), ["a/b/c/z"]);
}

#[test]
fn a_wildcard_negation_opens_directories_only_with_the_newer_rule() {
    let text = "d\n!**/keep.md\n";
    assert!(!file(text, &HEAD).skips("d"));
    assert!(file(text, &Syntax::CLASSIC_20_10).skips("d"));
    assert!(!file(text, &HEAD).excludes("d/keep.md"));
    assert!(file("d\n!e/*\n", &HEAD).skips("d"));
}

#[test]
fn malformed_patterns_name_their_line() {
    for (text, says) in
        [("a\n!\n", "illegal exclusion pattern: \"!\""), ("a\n[b\n", "syntax error in pattern")]
    {
        let error = IgnoreFile::parse(text.as_bytes(), &HEAD).unwrap_err();
        assert_eq!((error.line, error.builder_message.as_str()), (2, says));
    }
}

#[test]
fn cleaning_is_gos() {
    for (path, expected) in [
        ("", "."),
        ("/", "/"),
        ("a//b/", "a/b"),
        ("a/../..", ".."),
        ("/..", "/"),
        ("../a/./b", "../a/b"),
        ("./a", "a"),
    ] {
        assert_eq!(clean(path), expected, "{path}");
    }
}
