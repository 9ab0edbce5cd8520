//! `conform` on Dockerfiles that are nobody's cases: several that share a context, and the samebuild.toml beside them. The
//! builds are COPY onto scratch or onto our own base: they need no root and no network.

mod place;

use std::process::Output;

use place::Place;

/// `conform --dockerfile … --context app`; `None`, with a word, where this machine has no busybox for the base.
fn conform(place: &Place, args: &[&str]) -> Option<Output> {
    place.exercise(&[&["conform", "--dockerfile", "app/docker/*", "--context", "app"], args].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn dockerfiles_that_share_a_context_are_held_against_one_another_with_the_decisions_that_part_them() {
    let place = Place::of(&[
        ("app/docker/one", "FROM scratch\nCOPY a b /srv/\n"),
        ("app/docker/two", "FROM scratch\nCOPY --chmod=700 a /a\n"),
        ("app/a", "a\n"),
        ("app/b", "b\n"),
    ]);
    let Some(output) = conform(&place, &[]) else { return };
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "classic knows no --chmod: {said}{}", text(&output.stderr));
    for part in [
        "one",
        "two",
        "because",
        "history.text",
        "unsupported-flag",
        "image.scratch_workdir",
        "again: samebuild conform",
    ] {
        assert!(said.contains(part), "{part} in: {said}");
    }
    let Some(two) = conform(&place, &["--dialect", "buildkit@26.1", "--dialect", "buildkit@26.1-containerd"])
    else {
        return;
    };
    assert_eq!(two.status.code(), Some(0), "what they differ in is knowledge: {}", text(&two.stdout));
}

#[test]
fn rules_say_how_a_dockerfile_is_built_and_what_stands_in_for_its_base() {
    let place = Place::of(&[
        (
            "app/docker/one",
            "FROM nobody.test/has-this:1 AS wanted\nARG SRC\nCOPY $SRC /srv/\nFROM wanted\nCOPY no-such-file /\n",
        ),
        ("app/file", "a\n"),
        (
            "app/samebuild.toml",
            "[bases]\n\"nobody.test/*\" = \"busybox\"\n\n[[match]]\ndockerfile = \"docker/one\"\nargs = { SRC = \"file\" }\ntarget = \"wanted\"\n",
        ),
    ]);
    let Some(output) = conform(&place, &[]) else { return };
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("a stand-in base for nobody.test/has-this:1"), "{said}");
    assert!(!said.contains("no-such-file"), "{said}");
}

#[test]
fn what_is_wrong_in_the_rules_is_named_with_what_would_do() {
    for (rules, says) in [
        ("[[match]]\ndockerfil = \"docker/*\"\n", "dockerfil"),
        ("[bases]\n\"x\" = \"no-such-base\"\n", "ci/bases.toml has"),
    ] {
        let place = Place::of(&[
            ("app/docker/one", "FROM scratch\nCOPY a /\n"),
            ("app/a", ""),
            ("app/samebuild.toml", rules),
        ]);
        let Some(output) = conform(&place, &[]) else { return };
        assert_eq!(output.status.code(), Some(2), "{rules}");
        assert!(text(&output.stderr).contains(says), "{rules}: {}", text(&output.stderr));
    }
}

#[test]
fn a_rule_that_matches_nothing_is_told_of() {
    let rules = "[[match]]\ndockerfile = \"docker/two\"\n";
    let place = Place::of(&[
        ("app/docker/one", "FROM scratch\nCOPY a /\n"),
        ("app/a", ""),
        ("app/samebuild.toml", rules),
    ]);
    let Some(output) = conform(&place, &[]) else { return };
    assert!(text(&output.stderr).contains("matches none of 1 Dockerfile"), "{}", text(&output.stderr));
}

#[test]
fn a_base_that_nobody_has_is_named_with_all_that_was_tried_and_nothing_was_compared() {
    let place = Place::of(&[("app/docker/one", "FROM nobody.test/has-this:1\nCOPY a /\n"), ("app/a", "")]);
    let Some(output) = conform(&place, &[]) else { return };
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("find the image `nobody.test/has-this:1`; tried, in order:"), "{said}");
}
