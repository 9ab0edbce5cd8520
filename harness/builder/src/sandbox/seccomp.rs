//! The system calls Docker's default profile refuses to a container without extra capabilities, and the two calls into
//! the kernel that have no safe wrapper. The list follows the table of blocked calls in Docker's documentation of its
//! default profile; calls newer than a profile are allowed here, where a real profile answers ENOSYS or EPERM.

use std::os::fd::AsRawFd;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Refused with EPERM whatever their arguments.
const REFUSED: [libc::c_long; 45] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_sysfs,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// The CLONE_NEW* flags: a container may not make namespaces.
const NAMESPACE_FLAGS: u64 = 0x7E02_0000;

/// Installs the filter. Needs CAP_SYS_ADMIN, so before privileges are dropped: `no_new_privs` stays unset, as in Docker.
pub(super) fn install() -> Result<(), (String, String)> {
    let program =
        filter().map_err(|error| ("compile the system call filter".to_owned(), error.to_string()))?;
    load(&program).map_err(|error| ("install the system call filter".to_owned(), error.to_string()))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    // `clone` with any namespace flag: one rule a flag, because a rule compares for equality under a mask.
    let flags = (0..32).map(|bit| 1u64 << bit).filter(|flag| NAMESPACE_FLAGS & flag != 0);
    let clone_rules: Result<Vec<SeccompRule>, _> = flags
        .map(|flag| {
            let condition =
                SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
            SeccompRule::new(vec![condition])
        })
        .collect();
    rules.insert(libc::SYS_clone, clone_rules?);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()
}

#[expect(unsafe_code, reason = "PR_SET_SECCOMP has no safe wrapper that leaves no_new_privs alone")]
fn load(program: &BpfProgram) -> std::io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(std::io::Error::other)?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `filter` points to `program`, which lives until the call returns; the kernel copies it.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Sets IFF_UP on `lo`.
#[expect(unsafe_code, reason = "SIOCSIFFLAGS has no safe wrapper")]
pub(super) fn loopback_flags(socket: &impl AsRawFd) -> std::io::Result<()> {
    // SAFETY: an all-zero ifreq is a valid value of a plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the request is initialised and outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
