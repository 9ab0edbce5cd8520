//! A random tree, made step by step from a seed. A step does not look at the tree, so that it is the same step on two of
//! them; what it says (an error too) has to be the same as well.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, RenameFlags, SeekFrom, Timespec, Timestamps, XattrFlags,
};

/// Where things happen: directories that may or may not be there, and names that are hard to carry.
const PLACES: [&[u8]; 14] = [
    b"a",
    b"b",
    b"d",
    b"d/x",
    b"d/y",
    b"d/e",
    b"d/e/z",
    b"d/e/w",
    b"s",
    b"s/t",
    b"s/u",
    b"n\xff\xfe",
    b"with\nline",
    b"d/ s p ",
];

const XATTRS: [&str; 4] = ["user.note", "trusted.overlay.opaque", "security.capability", "user.other"];

/// Version 2, every capability bit of the first word that RUN could give: a valid value.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// u::rwx, u:1000:rwx, g::r-x, m::rwx, o::---, as the kernel writes it.
const DEFAULT_ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 232, 3, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16,
    0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];

/// splitmix64: the same numbers everywhere and always.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

type Said = std::io::Result<String>;
type Step = fn(&mut Dice, &Path) -> Said;

const STEPS: &[(&str, Step)] = &[
    ("create", create),
    ("mkdir", mkdir),
    ("mkdir", mkdir),
    ("write", write),
    ("append", append),
    ("link", link),
    ("symlink", symlink),
    ("mknod", mknod),
    ("chmod", chmod),
    ("chown", chown),
    ("setxattr", setxattr),
    ("removexattr", removexattr),
    ("utimens", utimens),
    ("rename", rename),
    ("unlink", unlink),
    ("rmdir", rmdir),
    ("truncate", truncate),
    ("allocate", allocate),
    ("patch", patch),
    ("copy", copy),
    ("list", list),
    ("read", read),
    ("as-user", as_user),
    ("acl", acl),
    ("open-and-unlink", open_and_unlink),
];

/// One step under `root`, in words.
pub fn step(dice: &mut Dice, root: &Path) -> String {
    let (name, step) = dice.of(STEPS);
    let mask = dice.of(&[0o022, 0o022, 0o077, 0]);
    let before = rustix::process::umask(Mode::from_raw_mode(mask));
    let said = match step(dice, root) {
        Ok(said) => said,
        Err(error) => format!("{:?}", error.raw_os_error()),
    };
    rustix::process::umask(before);
    format!("{name}: {said}")
}

fn place(dice: &mut Dice, root: &Path) -> PathBuf {
    root.join(OsStr::from_bytes(dice.of(&PLACES)))
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let (length, byte) = (dice.of(&[0, 1, 5, 4096, 70_000]), dice.below(256) as u8);
    vec![byte; length]
}

fn create(dice: &mut Dice, root: &Path) -> Said {
    let mode = dice.of(&[0o644, 0o600, 0o4755, 0o2755, 0o666]);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(place(dice, root))?;
    file.write_all(&bytes(dice))?;
    Ok(String::new())
}

fn mkdir(dice: &mut Dice, root: &Path) -> Said {
    let mode = dice.of(&[0o755, 0o777, 0o1777, 0o2775]);
    rustix::fs::mkdir(place(dice, root), Mode::from_raw_mode(mode))?;
    Ok(String::new())
}

fn write(dice: &mut Dice, root: &Path) -> Said {
    fs::write(regular(dice, root)?, bytes(dice))?;
    Ok(String::new())
}

/// A place where opening does not wait for somebody at a pipe's other end, and reaches no device.
fn regular(dice: &mut Dice, root: &Path) -> std::io::Result<PathBuf> {
    let path = place(dice, root);
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() || meta.is_dir() => Ok(path),
        Ok(_) => Err(std::io::Error::from_raw_os_error(1)),
        Err(_) => Ok(path),
    }
}

fn append(dice: &mut Dice, root: &Path) -> Said {
    let path = regular(dice, root)?;
    let mut two =
        [OpenOptions::new().append(true).open(&path)?, OpenOptions::new().append(true).open(&path)?];
    for _ in 0..3 {
        let which = dice.below(2);
        two[which].write_all(&bytes(dice))?;
    }
    Ok(format!("{}", fs::metadata(&path)?.len()))
}

fn link(dice: &mut Dice, root: &Path) -> Said {
    fs::hard_link(place(dice, root), place(dice, root))?;
    Ok(String::new())
}

fn symlink(dice: &mut Dice, root: &Path) -> Said {
    let target = OsStr::from_bytes(dice.of(&[b"a" as &[u8], b"./d", b"nowhere\xff", b"d/x"]));
    let path = place(dice, root);
    std::os::unix::fs::symlink(target, &path)?;
    Ok(format!("{:?}", fs::read_link(&path)?))
}

fn mknod(dice: &mut Dice, root: &Path) -> Said {
    let kinds = [
        FileType::Fifo,
        FileType::Socket,
        FileType::CharacterDevice,
        FileType::BlockDevice,
        FileType::RegularFile,
    ];
    let (kind, mode) = (dice.of(&kinds), dice.of(&[0o666, 0o600]));
    let device = dice.of(&[(0, 0), (1, 3), (259, 70_000)]);
    let device = rustix::fs::makedev(device.0, device.1);
    rustix::fs::mknodat(CWD, place(dice, root), kind, Mode::from_raw_mode(mode), device)?;
    Ok(String::new())
}

fn chmod(dice: &mut Dice, root: &Path) -> Said {
    let mode = dice.of(&[0o755, 0o4711, 0o2770, 0o1777, 0o604, 0]);
    fs::set_permissions(place(dice, root), fs::Permissions::from_mode(mode))?;
    Ok(String::new())
}

fn chown(dice: &mut Dice, root: &Path) -> Said {
    let uid = dice.of(&[None, Some(0), Some(1000), Some(70_000)]);
    let gid = dice.of(&[None, Some(0), Some(1000)]);
    std::os::unix::fs::lchown(place(dice, root), uid, gid)?;
    Ok(String::new())
}

fn setxattr(dice: &mut Dice, root: &Path) -> Said {
    let (path, name) = (place(dice, root), dice.of(&XATTRS));
    let flags = dice.of(&[XattrFlags::empty(), XattrFlags::CREATE, XattrFlags::REPLACE]);
    let value =
        if name == "security.capability" { CAPABILITY } else { dice.of(&[b"y" as &[u8], b"", b"\0\xff"]) };
    rustix::fs::lsetxattr(&path, name, value, flags)?;
    Ok(String::new())
}

fn removexattr(dice: &mut Dice, root: &Path) -> Said {
    let path = place(dice, root);
    rustix::fs::lremovexattr(&path, dice.of(&XATTRS))?;
    Ok(String::new())
}

fn utimens(dice: &mut Dice, root: &Path) -> Said {
    let (tv_sec, tv_nsec) =
        dice.of(&[(1_000_000_000, 0), (1_234_567_890, 987_654_321), (0, 1), (-5, 250_000_000)]);
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, place(dice, root), &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(String::new())
}

fn rename(dice: &mut Dice, root: &Path) -> Said {
    let plain = RenameFlags::empty();
    let flags =
        dice.of(&[plain, plain, RenameFlags::NOREPLACE, RenameFlags::EXCHANGE, RenameFlags::WHITEOUT]);
    rustix::fs::renameat_with(CWD, place(dice, root), CWD, place(dice, root), flags)?;
    Ok(String::new())
}

fn unlink(dice: &mut Dice, root: &Path) -> Said {
    fs::remove_file(place(dice, root))?;
    Ok(String::new())
}

fn rmdir(dice: &mut Dice, root: &Path) -> Said {
    fs::remove_dir(place(dice, root))?;
    Ok(String::new())
}

fn truncate(dice: &mut Dice, root: &Path) -> Said {
    let path = regular(dice, root)?;
    let length = dice.of(&[0, 3, 5000, 1 << 20]);
    if dice.below(2) == 0 {
        nix::unistd::truncate(&path, length)?;
    } else {
        OpenOptions::new().write(true).open(&path)?.set_len(length.unsigned_abs())?;
    }
    Ok(format!("{}", fs::metadata(&path)?.len()))
}

fn allocate(dice: &mut Dice, root: &Path) -> Said {
    let file = OpenOptions::new().read(true).write(true).open(regular(dice, root)?)?;
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let mode =
        dice.of(&[FallocateFlags::empty(), FallocateFlags::KEEP_SIZE, punch, FallocateFlags::ZERO_RANGE]);
    rustix::fs::fallocate(&file, mode, dice.of(&[0, 4096, 8192]), dice.of(&[4096, 100_000]))?;
    Ok(format!("{}", file.metadata()?.len()))
}

/// A write in the middle or far beyond the end, and where the holes are then.
fn patch(dice: &mut Dice, root: &Path) -> Said {
    let file = OpenOptions::new().read(true).write(true).open(regular(dice, root)?)?;
    file.write_all_at(&bytes(dice), dice.of(&[0, 2, 300_000, 5_000_000]))?;
    Ok(format!("{}", file.metadata()?.len()))
}

/// That every place is told of as it is below: size, links, times, and where a file's data and holes begin (which is no
/// step's answer, because a file system may take for data what was read).
pub fn glances(mounted: &Path, below: &Path) -> Result<(), libtest_mimic::Failed> {
    let glance = |root: &Path, place: &[u8]| {
        let path = root.join(OsStr::from_bytes(place));
        let meta = fs::symlink_metadata(&path).ok()?;
        let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        let opened = meta.is_file().then(|| File::open(&path).ok()).flatten();
        let begins = opened.map(|file| {
            let at = |from| rustix::fs::seek(&file, from).ok();
            (at(SeekFrom::Data(0)), at(SeekFrom::Hole(0)))
        });
        Some((meta.len(), meta.nlink(), times, begins))
    };
    for place in PLACES.iter().copied().chain([b"".as_slice()]) {
        let (told, truth) = (glance(mounted, place), glance(below, place));
        if told != truth {
            return Err(format!("`{}` is {truth:?}, told as {told:?}", place.escape_ascii()).into());
        }
    }
    Ok(())
}

fn copy(dice: &mut Dice, root: &Path) -> Said {
    let from = File::open(regular(dice, root)?)?;
    let to = OpenOptions::new().write(true).open(regular(dice, root)?)?;
    let copied = rustix::fs::copy_file_range(&from, Some(&mut 1), &to, Some(&mut 3), 10_000)?;
    Ok(format!("{copied}"))
}

fn list(dice: &mut Dice, root: &Path) -> Said {
    let mut found = Vec::new();
    for entry in fs::read_dir(place(dice, root))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let odd = (kind.is_fifo(), kind.is_socket(), kind.is_char_device(), kind.is_block_device());
        found.push(format!(
            "{:?} {} {} {} {odd:?}",
            entry.file_name(),
            kind.is_dir(),
            kind.is_file(),
            kind.is_symlink()
        ));
    }
    found.sort();
    Ok(found.join(","))
}

fn read(dice: &mut Dice, root: &Path) -> Said {
    let mut text = Vec::new();
    File::open(regular(dice, root)?)?.read_to_end(&mut text)?;
    Ok(format!("{} {:?}", text.len(), text.last()))
}

/// Somebody without privileges, in another group: what it may do, and whose it is then.
fn as_user(dice: &mut Dice, root: &Path) -> Said {
    let (path, other) = (place(dice, root), place(dice, root));
    let what = dice.below(6);
    let was = (nix::unistd::setfsgid(1000.into()), nix::unistd::setfsuid(1000.into()));
    let done = match what {
        0 => OpenOptions::new()
            .append(true)
            .create(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(&path)
            .map(drop),
        1 => fs::create_dir(&path),
        2 => fs::remove_file(&path),
        3 => fs::rename(&path, &other),
        4 => fs::set_permissions(&path, fs::Permissions::from_mode(0o2755)),
        _ => fs::read_dir(&path).map(drop),
    };
    nix::unistd::setfsuid(was.1);
    nix::unistd::setfsgid(was.0);
    done.map(|()| format!("{what}"))
}

fn acl(dice: &mut Dice, root: &Path) -> Said {
    rustix::fs::lsetxattr(place(dice, root), "system.posix_acl_default", DEFAULT_ACL, XattrFlags::empty())?;
    Ok(String::new())
}

fn open_and_unlink(dice: &mut Dice, root: &Path) -> Said {
    let path = place(dice, root);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    file.write_all_at(b"still there", 0)?;
    fs::remove_file(&path)?;
    let mut text = [0; 11];
    file.read_exact_at(&mut text, 0)?;
    Ok(format!("{text:?} {}", file.metadata()?.len()))
}
