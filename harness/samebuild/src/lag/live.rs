//! A rewrite of the same size by real builders, on files that lag and on files that do not: does it get into the image? What
//! is predicted of each, the snapshotter says that stands for how the builder finds changes ([`Trial::is_kept`]).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use samebuild_builder::snapshot::probe::Honest;
use samebuild_builder::snapshot::walk::{self, Snapshotter, compare};
use samebuild_image::golden::{Outcome, Stratum};
use samebuild_image::{At, Content, Kind, Meta, Mtime, Tree};

use super::loop_disk::LoopDisk;
use super::places::aside;
use crate::bases::Base;
use crate::builders::{self, Answer, Ground, Means, Order};
use crate::cases;
use crate::faults::mtime_lag::Shape;
use crate::programs::buildah::{Buildah, Driver, Storage};
use crate::programs::{Around, Silent};

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Buildah(Driver),
    /// Kaniko, with this `--snapshot-mode`.
    Kaniko(&'static str),
}

/// What is done to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// As soon as the builder comes to it.
    Later,
    /// In the very second in which the layer below says it was written. Layers keep whole seconds, so a clock that is
    /// exact to the nanosecond does not help who takes them for exact.
    SameSecond,
    /// A second after it.
    NextSecond,
}

/// What the builder keeps its files on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Where builds work.
    Usual,
    Lagging(Shape),
    /// Ext4 on a loop device, with inodes of so many bytes.
    Ext4(u32),
}

/// One trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    pub who: Who,
    pub rewrite: Rewrite,
    pub files: Files,
}

const FROZEN: Files = Files::Lagging(Shape::Freeze { window_s: 3600 });
const CUT: Files = Files::Lagging(Shape::Truncate { granularity_s: 86_400 });

const fn trial(who: Who, rewrite: Rewrite, files: Files) -> Trial {
    Trial { who, rewrite, files }
}

/// Every trial, controls among them.
pub const TRIALS: [Trial; 14] = [
    trial(Who::Buildah(Driver::Vfs), Rewrite::Later, Files::Usual),
    trial(Who::Buildah(Driver::Vfs), Rewrite::Later, FROZEN),
    trial(Who::Buildah(Driver::Vfs), Rewrite::Later, CUT),
    trial(Who::Buildah(Driver::Overlay), Rewrite::Later, FROZEN),
    trial(Who::Buildah(Driver::Overlay), Rewrite::Later, CUT),
    trial(Who::Buildah(Driver::Vfs), Rewrite::SameSecond, Files::Ext4(128)),
    trial(Who::Buildah(Driver::Vfs), Rewrite::NextSecond, Files::Ext4(128)),
    trial(Who::Buildah(Driver::Overlay), Rewrite::SameSecond, Files::Ext4(128)),
    trial(Who::Buildah(Driver::Vfs), Rewrite::SameSecond, Files::Ext4(256)),
    trial(Who::Buildah(Driver::Vfs), Rewrite::NextSecond, Files::Ext4(256)),
    trial(Who::Kaniko("redo"), Rewrite::Later, Files::Usual),
    trial(Who::Kaniko("redo"), Rewrite::Later, FROZEN),
    trial(Who::Kaniko("time"), Rewrite::Later, FROZEN),
    trial(Who::Kaniko("full"), Rewrite::Later, FROZEN),
];

/// Of how many seconds the second that is hit is ahead: of the first try, and of the next one where the builder was slower.
const AHEAD: [u32; 3] = [5, 15, 40];
const TOO_LATE: &str = "the second is over";

/// When the file is written first, in seconds and nanoseconds.
const WRITTEN: (i64, u32) = (100, 250_000_000);

impl Trial {
    /// Whether the new content is predicted to get into the image: whether who finds changes as the builder does sees one,
    /// of the times that its files tell.
    pub fn is_kept(self) -> bool {
        let Some(snapshotter) = self.who.snapshotter() else { return true };
        // What lies in a layer below was unpacked, and a tar keeps whole seconds.
        let written = if self.who.unpacks() { (WRITTEN.0, 0) } else { WRITTEN };
        let written = self.files.told(written, written);
        let tree = |text: &str, (secs, nanos)| {
            let mut tree = Tree::new();
            let meta = Meta::new(0o644, Mtime::At { secs, nanos });
            tree.insert(&At::from("f"), Kind::File(Content::inline(text.as_bytes())), meta);
            tree
        };
        let (before, after) =
            (tree("aaaa\n", written), tree("bbbb\n", self.files.told(self.rewrite.time(), written)));
        let see = |tree| snapshotter.see(&mut Honest(tree));
        match (see(&before), see(&after)) {
            (Ok(before), Ok(after)) => !compare(&before, &after).changed.is_empty(),
            _ => false,
        }
    }
}

impl Rewrite {
    /// A time at which it may happen.
    fn time(self) -> (i64, u32) {
        match self {
            Self::Later => (WRITTEN.0 + 2, 500_000_000),
            Self::SameSecond => (WRITTEN.0, WRITTEN.1 + 250_000_000),
            Self::NextSecond => (WRITTEN.0 + 1, 0),
        }
    }

    /// What it is in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Later => "when its turn comes",
            Self::SameSecond => "in the second its layer says",
            Self::NextSecond => "in the second after",
        }
    }

    /// Two RUNs; a clock that has come too far says so.
    fn dockerfile(self, base: &str, ahead: u32) -> String {
        let until = match self {
            Self::Later => return format!("FROM {base}\nRUN echo aaaa > /f\nRUN echo bbbb > /f\n"),
            Self::SameSecond => "-lt",
            Self::NextSecond => "-le",
        };
        format!(
            "FROM {base}\n\
             RUN echo aaaa > /f && touch -d @$(( $(date +%s) + {ahead} )) /f\n\
             RUN test $(date +%s) -lt $(stat -c %Y /f) || echo {TOO_LATE}; \
             while test $(date +%s) {until} $(stat -c %Y /f); do usleep 10000; done; echo bbbb > /f\n"
        )
    }
}

impl Files {
    /// The time they tell of a file of which they told `first` before.
    fn told(self, time: (i64, u32), first: (i64, u32)) -> (i64, u32) {
        match self {
            Self::Lagging(Shape::Freeze { .. }) => first,
            Self::Lagging(Shape::Truncate { granularity_s }) => {
                (time.0 - time.0.rem_euclid(granularity_s), 0)
            }
            // Inodes of 128 bytes have no room for nanoseconds.
            Self::Ext4(128) => (time.0, 0),
            Self::Usual | Self::Ext4(_) => time,
        }
    }

    /// What they are in words.
    pub fn name(self) -> String {
        match self {
            Self::Usual => "where builds work".to_owned(),
            Self::Lagging(shape) => format!("FUSE, {shape}"),
            Self::Ext4(bytes) => format!("ext4, {bytes}-byte inodes, a loop device"),
        }
    }
}

impl Who {
    /// Who finds changes as it does; none where the files say so themselves, in the upper directory of an overlay.
    fn snapshotter(self) -> Option<&'static Snapshotter> {
        match self {
            Self::Buildah(Driver::Vfs) => walk::find("naive"),
            Self::Buildah(Driver::Overlay) => None,
            Self::Kaniko(mode) => walk::find(mode),
        }
    }

    /// Whether each step begins with files that were unpacked.
    fn unpacks(self) -> bool {
        matches!(self, Self::Buildah(_))
    }

    /// What it is called in tables.
    pub fn name(self) -> String {
        match self {
            Self::Buildah(driver) => format!("buildah, {}", driver.name()),
            Self::Kaniko(mode) => format!("kaniko, {mode}"),
        }
    }
}

/// What trials are made with; each builder or why it is not there.
pub struct Bench<'a> {
    pub work: &'a Path,
    pub base: &'a Base,
    pub buildah: Result<&'a Buildah, &'a str>,
}

impl Bench<'_> {
    /// Whether the new content is in the image; what this machine lacks for it as a sentence.
    ///
    /// # Errors
    /// It could be tried, and went wrong.
    pub fn kept(&self, trial: Trial) -> io::Result<Result<bool, String>> {
        for ahead in AHEAD {
            match self.once(trial, ahead) {
                Ok(Seen { late: true, .. }) => {}
                Ok(seen) => return Ok(Ok(seen.is_new)),
                Err(Silent::Unmet(why)) => return Ok(Err(why)),
                Err(Silent::Broken(why)) => return Err(io::Error::other(why)),
            }
        }
        Ok(Err(format!("two RUNs are more than {} s apart here", AHEAD[AHEAD.len() - 1])))
    }

    fn once(&self, trial: Trial, ahead: u32) -> Result<Seen, Silent> {
        let dockerfile = trial.rewrite.dockerfile(&self.base.reference, ahead);
        let around = match trial.files {
            Files::Lagging(shape) => Around { lag: Some(shape), ..Around::default() },
            Files::Usual | Files::Ext4(_) => Around::default(),
        };
        let build = |work: &Path| match trial.who {
            Who::Buildah(driver) => self.by_buildah(driver, &dockerfile, work, around),
            Who::Kaniko(mode) => self.by_kaniko(mode, &dockerfile, work, around),
        };
        let Files::Ext4(bytes) = trial.files else { return build(self.work) };
        let seen = aside(|| match LoopDisk::new(bytes, self.work)? {
            Ok(disk) => Ok(Ok(build(disk.path()))),
            Err(why) => Ok(Err(why)),
        });
        match seen {
            Ok(Ok(seen)) => seen,
            Ok(Err(why)) => Err(Silent::Unmet(why)),
            Err(error) => Err(broken("make a loop device", &error)),
        }
    }

    fn by_buildah(
        &self,
        driver: Driver,
        dockerfile: &str,
        work: &Path,
        around: Around<'_>,
    ) -> Result<Seen, Silent> {
        let buildah = self.buildah.map_err(|why| Silent::Unmet(why.to_owned()))?;
        let storage =
            Storage::open(buildah, driver, work).map_err(|error| broken("make a storage", &error))?;
        storage.load(&self.base.archive)?;
        let room = written(self.work, dockerfile)?;
        const TAG: &str = "samebuild.test/lag:1";
        let args =
            ["--network", "none", "--tag", TAG].map(Into::into).into_iter().chain([room.path().into()]);
        let printed = storage.build(args.collect(), around)?;
        if !printed.is_good {
            return Err(Silent::Broken(format!("buildah: {}", printed.lines.join("; "))));
        }
        if around.lag.is_some() && printed.lies == 0 {
            return Err(Silent::Broken("buildah was told no wrong time".to_owned()));
        }
        let image = room.path().join("image.tar");
        storage.export(TAG, &image)?;
        let late = printed.lines.iter().any(|line| line == TOO_LATE);
        Ok(Seen { is_new: read(&image)?, late })
    }

    fn by_kaniko(
        &self,
        mode: &str,
        dockerfile: &str,
        work: &Path,
        around: Around<'_>,
    ) -> Result<Seen, Silent> {
        let means = Means { work: work.to_owned(), unpacked: PathBuf::new(), goldens: None, engine: None };
        let kaniko = builders::open("kaniko", &means).map_err(Silent::Unmet)?;
        let room = written(self.work, dockerfile)?;
        let id = "lag/rewrite".parse().map_err(|_| broken("name a case", &"lag/rewrite"))?;
        let case = cases::load_one(room.path(), id, &cases::Vocabulary::default());
        let mut case = case.map_err(|error| Silent::Broken(error.render()))?;
        let flags = ["--snapshot-mode", mode].map(str::to_owned).to_vec();
        case.build.flags = BTreeMap::from([("kaniko".to_owned(), flags)]);
        let ground = Ground::new(self.base.clone()).map_err(|error| broken("read the base", &error))?;
        let dialect = kaniko.by_itself().map_or("kaniko", |(dialect, _)| dialect);
        match kaniko.build(&Order { around, ..Order::new(&case, dialect, &ground) }) {
            Answer::Ended(ended) => match &ended.observation.outcome {
                Outcome::Built(record) => {
                    let has_it = |layer: &&Stratum| layer.rows.iter().any(|row| row.path == b"f");
                    let late = ended.log.iter().any(|line| line == TOO_LATE);
                    Ok(Seen { is_new: record.layers.iter().filter(has_it).count() == 2, late })
                }
                Outcome::Failed(failure) => Err(Silent::Broken(format!("kaniko: {}", failure.message))),
            },
            Answer::Unmet(why) => Err(Silent::Unmet(why)),
            Answer::Broken(why) => Err(Silent::Broken(why)),
        }
    }
}

struct Seen {
    is_new: bool,
    /// The second that was to be hit was over.
    late: bool,
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> Silent {
    Silent::Broken(format!("{what}: {error}"))
}

fn written(work: &Path, dockerfile: &str) -> Result<tempfile::TempDir, Silent> {
    let room = tempfile::Builder::new().prefix("context-").tempdir_in(work);
    let room = room.map_err(|error| broken("make a context", &error))?;
    std::fs::write(room.path().join("Dockerfile"), dockerfile)
        .map_err(|error| broken("write a Dockerfile", &error))?;
    Ok(room)
}

/// Whether the file says what the last RUN wrote; anything but that and the first is an error.
fn read(image: &Path) -> Result<bool, Silent> {
    let image = crate::stored::read_image(image).map_err(|error| Silent::Broken(format!("{error:#}")))?.image;
    let tree = image.tree().map_err(|error| broken("read the image", &error))?;
    let Some(Kind::File(content)) = tree.get(&At::from("f")).map(|inode| &inode.kind) else {
        return Err(Silent::Broken("the image has no /f".to_owned()));
    };
    match content.read_up_to(16).map_err(|error| broken("read /f", &error))?.as_deref() {
        Some(b"bbbb\n") => Ok(true),
        Some(b"aaaa\n") => Ok(false),
        other => Err(Silent::Broken(format!("/f says {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_a_control_that_differs_in_one_thing_and_keeps_it() {
        let differs = |one: &Trial, other: &Trial| {
            usize::from(one.who != other.who)
                + usize::from(one.rewrite != other.rewrite)
                + usize::from(one.files != other.files)
        };
        for loss in TRIALS.iter().filter(|trial| !trial.is_kept()) {
            let has_control = TRIALS.iter().any(|trial| trial.is_kept() && differs(loss, trial) == 1);
            assert!(has_control, "{loss:?}");
        }
    }

    /// As buildah 1.28 and kaniko's algorithms were seen to lose them; `records/lag-live.json` has the builds.
    #[test]
    fn the_snapshotters_predict_the_losses_that_were_seen() {
        let lost = |trial: &&Trial| !trial.is_kept();
        let named = |trial: &Trial| {
            format!("{} · {} · {}", trial.who.name(), trial.rewrite.name(), trial.files.name())
        };
        expect_test::expect![[r#"
            buildah, vfs · when its turn comes · FUSE, freeze=3600s
            buildah, vfs · when its turn comes · FUSE, truncate=86400s
            buildah, vfs · in the second its layer says · ext4, 128-byte inodes, a loop device
            buildah, vfs · in the second its layer says · ext4, 256-byte inodes, a loop device
            kaniko, redo · when its turn comes · FUSE, freeze=3600s
            kaniko, time · when its turn comes · FUSE, freeze=3600s"#]]
        .assert_eq(&TRIALS.iter().filter(lost).map(named).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn only_a_rewrite_that_is_to_hit_a_second_waits_and_says_when_it_is_too_late() {
        for (rewrite, waits) in
            [(Rewrite::Later, false), (Rewrite::SameSecond, true), (Rewrite::NextSecond, true)]
        {
            let text = rewrite.dockerfile("b:1", 7);
            assert_eq!((text.contains("while"), text.contains(TOO_LATE)), (waits, waits), "{text}");
            assert!(text.starts_with("FROM b:1\nRUN echo aaaa > /f"), "{text}");
        }
    }
}
