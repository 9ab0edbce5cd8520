//! What kaniko's keys take for the same that is not, and ours do not: each build is held against one without a cache.
//! The ten ways are told in docs/cache.md; the seventh takes a RUN, and is among `samebuild`'s tests (`cached`).

use std::sync::Arc;

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::keys::{KEYS, Keys};
use samebuild_builder::cache::{LayerCache, Local};
use samebuild_image::Tree;

use crate::yard::{Yard, tree};

fn rules(name: &str) -> &'static Keys {
    KEYS.into_iter().find(|row| row.name == name).unwrap()
}

/// One build, then another: is the second what it would be without a cache?
fn is_right(
    keys: &'static Keys,
    first: (&str, &Tree, &[(&str, &str)]),
    second: (&str, &Tree, &[(&str, &str)]),
) -> bool {
    let yard = Yard::new();
    let cache = LayerCache { keys, ..LayerCache::at(Arc::new(Local::new(&yard.dir.path().join("cache")))) };
    let dialect = DIALECTS[3];
    yard.with(dialect, first.0, first.1, first.2, Some(&cache)).unwrap();
    let cached = yard.with(dialect, second.0, second.1, second.2, Some(&cache)).unwrap();
    let cold = yard.with(dialect, second.0, second.1, second.2, None).unwrap();
    cached.manifest == cold.manifest
}

fn wrong_in(wrong: &[&str], first: (&str, &Tree, &[(&str, &str)]), second: (&str, &Tree, &[(&str, &str)])) {
    for keys in KEYS {
        let right = is_right(keys, first, second);
        assert_eq!(right, !wrong.contains(&keys.name), "{}", keys.name);
    }
    assert!(!wrong.contains(&rules("ours").name));
}

// GoogleContainerTools/kaniko#1678, #2241: names are not hashed.
#[test]
fn a_file_renamed_in_a_copied_directory_is_missed_by_all_that_look_at_files_alone() {
    let (before, after) = (tree(&[("d/a", "1"), ("d/b", "2")]), tree(&[("d/a", "1"), ("d/c", "2")]));
    let text = "FROM base\nCOPY d /d\n";
    let wrong: Vec<&str> = KEYS.iter().map(|keys| keys.name).filter(|name| *name != "ours").collect();
    wrong_in(&wrong, (text, &before, &[]), (text, &after, &[]));
}

// #639 took the build arguments out, #739 put them back, #1085 took them out again; #2968 put in the text as written.
#[test]
fn a_variable_in_a_destination_is_missed_by_keys_of_the_text_as_written() {
    let context = tree(&[("a", "1")]);
    let text = "FROM base\nARG DEST\nCOPY a $DEST\n";
    let wrong = ["kaniko-2018-09", "kaniko-2019-05", "kaniko-head", "kaniko-head-single-snapshot"];
    wrong_in(&wrong, (text, &context, &[("DEST", "/one")]), (text, &context, &[("DEST", "/two")]));
}

// #870, #899, #1735: what `COPY --from` copies was no part of the key.
#[test]
fn what_another_stage_made_is_missed_by_keys_that_look_at_one_stage() {
    let (before, after) = (tree(&[("a", "1")]), tree(&[("a", "2")]));
    let text = "FROM base AS one\nCOPY a /a\nFROM base\nCOPY --from=one /a /b\n";
    // The first is of the time when files counted by what the snapshot found, and COPY's own were not in it yet.
    let wrong = ["kaniko-2018-09", "kaniko-2019-01", "kaniko-2019-05"];
    wrong_in(&wrong, (text, &before, &[]), (text, &after, &[]));
}

// osscontainertools/kaniko#824: bodies of heredocs are in no key.
#[test]
fn what_a_heredoc_says_is_missed_by_keys_of_one_line() {
    let context = tree(&[]);
    let text = |body: &str| format!("FROM base\nCOPY <<E /e\n{body}\nE\n");
    let wrong: Vec<&str> = KEYS.iter().map(|keys| keys.name).filter(|name| *name != "ours").collect();
    wrong_in(&wrong, (&text("one"), &context, &[]), (&text("two"), &context, &[]));
}

// osscontainertools/kaniko#873: parts joined by a hyphen read alike when one ends where another begins.
#[test]
fn parts_that_are_joined_by_a_hyphen_are_told_apart_by_their_lengths_only() {
    let context = tree(&[("a", "1")]);
    let one = "FROM base\nARG X\nARG Y=b\nCOPY a /a\n";
    // The arguments `X=1-...` can say what the commands after them would.
    let ours = |args: &[(&str, &str)]| is_right(rules("ours"), (one, &context, &[]), (one, &context, args));
    assert!(ours(&[("X", "1-COPY a /a")]) && ours(&[("Y", "-")]));
}

// Seen at kaniko 1.24: nothing unpacks the base for a WORKDIR.
#[test]
fn a_workdir_where_all_else_was_found_makes_a_directory_that_is_there() {
    let context = tree(&[("a", "1")]);
    let text = "FROM base\nCOPY a /a\nWORKDIR /etc\n";
    let wrong = ["kaniko-head", "kaniko-head-single-snapshot"];
    wrong_in(&wrong, (text, &context, &[]), (text, &context, &[]));
}

// Seen at kaniko 1.24 with --single-snapshot: there is nothing to take a snapshot of.
#[test]
fn one_snapshot_at_the_end_lacks_what_was_found_before() {
    let context = tree(&[("a", "1"), ("b", "2")]);
    let text = "FROM base\nCOPY a /a\nCOPY b /b\n";
    wrong_in(&["kaniko-head-single-snapshot"], (text, &context, &[]), (text, &context, &[]));
}

// GoogleContainerTools/kaniko#1910, #1912: the arguments were not put back after looking ahead.
#[test]
fn an_argument_of_a_line_further_down_is_seen_by_who_looked_ahead() {
    let context = tree(&[("a", "1")]);
    let text = "FROM base\nCOPY a /t$TO\nARG TO=x\n";
    wrong_in(&["kaniko-2021-12"], (text, &context, &[]), (text, &context, &[]));
}
