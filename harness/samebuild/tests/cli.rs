//! The command line as a person meets it: exit codes, errors of one paragraph that say what to do, and nothing half-written
//! left behind. Builds here are COPY onto scratch: they need no root, no base and no network.

mod place;

use std::path::Path;
use std::process::{Output, Stdio};

use place::Place;

impl Place {
    /// With a context in it.
    fn with(dockerfile: &str) -> Self {
        Self::of(&[("ctx/Dockerfile", dockerfile), ("ctx/a", "hello\n")])
    }

    fn samebuild(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The exit code, and what was said on stderr.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.samebuild(args);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

const GOOD: &str = "FROM scratch\nCOPY a /srv/a\n";

#[test]
fn two_builds_of_one_dialect_are_the_same_and_two_dialects_differ() {
    let place = Place::with(GOOD);
    for (dialect, out) in [
        ("buildkit@20.10", "oci:one"),
        ("buildkit@20.10", "docker-archive:two.tar"),
        ("classic@20.10", "oci:three"),
    ] {
        let built = place.samebuild(&["build", "ctx", "--dialect", dialect, "-o", out]);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    let diff = |right: &str| place.samebuild(&["diff", "one", right]);
    assert_eq!(diff("one").status.code(), Some(0));
    let clocks = ["--ignore", "rule=created", "--ignore", "rule=mtime", "--ignore", "rule=packing"];
    let two = place.samebuild(&[&["diff", "one", "two.tar"], &clocks[..]].concat());
    assert_eq!(two.status.code(), Some(0), "{}", String::from_utf8_lossy(&two.stdout));
    assert_eq!(diff("three").status.code(), Some(1));
    let json = place.samebuild(&["diff", "one", "three", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(json["differences"].as_array().unwrap().iter().any(|found| found["rule"] == "history"));
}

#[test]
fn a_reader_that_has_gone_away_changes_no_exit_code() {
    let place = Place::with(GOOD);
    place.samebuild(&["build", "ctx", "--cache-dir", "kept", "-o", "oci:one"]);
    for verb in [&["cache", "why", "ctx", "--cache-dir", "kept"][..], &["cache", "ls", "--cache-dir", "kept"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = place.command(verb).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{verb:?}");
    }
}

#[test]
fn an_image_goes_by_the_name_it_was_given() {
    let place = Place::with(GOOD);
    for (out, path, name) in
        [("oci:one", "one", "latest"), ("docker-archive:two.tar", "two.tar", "samebuild.test/app:latest")]
    {
        let built = place.samebuild(&["build", "ctx", "-t", "samebuild.test/app", "-o", out]);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let read = samebuild::stored::read_image(&place.path().join(path)).unwrap();
        assert_eq!(read.names, [name]);
    }
}

#[test]
fn a_build_told_the_time_is_the_same_whenever_and_wherever_it_runs() {
    let manifest = |out: &str, touched: u64, args: &[&str], epoch: Option<&str>| {
        let place =
            Place::with("FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL at=$SOURCE_DATE_EPOCH\nCOPY a /srv/a\n");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(touched);
        std::fs::File::options()
            .write(true)
            .open(place.path().join("ctx/a"))
            .unwrap()
            .set_modified(time)
            .unwrap();
        let out = format!("oci:{out}");
        let built = place
            .command(&["build", "ctx", "-o", &out])
            .args(args)
            .env_remove("SOURCE_DATE_EPOCH")
            .envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::read_to_string(place.path().join("out/index.json")).unwrap()
    };
    let (early, late) = (1_000_000_000, 1_600_000_000);
    let rewrite = ["--rewrite-timestamp"];
    let clamped = manifest("out", late, &rewrite, Some("1500000000"));
    assert_eq!(
        clamped,
        manifest("out", late + 5, &rewrite, Some("1500000000")),
        "both are later than the epoch"
    );
    let by_argument = ["--build-arg", "SOURCE_DATE_EPOCH=1500000000", "--rewrite-timestamp"];
    assert_eq!(
        clamped,
        manifest("out", late, &by_argument, None),
        "an argument says as much as the environment"
    );
    assert_ne!(clamped, manifest("out", early, &rewrite, Some("1500000000")), "an older file keeps its time");
    let set = ["--timestamp", "1500000000"];
    assert_eq!(manifest("out", early, &set, None), manifest("out", late, &set, None));
}

#[test]
fn a_failing_build_shows_its_line_and_leaves_nothing_behind() {
    let place = Place::with("FROM scratch\nCOPY nope /\n");
    let (code, said) = place.fails(&["build", "ctx", "-o", "oci:out"]);
    assert_eq!(code, 1);
    assert!(said.contains("ctx/Dockerfile:2") && said.contains("2 │ COPY nope /"), "{said}");
    assert_eq!(names(place.path()), ["cache", "ctx"]);
}

#[test]
fn what_makes_no_sense_exits_2_with_what_is_accepted() {
    let place = Place::with(GOOD);
    std::fs::create_dir(place.path().join("full")).unwrap();
    std::fs::write(place.path().join("full/mine"), "x").unwrap();
    for (args, says) in [
        (&["build", "ctx", "-o", "tar:x"][..], "oci:DIR, oci-archive:FILE, docker-archive:FILE"),
        (&["build", "ctx", "-o", "oci:full"], "remove it, or name another place"),
        (&["build", "ctx", "-o", "oci:x", "-t", "Not Me"], "accepted is NAME[:TAG]"),
        (&["build", "nowhere", "-o", "oci:x"], "name it with -f"),
        (&["build", "ctx", "--dialect", "docker@99", "-o", "oci:x"], "classic@20.10"),
        (&["build", "ctx", "--build-context", "x=dir://y", "-o", "oci:x"], "NAME=oci-layout://DIR"),
        (&["conform", "full"], "make one with"),
        (&["build", "ctx", "--rewrite-timestamp", "-o", "oci:x"], "--build-arg SOURCE_DATE_EPOCH=SECONDS"),
        (&["build", "ctx", "--timestamp", "now", "-o", "oci:x"], "a whole number of seconds since 1970"),
        (&["fly"], "unrecognized subcommand"),
        (&["race", "nothing"], "find the race `nothing`; there are skaffold-9251"),
        (&["race", "skaffold-9251", "--strategy", "hope"], "find the strategy `hope`; there are async-by-id"),
        (&["race", "--strategy", "hope"], "find the strategy `hope`"),
        (&["race", "skaffold-9251", "--chooser", "dice"], "there are random, pct1"),
        (&["race", "--replay", "nowhere"], "read nowhere"),
        (&["race", "--replay", "full/mine"], "read full/mine"),
        (&["conform", "nowhere"], "find `nowhere`: it is no directory"),
        (&["conform"], "cd into one, or name a directory"),
        (&["list"], "cd into one, or name a directory"),
        (&["diff", "nowhere", "full"], "read the image nowhere"),
        (
            &["build", "ctx", "--build-context", "x=oci-layout://nowhere", "-o", "oci:x"],
            "read the build context x: nowhere is not an OCI layout",
        ),
    ] {
        let (code, said) = place.fails(args);
        assert_eq!(code, 2, "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
    assert_eq!(names(&place.path().join("full")), ["mine"]);
}

#[test]
fn what_could_not_be_found_out_exits_3_and_names_the_place() {
    let place = Place::with("FROM example.test/absent:1\n");
    std::fs::write(place.path().join("short.tar"), [b'x'; 700]).unwrap();
    for (args, says) in [
        (&["build", "ctx", "-o", "oci:x"][..], "--build-context example.test/absent:1=oci-layout://DIR"),
        (
            &["diff", "short.tar", "short.tar"],
            "short.tar: it is not an OCI layout, an archive of one or a docker-archive, nor a layer's tar\n",
        ),
    ] {
        let (code, said) = place.fails(args);
        assert_eq!(code, 3, "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("error:")).count(), 1, "{said}");
    }
    assert!(!place.path().join("x").exists());
}

#[test]
fn a_schedule_fails_the_same_way_in_a_new_process() {
    let place = Place::with(GOOD);
    let found = String::from_utf8(place.samebuild(&["race", "skaffold-9251"]).stdout).unwrap();
    let schedule = found.lines().find(|line| line.trim().starts_with("samebuild-schedule ")).unwrap();
    std::fs::write(place.path().join("schedule"), schedule.trim()).unwrap();
    let replayed = place.samebuild(&["race", "skaffold-9251", "--replay", "schedule"]);
    assert_eq!(replayed.status.code(), Some(1));
    let replayed = String::from_utf8(replayed.stdout).unwrap();
    let timeline = |text: &str| -> Vec<String> {
        text.lines()
            .skip_while(|line| !line.starts_with("breaks "))
            .take_while(|line| !line.starts_with("replay"))
            .map(str::to_owned)
            .collect()
    };
    assert!(timeline(&found).len() > 5, "{found}");
    assert_eq!(timeline(&replayed), timeline(&found));
}

const BASE: &str = "example.test/absent:1";

#[test]
fn an_image_that_nobody_has_is_no_agreement() {
    let place = Place::with(&format!("FROM {BASE}\nCOPY a /\n"));
    let Some(output) = place.exercise(&["conform", "ctx"]) else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("skipped") && !said.contains("ctx same"), "{said}");
    assert!(said.contains(BASE) && said.contains("--build-context NAME=oci-layout://DIR"), "{said}");
}

#[test]
fn dialects_that_fail_alike_say_how() {
    let place = Place::with("FORM scratch\n");
    let Some(output) = place.exercise(&["conform", "ctx"]) else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("ctx  same (all fail: unknown-instruction, line 1)\n"), "{said}");
}

/// A planted one: if this is not seen, `--repeat` sees nothing.
#[test]
fn a_run_that_writes_random_bytes_is_unstable_and_its_line_is_shown() {
    let place = Place::with("FROM samebuild.test/base:1\nCOPY a /\nRUN head -c 16 /dev/urandom > /r\n");
    let output = place.samebuild(&["conform", "ctx", "--repeat", "2", "--dialect", "classic@20.10"]);
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if complained.contains("find a busybox") || said.contains("not exercised") {
        println!("not exercised: {complained}{said}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}{complained}");
    for part in [
        "ctx  classic@20.10 unstable\n",
        "2 builds made 2 images (1 + 1)",
        "Dockerfile:3 │ RUN head -c 16 /dev/urandom > /r",
        "layer 2 · /r · content:",
        "--repeat 2 --filter ctx --dialect classic@20.10",
        "1 case with 1 layer count, 2 trees (1+1), 2 images (1+1)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::write(place.path().join("ctx/Dockerfile"), "FROM samebuild.test/base:1\nRUN date > /dev/null\n")
        .unwrap();
    let output = place.samebuild(&["conform", "ctx", "--repeat", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn that_dialects_differ_is_knowledge_and_told_once() {
    let place = Place::with(GOOD);
    let Some(output) = place.exercise(&["conform", "ctx"]) else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("\ndifferent ctx buildkit@20.10, buildkit@26.1").count(), 1, "{said}");
    // BuildKit's dialects differ from the first in one way, kaniko's two in two.
    assert_eq!(said.matches("\ndifferent ctx ").count(), 3, "{said}");
    assert_eq!(said.matches("  again: ").count(), 3, "{said}");
    assert!(!said.contains("docker_version · "), "{said}");
}

#[test]
fn a_strategy_without_a_race_is_run_and_a_faulty_one_exits_1() {
    let place = Place::with(GOOD);
    let fence = place.samebuild(&["race", "--strategy", "fence"]);
    let said = String::from_utf8(fence.stdout).unwrap();
    assert_eq!(fence.status.code(), Some(1), "{said}");
    for part in [
        "caught",
        "overlapping-builds",
        "--seed ",
        "  1  ",
        "samebuild race overlapping-builds --replay FILE",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("skaffold-9251"), "{said}");
    let sync = place.samebuild(&["race", "--strategy", "sync", "--schedules", "50"]);
    assert_eq!(sync.status.code(), Some(0), "{}", String::from_utf8_lossy(&sync.stdout));
}

/// Origin: it exited 1 whatever came out, because a loss counted as known in one race only.
#[test]
fn every_strategy_comes_out_as_is_known_and_one_timeline_is_shown() {
    let place = Place::with(GOOD);
    let all = place.samebuild(&["race", "--schedules", "100"]);
    let said = String::from_utf8(all.stdout).unwrap();
    assert_eq!(all.status.code(), Some(0), "{said}");
    assert!(said.contains("survived") && said.contains("skaffold-9251 --replay FILE"), "{said}");
    assert_eq!(said.matches("--replay FILE").count(), 1, "{said}");
}

#[test]
fn a_build_argument_that_is_nowhere_is_told() {
    let place = Place::with(GOOD);
    let args = ["build", "ctx", "--build-arg", "SAMEBUILD_ABSENT", "-o", "oci:out"];
    let output = place.samebuild(&args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("warning: --build-arg SAMEBUILD_ABSENT: there is no"), "{said}");
    assert!(said.contains("as buildkit@26.1 builds it"), "{said}");
}

#[test]
fn mistakes_in_a_dockerfile_are_told_in_sentences() {
    for (dockerfile, target, says) in [
        (
            "FROM scratch\nFROM scratch AS two\n",
            "three",
            "find the target stage \"three\"; the stages are 0, 1 (two)",
        ),
        ("FROM scratch\nENV a\n", "0", "read a value for \"a\"; write ENV a=value"),
        ("FROM scratch\nCOPY --chmodd=1 a /\n", "0", "understand the flag --chmodd; COPY takes --from"),
    ] {
        let place = Place::with(dockerfile);
        let (code, said) = place.fails(&["build", "ctx", "--target", target, "-o", "oci:out"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(says), "{dockerfile}: {said}");
    }
}

#[test]
fn what_is_not_supported_yet_is_said_before_anything_about_it() {
    let place = Place::with("FROM scratch\nRUN --mount=type=ssh true\n");
    let (_, said) = place.fails(&["build", "ctx", "-o", "oci:out"]);
    assert!(said.contains("not supported yet") && !said.contains("whole root"), "{said}");
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// The clock of a build stands still, so what a snapshot of time or size alone does not see makes no layer.
#[test]
fn how_snapshots_look_is_an_option_and_decides_how_many_layers_there_are() {
    let place = Place::with("FROM scratch\nCOPY a /f\nCOPY b /f\nCOPY --chown=5:5 b /f\n");
    std::fs::write(place.path().join("ctx/b"), "jello\n").unwrap();
    let wanted = [
        ("kaniko@pre-289", &[][..], "3 layers"),
        ("kaniko@pre-289", &["--snapshot-mode", "full"], "3 layers"),
        ("kaniko@pre-289", &["--snapshot-mode", "redo"], "2 layers"),
        ("kaniko@pre-289", &["--snapshot-mode", "time"], "1 layer"),
        // Since change 289 what a COPY lists is taken, changed or not.
        ("kaniko@1.24", &["--snapshot-mode", "time"], "3 layers"),
        ("kaniko@1.24", &["--single-snapshot"], "1 layer"),
    ];
    for (n, (dialect, options, layers)) in wanted.into_iter().enumerate() {
        let out = format!("oci:out{n}");
        let all = [&["build", "ctx", "--dialect", dialect, "-o", &out], options].concat();
        let output = place.samebuild(&all);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!(", {layers}, as {dialect} builds it")), "{options:?}: {said}");
    }
    for options in [&["--snapshot-mode", "redo"][..], &["--single-snapshot"], &["--use-new-run"]] {
        let (code, said) = place.fails(&[&["build", "ctx", "-o", "oci:none"], options].concat());
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("kaniko@1.24 and kaniko@pre-289"), "{said}");
    }
    let (code, said) = place.fails(&["build", "ctx", "--dialect", "kaniko@1.24", "--snapshot-mode", "fast"]);
    assert_eq!((code, said.contains("full, full-but-links, redo, time")), (2, true), "{said}");
}

#[test]
fn a_benchmark_tells_a_verdict_for_each_goal_and_every_single_run() {
    let place = Place::with(GOOD);
    let args =
        ["bench", "build", "--workload", "big-copy", "--smaller", "1000", "--times", "2", "--format", "json"];
    let Some(output) = place.exercise(&args) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["goals"][0]["verdict"], "met", "{json}");
    let runs = json["runs"][0]["measured"][0]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter()
            .all(|run| run["peak_mb"].as_f64().unwrap() > 1.0 && run["wall_s"].as_f64().unwrap() > 0.0)
    );
    let (code, said) = place.fails(&["bench", "build", "--workload", "nonsense"]);
    assert!(code == 2 && said.contains("big-copy"), "{said}");
}

/// Number, text and time of every step, by builder.
fn steps(file: &Path) -> Vec<Vec<(u64, String, u64)>> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(json["schema"], 1);
    let builds = json["cases"].as_array().unwrap().iter().flat_map(|case| case["builds"].as_array().unwrap());
    let step = |step: &serde_json::Value| {
        let text = step["instruction"].as_str().unwrap().to_owned();
        (step["number"].as_u64().unwrap(), text, step["elapsed_ns"].as_u64().unwrap())
    };
    builds.map(|build| build["steps"].as_array().unwrap().iter().map(step).collect()).collect()
}

#[test]
fn a_benchmark_file_has_every_instruction_once_for_each_builder_and_failing_ones_too() {
    let place = Place::with("ARG V=a\nFROM scratch\nENV X=1\nCOPY a /srv/$V\nCOPY a /srv/$V\nCOPY none /\n");
    let (file, other) = (place.path().join("steps.json"), place.path().join("other.json"));
    let built = |args: &[&str], environment: Option<&Path>| {
        place
            .command(args)
            .env_remove("SAMEBUILD_BENCHMARK_FILE")
            .envs(environment.map(|file| ("SAMEBUILD_BENCHMARK_FILE", file)))
            .output()
            .unwrap()
    };
    let build = ["build", "ctx", "-o", "oci:out", "--benchmark-file", "steps.json"];
    let output = built(&build, Some(&other));
    assert_eq!(output.status.code(), Some(1), "the last COPY fails");
    assert!(file.is_file() && !other.exists(), "the option beats the environment");
    let all = steps(&file);
    let texts: Vec<(u64, &str)> = all[0].iter().map(|(number, text, _)| (*number, text.as_str())).collect();
    let copy = "COPY a /srv/$V";
    let expected =
        [(1, "ARG V=a"), (2, "FROM scratch"), (3, "ENV X=1"), (4, copy), (5, copy), (6, "COPY none /")];
    assert_eq!(texts, expected);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("the 6 dearest of 6 steps"));

    let output = built(&["conform", "ctx", "--format", "json"], Some(&other));
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("find a busybox") {
        println!("not exercised: {said}");
        return;
    }
    let all = steps(&other);
    assert_eq!(all.len(), samebuild_builder::DIALECTS.len(), "{said}");
    assert!(all.iter().all(|steps| steps.len() == expected.len()), "{all:?}");
    assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "no table among the JSON");
}

#[test]
fn a_rule_and_a_cause_have_a_page_each_and_what_is_neither_is_told_with_what_is_like_it() {
    let place = Place::with(GOOD);
    let told = |args: &[&str]| String::from_utf8(place.samebuild(args).stdout).unwrap();
    assert!(told(&["explain", "mtime"]).contains("When was it last modified"));
    let page = told(&["explain", "context-times"]);
    assert!(
        page.contains("context-times · cause · reproducibility") && page.contains("git restore-mtime"),
        "{page}"
    );
    let list = told(&["explain", "--list"]);
    for cause in samebuild_compare::CAUSES {
        assert!(list.contains(cause.page().id), "{}", cause.page().id);
    }
    let (code, said) = place.fails(&["explain", "context-tomes"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("there are context-times"), "{said}");
}
