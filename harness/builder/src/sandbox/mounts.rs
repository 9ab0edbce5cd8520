//! The mounts of a RUN: the root, /proc, /dev, /sys, and what is masked in them, as Docker mounts them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::statvfs::FsFlags;

use super::spec::{MountKind, Root, Spec};
use super::standing::standing;
use crate::request::Network;

type Outcome = Result<(), (String, String)>;

/// Paths of /proc and /sys that show or change the host.
const MASKED: [&str; 11] = [
    "proc/asound",
    "proc/acpi",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/timer_list",
    "proc/timer_stats",
    "proc/sched_debug",
    "proc/scsi",
    "sys/firmware",
    "sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("pts/ptmx", "ptmx"),
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Makes all mounts private and mounts the root file system.
pub(super) fn root(spec: &Spec) -> Outcome {
    let merged = spec.merged();
    attempt(
        "make mounts private",
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>),
    )?;
    match &spec.root {
        Root::Overlay { lowers, images, upper, workdir } => {
            // Relative paths keep the option string short: the kernel takes one page.
            attempt("enter the scratch directory", std::env::set_current_dir(&spec.work))?;
            attempt("make the mount point", fs::create_dir_all(&merged))?;
            for (image, at) in images {
                let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV;
                attempt(
                    "mount a layer",
                    mount(Some(image), at.as_str(), Some("erofs"), flags, None::<&str>),
                )?;
            }
            // The kernel takes `off` for a wish that it cannot grant together with `userxattr`.
            let own =
                if standing().is_root() { "redirect_dir=off" } else { "redirect_dir=nofollow,userxattr" };
            let options = format!(
                "lowerdir={},upperdir={upper},workdir={workdir},metacopy=off,index=off,xino=off,{own}",
                lowers.join(":")
            );
            attempt(
                "mount the overlay",
                mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str())),
            )
        }
        Root::Dir(dir) => attempt(
            "bind the root",
            mount(Some(dir), dir, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>),
        ),
    }
}

/// Mounts everything over the root and makes it `/`. Called as PID 1, so that /proc shows the new namespace.
pub(super) fn inside(spec: &Spec) -> Outcome {
    let root = spec.merged();
    let strict = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    fs_mount(&root, "proc", "proc", strict, "")?;
    fs_mount(&root, "dev", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME, "mode=755,size=65536k")?;
    for dir in ["dev/pts", "dev/shm", "dev/mqueue"] {
        attempt(dir, fs::create_dir_all(root.join(dir)))?;
    }
    fs_mount(
        &root,
        "dev/pts",
        "devpts",
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620,gid=5",
    )?;
    fs_mount(&root, "dev/shm", "tmpfs", strict, "mode=1777,size=65536k")?;
    fs_mount(&root, "dev/mqueue", "mqueue", strict, "")?;
    sysfs(&root, spec.network)?;
    devices(&root)?;
    for extra in &spec.mounts {
        let at = root.join(extra.at.trim_start_matches('/'));
        point(&at, &extra.kind)?;
        match &extra.kind {
            MountKind::Bind(bind) => bind_mount(&bind.source, &at, bind.read_only)?,
            MountKind::Tmpfs { size, mode } => {
                let size = size.map_or_else(String::new, |size| format!(",size={size}"));
                let options = format!("mode={mode:o}{size}");
                attempt(
                    "mount a tmpfs",
                    mount(Some("tmpfs"), &at, Some("tmpfs"), strict, Some(options.as_str())),
                )?;
            }
        }
    }
    turn(&root)?;
    mask()
}

/// Who is not root may mount sysfs for a network of its own only; the host's is bound instead.
fn sysfs(root: &Path, network: Network) -> Outcome {
    if network == Network::Host && !standing().is_root() {
        return bind_mount(Path::new("/sys"), &root.join("sys"), true);
    }
    let strict = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    fs_mount(root, "sys", "sysfs", strict | MsFlags::MS_RDONLY, "")
}

/// A mount point in what was mounted just now, such as /dev, does not exist before.
fn point(at: &Path, kind: &MountKind) -> Outcome {
    if at.symlink_metadata().is_ok() {
        return Ok(());
    }
    let what = format!("make the mount point {}", at.display());
    let is_file = matches!(kind, MountKind::Bind(bind) if bind.source.is_file());
    let dir = if is_file { at.parent().unwrap_or(at) } else { at };
    attempt(&what, fs::create_dir_all(dir))?;
    if is_file { attempt(&what, fs::File::create(at)) } else { Ok(()) }
}

fn fs_mount(root: &Path, at: &str, kind: &str, flags: MsFlags, options: &str) -> Outcome {
    let result = mount(Some(kind), &root.join(at), Some(kind), flags, Some(options));
    attempt(&format!("mount {kind} at /{at}"), result)
}

fn devices(root: &Path) -> Outcome {
    let everyone = Mode::from_bits_truncate(0o666);
    for (name, major, minor) in DEVICES {
        let at = root.join("dev").join(name);
        if !standing().is_root() {
            // Nobody else makes devices; the host's do what they do there.
            attempt(name, fs::File::create(&at))?;
            bind_mount(&Path::new("/dev").join(name), &at, false)?;
            continue;
        }
        attempt(name, mknod(&at, SFlag::S_IFCHR, everyone, makedev(major, minor)))?;
        attempt(
            name,
            nix::sys::stat::fchmodat(
                nix::fcntl::AT_FDCWD,
                &at,
                everyone,
                nix::sys::stat::FchmodatFlags::FollowSymlink,
            ),
        )?;
    }
    for (target, name) in DEVICE_LINKS {
        attempt(name, symlink(target, root.join("dev").join(name)))?;
    }
    Ok(())
}

fn bind_mount(source: &Path, at: &Path, read_only: bool) -> Outcome {
    let what = format!("bind {}", at.display());
    attempt(&what, mount(Some(source), at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>))?;
    if read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        attempt(&what, mount(None::<&str>, at, None::<&str>, flags | locked(at), None::<&str>))?;
    }
    Ok(())
}

/// The flags of a mount that a user namespace may not take away, which must be repeated when others change.
fn locked(at: &Path) -> MsFlags {
    let Ok(stat) = nix::sys::statvfs::statvfs(at) else { return MsFlags::empty() };
    let has = |flag| stat.flags().contains(flag);
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    pairs.into_iter().filter(|(flag, _)| has(*flag)).map(|(_, flag)| flag).collect()
}

/// Makes `root` the root and lets go of the old one. The trick with `.` twice needs no directory for the old root.
fn turn(root: &PathBuf) -> Outcome {
    attempt("enter the root", std::env::set_current_dir(root))?;
    attempt("turn the root", nix::unistd::pivot_root(".", "."))?;
    attempt("let go of the old root", umount2(".", MntFlags::MNT_DETACH))?;
    attempt("enter the new root", std::env::set_current_dir("/"))
}

fn mask() -> Outcome {
    for path in MASKED {
        let at = Path::new("/").join(path);
        if at.is_dir() {
            attempt(path, mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0")))?;
        } else if at.exists() {
            attempt(path, mount(Some("/dev/null"), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>))?;
        }
    }
    for path in READ_ONLY {
        let at = Path::new("/").join(path);
        if at.exists() {
            bind_mount(&at, &at, true)?;
        }
    }
    Ok(())
}

fn attempt<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Outcome {
    result.map(drop).map_err(|error| (what.to_owned(), error.to_string()))
}
