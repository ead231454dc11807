//! A show on the bench: the patches of its editions, and a performer who plays them.

use std::collections::BTreeMap;

use segue_rack::{
    Action, BLOCK_FRAMES, Command, OWN_SMOOTHING, Patch, Performer, Plan, Setup, Successor,
};

/// A performer of some patches, which are editions 0, 1, 2, …
pub(crate) struct Show {
    pub(crate) player: Performer<BTreeMap<u32, Plan>>,
    pub(crate) plans: Vec<Plan>,
    out: [f32; BLOCK_FRAMES * 2],
}

/// Something of everything that remembers: an oscillator that drifts, envelopes in the middle of
/// their stages, filters, a delay line, a reverb, a delayed cable, a player.
pub(crate) const RICH: &str = "segue = 1
hands = { type = \"keys\", voices = 3, level = \"delayed(env.level)\", glide = 80 }
saw = { type = \"osc\", shape = \"saw\", freq = \"hands.pitch\", drift = 9 }
env = { type = \"adsr\", in = \"saw\", gate = \"hands.gate\", attack = 300, release = 900 }
dark = { type = \"svf\", in = \"env\", cutoff = \"300 + lfo * 1oct\", q = 4 }
lfo = { type = \"lfo\", freq = 3 }
drone = { type = \"osc\", freq = 110, voices = 2, spread = 7 }
swell = { type = \"adsr\", in = \"drone\", attack = 2000 }
echo = { type = \"delay\", in = \"dark + swell * 0.5\", time = 90, max = 300, feedback = 0.5 }
hall = { type = \"reverb\", in = \"echo\" }
again = { type = \"vca\", in = \"hall.left * 0.5 + delayed(again) * 0.3\" }
out = { in = \"again * 0.3\", left = \"hall.left * 0.3\", right = \"hall.right * 0.3\" }
";

/// The same with a line in front, the lines in another order, and one more.
pub(crate) fn reordered(patch: &str) -> String {
    let mut lines: Vec<&str> = patch.lines().skip(1).collect();
    lines.reverse();
    lines.push("spare = { type = \"osc\", freq = 5 }");
    format!("segue = 1\nunheard = {{ type = \"noise\" }}\n{}\n", lines.join("\n"))
}

/// [`RICH`] played for a while, some of it for later.
pub(crate) fn played(patches: &[&str]) -> Show {
    let mut show = Show::new(patches);
    show.gate("swell", 0.8);
    let module = show.module("hands");
    for (due, note) in [(0, 50.0), (900, 57.5), (1_700, 62.0), (40_000, 45.0)] {
        let strike = Action::Note { module, note, velocity: 0.7, frames: 30_000, voice: 0 };
        show.tell(Command::at(due, strike));
    }
    show.set_at(2_000, "dark", "cutoff", 700.0);
    show.set_at(25_000, "drone", "freq", 98.0);
    show.left(300);
    show
}

/// The plan of a patch.
pub(crate) fn compiled(patch: &str, setup: &Setup) -> Plan {
    let tell = |mistakes: Vec<segue_rack::Mistake>| -> ! {
        let told: Vec<_> = mistakes.iter().map(|it| it.render("patch", patch)).collect();
        panic!("{}\nin\n{patch}", told.join("\n"))
    };
    let patch = Patch::parse(patch).unwrap_or_else(|mistakes| tell(mistakes));
    Plan::compile(&patch, setup).unwrap_or_else(|mistakes| tell(mistakes))
}

impl Show {
    /// A performer of the first patch, who can go over to the others.
    pub(crate) fn new(patches: &[&str]) -> Show {
        Show::with(patches, &Setup::default())
    }

    pub(crate) fn with(patches: &[&str], setup: &Setup) -> Show {
        let plans: Vec<Plan> = patches.iter().map(|patch| compiled(patch, setup)).collect();
        let library: BTreeMap<u32, Plan> = (0..).zip(plans.iter().cloned()).collect();
        let player = Performer::new(library, 0, setup).expect("a plan that was compiled");
        Show { player, plans, out: [0.0; BLOCK_FRAMES * 2] }
    }

    /// Another performer of the same show, from its beginning.
    pub(crate) fn again(&self) -> Show {
        let texts: Vec<&str> = self.plans.iter().map(Plan::source).collect();
        Show::with(&texts, self.plans[0].setup())
    }

    /// The index of a module in the plan that plays.
    pub(crate) fn module(&self, id: &str) -> u16 {
        self.player.plan().module(id).unwrap_or_else(|| panic!("no {id}"))
    }

    pub(crate) fn tell(&mut self, command: Command) {
        let edition = self.player.edition();
        self.player.apply(&command.encode_for(edition));
    }

    /// Sets a knob at a frame, over its own time.
    pub(crate) fn set_at(&mut self, due: u64, id: &str, param: &str, value: f32) {
        let module = self.module(id);
        let param = self.player.plan().param(module, param).unwrap_or_else(|| panic!("no {param}"));
        let set = Action::Set { module, param, value, ramp_frames: OWN_SMOOTHING };
        self.tell(Command::at(due, set));
    }

    /// Moves a gate at the next block.
    pub(crate) fn gate(&mut self, id: &str, level: f32) {
        let module = self.module(id);
        self.tell(Command::now(Action::Gate { module, level }));
    }

    /// Where a knob is going.
    pub(crate) fn knob(&self, id: &str, param: &str) -> f32 {
        let module = self.module(id);
        let param = self.player.plan().param(module, param).unwrap_or_else(|| panic!("no {param}"));
        self.player.rack().param(module, param).unwrap_or_else(|| panic!("nothing of {id}"))
    }

    /// The command that goes over to an edition.
    pub(crate) fn adoption(&self, edition: u32, fade_frames: u32) -> [u64; 4] {
        let check = self.plans[edition as usize].hash() as u32;
        Command::now(Action::Adopt { edition, check, fade_frames }).encode()
    }

    /// Goes over to an edition with the next block.
    pub(crate) fn adopt(&mut self, edition: u32, fade_frames: u32) {
        let payload = self.adoption(edition, fade_frames);
        self.player.apply(&payload);
        assert_eq!(self.player.edition(), edition);
    }

    /// A successor that goes over from what plays now.
    pub(crate) fn successor(&self, edition: u32) -> Box<Successor> {
        let from = (self.player.plan(), self.player.edition());
        let to = &self.plans[edition as usize];
        Successor::prepare(from, (to, edition), to.setup()).expect("plans of one setup")
    }

    /// How many commands were ignored.
    pub(crate) fn ignored(&self) -> u64 {
        self.player.rack().notes().ignored
    }

    /// The next block.
    pub(crate) fn block(&mut self) -> &[f32] {
        self.player.render(&mut self.out, &mut |_| {});
        &self.out
    }

    /// The left side of the next blocks.
    pub(crate) fn left(&mut self, blocks: usize) -> Vec<f32> {
        (0..blocks)
            .flat_map(|_| self.block().iter().step_by(2).copied().collect::<Vec<_>>())
            .collect()
    }
}
