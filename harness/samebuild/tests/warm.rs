//! `samebuild warm`: bases that are there before they are needed, and right, whatever happened while they came.

#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod registry_server;

use std::process::Output;
use std::time::Duration;

use place::Place;
use registry_server::{Door, Fault, Server};

/// A registry with images `base/0` … that were pushed there as others do, and the place they were made in.
fn registry(images: usize) -> Server {
    let server = Server::start(Door::Open);
    for n in 0..images {
        let text = format!("{n} ").repeat(40_000);
        let place = Place::of(&[("ctx/Dockerfile", "FROM scratch\nCOPY f /\n"), ("ctx/f", &text)]);
        let name = format!("{}/base/{n}", server.host);
        let pushed = run(&place, &["build", "ctx", "-t", &name, "--push"]);
        assert!(pushed.status.success(), "{}", said(&pushed));
    }
    server.requests();
    server
}

fn run(place: &Place, args: &[&str]) -> Output {
    place.command(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn dockerfile(server: &Server) -> String {
    let at = |n: usize| format!("{}/base/{n}", server.host);
    format!(
        "ARG B={}\nFROM $B AS one\nCOPY --from={} /f /copied\nFROM {} AS two\nENV a=b\n",
        at(0),
        at(1),
        at(2)
    )
}

#[test]
fn what_a_dockerfile_names_is_fetched_once_and_then_built_from_without_a_network() {
    let server = registry(3);
    let place = Place::of(&[("ctx/Dockerfile", &dockerfile(&server))]);
    let warmed = run(&place, &["warm", "--dockerfile", "ctx/Dockerfile"]);
    assert!(warmed.status.success(), "{}", said(&warmed));
    assert_eq!(said(&warmed).matches(": fetched, sha256:").count(), 3, "{}", said(&warmed));
    server.requests();
    let again = run(&place, &["warm", "--dockerfile", "ctx/Dockerfile"]);
    assert_eq!(said(&again).matches(": was here, and is whole").count(), 3, "{}", said(&again));
    let asked = server.requests();
    assert!(asked.iter().all(|request| !request.contains("/blobs/")), "only whether a tag moved: {asked:?}");
    for target in ["one", "two"] {
        let built = run(&place, &["build", "ctx", "--target", target, "-o", &format!("oci:out{target}")]);
        assert!(built.status.success(), "{}", said(&built));
    }
    assert_eq!(server.requests(), Vec::<String>::new(), "nobody was asked");
    // And by the digest that was printed.
    let line = said(&warmed).lines().find(|line| line.contains("base/2: fetched")).unwrap().to_owned();
    let digest = line.split(", ").nth(1).unwrap();
    std::fs::write(place.path().join("ctx/Dockerfile"), format!("FROM {}/base/2@{digest}\n", server.host))
        .unwrap();
    let built = run(&place, &["build", "ctx", "-o", "oci:pinned"]);
    assert!(built.status.success(), "{}", said(&built));
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn damage_is_never_used_and_warming_again_mends_it() {
    let server = registry(1);
    let name = format!("{}/base/0", server.host);
    let place = Place::of(&[("ctx/Dockerfile", &format!("FROM {name}\nCOPY --from={name} /f /g\n"))]);
    assert!(run(&place, &["warm", &name]).status.success());
    let blobs = place.path().join("cache/images/blobs/sha256");
    let largest = || {
        let all = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
        all.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
    };
    let right = std::fs::read(largest()).unwrap();
    let mut flipped = right.clone();
    flipped[right.len() / 2] ^= 1;
    for damage in [&flipped[..], &right[..right.len() / 2], &[]] {
        let path = blobs.join(samebuild_image::Digest::of(&right).hex());
        std::fs::write(&path, damage).unwrap();
        let built = run(&place, &["build", "ctx", "-o", "oci:none"]);
        assert_eq!(built.status.code(), Some(3), "{}", said(&built));
        let mended = run(&place, &["warm", &name]);
        assert!(said(&mended).contains(": fetched"), "{}", said(&mended));
        assert_eq!(std::fs::read(&path).unwrap(), right);
    }
}

#[test]
fn a_download_that_ends_early_is_never_used_and_one_that_breaks_now_and_then_arrives() {
    let server = registry(1);
    let name = format!("{}/base/0", server.host);
    let place = Place::of(&[("ctx/Dockerfile", &format!("FROM {name}\n"))]);
    let layer = server.largest("base/0/blobs/");
    for fault in [Fault::Cut, Fault::Short, Fault::Flipped] {
        server.set_fault(&layer, Some(fault));
        let cut = run(&place, &["warm", &name]);
        assert_eq!(cut.status.code(), Some(3), "{fault:?}: {}", said(&cut));
        assert!(
            said(&cut).contains("nothing of it is used") && said(&cut).contains("trying again"),
            "{}",
            said(&cut)
        );
        let built = run(&place, &["build", "ctx", "-o", "oci:none"]);
        assert_eq!(built.status.code(), Some(3), "{fault:?}: {}", said(&built));
        server.set_fault(&layer, None);
    }
    server.set_fault_times(&layer, Fault::Cut, 2);
    let warmed = run(&place, &["warm", &name]);
    assert!(warmed.status.success(), "{}", said(&warmed));
    assert_eq!(said(&warmed).matches("trying again").count(), 2, "{}", said(&warmed));
}

#[test]
fn a_warmed_base_and_the_layer_cache_need_no_registry_whether_all_is_found_or_not() {
    let server = registry(1);
    let base = format!("{}/base/0", server.host);
    let text = format!("FROM {base}\nCOPY a /a\nCOPY --from={base} /f /again\nCOPY b /b\n");
    let place = Place::of(&[("ctx/Dockerfile", &text), ("ctx/a", "a\n"), ("ctx/b", "b\n")]);
    assert!(run(&place, &["warm", "--dockerfile", "ctx/Dockerfile"]).status.success());
    server.requests();
    let build = |out: &str, found: &str, more: &[&str]| {
        let out = format!("oci:{out}");
        let built = run(&place, &[&["build", "ctx", "--timestamp", "1600000000", "-o", &out], more].concat());
        assert!(built.status.success() && said(&built).contains(found), "{}", said(&built));
    };
    let cache = ["--cache"].as_slice();
    build("first", "0 of 3 steps found", cache);
    build("again", "3 of 3 steps found", cache);
    std::fs::write(place.path().join("ctx/b"), "changed\n").unwrap();
    build("changed", "2 of 3 steps found", cache);
    build("cold", "4 layers", &[]);
    assert_eq!(server.requests(), Vec::<String>::new());
    let index = |out: &str| std::fs::read(place.path().join(out).join("index.json")).unwrap();
    assert_eq!((index("first"), index("changed")), (index("again"), index("cold")));
}

#[test]
fn several_processes_warm_one_cache_and_killed_ones_do_no_harm() {
    let server = registry(3);
    let names: Vec<String> = (0..3).map(|n| format!("{}/base/{n}", server.host)).collect();
    let place = Place::of(&[("ctx/Dockerfile", &dockerfile(&server))]);
    for round in 0..12_u64 {
        let _ = std::fs::remove_dir_all(place.path().join("cache"));
        let mut children: Vec<_> = (0..4)
            .map(|n: usize| {
                let mut command =
                    place.command(&["warm", &names[n % 3], &names[(n + 1) % 3], &names[(n + 2) % 3]]);
                command
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        std::thread::sleep(Duration::from_millis(5 + 7 * round));
        children[0].kill().unwrap();
        children[3].kill().unwrap();
        for (number, child) in children.iter_mut().enumerate() {
            let status = child.wait().unwrap();
            assert!(status.success() || number % 3 == 0, "round {round}: process {number}: {status}");
        }
        server.requests();
        let built = run(&place, &["build", "ctx", "-o", &format!("oci:out-{round}")]);
        assert!(built.status.success(), "round {round}: {}", said(&built));
        assert_eq!(server.requests(), Vec::<String>::new(), "round {round}");
    }
}

#[test]
fn what_is_not_there_is_an_error_that_names_it() {
    let server = Server::start(Door::Open);
    let place = Place::of(&[]);
    let missing = run(&place, &["warm", &format!("{}/no/such:1", server.host)]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(said(&missing).contains("has no such image"), "{}", said(&missing));
    assert_eq!(run(&place, &["warm", "NOT A NAME"]).status.code(), Some(2));
    assert_eq!(run(&place, &["warm"]).status.code(), Some(2));
}
