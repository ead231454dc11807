//! Confinement: what a process that only computes may not do any more.
//!
//! *Invariant*: from then on nothing new is opened, no other process is made, reached or
//! signalled, and memory grows within a bound. What is open already stays: the regions, the
//! socket to the supervisor, standard error. Refused calls fail with `EPERM`; they end nobody,
//! for a worker that dies of a refusal would be one more way to die.

use std::collections::BTreeMap;
use std::io;

use rustix::process::{Resource, Rlimit};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

/// Calls that reach beyond the process, but for those on what it holds already.
const REFUSED: [libc::c_long; 42] = [
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
    libc::SYS_memfd_create,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_kill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_chroot,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
];

/// The same under the older names that some machines have beside them.
#[cfg(target_arch = "x86_64")]
const REFUSED_TOO: [libc::c_long; 10] = [
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_link,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_TOO: [libc::c_long; 0] = [];

/// Confines all threads of this process, for good; nobody has made it to give privileges by
/// what it runs either. `[control]`
///
/// # Errors
/// `Unsupported` where the kernel or the processor knows no such filter, else what the kernel
/// says; nothing has changed then.
pub fn confine() -> io::Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    // No rule for a call means: whatever its arguments.
    let refused = REFUSED.iter().chain(&REFUSED_TOO).map(|call| (*call, Vec::new()));
    let rules: BTreeMap<_, _> = refused.collect();
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    let program: seccompiler::BpfProgram =
        filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
    seccompiler::apply_filter_all_threads(&program).map_err(io::Error::other)
}

/// Lets this process grow by so many bytes from now on, and no further: what asks for more
/// fails, and is told as that.
///
/// # Errors
/// What the kernel says.
pub fn limit_growth(bytes: u64) -> io::Result<()> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    let size = pages.unwrap_or(0) * rustix::param::page_size() as u64;
    let most = Some(size + bytes);
    Ok(rustix::process::setrlimit(Resource::As, Rlimit { current: most, maximum: most })?)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, UdpSocket};
    use std::process::{Command, Stdio};

    /// In a process of its own: there is no way back.
    #[test]
    fn a_confined_process_opens_nothing_makes_nothing_and_grows_within_its_bound() {
        if std::env::var_os("SEGUE_TEST_CONFINED").is_some() {
            try_to_break_out();
            return;
        }
        let program = std::env::current_exe().unwrap();
        let name = "process::confine::tests::\
                    a_confined_process_opens_nothing_makes_nothing_and_grows_within_its_bound";
        let ended = Command::new(program)
            .args(["--exact", name, "--test-threads", "1"])
            .env("SEGUE_TEST_CONFINED", "1")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(ended.success(), "{ended}");
    }

    fn try_to_break_out() {
        super::limit_growth(16 << 20).unwrap();
        super::confine().unwrap();
        let refused = |what: &str, result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), PermissionDenied, "{what}");
        };
        refused("a file", std::fs::read("/etc/hostname").map(drop));
        refused("a new file", std::fs::write("/tmp/segue-broke-out", b"x"));
        refused("a folder", std::fs::create_dir("/tmp/segue-broke-out"));
        refused("UDP", UdpSocket::bind("127.0.0.1:0").map(drop));
        refused("TCP", TcpListener::bind("127.0.0.1:0").map(drop));
        refused("a process", Command::new("/bin/true").spawn().map(drop));
        let other = rustix::process::getppid().unwrap();
        let signalled = rustix::process::kill_process(other, rustix::process::Signal::URG);
        refused("its parent", signalled.map_err(Into::into));
        let mut much: Vec<u8> = Vec::new();
        assert!(much.try_reserve_exact(64 << 20).is_err(), "memory is bounded");
        // What it holds still works: it can compute, sleep, and say so.
        std::thread::yield_now();
        assert!(crate::clock::monotonic_ns() > 0);
    }
}
