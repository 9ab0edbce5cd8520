//! `samebuild build --cache` with RUN, as a program: whatever was built before, the image is the one a build without makes.
//! What needs no sandbox is tested beside the cache itself.

use std::path::Path;
use std::process::{Command, Output};

const DOCKERFILE: &str = "FROM samebuild.test/base:1 AS one
ARG WHO=world
ENV GREETING=hello
WORKDIR /w
COPY a d ./
RUN ls -a /w > /listing && sha256sum /w/* >> /listing && stat -c '%n %a %u:%g %Y' /w/a >> /listing
RUN echo $GREETING $WHO > /greeting && rm /w/b && mkdir /w/made
FROM samebuild.test/base:1
COPY --from=one /listing /greeting /from/
RUN cat /from/greeting > /copy && ls -a /w 2>/dev/null; true
";

/// Builds into the new directory `out`; with a cache, if there is one.
fn build(dir: &Path, dialect: &str, args: &[&str], cache: Option<&Path>, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
    command.arg("build").arg(dir).args(["--dialect", dialect, "--timestamp", "1600000000"]).args(args);
    command.arg("--output").arg(format!("oci:{}", out.display()));
    if let Some(cache) = cache {
        command.arg("--cache-dir").arg(cache);
    }
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How many steps were found, of how many.
fn found(output: &Output) -> (usize, usize) {
    let told = told(output);
    let line = told.lines().find(|line| line.ends_with("steps found in the cache")).unwrap_or_default();
    let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
    (numbers.next().unwrap_or(usize::MAX), numbers.next().unwrap_or(0))
}

#[test]
fn runs_that_are_found_make_the_image_that_running_them_makes() {
    for dialect in ["classic@20.10", "buildkit@26.1", "buildkit@26.1-containerd", "buildkit@head"] {
        let room = tempfile::tempdir().unwrap();
        let (dir, cache) = (room.path().join("context"), room.path().join("cache"));
        std::fs::create_dir_all(dir.join("d")).unwrap();
        for (name, text) in [("a", "a\n"), ("d/b", "b\n"), ("d/c", "c\n"), ("Dockerfile", DOCKERFILE)] {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let index = |out: &Path| std::fs::read(out.join("index.json")).unwrap();
        let both = |n: &str, args: &[&str]| {
            let (warm, cold) = (room.path().join(format!("warm-{n}")), room.path().join(format!("cold-{n}")));
            let output = build(&dir, dialect, args, Some(&cache), &warm);
            if output.status.code() != Some(0) {
                return Err(told(&output));
            }
            assert!(build(&dir, dialect, args, None, &cold).status.success());
            assert_eq!(index(&warm), index(&cold), "{dialect}, {n}: {}", told(&output));
            Ok(found(&output))
        };
        match both("first", &[]) {
            Ok(found) => assert_eq!(found, (0, 6), "{dialect}"),
            // Nobody here may run anything.
            Err(why) => {
                println!("not exercised: {dialect}: {why}");
                continue;
            }
        }
        assert_eq!(both("again", &[]).unwrap(), (6, 6), "{dialect}");
        // The first RUN does not say what it sees of an argument, but it sees it.
        assert_eq!(both("argument", &["--build-arg", "WHO=you"]).unwrap().0, 2, "{dialect}");
        std::fs::rename(dir.join("d/c"), dir.join("d/e")).unwrap();
        let renamed = both("renamed", &[]).unwrap().0;
        assert!((1..3).contains(&renamed), "{dialect}: {renamed}");
        std::fs::rename(dir.join("d/e"), dir.join("d/c")).unwrap();
    }
}

// The store removes what is damaged, and looking at the Dockerfile once more said only that it is missing.
#[test]
fn a_base_that_is_damaged_behind_its_listing_is_told_of_as_that() {
    let room = tempfile::tempdir().unwrap();
    let (dir, home) = (room.path().join("context"), room.path().join("home"));
    std::fs::create_dir(&dir).unwrap();
    let text: String = (0..2000).map(|n| format!("{n} of the base\n")).collect();
    let build = |dockerfile: &str, args: &[&str]| {
        std::fs::write(dir.join("Dockerfile"), dockerfile).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
        command.arg("build").arg(&dir).args(["--dialect", "buildkit@26.1"]).args(args);
        command.env("SAMEBUILD_CACHE", &home).output().unwrap()
    };
    std::fs::write(dir.join("a"), &text).unwrap();
    let base = build("FROM scratch\nCOPY a /a\n", &["--tag", "samebuild.test/below:1"]);
    assert!(base.status.success(), "{}", told(&base));
    let on_it = |dest: &str| {
        let text = format!(
            "FROM samebuild.test/below:1\nCOPY a /b\nCOPY --from=samebuild.test/below:1 /a /{dest}\n"
        );
        build(&text, &["--tag", "samebuild.test/above:1", "--cache"])
    };
    let first = on_it("first");
    assert!(first.status.success(), "{}", told(&first));
    let blobs = std::fs::read_dir(home.join("images/blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    for path in blobs {
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let told = told(&on_it("second"));
    let (_, error) = told.split_once("error: ").unwrap_or_default();
    assert!(told.contains("the build begins anew without it"), "{told}");
    assert!(error.contains("it is damaged") && !error.contains("is missing"), "{told}");
}

// osscontainertools/kaniko#774: a found layer was unpacked with its whiteouts as files, and what came next saw them.
#[test]
fn a_whiteout_that_was_found_is_no_file_but_with_kanikos_keys() {
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("context");
    std::fs::create_dir_all(dir.join("d")).unwrap();
    for (name, text) in [("d/a", "a\n"), ("d/b", "b\n")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let dockerfile = |dest: &str| {
        let text = "FROM samebuild.test/base:1 AS one\nCOPY d /d\nRUN rm /d/b\nFROM samebuild.test/base:1\n";
        std::fs::write(dir.join("Dockerfile"), format!("{text}COPY --from=one /d {dest}\n")).unwrap();
    };
    let index = |out: &Path| std::fs::read(out.join("index.json")).unwrap();
    for (keys, is_right) in [("ours", true), ("kaniko-head", false)] {
        let at = |name: &str| room.path().join(format!("{keys}-{name}"));
        let built = |name: &str, cache: Option<&Path>| {
            build(
                &dir,
                "buildkit@26.1",
                &["--cache-keys", keys][..2 * usize::from(cache.is_some())],
                cache,
                &at(name),
            )
        };
        dockerfile("/e");
        let first = built("first", Some(&at("cache")));
        if first.status.code() != Some(0) {
            println!("not exercised: {}", told(&first));
            return;
        }
        dockerfile("/f");
        let second = built("second", Some(&at("cache")));
        assert_eq!(found(&second).0, 2, "{keys}: {}", told(&second));
        assert!(built("cold", None).status.success());
        assert_eq!(index(&at("second")) == index(&at("cold")), is_right, "{keys}");
    }
}
