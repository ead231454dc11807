//! Last words: a dying process writes down why into a shared region, rings, and dies.
//!
//! Two ways lead here, a fatal signal and a panic. Waiting for the reaper instead would take
//! milliseconds, and it would know neither address nor message.
//!
//! *Layout* of a note, [`WORDS`] words: `[seal] [kind | signal | code] [address] [thread]
//! [length] [text…]`. The seal is a hash of the rest keyed by the guest's tag and is written
//! last, so neither half a note nor one of an earlier guest can be read.
//!
//! *Invariant*: between the fault and the death nothing allocates, locks or waits without a
//! bound; the first cause is kept (the `SIGABRT` that ends a panic does not overwrite it).

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::io;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::event::Event;
use crate::hash;
use crate::region::Region;
use crate::words::Words;

/// How many words a note takes.
pub const WORDS: usize = HEAD + TEXT_WORDS;
const HEAD: usize = 5;
const TEXT_WORDS: usize = 40;
/// Longest text; what is longer is cut.
pub const TEXT_BYTES: usize = TEXT_WORDS * 8;

/// The signals that end a process for a fault of its own.
const FATAL: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP];

/// Room for the handler: two notes on the stack, a hash state, and what the kernel stores of
/// vector registers (2.5 KiB with AVX-512) fit many times.
const STACK_BYTES: usize = 64 * 1024;

/// How long a second dying thread lets the first finish its note, in looks of 50 µs.
const PATIENCE: u32 = 200;

/// Why a process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Signal or panic.
    pub cause: Cause,
    /// The thread it happened on, as the kernel numbers them.
    pub thread: u32,
    /// The panic's place and message; empty for signals.
    pub text: String,
}

/// The kind of a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A fatal signal.
    Signal {
        /// Its number.
        signal: i32,
        /// `si_code`: above 0 the process's own fault, else somebody else sent it; 1 also
        /// where the process sent it to itself, as `abort` does.
        code: i32,
        /// The address of the fault, where there is one.
        address: u64,
    },
    /// A panic.
    Panic,
}

impl Note {
    /// Whether the process did this itself, as far as it could know.
    #[must_use]
    pub fn own_fault(&self) -> bool {
        match self.cause {
            Cause::Panic => true,
            Cause::Signal { code, .. } => code > 0,
        }
    }
}

/// Reads the note at word `at` that was left under `tag`; none if there is none that is whole.
/// `[any]`
pub fn read(words: &impl Words, at: usize, tag: u64) -> Option<Note> {
    // Nearly every look ends here.
    if words.load(at, Ordering::Acquire) == 0 {
        return None;
    }
    let mut copy = [0_u64; WORDS];
    for (offset, word) in copy.iter_mut().enumerate() {
        *word = words.load(at + offset, Ordering::Acquire);
    }
    let [seal, rest @ ..] = &copy;
    if *seal != hash::words(tag, rest) {
        return None;
    }
    let [kind, address, thread, length, text @ ..] = rest;
    let bytes: Vec<u8> = text.iter().flat_map(|word| word.to_le_bytes()).collect();
    let length = usize::try_from(*length).ok().filter(|length| *length <= bytes.len())?;
    let cause = match kind >> 48 {
        1 => Cause::Signal {
            signal: i32::from((kind >> 32) as u16),
            code: (*kind as u32).cast_signed(),
            address: *address,
        },
        2 => Cause::Panic,
        _ => return None,
    };
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    Some(Note { cause, thread: u32::try_from(*thread).ok()?, text })
}

/// Where this process leaves its note.
struct Place {
    region: Region,
    at: usize,
    tag: u64,
    bell: Event,
}

/// Set once, never freed: a handler may look at any moment.
static PLACE: AtomicPtr<Place> = AtomicPtr::new(std::ptr::null_mut());
/// The thread that writes the note; 0 while nobody dies.
static WRITER: AtomicU32 = AtomicU32::new(0);
/// 1 when the note is whole.
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// From now on a fatal signal or a panic in any thread leaves a note at word `at` of `region`
/// under `tag`, raises `bell`, and ends the process. Call it on the first thread, before
/// others; each other thread calls [`own_stack`].
///
/// # Errors
/// What the kernel says. Panics when the note does not fit or may not be written.
pub fn install(region: Region, at: usize, tag: u64, bell: Event) -> io::Result<()> {
    assert!(at + WORDS <= region.len(), "a note within its region");
    // Also tells at once whether the region may be written.
    region.store(at, 0, Ordering::Release);
    let place = Box::into_raw(Box::new(Place { region, at, tag, bell }));
    PLACE.store(place, Ordering::Release);
    own_stack()?;
    for signal in FATAL {
        on_signal(signal)?;
    }
    std::panic::set_hook(Box::new(on_panic));
    Ok(())
}

/// Gives the calling thread a stack for its handler, so that an overflow of its own can still
/// be told. It stays for the life of the process.
///
/// # Errors
/// What the kernel says.
pub fn own_stack() -> io::Result<()> {
    let stack: &'static UnsafeCell<[MaybeUninit<u8>; STACK_BYTES]> =
        Box::leak(Box::new(UnsafeCell::new([MaybeUninit::uninit(); STACK_BYTES])));
    let described =
        libc::stack_t { ss_sp: stack.get().cast::<c_void>(), ss_flags: 0, ss_size: STACK_BYTES };
    // SAFETY: the memory is leaked, so it outlives the thread, and nothing else uses it.
    if unsafe { libc::sigaltstack(&raw const described, std::ptr::null_mut()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

fn on_signal(signal: i32) -> io::Result<()> {
    let handler: Handler = die_by_signal;
    // SAFETY: `sigaction` is plain data for which all zeros is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the action is initialised, its handler has the signature SA_SIGINFO asks for and
    // does only what is allowed in one.
    if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Back to what the kernel does by itself, and asks for it: delivered when the handler
/// returns, so that the process ends with this very signal.
fn die_of(signal: i32) {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: a signal to the calling thread; blocked here, it ends us on return.
    unsafe { libc::raise(signal) };
}

extern "C" fn die_by_signal(signal: i32, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands over a valid pointer or null.
    let info = unsafe { info.as_ref() };
    let code = info.map_or(0, |info| {
        // SAFETY: for a code of 0 and below these signals carry their sender (or zeros).
        let sender = if info.si_code > 0 { 0 } else { unsafe { info.si_pid() } };
        let myself = rustix::process::getpid().as_raw_nonzero().get();
        // `abort` sends its signal like anybody else would, but it is this process's own doing.
        if sender == myself { 1 } else { info.si_code }
    });
    let address = info.filter(|info| info.si_code > 0).map_or(0, |info| {
        // SAFETY: for a code above 0 these signals carry an address (or zeros).
        unsafe { info.si_addr() as u64 }
    });
    let kind = 1 << 48 | u64::from(signal as u16) << 32 | u64::from(code as u32);
    leave(kind, address, &[]);
    die_of(signal);
}

fn on_panic(info: &std::panic::PanicHookInfo<'_>) {
    let mut text = Cut { bytes: [0; TEXT_BYTES], length: 0 };
    if let Some(place) = info.location() {
        let _ = write!(text, "{}:{}: ", place.file(), place.line());
    }
    let _ = text.write_all(info.payload_as_str().unwrap_or("a panic without words").as_bytes());
    leave(2 << 48, 0, &text.bytes[..text.length]);
    let mut line = Cut { bytes: [0; TEXT_BYTES], length: 0 };
    let _ = line.write_all(b"panic at ");
    let _ = line.write_all(&text.bytes[..text.length]);
    line.length = line.length.min(TEXT_BYTES - 1);
    let _ = line.write_all(b"\n");
    // One try without waiting, and past the lock of `std`'s own handle: the supervisor's pipe
    // does not block, and whatever else it is, the note is written.
    let _ = rustix::io::write(std::io::stderr(), &line.bytes[..line.length]);
    std::process::abort();
}

/// Writes the note, unless another cause came first, and raises the bell.
fn leave(kind: u64, address: u64, text: &[u8]) {
    let Some(place) = NonNull::new(PLACE.load(Ordering::Acquire)) else { return };
    // SAFETY: a place is never freed nor changed once it can be seen.
    let place = unsafe { place.as_ref() };
    let thread = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    let first = WRITER.compare_exchange(0, thread, Ordering::AcqRel, Ordering::Acquire);
    match first {
        Ok(_) => {}
        Err(writer) if writer == thread => return,
        Err(_) => return wait_for_the_first(),
    }
    let mut note = [0_u64; WORDS];
    note[1] = kind;
    note[2] = address;
    note[3] = u64::from(thread);
    note[4] = text.len().min(TEXT_BYTES) as u64;
    for (word, bytes) in note[HEAD..].iter_mut().zip(text.chunks(8)) {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(eight);
    }
    note[0] = hash::words(place.tag, &note[1..]);
    for offset in (0..WORDS).rev() {
        place.region.store(place.at + offset, note[offset], Ordering::Release);
    }
    WRITTEN.store(1, Ordering::Release);
    place.bell.raise();
}

/// Another thread was first; dying now would cut its note short.
fn wait_for_the_first() {
    let pause = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000 };
    for _ in 0..PATIENCE {
        if WRITTEN.load(Ordering::Acquire) == 1 {
            return;
        }
        let _ = rustix::thread::nanosleep(&pause);
    }
}

/// A text that is cut where its room ends.
struct Cut {
    bytes: [u8; TEXT_BYTES],
    length: usize,
}

impl io::Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = &mut self.bytes[self.length..];
        let taken = bytes.len().min(room.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use super::{WORDS, read};
    use crate::hash;
    use crate::region::Region;
    use crate::words::Words;

    fn leave(region: &Region, tag: u64, rest: &[u64]) {
        let mut note = [0; WORDS];
        note[1..=rest.len()].copy_from_slice(rest);
        note[0] = hash::words(tag, &note[1..]);
        for (at, word) in note.iter().enumerate() {
            region.store(at, *word, SeqCst);
        }
    }

    #[test]
    fn an_empty_place_an_earlier_guest_and_a_wild_note_read_as_no_note() {
        let region = Region::heap(WORDS);
        assert_eq!(read(&region, 0, 0), None);
        assert_eq!(read(&region, 0, 3), None);
        leave(&region, 3, &[2 << 48, 0, 9, 2, 0x6968]);
        assert_eq!(read(&region, 0, 3).unwrap().text, "hi");
        assert_eq!(read(&region, 0, 4), None);
        leave(&region, 3, &[2 << 48, 0, 9, u64::MAX]);
        assert_eq!(read(&region, 0, 3), None);
        leave(&region, 3, &[7 << 48, 0, 9, 0]);
        assert_eq!(read(&region, 0, 3), None);
    }

    #[test]
    fn a_note_with_one_bit_changed_is_no_note() {
        let region = Region::heap(WORDS);
        for bit in 0..WORDS * 64 {
            leave(&region, 1, &[1 << 48 | 11 << 32 | 1, 0xdead, 9, 0]);
            region.store(bit / 64, region.load(bit / 64, SeqCst) ^ 1 << (bit % 64), SeqCst);
            assert_eq!(read(&region, 0, 1), None, "bit {bit}");
        }
    }
}
