//! What the library has to say, which would else land on standard error.

use std::ffi::c_char;
use std::sync::OnceLock;

use super::library::text_of;

/// Where it goes.
static LISTENER: OnceLock<fn(Severity, &str)> = OnceLock::new();

/// How bad the library thinks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// To be known.
    Info,
    /// An error, though often one that is expected: no server to connect to.
    Error,
}

/// From now on, what the library says goes there; to nobody before. The first to ask is heard.
/// `[any]`
pub fn hear(listener: fn(Severity, &str)) {
    // A second engine in one process, as in tests, keeps the listener of the first.
    let _ = LISTENER.set(listener);
}

pub(super) extern "C" fn hear_error(text: *const c_char) {
    tell(Severity::Error, text);
}

pub(super) extern "C" fn hear_info(text: *const c_char) {
    tell(Severity::Info, text);
}

fn tell(severity: Severity, text: *const c_char) {
    let Some(listener) = LISTENER.get() else { return };
    // SAFETY: the library hands over a text that lives during the call.
    if let Some(text) = unsafe { text_of(text) } {
        listener(severity, &text);
    }
}
