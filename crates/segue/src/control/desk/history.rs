//! The patches that played before, to go back to.

use std::collections::VecDeque;

/// Patches that are kept each way.
const KEPT: usize = 64;

/// A change of patch, as the history sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To a new one.
    Edit,
    /// To the one before.
    Undo,
    /// To the one that was left so.
    Redo,
}

/// Texts on both sides of what plays.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The newest last.
    before: VecDeque<String>,
    /// The next last.
    after: Vec<String>,
}

impl History {
    /// Where a step leads; none for a new patch, and where there is nothing.
    pub(super) fn peek(&self, step: Step) -> Option<&str> {
        let text = match step {
            Step::Edit => None,
            Step::Undo => self.before.back(),
            Step::Redo => self.after.last(),
        };
        text.map(String::as_str)
    }

    /// A step was made away from this text.
    pub(super) fn moved(&mut self, step: Step, from: &str) {
        let from = from.to_owned();
        match step {
            Step::Undo => {
                self.before.pop_back();
                self.after.push(from);
            }
            Step::Redo => {
                self.after.pop();
                self.before.push_back(from);
            }
            Step::Edit => {
                self.after.clear();
                self.before.push_back(from);
            }
        }
        if self.before.len() > KEPT {
            self.before.pop_front();
        }
    }

    /// The last step came to nothing: what it would have led to is this.
    pub(super) fn taken_back(&mut self, step: Step, to: &str) {
        match step {
            Step::Undo => {
                self.after.pop();
                self.before.push_back(to.to_owned());
            }
            Step::Redo => {
                self.before.pop_back();
                self.after.push(to.to_owned());
            }
            Step::Edit => drop(self.before.pop_back()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{History, KEPT, Step};

    #[test]
    fn steps_go_back_and_forth_and_a_new_patch_ends_what_lay_ahead() {
        let mut history = History::default();
        assert_eq!(history.peek(Step::Undo), None);
        history.moved(Step::Edit, "a");
        history.moved(Step::Edit, "b");
        assert_eq!(history.peek(Step::Undo), Some("b"));
        history.moved(Step::Undo, "c");
        assert_eq!((history.peek(Step::Undo), history.peek(Step::Redo)), (Some("a"), Some("c")));
        history.moved(Step::Redo, "b");
        assert_eq!((history.peek(Step::Undo), history.peek(Step::Redo)), (Some("b"), None));
        history.moved(Step::Undo, "c");
        history.moved(Step::Edit, "b");
        assert_eq!((history.peek(Step::Undo), history.peek(Step::Redo)), (Some("b"), None));
        for step in [Step::Undo, Step::Edit] {
            let around =
                |it: &History| [Step::Undo, Step::Redo].map(|at| it.peek(at).map(str::to_owned));
            let (before, to) = (around(&history), history.peek(step).unwrap_or("new").to_owned());
            history.moved(step, "now");
            history.taken_back(step, &to);
            assert_eq!(around(&history), before, "{step:?}");
        }
        (0..2 * KEPT).for_each(|_| history.moved(Step::Edit, "x"));
        assert_eq!(history.before.len(), KEPT);
    }
}
