//! A player's hands: which voice takes a note, how it gets there, and when it lets go.
//!
//! *Law*: a note sounds from the frame it is struck at. A voice that has to be struck again while
//! it sounds closes its gate for a millisecond first, and no gate is open for less than one, so
//! that whatever listens sees every note. Glides are straight in semitones and take their time
//! whatever the interval.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::math::{are_zero, exp2, max};
use crate::signal::{Signal, repeat};

/// Notes that can be held at once in the modes of one note.
const HELD_MAX: usize = 16;

/// Rows of samples that voices remember.
pub const REAL_ROWS: usize = 3 * RAMPS + 3;
/// Rows of whole numbers they remember.
pub const COUNT_ROWS: usize = RAMPS + 6;

/// What moves: the note in semitones, then what `/voice` sets: bend, pressure, timbre. The last
/// two have outlets of the same index.
const RAMPS: usize = 4;
const NOTE: usize = 0;
const BEND: usize = 1;
const PRESSURE: usize = 2;

const VALUE: usize = 0;
const STEP: usize = RAMPS;
const TARGET: usize = 2 * RAMPS;
const VELOCITY: usize = 3 * RAMPS;
const LOUDNESS: usize = 3 * RAMPS + 1;
const DETUNE: usize = 3 * RAMPS + 2;

const RAMP_LEFT: usize = 0;
const HELD: usize = RAMPS;
/// When it was struck or let go last, by the count of notes.
const SINCE: usize = RAMPS + 1;
/// Frames the gate is still closed before it opens.
const GAP: usize = RAMPS + 2;
/// Frames the gate must still be open.
const OPEN: usize = RAMPS + 3;
/// Frames until it lets go by itself.
const DUE: usize = RAMPS + 4;
/// 1: it lets go as soon as it may.
const LEAVING: usize = RAMPS + 5;

/// How notes are spread over voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A voice a note.
    Poly,
    /// One voice; notes held together go over into each other.
    Legato,
    /// All voices on one note.
    Unison,
}

/// Who gives way when all voices sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steal {
    /// Whoever was struck first.
    Oldest,
    /// Whoever is quietest.
    Quietest,
}

/// How a note is taken.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// How notes are spread over voices.
    pub mode: Mode,
    /// Who gives way.
    pub steal: Steal,
    /// Frames a glide takes; 0 for none.
    pub glide: u32,
    /// Cents between the outermost voices and the note, in unison.
    pub detune: f32,
    /// Frames of a millisecond.
    pub gap: u32,
    /// How many voices there are, 1 to 16.
    pub voices: usize,
}

/// What all voices share.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Hand {
    /// Notes that are held, the newest last, in the modes of one note.
    notes: [f32; HELD_MAX],
    velocities: [f32; HELD_MAX],
    held: u32,
    /// Counts strikes and releases.
    count: u32,
}

/// A player of up to `W` voices: plain words, to be kept anywhere.
pub struct Keys<'a, const W: usize> {
    /// What all voices share.
    pub hand: &'a mut Hand,
    /// What each of them is at.
    pub reals: &'a mut [[f32; W]; REAL_ROWS],
    /// How long it will be.
    pub counts: &'a mut [[u32; W]; COUNT_ROWS],
}

impl<const W: usize> Keys<'_, W> {
    /// Nothing held; all voices at A4. `[any]`
    pub fn reset(&mut self) {
        *self.hand =
            Hand { notes: [0.0; HELD_MAX], velocities: [0.0; HELD_MAX], held: 0, count: 1 };
        *self.reals = [[0.0; W]; REAL_ROWS];
        *self.counts = [[0; W]; COUNT_ROWS];
        self.reals[VALUE + NOTE] = [69.0; W];
        self.reals[TARGET + NOTE] = [69.0; W];
    }

    /// Strikes a note, to be let go after `frames` (0 for never), by `voice` or whoever is best.
    /// `[audio]`
    pub fn strike(
        &mut self,
        touch: &Touch,
        note: f32,
        velocity: f32,
        frames: u32,
        voice: Option<usize>,
    ) {
        match touch.mode {
            Mode::Poly => {
                let voice = voice.filter(|voice| *voice < touch.voices);
                let voice = voice.unwrap_or_else(|| self.choose(touch, note));
                self.play(touch, voice, note, velocity, frames);
            }
            Mode::Legato => {
                let goes_over = self.hand.held > 0 && self.counts[HELD][0] == 1;
                self.hold(note, velocity);
                if goes_over {
                    self.glide(touch, 0, note);
                    self.counts[DUE][0] = frames;
                } else {
                    self.play(touch, 0, note, velocity, frames);
                }
            }
            Mode::Unison => {
                self.hold(note, velocity);
                for voice in 0..touch.voices {
                    self.play(touch, voice, note, velocity, frames);
                }
            }
        }
    }

    /// Lets a note go, whoever plays it, or what `voice` plays. `[audio]`
    pub fn release(&mut self, touch: &Touch, note: f32, voice: Option<usize>) {
        if touch.mode == Mode::Poly {
            for lane in 0..touch.voices {
                let meant = match voice {
                    Some(voice) => voice == lane,
                    None => self.reals[TARGET + NOTE][lane] == note,
                };
                if meant && self.counts[HELD][lane] == 1 {
                    self.counts[LEAVING][lane] = 1;
                }
            }
            return;
        }
        let before = self.hand.held;
        let was_last = before > 0 && self.hand.notes[before as usize - 1] == note;
        self.forget(note);
        let voices = if touch.mode == Mode::Unison { touch.voices } else { 1 };
        if self.hand.held == 0 {
            self.counts[LEAVING][..voices].fill(1);
        } else if was_last {
            // Back to the note that is still held.
            let back = self.hand.notes[self.hand.held as usize - 1];
            (0..voices).for_each(|lane| self.glide(touch, lane, back));
        }
    }

    /// Everything let go at once. `[audio]`
    pub fn choke(&mut self) {
        self.hand.held = 0;
        for row in [HELD, GAP, OPEN, DUE, LEAVING] {
            self.counts[row] = [0; W];
        }
    }

    /// Moves bend (0, cents), pressure (1) or timbre (2) of a voice. `[audio]`
    pub fn shape(&mut self, voice: usize, param: usize, value: f32, frames: u32) {
        if voice < W && param + 1 < RAMPS {
            self.go(voice, param + 1, value, frames);
        }
    }

    /// Where bend, pressure or timbre of a voice is going. `[any]`
    pub fn shaped(&self, voice: usize, param: usize) -> Option<f32> {
        self.reals.get(TARGET + 1 + param).filter(|_| param + 1 < RAMPS)?.get(voice).copied()
    }

    /// The next frames of pitch (Hz), gate (its height the velocity), pressure and timbre, as many
    /// as `pitch` has room for; those that are empty are left out. Bit n of what comes back: all
    /// frames of output n are like the first, which is then the only one that is written.
    /// `loudness` is what the voices sound at. `[audio]`
    pub fn render(&mut self, loudness: Option<Signal<'_>>, outs: &mut [&mut [f32]; 4]) -> u32 {
        let frames = outs[0].len() / W;
        let mut frame = 0;
        let mut still = 0b1111;
        while frame < frames {
            if !are_zero(&self.counts[LEAVING]) {
                self.let_go();
            }
            let waits = [GAP, OPEN, DUE].map(|row| !are_zero(&self.counts[row]));
            let mut run = frames - frame;
            for (row, waits) in [GAP, OPEN, DUE].into_iter().zip(waits) {
                for count in self.counts[row].iter().filter(|count| waits && **count > 0) {
                    run = run.min(*count as usize);
                }
            }
            if run < frames {
                still = 0;
            }
            still &= self.fill(frame, run, outs);
            if waits.contains(&true) {
                self.count(run as u32);
            }
            frame += run;
        }
        if let Some(loudness) = loudness {
            self.reals[LOUDNESS] = loudness.lanes::<W>(frames.saturating_sub(1));
        }
        still
    }

    /// So many frames are over.
    fn count(&mut self, run: u32) {
        for lane in 0..W {
            let gap = self.counts[GAP][lane];
            self.counts[GAP][lane] = gap.saturating_sub(run);
            if gap == 0 {
                // Open is counted from when the gap is over.
                self.counts[OPEN][lane] = self.counts[OPEN][lane].saturating_sub(run);
            }
            let due = self.counts[DUE][lane];
            self.counts[DUE][lane] = due.saturating_sub(run);
            if due > 0 && due <= run {
                self.counts[LEAVING][lane] = 1;
            }
        }
    }

    /// One run in which no gate changes.
    fn fill(&mut self, frame: usize, run: usize, outs: &mut [&mut [f32]; 4]) -> u32 {
        let mut still = 0b1111;
        let moves: [bool; RAMPS] =
            std::array::from_fn(|it| !are_zero(&self.counts[RAMP_LEFT + it]));
        let part = frame * W..(frame + run) * W;
        // What rests needs one frame only, if it does so from the first to the last.
        let rests = if run * W == outs[0].len() { 0..W } else { part.clone() };
        let [to_pitch, gate, others @ ..] = outs;
        let mut gates = [0.0; W];
        for lane in 0..W {
            let open = self.counts[HELD][lane] == 1 && self.counts[GAP][lane] == 0;
            gates[lane] = if open { self.reals[VELOCITY][lane] } else { 0.0 };
        }
        repeat(&gates, gate.get_mut(rests.clone()).unwrap_or_default());
        if moves[NOTE] || moves[BEND] {
            still ^= 0b1;
            for row in to_pitch[part.clone()].as_chunks_mut::<W>().0 {
                self.advance(NOTE);
                self.advance(BEND);
                *row = self.pitch();
            }
        } else {
            repeat(&self.pitch(), &mut to_pitch[rests.clone()]);
        }
        for (ramp, out) in (PRESSURE..).zip(others) {
            let part = if moves[ramp] { part.clone() } else { rests.clone() };
            let out = out.get_mut(part).unwrap_or_default();
            if moves[ramp] {
                still ^= 1 << ramp;
                let mut rows = out.as_chunks_mut::<W>().0.iter_mut();
                // What nobody listens to moves all the same.
                for _ in 0..run {
                    self.advance(ramp);
                    if let Some(row) = rows.next() {
                        *row = self.reals[VALUE + ramp];
                    }
                }
            } else {
                repeat(&self.reals[VALUE + ramp], out);
            }
        }
        still
    }

    fn pitch(&self) -> [f32; W] {
        let mut pitch = [0.0; W];
        for lane in 0..W {
            let cents = self.reals[VALUE + BEND][lane] + self.reals[DETUNE][lane];
            let above = self.reals[VALUE + NOTE][lane] - 69.0 + cents * 0.01;
            pitch[lane] = 440.0 * exp2(above * (1.0 / 12.0));
        }
        pitch
    }

    fn advance(&mut self, ramp: usize) {
        for lane in 0..W {
            let left = &mut self.counts[RAMP_LEFT + ramp][lane];
            if *left == 0 {
                continue;
            }
            *left -= 1;
            self.reals[VALUE + ramp][lane] = if *left == 0 {
                self.reals[TARGET + ramp][lane]
            } else {
                self.reals[VALUE + ramp][lane] + self.reals[STEP + ramp][lane]
            };
        }
    }

    /// Closes the gates of those that are leaving and have been open long enough.
    fn let_go(&mut self) {
        for lane in 0..W {
            let may = self.counts[GAP][lane] == 0 && self.counts[OPEN][lane] == 0;
            if self.counts[LEAVING][lane] == 1 && may {
                self.counts[LEAVING][lane] = 0;
                self.counts[HELD][lane] = 0;
                self.counts[DUE][lane] = 0;
                self.counts[SINCE][lane] = self.tick();
            }
        }
    }

    /// The voice that takes `note`: whoever has it, else who has been idle longest, else who
    /// gives way.
    fn choose(&self, touch: &Touch, note: f32) -> usize {
        let voices = 0..touch.voices.min(W);
        let has = |voice: &usize| {
            self.counts[HELD][*voice] == 1 && self.reals[TARGET + NOTE][*voice] == note
        };
        if let Some(voice) = voices.clone().find(has) {
            return voice;
        }
        let mut best = 0;
        for voice in voices {
            if self.rank(touch.steal, voice) < self.rank(touch.steal, best) {
                best = voice;
            }
        }
        best
    }

    /// Who is lowest gives way: the idle before the held, then the quiet or the old. Samples in
    /// 0 to 1 keep their order as bits.
    fn rank(&self, steal: Steal, voice: usize) -> (u32, u32, u32) {
        let held = self.counts[HELD][voice] & (1 - self.counts[LEAVING][voice]);
        let loudness = max(self.reals[LOUDNESS][voice], 0.0);
        let quiet = if steal == Steal::Quietest { loudness.to_bits() } else { 0 };
        (held, quiet, self.counts[SINCE][voice])
    }

    fn play(&mut self, touch: &Touch, voice: usize, note: f32, velocity: f32, frames: u32) {
        let sounds = self.counts[HELD][voice] == 1 && self.counts[GAP][voice] == 0;
        let fresh = self.counts[SINCE][voice] == 0;
        if fresh {
            self.go(voice, NOTE, note, 0);
        } else {
            self.glide(touch, voice, note);
        }
        let unison = touch.mode == Mode::Unison && touch.voices > 1;
        let place = 2.0 * voice as f32 / (touch.voices.max(2) - 1) as f32 - 1.0;
        self.reals[DETUNE][voice] = if unison { touch.detune * place } else { 0.0 };
        self.reals[VELOCITY][voice] = velocity;
        self.counts[HELD][voice] = 1;
        self.counts[LEAVING][voice] = 0;
        if sounds {
            self.counts[GAP][voice] = touch.gap;
        }
        self.counts[OPEN][voice] = touch.gap;
        self.counts[DUE][voice] =
            if frames > 0 { frames.saturating_add(self.counts[GAP][voice]) } else { 0 };
        self.counts[SINCE][voice] = self.tick();
    }

    fn glide(&mut self, touch: &Touch, voice: usize, note: f32) {
        self.go(voice, NOTE, note, touch.glide);
    }

    fn go(&mut self, voice: usize, ramp: usize, value: f32, frames: u32) {
        self.reals[TARGET + ramp][voice] = value;
        self.counts[RAMP_LEFT + ramp][voice] = frames;
        let now = self.reals[VALUE + ramp][voice];
        if frames == 0 {
            self.reals[VALUE + ramp][voice] = value;
        } else {
            self.reals[STEP + ramp][voice] = (value - now) / frames as f32;
        }
    }

    /// Takes a note on top of those that are held; of too many the oldest is forgotten.
    fn hold(&mut self, note: f32, velocity: f32) {
        self.forget(note);
        // A damaged checkpoint may say anything.
        let mut held = (self.hand.held as usize).min(HELD_MAX);
        if held == HELD_MAX {
            self.hand.notes.copy_within(1.., 0);
            self.hand.velocities.copy_within(1.., 0);
            held -= 1;
        }
        self.hand.notes[held] = note;
        self.hand.velocities[held] = velocity;
        self.hand.held = held as u32 + 1;
    }

    fn forget(&mut self, note: f32) {
        let held = (self.hand.held as usize).min(HELD_MAX);
        let mut kept = 0;
        for at in 0..held {
            if self.hand.notes[at] != note {
                self.hand.notes[kept] = self.hand.notes[at];
                self.hand.velocities[kept] = self.hand.velocities[at];
                kept += 1;
            }
        }
        self.hand.held = kept as u32;
    }

    fn tick(&mut self) -> u32 {
        let now = self.hand.count;
        self.hand.count = now.wrapping_add(1).max(1);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNT_ROWS, Hand, Keys, Mode, REAL_ROWS, Steal, Touch};
    use crate::signal::Signal;

    struct Kept {
        hand: Hand,
        reals: [[f32; 8]; REAL_ROWS],
        counts: [[u32; 8]; COUNT_ROWS],
    }

    impl Kept {
        fn new() -> Kept {
            let hand = Hand { notes: [0.0; 16], velocities: [0.0; 16], held: 0, count: 0 };
            let mut kept = Kept { hand, reals: [[0.0; 8]; _], counts: [[0; 8]; _] };
            kept.keys().reset();
            kept
        }

        fn keys(&mut self) -> Keys<'_, 8> {
            Keys { hand: &mut self.hand, reals: &mut self.reals, counts: &mut self.counts }
        }

        /// Pitch and gate of the next frames.
        fn play(&mut self, frames: usize) -> Vec<([f32; 8], [f32; 8])> {
            let mut heard = Vec::new();
            for begin in (0..frames).step_by(64) {
                let count = 64.min(frames - begin);
                let mut rows = [[0.0; 512]; 4];
                let [pitch, gate, pressure, timbre] = &mut rows;
                let mut outs = [pitch, gate, pressure, timbre].map(|row| &mut row[..count * 8]);
                let still = self.keys().render(None, &mut outs);
                let lanes = |row: usize, at: usize| {
                    let rests = still >> row & 1 == 1;
                    rows[row].as_chunks::<8>().0[if rests { 0 } else { at }]
                };
                heard.extend((0..count).map(|at| (lanes(0, at), lanes(1, at))));
            }
            heard
        }
    }

    fn touch(mode: Mode) -> Touch {
        Touch { mode, steal: Steal::Oldest, glide: 0, detune: 10.0, gap: 48, voices: 3 }
    }

    fn open(gates: &[f32; 8]) -> Vec<usize> {
        (0..8).filter(|lane| gates[*lane] > 0.0).collect()
    }

    #[test]
    fn a_note_opens_a_voice_of_its_own_at_its_pitch_and_velocity() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Poly));
        kept.keys().strike(&touch, 69.0, 0.7, 0, None);
        kept.keys().strike(&touch, 81.0, 0.4, 0, None);
        let (pitch, gate) = kept.play(1)[0];
        assert_eq!((open(&gate), gate[0], gate[1]), (vec![0, 1], 0.7, 0.4));
        assert!((pitch[0] - 440.0).abs() < 1e-3 && (pitch[1] - 880.0).abs() < 1e-3);
        kept.keys().release(&touch, 69.0, None);
        assert_eq!(open(&kept.play(60)[59].1), [1]);
    }

    #[test]
    fn the_oldest_gives_way_and_its_gate_is_closed_for_a_millisecond() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Poly));
        for note in [60.0, 61.0, 62.0] {
            kept.keys().strike(&touch, note, 1.0, 0, None);
            kept.play(100);
        }
        kept.keys().strike(&touch, 72.0, 0.5, 0, None);
        let heard = kept.play(60);
        assert_eq!(open(&heard[0].1), [1, 2]);
        assert_eq!((open(&heard[47].1).len(), heard[48].1[0]), (2, 0.5));
    }

    #[test]
    fn the_quietest_gives_way_where_that_is_asked_for() {
        let mut kept = Kept::new();
        let touch = Touch { steal: Steal::Quietest, ..touch(Mode::Poly) };
        for note in [60.0, 61.0, 62.0] {
            kept.keys().strike(&touch, note, 1.0, 0, None);
        }
        let levels = [0.5, 0.1, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0];
        let (mut pitch, mut gate) = ([0.0; 512], [0.0; 512]);
        let mut outs = [&mut pitch[..], &mut gate[..], &mut [], &mut []];
        kept.keys().render(Some(Signal::still(&levels, 8)), &mut outs);
        kept.keys().strike(&touch, 72.0, 1.0, 0, None);
        let (pitch, _) = kept.play(1)[0];
        assert!((pitch[1] - 523.25).abs() < 0.01, "{pitch:?}");
    }

    #[test]
    fn a_released_voice_is_taken_before_one_that_is_held() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Poly));
        for note in [60.0, 61.0, 62.0] {
            kept.keys().strike(&touch, note, 1.0, 0, None);
        }
        kept.play(100);
        kept.keys().release(&touch, 61.0, None);
        kept.play(10);
        kept.keys().strike(&touch, 72.0, 1.0, 0, None);
        assert!((kept.play(1)[0].0[1] - 523.25).abs() < 0.01);
    }

    #[test]
    fn legato_goes_over_without_a_new_gate_and_back_again() {
        let mut kept = Kept::new();
        let touch = Touch { glide: 100, ..touch(Mode::Legato) };
        kept.keys().strike(&touch, 69.0, 0.8, 0, None);
        kept.play(64);
        kept.keys().strike(&touch, 81.0, 0.3, 0, None);
        let heard = kept.play(101);
        assert!(heard.iter().all(|(_, gate)| gate[0] == 0.8), "the gate stays as it is");
        assert!((heard[49].0[0] - 622.25).abs() < 0.1, "half way: {}", heard[49].0[0]);
        assert!((heard[99].0[0] - 880.0).abs() < 1e-2);
        kept.keys().release(&touch, 81.0, None);
        assert!((kept.play(101)[100].0[0] - 440.0).abs() < 1e-2, "the held note is back");
        kept.keys().release(&touch, 69.0, None);
        assert!(open(&kept.play(10)[9].1).is_empty());
    }

    #[test]
    fn unison_plays_all_voices_around_the_note() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Unison));
        kept.keys().strike(&touch, 69.0, 1.0, 0, None);
        let (pitch, gate) = kept.play(1)[0];
        assert_eq!(open(&gate), [0, 1, 2]);
        let cents = |hz: f32| 1_200.0 * (f64::from(hz) / 440.0).log2();
        for (voice, truth) in [(0, -10.0), (1, 0.0), (2, 10.0)] {
            assert!((cents(pitch[voice]) - truth).abs() < 0.1, "{voice}");
        }
    }

    #[test]
    fn a_note_of_so_long_lets_go_by_itself() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Poly));
        kept.keys().strike(&touch, 60.0, 1.0, 200, None);
        let heard = kept.play(300);
        let long = heard.iter().filter(|(_, gate)| gate[0] > 0.0).count();
        assert_eq!(long, 200);
    }

    /// S31: on and off at one frame is a note of a millisecond.
    #[test]
    fn on_and_off_at_once_is_a_note() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Poly));
        kept.keys().strike(&touch, 60.0, 1.0, 0, None);
        kept.keys().release(&touch, 60.0, None);
        let heard = kept.play(100);
        assert_eq!(heard.iter().filter(|(_, gate)| gate[0] > 0.0).count(), 48);
    }

    #[test]
    fn a_bent_voice_is_bent_by_its_cents_and_a_choke_closes_all() {
        let (mut kept, touch) = (Kept::new(), touch(Mode::Poly));
        kept.keys().strike(&touch, 69.0, 1.0, 0, None);
        kept.keys().shape(0, 0, 1_200.0, 10);
        let heard = kept.play(20);
        assert!(heard[4].0[0] > 500.0 && heard[4].0[0] < 860.0);
        assert!((heard[10].0[0] - 880.0).abs() < 1e-2);
        assert_eq!(kept.keys().shaped(0, 0), Some(1_200.0));
        kept.keys().choke();
        assert!(open(&kept.play(1)[0].1).is_empty());
    }

    #[test]
    fn a_player_may_be_cut_anywhere() {
        for cut in 1..64 {
            let touch = Touch { glide: 40, ..touch(Mode::Poly) };
            let mut both = [Kept::new(), Kept::new()];
            for kept in &mut both {
                kept.keys().strike(&touch, 60.0, 1.0, 30, None);
                kept.keys().strike(&touch, 64.0, 0.3, 0, None);
                kept.keys().shape(1, 0, 100.0, 33);
            }
            let [whole, parts] = &mut both;
            let one = whole.play(64);
            let mut two = parts.play(cut);
            two.extend(parts.play(64 - cut));
            assert_eq!(one, two, "cut at {cut}");
        }
    }
}
