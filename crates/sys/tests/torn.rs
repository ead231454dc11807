//! A writer in a second process that is killed between any two of its stores.
//!
//! *Verified*: whatever the kill leaves, a reader in this process never takes a half-written
//! entry for a whole one. *Not verified*: orders of memory that this processor does not show;
//! `ring_loom.rs` is for those.
#![allow(clippy::unwrap_used)] // helpers of tests, too, fail by panicking

use std::time::Duration;

use segue_sys::event::wait_readable;
use segue_sys::process::{Change, Child, Order, Spawner};
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, Entry, Region, Ring};

const ROLE: &str = "SEGUE_SYS_TEST_WRITER";
const DEPTH: usize = 4;
const PAYLOAD: usize = 130;

fn ring(region: &Region) -> Ring<Region> {
    Ring::new(region.clone(), 0, DEPTH, PAYLOAD)
}

/// Every word of an entry tells its number, so that a mixture shows.
fn payload(number: u64) -> [u64; PAYLOAD] {
    std::array::from_fn(|word| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word as u64)
}

#[test]
fn as_a_writer() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let socket = Seqpacket::from_stdin().unwrap();
    let mut orders = [0; 8];
    let got = socket.receive(&mut orders).unwrap();
    let region = Region::adopt(got.fds.into_iter().next().unwrap(), Access::Write).unwrap();
    let ring = ring(&region);
    if role == "steps" {
        let stores = usize::try_from(u64::from_le_bytes(orders)).unwrap();
        for step in 0..stores {
            ring.write_step(DEPTH as u64, 1, &payload(DEPTH as u64), step);
        }
        socket.send(b"done", &[]).unwrap();
        let _ = socket.receive(&mut orders);
        return;
    }
    for number in 0.. {
        ring.write(number, 1, &payload(number));
    }
}

fn writer(spawner: &Spawner, role: &str, region: &Region, stores: u64) -> Child {
    let order = Order {
        arguments: ["as_a_writer", "--exact", "--nocapture"].map(Into::into).to_vec(),
        environment: vec![(ROLE.into(), role.into())],
    };
    let child = spawner.spawn(order).unwrap();
    child.socket().send(&stores.to_le_bytes(), &[region.fd().unwrap()]).unwrap();
    child
}

fn kill(mut child: Child) {
    child.kill();
    let mut ended = Vec::new();
    wait_readable(&[child.handle()], Some(Duration::from_secs(20)), &mut ended).unwrap();
    assert!(matches!(child.change().unwrap(), Some(Change::Killed { signal: 9 })));
}

#[test]
fn a_writer_killed_after_any_store_leaves_the_old_entry_a_torn_one_or_the_new_one() {
    let spawner = Spawner::start().unwrap();
    let region = Region::shared("ring", Ring::<Region>::words_for(DEPTH, PAYLOAD)).unwrap();
    let ring = ring(&region);
    let steps = ring.write_steps();
    // The first and last stores one by one, those of the payload at some places.
    let some = [0, 1, 2, 3, 4, 5, 64, steps - 2, steps - 1, steps];
    for stores in some {
        ring.write(0, 1, &payload(0));
        let child = writer(&spawner, "steps", &region, stores as u64);
        let mut said = [0; 8];
        assert_eq!(child.socket().receive(&mut said).unwrap().length, 4);
        kill(child);
        let mut got = [0; PAYLOAD];
        let new = ring.read(DEPTH as u64, &mut got);
        let old = ring.read(0, &mut [0; PAYLOAD]);
        match stores {
            0 => assert_eq!((new, old), (Entry::Absent, Entry::Whole { tag: 1 })),
            all if all == steps => {
                assert_eq!((new, old), (Entry::Whole { tag: 1 }, Entry::Passed));
                assert_eq!(got, payload(DEPTH as u64));
            }
            _ => assert_eq!((new, old), (Entry::Torn, Entry::Torn), "after {stores} stores"),
        }
    }
}

#[test]
fn a_reader_beside_a_running_writer_and_after_its_kill_sees_whole_entries_or_none() {
    let spawner = Spawner::start().unwrap();
    let mut seen = 0;
    for round in 1..=8 {
        let region = Region::shared("ring", Ring::<Region>::words_for(DEPTH, PAYLOAD)).unwrap();
        let ring = ring(&region);
        let child = writer(&spawner, "run", &region, 0);
        let mut number = 0;
        let mut got = [0; PAYLOAD];
        while number < 3000 * round {
            match ring.read(number, &mut got) {
                Entry::Whole { tag } => {
                    assert_eq!((tag, got), (1, payload(number)), "entry {number}");
                    seen += 1;
                    number += 1;
                }
                Entry::Passed => number += 1,
                Entry::Absent | Entry::Torn => std::hint::spin_loop(),
            }
        }
        kill(child);
        let mut whole = 0;
        for number in number..number + 1_000_000 {
            if let Entry::Whole { tag } = ring.read(number, &mut got) {
                assert_eq!((tag, got), (1, payload(number)), "entry {number} after the kill");
                whole += 1;
            }
        }
        assert!(whole <= DEPTH);
    }
    assert!(seen > 0, "the reader never met an entry");
}
