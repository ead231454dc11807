//! The far end's recording against the replay, frame by frame, however long they are.
//!
//! Where the recording leaves the replay it is looked for further on: what lies between was
//! played and did not get there, which is the server's doing, or was played by the timer. What is
//! found nowhere is wrong. Both are counted, none is passed over.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// One frame, both channels, at the 32 bits of the recorder.
type Frame = [i32; 2];

/// So many frames in a row are in one place only.
const SURE: usize = 64;
/// How far on a recording is looked for: ten minutes.
const FAR: usize = 600 * 48_000;

/// What was found.
#[derive(Default)]
pub(super) struct Verdict {
    /// Frames of the recording between its first and its last that are not silent.
    pub(super) frames: u64,
    /// Of these, those that are the replay's nowhere.
    pub(super) differ: u64,
    /// Silence within the recording, as while the timer plays.
    pub(super) silent: u64,
    /// Times the recording was found again further on in the replay.
    pub(super) holes: u64,
    /// Frames of the replay that are not in the recording, in these holes.
    pub(super) missing: u64,
}

pub(super) fn compare(heard: &Path, replay: &Path) -> Verdict {
    let mut heard = Frames::open(heard, i32::from_le_bytes);
    let mut replay = Frames::open(replay, |bytes| {
        (f64::from(f32::from_le_bytes(bytes)) * 2_147_483_648.0).round_ties_even() as i32
    });
    let mut verdict = Verdict::default();
    while heard.peek(1).first() == Some(&[0, 0]) {
        heard.drop_front(1);
    }
    let start = find(&mut heard, &mut replay);
    replay.drop_front(start.unwrap_or(0));
    if start.is_none() {
        verdict.differ = 1;
        return verdict;
    }
    let mut wrong = 0;
    while let (Some(ours), Some(theirs)) = (heard.peek(1).first(), replay.peek(1).first()) {
        if ours == theirs {
            wrong = 0;
        } else if wrong % SURE != 0 {
            (wrong, verdict.differ) = (wrong + 1, verdict.differ + 1);
        } else if heard.peek(SURE).iter().all(|frame| *frame == [0, 0]) {
            // The timer played meanwhile.
            heard.drop_front(SURE);
            verdict.silent += SURE as u64;
            continue;
        } else if let Some(on) = find(&mut heard, &mut replay).filter(|on| *on > 0) {
            replay.drop_front(on);
            (wrong, verdict.holes) = (0, verdict.holes + 1);
            verdict.missing += on as u64;
        } else {
            (wrong, verdict.differ) = (wrong + 1, verdict.differ + 1);
        }
        heard.drop_front(1);
        replay.drop_front(1);
        verdict.frames += 1;
    }
    verdict
}

/// How much further on in the replay the next frames of the recording are.
fn find(heard: &mut Frames, replay: &mut Frames) -> Option<usize> {
    let probe = heard.peek(SURE).to_vec();
    let mut from = 0;
    while from < FAR {
        let step = 48_000;
        let window = replay.peek(from + step + SURE);
        if window.len() < from + probe.len() {
            return None;
        }
        let place = window[from..].windows(probe.len()).position(|it| it == probe);
        if let Some(place) = place {
            return Some(from + place);
        }
        from += step;
    }
    None
}

/// The frames of a WAV file of 32-bit samples in two channels, a few at a time.
struct Frames {
    file: BufReader<File>,
    sample: fn([u8; 4]) -> i32,
    /// Read, and from where on not given out.
    ahead: Vec<Frame>,
    front: usize,
}

impl Frames {
    fn open(path: &Path, sample: fn([u8; 4]) -> i32) -> Self {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path).expect("a recording"));
        let skip = |file: &mut BufReader<File>, count: u64| {
            std::io::copy(&mut file.take(count), &mut std::io::sink()).expect("a file");
        };
        skip(&mut file, 12);
        loop {
            let mut head = [0; 8];
            file.read_exact(&mut head).expect("a WAV file");
            let [name @ .., a, b, c, d] = head;
            if &name == b"data" {
                break;
            }
            skip(&mut file, u64::from(u32::from_le_bytes([a, b, c, d])));
        }
        Self { file, sample, ahead: Vec::new(), front: 0 }
    }

    /// The next frames, at most so many, without taking them.
    fn peek(&mut self, count: usize) -> &[Frame] {
        while self.ahead.len() < self.front + count {
            let mut bytes = [0; 8];
            if self.file.read_exact(&mut bytes).is_err() {
                break;
            }
            let [a, b, c, d, e, f, g, h] = bytes;
            self.ahead.push([(self.sample)([a, b, c, d]), (self.sample)([e, f, g, h])]);
        }
        let end = self.ahead.len().min(self.front + count);
        &self.ahead[self.front..end]
    }

    fn drop_front(&mut self, count: usize) {
        self.peek(count);
        self.front = (self.front + count).min(self.ahead.len());
        if self.front > 1 << 16 {
            self.ahead.drain(..self.front);
            self.front = 0;
        }
    }
}
