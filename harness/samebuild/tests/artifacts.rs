//! `samebuild artifacts`: what is built, what is found and why, in files as Skaffold has them. Nothing needs root, an engine or
//! a network but loopback.

#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod registry_server;

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Instant;

use place::Place;
use registry_server::{Door, Server};

const ONE: &str = "build: { artifacts: [{ image: app, context: app }] }\n";

fn one(dockerfile: &str) -> Place {
    Place::of(&[
        ("skaffold.yaml", ONE),
        ("app/Dockerfile", dockerfile),
        ("app/d/f", "hello\n"),
        ("app/g", "g\n"),
    ])
}

fn build(place: &Place, more: &[&str]) -> Output {
    place.command(&[&["artifacts", "build", "skaffold.yaml"], more].concat()).output().unwrap()
}

/// What is told of artifact by artifact, as `image: how`.
fn had(place: &Place, more: &[&str]) -> Vec<String> {
    let output = build(place, more);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.split(" in ").next().unwrap().to_owned()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_hit_is_one_line_with_time_and_reason_and_of_building_nothing_is_said() {
    let place = one("FROM scratch\nCOPY . /\n");
    let first = build(&place, &[]);
    assert!(said(&first).contains("step 1: FROM scratch"), "{}", said(&first));
    let second = build(&place, &[]);
    let out = String::from_utf8_lossy(&second.stdout).into_owned();
    let [line] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
    assert!(line.starts_with("app:latest: found in ") && line.contains(" ms, sha256:"), "{line}");
    assert!(line.ends_with(": these sources made it"), "{line}");
    let err = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(err.starts_with("1 artifact looked for in ") && err.trim().ends_with("0 built"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

// Written anew with the same size and time, long ago: only a change time tells, and that cannot be set.
#[test]
fn an_edit_that_keeps_size_and_time_is_seen_by_its_change_time_and_every_file_is_read_with_rehash() {
    let place = one("FROM scratch\nCOPY . /\n");
    let path = place.path().join("app/g");
    let write = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000)).unwrap();
    };
    write("g\n");
    // Past the ticks in which no stat is believed.
    std::thread::sleep(std::time::Duration::from_millis(3500));
    assert_eq!(had(&place, &[]), ["app:latest: built"]);
    assert_eq!(had(&place, &[]), ["app:latest: found"]);
    let known = |place: &Place| {
        let dir = std::fs::read_dir(place.path().join("cache/artifact-contexts")).unwrap();
        dir.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(known(&place).len(), 1);
    write("h\n");
    assert_eq!(had(&place, &[]), ["app:latest: built"]);
    write("g\n");
    assert_eq!(had(&place, &["--rehash"]), ["app:latest: tagged"]);
}

#[test]
fn an_artifact_that_is_built_takes_from_the_layer_cache_what_did_not_change() {
    let place = one("FROM scratch\nCOPY d /d\nCOPY g /g\n");
    assert!(said(&build(&place, &[])).contains("0 of 2 steps found in the cache"));
    std::fs::write(place.path().join("app/g"), "changed\n").unwrap();
    let told = said(&build(&place, &[]));
    assert!(told.contains("1 of 2 steps found in the cache") && told.contains("latest: built"), "{told}");
    let told = said(&build(&place, &["--cache-artifacts=false", "--layer-cache=false"]));
    assert!(!told.contains("steps found") && told.contains("latest: built"), "{told}");
}

/// Skaffold's key has the base names of files, not their directories, and no text of links.
#[test]
fn every_change_that_can_be_seen_in_the_image_is_built_and_no_other() {
    let place = one("ARG V=1\nFROM scratch AS one\nCOPY . /\nFROM one\nCOPY g /g2\n");
    let at = |name: &str| place.path().join("app").join(name);
    std::os::unix::fs::symlink("d/f", at("link")).unwrap();
    assert_eq!(had(&place, &[]), ["app:latest: built"]);
    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let changes: [Change<'_>; 6] = [
        (
            "moved",
            Box::new(|| {
                std::fs::create_dir(at("e")).unwrap();
                std::fs::rename(at("d/f"), at("e/f")).unwrap();
            }),
        ),
        (
            "link",
            Box::new(|| {
                std::fs::remove_file(at("link")).unwrap();
                std::os::unix::fs::symlink("e/f", at("link")).unwrap();
            }),
        ),
        ("mode", Box::new(|| std::fs::set_permissions(at("g"), PermissionsExt::from_mode(0o755)).unwrap())),
        ("empty directory", Box::new(|| std::fs::create_dir(at("empty")).unwrap())),
        ("content", Box::new(|| std::fs::write(at("g"), "h\n").unwrap())),
        (
            "Dockerfile",
            Box::new(|| {
                std::fs::write(at("Dockerfile"), "FROM scratch AS one\nCOPY . /\nFROM one\nCOPY g /g3\n")
                    .unwrap();
            }),
        ),
    ];
    for (what, change) in &changes {
        change();
        assert_eq!(had(&place, &[]), ["app:latest: built"], "{what}");
        assert_eq!(had(&place, &[]), ["app:latest: found"], "{what}");
    }
    for flags in
        [&["--dialect", "classic@20.10"][..], &["--platform", "linux/arm64"], &["--set", "copy.setuid=kept"]]
    {
        assert_eq!(had(&place, flags), ["app:latest: built"], "{flags:?}");
    }
    let with = |more: &str| {
        let text =
            format!("build: {{ artifacts: [{{ image: app, context: app, docker: {{ {more} }} }}] }}\n");
        std::fs::write(place.path().join("skaffold.yaml"), text).unwrap();
    };
    for more in ["target: one", "buildArgs: { V: '2' }", "buildArgs: { V: '3' }"] {
        with(more);
        assert_eq!(had(&place, &[]), ["app:latest: built"], "{more}");
    }
    // What no image shows: times, and what is ignored.
    with("");
    assert_eq!(had(&place, &[]), ["app:latest: tagged"], "as before the arguments");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::options().write(true).open(at("g")).unwrap().set_modified(old).unwrap();
    assert_eq!(had(&place, &[]), ["app:latest: found"]);
    std::fs::write(at(".dockerignore"), ".dockerignore\nnode_modules\n*.log\n!keep.log\n").unwrap();
    std::fs::create_dir(at("node_modules")).unwrap();
    std::fs::write(at("node_modules/x"), "x").unwrap();
    std::fs::write(at("debug.log"), "x").unwrap();
    assert_eq!(had(&place, &[]), ["app:latest: found"]);
    std::fs::write(at("keep.log"), "x").unwrap();
    assert_eq!(had(&place, &[]), ["app:latest: built"], "taken in again");
}

#[test]
fn going_back_to_sources_of_before_finds_their_image_and_a_new_name_is_given() {
    let place = one("FROM scratch\nCOPY . /\n");
    had(&place, &[]);
    std::fs::write(place.path().join("app/g"), "other\n").unwrap();
    had(&place, &[]);
    std::fs::write(place.path().join("app/g"), "g\n").unwrap();
    assert_eq!(had(&place, &[]), ["app:latest: tagged"]);
    assert_eq!(had(&place, &["--tag", "v2"]), ["app:v2: tagged"]);
    std::fs::write(place.path().join("skaffold.yaml"), ONE.replace("image: app", "image: new/name")).unwrap();
    assert_eq!(had(&place, &[]), ["new/name:latest: tagged"], "the name of an image is no source");
}

/// GoogleContainerTools/skaffold#7710, #5063.
#[test]
fn an_image_that_went_and_a_base_that_moved_are_built() {
    let place = one("FROM base:1\nCOPY g /\n");
    let base = |text: &str| {
        std::fs::create_dir_all(place.path().join("base")).unwrap();
        std::fs::write(place.path().join("base/Dockerfile"), "FROM scratch\nCOPY x /\n").unwrap();
        std::fs::write(place.path().join("base/x"), text).unwrap();
        assert!(place.command(&["build", "base", "-t", "base:1"]).status().unwrap().success());
    };
    base("one");
    assert_eq!(had(&place, &[]), ["app:latest: built"]);
    assert_eq!(had(&place, &[]), ["app:latest: found"]);
    base("two");
    assert_eq!(had(&place, &[]), ["app:latest: built"]);
    let blobs = place.path().join("cache/images/blobs/sha256");
    // Manifest and layer of what is found now.
    let parts = || {
        let lines: serde_json::Value =
            serde_json::from_slice(&build(&place, &["--format", "json"]).stdout).unwrap();
        let manifest = blobs.join(lines[0]["digest"].as_str().unwrap().trim_start_matches("sha256:"));
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
        let layer = read["layers"][1]["digest"].as_str().unwrap().trim_start_matches("sha256:");
        [manifest, blobs.join(layer)]
    };
    for (number, what) in [(0, "its manifest"), (1, "a layer")] {
        std::fs::remove_file(&parts()[number]).unwrap();
        assert_eq!(had(&place, &[]), ["app:latest: built"], "{what} is gone");
        assert_eq!(had(&place, &[]), ["app:latest: found"]);
    }
    let [_, file] = parts();
    std::fs::write(&file, &std::fs::read(&file).unwrap()[1..]).unwrap();
    assert_eq!(had(&place, &[]), ["app:latest: built"], "truncated");
}

const TWO: &str = "build:
  artifacts:
  - { image: app, context: app, requires: [{ image: lib, alias: LIB }] }
  - { image: lib, context: lib }
  - { image: alone, context: alone }
";

#[test]
fn what_is_required_is_built_first_and_its_change_is_a_change_of_all_that_require_it() {
    let place = Place::of(&[
        ("skaffold.yaml", TWO),
        ("app/Dockerfile", "ARG LIB\nFROM $LIB\nCOPY a /\n"),
        ("app/a", "a"),
        ("lib/Dockerfile", "FROM scratch\nCOPY l /\n"),
        ("lib/l", "l"),
        ("alone/Dockerfile", "FROM scratch\nCOPY x /\n"),
        ("alone/x", "x"),
    ]);
    assert_eq!(had(&place, &[]), ["lib:latest: built", "app:latest: built", "alone:latest: built"]);
    assert_eq!(had(&place, &[]), ["lib:latest: found", "app:latest: found", "alone:latest: found"]);
    std::fs::write(place.path().join("lib/l"), "m").unwrap();
    assert_eq!(had(&place, &[]), ["lib:latest: built", "app:latest: built", "alone:latest: found"]);
    std::fs::write(place.path().join("app/a"), "b").unwrap();
    assert_eq!(had(&place, &["-b", "app"]), ["lib:latest: found", "app:latest: built"]);
    std::fs::write(
        place.path().join("skaffold.yaml"),
        TWO.replace("context: lib }", "context: lib, requires: [{ image: app }] }"),
    )
    .unwrap();
    let circle = build(&place, &[]);
    assert!(said(&circle).contains("app, lib require each other"), "{}", said(&circle));
}

#[test]
fn without_the_cache_all_is_built_and_nothing_remembered() {
    let place = one("FROM scratch\nCOPY . /\n");
    for _ in 0..2 {
        assert_eq!(had(&place, &["--cache-artifacts=false"]), ["app:latest: built"]);
    }
    assert_eq!(had(&place, &[]), ["app:latest: built"]);
}

#[test]
fn a_dockerfile_that_fails_is_told_with_its_line_and_what_has_no_key_is_built_every_time() {
    let place = one("FROM scratch\nCOPY nothing /\n");
    let failed = build(&place, &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("app/Dockerfile:2"), "{}", said(&failed));
    let server = Server::start(Door::Open);
    server.add("file", "text/plain", b"x");
    let add = format!("FROM scratch\nADD http://{}/v2/file /\n", server.host);
    std::fs::write(place.path().join("app/Dockerfile"), add).unwrap();
    for _ in 0..2 {
        let built = build(&place, &[]);
        assert!(said(&built).contains("app:latest: built"), "{}", said(&built));
        assert!(said(&built).contains("know what `ADD http://"), "{}", said(&built));
    }
}

#[test]
fn a_registry_is_asked_for_remote_targets_only_and_a_renamed_image_is_pushed() {
    let server = Server::start(Door::Open);
    let name = |image: &str| format!("{}/{image}", server.host);
    let file = |image: &str, push: bool| {
        format!(
            "build: {{ local: {{ push: {push} }}, artifacts: [{{ image: '{}', context: app }}] }}\n",
            name(image)
        )
    };
    let place = Place::of(&[
        ("skaffold.yaml", &file("a", false)),
        ("app/Dockerfile", "FROM scratch\nCOPY f /\n"),
        ("app/f", "f"),
    ]);
    let rewrite = |text: String| std::fs::write(place.path().join("skaffold.yaml"), text).unwrap();
    let line = |image: &str, how: &str| vec![format!("{}:latest: {how}", name(image))];
    assert_eq!(had(&place, &[]), line("a", "built"));
    assert_eq!(had(&place, &[]), line("a", "found"));
    assert_eq!(server.requests(), Vec::<String>::new(), "for a local target nobody is asked");
    rewrite(file("a", true));
    assert_eq!(had(&place, &[]), line("a", "pushed"));
    assert!(server.has("a/manifests/latest"));
    assert_eq!(had(&place, &[]), line("a", "found"));
    let asked = server.requests();
    assert!(
        asked.iter().all(|request| !request.contains("/tags/list") && !request.contains("_catalog")),
        "{asked:?}"
    );
    rewrite(file("b", true));
    assert_eq!(had(&place, &[]), line("b", "pushed"), "another repository needs the blobs");
    assert!(server.has("b/manifests/latest"));
    // Only the registry has it: nothing is built, and nothing pulled.
    rewrite(file("a", true));
    std::fs::remove_dir_all(place.path().join("cache/images")).unwrap();
    assert_eq!(had(&place, &[]), line("a", "found"));
    server.forget("a/manifests/latest");
    assert_eq!(had(&place, &[]), line("a", "tagged"));
    assert_eq!(had(&place, &["--tag", "v2"]), vec![format!("{}:v2: tagged", name("a"))]);
    assert!(server.has("a/manifests/v2"));
    assert_eq!(had(&place, &["--push=false"]), line("a", "built"), "locally it is gone");
}

#[test]
fn a_colleagues_image_is_added_from_a_registry_and_found_by_its_sources() {
    let server = Server::start(Door::Open);
    let image = format!("{}/team/app", server.host);
    let file = format!("build: {{ artifacts: [{{ image: '{image}', context: app }}] }}\n");
    let files =
        [("skaffold.yaml", file.as_str()), ("app/Dockerfile", "FROM scratch\nCOPY f /\n"), ("app/f", "f")];
    let colleague = Place::of(&files);
    had(&colleague, &["--push", "--tag", "theirs"]);
    let ours = Place::of(&files);
    let theirs = format!("{image}:theirs");
    let added = ours.command(&["artifacts", "add", "skaffold.yaml", &image, &theirs]).output().unwrap();
    assert!(added.status.success() && said(&added).contains("on your word"), "{}", said(&added));
    assert_eq!(had(&ours, &[]), [format!("{image}:latest: found")]);
    assert_eq!(had(&ours, &["--push"]), [format!("{image}:latest: tagged")]);
    let listed = ours.command(&["artifacts", "ls"]).output().unwrap();
    assert!(said(&listed).contains("in our store, pushed"), "{}", said(&listed));
    // Another machine's image is not ours.
    let other =
        ours.command(&["artifacts", "add", "skaffold.yaml", "--platform", "linux/s390x", &image, &theirs]);
    let refused = { other }.output().unwrap();
    assert!(said(&refused).contains("is to be for linux/s390x"), "{}", said(&refused));
    let nobody = ours.command(&["artifacts", "add", "skaffold.yaml", "nobody", &theirs]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    for args in [&["artifacts", "rm", "zz"][..], &["artifacts", "rm", "--all"]] {
        let removed = ours.command(args).output().unwrap();
        assert_eq!(removed.status.success(), args[2] == "--all", "{}", said(&removed));
    }
    assert_eq!(had(&ours, &[]), [format!("{image}:latest: built")]);
}

/// The goal is one second for 50; a debug build on a busy machine gets more.
#[test]
fn fifty_artifacts_are_looked_for_at_once() {
    let rows: String = (0..50).map(|n| format!("  - {{ image: app{n}, context: c{n} }}\n")).collect();
    let place = Place::of(&[("skaffold.yaml", &format!("build:\n  artifacts:\n{rows}"))]);
    for n in 0..50 {
        let dir = place.path().join(format!("c{n}"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
        for file in 0..20 {
            std::fs::write(dir.join(format!("f{file}")), format!("{n} {file}")).unwrap();
        }
    }
    assert_eq!(had(&place, &[]).len(), 50);
    let began = Instant::now();
    let again = had(&place, &[]);
    let took = began.elapsed();
    assert!(again.iter().all(|line| line.ends_with(": found")), "{again:?}");
    println!("50 artifacts of 20 files: {} ms", took.as_millis());
    assert!(took.as_secs() < 10, "{took:?}");
}

#[test]
fn a_registry_that_lets_not_everybody_in_is_pushed_to_with_what_a_credential_helper_says() {
    for door in [Door::Basic, Door::Token] {
        let server = Server::start(door);
        let file = format!("build: {{ artifacts: [{{ image: '{}/a', context: app }}] }}\n", server.host);
        let helper = "#!/bin/sh\nread server\necho '{\"Username\":\"me\",\"Secret\":\"secret\"}'\n";
        let config = format!("{{\"credHelpers\":{{\"{}\":\"of-a-test\"}}}}", server.host);
        let place = Place::of(&[
            ("skaffold.yaml", &file),
            ("app/Dockerfile", "FROM scratch\nCOPY f /\n"),
            ("app/f", "f"),
            ("bin/docker-credential-of-a-test", helper),
            ("docker/config.json", &config),
            ("nobody/config.json", "{}"),
        ]);
        let program = place.path().join("bin/docker-credential-of-a-test");
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", place.path().join("bin").display(), std::env::var("PATH").unwrap());
        let push = |who: &str| {
            let mut command = place.command(&["artifacts", "build", "skaffold.yaml", "--push"]);
            command.env("PATH", &path).env("DOCKER_CONFIG", place.path().join(who)).output().unwrap()
        };
        let denied = push("nobody");
        assert_eq!(denied.status.code(), Some(3), "{door:?}: {}", said(&denied));
        assert!(said(&denied).contains("denies it"), "{door:?}: {}", said(&denied));
        let pushed = push("docker");
        assert!(pushed.status.success(), "{door:?}: {}", said(&pushed));
        assert!(server.has("a/manifests/latest"), "{door:?}");
        assert!(!said(&pushed).contains("secret"), "{door:?}");
        assert!(said(&push("docker")).contains(": found in"), "{door:?}");
    }
}
