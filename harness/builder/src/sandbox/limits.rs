//! What a RUN may not do: capabilities, limits, identity. System calls are `seccomp`.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid};

use super::seccomp;
use super::spec::Spec;

/// Docker's default set (oci/caps/defaults.go of moby 20.10).
const CAPABILITIES: [Capability; 14] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_KILL,
    Capability::CAP_AUDIT_WRITE,
];

/// dockerd's own limit on open files, which containers inherit.
const MAX_FILES: u64 = 1_048_576;

/// Becomes the owner of `spec` with no more than Docker's default privileges.
pub(super) fn drop_privileges(spec: &Spec) -> Result<(), (String, String)> {
    let wanted: CapsHashSet = CAPABILITIES.into_iter().collect();
    seccomp::install()?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((MAX_FILES, MAX_FILES));
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(MAX_FILES), hard.min(MAX_FILES));
    for capability in caps::all() {
        if !wanted.contains(&capability) {
            // Capabilities this kernel does not know cannot be dropped and need not be.
            let _ = caps::drop(None, CapSet::Bounding, capability);
        }
    }
    let groups: Vec<Gid> = spec.owner.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    step("set the groups", nix::unistd::setgroups(&groups))?;
    step("set the group", nix::unistd::setresgid(gid(spec), gid(spec), gid(spec)))?;
    let _ = caps::set(None, CapSet::Inheritable, &CapsHashSet::new());
    if spec.owner.uid == 0 {
        step("set capabilities", caps::set(None, CapSet::Effective, &wanted))?;
        step("set capabilities", caps::set(None, CapSet::Permitted, &wanted))?;
    }
    let uid = Uid::from_raw(spec.owner.uid);
    step("set the user", nix::unistd::setresuid(uid, uid, uid))
}

/// Brings the loopback interface of a new network namespace up.
pub(super) fn loopback_up() -> std::io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    super::seccomp::loopback_flags(&socket)
}

fn gid(spec: &Spec) -> Gid {
    Gid::from_raw(spec.owner.gid)
}

fn step<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<(), (String, String)> {
    result.map(drop).map_err(|error| (what.to_owned(), error.to_string()))
}
