//! `samebuild fault mtime-lag`, as a person runs it: what the command sees, its exit code, and that nothing stays behind.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

type Check = fn() -> Result<(), Failed>;

pub const CHECKS: [(&str, Check); 7] = [
    ("the_command_sees_the_lag_and_the_disk_has_the_truth", sees_the_lag),
    ("exit_codes_are_the_commands", exit_codes),
    ("a_signal_ends_the_command_and_leaves_no_mount", || ends_by(Signal::SIGTERM, Some(143))),
    ("a_kill_leaves_no_mount", || ends_by(Signal::SIGKILL, None)),
    ("a_mount_left_by_the_dead_is_taken_away", left_by_the_dead),
    ("without_dev_fuse_it_is_not_exercised", without_fuse),
    ("nobody_needs_to_be_root_where_user_namespaces_are", rootless),
];

fn samebuild(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
    command.args(["fault", "mtime-lag", "--dir"]).arg(dir).args(args).current_dir(dir);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn claim(holds: bool, evidence: impl std::fmt::Debug) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(format!("{evidence:?}").into()) }
}

fn sees_the_lag() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let log = tempfile::NamedTempFile::new()?;
    let script = "echo aaaa > f; echo bbbb > g.skip; stat -c %y f; stat -c %y g.skip";
    let output = samebuild(&["--shape", "truncate=1s", "--scope", "f", "--log"], dir.path())
        .arg(log.path())
        .args(["--", "sh", "-c", script])
        .output()?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = shown.lines().collect();
    claim(output.status.success() && lines.len() == 2, &output)?;
    claim(lines[0].contains(".000000000 ") && !lines[1].contains(".000000000 "), &lines)?;
    claim(fs::metadata(dir.path().join("f"))?.mtime_nsec() != 0, "the truth is lost")?;
    let lies = fs::read_to_string(log.path())?;
    // When it was made, and when it was written; each time tells two.
    claim(matches!(lies.lines().count(), 2 | 4), &lies)?;
    claim(lies.starts_with(r#"{"path":"f","time":"mtime","true":""#), &lies)?;
    claim(said(&output).ends_with(" lies about 1 file\n"), said(&output))
}

fn exit_codes() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let output = samebuild(&["--", "sh", "-c", script], dir.path()).output()?;
        claim(output.status.code() == Some(code), (script, &output))?;
    }
    let missing = samebuild(&["--", "no-such-program-anywhere"], dir.path()).output()?;
    claim(missing.status.code() == Some(127), &missing)?;
    for (args, word) in [
        (["--shape", "melt=2s", "--", "true"], "accepted: truncate=1s"),
        (["--scope", "a/[", "--", "true"], "no glob"),
    ] {
        let output = samebuild(&args, dir.path()).output()?;
        claim(output.status.code() == Some(2) && said(&output).contains(word), &output)?;
    }
    Ok(())
}

/// A command that has started, and will not end soon.
fn started(dir: &Path) -> Result<Child, Failed> {
    let child =
        samebuild(&["--", "sh", "-c", "echo $$ > pid; exec sleep 600"], dir).stderr(Stdio::null()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string(dir.join("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
        claim(Instant::now() < deadline, "the command does not start")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

fn ends_by(signal: Signal, code: Option<i32>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let mut child = started(dir.path())?;
    let command: i32 = fs::read_to_string(dir.path().join("pid"))?.trim().parse()?;
    kill(Pid::from_raw(child.id().cast_signed()), signal)?;
    let status = child.wait()?;
    // Where we are killed, nobody hands the signal on.
    if code.is_none() {
        kill(Pid::from_raw(command), Signal::SIGKILL)?;
    }
    claim(status.code() == code, status)?;
    let gone = || !Path::new(&format!("/proc/{command}/root")).exists();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !gone() {
        claim(Instant::now() < deadline, "the command goes on")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    claim(!mounts.contains(&*dir.path().to_string_lossy()), &mounts)?;
    claim(fs::read_dir(dir.path())?.count() == 1, "the directory is not as it was")
}

fn left_by_the_dead() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let fuse = File::options().read(true).write(true).open("/dev/fuse")?;
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0", std::os::fd::AsRawFd::as_raw_fd(&fuse));
    mount(Some("samebuild-lag"), dir.path(), Some("fuse"), MsFlags::empty(), Some(options.as_str()))?;
    drop(fuse);
    claim(fs::metadata(dir.path()).is_err(), "it is not dead")?;
    let output = Command::new(env!("CARGO_BIN_EXE_samebuild"))
        .args(["fault", "mtime-lag", "--dir"])
        .arg(dir.path())
        .args(["--", "true"])
        .output()?;
    claim(output.status.success() && said(&output).contains("left by a process that was killed"), &output)?;
    claim(fs::metadata(dir.path()).is_ok(), "it is still there")
}

fn without_fuse() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    // In this test's own namespace.
    mount(Some("none"), "/dev", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    let run = samebuild(&["--", "touch", "ran"], dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .output()?;
    claim(run.status.code() == Some(4), &run)?;
    let said = said(&run);
    claim(
        said.starts_with("not exercised: ") && said.lines().count() == 1 && said.contains("/dev/fuse"),
        &said,
    )?;
    claim(!dir.path().join("ran").exists(), "the command ran all the same")
}

fn rootless() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    std::os::unix::fs::chown(dir.path(), Some(1000), Some(1000))?;
    // A directory of whoever builds this may be closed to others.
    let program = dir.path().join("samebuild");
    fs::copy(env!("CARGO_BIN_EXE_samebuild"), &program)?;
    // Some machines keep /dev/fuse for root; in this test's own namespace it is everybody's.
    mount(Some("none"), "/dev", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    for (name, device) in [("fuse", (10, 229)), ("null", (1, 3))] {
        let (path, device) = (Path::new("/dev").join(name), rustix::fs::makedev(device.0, device.1));
        let (kind, mode) = (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::empty());
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, device)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    }
    let script = "echo aaaa > f && id -u && stat -c '%u %y' f";
    let output = Command::new(&program)
        .args(["fault", "mtime-lag", "--dir", ".", "--", "sh", "-c", script])
        .current_dir(dir.path())
        .uid(1000)
        .gid(1000)
        .output()?;
    if output.status.code() == Some(4) {
        println!("not exercised: {}", said(&output));
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    claim(shown.starts_with("1000\n1000 ") && shown.contains(".000000000 "), (&shown, &output))?;
    claim(fs::metadata(dir.path().join("f"))?.uid() == 1000, "its owner is another")
}
