//! What a container runtime puts into the file system of a RUN besides the image: files over /etc, volumes, mount points,
//! and the layer Docker hides them in.

use std::path::Path;
use std::sync::Arc;

use samebuild_image::{At, Content, Kind, Layer, Meta, Tree};

use super::run::{Hostname, MountPoints, Volumes};
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
pub(super) fn files_mounted(
    scratch: &Path,
    hostname: &str,
    session: &Session<'_>,
) -> Result<(Vec<Mount>, Vec<Stub>), StepError> {
    let keep = session.dialect.run.mount_points == MountPoints::MadeAndLeft;
    // The host's name servers are told of, whether or not there is a network to reach them by.
    let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let files = match session.dialect.run.hostname {
        Hostname::ContainerId => {
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
        .map(|at| Stub { at: at.into(), is_dir: true, keep, parents_too: false })
        .into();
    for (name, text) in files {
        let source = scratch.join(name);
        std::fs::write(&source, text).map_err(StepError::broken("write the container's files"))?;
        let at = format!("/etc/{name}");
        stubs.push(Stub { at: at.clone(), is_dir: false, keep, parents_too: false });
        mounts.push(Mount { at, kind: MountKind::Bind(Bind { source, read_only: false }) });
    }
    Ok((mounts, stubs))
}

/// The script of a heredoc, as a file in /dev, which is gone with the container.
pub(super) fn script_mount(scratch: &Path, path: &str, content: &str) -> Result<Mount, StepError> {
    use std::os::unix::fs::PermissionsExt;
    let broken = StepError::broken("write the script of a heredoc");
    let source = scratch.join("script");
    std::fs::write(&source, content).map_err(&broken)?;
    std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o755)).map_err(&broken)?;
    Ok(Mount { at: path.to_owned(), kind: MountKind::Bind(Bind { source, read_only: true }) })
}

/// Mounts a copy of each volume's content over it, where the dialect does that.
pub(super) fn volumes(
    stage: &Stage,
    session: &Session<'_>,
    scratch: &Path,
    mounts: &mut Vec<Mount>,
    stubs: &mut Vec<Stub>,
) -> Result<(), StepError> {
    if session.dialect.run.volumes == Volumes::Ignored {
        return Ok(());
    }
    for (n, path) in stage.config.volumes.iter().enumerate() {
        let at =
            stage.tree.resolve(path, true).map_err(|e| StepFailure::new("symlink-loop", e.to_string()))?;
        let source = scratch.join(format!("volume-{n}"));
        crate::materialise::tree(&subtree(&stage.tree, &at), &source)
            .map_err(|error| error.in_step("fill a volume"))?;
        stubs.push(Stub { at: at.to_string(), is_dir: true, keep: true, parents_too: false });
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
