//! A file of timed messages, read and checked against a plan before a note is played.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use segue_rack::{Action, Command, Plan};

use crate::exit::{Exit, Failure};
use crate::osc::address::{self, Ask, EngineAsk, Patience, Revived};
use crate::osc::text::{self, Line};

/// The commands of the file at `path` (`-` is standard input) in the order of time.
pub(super) fn read(path: &Path, plan: &Plan) -> Result<Vec<Command>, Failure> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        let text = format!("cannot read {}: {error}", path.display());
        Failure::new(Exit::of_input(&error), text)
    })?;
    parse(&path.display().to_string(), &text, plan)
}

/// The commands in `text`, which is called `name` in errors.
pub(super) fn parse(name: &str, text: &str, plan: &Plan) -> Result<Vec<Command>, Failure> {
    let mut commands = Vec::new();
    let mut at = Duration::ZERO;
    let mut wrong = Vec::new();
    for (line, number) in text.lines().zip(1_u32..) {
        match text::parse_line(line) {
            Ok(None) => {}
            Ok(Some(line)) => {
                at = line.at.unwrap_or(at);
                let frame = frame_of(at, plan.setup().rate);
                match actions(plan, line, |remark| eprintln!("{name}:{number}: {remark}")) {
                    Ok(actions) => {
                        commands.extend(actions.into_iter().map(|it| Command::at(frame, it)));
                    }
                    Err(why) => wrong.push(format!("{name}:{number}: {why}")),
                }
            }
            Err(error) => wrong.push(format!("{name}:{number}: {error}")),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::new(Exit::BadInput, wrong.join("\n")));
    }
    // Stable: what was written first at one frame stays first.
    commands.sort_by_key(|command| command.due);
    Ok(commands)
}

/// The frame nearest to a moment.
pub(crate) fn frame_of(at: Duration, rate: u32) -> u64 {
    let nanoseconds = at.as_nanos() * u128::from(rate);
    u64::try_from((nanoseconds + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn actions(plan: &Plan, line: Line, mut remark: impl FnMut(String)) -> Result<Vec<Action>, String> {
    let messages = address::expand(plan, line.message, &mut Patience::default());
    let messages = messages.map_err(|it| it.to_string())?;
    let mut actions = Vec::new();
    for message in messages {
        match address::resolve(plan, &message) {
            Ok(Ask::Act(action, said)) => {
                said.into_iter().for_each(|said| remark(said.to_string()));
                actions.push(action);
            }
            Ok(Ask::Engine(EngineAsk::Panic)) => actions.push(Action::Panic),
            Ok(Ask::Engine(EngineAsk::Clear)) => actions.push(Action::Clear),
            Ok(Ask::Engine(EngineAsk::Revive(Revived::Module(module)))) => {
                actions.push(Action::Revive { module });
            }
            Ok(_) => return Err(format!("{} does nothing without an engine", message.addr)),
            Err(refusal) => return Err(refusal.to_string()),
        }
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_rack::{Action, Plan, Setup};

    use super::{Exit, frame_of, parse};

    #[test]
    fn a_score_is_put_in_the_order_of_time() {
        let plan = Plan::empty(&Setup::default());
        let commands = parse("s", "@2 /test\n@1 /master/mute 1\n/test\n", &plan).unwrap();
        let due: Vec<_> = commands.iter().map(|it| it.due).collect();
        assert_eq!(due, [48_000, 48_000, 96_000]);
        assert_eq!(commands[0].action, Action::MasterMute { on: true });
    }

    #[test]
    fn every_wrong_line_is_told_with_its_number() {
        let plan = Plan::empty(&Setup::default());
        let error = parse("s", "/test\n/nothing 1\n@x /test\n/sync 1\n", &plan).unwrap_err();
        assert_eq!(error.exit, Exit::BadInput);
        let lines: Vec<_> = error.text.lines().map(|it| it[..4].to_owned()).collect();
        assert_eq!(lines, ["s:2:", "s:3:", "s:4:"]);
    }

    #[test]
    fn a_moment_is_its_nearest_frame() {
        assert_eq!(frame_of(Duration::from_nanos(10_417), 48_000), 1);
        assert_eq!(frame_of(Duration::from_secs(60), 44_100), 2_646_000);
    }
}
