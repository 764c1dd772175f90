//! The hot thread's tables, wired up in this process, and somebody who reads what comes out.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use monitor::container::{ContainerKey, Declared, DeclaredMount, Identity, Registry, Status, Update};
use monitor::detect::{DetectConfig, Detector};
use monitor::ingest::Order;
use monitor::output::{Clock, Emitter, Inbox, Kinds, Lane, LaneFormat, Limits, Sequence, queue};
use monitor::pipeline::Pipeline;

use crate::records::{Maker, Recording};

/// 2026-11-23, in nanoseconds.
pub(crate) const CLOCK: Clock = Clock { boot_to_epoch_ns: 1_795_464_800_000_000_000 };

/// From the bytes of a ring to the bytes of a sink.
pub(crate) struct Rig {
    pub(crate) order: Order,
    pub(crate) pipeline: Pipeline,
    inbox: Option<Inbox>,
    /// Bytes, lines and batches read.
    pub(crate) bytes: usize,
    pub(crate) lines: u64,
    pub(crate) batches: u64,
}

impl Rig {
    /// With containers that have started and are known; their lines go to nobody unless `json`.
    pub(crate) fn new(maker: &mut Maker, json: bool) -> Self {
        let mut emitter = Emitter::new("node-1.example.internal", CLOCK, Sequence::default());
        let inbox = json.then(|| {
            let (outbox, inbox) = queue(Limits::default());
            let format = LaneFormat::Json;
            emitter.add(Lane { name: "stdout", format, kinds: Kinds::ALL, demand: None, outbox });
            inbox
        });
        let detector = Detector::new(DetectConfig::default());
        let pipeline = Pipeline::new(detector, Registry::new(CLOCK.boot_to_epoch_ns), emitter);
        let mut rig = Self { order: Order::new(), pipeline, inbox, bytes: 0, lines: 0, batches: 0 };
        rig.feed(&maker.start());
        for n in 0..maker.containers {
            rig.pipeline.resolved(0, identity(n), Vec::new());
        }
        rig.pipeline.flush(0);
        rig.read();
        rig
    }

    /// Gives every round to the pipeline, and takes the lines.
    pub(crate) fn feed(&mut self, recording: &Recording) {
        for (records, horizon) in recording.rounds() {
            records.for_each(|record| self.order.push(record));
            self.order.release(horizon, |record| self.pipeline.record(record));
            while self.pipeline.question().is_some() {}
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
            self.batches += 1;
        }
    }
}

/// What the edge finds out about a container.
pub(crate) fn identity(n: u32) -> Update {
    let text = |t: &str| Some(format!("{t}-{n}"));
    let labels =
        [("app.kubernetes.io/name", "web"), ("app.kubernetes.io/version", "1.2.3"), ("team", "shop")];
    let identity = Identity {
        id: Some(format!("{n:064x}")),
        name: text("web"),
        image: text("registry.example.internal/shop/web:1"),
        runtime: Some("runc".to_owned()),
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Identity::default()
    };
    let key = ContainerKey(crate::records::FIRST_KEY + u64::from(n));
    let declared = Some(declared(n));
    Update { key, status: Status::Resolved, identity, declared, mismatches: Vec::new() }
}

/// About what an engine's configuration grants by default.
fn declared(n: u32) -> Declared {
    let list = |count: usize, start: &str| (0..count).map(|n| format!("{start}/entry-{n}")).collect();
    let mount = |at: usize| DeclaredMount {
        destination: format!("/mnt/destination-{at}"),
        source: format!("/var/lib/engine/containers/{n:064x}/source-{at}"),
        fstype: "bind".to_owned(),
        options: ["rbind", "rprivate", "ro"].map(str::to_owned).to_vec(),
    };
    Declared {
        bundle: format!("/run/engine/io.containerd.runtime.v2.task/moby/{n:064x}"),
        rootfs: format!("/var/lib/engine/overlay2/{n:064x}/merged"),
        new_namespaces: list(6, "namespace"),
        mounts: (0..12).map(mount).collect(),
        masked_paths: list(12, "/proc/masked"),
        readonly_paths: list(6, "/proc/readonly"),
        ..Declared::default()
    }
}
