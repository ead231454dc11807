//! The same bits on aarch64, where an emulator and a compiler for it are there.
//!
//! `.ci/aarch64 prepare` fetches the compiler; the emulator is Debian's `qemu-user-static`.
#![cfg(not(target_arch = "aarch64"))]

use std::process::{Command, Stdio};

/// What `.ci/aarch64 test` exits with when something that it needs is missing.
const MISSING: i32 = 77;

#[test]
fn the_same_bits_on_aarch64() {
    if std::env::var_os("SEGUE_BLESS").is_some() {
        eprintln!("skipped: what it compares with is being written");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/aarch64");
    let ran = Command::new(script).arg("test").stdin(Stdio::null()).output();
    let ran = ran.unwrap_or_else(|error| panic!("{script}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if ran.status.code() == Some(MISSING) {
        eprint!("skipped: {err}");
        return;
    }
    assert!(ran.status.success(), "{}:\n{err}\n{out}", ran.status);
    for test in ["the_house_patches_sound_as_they_did", "a_block_may_be_cut_anywhere"] {
        assert!(out.contains(&format!("test {test} ... ok")), "{test} did not run:\n{err}\n{out}");
    }
}
