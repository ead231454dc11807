//! What came of a proof: a step over observations.
//!
//! | observed | outcome |
//! |---|---|
//! | it answers | what it answers |
//! | it dies of its own doing, or ends without an answer | it crashes |
//! | its processor clock goes on and its breadcrumb does not | it loops |
//! | somebody ends it, or it could not be started | nothing is proved |
//! | ten seconds | nothing is proved: the machine gives it no time |

use segue_lockstep::memory::slot::Crumb;
use segue_lockstep::monitor::{self, Evidence, Process};
use serde::{Deserialize, Serialize};

use super::outcome::{Cost, Outcome};
use super::program::Act;

/// Processor time at one breadcrumb after which it is said to loop: hundreds of blocks, so that a
/// slice that was stolen from a virtual machine is never taken for it.
const LOOP_NS: u64 = 500_000_000;

/// A proof takes milliseconds; who has none for so long is given none by the machine.
const LONGEST_NS: u64 = 10_000_000_000;

/// What a prover answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// It played to the end.
    Played {
        /// What its dearest block costs.
        cost: Cost,
        /// Whether that is within the budget.
        within: bool,
    },
    /// The output of a module was no number.
    NonFinite {
        /// Which module.
        part: u32,
        /// When.
        act: Act,
    },
    /// No rack could be built of it.
    Unfit(String),
}

/// A look at a prover.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The monotonic clock.
    pub(super) now_ns: u64,
    /// The process.
    pub(super) child: monitor::Child,
    /// What it is doing, and in which of its blocks.
    pub(super) crumb: (Crumb, u64),
    /// What it has answered.
    pub(super) report: Option<Report>,
}

/// The step.
#[derive(Debug)]
pub(super) struct Trial {
    began_ns: u64,
    /// The breadcrumb, and what its processor clock showed when it was first seen there.
    stands: Option<((Crumb, u64), u64)>,
    ended: bool,
}

impl Trial {
    /// A trial that begins now.
    pub(super) fn begin(now_ns: u64) -> Self {
        Self { began_ns: now_ns, stands: None, ended: false }
    }

    /// How long ago it began.
    pub(super) fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.began_ns)
    }

    /// What came of it, as soon as that is known.
    pub(super) fn step(&mut self, seen: &Seen) -> Option<Outcome> {
        match &seen.report {
            Some(Report::Played { cost, within: true }) => return Some(Outcome::Fine(*cost)),
            Some(Report::Played { cost, within: false }) => return Some(Outcome::Costly(*cost)),
            Some(Report::NonFinite { part, act }) => {
                return Some(Outcome::NonFinite { part: *part, act: *act });
            }
            Some(Report::Unfit(why)) => return Some(Outcome::Unfit(why.clone())),
            None => {}
        }
        if let Some(outcome) = self.end(seen) {
            return Some(outcome);
        }
        let waited_ns = self.age_ns(seen.now_ns);
        if waited_ns > LONGEST_NS {
            let text = format!("it had no answer after {} s", waited_ns / 1_000_000_000);
            return Some(Outcome::Unproved(text));
        }
        None
    }

    /// Whether it is over, or will never be.
    fn end(&mut self, seen: &Seen) -> Option<Outcome> {
        let monitor::Child { process, note, last_words, .. } = &seen.child;
        let evidence = match note {
            Some(note) => Evidence::Note(note.clone()),
            None if process.is_over() => {
                // Its answer may lie in the socket, behind what was heard at this look.
                if !std::mem::replace(&mut self.ended, true) {
                    return None;
                }
                Evidence::Over
            }
            None => return self.loops(seen),
        };
        let cause = match (last_words.as_str(), note.as_ref().map_or("", |note| &note.text)) {
            ("", "") => evidence.text(process),
            (words, "") | (_, words) => format!("{}: {words}", evidence.text(process)),
        };
        let own = evidence.is_own_fault(process) && *process != Process::Failed;
        Some(match own {
            true => Outcome::Crashes { part: part_of(seen.crumb.0), cause },
            false => Outcome::Unproved(cause),
        })
    }

    fn loops(&mut self, seen: &Seen) -> Option<Outcome> {
        let Process::Running { cpu_ns } = seen.child.process else { return None };
        let (crumb, since_ns) = *self.stands.get_or_insert((seen.crumb, cpu_ns));
        if crumb != seen.crumb {
            self.stands = Some((seen.crumb, cpu_ns));
            return None;
        }
        let spent_ns = cpu_ns.saturating_sub(since_ns);
        (spent_ns > LOOP_NS).then(|| Outcome::Loops { part: part_of(crumb.0), spent_ns })
    }
}

fn part_of(crumb: Crumb) -> Option<u32> {
    match crumb {
        Crumb::Render(part) => Some(part),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use segue_lockstep::memory::slot::Crumb;
    use segue_lockstep::monitor::{Child, Note, Process};

    use super::{Act, Cost, LONGEST_NS, LOOP_NS, Outcome, Report, Seen, Trial};

    fn seen(now_ns: u64, process: Process) -> Seen {
        let child = Child { process, pid: 7, last_words: String::new(), note: None };
        Seen { now_ns, child, crumb: (Crumb::Render(2), 5), report: None }
    }

    fn running(cpu_ns: u64) -> Process {
        Process::Running { cpu_ns }
    }

    #[test]
    fn what_it_answers_is_believed() {
        let cost = Cost { block_ns: 9, act: Act::Written, part: 1, part_ns: 8 };
        let answers = [
            (Report::Played { cost, within: true }, Outcome::Fine(cost)),
            (Report::Played { cost, within: false }, Outcome::Costly(cost)),
            (
                Report::NonFinite { part: 3, act: Act::Highest },
                Outcome::NonFinite { part: 3, act: Act::Highest },
            ),
        ];
        for (report, outcome) in answers {
            let answered = Seen { report: Some(report), ..seen(1, running(1)) };
            assert_eq!(Trial::begin(0).step(&answered), Some(outcome));
        }
    }

    #[test]
    fn one_that_dies_of_its_own_doing_crashes_and_its_module_is_named() {
        let mut dying = seen(1, running(1));
        dying.child.note = Some(Note { signal: 0, si_code: 0, address: 0, text: "oh".into() });
        let outcome = Trial::begin(0).step(&dying).unwrap();
        assert_eq!(outcome, Outcome::Crashes { part: Some(2), cause: "panicked: oh".into() });
    }

    /// The kernel tells of an end as fast as of the answer before it.
    #[test]
    fn one_that_ends_without_an_answer_crashes_but_not_before_a_second_look() {
        let mut trial = Trial::begin(0);
        let over = seen(1, Process::Exited { code: 0 });
        assert_eq!(trial.step(&over), None);
        assert!(matches!(trial.step(&over), Some(Outcome::Crashes { .. })));
        let mut trial = Trial::begin(0);
        assert_eq!(trial.step(&over), None);
        let cost = Cost { block_ns: 9, act: Act::Written, part: 1, part_ns: 8 };
        let answered = Seen { report: Some(Report::Played { cost, within: true }), ..over };
        assert_eq!(trial.step(&answered), Some(Outcome::Fine(cost)));
    }

    #[test]
    fn one_that_somebody_kills_or_that_never_started_proves_nothing() {
        for process in [Process::Killed { signal: 9 }, Process::Failed] {
            let mut trial = Trial::begin(0);
            let over = seen(1, process);
            assert_eq!(trial.step(&over), None);
            assert!(matches!(trial.step(&over), Some(Outcome::Unproved(_))));
        }
    }

    #[test]
    fn one_whose_clock_goes_on_at_one_breadcrumb_loops_and_one_that_waits_does_not() {
        let mut trial = Trial::begin(0);
        assert_eq!(trial.step(&seen(1, running(1))), None);
        assert_eq!(trial.step(&seen(LONGEST_NS, running(LOOP_NS))), None);
        let looping = trial.step(&seen(2, running(LOOP_NS + 2)));
        let spent_ns = LOOP_NS + 1;
        assert_eq!(looping, Some(Outcome::Loops { part: Some(2), spent_ns }));
        let moved = Seen { crumb: (Crumb::Render(3), 5), ..seen(2, running(3 * LOOP_NS)) };
        assert_eq!(trial.step(&moved), None, "it has gone on");
        assert_eq!(trial.step(&seen(3, Process::Stopped)), None);
        let late = trial.step(&seen(LONGEST_NS + 1, Process::Stopped));
        assert!(matches!(late, Some(Outcome::Unproved(_))));
    }
}
