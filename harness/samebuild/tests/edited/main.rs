//! The sequences of edits of the layer cache's own tests, where those cannot play them: with RUN, which needs a sandbox, and on
//! a file system that lags, which needs /dev/fuse. A build with the cache makes the image that one without makes.
//!
//! A slice of 2,000; `SAMEBUILD_SEQUENCES=20000` plays ten times as many. What this machine cannot do is listed as ignored.

#[expect(dead_code, reason = "clocks that are made up are the builder's tests'")]
#[path = "../../../builder/tests/layer_cache/play.rs"]
mod play;
#[path = "../../../builder/tests/layer_cache/project.rs"]
mod project;
#[path = "../../../builder/tests/layer_cache/record.rs"]
mod record;
mod runs;
#[expect(dead_code, reason = "what builds without RUN need is the builder's tests'")]
#[path = "../../../builder/tests/layer_cache/yard.rs"]
mod yard;

use std::fs;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use play::{Belief, Kind, Shown, play};
use samebuild::bases;
use samebuild::engines::cache_dir;
use samebuild::faults::lag::Lag;
use samebuild::faults::passthrough::{self, Namespace};
use yard::Yard;

fn main() {
    samebuild_builder::sandbox::become_child_if_asked();
    samebuild_builder::sandbox::become_root_if_possible();
    let args = Arguments::from_args();
    let trials = vec![
        Trial::ignorable_test("edited::what_is_run_again_is_what_was_run_before", with_run),
        lagging("truncated_to_1_s", "truncate=1s", Belief::Stat),
        lagging("truncated_to_2_s", "truncate=2s", Belief::Stat),
        lagging("frozen_for_3_s_and_nothing_is_believed", "freeze=3s", Belief::Nothing),
        Trial::ignorable_test("edited::on_files_that_are::frozen_and_believed_hits_are_wrong", || {
            match lags("freeze=86400s", Belief::Stat, SHARE)? {
                Ended::Unmet(need) => Ok(Completion::ignored_with(need)),
                Ended::Wrong(_) => Ok(Completion::Completed),
                // If it is not, the others prove nothing.
                Ended::Right => Err("no hit was wrong".into()),
            }
        }),
    ];
    libtest_mimic::run(&args, trials).exit();
}

fn with_run() -> Result<Completion, Failed> {
    if let Some(need) = samebuild_builder::sandbox::standing().unmet() {
        return Ok(Completion::ignored_with(need));
    }
    let base = bases::provide("busybox", &cache_dir()?, &|line| eprintln!("{line}"))?;
    let yard = || Yard::on(base.image.clone(), "/proc/self/exe");
    play(&Kind { share: 200, ..Kind::new("sequences of edits, with RUN", &runs::LINES, &yard) })?;
    Ok(Completion::Completed)
}

/// Sequences on each file system, of 2,000.
const SHARE: u64 = 40;

fn lagging(title: &str, shape: &'static str, belief: Belief) -> Trial {
    Trial::ignorable_test(format!("edited::on_files_that_are::{title}"), move || {
        match lags(shape, belief, 1)? {
            Ended::Unmet(need) => Ok(Completion::ignored_with(need)),
            Ended::Wrong(why) => Err(why.into()),
            Ended::Right => Ok(Completion::Completed),
        }
    })
}

enum Ended {
    Unmet(String),
    Wrong(String),
    Right,
}

/// In a thread of its own with a mount namespace of its own, which its threads share: what it mounts is gone with it.
fn lags(shape: &'static str, belief: Belief, fewest: u64) -> Result<Ended, Failed> {
    if let Some(need) = passthrough::unmet() {
        return Ok(Ended::Unmet(need));
    }
    let inside = std::thread::spawn(move || match passthrough::enter_private_namespace()? {
        Namespace::Shared => Ok(Ended::Unmet("a mount namespace of its own needs root".to_owned())),
        Namespace::Private => on_mounted(shape, belief, fewest),
    });
    inside.join().unwrap_or_else(|_| Err("it panicked".into()))
}

fn on_mounted(shape: &str, belief: Belief, fewest: u64) -> Result<Ended, Failed> {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let (below, mounted) = (dir.path().join("below"), dir.path().join("mounted"));
    fs::create_dir(&below)?;
    fs::create_dir(&mounted)?;
    let lag = Lag::new(shape.parse()?, None, None)?;
    let _mounted = passthrough::mount(&below, &mounted, Some(lag), None)?;
    let rehash = if belief == Belief::Nothing { ", --rehash" } else { "" };
    let what = format!("sequences of edits, files that lag: {shape}{rehash}");
    let played = play(&Kind {
        share: SHARE,
        fewest,
        shown: Shown::ByTheKernel,
        belief,
        contexts: Some(&mounted),
        // Past the moments in which no index believes a stat of such a clock, some of the time.
        pause: Duration::from_millis(3300),
        threads: 40,
        ..Kind::new(&what, &project::LINES, &Yard::new)
    });
    Ok(played.err().map_or(Ended::Right, Ended::Wrong))
}
