//! `samebuild check` as a person meets it: what is the same, what is not and by which line, and the command that shows it
//! again. Builds here are COPY onto scratch: they need no root and no network.

mod place;

use std::process::Output;

use place::Place;

impl Place {
    /// With a context in it.
    fn with(dockerfile: &str) -> Self {
        Self::of(&[("ctx/Dockerfile", dockerfile), ("ctx/a", "hello\n")])
    }

    fn samebuild(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

/// `check` with these arguments: its exit code and stdout; `None`, with a word, where this machine has no busybox.
fn checked(place: &Place, args: &[&str]) -> Option<(i32, String)> {
    let output = place.exercise(&[&["check", "ctx"], args].concat())?;
    println!("{}", String::from_utf8_lossy(&output.stderr));
    Some((output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap()))
}

/// The same, where it makes no sense: its exit code and stderr.
fn refused(place: &Place, args: &[&str]) -> (i32, String) {
    let output = place.samebuild(&[&["check", "ctx"], args].concat());
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_no_change_reaches_is_the_same_and_says_what_was_not_exercised() {
    let place = Place::with("FROM scratch\nENV A=b\nLABEL c=d\n");
    let Some((code, told)) = checked(&place, &["--runs", "2", "--seed", "1"]) else { return };
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("seed 1\n"), "{told}");
    assert!(told.contains("no factor makes another image; not exercised: context-order"), "{told}");
    assert!(told.contains("1 tree, 1 image, 2 digests (1+1)"), "{told}");
    assert_eq!(told.lines().last(), Some("again: samebuild check ctx --runs 2 --seed 1"));
}

#[test]
fn a_touched_context_shows_by_the_line_of_its_copy_and_the_command_printed_last_shows_it_again() {
    let place = Place::with("FROM scratch\nENV A=b\nCOPY a /srv/a\n");
    let Some((code, told)) = checked(&place, &["--runs", "2", "--factor", "context-mtimes"]) else { return };
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("context-mtimes    unstable"), "{told}");
    let found = told.split_once("Dockerfile:3 │ COPY a /srv/a\n").unwrap().1;
    assert!(found.lines().nth(1).unwrap().contains("/srv/a · mtime: context → 20"), "{told}");
    let again = told.lines().last().unwrap().strip_prefix("again: samebuild ").unwrap();
    let again = place.samebuild(&again.split(' ').collect::<Vec<_>>());
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), told);
}

#[test]
fn a_check_tells_the_same_as_data_and_refuses_what_it_does_not_know() {
    let place = Place::with("FROM scratch\nCOPY a /srv/a\n");
    let args = ["--runs", "2", "--seed", "5", "--factor", "umask", "--factor", "owners", "--format", "json"];
    let Some((code, told)) = checked(&place, &args) else { return };
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    let verdicts: Vec<&str> = json["cases"][0]["factors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["verdict"].as_str().unwrap())
        .collect();
    assert_eq!((code, verdicts), (1, vec!["same", "same", "unstable"]), "{told}");
    assert_eq!(json["cases"][0]["factors"][2]["differences"][0]["line"], 2);
    for (args, says) in [
        (&["--factor", "moon"][..], "there are context-mtimes"),
        (&["--builder", "podman@1"], "podman@1"),
        (&["--snapshot-mode", "guess"], "there are full"),
        (&["--builder", "buildah", "--engine", "docker-26.1"], "no part of an engine"),
        (&["--builder", "buildah", "--snapshot-mode", "redo"], "the reference's"),
        (&["--build-arg", "A"], "NAME=VALUE"),
        (&["-f", "nowhere"], "no Dockerfile"),
    ] {
        let (code, said) = refused(&place, args);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(says), "{said}");
    }
    if std::env::var_os("SAMEBUILD_KANIKO").is_none() {
        let Some((code, _)) = checked(&place, &["--builder", "kaniko"]) else { return };
        assert_eq!(code, 4, "a builder that is not there is not exercised");
    }
    std::fs::write(place.path().join("ctx/Dockerfile"), "FROM no.such.test/image\n").unwrap();
    let Some((code, told)) = checked(&place, &["--runs", "2"]) else { return };
    assert_eq!(code, 4, "{told}");
}
