//! Random edits on a real file system, and every way of finding them: with times cut down no default loses a change, and with
//! frozen times and dirty mappings `--rehash` loses none. `SAMEBUILD_SCRIPTS=10000 SAMEBUILD_SEED=7` asks for more, or for
//! others; what fails is printed with its seed, and shrunk.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use samebuild::lag::script::Edit;
use samebuild::lag::ways::{self, Ended, Told};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_default_loses_a_change_to_cut_times_and_rehash_none_to_anything() {
    let (scripts, seed) = (number("SAMEBUILD_SCRIPTS", 500), number("SAMEBUILD_SEED", 1));
    println!("seed {seed}, {scripts} scripts");
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: u32::try_from(scripts).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let script = vec(any::<[u8; 3]>().prop_map(Edit::of), 1..20);
    let checked = runner.run(&script, |script| {
        let ended = ways::run(dir.path(), &script).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for Ended { way, told, lost, .. } in &ended {
            prop_assert!(
                lost.is_empty() || !way.must_be_right(*told),
                "{} loses {lost:?} with {}",
                way.name,
                told.name()
            );
        }
        Ok(())
    });
    if let Err(error) = checked {
        panic!(
            "{error}\nagain: SAMEBUILD_SEED={seed} SAMEBUILD_SCRIPTS={scripts} cargo test --test edit_scripts"
        );
    }
}

/// The first script of a seed that a walk by times loses something of when they are frozen: a hundred times the same.
#[test]
fn a_script_that_loses_a_change_loses_the_same_one_a_hundred_times() {
    let dir = tempfile::tempdir().unwrap();
    let lost = |seed| {
        let ended = ways::run(dir.path(), &Edit::script(seed)).unwrap();
        let of = |ended: Ended| (ended.way.name, ended.told, ended.lost);
        let frozen = |ended: &Ended| ended.told == Told::Frozen;
        ended.into_iter().filter(frozen).map(of).collect::<Vec<_>>()
    };
    let is_lost = |seed: &u64| lost(*seed).iter().any(|(way, _, lost)| *way == "diff" && !lost.is_empty());
    let seed = (1..200).find(is_lost).expect("frozen times cost something");
    println!("seed {seed}: {:?}", Edit::script(seed));
    let first = lost(seed);
    for again in 1..100 {
        assert_eq!(lost(seed), first, "replay {again}");
    }
}
