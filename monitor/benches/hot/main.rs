//! The user side of the way of a record, in this process: order, decode, process, container, rules, format,
//! queue. `cargo bench -p monitor --bench hot` prints nanoseconds of CPU time an event;
//! `-- --gates` counts instructions (see `gate.rs`).
#![expect(clippy::print_stdout, reason = "a program for a person at a terminal")]

mod gate;
mod records;
mod rig;

use std::process::ExitCode;

use records::{Maker, Recording};
use rig::Rig;

const CONTAINERS: [u32; 3] = [1, 100, 1000];
/// Records before anything is measured: enough for the table of exited processes to be full.
const WARM: usize = 150_000;
/// Records of one run.
const MEASURED: usize = 60_000;
const RUNS: usize = 7;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--stage", stage] => gate::one(stage),
        ["--gates", ..] => gate::all(),
        _ => {
            times();
            ExitCode::SUCCESS
        }
    }
}

fn times() {
    println!("user side, CPU time an event: median of {RUNS} runs of {MEASURED} records, least, most");
    for json in [false, true] {
        for containers in CONTAINERS {
            let mut maker = Maker::new(containers);
            let mut rig = Rig::new(&mut maker, json);
            rig.feed(&maker.run(WARM));
            (rig.bytes, rig.lines) = (0, 0);
            let times = measure(&mut rig, || maker.run(MEASURED));
            assert_eq!(rig.pipeline.findings(), 0, "no rule may match");
            let what = if json { "JSON" } else { "no output" };
            let bytes = rig.bytes as u64 / rig.lines.max(1);
            println!("{what:9} {containers:5} containers: {times}; {bytes} bytes a line");
        }
    }
    let mut maker = Maker::new(10);
    let mut rig = Rig::new(&mut maker, false);
    let children = MEASURED as u32 / 2;
    (0..3).for_each(|_| rig.feed(&maker.bomb(children)));
    println!("no output, a fork bomb, the table full: {}", measure(&mut rig, || maker.bomb(children)));
}

/// Nanoseconds a record: median, least, most.
fn measure(rig: &mut Rig, mut make: impl FnMut() -> Recording) -> String {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let recording = make();
            let before = cpu_ns();
            rig.feed(&recording);
            (cpu_ns() - before) as f64 / recording.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    format!("{:5.0} ns, {:5.0}, {:5.0}", times[RUNS / 2], times[0], times[RUNS - 1])
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
