//! The two small processes between us and a private `dockerd`: this program, run again under a hidden first argument.
//!
//! The *supervisor* lives in the machine's namespaces. It holds the run directory's lock and reads its standard input,
//! a pipe whose other end is ours; when that ends, because we stop the engine or because we died of anything at all,
//! it kills the engine and removes the run directory.
//!
//! The *init* is process 1 of a PID namespace and owns a mount namespace: whatever the engine starts dies with it, and
//! whatever it mounts (overlays, `exec/netns/default`, which 20.10 leaves behind) goes with the last process. So nothing
//! has to be hunted down, and nothing of the machine's is in reach: `/run` is the engine's own, because containerd's
//! shims keep their sockets in `/run/containerd`, and `/etc/docker` is, because 20.10 writes `key.json` there.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use serde::{Deserialize, Serialize};

use super::error::{EngineError, IoContext};
use super::run_dir;
use crate::faults::lag::Lag;
use crate::faults::passthrough::{self, Mounted};

const SUPERVISOR: &str = "__engine";
const INIT: &str = "__engine-init";

/// To be called first in every `main` that may start an engine; does not return in the processes described above.
pub fn run_if_asked() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let outcome = match args.get(1).and_then(|arg| arg.to_str()) {
        Some(SUPERVISOR) if args.len() == 3 => supervise(Path::new(&args[2])),
        Some(INIT) if args.len() == 4 => init(Path::new(&args[2]), &args[3].to_string_lossy()),
        _ => return,
    };
    if let Err(error) = &outcome {
        eprintln!("samebuild: failed to {error}");
        let dir = Path::new(&args[2]);
        if dir.is_dir() {
            let _ = fs::write(dir.join(EXITED), format!("failed to {error}"));
        }
    }
    std::process::exit(i32::from(outcome.is_err()));
}

/// What the init is to start; `plan.json` in the run directory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) dockerd: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) search_path: String,
    pub(super) library_path: String,
    /// Whether the data root has to be somewhere overlays can be.
    pub(super) overlays: bool,
    /// Its `TZ`.
    pub(super) zone: Option<String>,
    /// How times lag in the data root, as `--shape` takes it.
    pub(super) lag: Option<String>,
}

/// Files in the run directory. `EXITED` says how the engine ended by itself; `INIT_PID` is its init, seen from outside.
pub(super) const PLAN: &str = "plan.json";
pub(super) const LOG: &str = "dockerd.log";
pub(super) const EXITED: &str = "exited";
pub(super) const INIT_PID: &str = "init.pid";
pub(super) const DATA: &str = "data";
/// A line for each wrong time that files told, where they lag.
pub(super) const LIES: &str = "lies";
/// While it is there, a daemon that ends is followed by another; its end removes it.
pub(super) const AGAIN: &str = "again";

/// Starts the supervisor of the engine planned in `dir`. It lives until the returned child's standard input closes.
pub(super) fn spawn(dir: &Path) -> Result<Child, EngineError> {
    let log = fs::File::create(dir.join(LOG)).io(|| format!("create {}", dir.join(LOG).display()))?;
    let again = log.try_clone().io(|| "copy a file descriptor".into())?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("samebuild-engine").arg(SUPERVISOR).arg(dir).stdin(Stdio::piped()).stdout(again).stderr(log);
    // Out of the terminal's foreground group: Ctrl-C is for us, who then close the pipe.
    command.process_group(0).current_dir("/");
    command.spawn().io(|| "start the engine's supervisor".into())
}

fn supervise(dir: &Path) -> Result<(), EngineError> {
    let _lock = run_dir::hold(dir)?;
    unshare(CloneFlags::CLONE_NEWPID).io(|| "make a new PID namespace".into())?;
    let own_pid = std::process::id().to_string();
    let mut command = Command::new("/proc/self/exe");
    command.arg0("samebuild-engine-init").arg(INIT).arg(dir).arg(own_pid).stdin(Stdio::null());
    let mut init = command.spawn().io(|| "start the engine's init".into())?;
    let pid = init.id().to_string();
    fs::write(dir.join(INIT_PID), pid).io(|| "write the init's process id".into())?;

    // No thread may start after the unshare, and none is needed: the end of the pipe is all there is to wait for.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    // Its data is about to be deleted, so there is nothing that it could have to finish: no SIGTERM first. The kernel
    // kills all else in the namespace before this wait returns.
    let _ = init.kill();
    init.wait().io(|| "wait for the engine's end".into())?;
    run_dir::remove(dir)
}

fn init(dir: &Path, supervisor: &str) -> Result<(), EngineError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).io(|| "ask to die with the supervisor".into())?;
    if parent_seen_from_outside().as_deref() != Some(supervisor) {
        return Err(EngineError::Lost { what: "start".into(), tail: "the supervisor died first".into() });
    }
    let plan = dir.join(PLAN);
    let text = fs::read(&plan).io(|| format!("read {}", plan.display()))?;
    let plan: Plan =
        serde_json::from_slice(&text).map_err(std::io::Error::from).io(|| "read the plan".into())?;
    private_mounts()?;
    let data = dir.join(DATA);
    fs::create_dir_all(&data).io(|| format!("create {}", data.display()))?;
    if plan.overlays {
        provide_data_root(&data)?;
    }
    let _lagging = plan.lag.as_deref().map(|shape| lag(&data, shape, dir)).transpose()?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));

    let mut command = Command::new(&plan.dockerd);
    command.args(&plan.args).env_clear().env("PATH", &plan.search_path).env("HOME", dir).env("LC_ALL", "C");
    command.env("TMPDIR", dir.join("tmp"));
    if !plan.library_path.is_empty() {
        command.env("LD_LIBRARY_PATH", &plan.library_path);
    }
    command.envs(plan.zone.iter().map(|zone| ("TZ", zone)));
    let status = loop {
        let dockerd = command.spawn().io(|| format!("start {}", plan.dockerd.display()))?;
        if plan.lag.is_some() {
            // After the daemon is started, whose limit stays what it was.
            passthrough::raise_descriptor_limit();
        }
        let status = reap_until(dockerd.id());
        if fs::remove_file(dir.join(AGAIN)).is_err() {
            break status;
        }
    };
    fs::write(dir.join(EXITED), format!("dockerd ended with {status}")).io(|| "write how it ended".into())
}

/// Mounts the data root over itself, with times that lag.
fn lag(data: &Path, shape: &str, dir: &Path) -> Result<Mounted, EngineError> {
    let other = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let what = || format!("make the files in {} lag", data.display());
    let shape = shape.parse().map_err(|error: String| other(&error)).io(what)?;
    let lag = Lag::new(shape, None, None).map_err(|error| other(&error)).io(what)?;
    let log = fs::File::create(dir.join(LIES)).io(what)?;
    passthrough::mount(data, data, Some(lag), Some(Box::new(log))).map_err(|error| other(&error)).io(what)
}

/// Before `/proc` is replaced it is that of the namespace outside, and so are the ids in it.
fn parent_seen_from_outside() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|pid| pid.trim().to_owned())
}

fn private_mounts() -> Result<(), EngineError> {
    // Here and not in the supervisor: a namespace that it were in, too, would outlive the engine, mounts and all.
    unshare(CloneFlags::CLONE_NEWNS).io(|| "make a new mount namespace".into())?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .io(|| "make mounts private".into())?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none).io(|| "mount /proc".into())?;
    // A resolver's configuration is often a link into /run.
    let resolvers = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
    let kept: Vec<_> = resolvers
        .iter()
        .filter_map(|path| fs::canonicalize(path).ok())
        .filter(|path| path.starts_with("/run"))
        .filter_map(|path| Some((fs::read(&path).ok()?, path)))
        .collect();
    tmpfs("/run")?;
    for (bytes, path) in kept {
        let parent = path.parent().unwrap_or(&path);
        fs::create_dir_all(parent).io(|| format!("create {}", parent.display()))?;
        fs::write(&path, bytes).io(|| format!("write {}", path.display()))?;
    }
    if Path::new("/etc/docker").is_dir() {
        tmpfs("/etc/docker")?;
    }
    Ok(())
}

fn tmpfs(at: &str) -> Result<(), EngineError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some("mode=0755")).io(|| format!("mount a tmpfs on {at}"))
}

/// An overlay's upper directory cannot be everywhere (not on another overlay, not on most of FUSE). Where it cannot,
/// the engine's data goes to memory.
fn provide_data_root(data: &Path) -> Result<(), EngineError> {
    let Err(on_disk) = try_overlay(data) else { return Ok(()) };
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let mounted = mount(Some("tmpfs"), data, Some("tmpfs"), flags, Some("mode=0711"));
    mounted.io(|| format!("mount a tmpfs on {}", data.display()))?;
    let Err(in_memory) = try_overlay(data) else { return Ok(()) };
    Err(EngineError::Io {
        what: format!("use overlays, neither in {} ({on_disk}) nor on a tmpfs", data.display()),
        source: in_memory,
    })
}

/// Mounts one and deletes a lower file through it, which takes a whiteout.
fn try_overlay(data: &Path) -> std::io::Result<()> {
    let probe = data.join("probe");
    for dir in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(probe.join(dir))?;
    }
    fs::write(probe.join("lower/file"), "")?;
    let dir = |name: &str| probe.join(name).display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={}", dir("lower"), dir("upper"), dir("work"));
    mount(Some("overlay"), &probe.join("merged"), Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
    let deleted = fs::remove_file(probe.join("merged/file"));
    umount2(&probe.join("merged"), MntFlags::empty())?;
    fs::remove_dir_all(&probe)?;
    deleted
}

/// Process 1 inherits every orphan (containerd's shims among them) and has to collect them all.
fn reap_until(last: u32) -> ExitStatus {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw().cast_unsigned() == last => {
                return ExitStatus::from_raw(code << 8);
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw().cast_unsigned() == last => {
                return ExitStatus::from_raw(signal as i32);
            }
            Err(nix::errno::Errno::ECHILD) => return ExitStatus::from_raw(0),
            _ => {}
        }
    }
}
