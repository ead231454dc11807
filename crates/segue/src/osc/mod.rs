//! Open Sound Control: bytes to requests, and replies to bytes.
//!
//! Everything that arrives here may come from anybody. Reading order: framing and decoding know
//! bytes only; addresses know what this engine understands; nothing here has a socket.

pub(crate) mod address;
pub(crate) mod decode;
pub(crate) mod framing;
pub(crate) mod gate;
pub(crate) mod pattern;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod text;
pub(crate) mod time;
