//! The command line: what can be asked of the program, option by option.

// The comments here are the help that people read: brackets are options, not links.
#![allow(rustdoc::broken_intra_doc_links)]

pub(crate) mod chaos;
pub(crate) mod config;
pub(crate) mod device;
pub(crate) mod duration;
pub(crate) mod endpoint;
pub(crate) mod listen;
pub(crate) mod output;
pub(crate) mod resume;
pub(crate) mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use chaos::ChaosArgs;
use device::{Device, parse_period};
use duration::{parse as parse_duration, parse_bytes};
use endpoint::Endpoints;
use listen::{Length, ListenArgs};
use settings::{LogFormat, Rate};

/// A headless modular synthesizer that does not stop.
#[derive(Debug, Parser)]
#[command(name = "segue", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Config file [default: $XDG_CONFIG_HOME/segue/config.toml, else /etc/segue/config.toml]
    #[arg(long, global = true, env = "SEGUE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What was asked for on the command line of this process.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::env::args_os().map(quantity_kept))
}

/// `-6dB` is an argument and no option, but looks like one: it is given a true minus sign, which
/// is read like the other (see [`crate::osc::text`]). Plain negative numbers are understood
/// anyway.
fn quantity_kept(argument: OsString) -> OsString {
    match argument.to_str().and_then(|text| text.strip_prefix('-')) {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            format!("\u{2212}{rest}").into()
        }
        _ => argument,
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Plays a built-in piece, kills its own primary every two seconds, and compares the samples
    Demo(DemoArgs),
    /// The live engine; without PATCH an empty rack that waits
    #[command(args_override_self = true)]
    Run(Box<RunArgs>),
    /// Renders a patch or a journal to a WAV file, faster than real time
    Render(RenderArgs),
    /// Every mistake in a patch
    Check(CheckArgs),
    /// The catalog: inlets, outlets and parameters with unit, range and default
    Modules(ModulesArgs),
    /// Sends one OSC message, then /sync; prints the reply, `ok`, or the error
    Send(SendArgs),
    /// Applies a whole patch to a running engine, which goes over to it while it plays
    Load(LoadArgs),
    /// Writes the patch that plays into the show folder, or prints it
    Save(SaveArgs),
    /// Ends a running engine
    Stop(StopArgs),
    /// What is going on in a running engine
    Status(StatusArgs),
    /// Hears a WAV file, or what a running engine plays: levels, loudness, bands, onsets, pitch,
    /// tempo, clipping, silence
    Listen(ListenArgs),
    /// Hurts a running engine on purpose, by seed, and reports what was heard
    Chaos(ChaosArgs),
    /// What this machine lacks for steady sound, and why there is none, with the cure
    Doctor(DoctorArgs),
    /// What can be played on, and which of it `auto` takes
    Devices(DevicesArgs),
    /// A worker process; started by the supervisor
    #[command(hide = true)]
    Worker,
    /// The control process; started by the supervisor
    #[command(hide = true)]
    Control,
    /// The process that tries a patch before it plays; started by the supervisor
    #[command(hide = true)]
    Prover,
    /// The process that asks rtkit; started by the supervisor
    #[command(hide = true)]
    Rtkit,
}

/// Options of `run`.
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// The patch; without it an empty rack that waits
    pub(crate) patch: Option<PathBuf>,
    /// auto, jack[:CLIENT], pulse[:SINK], alsa[:PCM], pipewire[:NODE], null[:FRAMES] or
    /// freewheel[:SPEEDx]; `segue devices` lists them [default: auto]
    #[arg(long, env = "SEGUE_DEVICE", value_name = "DEVICE")]
    pub(crate) device: Option<Device>,
    /// Frames the device is to ask for at once, 16 to 4096; a wish [default: the device's]
    #[arg(long, env = "SEGUE_PERIOD", value_name = "FRAMES", value_parser = parse_period)]
    pub(crate) period: Option<u32>,
    /// Ends with 69 if the device cannot be had, instead of keeping time by a timer
    #[arg(long, env = "SEGUE_STRICT_DEVICE", value_parser = yes_or_no())]
    pub(crate) strict_device: bool,
    /// Frames a second, 8000 to 192000, or auto: the device's, else 48000 [default: auto]
    #[arg(long, env = "SEGUE_RATE", value_name = "HZ", value_parser = settings::parse_rate)]
    pub(crate) rate: Option<Rate>,
    /// Blocks of 64 frames beyond one device period, 1 to 64, or auto [default: auto]
    #[arg(long, env = "SEGUE_LEAD", value_name = "BLOCKS", value_parser = settings::parse_lead)]
    pub(crate) lead: Option<settings::Lead>,
    /// Hot standbys, 0 to 7; from 2 on a majority decides what is played [default: 1]
    #[arg(long, env = "SEGUE_STANDBYS", value_name = "N", value_parser = settings::parse_standbys)]
    pub(crate) standbys: Option<u8>,
    /// Output channels, 1 to 8 [default: 2]
    #[arg(long, env = "SEGUE_CHANNELS", value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=8))]
    pub(crate) channels: Option<u16>,
    /// Where to listen for OSC: ADDR[,ADDR], each HOST:PORT or PORT
    /// [default: 127.0.0.1:5005,[::1]:5005]
    #[arg(long, env = "SEGUE_OSC", value_name = "ADDR")]
    pub(crate) osc: Option<Endpoints>,
    /// Folder for recordings and journals [default: $STATE_DIRECTORY, else $XDG_DATA_HOME/segue]
    #[arg(long, env = "SEGUE_SHOW", value_name = "DIR")]
    pub(crate) show: Option<PathBuf>,
    /// Room for the state of the instrument [default: 1MiB]
    #[arg(long, env = "SEGUE_STATE", value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) state: Option<u64>,
    /// Records what is heard, from the first block
    #[arg(long, env = "SEGUE_RECORD", value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Where to write the journal [default: a new file in the show folder]
    #[arg(long, env = "SEGUE_JOURNAL", value_name = "FILE", conflicts_with = "no_journal")]
    pub(crate) journal: Option<PathBuf>,
    /// Writes no journal
    #[arg(long, env = "SEGUE_NO_JOURNAL", value_parser = yes_or_no())]
    pub(crate) no_journal: bool,
    /// How many bytes of journals to keep in the show folder [default: 1GiB]
    #[arg(long, env = "SEGUE_JOURNAL_KEEP", value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) journal_keep: Option<u64>,
    /// Goes on with the show of the newest journal: that of --journal if there is one, else that
    /// of the show folder; the new journal and recording get further names
    #[arg(long, env = "SEGUE_RESUME", value_parser = yes_or_no(), conflicts_with = "no_journal")]
    pub(crate) resume: bool,
    /// Ends after this long
    #[arg(long = "for", env = "SEGUE_FOR", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) run_for: Option<Duration>,
    /// human or json, on standard error [default: human]
    #[arg(long, env = "SEGUE_LOG", value_name = "FORMAT")]
    pub(crate) log: Option<LogFormat>,
}

/// What a flag is in the environment: 1, yes, on, true, and what says no.
fn yes_or_no() -> clap::builder::BoolishValueParser {
    clap::builder::BoolishValueParser::new()
}

/// Options of `render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// A patch (with --for) or a journal
    pub(crate) input: PathBuf,
    /// The WAV file to write
    #[arg(short, long, value_name = "OUT.wav")]
    pub(crate) out: PathBuf,
    /// Where to begin, in a journal
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) from: Option<Duration>,
    /// How long: 10s, or 8bar at the tempo of the patch
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) length: Option<Length>,
    /// Timed messages for a patch, `@TIME ADDRESS ARG…` a line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
    /// Frames a second, for a patch [default: 48000]
    #[arg(long, value_name = "HZ", value_parser = settings::parse_rate)]
    pub(crate) rate: Option<Rate>,
    /// Output channels, 1 to 8, for a patch [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=8))]
    pub(crate) channels: Option<u16>,
    /// Room for the state of the instrument, for a patch [default: 1MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) state: Option<u64>,
    /// Takes a journal of another build: replays its commands alone, and names the first block that
    /// comes out different
    #[arg(long)]
    pub(crate) other_build: bool,
    /// Overwrites OUT.wav
    #[arg(long)]
    pub(crate) force: bool,
    /// Reports as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The patch; - is standard input
    pub(crate) patch: PathBuf,
    /// Plays it for a moment in a process of its own, with its knobs at both ends too: whether it
    /// crashes, loops, gives what is no number, or needs too much of a block
    #[arg(long)]
    pub(crate) prove: bool,
    /// Room for the state of the instrument, as for `run` [default: 1MiB]
    #[arg(long, env = "SEGUE_STATE", value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) state: Option<u64>,
    /// Reports as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `modules`.
#[derive(Debug, Args)]
pub(crate) struct ModulesArgs {
    /// Only this type, in full
    pub(crate) kind: Option<String>,
    /// As JSON, like the answer to /engine/schema
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the engine is.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Where the engine listens: HOST:PORT or PORT [default: 127.0.0.1:5005]
    #[arg(long, env = "SEGUE_OSC", value_name = "ADDR")]
    pub(crate) osc: Option<Endpoints>,
}

/// Options of `send`.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The address, as in /mod/filter/cutoff; - reads messages from standard input, one a line
    pub(crate) address: String,
    /// The arguments: numbers, true, false, nil, or text
    #[arg(allow_negative_numbers = true)]
    pub(crate) args: Vec<String>,
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// How long to wait for an answer [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Prints replies as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `load`.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The patch; - is standard input
    pub(crate) patch: PathBuf,
    /// Over which time the old sound goes over to the new one [default: 10ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) fade: Option<Duration>,
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Options of `save`.
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// A name for the file [default: that of the patch]; - prints it
    #[arg(allow_hyphen_values = true)]
    pub(crate) name: Option<String>,
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Options of `stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// How long to wait until it has ended [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Exits 1 unless healthy
    #[arg(long)]
    pub(crate) check: bool,
    /// Waits until healthy, at most this long; then exits 75
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// Shows it again each second until interrupted
    #[arg(long, conflicts_with = "wait")]
    pub(crate) watch: bool,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Folder for recordings and journals, whose disk is tried
    /// [default: $STATE_DIRECTORY, else $XDG_DATA_HOME/segue]
    #[arg(long, env = "SEGUE_SHOW", value_name = "DIR")]
    pub(crate) show: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `devices`.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// As for `run` [default: auto]
    #[arg(long, env = "SEGUE_DEVICE", value_name = "DEVICE")]
    pub(crate) device: Option<Device>,
    /// How long [default: 20s]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) length: Option<Duration>,
    /// Reports as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use rosc::OscType;

    use super::{Cli, Verb, quantity_kept};
    use crate::osc::text::argument;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn negative_numbers_are_arguments_of_a_message() {
        let typed = ["segue", "send", "/master/gain", "-6", "-6dB", "--osc", "5006"];
        let cli = Cli::try_parse_from(typed.map(|it| quantity_kept(it.into()))).unwrap();
        let Verb::Send(send) = cli.verb else { panic!("{:?}", cli.verb) };
        assert!(send.engine.osc.is_some());
        let arguments: Vec<_> = send.args.iter().map(|it| argument(it)).collect();
        assert_eq!(arguments, [OscType::Int(-6), OscType::String("-6dB".to_owned())]);
    }

    #[test]
    fn what_is_not_built_is_not_listed() {
        let command = Cli::command();
        let names: Vec<_> = command.get_subcommands().map(|it| it.get_name()).collect();
        let listed = ["demo", "run", "render", "check", "modules", "send", "load", "save"];
        assert_eq!(names[..8], listed);
        assert_eq!(names[8..10], ["stop", "status"]);
        assert_eq!(
            names[10..],
            ["listen", "chaos", "doctor", "devices", "worker", "control", "prover", "rtkit"]
        );
    }
}
