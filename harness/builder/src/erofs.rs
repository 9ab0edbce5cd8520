//! A layer computed on the Tree as one file: an image of the kernel's read-only file system EROFS, which RUN mounts as a
//! lower directory. Thousands of files that were copied in are then written as one, in one pass, and removed as one; file
//! systems take their time to make and to remove an entry. Small layers are put in directories by [`crate::materialise`], and so
//! is everything where the kernel cannot mount such a file (before Linux 6.12, or without root).
//!
//! The format: <https://docs.kernel.org/filesystems/erofs.html>. Nothing is compressed or packed: an inode in its long form
//! (64 bytes) each, then whole blocks of names and contents. A directory is as large as on ext4.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use samebuild_image::entry::Whiteout;
use samebuild_image::tree::Ino;
use samebuild_image::{At, Content, Kind, Layer, Meta, Mtime, Tree};

/// Fewer entries are as quickly unpacked.
const ENOUGH: usize = 512;
const BLOCK: u64 = 4096;
const MAGIC: u32 = 0xe0f5_e1e2;
/// Where the superblock is; inodes come right after it, and their numbers count 32 bytes from the image's beginning.
const SUPER: usize = 1024;
const INODES: u64 = 1152;
const INODE: usize = 64;

/// Whether it pays to make an image of `layer`.
pub fn pays(layer: &Layer) -> bool {
    layer.entries.len() >= ENOUGH && crate::sandbox::standing().is_root()
}

/// Writes `layer` as the new file `path`. `tree` is the tree with the layer applied. `false`: there is something in it that
/// the format has no place for, or the kernel mounts no such file; nothing is left.
pub fn image(layer: &Layer, tree: &Tree, path: &Path) -> io::Result<bool> {
    let Some(mut plan) = Plan::of(layer, tree) else { return Ok(false) };
    let meta = plan.lay_out();
    let mut out = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
    out.write_all(&meta)?;
    plan.write_data(&mut out)?;
    out.flush()?;
    drop(out);
    if mounted(path).is_err() {
        std::fs::remove_file(path)?;
        return Ok(false);
    }
    Ok(true)
}

/// The image as a mount that is nowhere; dropping it is the end of it.
fn mounted(path: &Path) -> io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&fs, "source", path)?;
    rustix::mount::fsconfig_set_flag(&fs, "ro")?;
    rustix::mount::fsconfig_create(&fs)?;
    Ok(rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?)
}

/// What is to be written, inodes by their index. The root comes first.
struct Plan {
    nodes: Vec<Node>,
    places: BTreeMap<At, usize>,
    by_ino: BTreeMap<Ino, usize>,
}

struct Node {
    kind: Kind,
    meta: Meta,
    links: u32,
    /// Of a directory: names, `.` and `..` among them, and whose they are.
    children: BTreeMap<Vec<u8>, usize>,
    xattrs: Vec<u8>,
    /// Where its inode is, in bytes, and its first block.
    offset: u64,
    block: u64,
    names: Vec<u8>,
}

impl Plan {
    fn of(layer: &Layer, tree: &Tree) -> Option<Self> {
        let mut plan = Self { nodes: Vec::new(), places: BTreeMap::new(), by_ino: BTreeMap::new() };
        plan.add(&At::root(), None, &Kind::Dir, &Meta::new(0o755, Mtime::secs(0)))?;
        let mut opaque = Vec::new();
        for entry in &layer.entries {
            match entry.whiteout() {
                Some(Whiteout::Opaque(dir)) => opaque.push(dir),
                Some(Whiteout::Removed(hidden)) => {
                    plan.parents(&hidden, tree)?;
                    let device = Kind::Char { major: 0, minor: 0 };
                    plan.add(&hidden, None, &device, &Meta::new(0, Mtime::secs(0)))?;
                }
                None => {
                    plan.parents(&entry.at, tree)?;
                    if let (Some(inode), Some(ino)) = (tree.get(&entry.at), tree.ino(&entry.at)) {
                        plan.add(&entry.at, Some(ino), &inode.kind, &inode.meta)?;
                    }
                }
            }
        }
        for dir in opaque {
            let node = plan.places.get(&dir).and_then(|index| plan.nodes.get_mut(*index))?;
            node.meta.xattrs.insert(b"trusted.overlay.opaque".to_vec(), b"y".to_vec());
        }
        for node in &mut plan.nodes {
            node.xattrs = xattrs(&node.meta)?;
        }
        Some(plan)
    }

    fn parents(&mut self, at: &At, tree: &Tree) -> Option<()> {
        for parent in at.parents().filter(|parent| !parent.is_root()) {
            if let (false, Some(inode)) = (self.places.contains_key(&parent), tree.get(&parent)) {
                self.add(&parent, None, &Kind::Dir, &inode.meta)?;
            }
        }
        Some(())
    }

    fn add(&mut self, at: &At, ino: Option<Ino>, kind: &Kind, meta: &Meta) -> Option<()> {
        if self.places.contains_key(at) {
            return Some(());
        }
        let known = ino.filter(|_| !kind.is_dir()).and_then(|ino| self.by_ino.get(&ino).copied());
        let index = known.unwrap_or(self.nodes.len());
        if known.is_none() {
            let (kind, meta) = (kind.clone(), meta.clone());
            let links = if kind.is_dir() { 2 } else { 0 };
            self.nodes.push(Node {
                kind,
                meta,
                links,
                children: BTreeMap::new(),
                xattrs: Vec::new(),
                offset: 0,
                block: 0,
                names: Vec::new(),
            });
            ino.and_then(|ino| self.by_ino.insert(ino, index));
        }
        let is_dir = kind.is_dir();
        let parent = match at.parent() {
            Some(parent) => *self.places.get(&parent)?,
            None => index,
        };
        if is_dir {
            self.nodes[index].children.extend([(b".".to_vec(), index), (b"..".to_vec(), parent)]);
        } else {
            self.nodes[index].links += 1;
        }
        if parent != index {
            self.nodes[parent].children.insert(at.name().to_vec(), index);
            self.nodes[parent].links += u32::from(is_dir);
        }
        self.places.insert(at.clone(), index);
        Some(())
    }

    /// Gives everything its place; the superblock and the inodes.
    fn lay_out(&mut self) -> Vec<u8> {
        let mut offset = INODES;
        for node in &mut self.nodes {
            node.offset = offset;
            offset = (offset + (INODE + node.xattrs.len()) as u64).next_multiple_of(INODE as u64);
        }
        let mut block = offset.div_ceil(BLOCK);
        let numbers: Vec<(u64, u8)> =
            self.nodes.iter().map(|node| (node.offset / 32, file_type(&node.kind))).collect();
        for node in &mut self.nodes {
            node.names = directory(&node.children, &numbers);
            node.block = block;
            block += node.size().div_ceil(BLOCK);
        }
        let mut meta = vec![0; usize::try_from(offset.next_multiple_of(BLOCK)).unwrap_or(0)];
        let root = u16::try_from(INODES / 32).unwrap_or(0);
        put(&mut meta, SUPER, &MAGIC.to_le_bytes());
        put(&mut meta, SUPER + 12, &[12]); // blocks are of 2^12 bytes
        put(&mut meta, SUPER + 14, &root.to_le_bytes());
        put(&mut meta, SUPER + 16, &(self.nodes.len() as u64).to_le_bytes());
        put(&mut meta, SUPER + 36, &u32::try_from(block).unwrap_or(u32::MAX).to_le_bytes());
        for (index, node) in self.nodes.iter().enumerate() {
            let at = usize::try_from(node.offset).unwrap_or(0);
            put(&mut meta, at, &node.inode(index));
            put(&mut meta, at + INODE, &node.xattrs);
        }
        meta
    }

    /// Names and contents, in whole blocks.
    fn write_data(&self, out: &mut impl Write) -> io::Result<()> {
        for node in &self.nodes {
            match &node.kind {
                Kind::Dir => out.write_all(&node.names)?,
                Kind::Symlink(target) => out.write_all(target)?,
                Kind::File(content) => copy(content, out)?,
                _ => {}
            }
            let size = node.size();
            let padding = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or(0);
            out.write_all(&[0; BLOCK as usize][..padding])?;
        }
        Ok(())
    }
}

fn copy(content: &Content, out: &mut impl Write) -> io::Result<()> {
    if content.size() == 0 {
        return Ok(());
    }
    let copied = io::copy(&mut content.open()?.take(content.size()), out)?;
    if copied != content.size() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the content ended early"));
    }
    Ok(())
}

impl Node {
    fn size(&self) -> u64 {
        match &self.kind {
            Kind::Dir => self.names.len() as u64,
            Kind::Symlink(target) => target.len() as u64,
            Kind::File(content) => content.size(),
            _ => 0,
        }
    }

    fn inode(&self, index: usize) -> [u8; INODE] {
        let mut bytes = [0; INODE];
        let (type_bits, place) = match self.kind {
            Kind::Char { major, minor } => (0o020_000, device(major, minor)),
            Kind::Block { major, minor } => (0o060_000, device(major, minor)),
            Kind::Fifo => (0o010_000, 0),
            Kind::Dir => (0o040_000, self.block as u32),
            Kind::Symlink(_) => (0o120_000, self.block as u32),
            Kind::File(_) | Kind::Hardlink(_) => (0o100_000, self.block as u32),
        };
        let (secs, nanos) = self.meta.mtime.timestamp().unwrap_or((0, 0));
        // The long form, its data in blocks of their own.
        put(&mut bytes, 0, &1_u16.to_le_bytes());
        let xattrs = if self.xattrs.is_empty() { 0 } else { (self.xattrs.len() - 12) / 4 + 1 };
        put(&mut bytes, 2, &(xattrs as u16).to_le_bytes());
        put(&mut bytes, 4, &((self.meta.mode & 0o7777 | type_bits) as u16).to_le_bytes());
        put(&mut bytes, 8, &self.size().to_le_bytes());
        put(&mut bytes, 16, &place.to_le_bytes());
        put(&mut bytes, 20, &(index as u32 + 1).to_le_bytes());
        put(&mut bytes, 24, &(self.meta.uid as u32).to_le_bytes());
        put(&mut bytes, 28, &(self.meta.gid as u32).to_le_bytes());
        put(&mut bytes, 32, &secs.to_le_bytes());
        put(&mut bytes, 40, &nanos.to_le_bytes());
        put(&mut bytes, 44, &self.links.to_le_bytes());
        bytes
    }
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = into.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// As the kernel packs a device's number into 32 bits.
fn device(major: u32, minor: u32) -> u32 {
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

fn file_type(kind: &Kind) -> u8 {
    match kind {
        Kind::File(_) | Kind::Hardlink(_) => 1,
        Kind::Dir => 2,
        Kind::Char { .. } => 3,
        Kind::Block { .. } => 4,
        Kind::Fifo => 5,
        Kind::Symlink(_) => 7,
    }
}

/// Names in blocks: in each first 12 bytes an entry, then the names, sorted over all blocks.
fn directory(children: &BTreeMap<Vec<u8>, usize>, numbers: &[(u64, u8)]) -> Vec<u8> {
    const ENTRY: usize = 12;
    let mut blocks = Vec::new();
    let mut left: Vec<(&Vec<u8>, usize)> = children.iter().map(|(name, index)| (name, *index)).collect();
    left.reverse();
    while !left.is_empty() {
        let (mut here, mut full) = (Vec::new(), 0);
        while let Some((name, index)) = left.pop() {
            if full + ENTRY + name.len() > BLOCK as usize {
                left.push((name, index));
                break;
            }
            full += ENTRY + name.len();
            here.push((name, index));
        }
        let mut block = vec![0; BLOCK as usize];
        let mut name_at = here.len() * ENTRY;
        for (n, (name, index)) in here.iter().enumerate() {
            let (number, file_type) = numbers[*index];
            put(&mut block, n * ENTRY, &number.to_le_bytes());
            put(&mut block, n * ENTRY + 8, &(name_at as u16).to_le_bytes());
            put(&mut block, n * ENTRY + 10, &[file_type]);
            put(&mut block, name_at, name);
            name_at += name.len();
        }
        blocks.extend(block);
    }
    blocks
}

/// Extended attributes as they follow an inode; `None` where there is one of a kind the format does not know.
fn xattrs(meta: &Meta) -> Option<Vec<u8>> {
    const KINDS: [(&[u8], u8); 3] = [(b"user.", 1), (b"trusted.", 4), (b"security.", 6)];
    let mut bytes = vec![0; 12];
    for (name, value) in &meta.xattrs {
        let (rest, kind) = KINDS.iter().find_map(|(lead, kind)| Some((name.strip_prefix(*lead)?, *kind)))?;
        bytes.extend([u8::try_from(rest.len()).ok()?, kind]);
        bytes.extend(u16::try_from(value.len()).ok()?.to_le_bytes());
        bytes.extend(rest);
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    // All of it has to be told in 16 bits.
    let fits = bytes.len() / 4 < usize::from(u16::MAX);
    fits.then(|| if meta.xattrs.is_empty() { Vec::new() } else { bytes })
}

#[cfg(test)]
#[path = "erofs_tests.rs"]
mod tests;
