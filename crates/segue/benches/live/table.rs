//! What the figures were taken on, and how they are printed.

use std::fs;

/// Prints what this machine is, and how busy it is: figures of a busy one say little.
pub(crate) fn machine() {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    let processor = field("/proc/cpuinfo", "model name");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "# {processor}, {} processors; Linux {}; load at the beginning {}",
        segue_sys::process::priority::processors(),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    );
}

/// Prints the title of a table, with the names of its columns.
pub(crate) fn title(what: &str, columns: &[&str]) {
    print!("\n{what:48}");
    columns.iter().for_each(|column| print!(" {column:>9}"));
    println!();
}

/// Prints a row of numbers.
pub(crate) fn row(what: &str, values: &[f64], digits: usize) {
    print!("{what:48}");
    values.iter().for_each(|value| print!(" {value:9.digits$}"));
    println!();
}

/// Prints how many there are, the middle, the 99th of a hundred, and the largest.
pub(crate) fn spread(what: &str, mut values: Vec<f64>, digits: usize) {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() * part / 100).min(values.len() - 1)];
    if values.is_empty() {
        println!("{what:48} {:>9}", 0);
        return;
    }
    let [p50, p99, max] = [50, 99, 100].map(at);
    println!("{what:48} {:9} {p50:9.digits$} {p99:9.digits$} {max:9.digits$}", values.len());
}

/// The columns of [`spread`].
pub(crate) const SPREAD: [&str; 4] = ["times", "p50", "p99", "max"];

/// Nanoseconds as milliseconds.
pub(crate) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
