//! What a command asks for that root would be given and the root of a user namespace is not: devices, owners without an
//! id. The kernel answers as it must, and the build is told, so that an image that came out differently, or a command
//! that failed for this alone, is not taken for the builder's doing.
//!
//! A second filter of system calls sends those calls to a listener before they are carried out. The listener is made by
//! the process that becomes the command and handed to the one that waits for it.

use std::collections::BTreeSet;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{sock_filter, sock_fprog};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

const DEVICE: &str = "make a device";
const OWNER: &str = "name an owner that has no id here";

/// A system call and what is asked of its arguments.
enum Watch {
    /// Mode and device number.
    Device { mode: u32, device: u32 },
    /// Arguments that are ids.
    Ids(&'static [u32]),
}

#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(libc::c_long, Watch)] = &[
    (libc::SYS_mknod, Watch::Device { mode: 1, device: 2 }),
    (libc::SYS_chown, Watch::Ids(&[1, 2])),
    (libc::SYS_lchown, Watch::Ids(&[1, 2])),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(libc::c_long, Watch)] = &[];
const CALLS: &[(libc::c_long, Watch)] = &[
    (libc::SYS_mknodat, Watch::Device { mode: 2, device: 3 }),
    (libc::SYS_fchown, Watch::Ids(&[1, 2])),
    (libc::SYS_fchownat, Watch::Ids(&[2, 3])),
    (libc::SYS_setuid, Watch::Ids(&[0])),
    (libc::SYS_setgid, Watch::Ids(&[0])),
    (libc::SYS_setresuid, Watch::Ids(&[0, 1, 2])),
    (libc::SYS_setresgid, Watch::Ids(&[0, 1, 2])),
];

/// The two ends over which the listener travels: the waiting process keeps the first, the other becomes the command's
/// standard input until it starts.
pub(super) fn ends() -> std::io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Watches this process and everything it starts, in a namespace that has ids below `ids`; sends the listener over the
/// standard input and closes that.
pub(super) fn watch_me(ids: u32) -> std::io::Result<()> {
    let listener = install(&program(ids))?;
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(rustix::stdio::stdin(), &[IoSlice::new(b"l")], &mut control, SendFlags::empty())?;
    let null = std::fs::File::open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdin(null)?)
}

/// Lets every watched call go on until all watched processes are gone; what was asked for, once each.
pub(super) fn listen(end: &OwnedFd) -> BTreeSet<&'static str> {
    let mut asked = BTreeSet::new();
    let Some(listener) = receive(end) else { return asked };
    loop {
        let mut fds = [PollFd::new(&listener, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(_) if fds[0].revents().contains(PollFlags::IN) => {}
            _ => return asked,
        }
        if let Some(call) = let_go_on(listener.as_fd()) {
            let known = CALLS.iter().chain(OLD_CALLS).find(|(number, _)| *number == call);
            asked.insert(match known {
                Some((_, Watch::Device { .. })) => DEVICE,
                _ => OWNER,
            });
        }
    }
}

fn receive(end: &OwnedFd) -> Option<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(end, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })
}

/// Sends a call to the listener if it asks for what only root gets.
fn program(ids: u32) -> Vec<sock_filter> {
    const NUMBER: u32 = 0;
    let argument = |n: u32| 16 + 8 * n;
    let load = |at| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let equal = |value, yes, no| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let at_least = |value, yes, no| op(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, value, yes, no);
    let and = |value| op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, value, 0, 0);
    let allow = || op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0);
    let tell = || op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0, 0);
    let mut program = Vec::new();
    for (call, watch) in CALLS.iter().chain(OLD_CALLS) {
        let mut body = Vec::new();
        match watch {
            Watch::Device { mode, device } => {
                body.extend([load(argument(*mode)), and(libc::S_IFMT), equal(libc::S_IFBLK, 3, 0)]);
                body.extend([equal(libc::S_IFCHR, 0, 3), load(argument(*device)), equal(0, 1, 0), tell()]);
            }
            Watch::Ids(arguments) => {
                for n in *arguments {
                    // All ones means "leave it".
                    body.extend([load(argument(*n)), equal(u32::MAX, 2, 0), at_least(ids, 0, 1), tell()]);
                }
            }
        }
        body.push(allow());
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        let number = u32::try_from(*call).unwrap_or(u32::MAX);
        program.extend([load(NUMBER), equal(number, 0, length)]);
        program.extend(body);
    }
    program.push(allow());
    program
}

fn op(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}

#[expect(unsafe_code, reason = "seccomp(2) has no safe wrapper that makes a listener")]
fn install(program: &[sock_filter]) -> std::io::Result<OwnedFd> {
    let filter = sock_fprog {
        len: u16::try_from(program.len()).map_err(std::io::Error::other)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `filter` points to `program`, which lives until the call returns; the kernel copies it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        )
    };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes one call and lets it be carried out; its number, if it was still waiting.
#[expect(unsafe_code, reason = "a seccomp listener is read and answered by ioctl only")]
fn let_go_on(listener: BorrowedFd<'_>) -> Option<libc::c_long> {
    // SAFETY: all-zero is a valid value of these plain C structs, and what the kernel demands.
    let (mut call, mut answer) = unsafe {
        (std::mem::zeroed::<libc::seccomp_notif>(), std::mem::zeroed::<libc::seccomp_notif_resp>())
    };
    // SAFETY: the struct is the one this request fills in, and outlives the call.
    let taken = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
    if taken != 0 {
        return None;
    }
    answer.id = call.id;
    answer.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(0);
    // SAFETY: as above.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    Some(call.data.nr.into())
}
