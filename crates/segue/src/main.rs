//! A headless modular synthesizer that does not stop.

fn main() -> std::process::ExitCode {
    segue::main()
}
