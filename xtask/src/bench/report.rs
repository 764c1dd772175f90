//! The tables of pairs, and how figures are written.

use crate::bench::slices::{self, Loads, Pair, Verdict};
use crate::bench::stats::Ratio;
use crate::say;

/// A heading, with an empty line before it.
pub(crate) fn heading(text: &str) {
    say::result("");
    say::result(text);
}

/// With and without, and the noise.
pub(crate) fn pairs(title: &str, loads: &Loads, bulkhead: &[Pair], noise: &[Pair]) {
    heading(title);
    say::result(format!(
        "  {:<10} {:<9} {:<5} {:>10} {:>10}  {:<28} {:<28} dropped",
        "where", "load", "time", "without", "with", "with / without", "bare / bare"
    ));
    for (at, (place, kind)) in loads.iter().enumerate() {
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

/// A ratio with its interval.
pub(crate) fn show(ratio: Ratio) -> String {
    format!("{:.3} ({:.3} to {:.3}, n={})", ratio.median, ratio.low, ratio.high, ratio.pairs)
}

/// Nanoseconds, or microseconds when there are many.
pub(crate) fn nanos(ns: f64) -> String {
    if ns < 10_000.0 { format!("{ns:.1} ns") } else { format!("{:.1} µs", ns / 1000.0) }
}

/// Thousands of a rate.
pub(crate) fn thousands(rate: f64) -> String {
    format!("{:.0} k/s", rate / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_for_people() {
        assert_eq!((nanos(93.04), nanos(412_345.0)), ("93.0 ns".to_owned(), "412.3 µs".to_owned()));
        assert_eq!(thousands(1_220_703.0), "1221 k/s");
    }
}
