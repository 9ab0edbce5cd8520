//! What a container runtime puts into the file system of a RUN besides the image: files over /etc, volumes, mount points,
//! and the layer Docker hides them in.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use samebuild_image::{At, Content, Kind, Layer, Meta, Tree};

use super::run::{Hostname, MountPoints, MountTargets, NotFound, Volumes};
use crate::delta::{Delta, LayerForm};
use crate::failure::StepFailure;
use crate::request::Network;
use crate::sandbox::{Bind, Mount, MountKind, Stub};
use crate::session::{Session, StepError};
use crate::stage::Stage;

/// What Docker writes into /etc/hosts of IPv6.
const IP6_HOSTS: &str = "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
                         ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The files a runtime mounts over /etc, and the mount points a runtime needs.
pub(crate) fn files_mounted(
    scratch: &Path,
    hostname: &str,
    tree: &Tree,
    session: &Session<'_>,
) -> Result<(Vec<Mount>, Vec<Stub>), StepError> {
    let keep = session.dialect.run.mount_points == MountPoints::MadeAndLeft;
    // Those for file systems are the runtime's, and whoever tidies up does not know of them.
    let keep_dirs = session.dialect.run.mount_points != MountPoints::LayerBelow;
    let parents_too = session.dialect.run.mount_targets == MountTargets::Removed;
    // The host's name servers are told of, whether or not there is a network to reach them by.
    let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let files = match session.dialect.run.hostname {
        Hostname::ContainerId | Hostname::ContainerIdUntold => {
            let own = match session.request.network {
                Network::None => String::new(),
                Network::Host => format!("127.0.1.1\t{hostname}\n"),
            };
            let hosts = format!("127.0.0.1\tlocalhost\n{IP6_HOSTS}{own}");
            vec![("resolv.conf", resolv), ("hosts", hosts), ("hostname", format!("{hostname}\n"))]
        }
        Hostname::BuildkitSandbox => {
            let ip6 = IP6_HOSTS.lines().next().unwrap_or_default();
            vec![("resolv.conf", resolv), ("hosts", format!("127.0.0.1\tlocalhost {hostname}\n{ip6}\n"))]
        }
    };
    let mut mounts = Vec::new();
    let mut stubs: Vec<Stub> = ["/proc", "/dev", "/sys"]
        .map(|at| Stub { at: at.into(), is_dir: true, keep: keep_dirs, parents_too: false })
        .into();
    for (name, text) in files {
        let source = scratch.join(name);
        std::fs::write(&source, text).map_err(StepError::broken("write the container's files"))?;
        let at = format!("/etc/{name}");
        if tree
            .resolve(&at, true)
            .is_ok_and(|place| tree.get(&place).is_some_and(|inode| inode.kind.is_dir()))
        {
            let message = format!("mount a file over {at}: there is a directory; remove it");
            let class = match session.dialect.run.not_found {
                NotFound::Refused | NotFound::NeverStarted => "run-not-started",
                NotFound::ExitCode => "run-exit",
            };
            return Err(StepFailure::new(class, message).into());
        }
        stubs.push(Stub { at: at.clone(), is_dir: false, keep, parents_too });
        mounts.push(Mount { at, kind: MountKind::Bind(Bind { source, read_only: false }) });
    }
    Ok((mounts, stubs))
}

/// The script of a heredoc, as a file in /dev, which is gone with the container.
pub(crate) fn script_mount(scratch: &Path, path: &str, content: &str) -> Result<Mount, StepError> {
    use std::os::unix::fs::PermissionsExt;
    let broken = StepError::broken("write the script of a heredoc");
    let source = scratch.join("script");
    std::fs::write(&source, content).map_err(&broken)?;
    std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o755)).map_err(&broken)?;
    Ok(Mount { at: path.to_owned(), kind: MountKind::Bind(Bind { source, read_only: true }) })
}

/// Where volumes are mounted; a file cannot be one.
pub(super) fn volume_places<'p>(
    stage: &Stage,
    paths: impl IntoIterator<Item = &'p String>,
) -> Result<BTreeSet<At>, StepFailure> {
    let mut places = BTreeSet::new();
    for path in paths {
        let at =
            stage.tree.resolve(path, true).map_err(|e| StepFailure::new("symlink-loop", e.to_string()))?;
        if stage.tree.get(&at).is_some_and(|inode| !inode.kind.is_dir()) {
            let message = format!("mount a volume over {at}: there is a file; name a directory");
            return Err(StepFailure::new("run-not-started", message));
        }
        places.insert(at);
    }
    Ok(places)
}

/// Mounts a copy of each volume's content over it, where the dialect does that.
pub(crate) fn volumes(
    stage: &Stage,
    session: &Session<'_>,
    scratch: &Path,
    mounts: &mut Vec<Mount>,
    stubs: &mut Vec<Stub>,
) -> Result<(), StepError> {
    if session.dialect.run.volumes != Volumes::MountedAside {
        return Ok(());
    }
    let places = volume_places(stage, &stage.config.volumes)?;
    for (n, at) in places.iter().enumerate() {
        let source = scratch.join(format!("volume-{n}"));
        let mut content = subtree(&stage.tree, at);
        // A volume in another finds its mount point there.
        let inside = places.iter().filter(|other| *other != at);
        for other in inside.filter_map(|other| other.below(at).map(At::clean)) {
            for dir in other.parents().chain([other.clone()]) {
                if content.get(&dir).is_none() {
                    content.insert(&dir, Kind::Dir, Meta::new(0o755, session.now()));
                }
            }
        }
        crate::materialise::tree(&content, &source).map_err(|error| error.in_step("fill a volume"))?;
        if !places.iter().any(|other| other != at && at.is_within(other)) {
            stubs.push(Stub { at: at.to_string(), is_dir: true, keep: true, parents_too: false });
        }
        mounts.push(Mount { at: at.to_string(), kind: MountKind::Bind(Bind { source, read_only: false }) });
    }
    Ok(())
}

/// What is below `at`, as a tree of its own.
pub(super) fn subtree(tree: &Tree, at: &At) -> Tree {
    let mut out = Tree::new();
    let mut names = std::collections::BTreeMap::new();
    for (place, ino, inode) in tree.within(at) {
        let place_below = At::clean(place.below(at).unwrap_or_default());
        match names.get(&ino) {
            Some(first) => drop(out.link(&place_below, first)),
            None => {
                out.insert(&place_below, inode.kind.clone(), inode.meta.clone());
                names.insert(ino, place_below);
            }
        }
    }
    out
}

/// The layer Docker puts between image and container: mount points, empty, so that none are made in the container's own.
pub(super) fn init_layer(stage: &Stage, session: &Session<'_>) -> (Layer, Tree) {
    const DIRS: [&str; 5] = ["proc", "sys", "dev", "dev/pts", "dev/shm"];
    const FILES: [&str; 5] = [".dockerenv", "etc/resolv.conf", "etc/hosts", "etc/hostname", "dev/console"];
    let mut delta = Delta::new(&stage.tree, session.now());
    let dir = Meta::new(0o755, session.now());
    for path in DIRS {
        // Something else in the way stays in the way, as it would.
        let _ = delta.make_dirs(&At::from(path), &dir);
    }
    for path in FILES {
        let at = At::from(path);
        let parent_made = at.parent().is_none_or(|parent| delta.make_dirs(&parent, &dir).is_ok());
        if parent_made && !delta.is_dir(&at) {
            delta.put(
                &at,
                Kind::File(Content::inline(Arc::<[u8]>::from([]))),
                Meta::new(0o755, session.now()),
            );
        }
    }
    let mtab = At::from("etc/mtab");
    if delta.tree().get(&mtab).is_none() && delta.is_dir(&At::from("etc")) {
        delta.put(&mtab, Kind::Symlink(b"/proc/mounts".to_vec()), Meta::new(0o777, session.now()));
    }
    let (tree, layer) = delta.finish(LayerForm::UpperDirectory);
    (layer, tree)
}
