//! Builders that are programs and not engines: how one is started so that all of it ends with us, in which time zone, and on
//! files that lag. What it builds is `builders`' affair; each file here is one program.

pub mod buildah;
pub mod kaniko;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::faults::mtime_lag::Shape;
use crate::faults::passthrough;

/// What is around a program, or an engine, and not its to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around<'a> {
    /// `TZ`.
    pub zone: Option<&'a str>,
    /// How modification times lag where it keeps its files.
    pub lag: Option<Shape>,
}

/// What a program printed, and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// Stdout and stderr as they came.
    pub lines: Vec<String>,
    pub is_good: bool,
    /// How many wrong times it was told; 0 where none lags.
    pub lies: usize,
}

impl Printed {
    /// The last line with anything in it.
    #[must_use]
    pub fn last(&self) -> &str {
        let last = self.lines.iter().rev().find(|line| !line.trim().is_empty());
        last.map_or("it said nothing", String::as_str)
    }
}

/// Why nothing can be said of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silent {
    /// The machine lacks something.
    Unmet(String),
    Broken(String),
}

/// A program with what it is given.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub program: &'a Path,
    pub args: Vec<OsString>,
    /// All of its environment but for `TZ`.
    pub env: Vec<(&'static str, OsString)>,
    /// Where it keeps the files that lag, if any do.
    pub files: &'a Path,
    pub deadline: Duration,
}

/// What ends a process when the one that started it ends; then namespaces in which all that it starts and mounts goes
/// with it. Both are util-linux'.
const TIED: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];
const ALONE: [&str; 8] =
    ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"];

/// What a machine needs to run programs so.
pub fn unmet() -> Option<String> {
    if !samebuild_builder::sandbox::standing().is_root() {
        return Some("mounts and namespaces of a builder that is a program need root".to_owned());
    }
    let missing = [TIED[0], ALONE[0]].into_iter().find(|name| on_path(name).is_none());
    if let Some(name) = missing {
        return Some(format!("there is no {name} on PATH; it is util-linux'"));
    }
    let tried = Command::new(TIED[0]).args(&TIED[1..]).args(ALONE).arg("true").output();
    let said = match tried {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!("a builder that is a program needs namespaces of its own, and they cannot be had: {said}"))
}

/// A program on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

impl Call<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// The machine cannot make files lag; or the program cannot be started, or hangs.
    pub fn run(&self, around: Around<'_>) -> Result<Printed, Silent> {
        let broken = |what: &str, error: &dyn std::fmt::Display| Silent::Broken(format!("{what}: {error}"));
        let log = tempfile::NamedTempFile::new().map_err(|error| broken("make a log of lies", &error))?;
        let mut words: Vec<OsString> = TIED.map(OsString::from).to_vec();
        if let Some(shape) = around.lag {
            if let Some(unmet) = passthrough::unmet() {
                return Err(Silent::Unmet(unmet));
            }
            let own = std::env::current_exe().map_err(|error| broken("find this program", &error))?;
            words.push(own.into());
            words.extend(["fault", "mtime-lag", "--shape", &shape.to_string(), "--dir"].map(OsString::from));
            words.extend([self.files.as_os_str().to_owned(), "--log".into(), log.path().into(), "--".into()]);
            words.extend(TIED.map(OsString::from));
        }
        words.extend(ALONE.map(OsString::from));
        words.push(self.program.into());
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().envs(self.env.iter().cloned()).stdin(Stdio::null());
        command.envs(around.zone.map(|zone| ("TZ", zone)));
        let mut printed = self.heard(&mut command)?;
        let unmet = printed.lines.iter().find_map(|line| line.strip_prefix("not exercised: "));
        if let (Some(_), false, Some(unmet)) = (around.lag, printed.is_good, unmet) {
            return Err(Silent::Unmet(unmet.to_owned()));
        }
        let lies = std::fs::read(log.path()).map_err(|error| broken("read the log of lies", &error))?;
        printed.lies = lies.iter().filter(|byte| **byte == b'\n').count();
        Ok(printed)
    }

    fn heard(&self, command: &mut Command) -> Result<Printed, Silent> {
        let name = self.program.file_name().unwrap_or_default().display();
        let say = |error: std::io::Error| Silent::Broken(format!("run {name}: {error}"));
        let (reader, writer) = std::io::pipe().map_err(say)?;
        command.stdout(writer.try_clone().map_err(say)?).stderr(writer);
        let mut child = command.spawn().map_err(say)?;
        // The command holds the other ends of the pipe: they must go for it to close.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let output = std::thread::spawn(move || -> Vec<String> {
            let text = |line: Vec<u8>| String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            BufReader::new(reader).split(b'\n').map_while(Result::ok).map(text).collect()
        });
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(say)? {
                break status;
            }
            if begun.elapsed() > self.deadline {
                // All else is tied to it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Silent::Broken(format!(
                    "{name} was still running after {} s",
                    self.deadline.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let lines = output.join().unwrap_or_default();
        Ok(Printed { lines, is_good: status.success(), lies: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, around: Around<'_>, deadline: Duration) -> Option<Result<Printed, Silent>> {
        if let Some(unmet) = unmet() {
            println!("not exercised: {unmet}");
            return None;
        }
        let env = vec![("PATH", std::env::var_os("PATH").unwrap_or_default())];
        let args = vec!["-c".into(), script.into()];
        let (program, files) = (Path::new("/bin/sh"), Path::new("/"));
        Some(Call { program, args, env, files, deadline }.run(around))
    }

    #[test]
    fn a_program_is_alone_has_its_zone_and_no_other_variable_and_its_end_is_told() {
        let around = Around { zone: Some("XYZ-5:45"), lag: None };
        let script = "echo $$ $TZ $HOME.; mount -t tmpfs none /mnt; echo no >&2; exit 4";
        let Some(printed) = shell(script, around, Duration::from_secs(60)) else { return };
        let printed = printed.unwrap();
        assert_eq!((printed.lines, printed.is_good), (vec!["1 XYZ-5:45 .".into(), "no".into()], false));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(" /mnt "), "{mounts}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let beat = dir.path().join("beat");
        let script = format!("(while :; do echo >> {}; sleep 0.05; done) & sleep 600", beat.display());
        let Some(ended) = shell(&script, Around::default(), Duration::from_secs(1)) else { return };
        assert!(matches!(ended, Err(Silent::Broken(why)) if why.contains("after 1 s")));
        let length = || std::fs::metadata(&beat).map_or(0, |stat| stat.len());
        std::thread::sleep(Duration::from_millis(500));
        let before = length();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(length(), before, "something goes on");
    }
}
