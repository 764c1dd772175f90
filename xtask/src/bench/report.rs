//! The tables that `bench` prints.

use crate::bench::single::{Footprint, Idle, Kernel, Turns, User};
use crate::bench::slices::{self, LOADS, Pair, Verdict};
use crate::bench::stats::{self, Ratio};
use crate::say;

/// A heading, with an empty line before it.
pub(crate) fn heading(text: &str) {
    say::result("");
    say::result(text);
}

/// BPF time by program and load.
pub(crate) fn kernel(found: &[Kernel]) {
    heading("BPF time in a container, by the kernel's statistics (two clock reads a run are in it)");
    for kernel in found {
        let name = kernel.load.name();
        say::result(format!("  {name}: {:.0} ns of BPF each", kernel.each));
        // The container's own start is in the counts; what comes to nothing is left to the raw file.
        let all: f64 = kernel.programs.iter().map(|program| program.time).sum();
        for program in kernel.programs.iter().filter(|program| program.time >= all / 100.0) {
            let each = program.time / program.runs;
            say::result(format!(
                "    {:<18} {:<14} {:>9.0} runs {:>8.0} ns a run",
                program.name, program.kind, program.runs, each
            ));
        }
    }
}

/// With and without, and the noise.
pub(crate) fn pairs(bulkhead: &[Pair], noise: &[Pair]) {
    heading("With Bulkhead over without (median of pairs, 95 % interval), and bare over bare");
    say::result(format!(
        "  {:<10} {:<9} {:<5} {:>10} {:>10}  {:<28} {:<28} dropped",
        "where", "load", "time", "without", "with", "with / without", "bare / bare"
    ));
    for (at, (place, kind)) in LOADS.iter().enumerate() {
        let (with, bare) = (slices::verdict(bulkhead, at), slices::verdict(noise, at));
        let Some(with) = with else {
            say::result(format!("  {:<10} {:<9} no quiet pair", place.name(), kind.name()));
            continue;
        };
        type Side = fn(&Verdict) -> ((f64, f64), Ratio);
        let sides: [(&str, Side); 2] =
            [("wall", |v| (v.wall, v.wall_ratio)), ("CPU", |v| (v.cpu, v.cpu_ratio))];
        for (time, side) in sides {
            let ((without, with_ns), ratio) = side(&with);
            let beside = bare.as_ref().map_or("no quiet pair".to_owned(), |bare| show(side(bare).1));
            let dropped =
                format!("{} + {}", with.dropped, bare.as_ref().map_or(noise.len(), |bare| bare.dropped));
            say::result(format!(
                "  {:<10} {:<9} {:<5} {:>10} {:>10}  {:<28} {:<28} {dropped}",
                place.name(),
                kind.name(),
                time,
                nanos(without),
                nanos(with_ns),
                show(ratio),
                beside
            ));
        }
    }
    say::result(format!(
        "  some task waited for a CPU in {:.0} % of the time (median of slices)",
        slices::pressure(bulkhead).max(slices::pressure(noise))
    ));
}

fn show(ratio: Ratio) -> String {
    format!("{:.3} ({:.3} to {:.3}, n={})", ratio.median, ratio.low, ratio.high, ratio.pairs)
}

/// Nanoseconds, or microseconds when there are many.
fn nanos(ns: f64) -> String {
    if ns < 10_000.0 { format!("{ns:.1} ns") } else { format!("{:.1} µs", ns / 1000.0) }
}

/// The daemon's own figures.
pub(crate) fn daemon(user: &[User], memory: &Footprint, turns: &Turns, idle: &Idle) {
    heading("The daemon");
    for user in user {
        say::result(format!(
            "  CPU time a record, exec flood, {:<34} {:>7.0} ns ({:.0} records, {:.0} lost)",
            user.mode, user.ns_each, user.records, user.lost
        ));
    }
    let mib = |kib: f64| kib / 1024.0;
    for (when, memory) in
        [("when ready", memory.ready), ("with 50 containers", memory.full), ("after them", memory.after)]
    {
        let (rss, pss) = (mib(memory.rss), mib(memory.pss));
        say::result(format!("  memory {when:<20} {rss:>6.1} MiB resident, {pss:>6.1} MiB proportional"));
    }
    say::result(format!("  BPF maps in the kernel      {:>6.1} MiB", mib(memory.maps_kib)));
    for (what, millis) in [("start to `ready`", &turns.ready), ("SIGINT to its end", &turns.stop)] {
        let each: Vec<String> = millis.iter().map(|ms| format!("{ms:.0}")).collect();
        let median = stats::median(millis).unwrap_or(0.0);
        say::result(format!("  {what:<27} {median:>6.0} ms (median of {})", each.join(", ")));
    }
    say::result(format!(
        "  idle                        {:>6.2} % of one CPU ({:.0} records of others meanwhile)",
        idle.percent, idle.records
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_for_people() {
        assert_eq!((nanos(93.04), nanos(412_345.0)), ("93.0 ns".to_owned(), "412.3 µs".to_owned()));
    }
}
