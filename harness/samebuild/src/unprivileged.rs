//! Runs this program as somebody who is not root, for the profiles and tests that are about them: a user made up for the
//! purpose, with or without subordinate ids. The machine's own users, files and packages stay as they are: the user is
//! known in a private mount namespace only, where a copy of /etc lies over /etc.
//!
//! Needs root, because somebody has to give the made-up user its ids. What runs is told nothing of all this.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

use crate::bases;
use crate::checkout::Checkout;
use crate::engines::{self, Progress};
use crate::scratch::Scratch;

/// Who is to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Has newuidmap, newgidmap and 65,536 subordinate ids.
    WithIds,
    /// Has newuidmap and newgidmap, and no ids.
    WithoutIds,
    /// Has neither.
    WithoutPrograms,
}

/// A command to be run as a made-up user. What it needs is there until this drops.
pub struct Prepared {
    pub command: Command,
    _dir: Scratch,
}

const STAGE: &str = "__samebuild-as-user";
/// Where the user finds its world; the machine's own is out of sight there.
const WORLD: &str = "/tmp";
const NAME: &str = "samebuild";
/// Nobody's on any machine we know of; only root could find out the hard way.
const ID: u32 = 64_321;
const FIRST_SUBORDINATE: u32 = 2_100_000_000;
/// What the gate reads of a checkout.
const READ: [&str; 6] = ["REPORT.md", "ci", "dockerfiles", "fixtures", "golden", "records"];

/// `program ARGS…` as `person`, in a copy of `checkout` that is the current directory.
///
/// # Errors
/// Who asks is not root, or something that the user needs cannot be had.
pub fn prepare(
    program: &Path,
    args: &[&str],
    person: Person,
    checkout: &Checkout,
    progress: Progress,
) -> Result<Prepared> {
    if !samebuild_builder::sandbox::standing().is_root() {
        bail!("run as a user without privileges: only root can make one up");
    }
    let cache = engines::cache_dir()?;
    let dir = Scratch::on_disk(&cache)?;
    let world = dir.path();
    open(world)?;
    for name in ["etc", "bin", "lib", "home", "checkout"] {
        fs::create_dir(world.join(name)).with_context(|| format!("create {}", world.join(name).display()))?;
    }
    copy(Path::new("/etc/."), &world.join("etc"))?;
    append(&world.join("etc/passwd"), &format!("{NAME}:x:{ID}:{ID}::{WORLD}/home:/bin/sh\n"))?;
    let ids =
        if person == Person::WithIds { format!("{NAME}:{FIRST_SUBORDINATE}:65536\n") } else { String::new() };
    fs::write(world.join("etc/subuid"), &ids)?;
    fs::write(world.join("etc/subgid"), &ids)?;
    if person != Person::WithoutPrograms {
        programs(world, &cache, progress)?;
    }
    for name in READ {
        let from = checkout.root().join(name);
        copy(&from, &world.join("checkout"))?;
    }
    succeed(Command::new("chmod").args(["-R", "a+rX"]).arg(world.join("checkout")))?;
    for case in checkout.cases()? {
        bases::provide(&case.base, &cache, progress)?;
    }
    let home = world.join("home");
    fs::create_dir_all(home.join("cache"))?;
    copy(&cache.join("bases"), &home.join("cache"))?;
    succeed(Command::new("chown").arg("-R").arg(format!("{ID}:{ID}")).arg(&home))?;
    let program = fs::canonicalize(program).with_context(|| format!("find {}", program.display()))?;
    fs::File::create(world.join("bin/samebuild"))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(STAGE).arg(world).arg(program).args(args);
    Ok(Prepared { command, _dir: dir })
}

/// To be called first in every `main` that may [`prepare`]; does not return in the process that becomes the user.
pub fn become_user_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|arg| arg != STAGE) {
        return;
    }
    let (Some(world), Some(program)) = (args.next(), args.next()) else { return };
    let error = match become_user(Path::new(&world), Path::new(&program), args.collect()) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("samebuild: failed to become a user without privileges: {error:#}");
    std::process::exit(3);
}

fn become_user(world: &Path, program: &Path, args: Vec<OsString>) -> Result<std::convert::Infallible> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("make mounts private")?;
    let bind = |from: &Path, to: &Path| {
        mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .with_context(|| format!("bind {} at {}", from.display(), to.display()))
    };
    bind(program, &world.join("bin/samebuild"))?;
    bind(&world.join("etc"), Path::new("/etc"))?;
    bind(world, Path::new(WORLD))?;
    // For setuid programs the linker believes its cache only.
    succeed(Command::new("ldconfig").env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin"))?;
    std::env::set_current_dir(Path::new(WORLD).join("checkout")).context("enter the checkout")?;
    nix::unistd::setgroups(&[]).context("give up groups")?;
    let (uid, gid) = (Uid::from_raw(ID), Gid::from_raw(ID));
    nix::unistd::setresgid(gid, gid, gid).context("give up the group")?;
    nix::unistd::setresuid(uid, uid, uid).context("give up being root")?;
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .context("ask to die with the parent")?;
    let home = format!("{WORLD}/home");
    let error = Command::new(Path::new(WORLD).join("bin/samebuild"))
        .args(args)
        .env_clear()
        .env("PATH", format!("{WORLD}/bin:/usr/bin:/bin"))
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env("SAMEBUILD_CACHE", format!("{home}/cache"))
        .env("CARGO_TARGET_DIR", format!("{home}/target"))
        .exec();
    Err(error).context("start samebuild")
}

/// newuidmap and newgidmap, setuid, with what they need.
fn programs(world: &Path, cache: &Path, progress: Progress) -> Result<()> {
    let found = engines::tools("uidmap", &["newuidmap", "newgidmap"], cache, progress)?;
    for program in found.programs {
        let to = world.join("bin").join(program.file_name().unwrap_or_default());
        fs::copy(&program, &to).with_context(|| format!("copy {}", program.display()))?;
        chown(&to, Some(0), Some(0))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o4755))?;
    }
    for dir in found.libraries {
        copy(&dir.join("."), &world.join("lib"))?;
    }
    let conf = world.join("etc/ld.so.conf");
    let more = format!("{WORLD}/lib\n");
    if conf.is_file() { append(&conf, &more) } else { Ok(fs::write(&conf, more)?) }
}

/// As `cp -a` does; what is not there is not copied.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    succeed(Command::new("cp").arg("-a").arg(from).arg(to))
}

fn open(dir: &Path) -> Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("open {}", dir.display()))
}

fn append(path: &PathBuf, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    fs::write(path, old + text).with_context(|| format!("write {}", path.display()))
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        bail!("run {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
