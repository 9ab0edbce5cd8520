//! What `check` says of the realistic cases, held against what is written of each: cause, line and fix of each
//! file; and the fixes, applied. fixtures/realistic/README.md says how that is written. RUN needs root or a user namespace.

mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use place::Place;
use samebuild::factors::written::Written;
use serde_json::Value;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn written() -> BTreeMap<String, Written> {
    samebuild::factors::written::read(&checkout().join("fixtures/realistic")).unwrap()
}

/// `check` of a directory; `None`, with a word, where this machine cannot build.
fn check(place: &Place, dir: &str) -> Option<Value> {
    let args = ["check", dir, "--runs", "2", "--seed", "3", "--format", "json"];
    let output =
        place.exercise(&[&args[..], &["--factor", "context-mtimes", "--factor", "umask"]].concat())?;
    let told = String::from_utf8_lossy(&output.stdout);
    Some(serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}{}", stderr(&output))))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn rows(case: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let factors = case["factors"].as_array().unwrap().iter();
    factors.flat_map(|factor| factor["differences"].as_array().unwrap().iter().map(move |row| (factor, row)))
}

/// Whether every change was tried; what was not is printed.
fn is_exercised(case: &Value) -> bool {
    let skipped = case["factors"].as_array().unwrap().iter().find(|row| row["verdict"] == "skipped");
    if let Some(row) = skipped {
        println!("not exercised: {}: {}", case["case"], row["why"]);
    }
    skipped.is_none()
}

#[test]
fn each_realistic_case_gets_its_written_cause_line_and_fix_and_no_other() {
    let cases = checkout().join("dockerfiles/realistic");
    let Some(told) = check(&Place::of(&[]), cases.to_str().unwrap()) else { return };
    let mut written = written();
    let cases: Vec<&Value> =
        told["cases"].as_array().unwrap().iter().filter(|case| is_exercised(case)).collect();
    for case in &cases {
        let name = case["case"].as_str().unwrap().rsplit('/').next().unwrap();
        // What needs the network is written down by its case.toml alone.
        let Some(written) = written.remove(name) else { continue };
        let key = |factor: &str, line: u64, at: &str, cause: &str| format!("{factor} {line} {at} {cause}");
        let wanted: BTreeSet<String> =
            written.found.iter().map(|row| key(&row.factor, row.line, &row.at, &row.cause)).collect();
        let mut found = BTreeSet::new();
        for (factor, row) in rows(case) {
            let at = row["at"].as_str().unwrap().rsplit(" · ").next().unwrap();
            if written.may.iter().any(|may| may == at) {
                continue;
            }
            let (factor, cause) = (factor["factor"].as_str().unwrap(), row["cause"].as_str().unwrap());
            found.insert(key(factor, row["line"].as_u64().unwrap_or(0), at, cause));
            let one = written.found.iter().find(|one| (one.at.as_str(), one.cause.as_str()) == (at, cause));
            let fix = one.map_or("nothing is written of it", |one| &one.fix);
            assert!(row["fix"].as_str().unwrap().contains(fix), "{name}: {fix:?} is not in {row}");
        }
        assert_eq!(found, wanted, "{name}");
    }
    let unseen: Vec<&String> = written.keys().collect();
    assert!(cases.is_empty() || unseen.is_empty(), "written of what is no case: {unseen:?}");
}

#[test]
fn with_its_fixes_applied_a_realistic_case_is_the_same_whatever_the_checkout() {
    for (name, written) in written() {
        let place = Place::of(&[]);
        lay_out(&name, &place.path().join("now"));
        lay_out(&name, &place.path().join("later"));
        date(&place.path().join("later"), 1_700_000_000);
        let Some(told) = check(&place, "now") else { return };
        let case = &told["cases"][0];
        if !is_exercised(case) {
            continue;
        }
        let left = |row: &Value| written.left.iter().any(|cause| row["cause"] == cause.as_str());
        let found: Vec<&Value> = rows(case).map(|(_, row)| row).filter(|row| !left(row)).collect();
        assert!(found.is_empty(), "{name}: {found:#?}");
        let [now, later] = ["now", "later"].map(|dir| {
            let out = format!("oci:{dir}.oci");
            let built = place.exercise(&["build", dir, "-o", &out, "--timestamp", "1500000000"]).unwrap();
            assert!(built.status.success(), "{name}: {}", stderr(&built));
            std::fs::read_to_string(place.path().join(format!("{dir}.oci/index.json"))).unwrap()
        });
        assert_eq!(now, later, "{name}: told the time, two checkouts are one image");
    }
}

/// The context of the case, and the Dockerfile with the fixes.
fn lay_out(name: &str, to: &Path) {
    let context = checkout().join("dockerfiles/realistic").join(name).join("context");
    copy(&context, to);
    std::fs::copy(checkout().join("fixtures/realistic").join(name).join("Dockerfile"), to.join("Dockerfile"))
        .unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Everything in the directory is as old as this second since 1970.
fn date(dir: &Path, secs: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_dir() {
            date(&entry.path(), secs);
        } else {
            std::fs::File::options().write(true).open(entry.path()).unwrap().set_modified(time).unwrap();
        }
    }
}
