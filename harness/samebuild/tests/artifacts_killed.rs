//! The artifact cache under processes that are killed, and under several at once. Real processes, real signals.

#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use place::Place;
use samebuild::images::store::Store;
use samebuild_image::manifest::Platform;
use samebuild_image::{At, Kind};

const ARTIFACTS: usize = 10;

/// Ten artifacts, two of which require the one before.
fn ten() -> Place {
    let row = |n: usize| {
        let requires = if n % 5 == 4 {
            format!(", requires: [{{ image: app{}, alias: LIB }}]", n - 1)
        } else {
            String::new()
        };
        format!("  - {{ image: app{n}, context: c{n}{requires} }}\n")
    };
    let rows: String = (0..ARTIFACTS).map(row).collect();
    let place = Place::of(&[("skaffold.yaml", &format!("build:\n  artifacts:\n{rows}"))]);
    for n in 0..ARTIFACTS {
        let from = if n % 5 == 4 { "ARG LIB\nFROM $LIB\n" } else { "FROM scratch\n" };
        std::fs::create_dir(place.path().join(format!("c{n}"))).unwrap();
        std::fs::write(place.path().join(format!("c{n}/Dockerfile")), format!("{from}COPY f /f{n}\n"))
            .unwrap();
    }
    place
}

fn edit(place: &Place, round: u64) {
    for n in 0..ARTIFACTS {
        std::fs::write(place.path().join(format!("c{n}/f")), format!("round {round} of {n}\n")).unwrap();
    }
}

fn start(place: &Place) -> Child {
    let mut command = place.command(&["artifacts", "build", "skaffold.yaml"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The whole lines a process wrote, as (name, how); those that were half written when it was killed do not count.
fn told(child: &mut Child) -> Vec<(String, String)> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if out.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            return lines;
        }
        let (name, rest) = line.split_once(": ").unwrap();
        lines.push((name.to_owned(), rest.split(' ').next().unwrap().to_owned()));
    }
}

/// What the store has under the name of each artifact is what its sources say.
fn all_is_right(place: &Place, round: u64) {
    let store = Store::in_cache(&place.path().join("cache"));
    for n in 0..ARTIFACTS {
        let found = store.find(&format!("app{n}:latest"), &Platform::linux_amd64()).unwrap().unwrap();
        let tree = found.image.tree().unwrap();
        let file = tree.get(&At::from(format!("f{n}").as_str())).map(|inode| inode.kind.clone());
        let Some(Kind::File(content)) = file else { panic!("round {round}: app{n} has no file") };
        let text = content.read_up_to(1000).unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&text), format!("round {round} of {n}\n"));
    }
}

/// An entry that was told of is there; a killed process loses at most the one it was writing. The seed is a fixed one;
/// `SAMEBUILD_KILLS=N` asks for N rounds.
#[test]
fn a_killed_run_loses_nothing_that_it_told_of_and_the_next_run_is_right() {
    let rounds: u64 = std::env::var("SAMEBUILD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let place = ten();
    edit(&place, 0);
    let began = std::time::Instant::now();
    let mut whole = start(&place);
    assert_eq!(told(&mut whole).len(), ARTIFACTS);
    assert!(whole.wait().unwrap().success());
    let usual = began.elapsed().as_micros() as u64;
    let (mut early, mut late) = (0, 0);
    for round in 1..=rounds {
        edit(&place, round);
        let mut child = start(&place);
        // Spread over a run and a little more, in an order that is no order.
        std::thread::sleep(Duration::from_micros(usual * 11 / 10 * ((round * 0x9e37 + 7) % 101) / 100));
        child.kill().unwrap();
        let before = told(&mut child);
        child.wait().unwrap();
        early += usize::from(before.is_empty());
        late += usize::from(before.len() == ARTIFACTS);
        let mut again = start(&place);
        let after = told(&mut again);
        assert!(again.wait().unwrap().success(), "round {round}");
        assert_eq!(after.len(), ARTIFACTS, "round {round}");
        for (name, how) in &before {
            let now = after.iter().find(|(other, _)| other == name).unwrap();
            assert_eq!(now.1, "found", "round {round}: {name} was {how} before the kill");
        }
        all_is_right(&place, round);
        let listed = place.command(&["artifacts", "ls", "--format", "json"]).output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let entries = listed.as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["in_store"] == true), "round {round}: {listed}");
        assert_eq!(entries.len() as u64, (round + 1) * ARTIFACTS as u64);
    }
    println!("{rounds} kills: {early} before the first line, {late} after the last");
}

#[test]
fn several_processes_at_once_lose_no_entry_of_each_other() {
    let place = ten();
    for round in 0..3 {
        edit(&place, round);
        let mut children: Vec<Child> = (0..4).map(|_| start(&place)).collect();
        for child in &mut children {
            assert_eq!(told(child).len(), ARTIFACTS);
            assert!(child.wait().unwrap().success());
        }
        let mut again = start(&place);
        assert!(told(&mut again).iter().all(|(_, how)| how == "found" || how == "tagged"), "round {round}");
        assert!(again.wait().unwrap().success());
        all_is_right(&place, round);
    }
}
