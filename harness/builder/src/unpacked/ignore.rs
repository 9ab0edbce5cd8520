//! What of the root is not the image's: mount points of the container a builder runs in, its own directory, volumes.

use samebuild_image::{At, Tree};

/// Mounted by Docker into every container, or the builder's own. Docker is what the records were made in.
const NOT_OURS: [&str; 9] =
    ["dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "var/run", "kaniko"];
/// Those of them that are files.
const MOUNTED_FILES: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
/// Directories of gpg keys that apt leaves in /tmp: what is in them, by the beginning of their name.
const KEYS: &str = "tmp/apt-key-gpghome";

/// The list, as it is while a stage is built.
#[derive(Debug, Clone, Default)]
pub struct Ignored {
    /// Of a volume the directory itself is the image's, but nothing in it.
    pub volumes: Vec<At>,
}

impl Ignored {
    /// Whether a walk passes this place over, with all that is in it.
    pub fn skips(&self, at: &At) -> bool {
        NOT_OURS.iter().any(|path| at.is_within(&At::from(*path)))
    }

    /// Whether what a walk finds here is left out of the layer.
    pub fn hides(&self, at: &At) -> bool {
        let in_a_volume = || self.volumes.iter().any(|volume| at != volume && at.is_within(volume));
        self.skips(at) || in_a_volume() || is_key(at)
    }

    /// Takes what is not the image's out of a tree.
    pub fn clear(&self, tree: &mut Tree) {
        for path in NOT_OURS {
            tree.remove(&At::from(path));
        }
    }
}

/// The file that the builder's own container has mounted at this place or above it.
pub fn mounted_file(at: &At) -> Option<At> {
    MOUNTED_FILES.into_iter().map(At::from).find(|file| at.is_within(file))
}

fn is_key(at: &At) -> bool {
    let mut parents = at.parents().skip(1);
    parents.any(|dir| dir.as_bytes().starts_with(KEYS.as_bytes()) && dir.components().count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_s_directory_is_the_image_s_and_what_is_in_it_is_not() {
        let ignored = Ignored { volumes: vec![At::from("v")] };
        assert!(!ignored.hides(&At::from("v")));
        assert!(ignored.hides(&At::from("v/x")));
        assert!(!ignored.skips(&At::from("v/x")), "a walk looks at it, so it is not gone");
        assert!(!ignored.hides(&At::from("vx")));
    }

    #[test]
    fn mount_points_and_keys_are_passed_over() {
        let ignored = Ignored::default();
        for path in ["proc", "proc/1", "etc/hosts", "var/run", "kaniko/x", "tmp/apt-key-gpghome.1/k"] {
            assert!(ignored.hides(&At::from(path)), "{path}");
        }
        for path in ["process", "etc/hosts2", "var/run2", "tmp/apt-key-gpghome.1", "tmp/x"] {
            assert!(!ignored.hides(&At::from(path)), "{path}");
        }
    }
}
