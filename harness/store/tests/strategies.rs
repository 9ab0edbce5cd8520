//! What `RACES` and `STRATEGIES` say of themselves, held against the explorer; and what each piece of
//! `generation` is for.

use std::collections::BTreeSet;

use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget};
use samebuild_store::model::Mode;
use samebuild_store::races::{RACES, Race, race};
use samebuild_store::session::Milestone;
use samebuild_store::stage::Setting;
use samebuild_store::strategies::{Expected, Generation, Piece, Row, STRATEGIES, strategy};
use samebuild_store::{exhaust, report, shrink};

const MOST_STATES: u64 = 200_000;

fn settings(race: &'static Race, old: u8) -> [Setting; 2] {
    Mode::ALL.map(|(_, mode)| Setting { race, mode, old })
}

#[test]
fn survivors_keep_every_promise_in_every_schedule_of_their_races() {
    for race in RACES {
        for row in race.survivors.iter().map(|id| strategy(id).unwrap()) {
            for setting in settings(race, 2) {
                let found = exhaust::run(&setting, row, MOST_STATES);
                assert!(found.complete, "{}", report::exhausted(&setting, row, &found));
            }
        }
    }
}

#[test]
fn generation_survives_every_race() {
    for race in RACES {
        assert!(race.survivors.contains(&"generation"), "{} does not list generation", race.id);
    }
}

#[test]
fn every_faulty_strategy_is_caught_in_its_race_on_both_engines() {
    for row in STRATEGIES {
        let Expected::CaughtIn(id) = row.expected else { continue };
        for setting in settings(race(id).unwrap(), 2) {
            let outcome = explore::run(&setting, row, Kind::Pct { depth: 3 }, 1, Budget::first_of(2000));
            assert_eq!(outcome.failures, 1, "{}", report::text(&outcome));
        }
    }
}

/// Where a strategy is not listed as a survivor it is caught, so the table says no less than is known. Those that
/// are spared by what they do not do at all (no parents deleted, no tie that matters) are listed here.
#[test]
fn those_not_listed_as_survivors_are_caught() {
    let spared = BTreeSet::from([("prune-children", "by-ref"), ("created-ties", "revalidate")]);
    for race in RACES {
        for row in STRATEGIES.iter().filter(|row| !race.survivors.contains(&row.id)) {
            let caught =
                settings(race, 2).iter().any(|s| exhaust::run(s, row, MOST_STATES).failure.is_some());
            assert_eq!(caught, !spared.contains(&(race.id, row.id)), "{} in {}", row.id, race.id);
        }
    }
}

#[test]
fn the_shortest_counterexample_loses_its_failure_with_any_turn() {
    for row in STRATEGIES {
        let Expected::CaughtIn(id) = row.expected else { continue };
        let setting = Setting { race: race(id).unwrap(), mode: Mode::Graphdriver, old: 5 };
        let outcome = explore::run(&setting, row, Kind::Pct { depth: 3 }, 1, Budget::first_of(2000));
        let first = outcome.first_failing.expect("it is caught");
        let short = shrink::shortest(&first).unwrap();
        assert_eq!(short.violated.invariant, first.violated.invariant);
        assert!(short.schedule.turns.len() <= 25, "{}", report::failure(&short));
        for at in 0..short.schedule.turns.len() {
            let mut schedule = short.schedule.clone();
            schedule.turns.remove(at);
            let again = explore::replay(&schedule).ok().flatten();
            let still = again.filter(|again| again.violated.invariant == short.violated.invariant);
            let shorter = still.is_some_and(|still| still.timeline.len() < short.timeline.len());
            assert!(!shorter, "turn {at} of {} can go", short.schedule);
        }
    }
}

fn breaks(race_id: &str, piece: Piece) -> bool {
    static STRIPPED: [Generation; 6] = [
        Generation::without(Piece::Fence),
        Generation::without(Piece::Lock),
        Generation::without(Piece::Verify),
        Generation::without(Piece::Live),
        Generation::without(Piece::LastLook),
        Generation::without(Piece::Drain),
    ];
    let row = Row {
        id: "generation",
        about: "generation without a piece",
        expected: Expected::Survives,
        strategy: &STRIPPED[piece as usize],
    };
    settings(race(race_id).unwrap(), 2).iter().any(|setting| {
        explore::run(setting, &row, Kind::Pct { depth: 3 }, 1, Budget::all_of(500)).failures > 0
    })
}

#[test]
fn without_its_lock_generation_is_caught() {
    assert!(breaks("shared-id", Piece::Lock));
}

/// Naming an image that is gone fails by itself; the look is for the policy tag, which nobody is promised.
#[test]
fn without_verifying_the_unique_name_is_the_check() {
    assert!(RACES.iter().all(|race| !breaks(race.id, Piece::Verify)));
}

#[test]
fn without_live_images_generation_is_caught() {
    assert!(breaks("skaffold-9251", Piece::Live));
}

#[test]
fn without_the_last_look_generation_is_caught() {
    let caught: Vec<&str> =
        RACES.iter().map(|race| race.id).filter(|id| breaks(id, Piece::LastLook)).collect();
    assert!(!caught.is_empty(), "{caught:?}");
}

#[test]
fn without_the_drain_generation_is_caught() {
    assert!(breaks("ctrl-c", Piece::Drain));
}

/// The fence is there for the price, not for safety: lock, verify and live carry that alone (0 of 600 measured).
#[test]
fn without_the_fence_generation_is_safe_but_loses_the_cache() {
    assert!(RACES.iter().all(|race| !breaks(race.id, Piece::Fence)));
}

#[test]
fn a_search_of_generation_passes_every_milestone() {
    let mut reached = BTreeSet::new();
    for race in RACES {
        for setting in settings(race, 2) {
            let row = strategy("generation").unwrap();
            let outcome = explore::run(&setting, row, Kind::Pct { depth: 3 }, 1, Budget::all_of(1000));
            reached.extend(outcome.cost.milestones());
        }
    }
    let missed: Vec<&str> =
        Milestone::ALL.iter().filter(|(m, _)| !reached.contains(m)).map(|(_, about)| *about).collect();
    assert!(missed.is_empty(), "generation never {missed:?}");
}

/// An exhaustive search that merges states finds what a search of a hundred thousand schedules finds, and the
/// random one meets no invariant the exhaustive one rules out.
#[test]
fn merging_states_loses_no_failure() {
    for race in RACES {
        for row in STRATEGIES {
            for setting in settings(race, 1) {
                let exhausted = exhaust::run(&setting, row, MOST_STATES);
                let random = explore::run(&setting, row, Kind::Pct { depth: 3 }, 1, Budget::all_of(500));
                let both = (exhausted.failure.is_some(), random.failures > 0);
                assert_ne!(both, (false, true), "{} in {}", row.id, race.id);
            }
        }
    }
}

#[test]
fn threads_change_nothing_in_what_is_found() {
    let setting = Setting { race: race("skaffold-9251").unwrap(), mode: Mode::Graphdriver, old: 3 };
    let row = strategy("async-by-id").unwrap();
    let with = |threads| {
        let budget = Budget { schedules: 101, first_only: false, threads };
        explore::run(&setting, row, Kind::Random, 1, budget)
    };
    assert_eq!(with(1), with(3));
}
