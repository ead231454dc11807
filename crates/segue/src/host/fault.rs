//! Faults on purpose at the start of a worker, for tests (cargo feature `fault`).
//!
//! `SEGUE_FAULT_START` holds entries with commas between: `SLOT:WHAT` or `SLOT:WHAT*N` for the
//! guests up to generation N alone; WHAT is a delay in milliseconds, `exit:CODE`, `panic` or
//! `hold`.

/// Does what the environment asks of this guest.
pub(super) fn at_start(slot: u32, generation: u64) {
    let Ok(faults) = std::env::var("SEGUE_FAULT_START") else { return };
    for fault in faults.split(',') {
        let Some((place, what)) = fault.split_once(':') else { continue };
        let (what, guests) = what.split_once('*').unwrap_or((what, ""));
        let is_meant = guests.parse().map_or(true, |last: u64| generation <= last);
        if place.parse() == Ok(slot) && is_meant {
            suffer(what);
        }
    }
}

fn suffer(what: &str) {
    match what {
        "panic" => panic!("a fault at the start was asked for"),
        "hold" => loop {
            std::thread::park();
        },
        _ => {}
    }
    if let Some(code) = what.strip_prefix("exit:") {
        eprintln!("an exit at the start was asked for");
        std::process::exit(code.parse().unwrap_or(1));
    }
    if let Ok(delay_ms) = what.parse::<u64>() {
        let until = segue_sys::clock::monotonic_ns() + delay_ms * 1_000_000;
        segue_sys::clock::sleep_until_ns(until);
    }
}
