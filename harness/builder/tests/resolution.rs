//! Paths resolved on the Tree end where the kernel ends, locked into the same tree on disk: `openat2` with
//! `RESOLVE_IN_ROOT` walks as after a chroot (an absolute link starts at the root, `..` stops there) and needs no root.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use samebuild_image::{At, Content, Kind, Meta, Mtime, Tree};

/// Few enough names that paths meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Thing {
    Dir,
    File,
    Link(String),
}

/// A path of up to `most` steps, some of them up.
fn path(most: usize) -> impl Strategy<Value = String> {
    let step = prop_oneof![4 => proptest::sample::select(&NAMES[..]), 1 => Just("..")];
    (any::<bool>(), vec(step, 1..=most))
        .prop_map(|(absolute, steps)| format!("{}{}", if absolute { "/" } else { "" }, steps.join("/")))
}

fn place() -> impl Strategy<Value = String> {
    vec(proptest::sample::select(&NAMES[..]), 1..=3).prop_map(|steps| steps.join("/"))
}

/// What is where, directories first so that there is something to be in. No more than three links of no more than three
/// steps: a path of three then follows at most 39, and the kernel gives up after 40, where we do after 255 as moby does.
fn things() -> impl Strategy<Value = Vec<(String, Thing)>> {
    let dirs = vec(place().prop_map(|at| (at, Thing::Dir)), 0..6);
    let files = vec(place().prop_map(|at| (at, Thing::File)), 0..3);
    let links = vec((place(), path(3)).prop_map(|(at, to)| (at, Thing::Link(to))), 0..=3);
    (dirs, links, files).prop_map(|(dirs, links, files)| [dirs, links, files].concat())
}

/// The same things as a Tree and in the directory `disk`. What has no directory to be in, or is in the way, is left out.
fn lay_out(things: &[(String, Thing)], disk: &Path) -> Tree {
    let mut tree = Tree::new();
    for (place, thing) in things {
        let at = At::from(place.as_str());
        let is_in_dir = at.parents().all(|dir| tree.get(&dir).is_some_and(|inode| inode.kind.is_dir()));
        if !is_in_dir || tree.get(&at).is_some() {
            continue;
        }
        let on_disk = disk.join(place);
        let kind = match thing {
            Thing::Dir => std::fs::create_dir(&on_disk).map(|()| Kind::Dir),
            Thing::File => std::fs::write(&on_disk, "").map(|()| Kind::File(Content::inline(*b""))),
            Thing::Link(to) => {
                std::os::unix::fs::symlink(to, &on_disk).map(|()| Kind::Symlink(to.clone().into_bytes()))
            }
        };
        tree.insert(&at, kind.unwrap(), Meta::new(0o755, Mtime::secs(0)));
    }
    tree
}

/// Where the kernel ends, as a path below `disk`.
fn kernel(disk: &Path, path: &str, follow_last: bool) -> Result<At, Errno> {
    let root = rustix::fs::open(disk, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    let flags = if follow_last { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    let found = loop {
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            // Somebody renamed or mounted something, anywhere, while `..` was looked up.
            Err(Errno::AGAIN) => {}
            found => break found?,
        }
    };
    let at = rustix::fs::readlink(format!("/proc/self/fd/{}", found.as_raw_fd()), Vec::new())?;
    let at = Path::new(OsStr::from_bytes(at.as_bytes()))
        .strip_prefix(disk)
        .unwrap()
        .as_os_str()
        .as_bytes()
        .to_vec();
    Ok(At::clean(at))
}

/// The seed of a failing input is printed, and kept beside this file for the next run.
fn seeds() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("seeds")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: seeds(), ..ProptestConfig::with_cases(600) })]

    #[test]
    fn the_tree_resolves_as_a_kernel_locked_into_it(things in things(), paths in vec(path(3), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().canonicalize().unwrap();
        let tree = lay_out(&things, &disk);
        for path in &paths {
            for follow_last in [true, false] {
                let ours = tree.resolve(path, follow_last);
                if let Ok(at) = &ours {
                    prop_assert!(at.components().all(|part| part != b".." && part != b"."), "{path} escapes to {at}");
                }
                let exists = |at: &At| tree.get(at).is_some();
                match (kernel(&disk, path, follow_last), ours) {
                    (Ok(there), Ok(here)) => prop_assert_eq!(there, here, "{}", path),
                    (Err(Errno::LOOP), Err(_)) => {}
                    // Steps over what is not there are taken as they are, so `..` leads back from it.
                    (Err(Errno::NOENT | Errno::NOTDIR), _) if goes_up(&things, path) => {}
                    (Err(Errno::NOENT | Errno::NOTDIR), Ok(here)) => prop_assert!(!exists(&here), "{path} is at {here}"),
                    (Err(Errno::NOSYS), _) => {
                        println!("not exercised: this kernel has no openat2");
                        return Ok(());
                    }
                    (there, here) => prop_assert!(false, "{path}: {there:?} on disk, {here:?} here"),
                }
            }
        }
    }
}

fn goes_up(things: &[(String, Thing)], path: &str) -> bool {
    let links = things.iter().filter_map(|(_, thing)| match thing {
        Thing::Link(to) => Some(to.as_str()),
        Thing::Dir | Thing::File => None,
    });
    links.chain([path]).any(|path| path.split('/').any(|part| part == ".."))
}

/// What the property must meet to mean anything: loops, links that leave, links to nothing.
#[test]
fn loops_escapes_and_dangling_links_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().canonicalize().unwrap();
    let things = BTreeMap::from([("a", "a"), ("b", "../../../../../c/.."), ("d", "/nowhere/else")]);
    let mut all = vec![("c".to_owned(), Thing::Dir), ("c/c".to_owned(), Thing::Link("/c".to_owned()))];
    all.extend(things.iter().map(|(at, to)| ((*at).to_owned(), Thing::Link((*to).to_owned()))));
    let tree = lay_out(&all, &disk);
    assert_eq!(kernel(&disk, "a", true), Err(Errno::LOOP));
    assert!(tree.resolve("a", true).is_err());
    for (path, ends) in [("b", ""), ("b/c/c/c", "c"), ("/../../c", "c"), ("c/../../c", "c")] {
        assert_eq!(kernel(&disk, path, true), Ok(At::from(ends)), "{path}");
        assert_eq!(tree.resolve(path, true).unwrap(), At::from(ends), "{path}");
    }
    assert_eq!(kernel(&disk, "d", true), Err(Errno::NOENT));
    assert_eq!(tree.resolve("d", true).unwrap(), At::from("nowhere/else"));
}
