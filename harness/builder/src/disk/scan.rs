//! A directory on disk as a [`Tree`]: kinds, modes, owners, times and links, contents by reference. No content is read
//! and no symbolic link followed, so nothing outside the directory gets in. What `.dockerignore` takes away is the
//! caller's to say, before the walk ([`scan_without`]) or after it.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use samebuild_image::walked::{Told, Walked};
use samebuild_image::{At, Content, Kind, Meta, Mtime, Tree};

use super::index::{Index, Look, Time};
use super::names::Names;
use super::source::FileSource;

/// Why a directory could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("scan {}: {source}; name a directory that exists and can be read", path.display())]
    Root { path: PathBuf, source: io::Error },
    #[error(
        "scan {}: {source}; make it readable for you, or leave it out with a line in .dockerignore", path.display()
    )]
    Entry { path: PathBuf, source: io::Error },
}

/// Everything in `dir`. Sockets are left out, as Docker's client does; hard links share an inode.
///
/// # Errors
/// [`ScanError`] names the file or directory that cannot be looked at, or (where not root) not be read.
pub fn scan(dir: &Path) -> Result<Tree, ScanError> {
    scan_without(dir, &|_, _| false)
}

/// As [`scan`], without the places `skip` says yes to; a directory's contents go with it. The second argument of `skip`
/// is whether the place is a directory.
///
/// # Errors
/// As [`scan`]; what is skipped is never looked at.
pub fn scan_without(dir: &Path, skip: &dyn Fn(&At, bool) -> bool) -> Result<Tree, ScanError> {
    walk(dir, skip, None, &|time| time, &|_| None)
}

/// What a file's stat alone can tell to those who remember it: its content and its extended attributes.
pub(crate) type Known = (Content, Xattrs);

/// Extended attributes, by name.
type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// As [`scan_without`], and `known` is asked about each regular file by its stat before the file itself is.
///
/// # Errors
/// As [`scan`].
pub(crate) fn scan_knowing(
    dir: &Path,
    skip: &dyn Fn(&At, bool) -> bool,
    known: &dyn Fn(&Stat) -> Option<Known>,
) -> Result<Tree, ScanError> {
    walk(dir, skip, None, &|time| time, known)
}

/// As [`scan`]; digests and attributes that `index` knows are not taken again, and it takes note of everything. Times are
/// seen through `shown`, which is where a file system that lies can be had.
///
/// # Errors
/// As [`scan`].
pub fn scan_with(dir: &Path, index: &mut Index, shown: &dyn Fn(Time) -> Time) -> Result<Tree, ScanError> {
    walk(dir, &|_, _| false, Some(index), shown, &|_| None)
}

/// As [`scan_without`] and [`scan_with`]: what is skipped is not known to the index either.
///
/// # Errors
/// As [`scan`].
pub fn scan_without_with(
    dir: &Path,
    skip: &dyn Fn(&At, bool) -> bool,
    index: &mut Index,
) -> Result<Tree, ScanError> {
    walk(dir, skip, Some(index), &|time| time, &|_| None)
}

fn walk(
    dir: &Path,
    skip: &dyn Fn(&At, bool) -> bool,
    index: Option<&mut Index>,
    shown: &dyn Fn(Time) -> Time,
    known: &dyn Fn(&Stat) -> Option<Known>,
) -> Result<Tree, ScanError> {
    let root_error = |source: io::Error| ScanError::Root { path: dir.to_owned(), source };
    // The directory itself may be reached by a link, as `docker build link/` may.
    let fd = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| root_error(e.into()))?;
    let stat = rustix::fs::fstat(&fd).map_err(|e| root_error(e.into()))?;
    let mut walk = Walk {
        walked: Walked::new(Meta::new(0o755, Mtime::secs(0))),
        linked: BTreeMap::new(),
        check_access: !crate::sandbox::standing().is_root(),
        names: Names::new(),
        skip,
        known,
        index,
        shown,
    };
    let meta = walk.meta(&stat, &|| dir.to_owned(), &At::root(), None, None).map_err(root_error)?;
    walk.walked = Walked::new(meta);
    walk.directory(fd, dir, &At::root())?;
    Ok(walk.walked.tree())
}

struct Walk<'a> {
    walked: Walked,
    /// Every inode with several names, by device and number.
    linked: BTreeMap<(u64, u64), Told>,
    check_access: bool,
    names: Names,
    skip: &'a dyn Fn(&At, bool) -> bool,
    known: &'a dyn Fn(&Stat) -> Option<Known>,
    index: Option<&'a mut Index>,
    shown: &'a dyn Fn(Time) -> Time,
}

impl Walk<'_> {
    /// Goes through the open directory `fd`, which lies at `path` on disk and at `at` in the tree.
    fn directory(&mut self, fd: OwnedFd, path: &Path, at: &At) -> Result<(), ScanError> {
        let names = self.names.of(fd.as_fd());
        let names = names.map_err(|source| ScanError::Entry { path: path.to_owned(), source })?;
        for name in names.iter() {
            let place = at.join(name.to_bytes());
            let path = || below(path, name);
            self.entry(fd.as_fd(), name, &path, &place).map_err(|failure| {
                failure.unwrap_or_else(|source| ScanError::Entry { path: path(), source })
            })?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: BorrowedFd,
        name: &CStr,
        path: &dyn Fn() -> PathBuf,
        at: &At,
    ) -> Result<(), Failure> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type == FileType::Socket || (self.skip)(at, file_type == FileType::Directory) {
            return Ok(());
        }
        let identity = (stat.st_dev, stat.st_ino);
        let is_linked = file_type != FileType::Directory && stat.st_nlink > 1;
        if is_linked && let Some(first) = self.linked.get(&identity) {
            self.walked.link(at.clone(), *first);
            return Ok(());
        }
        let is_file = file_type == FileType::RegularFile;
        let (content, attributes) = is_file.then(|| (self.known)(&stat)).flatten().unzip();
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match file_type {
            FileType::RegularFile => {
                let on_disk = || FileSource::new(path(), size_of(&stat)).content();
                Kind::File(content.unwrap_or_else(on_disk))
            }
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink(rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes()),
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::Char { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Socket | FileType::Unknown => return Ok(()),
        };
        let is_dir = kind.is_dir();
        let content = if let Kind::File(content) = &kind { Some(content) } else { None };
        let meta = self.meta(&stat, path, at, content, attributes)?;
        // What is known was read, and its mode and owner are what they were.
        if self.check_access && content.is_some_and(|content| content.known_digest().is_none()) {
            rustix::fs::accessat(dir, name, Access::READ_OK, AtFlags::EACCESS)?;
        }
        let told = self.walked.push(at.clone(), kind, meta);
        if is_linked {
            self.linked.insert(identity, told);
        }
        if is_dir {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
            self.directory(fd, &path(), at)?;
        }
        Ok(())
    }

    fn meta(
        &mut self,
        stat: &Stat,
        path: &dyn Fn() -> PathBuf,
        at: &At,
        content: Option<&Content>,
        remembered: Option<Xattrs>,
    ) -> io::Result<Meta> {
        let look = Look::of(stat, self.shown);
        let ask = || remembered.map_or_else(|| xattrs(&path()), Ok);
        let xattrs = match &mut self.index {
            Some(index) => index.attributes(at, look, content, ask)?,
            None => ask()?,
        };
        let (secs, nanos) = look.mtime;
        Ok(Meta {
            mode: stat.st_mode & 0o7777,
            uid: u64::from(stat.st_uid),
            gid: u64::from(stat.st_gid),
            mtime: Mtime::At { secs, nanos },
            xattrs,
        })
    }
}

fn below(dir: &Path, name: &CStr) -> PathBuf {
    let mut path = PathBuf::with_capacity(dir.as_os_str().len() + name.to_bytes().len() + 1);
    path.extend([dir.as_os_str(), std::ffi::OsStr::from_bytes(name.to_bytes())]);
    path
}

/// Either an error of this entry, which has no name yet, or one from deeper down, which has.
enum Failure {
    Here(io::Error),
    Below(ScanError),
}

impl Failure {
    fn unwrap_or_else(self, name: impl FnOnce(io::Error) -> ScanError) -> ScanError {
        match self {
            Self::Here(error) => name(error),
            Self::Below(error) => error,
        }
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Here(errno.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Here(error)
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        Self::Below(error)
    }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// All extended attributes; none where the file system has none. One that went away meanwhile is left out.
fn xattrs(path: &Path) -> io::Result<Xattrs> {
    use rustix::io::Errno;
    let mut names = vec![0; 512];
    let length = loop {
        match rustix::fs::llistxattr(path, &mut names[..]) {
            Ok(length) => break length,
            Err(Errno::RANGE) if names.len() < 1 << 16 => names.resize(1 << 16, 0),
            // PERM, ACCESS: some file systems refuse the question on special files.
            Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::NOSYS) => return Ok(BTreeMap::new()),
            Err(errno) => return Err(errno.into()),
        }
    };
    let mut found = BTreeMap::new();
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 1 << 16];
        match rustix::fs::lgetxattr(path, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                found.insert(name.to_vec(), value);
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::CWD;

    fn paths(tree: &Tree) -> Vec<String> {
        tree.iter().map(|(at, _, inode)| format!("{at} {}", inode.kind.word())).collect()
    }

    #[test]
    fn kinds_and_links_are_told_apart_and_sockets_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/f"), "x").unwrap();
        std::fs::hard_link(at("d/f"), at("hard")).unwrap();
        symlink("/etc/passwd", at("out")).unwrap();
        symlink("..", at("d/up")).unwrap();
        rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("sock")).unwrap();
        let tree = scan(dir.path()).unwrap();
        assert_eq!(
            paths(&tree),
            ["/ dir", "/d dir", "/d/f file", "/d/up symlink", "/hard file", "/out symlink", "/pipe fifo"]
        );
        assert_eq!(tree.ino(&At::from("d/f")), tree.ino(&At::from("hard")));
    }

    #[test]
    fn modes_and_times_are_kept_to_the_nanosecond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4711)).unwrap();
        let stamp = rustix::fs::Timespec { tv_sec: 5, tv_nsec: 7 };
        let times = rustix::fs::Timestamps { last_access: stamp, last_modification: stamp };
        rustix::fs::utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
        let tree = scan(dir.path()).unwrap();
        let meta = &tree.get(&At::from("f")).unwrap().meta;
        assert_eq!((meta.mode, meta.mtime), (0o4711, Mtime::At { secs: 5, nanos: 7 }));
    }

    #[test]
    fn what_is_skipped_is_not_even_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("node_modules/deep")).unwrap();
        std::fs::write(dir.path().join("keep"), "x").unwrap();
        let tree = scan_without(dir.path(), &|at, is_dir| {
            assert!(!at.is_within(&At::from("node_modules/deep")));
            is_dir && *at == At::from("node_modules")
        })
        .unwrap();
        assert_eq!(paths(&tree), ["/ dir", "/keep file"]);
    }

    fn told(tree: &Tree) -> Vec<String> {
        let tell = |(at, _, inode): (&At, _, &samebuild_image::Inode)| {
            let content = if let Kind::File(content) = &inode.kind { content.digest().ok() } else { None };
            format!("{at} {} {:?} {content:?}", inode.kind.word(), inode.meta)
        };
        tree.iter().map(tell).collect()
    }

    #[test]
    fn what_is_renamed_or_changed_in_any_way_is_seen_through_an_index_that_knew_it() {
        use super::super::index::Belief;
        let dir = tempfile::tempdir().unwrap();
        let (root, path) = (dir.path().join("root"), dir.path().join("index"));
        std::fs::create_dir_all(root.join("d")).unwrap();
        for name in ["a", "b", "c", "d/e", "d/f", "d/g"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        // So much later than all was written that every stat is believed.
        let now = crate::context::clock_seconds();
        let scan_at = |later: i64, belief| {
            let mut index = Index::read(&path, (now + later, 0), belief);
            let tree = scan_with(&root, &mut index, &|time| time).unwrap();
            let told = told(&tree);
            (told, index)
        };
        let (first, index) = scan_at(100, Belief::Stat);
        assert!(index.write(&path).unwrap());
        let (same, index) = scan_at(200, Belief::Stat);
        assert_eq!((same, index.known()), (first.clone(), 6));
        std::fs::rename(root.join("b"), root.join("b2")).unwrap();
        std::fs::set_permissions(root.join("c"), PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(root.join("d/e"), "E/d").unwrap();
        let marked = rustix::fs::setxattr(root.join("d/f"), "user.a", b"v", rustix::fs::XattrFlags::empty());
        let (seen, index) = scan_at(300, Belief::Stat);
        assert_eq!(index.known(), if marked.is_ok() { 2 } else { 3 });
        let (honest, _) = scan_at(300, Belief::Nothing);
        assert_eq!(seen, honest);
        let changed = seen.iter().filter(|line| !first.contains(line)).count();
        assert!(changed >= 3, "{seen:#?}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_that_names_it() {
        let error = scan(Path::new("/nonexistent/context")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/context") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn extended_attributes_are_read_where_the_file_system_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "x").unwrap();
        if rustix::fs::setxattr(&path, "user.a", b"v", rustix::fs::XattrFlags::empty()).is_err() {
            println!("skipped: {} has no user attributes", dir.path().display());
            return;
        }
        let tree = scan(dir.path()).unwrap();
        assert_eq!(tree.get(&At::from("f")).unwrap().meta.xattrs.get(&b"user.a"[..]), Some(&b"v".to_vec()));
    }
}
