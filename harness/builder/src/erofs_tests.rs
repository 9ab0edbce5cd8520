//! The image, mounted by the kernel and read back: nobody else's opinion counts.

use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use samebuild_image::{At, Content, Kind, Layer, Meta, Mtime, Tree};

use super::*;
use crate::delta::{Delta, LayerForm, entries_of};

fn meta(mode: u32) -> Meta {
    Meta { uid: 7, gid: 70_000, ..Meta::new(mode, Mtime::At { secs: 1_600_000_000, nanos: 5 }) }
}

/// What the kernel shows of the layer; `None`, with a word, where it mounts no such file.
fn read_back(layer: &Layer, tree: &Tree) -> Option<Tree> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer.erofs");
    if !crate::sandbox::standing().is_root() || !image(layer, tree, &path).unwrap() {
        println!("not exercised: this kernel, or this user, mounts no EROFS file");
        return None;
    }
    let mount = mounted(&path).unwrap();
    let root = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
    let seen = crate::disk::scan(&root).unwrap();
    // Contents are read as long as the mount is there.
    seen.iter().for_each(|(at, _, inode)| {
        if let Kind::File(content) = &inode.kind {
            content.digest().unwrap_or_else(|error| panic!("{at}: {error}"));
        }
    });
    Some(seen)
}

fn told(tree: &Tree) -> Vec<String> {
    let tell = |(at, ino, inode): (&At, Ino, &samebuild_image::Inode)| {
        let kind = match &inode.kind {
            Kind::File(content) => format!("file {}", content.digest().unwrap()),
            other => format!("{other:?}"),
        };
        let names = if inode.kind.is_dir() { Vec::new() } else { tree.names(ino) };
        format!("{at} {kind} {:?} {names:?}", inode.meta)
    };
    tree.iter().filter(|(at, _, _)| !at.is_root()).map(tell).collect()
}

fn put(tree: &mut Tree, at: &str, kind: Kind) {
    tree.insert(&At::from(at), kind, meta(0o4751));
}

#[test]
fn everything_a_tree_can_hold_comes_back_from_the_kernel_as_it_was() {
    let mut tree = Tree::new();
    for dir in ["d", "d/wide", "-before-dot"] {
        put(&mut tree, dir, Kind::Dir);
    }
    // Several blocks of names, and contents around the size of a block.
    for n in 0..700 {
        let content = Content::inline(vec![n as u8; n * 13]);
        put(&mut tree, &format!("d/wide/a-name-of-some-length-{n}"), Kind::File(content));
    }
    put(&mut tree, "d/empty", Kind::File(Content::inline(*b"")));
    put(&mut tree, "d/link", Kind::Symlink(b"../somewhere".to_vec()));
    put(&mut tree, "d/pipe", Kind::Fifo);
    put(&mut tree, "d/null", Kind::Char { major: 1, minor: 3 });
    put(&mut tree, "d/disk", Kind::Block { major: 259, minor: 1000 });
    put(&mut tree, "d/noted", Kind::File(Content::inline(*b"x")));
    let noted = tree.meta_mut(&At::from("d/noted")).unwrap();
    noted.xattrs.insert(b"user.note".to_vec(), b"of some length".to_vec());
    noted.xattrs.insert(b"trusted.t".to_vec(), vec![0, 1]);
    assert!(tree.link(&At::from("other-name"), &At::from("d/wide/a-name-of-some-length-9")));
    let layer =
        entries_of(&tree, &tree.iter().map(|(at, _, _)| at.clone()).filter(|at| !at.is_root()).collect());
    let Some(seen) = read_back(&layer, &tree) else { return };
    let (expected, seen) = (told(&tree), told(&seen));
    for (expected, seen) in expected.iter().zip(&seen) {
        assert_eq!(expected, seen);
    }
    assert_eq!(expected.len(), seen.len());
}

#[test]
fn what_was_removed_or_replaced_is_marked_as_an_overlay_marks_it() {
    let mut below = Tree::new();
    for dir in ["kept", "replaced"] {
        put(&mut below, dir, Kind::Dir);
    }
    for file in ["kept/gone", "kept/stays", "replaced/gone"] {
        put(&mut below, file, Kind::File(Content::inline(*b"x")));
    }
    let mut delta = Delta::new(&below, Mtime::secs(9));
    delta.remove(&At::from("kept/gone"));
    delta.remove(&At::from("replaced"));
    delta.put(&At::from("replaced"), Kind::Dir, meta(0o755));
    let (tree, layer) = delta.finish(LayerForm::UpperDirectory);
    let Some(seen) = read_back(&layer, &tree) else { return };
    assert!(matches!(seen.get(&At::from("kept/gone")).unwrap().kind, Kind::Char { major: 0, minor: 0 }));
    assert!(seen.get(&At::from("kept/stays")).is_none(), "it is below");
    let opaque = &seen.get(&At::from("replaced")).unwrap().meta.xattrs;
    assert_eq!(opaque.get(&b"trusted.overlay.opaque"[..]), Some(&b"y".to_vec()));
}

#[test]
fn an_attribute_that_the_format_does_not_know_makes_no_image() {
    let mut tree = Tree::new();
    put(&mut tree, "f", Kind::File(Content::inline(*b"x")));
    tree.meta_mut(&At::from("f")).unwrap().xattrs.insert(b"system.odd".to_vec(), b"v".to_vec());
    let layer = entries_of(&tree, &[At::from("f")].into());
    assert!(Plan::of(&layer, &tree).is_none());
}
