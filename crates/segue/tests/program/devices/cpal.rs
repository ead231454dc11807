//! ALSA and PipeWire through the crate `cpal`, in builds that have them.

use super::servers::pipewire::PipeWire;
use super::servers::pulse::SINK;
use super::{assert_in_order, hear, hear_deaths, lose, play, wait_back};

#[cfg(feature = "pipewire")]
#[test]
fn what_reaches_pipewire_itself_is_the_replay_whoever_is_killed() {
    let Some(server) = PipeWire::start() else { return };
    assert_in_order(&hear_deaths(&server.front, server.front.engine("pipewire:testsink")));
}

#[cfg(feature = "pipewire")]
#[test]
fn a_killed_pipewire_is_noticed_and_played_on_again() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pipewire"));
    lose(&engine, || server.kill());
    server.begin(48_000);
    wait_back(&engine, "PipeWire itself killed and started again");
    assert_in_order(&hear(&server.front, SINK, engine));
}

/// No error comes: the links are gone, and with them the calls.
#[cfg(feature = "pipewire")]
#[test]
fn a_killed_session_manager_is_noticed_and_played_on_again() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pipewire:testsink"));
    lose(&engine, || server.kill_session());
    // Hardware's nodes are the session manager's and go with it.
    server.destroy(SINK);
    server.begin_session();
    server.create(SINK, 48_000);
    wait_back(&engine, "WirePlumber under PipeWire itself killed and started again");
    assert_in_order(&hear(&server.front, SINK, engine));
}

#[cfg(feature = "alsa")]
mod alsa {
    use std::path::{Path, PathBuf};

    use super::{PipeWire, assert_in_order, hear_deaths};
    use crate::devices::servers::until;
    use crate::devices::{begin, drives};
    use crate::engine::{Start, playhead};

    /// ALSA's own configuration and these devices.
    fn configured(folder: &Path, devices: &str) -> PathBuf {
        let path = folder.join("asound.conf");
        let text = format!("</usr/share/alsa/alsa.conf>\n{devices}\n");
        std::fs::write(&path, text).expect("a configuration is written");
        path
    }

    /// A file takes whatever it is given at once.
    #[test]
    fn a_device_without_a_clock_is_refused_with_a_word() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("out.wav").display().to_string();
        let hint = "hint { show on description \"a file\" }";
        let device =
            format!("pcm.tofile {{ type file slave.pcm null file \"{file}\" format wav {hint} }}");
        let configuration = configured(folder.path(), &device).display().to_string();
        let engine = begin(Start::on("alsa:tofile").env("ALSA_CONFIG_PATH", &configuration));
        until("the log says so", || {
            engine.log().contains("asks for more than there is time for").then_some(())
        });
        let from = playhead(&engine.wait("a timer keeps the time", |status| !drives(status)));
        engine.wait("the music goes on", |status| playhead(status) > from + 100);
        assert_eq!(engine.stop().status.code(), Some(0));
    }

    #[test]
    fn what_reaches_the_far_end_of_alsa_is_the_replay_whoever_is_killed() {
        let Some(server) = PipeWire::start() else { return };
        let plugin = |folder: std::fs::DirEntry| {
            folder.path().join("alsa-lib/libasound_module_pcm_pulse.so").exists()
        };
        if !std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().any(plugin) {
            eprintln!("skipped: ALSA's way to PulseAudio is not installed");
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let device = "pcm.far { type pulse hint { show on description \"PulseAudio\" } }";
        let configuration = configured(folder.path(), device).display().to_string();
        let start = server.front.engine("alsa:far").env("ALSA_CONFIG_PATH", &configuration);
        assert_in_order(&hear_deaths(&server.front, start));
    }
}
