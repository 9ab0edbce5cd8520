//! The circumstances of one build, and a build under them. Everything that a factor may change is a field here.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use samebuild_builder::snapshot::probe::{Clear, Lens};
use samebuild_builder::snapshot::walk::Snapshotter;

use super::Dice;
use crate::builders::{Answer, Builder, Ended, Ground, Kept, Order, now};
use crate::cases::Case;
use crate::conform::guarded;
use crate::faults::mtime_lag::{MtimeLag, Shape};
use crate::programs::Around;

/// Who builds, and where; the same for every build of a trial.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub dialect: &'static str,
    pub who: Who<'a>,
    /// How the reference finds what a RUN changed, where not as its dialect does.
    pub snapshotter: Option<&'static Snapshotter>,
    /// Scratch space.
    pub work: &'a Path,
}

/// What kind of builder, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    Reference,
    Engine(&'a str),
    /// One that we start for each build.
    Program(&'a str),
}

impl<'a> Who<'a> {
    /// The name of one that is not ours.
    pub fn live(self) -> Option<&'a str> {
        match self {
            Self::Reference => None,
            Self::Engine(name) | Self::Program(name) => Some(name),
        }
    }

    /// In words.
    pub fn name(self) -> &'a str {
        self.live().unwrap_or("the reference")
    }
}

/// The circumstances of a build.
#[derive(Clone)]
pub struct Setting<'a> {
    pub site: Site<'a>,
    /// Where what is in new files is kept until it is known why they differ.
    pub kept: &'a Kept,
    /// What is built, with the context as it is now.
    pub case: Case,
    /// The part of a second at which the build begins.
    pub phase_ms: u32,
    /// Of this process while it builds.
    pub umask: Option<u32>,
    /// Of the machine, as the builder sees it.
    pub host: Option<String>,
    pub shuffle: Option<u64>,
    /// As the reference's snapshotter sees it.
    pub lag: Option<MtimeLag>,
    /// On the files of a builder that is not ours.
    pub lag_on_files: Option<Shape>,
    /// `TZ` of a builder that is not ours.
    pub zone: Option<String>,
    /// The directory the context was put in, which has to live until it is built.
    pub(super) elsewhere: Option<Arc<tempfile::TempDir>>,
}

impl<'a> Setting<'a> {
    /// What all builds of a trial begin with: nothing of the case is masked, because what differs is what is asked.
    pub fn first(case: &Case, site: Site<'a>, kept: &'a Kept, seed: u64) -> Self {
        let mut case = case.clone();
        case.volatile.clear();
        case.never_twice = None;
        let phase_ms = Dice::new(seed, super::NOTHING).between(0, 1000);
        Self {
            site,
            kept,
            case,
            phase_ms,
            umask: None,
            host: None,
            shuffle: None,
            lag: None,
            lag_on_files: None,
            zone: None,
            elsewhere: None,
        }
    }

    /// Builds once under these circumstances.
    pub fn build(&self, builder: &dyn Builder, base: &Ground) -> Answer {
        let lens: &dyn Lens = self.lag.as_ref().map_or(&Clear, |lag| lag as &dyn Lens);
        let order = Order {
            lens,
            snapshotter: self.site.snapshotter,
            wants_id: self.site.who == Who::Reference,
            shuffle: self.shuffle,
            around: Around { zone: self.zone.as_deref(), lag: self.lag_on_files },
            kept: Some(self.kept),
            ..Order::new(&self.case, self.site.dialect, base)
        };
        let _mask = self.umask.map(Umask::set);
        std::thread::sleep(until(self.phase_ms, now().1));
        match &self.host {
            None => guarded(builder, &order),
            Some(name) => called(name, || guarded(builder, &order)),
        }
    }
}

/// How long it is from `nanos` of a second to this part of the next. Of the next, and never of this one: what a build
/// before has of a clock that counts seconds, no later build may have too, or the clock would not show in all of them.
fn until(phase_ms: u32, nanos: u32) -> Duration {
    let goal = 1_000_000_000 + u64::from(phase_ms) * 1_000_000;
    Duration::from_nanos(goal.saturating_sub(u64::from(nanos)))
}

/// The umask of this process, put back when it drops.
struct Umask(Mode);

impl Umask {
    fn set(mask: u32) -> Self {
        Self(umask(Mode::from_bits_truncate(mask)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        umask(self.0);
    }
}

/// Does `work` in a thread that is on a machine of another name; the machine itself keeps its own.
fn called(name: &str, work: impl FnOnce() -> Answer + Send) -> Answer {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let renamed = unshare(CloneFlags::CLONE_NEWUTS).and_then(|()| nix::unistd::sethostname(name));
            match renamed {
                Ok(()) => work(),
                Err(errno) => Answer::Unmet(format!(
                    "this process may not take another host name ({errno}); root may, in a namespace"
                )),
            }
        });
        thread.join().unwrap_or_else(|_| Answer::Broken("the thread of the build panicked".to_owned()))
    })
}

/// A builder under circumstances, whoever orders; keeps the first build that ended.
pub(super) struct Placed<'a> {
    pub(super) builder: &'a dyn Builder,
    pub(super) setting: &'a Setting<'a>,
    first: Mutex<Option<Ended>>,
}

impl<'a> Placed<'a> {
    pub(super) fn new(builder: &'a dyn Builder, setting: &'a Setting<'a>) -> Self {
        Self { builder, setting, first: Mutex::default() }
    }

    pub(super) fn first(&self) -> Option<Ended> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Builder for Placed<'_> {
    fn build(&self, order: &Order<'_>) -> Answer {
        let answer = self.setting.build(self.builder, order.base);
        if let Answer::Ended(ended) = &answer {
            self.first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| (**ended).clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_begins_at_its_phase_of_a_second_that_no_build_before_has_seen() {
        for (phase, nanos, millis) in
            [(500, 100_000_000, 1400), (100, 500_000_000, 600), (0, 0, 1000), (999, 1_000_000, 1998)]
        {
            assert_eq!(until(phase, nanos), Duration::from_millis(millis), "{phase} at {nanos}");
        }
    }

    #[test]
    fn another_host_name_is_of_one_thread_only() {
        let before = nix::unistd::gethostname().unwrap();
        let mut seen = None;
        let answer = called("elsewhere", || {
            seen = nix::unistd::gethostname().ok();
            Answer::Unmet("built".to_owned())
        });
        assert_eq!(nix::unistd::gethostname().unwrap(), before);
        match (&answer, seen) {
            (Answer::Unmet(why), Some(name)) if why == "built" => assert_eq!(name, "elsewhere"),
            (Answer::Unmet(why), None) => println!("not exercised: {why}"),
            other => panic!("{other:?}"),
        }
    }
}
