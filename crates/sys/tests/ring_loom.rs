//! The ring under a model checker: whatever the interleaving, a reader never gets a mixture.

use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use segue_sys::{Entry, Ring, Words};

#[derive(Clone)]
struct Modelled(Arc<Vec<AtomicU64>>);

impl Words for Modelled {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.0[index].load(order)
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        self.0[index].store(value, order);
    }
}

fn modelled(depth: usize, payload: usize) -> Ring<Modelled> {
    let words = Ring::<Modelled>::words_for(depth, payload);
    let words = Modelled(Arc::new((0..words).map(|_| AtomicU64::new(0)).collect()));
    Ring::new(words, 0, depth, payload)
}

#[test]
fn a_reader_gets_the_old_entry_the_new_one_or_neither() {
    loom::model(|| {
        let ring = modelled(1, 2);
        ring.write(0, 1, &[10, 11]);
        let writer = ring.clone();
        let thread = loom::thread::spawn(move || writer.write(1, 1, &[20, 21]));
        let mut got = [0; 2];
        match ring.read(0, &mut got) {
            Entry::Whole { tag } => assert_eq!((tag, got), (1, [10, 11])),
            Entry::Torn | Entry::Passed => {}
            Entry::Absent => panic!("entry 0 was written before the reader began"),
        }
        if let Entry::Whole { tag } = ring.read(1, &mut got) {
            assert_eq!((tag, got), (1, [20, 21]));
        }
        thread.join().unwrap();
        assert_eq!(ring.read(1, &mut got), Entry::Whole { tag: 1 });
    });
}

#[test]
fn whoever_sees_the_published_head_finds_the_record_below_it() {
    loom::model(|| {
        let ring = modelled(2, 1);
        let head = Arc::new(AtomicU64::new(0));
        let (writer, published) = (ring.clone(), head.clone());
        let thread = loom::thread::spawn(move || {
            for number in 0..2 {
                writer.write(number, 0, &[number + 100]);
                published.store(number + 1, Ordering::Release);
            }
        });
        let seen = head.load(Ordering::Acquire);
        for number in 0..seen {
            let mut got = [0];
            assert_eq!(ring.read(number, &mut got), Entry::Whole { tag: 0 });
            assert_eq!(got[0], number + 100);
        }
        thread.join().unwrap();
    });
}
