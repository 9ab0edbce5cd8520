//! The claims that `cargo xtask repro-race` makes, at sizes that a debug build can afford.

use expect_test::expect;
use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget, Outcome};
use samebuild_store::invariants::Invariant;
use samebuild_store::model::Mode;
use samebuild_store::schedule::Schedule;
use samebuild_store::stage::Setting;
use samebuild_store::{races, report, strategies};

fn search(strategy: &str, old: u8, kind: Kind, seed: u64, schedules: u64) -> Outcome {
    let setting = Setting { race: races::race("skaffold-9251").unwrap(), mode: Mode::Graphdriver, old };
    explore::run(&setting, strategies::strategy(strategy).unwrap(), kind, seed, Budget::first_of(schedules))
}

/// GoogleContainerTools/skaffold#9251.
#[test]
fn async_by_id_deletes_the_image_the_build_just_tagged() {
    let outcome = search("async-by-id", 2, Kind::Random, 1, 1000);
    let failure = outcome.first_failing.expect("async-by-id is caught");
    assert_eq!(failure.violated.invariant, Invariant::Inv1, "{}", report::failure(&failure));
    let rows: Vec<&str> = failure.timeline.iter().map(|row| row.text.as_str()).collect();
    assert!(rows.iter().any(|text| text.contains("its victims: B, A")), "{rows:#?}");
    assert!(rows.iter().any(|text| text.contains("reports app:id-A ready")), "{rows:#?}");
    assert_eq!(rows.last(), Some(&"no such image: app:id-A"));
}

#[test]
fn sync_survives_ten_thousand_random_schedules() {
    let outcome = search("sync", 2, Kind::Random, 1, 10_000);
    assert_eq!((outcome.schedules, outcome.failures), (10_000, 0), "{}", report::text(&outcome));
}

#[test]
fn pct_catches_async_by_id_within_ten_schedules_among_twenty_old_images() {
    let mut tries: Vec<u64> = (0..100)
        .map(|n| search("async-by-id", 20, Kind::Pct { depth: 2 }, n * 1000, 1000).schedules)
        .collect();
    tries.sort_unstable();
    assert!(tries[50] <= 10, "median {}, all {tries:?}", tries[50]);
}

#[test]
fn replay_is_identical_in_every_run() {
    let first = search("async-by-id", 2, Kind::Random, 7, 1000).first_failing.expect("a failure");
    let line = first.schedule.to_string();
    for _ in 0..100 {
        let again = explore::replay(&line.parse::<Schedule>().unwrap()).unwrap().expect("it fails again");
        assert_eq!((again.violated, &again.timeline), (first.violated, &first.timeline));
    }
}

#[test]
fn a_seed_means_the_same_schedule_in_every_run() {
    let first = search("async-by-id", 5, Kind::Random, 3, 1000).first_failing;
    assert_eq!(first, search("async-by-id", 5, Kind::Random, 3, 1000).first_failing);
}

#[test]
fn a_schedule_that_does_not_fit_is_an_error_that_names_the_turn() {
    let line = "samebuild-schedule v1 race=skaffold-9251 strategy=sync engine=graph old=1 turns=0,1,1";
    let error = explore::replay(&line.parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("actor 1 cannot move at turn 3"), "{error}");
}

/// Replays what it is given in `SAMEBUILD_SCHEDULES`, a line each, so that the next test can do it in a new process.
#[test]
fn replays_the_schedules_it_is_given() {
    let Ok(lines) = std::env::var("SAMEBUILD_SCHEDULES") else { return };
    for line in lines.lines() {
        let failure = explore::replay(&line.parse().unwrap()).unwrap().expect("it fails again");
        println!("{}", report::failure(&failure));
    }
}

#[test]
fn a_hundred_replays_in_a_new_process_fail_the_same_way() {
    let found = (1..=100).map(|seed| {
        let failure = search("async-by-id", 3, Kind::Random, seed, 1000).first_failing.expect("a failure");
        explore::Failure { found: None, ..failure }
    });
    let found: Vec<explore::Failure> = found.collect();
    let schedules: Vec<String> = found.iter().map(|failure| failure.schedule.to_string()).collect();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "replays_the_schedules_it_is_given", "--nocapture"])
        .env("SAMEBUILD_SCHEDULES", schedules.join("\n"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let all: String = found.iter().map(|failure| format!("{}\n", report::failure(failure))).collect();
    assert!(said.contains(&all), "{said}");
}

#[test]
fn the_timeline_reads_like_a_story() {
    let line = "samebuild-schedule v1 race=skaffold-9251 strategy=async-by-id engine=containerd old=1 turns=0,1*6,0*3";
    let failure = explore::replay(&line.parse().unwrap()).unwrap().expect("it fails");
    expect![[r#"
        skaffold-9251 with async-by-id, replayed
        breaks INV1, a ready image can be used by its unique name until it is released: app:id-A

           1  pruner:   lists app: B, A; its victims: A
           2  builder:  is asked for app:latest
           3  builder:  sees that the list is taken
           4  builder:  builds: the cache has A
           5  builder:  tags A as app:latest
           6  builder:  asks to tag A as app:id-A: A is there
           7  builder:  tags A as app:id-A; reports app:id-A ready
           8  pruner:   asks for the disk usage
           9  pruner:   DELETE A with force: reads its names, app:latest, app:id-A
          10  pruner:   removes app:latest, app:id-A; deletes A
                        ^ breaks INV1, a ready image can be used by its unique name until it is released: app:id-A
          11  deploy:   sees that build 0 is over
          12  deploy:   no such image: app:id-A

        replay from the schedule, put into FILE:
          samebuild-schedule v1 race=skaffold-9251 strategy=async-by-id engine=containerd old=1 turns=0,1*6,0*3
          samebuild race skaffold-9251 --replay FILE
    "#]].assert_eq(&report::failure(&failure));
}
