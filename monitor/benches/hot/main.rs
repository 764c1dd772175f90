//! The user side of the way of a record, in this process: order, decode, process, container, rules, format,
//! queue. `cargo bench -p monitor --bench hot` prints nanoseconds of CPU time an event.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

mod records;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use monitor::container::ContainerKey;
use monitor::container::{Identity, Registry, Status, Update};
use monitor::detect::{DetectConfig, Detector};
use monitor::ingest::Order;
use monitor::output::{Clock, Emitter, Inbox, Kinds, Lane, LaneFormat, Limits, Sequence, queue};
use monitor::pipeline::Pipeline;
use records::{Maker, Recording};

const CONTAINERS: [u32; 3] = [1, 100, 1000];
const WARM: usize = 60_000;
const MEASURED: usize = 60_000;
const RUNS: usize = 5;

fn main() {
    println!("user side, ns of CPU time an event (median of {RUNS}, least):");
    for json in [false, true] {
        for containers in CONTAINERS {
            let (mut times, lines) = measure(containers, json);
            times.sort_by(f64::total_cmp);
            let what = if json { "JSON written" } else { "no output" };
            println!(
                "{what:12} {containers:5} containers: {:7.0} {:7.0}   ({lines} bytes a line)",
                times[RUNS / 2],
                times[0]
            );
        }
    }
}

/// The hot thread's tables, and somebody who reads.
struct Rig {
    order: Order,
    pipeline: Pipeline,
    inbox: Option<Inbox>,
    bytes: usize,
    lines: u64,
}

impl Rig {
    fn new(json: bool) -> Self {
        let mut emitter = Emitter::new(
            "node-1.example.internal",
            Clock { boot_to_epoch_ns: 1_795_464_800_000_000_000 },
            Sequence::default(),
        );
        let inbox = json.then(|| {
            let (outbox, inbox) = queue(Limits::default());
            emitter.add(Lane {
                name: "stdout",
                format: LaneFormat::Json,
                kinds: Kinds::ALL,
                demand: None,
                outbox,
            });
            inbox
        });
        let detector = Detector::new(DetectConfig::default());
        let pipeline = Pipeline::new(detector, Registry::new(0), emitter);
        Self { order: Order::new(), pipeline, inbox, bytes: 0, lines: 0 }
    }

    fn feed(&mut self, recording: &Recording) {
        for (records, horizon) in recording.rounds() {
            for record in records {
                self.order.push(record);
            }
            self.order.release(horizon, |record| self.pipeline.record(record));
            self.pipeline.questions().for_each(drop);
            self.pipeline.flush(horizon);
            self.read();
        }
    }

    fn read(&mut self) {
        let Some(inbox) = &mut self.inbox else { return };
        while let Poll::Ready(Some(batch)) = pin!(inbox.recv()).poll(&mut Context::from_waker(Waker::noop()))
        {
            self.bytes += batch.bytes.len();
            self.lines += batch.lines;
        }
    }

    fn resolve(&mut self, containers: u32) {
        for n in 0..containers {
            let text = |t: &str| Some(format!("{t}-{n}"));
            let identity = Identity {
                id: Some(format!("{n:064x}")),
                name: text("web"),
                image: text("registry.example.internal/shop/web:1"),
                runtime: Some("runc".to_owned()),
                labels: [
                    ("app.kubernetes.io/name", "web"),
                    ("app.kubernetes.io/version", "1.2.3"),
                    ("team", "shop"),
                ]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
                ..Identity::default()
            };
            let update = Update {
                key: ContainerKey(10_000 + u64::from(n)),
                status: Status::Resolved,
                identity,
                declared: None,
            };
            self.pipeline.resolved(0, update, Vec::new());
        }
        self.pipeline.flush(0);
        self.read();
    }
}

fn measure(containers: u32, json: bool) -> (Vec<f64>, u64) {
    let mut maker = Maker::new(containers);
    let mut rig = Rig::new(json);
    rig.feed(&maker.start());
    rig.resolve(containers);
    rig.feed(&maker.run(WARM));
    let mut times = Vec::new();
    (rig.bytes, rig.lines) = (0, 0);
    for _ in 0..RUNS {
        let recording = maker.run(MEASURED);
        let before = cpu_ns();
        rig.feed(&recording);
        times.push((cpu_ns() - before) as f64 / recording.len() as f64);
    }
    assert_eq!(rig.pipeline.findings(), 0, "no rule may match");
    let lines = if json { rig.bytes as u64 / rig.lines } else { 0 };
    (times, lines)
}

fn cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(t.tv_sec * 1_000_000_000 + t.tv_nsec).unwrap()
}
