//! Confinement: what a process may not do any more, once it has what it works with.
//!
//! *Invariant*: from then on no other process is made, reached or signalled. Who only computes
//! ([`confine`]) opens nothing new either, and grows within a bound; who keeps files and serves
//! sockets ([`confine_server`]) opens files in its folders alone ([`keep_to_folders`]) and makes no
//! sockets. What is open already stays: regions, the socket to the supervisor, standard error.
//! Refused calls fail with `EPERM` or `EACCES`; they end nobody, for a process that dies of a
//! refusal would be one more way to die.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Calls that reach other processes, new connections, what files are besides their bytes, or the
/// kernel's rarer doors.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_open_by_handle_at,
    libc::SYS_memfd_create,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_truncate,
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
];

/// Calls that open, name or remove files, and take connections: nothing for who only computes.
const FILES: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
];

/// Both under the older names that some machines have beside them.
#[cfg(target_arch = "x86_64")]
const REFUSED_TOO: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_mknod,
    libc::SYS_symlink,
    libc::SYS_iopl,
    libc::SYS_ioperm,
];
#[cfg(target_arch = "x86_64")]
const FILES_TOO: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_link,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_TOO: &[libc::c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const FILES_TOO: &[libc::c_long] = &[];

/// What the newest kernel this was written for can refuse; an older one refuses what it knows.
const NEWEST: ABI = ABI::V6;

/// Confines all threads of this process, for good, to computing with what it holds; nobody has
/// made it to give privileges by what it runs either. `[control]`
///
/// # Errors
/// `Unsupported` where the kernel or the processor knows no such filter, else what the kernel
/// says; nothing has changed then.
pub fn confine() -> io::Result<()> {
    refuse(REFUSED.iter().chain(REFUSED_TOO).chain(FILES).chain(FILES_TOO))
}

/// The same for one who keeps files and serves sockets: it may open files and take connections.
/// [`keep_to_folders`] says which. `[control]`
///
/// # Errors
/// As for [`confine`].
pub fn confine_server() -> io::Result<()> {
    refuse(REFUSED.iter().chain(REFUSED_TOO))
}

fn refuse<'a>(calls: impl Iterator<Item = &'a libc::c_long>) -> io::Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    // No rule for a call means: whatever its arguments.
    let mut rules: BTreeMap<_, _> = calls.map(|call| (*call, Vec::new())).collect();
    rules.extend(elsewhere().map_err(io::Error::other)?);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    let program: seccompiler::BpfProgram =
        filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
    seccompiler::apply_filter_all_threads(&program).map_err(io::Error::other)
}

type Rule = (libc::c_long, Vec<SeccompRule>);

/// Calls that a process may make about itself and about nobody else: signals to threads (its own
/// dying needs them), limits, and who gets the signals of a descriptor.
fn elsewhere() -> Result<[Rule; 3], seccompiler::BackendError> {
    let is = |argument, operator, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
    };
    let own = u64::from(std::process::id());
    let other = |argument| is(argument, SeccompCmpOp::Ne, own);
    let fcntl =
        |command: libc::c_int| SeccompRule::new(vec![is(1, SeccompCmpOp::Eq, command as u64)?]);
    Ok([
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![other(0)?])?]),
        (
            libc::SYS_prlimit64,
            vec![SeccompRule::new(vec![other(0)?, is(0, SeccompCmpOp::Ne, 0)?])?],
        ),
        (libc::SYS_fcntl, vec![fcntl(libc::F_SETOWN)?, fcntl(F_SETOWN_EX)?]),
    ])
}

/// Who gets the signals of a descriptor, the newer way; as `fcntl.h` has it on all machines.
const F_SETOWN_EX: libc::c_int = 15;

/// From now on the calling thread, and those it starts, open files in these folders alone: they
/// may be read, written, made and removed there. They bind and connect nothing either, and signal
/// nobody outside. `[control]`
///
/// # Errors
/// `Unsupported` where the kernel knows no such thing (before Linux 5.13, or switched off), else
/// what it says; nothing has changed then.
pub fn keep_to_folders(folders: &[&Path]) -> io::Result<()> {
    let failed = |error: RulesetError| io::Error::other(error);
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(failed)?;
    let allowed: BitFlags<AccessFs> = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile;
    for folder in folders {
        // One that is not there cannot be let in.
        let Ok(place) = PathFd::new(folder) else { continue };
        rules = rules.add_rule(PathBeneath::new(place, allowed)).map_err(failed)?;
    }
    match rules.restrict_self().map_err(failed)?.ruleset {
        RulesetStatus::NotEnforced => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel has no Landlock"))
        }
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
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
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Runs a test of this module in a process of its own: there is no way back.
    fn alone(name: &str, test: impl FnOnce(&Path)) {
        if let Some(folder) = std::env::var_os("SEGUE_TEST_CONFINED") {
            return test(folder.as_ref());
        }
        let folder = std::env::temp_dir().join(format!("segue-{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("process::confine::tests::{name}"), "--test-threads", "1"])
            .env("SEGUE_TEST_CONFINED", &folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(ended.success(), "{ended}");
    }

    fn refused(what: &str, result: std::io::Result<()>) {
        assert_eq!(result.unwrap_err().kind(), PermissionDenied, "{what}");
    }

    fn reaches_nobody() {
        refused("UDP", UdpSocket::bind("127.0.0.1:0").map(drop));
        refused("TCP", TcpListener::bind("127.0.0.1:0").map(drop));
        refused("a process", Command::new("/bin/true").spawn().map(drop));
        let parent = rustix::process::getppid().unwrap();
        let signal = rustix::process::kill_process(parent, rustix::process::Signal::URG);
        refused("its parent", signal.map_err(Into::into));
        let number = parent.as_raw_nonzero().get();
        // SAFETY: numbers alone; the call is refused or has sent a signal that does nothing.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, number, number, libc::SIGURG) };
        assert_eq!(sent, -1, "a thread of its parent");
        let (own, thread) = (std::process::id(), crate::process::thread_id());
        // SAFETY: as above, to its own thread, which is how a process aborts.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, own, thread, libc::SIGURG) };
        assert_eq!(sent, 0, "itself");
        let path = std::env::current_exe().unwrap();
        let rights = std::fs::metadata(&path).map(|it| it.permissions());
        refused("the rights of a file", std::fs::set_permissions(&path, rights.unwrap()));
        refused("a link", std::os::unix::fs::symlink(&path, "/tmp/segue-broke-out"));
        // SAFETY: a name that ends in 0, of a file that is not there.
        let cut = unsafe { libc::truncate(c"/tmp/segue-no-such-file".as_ptr(), 0) };
        let error = std::io::Error::last_os_error();
        assert_eq!((cut, error.kind()), (-1, PermissionDenied), "the length of a file");
        let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{number}/mem"));
        refused("the memory of another", memory.map(drop));
        let limit = rustix::process::prlimit(
            Some(parent),
            rustix::process::Resource::Core,
            rustix::process::getrlimit(rustix::process::Resource::Core),
        );
        refused("the limits of another", limit.map(drop).map_err(Into::into));
    }

    #[test]
    fn a_confined_process_opens_nothing_makes_nothing_and_grows_within_its_bound() {
        alone("a_confined_process_opens_nothing_makes_nothing_and_grows_within_its_bound", |_| {
            super::limit_growth(16 << 20).unwrap();
            super::confine().unwrap();
            refused("a file", std::fs::read("/etc/hostname").map(drop));
            refused("a new file", std::fs::write("/tmp/segue-broke-out", b"x"));
            refused("a folder", std::fs::create_dir("/tmp/segue-broke-out"));
            reaches_nobody();
            let mut much: Vec<u8> = Vec::new();
            assert!(much.try_reserve_exact(64 << 20).is_err(), "memory is bounded");
            // What it holds still works: it can compute, sleep, and say so.
            std::thread::yield_now();
            assert!(crate::clock::monotonic_ns() > 0);
        });
    }

    /// Skipped where the kernel cannot: the program says so there, and goes on.
    #[test]
    fn a_confined_server_keeps_files_in_its_folders_and_takes_connections_it_listened_for() {
        alone(
            "a_confined_server_keeps_files_in_its_folders_and_takes_connections_it_listened_for",
            |own| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let mut caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let kept = super::keep_to_folders(&[own]);
                super::confine_server().unwrap();
                let (mut called, _) = listener.accept().unwrap();
                caller.write_all(b"?").unwrap();
                called.read_exact(&mut [0]).unwrap();
                let beside = std::env::temp_dir().join("segue-broke-out");
                if kept.is_ok() {
                    refused("a file", std::fs::read("/etc/hostname").map(drop));
                    refused("a new file", std::fs::write(&beside, b"x"));
                    refused("a folder", std::fs::create_dir(&beside));
                    let file = own.join("a");
                    std::fs::write(&file, b"x").unwrap();
                    refused("a way out", std::fs::rename(&file, &beside));
                    reaches_nobody();
                } else {
                    eprintln!("skipped: {kept:?}");
                }
                let folder = own.join("folder");
                std::fs::create_dir(&folder).unwrap();
                std::fs::write(folder.join("b"), b"x").unwrap();
                assert_eq!(std::fs::read(folder.join("b")).unwrap(), b"x");
                std::fs::remove_file(folder.join("b")).unwrap();
            },
        );
    }
}
