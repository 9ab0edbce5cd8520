//! A project that is edited at random: a context on disk, arguments, and a Dockerfile of some lines. What is built of it, and
//! how often, is `play`'s.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::play::Time;

/// splitmix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// What is built, as it stands after some edits.
#[derive(Clone, Debug)]
pub struct Project {
    pub dir: PathBuf,
    /// Of these the Dockerfile is made.
    words: &'static [&'static str],
    arg: usize,
    env: usize,
    lines: Vec<usize>,
    ignores: bool,
    /// Of the dialects that are cached.
    pub dialect: usize,
    pub began: Time,
}

/// Lines that need no sandbox.
pub const LINES: [&str; 12] = [
    "COPY d /d",
    "COPY d/ /d/",
    "COPY a b* /few/",
    "ADD d/e $TO",
    "COPY . /all/",
    "WORKDIR /w/$A",
    "COPY --chown=$ARG:7 a ./",
    "ENV A=x",
    "COPY --from=other /o /o",
    "USER app",
    "LABEL l=$ARG",
    "COPY --chmod=755 d/e a /modes/",
];

impl Project {
    /// One whose context is to be made at `dir`.
    pub fn new(dir: PathBuf, words: &'static [&'static str], began: Time, dice: &mut Dice) -> Self {
        std::fs::create_dir_all(dir.join("d/g")).unwrap();
        for (name, text) in [("a", "x\n"), ("b1", "y\n"), ("d/e", "x\n"), ("d/f", "y\n"), ("d/g/h", "z\n")] {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let lines = (0..3).map(|_| dice.next(words.len())).collect();
        let dialect = dice.next(6);
        Self { dir, words, arg: 0, env: 0, lines, ignores: false, dialect, began }
    }

    pub fn dockerfile(&self) -> String {
        let mut text = "FROM base AS other\nCOPY d /o\nFROM base\nARG TO=/t\nARG ARG\n".to_owned();
        text.push_str(&format!("ENV A=env{}\n", self.env));
        for line in &self.lines {
            text.push_str(self.words[*line]);
            text.push('\n');
        }
        text
    }

    pub fn args(&self) -> Vec<(&'static str, &'static str)> {
        let arg = ["1", "2", "3"][self.arg % 3];
        if self.arg.is_multiple_of(2) {
            vec![("ARG", arg)]
        } else {
            vec![("ARG", arg), ("TO", "/u/"), ("UNSEEN", arg)]
        }
    }
}

/// One edit, in words.
pub fn edit(project: &mut Project, dice: &mut Dice) -> String {
    let dir = project.dir.clone();
    let names = ["a", "b1", "b2", "d/e", "d/f", "d/g/h", "link", "late"];
    let path = |dice: &mut Dice| dir.join(names[dice.next(names.len())]);
    let shown = |path: &Path| path.strip_prefix(&dir).unwrap_or(path).display().to_string();
    match dice.next(14) {
        0 | 1 => {
            // The same size as before, mostly: what a stat cannot tell but by its times.
            let (path, text) = (path(dice), ["x\n", "y\n", "z\n", "longer\n"][dice.next(4)]);
            let _ = std::fs::create_dir_all(path.parent().unwrap());
            if path.is_dir() || path.is_symlink() {
                return "nothing".to_owned();
            }
            std::fs::write(&path, text).unwrap();
            format!("write {text:?} to {}", shown(&path))
        }
        2 => {
            let (from, to) = (path(dice), path(dice));
            if !from.is_file() || to.is_dir() || from.is_symlink() || to.is_symlink() {
                return "nothing".to_owned();
            }
            let _ = std::fs::create_dir_all(to.parent().unwrap());
            std::fs::rename(&from, &to).unwrap();
            format!("rename {} to {}", shown(&from), shown(&to))
        }
        3 => {
            let (path, mode) = (path(dice), [0o644, 0o755, 0o4755, 0o600][dice.next(4)]);
            if !path.is_file() || path.is_symlink() {
                return "nothing".to_owned();
            }
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            format!("chmod {mode:o} {}", shown(&path))
        }
        4 => {
            let (path, secs) = (path(dice), 1_500_000_000 + dice.next(3) as i64);
            if path.is_symlink() || !path.exists() {
                return "nothing".to_owned();
            }
            filetime(&path, secs);
            format!("touch {} to {secs}", shown(&path))
        }
        5 => {
            let (link, target) = (dir.join("link"), ["a", "d/e", "nowhere"][dice.next(3)]);
            let _ = std::fs::remove_file(&link);
            symlink(target, &link).unwrap();
            format!("link to {target}")
        }
        6 => {
            let (one, two) = (path(dice), path(dice));
            if !one.is_file() || one.is_symlink() || two.exists() || two.is_symlink() {
                return "nothing".to_owned();
            }
            let _ = std::fs::create_dir_all(two.parent().unwrap());
            std::fs::hard_link(&one, &two).unwrap();
            format!("hard link {} to {}", shown(&two), shown(&one))
        }
        7 => {
            let path = path(dice);
            // The first line's sources have to be there, or nothing is built at all; that is tried often enough.
            let _ = std::fs::remove_file(&path);
            format!("remove {}", shown(&path))
        }
        8 => {
            project.arg = dice.next(6);
            format!("arguments {:?}", project.args())
        }
        9 => {
            project.env = dice.next(3);
            format!("environment {}", project.env)
        }
        10 => {
            let n = project.lines.len();
            let (a, b) = (dice.next(n), dice.next(n));
            project.lines.swap(a, b);
            format!("swap lines {a} and {b}")
        }
        11 => {
            let n = dice.next(project.lines.len());
            project.lines[n] = dice.next(project.words.len());
            format!("line {n} is {}", project.words[project.lines[n]])
        }
        12 => {
            project.ignores = !project.ignores;
            let text = if project.ignores { "d/f\nlate\n" } else { "" };
            std::fs::write(dir.join(".dockerignore"), text).unwrap();
            format!("ignore {text:?}")
        }
        _ => {
            // As `git checkout` does, to and fro.
            std::fs::write(dir.join("a"), "other\n").unwrap();
            std::fs::write(dir.join("a"), "x\n").unwrap();
            "write a twice".to_owned()
        }
    }
}

fn filetime(path: &Path, secs: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: secs, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
