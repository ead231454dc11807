//! An allow-list of system calls for one thread, for tests of code that must not call others.
//!
//! A sanitizer does not see calls that go past the C library; a seccomp filter sees them all.
//! A forbidden call is not executed; it returns `ENOSYS` to the code under test, is written
//! down, and fails the test by its number.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Once;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// What a thread that waits and reads clocks needs. `restart_syscall` is among them: the
/// kernel uses it when a stopped process is continued within a wait that has a time-out (S63).
pub const WAITING: &[i64] = &[
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
];

/// What ending the thread needs; none of it can wait or read.
const ENDING: &[i64] = &[
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
];

/// The first forbidden call of this process's guarded threads, or -1.
static FORBIDDEN: AtomicI64 = AtomicI64::new(-1);

/// Runs `work` on a thread of its own that may make no system calls but those in `allowed`,
/// and panics naming the first other one. One such test a process at a time.
pub fn with_only_calls<T: Send>(allowed: &[i64], work: impl FnOnce() -> T + Send) -> T {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(note_forbidden_calls);
    let filter = compile(allowed);
    let done = thread::scope(|scope| {
        let guarded = scope.spawn(move || {
            seccompiler::apply_filter(&filter).expect("a filter the kernel takes");
            let result = work();
            (result, FORBIDDEN.swap(-1, Ordering::AcqRel))
        });
        guarded.join()
    });
    let (result, forbidden) = match done {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    assert_eq!(forbidden, -1, "system call {forbidden} where it was promised not to happen");
    result
}

fn compile(allowed: &[i64]) -> BpfProgram {
    let rules: BTreeMap<_, _> =
        allowed.iter().chain(ENDING).map(|call| (*call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into().expect("a known architecture");
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, architecture);
    filter.and_then(TryInto::try_into).expect("a list of calls makes a filter")
}

fn note_forbidden_calls() {
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) = on_forbidden;
    // SAFETY: `sigaction` is plain data for which all zeros is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the action is initialised and its handler has the signature SA_SIGINFO asks for.
    unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) };
}

extern "C" fn on_forbidden(_: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: with SA_SIGINFO the third argument points to the interrupted context, which the
    // handler may change.
    let Some(context) = (unsafe { context.as_mut() }) else { return };
    #[cfg(target_arch = "x86_64")]
    let register = &mut context.uc_mcontext.gregs[libc::REG_RAX as usize];
    #[cfg(target_arch = "aarch64")]
    let (register, call) = {
        let machine = &mut context.uc_mcontext;
        let call = machine.regs[8] as i64;
        (&mut machine.regs[0], call)
    };
    #[cfg(target_arch = "x86_64")]
    let call = *register;
    let _ = FORBIDDEN.compare_exchange(-1, call, Ordering::AcqRel, Ordering::Acquire);
    *register = -i64::from(libc::ENOSYS) as _;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::{WAITING, with_only_calls};
    use crate::futex;

    /// The record of forbidden calls is one for the process.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn waiting_on_bells_calls_nothing_but_futexes() {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bell = AtomicU32::new(0);
        // The first wait of a process asks the kernel where its clock is.
        futex::wait_any(&[(&bell, 1)], Duration::from_micros(10));
        with_only_calls(WAITING, || {
            futex::ring(&bell);
            futex::wait_any(&[(&bell, 1)], Duration::from_micros(10))
        });
    }

    #[test]
    fn a_call_that_is_not_on_the_list_fails_the_test_by_its_number() {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let failed = std::panic::catch_unwind(|| {
            // SAFETY: asks the kernel and touches no memory.
            with_only_calls(WAITING, || unsafe { libc::getppid() });
        });
        let text = *failed.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains(&format!("system call {} ", libc::SYS_getppid)), "{text}");
    }
}
