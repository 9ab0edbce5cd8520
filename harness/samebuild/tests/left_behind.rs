//! What runs leave behind, and what becomes of it: scratch space of killed ones, and a cache that nobody used for long. Builds
//! here are COPY onto scratch: they need no root, no base and no network.

#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;

use std::path::Path;
use std::process::{Output, Stdio};

use place::Place;

const GOOD: &str = "FROM scratch\nCOPY a /srv/a\n";

fn with_a_context() -> Place {
    Place::of(&[("ctx/Dockerfile", GOOD), ("ctx/a", "hello\n")])
}

fn samebuild(place: &Place, args: &[&str]) -> Output {
    let output = place.command(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_a_killed_build_left_goes_with_the_next_one() {
    let place = with_a_context();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("FROM scratch\nADD http://{}/never /\n", silent.local_addr().unwrap());
    std::fs::write(place.path().join("ctx/hangs"), hangs).unwrap();
    let temporary = place.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let build = |args: &[&str]| {
        let mut command = place.command(&[&["build", "ctx", "-o"], args].concat());
        command.env("TMPDIR", &temporary).stderr(Stdio::null());
        command
    };
    let mut hanging = build(&["oci:never", "-f", "ctx/hangs"]).spawn().unwrap();
    let _asked = silent.accept().unwrap();
    assert_eq!(names(&temporary).len(), 1);
    assert!(build(&["oci:one"]).status().unwrap().success());
    assert_eq!(names(&temporary).len(), 1, "a living one's stays");
    hanging.kill().unwrap(); // SIGKILL
    hanging.wait().unwrap();
    assert!(build(&["oci:two"]).status().unwrap().success());
    assert!(names(&temporary).is_empty());
}

/// All rooms of our own cache: what is used stays, and builds beside and after it are right.
#[test]
fn what_was_not_used_for_long_goes_from_every_room_of_our_cache() {
    let place = with_a_context();
    let build = |text: &str| {
        std::fs::write(place.path().join("ctx/a"), text).unwrap();
        samebuild(&place, &["build", "ctx", "--cache", "--tag", "app"]);
    };
    let blobs = |room: &str| names(&place.path().join("cache").join(room).join("blobs/sha256")).len();
    let gc = |args: &[&str]| {
        let cleaned = samebuild(&place, &[&["cache", "gc", "--format", "json"], args].concat());
        serde_json::from_slice::<serde_json::Value>(&cleaned.stdout).unwrap()
    };
    build("one\n");
    build("two\n");
    let (steps, images) = (blobs("layers"), blobs("images"));
    let told = gc(&["--unused", "1h"]);
    assert_eq!((blobs("layers"), blobs("images")), (steps, images), "{told}");
    let told = gc(&["--unused", "0s", "--now"]);
    assert_eq!(told["steps"]["entries"], 2, "{told}");
    assert_eq!(told["images"]["blobs"], images - 3, "the image without a name went: {told}");
    assert_eq!((blobs("layers"), blobs("images")), (0, 3));
    build("two\n");
    let text = samebuild(&place, &["cache", "gc"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("steps ") && text.contains("\nbases "), "{text}");
    assert!(!text.contains("images"), "without --unused they are not asked: {text}");
}
