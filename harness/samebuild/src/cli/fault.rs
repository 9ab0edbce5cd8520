//! `samebuild fault`: any command, with a fault under it. What it sees is decided in `faults`; here is how it is run, and
//! that its end, and ours, is the fault's end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::terminal::{Usage, say};
use crate::conform::Exit;
use crate::faults::lag::Lag;
use crate::faults::mtime_lag::Shape;
use crate::faults::passthrough::{self, MountError, Namespace, clean_up, enter_private_namespace};

#[derive(Debug, Args)]
pub(crate) struct Fault {
    #[command(subcommand)]
    fault: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Run a command that sees a directory whose files keep old modification times for a while.
    ///
    /// The directory is mounted over itself, in a mount namespace of the command and what it starts: nobody else sees it,
    /// and nothing is left when all of them are gone. A builder that runs as a daemon has to be started by the command, with
    /// its storage in the directory. Contents, and all else but mtime and ctime, are the truth; a time that is set on
    /// purpose (touch -d, tar) is told at once, and lags from then on.
    ///
    /// The exit code is the command's, 128 and the number of the signal that ended it, 126 or 127 if it cannot be started;
    /// 4, after a sentence, where this machine cannot mount a FUSE file system.
    MtimeLag(MtimeLag),
}

#[derive(Debug, Args)]
struct MtimeLag {
    /// The directory whose files lag.
    #[arg(long)]
    dir: PathBuf,
    /// `truncate=1s`: cut down to whole seconds, as coarse file systems do. `freeze=2s`: the time seen first is kept until
    /// the true one is that much later.
    #[arg(long, default_value = "truncate=1s")]
    shape: String,
    /// Only files whose path below DIR matches, as 'overlay2/**'; without a slash, whose name does.
    #[arg(long, value_name = "GLOB")]
    scope: Option<String>,
    /// Lie about the so-manieth change that is seen only, counted from 1 over all files.
    #[arg(long, value_name = "N")]
    nth: Option<usize>,
    /// Toss a coin for each path: only about half of the files lag, the same ones each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Every lie as a JSON line: path, which time, the true one, the one told.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// What to run.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// How long a command may take to end after a signal before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs before any other thread: a namespace is entered.
pub(crate) fn run(args: &Fault) -> Result<ExitCode> {
    let Kind::MtimeLag(args) = &args.fault;
    let shape: Shape = args.shape.parse().map_err(|error| Usage(format!("take --shape: {error}")))?;
    let lag = Lag::new(shape, args.scope.clone(), args.seed);
    let lag = lag.map_err(|error| Usage(format!("take --scope: {error}")))?;
    let lag = Lag { nth: args.nth, ..lag };
    if clean_up(&args.dir).with_context(|| format!("unmount what was left at {}", args.dir.display()))? {
        say(&format!("unmounted {}, left by a process that was killed", args.dir.display()));
    }
    if !args.dir.is_dir() {
        return Err(Usage(format!("lag {}: it is no directory", args.dir.display())).into());
    }
    let log: Option<Box<dyn Write + Send>> = match &args.log {
        Some(path) => {
            Some(Box::new(File::create(path).with_context(|| format!("write {}", path.display()))?))
        }
        None => None,
    };
    if let Some(unmet) = passthrough::unmet() {
        return Ok(not_exercised(&unmet));
    }
    let here = std::env::current_dir().context("find the working directory")?;
    let namespace = enter_private_namespace().context("enter a mount namespace")?;
    if namespace == Namespace::Shared {
        say("no mount namespace here: everybody sees the directory lag while the command runs");
    }
    // A signal from here on ends the command, and so us.
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listen for Ctrl-C")?;
    let mounted = match passthrough::mount(&args.dir, &args.dir, Some(lag), log) {
        Ok(mounted) => mounted,
        Err(MountError::Unmet(unmet)) => return Ok(not_exercised(&unmet)),
        Err(error) => return Err(error.into()),
    };
    let (program, arguments) = args.command.split_first().context("find a command after --")?;
    // The working directory by name, so that it is the lagging one if it lies below.
    let child = match Command::new(program).args(arguments).current_dir(here).spawn() {
        Ok(child) => child,
        Err(error) => {
            say(&format!("failed to run {}: {error}", program.display()));
            return Ok(ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 }));
        }
    };
    // After the command is started, whose limit stays what it was.
    passthrough::raise_descriptor_limit();
    let status = wait(child, signals)?;
    let (lies, files) = mounted.lies();
    drop(mounted);
    let plural = if files == 1 { "" } else { "s" };
    let seed = args.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    say(&format!("mtime-lag {}{seed}: {lies} lies about {files} file{plural}", args.shape));
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(Exit::Broken.code(), ExitCode::from))
}

fn not_exercised(unmet: &str) -> ExitCode {
    say(&format!("not exercised: {unmet}"));
    Exit::Nothing.code()
}

/// Waits for the command; hands signals on to it, and loses patience some time after one.
fn wait(mut child: Child, mut signals: Signals) -> Result<ExitStatus> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let mut deadline = None;
    loop {
        if let Some(status) = child.try_wait().context("wait for the command")? {
            return Ok(status);
        }
        for signal in signals.pending() {
            deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            if let Ok(signal) = Signal::try_from(signal) {
                let _ = kill(pid, signal);
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(10));
    }
}
