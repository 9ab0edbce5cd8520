//! A tree as one sees it: everything `lstat`, contents, links and extended attributes say.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

pub type View = BTreeMap<Vec<u8>, Entry>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    pub device: u64,
    /// The first of its names, in order: equal for hard links.
    pub first_name: Vec<u8>,
    pub links: u64,
    /// A regular file's bytes, a symbolic link's target.
    pub content: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub inode: u64,
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
}

pub fn look(root: &Path) -> io::Result<View> {
    let mut view = View::new();
    walk(root, &mut Vec::new(), &mut view)?;
    let mut firsts = BTreeMap::new();
    for (path, entry) in &mut view {
        entry.first_name = firsts.entry(entry.inode).or_insert_with(|| path.clone()).clone();
    }
    Ok(view)
}

fn walk(root: &Path, below: &mut Vec<u8>, view: &mut View) -> io::Result<()> {
    let path = root.join(std::ffi::OsStr::from_bytes(below));
    let meta = fs::symlink_metadata(&path)?;
    let kind = meta.file_type();
    let (kind, content) = match () {
        () if kind.is_file() => ("file", fs::read(&path)?),
        () if kind.is_symlink() => ("link", fs::read_link(&path)?.into_os_string().into_vec()),
        () if kind.is_dir() => ("directory", Vec::new()),
        () if kind.is_fifo() => ("pipe", Vec::new()),
        () if kind.is_socket() => ("socket", Vec::new()),
        () if kind.is_char_device() => ("character", Vec::new()),
        () => ("block", Vec::new()),
    };
    let entry = Entry {
        kind,
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        // A directory's is the file system's affair.
        size: if kind == "directory" { 0 } else { meta.size() },
        device: meta.rdev(),
        first_name: Vec::new(),
        links: meta.nlink(),
        content,
        xattrs: xattrs(&path)?,
        inode: meta.ino(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        ctime: (meta.ctime(), meta.ctime_nsec()),
    };
    view.insert(below.clone(), entry);
    if meta.is_dir() {
        for child in fs::read_dir(&path)? {
            let child = child?;
            let length = below.len();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(child.file_name().as_bytes());
            walk(root, below, view)?;
            below.truncate(length);
        }
    }
    Ok(())
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut names[..])?;
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..])?;
            value.truncate(length);
            Ok((name.to_vec(), value))
        })
        .collect()
}
