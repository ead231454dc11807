//! `segue render PATCH`: the patch and a score to a file, as it would have sounded live.

use std::process::ExitCode;

use segue_rack::{BLOCK_FRAMES, Command, Setup};

use super::output::Output;
use super::player::{COMMAND, Player};
use super::{compile, patch, patch_tempo, score};
use crate::cli::listen::NoTempo;
use crate::cli::output::tell;
use crate::cli::{RenderArgs, settings};
use crate::exit::{Exit, Failure};
use crate::files::journal;
use crate::listen;

/// Renders a patch.
pub(super) fn render(args: &RenderArgs) -> Result<ExitCode, Failure> {
    let text = patch::read_patch(&args.input)?;
    if args.from.is_some() {
        let text = "--from is for journals; a patch is rendered from its beginning";
        return Err(Failure::new(Exit::Usage, text));
    }
    let Some(length) = args.length else {
        let text = "a patch goes on for ever: say how long with --for, as in --for 10s";
        return Err(Failure::new(Exit::Usage, text));
    };
    let setup = Setup {
        rate: args.rate.map_or(settings::RATE, settings::Rate::without_device),
        channels: args.channels.unwrap_or(2),
        state_bytes: usize::try_from(settings::state_bytes(args.state)?).unwrap_or(usize::MAX),
    };
    let plan = compile(&args.input.display().to_string(), &text, &setup)?;
    let commands = match &args.commands {
        Some(path) => score::read(path, &plan)?,
        None => Vec::new(),
    };
    let mut player = Player::new(&plan, &setup)
        .map_err(|error| Failure::new(Exit::BadInput, format!("the patch cannot play: {error}")))?;
    for (command, number) in commands.into_iter().zip(0..) {
        player.push(as_logged(number, command));
    }
    let bad = |error: NoTempo| Failure::new(Exit::Usage, error.to_string());
    let length = length.time(patch_tempo(&text)).map_err(bad)?;
    let frames = score::frame_of(length, setup.rate);
    let mut output = Output::create(&args.out, args.force, setup.rate, setup.channels, 0..frames)?;
    while !output.is_complete(player.block()) {
        let block = player.block();
        output.take(block, player.render().0)?;
    }
    let (end, heard) = output.finish()?;
    if args.json {
        let report = serde_json::json!({
            "input": args.input, "out": args.out, "frames": end, "rate": setup.rate,
            "seconds": end as f64 / f64::from(setup.rate), "heard": listen::json(&heard),
        });
        tell!("{report}");
    } else {
        tell!("{heard}");
    }
    Ok(Exit::Done.into())
}

/// A command as the log would carry it: at the block in which it is due.
fn as_logged(number: u64, command: Command) -> journal::Command {
    journal::Command {
        number,
        block: command.due / BLOCK_FRAMES as u64,
        kind: COMMAND,
        payload: command.encode(),
        origin: 0,
        more: 0,
    }
}
