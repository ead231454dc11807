//! Edits without sense.

use segue_rack::{Draft, Edit, Patch};

use crate::{INSTRUMENTS, PATCH, draft, text};

/// Numbers that look drawn: the same ones each time.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

#[test]
fn whatever_is_edited_the_text_can_be_read_and_a_refusal_changes_nothing() {
    let ids = ["saw", "slow", "env", "filter", "hands", "lead", "bass", "n1", "n2", "lead.filter"];
    let ports = [
        "saw.freq",
        "saw.width",
        "slow.spread",
        "env.gate",
        "env.attack",
        "filter.in",
        "filter.cutoff",
        "filter.q",
        "out.in",
        "out.left",
        "lead.pitch",
        "lead.cutoff",
        "bass.q",
        "bass.in",
        "n1.in",
        "n1.freq",
        "n2.gain",
        "n2.time",
        "n2.level_a",
        "hands.glide",
        "n1.shape",
    ];
    let kinds = ["osc", "svf", "vca", "delay", "mixer", "pluck", "osk", "out"];
    let values =
        ["1", "0.5", "-6dB", "2oct", "A4", "14ct", "saw", "1e9", "250ms", "-3", "saw - n1"];
    let mut done = 0;
    for seed in 0..40 {
        let mut drawn = Drawn(seed);
        let mut draft = draft(if seed % 2 == 0 { PATCH } else { INSTRUMENTS });
        for _ in 0..120 {
            let dst = drawn.of(&ports).to_string();
            let src = match drawn.below(4) {
                0 => format!("delayed({})", drawn.of(&ids)),
                _ => drawn.of(&ids).to_string(),
            };
            let value = text(drawn.of(&values));
            let edit = match drawn.below(8) {
                0 => Edit::Create {
                    id: drawn.of(&ids).to_string(),
                    kind: drawn.of(&kinds).to_string(),
                    params: Vec::new(),
                },
                1 => Edit::Delete { id: drawn.of(&ids).to_string() },
                2..=4 => Edit::Connect { src, dst, amount: Some(value) },
                5 => Edit::Disconnect { src, dst },
                _ => {
                    let (id, param) = dst.split_once('.').unwrap();
                    Edit::Set { id: id.to_string(), param: param.to_string(), value }
                }
            };
            let before = draft.text();
            match draft.apply(&edit) {
                Ok(()) => done += 1,
                Err(_) => assert_eq!(draft.text(), before, "seed {seed}: {edit:?}"),
            }
            let after = draft.text();
            if let Err(mistakes) = Patch::parse(&after) {
                panic!("seed {seed}: {edit:?}\n{}", mistakes[0].render("draft", &after));
            }
            // What is edited is what is read again.
            assert_eq!(Draft::parse(&after).unwrap().text(), after);
        }
    }
    assert!(done > 500, "only {done} edits were done");
}
