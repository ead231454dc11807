//! The functions of `libjack`, found by name when they are first asked for.
//!
//! *Source*: `jack/jack.h`, whose binary interface JACK 1, JACK 2 and PipeWire share.

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;

/// Where the loader looks for it: the name every distribution installs for programs to run.
const FILE: &CStr = c"libjack.so.0";

/// A client, as the library hands it out.
pub(super) type RawClient = NonNull<c_void>;

/// A port, as the library hands it out.
pub(super) type RawPort = *mut c_void;

/// What the library gives its callbacks back.
type Context = *mut c_void;

/// From and to when a sample is under way, in frames.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Range {
    /// On the shortest way.
    pub(super) min: u32,
    /// On the longest way.
    pub(super) max: u32,
}

type Message = extern "C" fn(*const c_char);
type OnNumber = extern "C" fn(u32, Context) -> c_int;
type OnEvent = extern "C" fn(Context) -> c_int;
type OnPort = extern "C" fn(u32, c_int, Context);
type OnSwitch = extern "C" fn(c_int, Context);
type OnEnd = extern "C" fn(u32, *const c_char, Context);
type Set<F> = unsafe extern "C" fn(RawClient, F, Context) -> c_int;
type Ask<R> = unsafe extern "C" fn(RawClient) -> R;
type Names = *mut *const c_char;

/// Lists what is taken from the library, with its type in C.
macro_rules! functions {
    ($($name:ident: $type:ty;)*) => {
        /// The library's functions, by their names there.
        pub(super) struct Library {
            $(pub(super) $name: $type,)*
        }

        impl Library {
            fn find_in(handle: NonNull<c_void>) -> Result<Self, String> {
                Ok(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0").as_bytes();
                        // SAFETY: the type is the function's in `jack.h`.
                        unsafe { symbol::<$type>(handle, name) }?
                    },)*
                })
            }
        }
    };
}

functions! {
    jack_client_open: unsafe extern "C" fn(*const c_char, u32, *mut u32, ...) -> Option<RawClient>;
    jack_client_close: Ask<c_int>;
    jack_get_client_name: Ask<*const c_char>;
    jack_get_sample_rate: Ask<u32>;
    jack_get_buffer_size: Ask<u32>;
    jack_activate: Ask<c_int>;
    jack_deactivate: Ask<c_int>;
    jack_set_process_callback: Set<OnNumber>;
    jack_set_buffer_size_callback: Set<OnNumber>;
    jack_set_sample_rate_callback: Set<OnNumber>;
    jack_set_xrun_callback: Set<OnEvent>;
    jack_set_graph_order_callback: Set<OnEvent>;
    jack_set_freewheel_callback: Set<OnSwitch>;
    jack_set_port_registration_callback: Set<OnPort>;
    jack_on_info_shutdown: unsafe extern "C" fn(RawClient, OnEnd, Context);
    jack_port_register: unsafe extern "C" fn(
        RawClient, *const c_char, *const c_char, c_ulong, c_ulong,
    ) -> RawPort;
    jack_port_get_buffer: unsafe extern "C" fn(RawPort, u32) -> *mut f32;
    jack_port_by_id: unsafe extern "C" fn(RawClient, u32) -> RawPort;
    jack_port_name: unsafe extern "C" fn(RawPort) -> *const c_char;
    jack_port_get_connections: unsafe extern "C" fn(RawPort) -> Names;
    jack_port_get_latency_range: unsafe extern "C" fn(RawPort, u32, *mut Range);
    jack_get_ports: unsafe extern "C" fn(
        RawClient, *const c_char, *const c_char, c_ulong,
    ) -> Names;
    jack_connect: unsafe extern "C" fn(RawClient, *const c_char, *const c_char) -> c_int;
    jack_free: unsafe extern "C" fn(*mut c_void);
    jack_set_error_function: unsafe extern "C" fn(Message);
    jack_set_info_function: unsafe extern "C" fn(Message);
}

/// The library, loaded by the first who asks and never unloaded: its threads may outlive us.
pub(super) fn library() -> Result<&'static Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let library = Library::find_in(load(FILE)?)?;
        // SAFETY: a function that lives as long as the program.
        unsafe { (library.jack_set_error_function)(super::message::hear_error) };
        // SAFETY: as above.
        unsafe { (library.jack_set_info_function)(super::message::hear_info) };
        Ok(library)
    });
    library.as_ref().map_err(Clone::clone)
}

fn load(file: &CStr) -> Result<NonNull<c_void>, String> {
    // SAFETY: the name ends in a zero; the library's own initialisation is trusted, as that of
    // any library a program is linked with.
    let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    NonNull::new(handle).ok_or_else(last_error)
}

/// # Safety
/// `F` is a function pointer of the type the function of this name has; `name` ends in a zero.
unsafe fn symbol<F: Copy>(handle: NonNull<c_void>, name: &[u8]) -> Result<F, String> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: the handle is of a library that is never unloaded, and the name ends in a zero.
    let address = unsafe { libc::dlsym(handle.as_ptr(), name.as_ptr().cast()) };
    if address.is_null() {
        return Err(last_error());
    }
    // SAFETY: of one size, checked above, and not null; the caller vouches for the type.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

/// What the loader says of its last failure on this thread.
fn last_error() -> String {
    // SAFETY: gives null or a text that lives until the next call on this thread.
    let text = unsafe { libc::dlerror() };
    // SAFETY: as above.
    unsafe { text_of(text) }.unwrap_or_else(|| "it cannot be loaded".into())
}

/// # Safety
/// Null, or a text that ends in a zero and lives during this call.
pub(super) unsafe fn text_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null; the caller vouches for the rest.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

impl Library {
    /// Takes a list of names the library made, and gives it back to the library.
    ///
    /// # Safety
    /// Null, or what one of its functions that give lists has just given.
    pub(super) unsafe fn take_names(&self, names: Names) -> Vec<String> {
        let mut taken = Vec::new();
        if names.is_null() {
            return taken;
        }
        loop {
            // SAFETY: the list ends in a null, which has not been met yet.
            let entry = unsafe { names.add(taken.len()) };
            // SAFETY: as above.
            let name = unsafe { *entry };
            // SAFETY: an entry is null or a text of the list's.
            let Some(name) = (unsafe { text_of(name) }) else { break };
            taken.push(name);
        }
        // SAFETY: made by the library, and nobody looks at it any more.
        unsafe { (self.jack_free)(names.cast()) };
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{load, symbol};

    #[test]
    fn a_library_that_is_not_there_is_an_error_that_names_it() {
        let error = load(c"libjack-not-there.so.0").unwrap_err();
        assert!(error.contains("libjack-not-there.so.0"), "{error}");
    }

    #[test]
    fn a_function_that_is_not_there_is_an_error_that_names_it() {
        let handle = load(c"libc.so.6").expect("this program runs on it");
        // SAFETY: never called.
        let found = unsafe { symbol::<extern "C" fn()>(handle, b"getpid\0") };
        assert!(found.is_ok());
        // SAFETY: as above.
        let found = unsafe { symbol::<extern "C" fn()>(handle, b"jack_not_there\0") };
        assert!(found.unwrap_err().contains("jack_not_there"));
    }
}
