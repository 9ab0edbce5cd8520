//! What is built for measuring, as a family: a literal table. A row says how the context is made and what is promised.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// One thing to measure.
#[derive(Debug)]
pub struct Workload {
    pub id: &'static str,
    pub about: &'static str,
    pub work: Work,
    pub goals: &'static [Goal],
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A build of the context that this fills.
    Build(Fill),
    /// All cases of the checkout in all dialects, offline.
    AllCases,
    /// A build of the context of that name, which this fills and others may share, when it was built before and this was
    /// done to it since.
    Rebuild(&'static str, Fill, Edit),
}

/// Changes a context that was built; the number is the round's, so that each is another change.
pub type Edit = fn(&Path, usize) -> io::Result<()>;

/// Fills a new context; sizes are divided by the number.
pub type Fill = fn(&Path, u64) -> io::Result<()>;

/// What is promised of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    pub what: What,
    /// Beside whom: then it is a ratio of medians. `None`: seconds or MB.
    pub peer: Option<&'static str>,
    pub at_most: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Wall,
    Cpu,
    Peak,
}

impl What {
    /// As the table calls it, with its unit.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Wall => "wall, s",
            Self::Cpu => "CPU, s",
            Self::Peak => "peak memory, MB",
        }
    }
}

impl Workload {
    /// Whether anybody is to be beside us.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.goals.iter().any(|goal| goal.peer.is_some())
    }

    /// Whether that one is to be: each for whom there is a goal, and without goals for any, all.
    #[must_use]
    pub fn is_beside(&self, id: &str) -> bool {
        let named = |goal: &Goal| goal.peer.filter(|peer| *peer != NO_OP);
        let mut all = self.goals.iter().filter_map(named).peekable();
        all.peek().is_none() || all.any(|peer| peer == id)
    }
}

const fn beside(peer: &'static str, what: What, at_most: f64) -> Goal {
    Goal { what, peer: Some(peer), at_most }
}

const fn alone(what: What, at_most: f64) -> Goal {
    Goal { what, peer: None, at_most }
}

/// Every workload.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        id: "five-steps",
        about: "five instructions on busybox, one of them a RUN",
        work: Work::Build(five_steps),
        goals: &[beside("classic", What::Wall, 0.25), beside("buildkit", What::Wall, 0.25)],
    },
    Workload {
        id: "small-files",
        about: "COPY of 20,000 files in 200 directories, 42 MB, and a RUN after it",
        work: Work::Build(small_files),
        goals: &[
            beside("buildkit", What::Cpu, 0.15),
            beside("kaniko", What::Cpu, 0.25),
            alone(What::Peak, 100.0),
        ],
    },
    Workload {
        id: "big-copy",
        about: "COPY of one file of 2 GiB",
        work: Work::Build(big_copy),
        goals: &[alone(What::Peak, 150.0)],
    },
    Workload {
        id: "big-run",
        about: "RUN that writes one file of 2 GiB",
        work: Work::Build(big_run),
        goals: &[alone(What::Peak, 150.0)],
    },
    Workload {
        id: "all-cases",
        about: "every case in every observed dialect, without an engine",
        work: Work::AllCases,
        goals: &[alone(What::Wall, 15.0)],
    },
];

/// The reference's own no-op rebuild, as what others of its rebuilds are held against.
pub const NO_OP: &str = "no-op";

/// What `bench cache` measures: the same context, each time built before. Of a change it is the file of a COPY of its own that
/// is promised to cost little more than none, as a working day has it; one of the 20,000 changes a layer of 51 MB, all of which
/// has to be read, digested and compressed anew, by anybody, and is held against who does that too.
pub const REBUILDS: &[Workload] = &[
    Workload {
        id: NO_OP,
        about: "COPY of 20,000 files in 200 directories, 42 MB, a RUN and a COPY of one file, all built before",
        work: Work::Rebuild("many-and-one", many_and_one, |_, _| Ok(())),
        goals: &[
            alone(What::Cpu, 0.10),
            alone(What::Wall, 0.15),
            beside("buildkit", What::Cpu, 1.0),
            beside("buildah", What::Cpu, 0.1),
            beside("classic", What::Cpu, 1.0),
        ],
    },
    Workload {
        id: "one-changed",
        about: "the same, the one file changed: its COPY is carried out",
        work: Work::Rebuild("many-and-one", many_and_one, |dir, round| {
            fs::write(dir.join("one"), format!("round {round}\n"))
        }),
        goals: &[
            alone(What::Cpu, 0.15),
            alone(What::Wall, 0.225),
            beside(NO_OP, What::Cpu, 1.5),
            beside(NO_OP, What::Wall, 1.5),
        ],
    },
    Workload {
        id: "one-of-many-changed",
        about: "the same, one of the 20,000 changed: everything is carried out",
        work: Work::Rebuild("many-and-one", many_and_one, |dir, round| {
            fs::write(dir.join("src/d000/f00000"), format!("round {round}\n"))
        }),
        goals: &[beside("buildkit", What::Cpu, 1.0)],
    },
];

/// The workload called `id`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().chain(REBUILDS).find(|workload| workload.id == id)
}

const FROM: &str = "FROM samebuild.test/base:1\n";
const BIG: u64 = 2 << 30;

fn five_steps(dir: &Path, _: u64) -> io::Result<()> {
    fs::write(dir.join("hello"), "hello\n")?;
    let steps =
        "ENV WHO=world\nCOPY hello /srv/hello\nRUN echo $WHO >> /srv/hello\nCMD [\"cat\", \"/srv/hello\"]\n";
    fs::write(dir.join("Dockerfile"), [FROM, steps].concat())
}

/// No two files are alike: equal contents would be hashed and stored once by whoever can.
fn small_files(dir: &Path, smaller: u64) -> io::Result<()> {
    const DIRECTORIES: u64 = 200;
    const FILES: u64 = 20_000;
    for number in 0..FILES / smaller {
        let inside = dir.join(format!("src/d{:03}", number % DIRECTORIES));
        fs::create_dir_all(&inside)?;
        let text = format!("file {number} of many\n").repeat(200);
        fs::write(inside.join(format!("f{number:05}")), text.get(..2100).unwrap_or(&text))?;
    }
    fs::write(dir.join("Dockerfile"), [FROM, "COPY src /src\nRUN true\n"].concat())
}

fn many_and_one(dir: &Path, smaller: u64) -> io::Result<()> {
    small_files(dir, smaller)?;
    fs::write(dir.join("one"), "one\n")?;
    fs::write(dir.join("Dockerfile"), [FROM, "COPY src /src\nRUN true\nCOPY one /one\n"].concat())
}

fn big_copy(dir: &Path, smaller: u64) -> io::Result<()> {
    let mut big = File::create(dir.join("big"))?;
    let mut left = BIG / smaller;
    let piece: Vec<u8> = (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    while left > 0 {
        let now = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        big.write_all(piece.get(..now).unwrap_or(&piece))?;
        left -= now as u64;
    }
    fs::write(dir.join("Dockerfile"), [FROM, "COPY big /big\n"].concat())
}

fn big_run(dir: &Path, smaller: u64) -> io::Result<()> {
    let run = format!("RUN head -c {} /dev/zero > /big\n", BIG / smaller);
    fs::write(dir.join("Dockerfile"), [FROM, &run].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_its_own_name_and_promises_something() {
        let names: std::collections::BTreeSet<_> =
            WORKLOADS.iter().chain(REBUILDS).map(|workload| workload.id).collect();
        assert_eq!(names.len(), WORKLOADS.len() + REBUILDS.len());
        assert!(WORKLOADS.iter().chain(REBUILDS).all(|workload| !workload.goals.is_empty()));
    }

    #[test]
    fn who_is_beside_is_who_has_a_goal_or_all() {
        let beside = |id: &str, peer: &str| find(id).unwrap().is_beside(peer);
        assert!(beside("one-changed", "buildah") && beside("one-changed", "classic"));
        assert!(beside("one-of-many-changed", "buildkit") && !beside("one-of-many-changed", "buildah"));
    }

    #[test]
    fn every_context_is_as_large_as_it_says() {
        for (id, files, bytes) in
            [("five-steps", 1, 6), ("small-files", 20, 42_000), ("big-copy", 1, 2_147_483)]
        {
            let dir = tempfile::tempdir().unwrap();
            let Work::Build(fill) = find(id).unwrap().work else { panic!("{id} is a build") };
            fill(dir.path(), 1000).unwrap();
            let found = crate::files::below(dir.path()).unwrap();
            let contents: Vec<_> = found.iter().filter(|path| !path.ends_with("Dockerfile")).collect();
            let size: u64 = contents.iter().map(|path| path.metadata().unwrap().len()).sum();
            assert_eq!((contents.len(), size), (files, bytes), "{id}");
        }
    }
}
