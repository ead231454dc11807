//! `segue doctor`: what this machine lacks for steady sound, why there is no sound, and the cure.
//!
//! | file | looks at |
//! |---|---|
//! | [`engine`] | a running engine, along the signal: why there is no sound |
//! | [`machine`] | limits, processors, memory, ports, disk: what an engine will meet |
//!
//! Facts are gathered first and judged afterwards, by functions of the facts alone.

mod engine;
mod finding;
mod machine;

use std::process::ExitCode;

use serde_json::json;

use crate::cli::config::Config;
use crate::cli::device::Device;
use crate::cli::output::tell;
use crate::cli::settings::Settings;
use crate::cli::{DoctorArgs, RunArgs};
use crate::client::address;
use crate::exit::{Exit, Failure};
use engine::Engine;
use finding::{Finding, Grade};
use machine::Machine;

/// Looks, tells, and says with its exit whether something stands in the way of sound.
pub(crate) fn doctor(args: &DoctorArgs, config: &Config) -> Result<ExitCode, Failure> {
    let asked = RunArgs {
        osc: args.engine.osc.clone(),
        show: args.show.clone(),
        // One that this build does not have shall not keep it from looking.
        device: Some(Device::Auto),
        ..RunArgs::default()
    };
    let settings = Settings::resolve(&asked, config)?;
    let machine = Machine::look(&settings).judge();
    let engine = Engine::look(address(&args.engine)).judge(args.engine.osc.is_some());
    let worst = machine.iter().chain(&engine).map(|it| it.grade).max().unwrap_or(Grade::Ok);
    let why = engine.iter().find(|it| it.grade == Grade::Bad);
    if args.json {
        let value = json!({ "schema": 1, "grade": worst, "machine": machine, "engine": engine,
            "first_silent": why.map(|it| it.check) });
        tell!("{}", serde_json::to_string_pretty(&value).expect("findings can be written"));
    } else {
        show("this machine", &machine);
        show("the engine, along the signal", &engine);
        match why {
            Some(why) => tell!("the first thing in the way: {}: {}", why.check, why.found),
            None => tell!("{}", summary(worst)),
        }
    }
    Ok(if worst == Grade::Bad { Exit::No } else { Exit::Done }.into())
}

fn show(title: &str, findings: &[Finding]) {
    let lines: String = findings.iter().map(Finding::text).collect();
    tell!("{title}\n{}", lines.trim_end());
}

fn summary(worst: Grade) -> &'static str {
    match worst {
        Grade::Ok => "all is well",
        Grade::Warn => "sound will play; what is marked `warn` may disturb it",
        Grade::Bad => "what is marked `BAD` stands in the way of sound, or of steady sound",
    }
}
