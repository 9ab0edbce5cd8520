//! What a run costs: seconds on the clock, seconds of the processor, and the most memory that one process of it had at a
//! time. A program is measured by a small process between it and us, because a process inherits the high-water mark of
//! whoever starts it, and ours is not what is measured. A daemon is measured by what the kernel says of its process and of
//! all that descend from it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use serde::{Deserialize, Serialize};

/// The hidden first argument; the program and its arguments follow.
const MEASURE: &str = "__measure";

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub wall_s: f64,
    /// User and system, children that ended included.
    pub cpu_s: f64,
    /// The most memory of the largest process, in MB; a daemon is not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_mb: Option<f64>,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s, {:.2} s of CPU", self.wall_s, self.cpu_s)?;
        self.peak_mb.map_or(Ok(()), |peak| write!(f, ", {peak:.0} MB"))
    }
}

/// How a measured program ended, and what it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    code: Option<i32>,
    said: String,
}

impl Ending {
    /// Whether it ended with 0.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.is(0)
    }

    /// Whether it ended with this exit code.
    #[must_use]
    pub fn is(&self, code: i32) -> bool {
        self.code == Some(code)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "it ended with exit code {code}: {}", self.said),
            None => write!(f, "it was killed: {}", self.said),
        }
    }
}

/// What the process between tells.
#[derive(Serialize, Deserialize)]
struct Told {
    cost: Cost,
    code: Option<i32>,
}

/// Runs `command`, which prints nothing that is needed, and measures it and all its children.
///
/// # Errors
/// It cannot be started.
pub fn measured(command: &Command) -> Result<(Cost, Ending)> {
    let mut between = Command::new("/proc/self/exe");
    between.arg(MEASURE).arg(program_of(command)?).args(command.get_args()).stdin(Stdio::null());
    between.current_dir(command.get_current_dir().unwrap_or(std::path::Path::new(".")));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => between.env(name, value),
            None => between.env_remove(name),
        };
    }
    let output = between.output().context("start the process that measures")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    let said = last.into_iter().rev().collect::<Vec<_>>().join("; ");
    let Ok(told) = serde_json::from_slice::<Told>(&output.stdout) else {
        bail!("measure {}: {said}", command.get_program().display());
    };
    Ok((told.cost, Ending { code: told.code, said }))
}

/// `/proc/self/exe` would be the process between.
fn program_of(command: &Command) -> Result<OsString> {
    if command.get_program() == "/proc/self/exe" {
        return Ok(std::env::current_exe().context("find our own program")?.into());
    }
    Ok(command.get_program().to_owned())
}

/// To be called first in `main`; does not return in the process between.
pub fn measure_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != MEASURE) {
        return;
    }
    let told = args.next().context("measure nothing").and_then(|program| measure_child(program, args));
    let printed = told.and_then(|told| {
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    });
    if let Err(error) = &printed {
        eprintln!("failed to {error:#}");
    }
    std::process::exit(i32::from(printed.is_err()));
}

/// Its only child ever, so that what the kernel counts of children is that one's.
fn measure_child(program: OsString, args: impl Iterator<Item = OsString>) -> Result<Told> {
    let begun = Instant::now();
    let mut command = Command::new(&program);
    let status = command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    let wall_s = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask what it cost")?;
    let cost = Cost {
        wall_s,
        cpu_s: both_times(&usage).as_secs_f64(),
        peak_mb: Some(usage.max_rss() as f64 * 1024.0 / 1e6),
    };
    Ok(Told { cost, code: status.code() })
}

/// What the process `root`, all that descend from it and all of theirs that have ended have cost so far.
///
/// # Errors
/// `/proc` cannot be read.
pub fn cpu_of_tree(root: u32) -> std::io::Result<Duration> {
    let mut all: BTreeMap<u32, Stat> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile is counted by its parent.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        if let Some(stat) = stat.ok().as_deref().and_then(Stat::read) {
            all.insert(pid, stat);
        }
    }
    let descends = |mut pid: u32| {
        for _ in 0..all.len() {
            if pid == root {
                return true;
            }
            let Some(stat) = all.get(&pid) else { return false };
            pid = stat.parent;
        }
        false
    };
    let ticks: u64 = all.iter().filter(|(pid, _)| descends(**pid)).map(|(_, stat)| stat.ticks).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// What our children that have ended, and theirs, have cost so far.
///
/// # Errors
/// The kernel does not say.
pub fn cpu_of_children() -> Result<Duration> {
    Ok(both_times(&getrusage(UsageWho::RUSAGE_CHILDREN).context("ask what children have cost")?))
}

/// User and system.
fn both_times(usage: &Usage) -> Duration {
    let micros = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    micros(usage.user_time()) + micros(usage.system_time())
}

/// In which the kernel tells processes' times; part of its interface since long before 2.6 on all machines we know.
const TICKS_A_SECOND: u64 = 100;

/// The little that is wanted of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Own and of children waited for, user and system.
    ticks: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
        let ticks = ticks.collect::<Result<Vec<_>, _>>().ok()?.iter().sum();
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_be_called_anything() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5";
        assert_eq!(Stat::read(stat), Some(Stat { parent: 3, ticks: 100 }));
        assert_eq!(Stat::read("7 (cut"), None);
    }

    #[test]
    fn what_a_child_burns_is_counted_when_it_has_ended() {
        let own = std::process::id();
        let before = cpu_of_tree(own).unwrap();
        let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", burn]).status().unwrap().success());
        let burnt = cpu_of_tree(own).unwrap() - before;
        assert!(burnt >= Duration::from_millis(20), "{burnt:?}");
    }
}
