//! A kaniko executor that somebody gives us: where it is, and the root of its own that it is started in. It builds on the
//! root it runs in and empties it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where the executor is.
pub const VARIABLE: &str = "SAMEBUILD_KANIKO";

/// The executor.
///
/// # Errors
/// None is named, or what is named is none.
pub fn find() -> Result<PathBuf, String> {
    let executor = std::env::var_os(VARIABLE).map(PathBuf::from).ok_or_else(|| {
        format!("{VARIABLE} names no kaniko executor; set it to the path of one, of version 1.24")
    })?;
    if !executor.is_file() {
        return Err(format!("{VARIABLE} is {}, which is no file", executor.display()));
    }
    Ok(executor)
}

/// Puts the executor in `root`, with the directories that [`START`] mounts on.
///
/// # Errors
/// It cannot be written there.
pub fn lay_out(root: &Path, executor: &Path) -> std::io::Result<()> {
    for dir in ["kaniko", "workspace", "dev", "proc"] {
        std::fs::create_dir_all(root.join(dir))?;
    }
    let own = root.join("kaniko/executor");
    std::fs::copy(executor, &own)?;
    std::fs::set_permissions(own, std::fs::Permissions::from_mode(0o755))
}

/// Mounts into its root, `$1`, what it needs, the context, `$2`, among it, and becomes it with the arguments that follow. The
/// devices are new nodes: an executor empties its root, and must not find the machine's in it.
pub const START: &str = r#"
set -e
root=$1 context=$2
shift 2
mount --bind "$context" "$root/workspace"
mount -o remount,bind,ro "$root/workspace"
mount -t tmpfs -o mode=755 none "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mount -t proc proc "$root/proc"
exec chroot "$root" /kaniko/executor "$@"
"#;
