//! As whom RUN can be built here: root, root of a user namespace that maps enough ids, or not at all. What follows from
//! it (which attributes an overlay keeps its books in, what cannot be unpacked) is asked here by those it concerns;
//! getting into such a namespace is `userns`.

use std::sync::OnceLock;

use super::userns;

/// As whom this process can build RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Root of the machine.
    Root,
    /// Root of a user namespace in which the ids below `ids` exist. It may mount overlays, but makes no devices.
    Mapped { ids: u32, map: String },
    /// Neither; `why` is what is missing.
    Neither { why: String },
}

/// Ids an image may use without anybody noticing the namespace: what Docker's documentation asks of a user.
pub(super) const ENOUGH: u32 = 65_536;

static STANDING: OnceLock<Standing> = OnceLock::new();

/// Of this process. The first call decides: [`become_root_if_possible`] comes before any other.
pub fn standing() -> &'static Standing {
    STANDING.get_or_init(look)
}

/// Enters a user namespace with the caller's subordinate ids, unless this is root already. Where that cannot be, nothing
/// changes and [`standing`] says why. To be called first of all: a process with threads can enter none.
pub fn become_root_if_possible() -> &'static Standing {
    STANDING.get_or_init(|| {
        if rustix::process::geteuid().is_root() {
            return look();
        }
        match userns::enter() {
            Ok(()) => look(),
            Err(why) => Standing::Neither { why },
        }
    })
}

impl Standing {
    /// Whether this is root of the machine, who may do everything.
    pub fn is_root(&self) -> bool {
        *self == Self::Root
    }

    /// Why RUN cannot be built; `None` if it can.
    pub fn unmet(&self) -> Option<String> {
        match self {
            Self::Root | Self::Mapped { .. } => None,
            Self::Neither { why } => {
                Some(format!("RUN needs root, or newuidmap, newgidmap and {ENOUGH} subordinate ids: {why}"))
            }
        }
    }

    /// The name space of the overlay's own attributes.
    pub(crate) fn overlay_xattrs(&self) -> &'static str {
        match self {
            Self::Mapped { .. } => "user.overlay.",
            Self::Root | Self::Neither { .. } => "trusted.overlay.",
        }
    }

    /// What is appended to the name of a directory whose files have owners as this standing sees them: the same image
    /// unpacked by two users of one cache is two directories.
    pub(crate) fn suffix(&self) -> String {
        match self {
            Self::Mapped { map, .. } => {
                format!("-{}", &samebuild_image::Digest::of(map.as_bytes()).hex()[..12])
            }
            Self::Root | Self::Neither { .. } => String::new(),
        }
    }

    /// A sentence if `error` is what a user who is not root gets for something that root could do.
    pub(crate) fn lacks(&self, error: &std::io::Error) -> Option<String> {
        let is_refusal =
            matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL | libc::EOVERFLOW | libc::EACCES));
        match self {
            Self::Mapped { ids, .. } if is_refusal => Some(format!(
                "it needs root: without, there are no devices, no attributes of the system's and no owner above {}",
                ids - 1
            )),
            _ => None,
        }
    }
}

fn look() -> Standing {
    let why = |why: &str| Standing::Neither { why: why.to_owned() };
    if !rustix::process::geteuid().is_root() {
        return why("nobody asked for a user namespace");
    }
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let (users, groups) = (read("uid_map"), read("gid_map"));
    match mapped(&users).min(mapped(&groups)) {
        u32::MAX => Standing::Root,
        ids if ids >= ENOUGH => Standing::Mapped { ids, map: format!("{users}\n{groups}") },
        ids => why(&format!("the user namespace this runs in has {ids}")),
    }
}

/// How many ids, from 0 on, a map of /proc gives a meaning to. Without user namespaces, all.
fn mapped(map: &str) -> u32 {
    if map.trim().is_empty() {
        return u32::MAX;
    }
    let numbers = |line: &str| -> Option<(u32, u32)> {
        let mut words = line.split_whitespace().map(|word| word.parse().ok());
        let (inside, _, count) = (words.next()??, words.next()?, words.next()??);
        Some((inside, count))
    };
    let mut ranges: Vec<(u32, u32)> = map.lines().filter_map(numbers).collect();
    ranges.sort_unstable();
    ranges.into_iter().fold(
        0,
        |known, (inside, count)| {
            if inside == known { known.saturating_add(count) } else { known }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_counts_as_far_as_it_has_no_gap() {
        assert_eq!(mapped("         0          0 4294967295\n"), u32::MAX);
        assert_eq!(mapped("0 1000 1\n1 100000 65536\n"), 65_537);
        assert_eq!(mapped("1 100000 65536\n0 1000 1\n"), 65_537);
        assert_eq!(mapped("0 1000 1\n2 100000 65536\n"), 1);
        assert_eq!(mapped("1000 1000 1\n"), 0);
    }

    #[test]
    fn only_a_user_namespace_excuses_a_refusal() {
        let refused = std::io::Error::from_raw_os_error(libc::EPERM);
        let mapped = Standing::Mapped { ids: 65_537, map: String::new() };
        assert!(mapped.lacks(&refused).is_some_and(|why| why.contains("no owner above 65536")));
        assert!(mapped.lacks(&std::io::Error::from_raw_os_error(libc::ENOSPC)).is_none());
        assert!(Standing::Root.lacks(&refused).is_none());
    }
}
