//! Does one builder make one image when the clock, the times, the order, the machine change? Factors: what may be otherwise
//! between two builds of the same. A family: a function a row in [`FACTORS`]; each changes a [`Setting`] in one thing and
//! says which, or says why this builder has no such thing, which counts as not exercised. What is built how often is
//! `trial`'s affair.

mod context;
mod judge;
mod setting;
pub mod show;
mod surroundings;
mod trial;
pub mod written;

use crate::cases::splitmix64;

pub use setting::{Setting, Site, Who};
pub use trial::{Finding, Findings, Trial};

/// What is between two builds that nobody told apart: the clock went on, and chance was asked again.
pub const NOTHING: &str = "nothing";

/// One thing that can be otherwise.
pub struct Factor {
    /// As `--factor` and `[[causes]]` name it.
    pub name: &'static str,
    pub about: &'static str,
    /// Changes it, and says what it is now; or says why it cannot be changed for this builder.
    pub change: fn(&mut Setting<'_>, &mut Dice) -> Result<String, String>,
}

/// Every factor, in the order in which they are tried.
pub const FACTORS: &[Factor] = &[
    Factor {
        name: "context-mtimes",
        about: "the modification times of the context, as a later checkout has them",
        change: context::mtimes,
    },
    Factor {
        name: "start-phase",
        about: "at which part of a second the build begins",
        change: surroundings::start_phase,
    },
    Factor {
        name: "context-order",
        about: "the order in which a builder is given the context",
        change: context::order,
    },
    Factor { name: "owners", about: "who owns the context", change: context::owners },
    Factor {
        name: "umask",
        about: "the modes of the context, as a checkout under another umask has them",
        change: context::umask,
    },
    Factor {
        name: "builder-umask",
        about: "the umask of the builder's process",
        change: surroundings::umask,
    },
    Factor { name: "time-zone", about: "TZ, where the Dockerfile takes it", change: surroundings::time_zone },
    Factor { name: "builder-zone", about: "TZ of the builder's process", change: surroundings::builder_zone },
    Factor { name: "context-path", about: "where the context lies", change: context::path },
    Factor {
        name: "host-name",
        about: "the name of the machine that builds",
        change: surroundings::host_name,
    },
    Factor {
        name: "mtime-lag",
        about: "a file system that shows old modification times to who looks for changes",
        change: surroundings::mtime_lag,
    },
    Factor {
        name: "mtime-truncation",
        about: "a file system whose modification times are coarse",
        change: surroundings::mtime_truncation,
    },
];

/// The names `[[causes]]` accepts.
pub fn names() -> Vec<&'static str> {
    std::iter::once(NOTHING).chain(FACTORS.iter().map(|factor| factor.name)).collect()
}

/// The factors called so, in the order of the table; all, where none is named.
///
/// # Errors
/// In words: a name that is none, with those there are.
pub fn chosen(wanted: &[String]) -> Result<Vec<&'static Factor>, String> {
    for name in wanted {
        if !FACTORS.iter().any(|factor| factor.name == name) {
            let known: Vec<&str> = FACTORS.iter().map(|factor| factor.name).collect();
            return Err(format!("find the factor `{name}`; there are {}", known.join(", ")));
        }
    }
    let is_wanted = |factor: &&Factor| wanted.is_empty() || wanted.iter().any(|name| name == factor.name);
    Ok(FACTORS.iter().filter(is_wanted).collect())
}

/// Numbers that follow from a seed and a name: what one factor draws does not depend on which others are tried.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// For whom numbers are drawn is `name`.
    pub fn new(seed: u64, name: &str) -> Self {
        let mix = |state: u64, byte: u8| splitmix64(state.wrapping_add(u64::from(byte)));
        Self { state: name.bytes().fold(splitmix64(seed), mix) }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(1);
        splitmix64(self.state)
    }

    /// A number from `from` up to but not including `to`.
    pub fn between(&mut self, from: u32, to: u32) -> u32 {
        let width = u64::from(to.saturating_sub(from).max(1));
        from + u32::try_from(self.draw() % width).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builders::Kept;
    use crate::cases::Case;
    use std::path::Path;

    fn case(dockerfile: &str) -> (tempfile::TempDir, Case) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/a"), "x").unwrap();
        let case = crate::cases::load_one(dir.path(), "a/b".parse().unwrap(), &Default::default()).unwrap();
        (dir, case)
    }

    const ALL: [Who<'static>; 3] = [Who::Reference, Who::Engine("e"), Who::Program("p")];

    fn site<'a>(work: &'a Path, who: Who<'a>) -> Site<'a> {
        Site { dialect: "buildkit@26.1", who, snapshotter: None, work }
    }

    /// What a factor does, in words: all that a build can notice.
    fn plan(seed: u64, factor: &Factor, case: &Case, site: Site<'_>) -> String {
        let kept = Kept::default();
        let mut setting = Setting::first(case, site, &kept, seed);
        let what = (factor.change)(&mut setting, &mut Dice::new(seed, factor.name));
        let tree = setting.case.context_tree();
        let metas: Vec<String> = tree.iter().map(|(at, _, inode)| format!("{at} {:?}", inode.meta)).collect();
        format!(
            "{what:?} {} {:?} {:?} {:?} {:?} {:?} {:?} {metas:?} {:?}",
            setting.phase_ms,
            setting.umask,
            setting.host,
            setting.shuffle,
            setting.lag,
            setting.lag_on_files,
            setting.zone,
            setting.case.build
        )
    }

    #[test]
    fn names_are_unique_and_kebab_case_and_every_about_is_a_line() {
        let names = names();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        for factor in FACTORS {
            assert!(
                factor.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{}",
                factor.name
            );
            assert!(!factor.about.is_empty() && !factor.about.contains('\n'), "{}", factor.name);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let (_dir, case) = case("FROM scratch\nARG TZ\nCOPY d /d\n");
        let work = tempfile::tempdir().unwrap();
        for who in ALL {
            let all = |seed: u64| -> Vec<String> {
                FACTORS.iter().map(|factor| plan(seed, factor, &case, site(work.path(), who))).collect()
            };
            for seed in (0..60).map(splitmix64) {
                assert_eq!(all(seed), all(seed), "seed {seed}, {who:?}");
                assert_ne!(all(seed), all(seed.wrapping_add(1)), "seed {seed}, {who:?}");
            }
        }
    }

    #[test]
    fn a_factor_changes_one_thing_or_nothing_and_says_why() {
        let (_dir, case) = case("FROM scratch\nCOPY d /d\n");
        let work = tempfile::tempdir().unwrap();
        for who in ALL {
            let site = site(work.path(), who);
            let untouched = Factor { name: "none", about: "", change: |_, _| Ok(String::new()) };
            let before = plan(7, &untouched, &case, site);
            let mut exercised = 0;
            for factor in FACTORS {
                let kept = Kept::default();
                let mut setting = Setting::first(&case, site, &kept, 7);
                match (factor.change)(&mut setting, &mut Dice::new(7, factor.name)) {
                    Ok(what) => {
                        exercised += 1;
                        assert_ne!(plan(7, factor, &case, site), before, "{}", factor.name);
                        assert!(!what.is_empty(), "{}", factor.name);
                    }
                    Err(why) => {
                        let same = plan(7, factor, &case, site).replacen(
                            &format!("{:?}", Err::<String, _>(&why)),
                            "Ok(\"\")",
                            1,
                        );
                        assert_eq!(same, before, "{} changed something", factor.name);
                        assert!(why.len() > 20, "{}: {why}", factor.name);
                    }
                }
            }
            assert!(exercised >= 4, "{exercised} with {who:?}");
        }
    }

    #[test]
    fn a_factor_that_nobody_knows_is_refused_with_those_there_are() {
        let error = chosen(&["moon".to_owned()]).err().unwrap();
        assert!(error.contains("moon") && error.contains("context-mtimes"), "{error}");
        assert_eq!(chosen(&[]).unwrap().len(), FACTORS.len());
        assert_eq!(chosen(&["umask".to_owned()]).unwrap()[0].name, "umask");
    }
}
