//! Entering a user namespace in which the caller is root and its subordinate ids are everybody else, as rootless
//! container engines do. What such a root can and cannot do is `standing`.
//!
//! Only `newuidmap` and `newgidmap` may write such a map. A child makes the namespace, they fill in its maps, and this
//! process joins it: so where any of it fails, this process is what it was.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::HOLDER;
use super::standing::ENOUGH;

/// Enters; or the reason why not, as the end of a sentence.
pub(super) fn enter() -> Result<(), String> {
    let programs = [("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid")];
    let ids = [nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()];
    let names = names()?;
    let mut maps = Vec::new();
    for ((program, file), own) in programs.into_iter().zip(ids) {
        let path = find(program)
            .ok_or_else(|| format!("{program} is not on PATH; install it (Debian's package is uidmap)"))?;
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let ranges = ranges(&text, &names);
        let count: u64 = ranges.iter().map(|(_, count)| u64::from(*count)).sum();
        if count < u64::from(ENOUGH) {
            return Err(format!(
                "{file} gives {} {count}; add a line such as {}:100000:{ENOUGH}",
                names[0], names[0]
            ));
        }
        maps.push((path, arguments(own, &ranges)));
    }
    join(&maps)
}

/// What the child does that holds the namespace until its parent has joined it.
pub(super) fn hold() -> i32 {
    for trial in [|| unshare(CloneFlags::CLONE_NEWUSER), mounts_something] {
        let answer = match trial() {
            Ok(()) => "ok\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        let _ = std::io::stdout().write_all(answer.as_bytes());
        let _ = std::io::stdout().flush();
        let _ = std::io::stdin().read(&mut [0]);
    }
    0
}

/// Some systems let anybody make a user namespace and nobody mount in it.
fn mounts_something() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("tmpfs"), "/", Some("tmpfs"), MsFlags::empty(), none)
}

fn join(maps: &[(PathBuf, Vec<String>)]) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let mut holder = Command::new("/proc/self/exe")
        .args([HOLDER, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed("start the holder of a user namespace"))?;
    let joined = join_held(&mut holder, maps);
    drop(holder.stdin.take());
    let _ = holder.wait();
    joined
}

fn join_held(holder: &mut std::process::Child, maps: &[(PathBuf, Vec<String>)]) -> Result<(), String> {
    is_ok(holder).map_err(|answer| format!("make a user namespace: {answer}"))?;
    let pid = holder.id();
    for (program, arguments) in maps {
        let output = Command::new(program).arg(pid.to_string()).args(arguments).output();
        let output = output.map_err(|error| format!("start {}: {error}", program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("{} failed: {said}", program.display()));
        }
    }
    if let Some(stdin) = &mut holder.stdin {
        let _ = stdin.write_all(b"m");
    }
    is_ok(holder).map_err(|answer| format!("mount in a user namespace: {answer}"))?;
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/user"));
    let namespace = namespace.map_err(|error| format!("open the user namespace: {error}"))?;
    setns(namespace, CloneFlags::CLONE_NEWUSER).map_err(|error| format!("enter the user namespace: {error}"))
}

/// Whether the holder's next line says that all went well; else what it says.
fn is_ok(holder: &mut std::process::Child) -> Result<(), String> {
    let mut answer = Vec::new();
    if let Some(stdout) = &mut holder.stdout {
        let mut byte = [0];
        while stdout.read(&mut byte).is_ok_and(|read| read == 1) && byte[0] != b'\n' {
            answer.push(byte[0]);
        }
    }
    if answer == b"ok" { Ok(()) } else { Err(String::from_utf8_lossy(&answer).into_owned()) }
}

/// How the caller may be called in /etc/subuid: by name or by number.
fn names() -> Result<Vec<String>, String> {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).map_err(|error| format!("look up user {uid}: {error}"))?;
    Ok(user.map(|user| user.name).into_iter().chain([uid.to_string()]).collect())
}

/// The ranges that a file such as /etc/subuid gives to one of `names`.
fn ranges(text: &str, names: &[String]) -> Vec<(u32, u32)> {
    let range = |line: &str| -> Option<(u32, u32)> {
        let mut words = line.trim().split(':');
        let owner = words.next()?;
        let (start, count) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        names.iter().any(|name| name == owner).then_some((start, count))
    };
    text.lines().filter_map(range).collect()
}

/// Triples of inside, outside, count: the caller is 0, its subordinate ids follow.
fn arguments(own: u32, ranges: &[(u32, u32)]) -> Vec<String> {
    let mut arguments = vec![0, own, 1];
    let mut inside = 1u32;
    for (start, count) in ranges {
        arguments.extend([inside, *start, *count]);
        inside = inside.saturating_add(*count);
    }
    arguments.iter().map(u32::to_string).collect()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let is_program =
        |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| is_program(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_given_by_name_or_by_number_and_follow_the_caller() {
        let names = ["ann".to_owned(), "1000".to_owned()];
        let text = "# a comment\nbob:1:65536\nann:100000:65536\n1000:300000:10\nann:x:1\n";
        assert_eq!(ranges(text, &names), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(
            arguments(1000, &ranges(text, &names)).join(" "),
            "0 1000 1 1 100000 65536 65537 300000 10"
        );
    }
}
