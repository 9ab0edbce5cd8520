//! A file system with coarse times that is no program of ours: ext4 on a loop device. Inodes of 128 bytes have no room for
//! parts of a second; those of 256 have, and are what it is compared with.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, umount2};

/// A mounted one, empty; unmounted when it drops, on the thread that mounted it. The loop device goes with the last mount, so
/// in a mount namespace of its own nothing is left by whatever we die of.
#[derive(Debug)]
pub struct LoopDisk {
    at: PathBuf,
    _room: tempfile::TempDir,
}

/// Enough for some copies of a small image; the file is sparse.
const SIZE: u64 = 256 << 20;

impl LoopDisk {
    /// Makes and mounts one in `work`; or says what this machine lacks.
    ///
    /// # Errors
    /// There is no room in `work`.
    pub fn new(inode_bytes: u32, work: &Path) -> io::Result<Result<Self, String>> {
        let room = tempfile::Builder::new().prefix("loop-").tempdir_in(work)?;
        let (image, at) = (room.path().join("image"), room.path().join("disk"));
        std::fs::create_dir(&at)?;
        File::create(&image)?.set_len(SIZE)?;
        let inode_bytes = inode_bytes.to_string();
        // Without a journal it is made faster, and nothing here is to survive a crash.
        let made = done(
            Command::new("mkfs.ext4")
                .args(["-q", "-F", "-I", &inode_bytes, "-O", "^has_journal"])
                .arg(&image),
        );
        let mounted =
            made.and_then(|()| done(Command::new("mount").args(["-o", "loop"]).args([&image, &at])));
        Ok(mounted.map(|()| Self { at, _room: room }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// Runs a program of the machine's; in words, that it is not there, or what it said.
fn done(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    // Where a machine's own programs are, whoever is asking.
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null());
    let output =
        command.output().map_err(|error| format!("a loop device with ext4 takes {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("a loop device with ext4 cannot be had: {name}: {}", last.trim()))
}
