//! The sandboxed process itself, in two stages: namespaces and mounts, then privileges and the command.

use std::collections::BTreeSet;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::spec::{Report, Spec};
use super::standing::{Standing, standing};
use super::{CHILD, HOLDER, limits, mounts, notice, stubs, userns};
use crate::request::Network;

const SECOND_STAGE: &str = "__samebuild-sandbox-init";
/// Exit code when a report says why.
const REPORTED: i32 = 125;

/// Every `main` of ours calls this first: if the process was started as the sandboxed child it becomes it and never
/// returns; otherwise nothing happens.
pub fn become_child_if_asked() {
    let mut args = std::env::args_os();
    let (_, stage, spec) = (args.next(), args.next(), args.next());
    let (Some(stage), Some(spec)) = (stage, spec) else { return };
    let code = match stage.to_str() {
        Some(CHILD) => first(Path::new(&spec)),
        Some(SECOND_STAGE) => second(Path::new(&spec)),
        Some(HOLDER) => userns::hold(),
        _ => return,
    };
    std::process::exit(code);
}

/// Enters namespaces, mounts the root, starts the second stage as PID 1 and waits for it.
fn first(path: &Path) -> i32 {
    let Ok(spec) = Spec::read(path) else { return REPORTED };
    // If the harness dies, so does everything it runs.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let made = match enter(&spec).and_then(|()| stubs::make(&spec)) {
        Ok(made) => made,
        Err((what, error)) => return report(&spec, &Report::Setup { what, error }),
    };
    let ended = init(path);
    stubs::tidy(&made);
    match ended {
        Ok((_, asked)) if !asked.is_empty() => {
            let what = asked.into_iter().collect::<Vec<_>>().join(" and to ");
            report(&spec, &Report::NeedsRoot { what })
        }
        Ok((status, _)) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(error) => {
            report(&spec, &Report::Setup { what: "start the init process".into(), error: error.to_string() })
        }
    }
}

/// Runs the second stage; how it ended, and what it asked for that only root is given.
fn init(path: &Path) -> std::io::Result<(ExitStatus, BTreeSet<&'static str>)> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(SECOND_STAGE).arg(path).env_clear();
    if standing().is_root() {
        return Ok((command.status()?, BTreeSet::new()));
    }
    let (ours, theirs) = notice::ends()?;
    let mut child = command.stdin(Stdio::from(theirs)).spawn()?;
    drop(command);
    let asked = notice::listen(&ours);
    Ok((child.wait()?, asked))
}

fn enter(spec: &Spec) -> Result<(), (String, String)> {
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    if spec.network == Network::None {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    unshare(flags).map_err(|e| ("enter new namespaces".to_owned(), e.to_string()))?;
    if spec.network == Network::None {
        limits::loopback_up().map_err(|e| ("bring loopback up".to_owned(), e.to_string()))?;
    }
    nix::unistd::sethostname(&spec.hostname).map_err(|e| ("set the host name".to_owned(), e.to_string()))?;
    mounts::root(spec)
}

/// Mounts what needs the new PID namespace, turns the root, drops privileges and becomes the command.
fn second(path: &Path) -> i32 {
    let Ok(spec) = Spec::read(path) else { return REPORTED };
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // The report lies outside the new root: keep it open across the turn.
    let Ok(report_file) = std::fs::File::create(spec.report_path()) else { return REPORTED };
    let fail = |failure: &Report| {
        let _ = serde_json::to_writer(&report_file, failure);
        REPORTED
    };
    // Mounts of its own, so that the first stage sees the root without them afterwards.
    let apart =
        unshare(CloneFlags::CLONE_NEWNS).map_err(|e| ("enter a mount namespace".to_owned(), e.to_string()));
    if let Err((what, error)) = apart.and_then(|()| mounts::inside(&spec)) {
        return fail(&Report::Setup { what, error });
    }
    if let Err(error) = std::env::set_current_dir(&spec.cwd) {
        let message = format!("enter the working directory {}: {error}", spec.cwd);
        return fail(&Report::NotStarted { class: "workdir".into(), message });
    }
    let Some(program) = look_up(&spec) else {
        let message = format!(
            "`{}`: no program of the image, or not in its PATH",
            spec.argv.first().map_or("", String::as_str)
        );
        return fail(&Report::NotStarted { class: "exec-not-found".into(), message });
    };
    if let Standing::Mapped { ids, .. } = standing()
        && let Err(error) = notice::watch_me(*ids)
    {
        return fail(&Report::Setup {
            what: "watch what only root is given".into(),
            error: error.to_string(),
        });
    }
    if let Err((what, error)) = limits::drop_privileges(&spec) {
        return fail(&Report::Setup { what, error });
    }
    let mut command = Command::new(&program);
    command.arg0(&spec.argv[0]).args(&spec.argv[1..]).env_clear().envs(spec.env.iter().cloned());
    let error = start(&mut command);
    let class =
        if error.kind() == std::io::ErrorKind::PermissionDenied { "exec-denied" } else { "exec-failed" };
    fail(&Report::NotStarted { class: class.into(), message: format!("start `{program}`: {error}") })
}

/// Becomes the command; returns only why not. A program that was put on disk by a thread of ours may for a moment be open for
/// writing in a process that another thread has forked and that has not become its own program yet.
fn start(command: &mut Command) -> std::io::Error {
    const PATIENCE: Duration = Duration::from_secs(1);
    let begun = Instant::now();
    loop {
        let error = command.exec();
        if error.kind() != std::io::ErrorKind::ExecutableFileBusy || begun.elapsed() > PATIENCE {
            return error;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program `argv[0]` names, as `execvp` in the container would find it.
fn look_up(spec: &Spec) -> Option<String> {
    let name = spec.argv.first()?;
    let is_program = |candidate: &str| {
        rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok() && Path::new(candidate).is_file()
    };
    if name.contains('/') {
        return Some(name.clone()).filter(|name| is_program(name));
    }
    let path = spec.env.iter().rev().find(|(key, _)| key == "PATH").map_or("", |(_, value)| value);
    path.split(':')
        .map(|dir| format!("{}/{name}", if dir.is_empty() { "." } else { dir }))
        .find(|candidate| is_program(candidate))
}

fn report(spec: &Spec, report: &Report) -> i32 {
    if let Ok(text) = serde_json::to_vec(report) {
        let _ = std::fs::write(spec.report_path(), text);
    }
    REPORTED
}
