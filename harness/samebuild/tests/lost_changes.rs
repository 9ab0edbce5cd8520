//! `build --lag` and `--rehash` as a person meets them, and the helper that cases write through a mapping with. FROM scratch
//! with that helper alone: no base is needed, but RUN is.

mod place;

use std::path::{Path, PathBuf};
use std::process::Command;

use place::Place;

const HELPER: &str = "dockerfiles/lag/mmap-store/context/store";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file rewritten with as many bytes; what the rest of the words says of its time.
fn place(keep: &str) -> Place {
    let dockerfile =
        format!("FROM scratch\nCOPY store f /\nRUN [\"/store\", \"/f\", \"bbbb\"{keep}]\nLABEL a=b\n");
    let place = Place::of(&[("ctx/Dockerfile", dockerfile.as_str()), ("ctx/f", "aaaa")]);
    std::fs::copy(checkout().join(HELPER), place.path().join("ctx/store")).unwrap();
    place
}

/// The exit code and what was said; `None`, with a word, where nothing can be run.
fn build(place: &Place, args: &[&str]) -> Option<(i32, String)> {
    // What is there already is never written over.
    let _ = std::fs::remove_dir_all(place.path().join("out"));
    let all = [&["build", "ctx", "--dialect", "buildkit@26.1-containerd", "-o", "oci:out"], args].concat();
    let output = place.command(&all).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(3) {
        println!("not exercised: {said}");
        return None;
    }
    Some((output.status.code().unwrap(), said))
}

#[test]
fn a_lie_loses_a_change_and_is_logged_with_its_instruction_and_rehash_keeps_the_change() {
    let place = place("");
    let lag = ["--lag", "freeze=36000000s", "--lag-scope", "f", "--lag-log", "lies"];
    let Some((code, said)) = build(&place, &lag) else { return };
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("1 lie") && said.contains("lost: content of /f"), "{said}");
    let lies = std::fs::read_to_string(place.path().join("lies")).unwrap();
    let lie: serde_json::Value = serde_json::from_str(lies.trim()).unwrap();
    assert_eq!((&lie["instruction"], &lie["path"]), (&3.into(), &"/f".into()), "{lie}");
    assert!(lie["text"].as_str().unwrap().starts_with("RUN") && lie["true"] != lie["told"], "{lie}");
    let (code, said) = build(&place, &[&lag[..], &["--rehash"]].concat()).unwrap();
    assert_eq!(code, 0, "{said}");
    let (code, said) = build(&place, &["--lag", "freeze=2s", "--lag-nth", "9"]).unwrap();
    assert!(code == 0 && said.contains("0 lies"), "there is no ninth change: {said}");
}

#[test]
fn a_lie_is_the_same_a_hundred_times() {
    let place = place("");
    let lag = ["--lag", "freeze=36000000s", "--lag-seed", "8", "--lag-log", "lies"];
    let told = || {
        let (code, said) = build(&place, &lag)?;
        let lies = std::fs::read_to_string(place.path().join("lies")).unwrap();
        let of = |line: &str| {
            let lie: serde_json::Value = serde_json::from_str(line).unwrap();
            (lie["instruction"].to_string(), lie["path"].to_string())
        };
        let lost: Vec<String> =
            said.lines().filter(|line| line.contains("lost:")).map(str::to_owned).collect();
        Some((code, lies.lines().map(of).collect::<Vec<_>>(), lost))
    };
    let Some(first) = told() else { return };
    assert_eq!(first.0, 1, "the coin of this seed comes down for /f: {first:?}");
    for again in 1..100 {
        assert_eq!(told().unwrap(), first, "replay {again}");
    }
}

#[test]
fn one_seed_of_the_clock_makes_the_same_layers_a_hundred_times() {
    let place = place("");
    let Some(output) = place.exercise(&["lag", "--replay", "7"]) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("in 100 of 100 builds"), "{said}");
}

#[test]
fn the_helper_writes_through_a_mapping_and_puts_the_time_back_if_told_to() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("not exercised: the helper is for Linux on x86-64");
        return;
    }
    let place = place("");
    let file = place.path().join("f");
    let time = || std::fs::metadata(&file).unwrap().modified().unwrap();
    let store = |args: &[&str]| {
        Command::new(place.path().join("ctx/store")).arg(&file).args(args).status().unwrap().code()
    };
    std::fs::write(&file, "aaaa\n").unwrap();
    let before = time();
    assert_eq!(store(&["bbbb", "keep"]), Some(0));
    assert_eq!((std::fs::read_to_string(&file).unwrap(), time()), ("bbbb\n".to_owned(), before));
    assert_eq!(store(&["cccc"]), Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "cccc\n");
    assert_ne!(time(), before, "the first store through a mapping moves the time");
    assert_eq!(store(&[]), Some(1));
}

#[test]
fn the_helper_in_each_case_is_what_its_source_assembles_to() {
    let dir = tempfile::tempdir().unwrap();
    let (object, flat) = (dir.path().join("store.o"), dir.path().join("store"));
    let source = checkout().join("fixtures/store/store.s");
    let run = |program: &str, args: &[&Path]| {
        Command::new(program).args(args).status().is_ok_and(|status| status.success())
    };
    let assembled = cfg!(target_arch = "x86_64")
        && run("as", &[Path::new("-o"), &object, &source])
        && run("objcopy", &[Path::new("-O"), Path::new("binary"), &object, &flat]);
    let cases = ["mmap-store", "mmap-time-put-back"].map(|case| {
        std::fs::read(checkout().join("dockerfiles/lag").join(case).join("context/store")).unwrap()
    });
    assert_eq!(cases[0], cases[1]);
    if !assembled {
        println!("not exercised: there is no assembler (as, objcopy) for x86-64 here");
        return;
    }
    assert_eq!(std::fs::read(&flat).unwrap(), cases[0], "again: see the first lines of {}", source.display());
}
