//! Gives each record to every lane that wants it: numbers it, encodes it once a format, and says what a sink
//! could not take. Belongs to the hot thread; costs nothing for records that nobody wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use monitor_common::event::EventKind;

use super::format::{Format, JsonFormat, TextFormat};
use super::kinds::{Class, Kinds};
use super::queue::{Mark, Outbox};
use super::record::{Body, Common, Loss, Record, loss_reason};
use super::time::Clock;

/// How many readers a sink has: the sink counts, the emitter looks.
#[derive(Clone, Debug, Default)]
pub struct Demand(Arc<AtomicUsize>);

impl Demand {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many there are.
    pub fn set(&self, readers: usize) {
        self.0.store(readers, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn readers(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// True if there is somebody.
    pub fn any(&self) -> bool {
        self.readers() > 0
    }
}

/// The numbers of the lines, shared by everybody who writes some.
#[derive(Clone, Debug, Default)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// The next number, from 1.
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The format of a lane.
#[derive(Debug)]
pub enum LaneFormat {
    /// JSON, encoded once for all such lanes.
    Json,
    /// Text in a terminal's style. Boxed, because it is the larger one by far.
    Text(Box<TextFormat>),
}

/// The way to one sink.
#[derive(Debug)]
pub struct Lane {
    /// The sink's name in loss records.
    pub name: &'static str,
    /// How records are written.
    pub format: LaneFormat,
    /// Which records it wants.
    pub kinds: Kinds,
    /// Whether anybody reads; `None` for always. Status records are sent all the same.
    pub demand: Option<Demand>,
    /// The queue.
    pub outbox: Outbox,
}

impl Lane {
    fn wants(&self, class: Class, kind: Option<EventKind>) -> bool {
        let kind_wanted = match kind {
            Some(kind) => self.kinds.event(kind),
            None => self.kinds.class(class),
        };
        kind_wanted && (class == Class::Status || self.demand.as_ref().is_none_or(Demand::any))
    }
}

/// Numbers, encodes and distributes records.
#[derive(Debug)]
pub struct Emitter {
    node: String,
    sequence: Sequence,
    lanes: Vec<Lane>,
    json: JsonFormat,
    json_line: Vec<u8>,
    text_line: Vec<u8>,
}

impl Emitter {
    /// For the machine `node`; numbers come from `sequence`.
    pub fn new(node: impl Into<String>, clock: Clock, sequence: Sequence) -> Self {
        Self {
            node: node.into(),
            sequence,
            lanes: Vec::new(),
            json: JsonFormat::new(clock),
            json_line: Vec::new(),
            text_line: Vec::new(),
        }
    }

    /// Adds a way out.
    pub fn add(&mut self, lane: Lane) {
        self.lanes.push(lane);
    }

    /// True if somebody wants events of this kind: the caller may save the work of putting one together.
    pub fn wants_event(&self, kind: EventKind) -> bool {
        self.lanes.iter().any(|lane| lane.wants(Class::Event, Some(kind)))
    }

    /// Writes a record to every lane that wants it. `time` is in nanoseconds since boot.
    pub fn emit(&mut self, time: u64, body: Body<'_>) {
        let (class, kind) = (body.class(), body.event_kind());
        if !self.lanes.iter().any(|lane| lane.wants(class, kind)) {
            return;
        }
        let slot = match &body {
            Body::Status(status) => Some(status.slot()),
            _ => None,
        };
        let record = Record { common: Common { time, seq: self.sequence.take(), node: &self.node }, body };
        let mark = Mark { class, slot };
        self.json_line.clear();
        let wants_json = |lane: &&Lane| matches!(lane.format, LaneFormat::Json) && lane.wants(class, kind);
        let shared = self.lanes.iter().filter(wants_json).nth(1).is_some();
        for lane in self.lanes.iter_mut().filter(|lane| lane.wants(class, kind)) {
            match &mut lane.format {
                LaneFormat::Json if shared => {
                    if self.json_line.is_empty() {
                        self.json.encode(&record, &mut self.json_line);
                    }
                    lane.outbox.push(mark, &self.json_line);
                }
                LaneFormat::Json => lane.outbox.write(mark, |out| self.json.encode(&record, out)),
                LaneFormat::Text(format) => lane.outbox.write(mark, |out| format.encode(&record, out)),
            }
        }
    }

    /// Sends what was gathered, and a loss record to each sink that missed something. To be called at the end
    /// of each round of the hot thread. `time` is in nanoseconds since boot.
    pub fn flush(&mut self, time: u64) {
        for lane in &mut self.lanes {
            lane.outbox.flush();
            if !lane.outbox.owes_word() {
                continue;
            }
            let shed = lane.outbox.take_shed();
            let body = Body::Loss(Loss {
                reason: loss_reason::SINK_FULL,
                count: shed.total(),
                sink: Some(lane.name),
                by_type: Some(&shed),
                ..Loss::default()
            });
            let record =
                Record { common: Common { time, seq: self.sequence.take(), node: &self.node }, body };
            self.text_line.clear();
            match &mut lane.format {
                LaneFormat::Json => self.json.encode(&record, &mut self.text_line),
                LaneFormat::Text(format) => format.encode(&record, &mut self.text_line),
            }
            lane.outbox.push(Mark { class: Class::Loss, slot: None }, &self.text_line);
            lane.outbox.flush();
        }
    }

    /// Batches sent on the way of this name, and batches of those that have reached their reader.
    pub fn delivery(&self, name: &str) -> (u64, u64) {
        let lane = self.lanes.iter().find(|lane| lane.name == name);
        lane.map_or((0, 0), |lane| (lane.outbox.sent(), lane.outbox.delivered()))
    }

    /// True if a lane of this name is there and nobody reads it any more.
    pub fn is_closed(&self, name: &str) -> bool {
        self.lanes.iter().any(|lane| lane.name == name && lane.outbox.is_closed())
    }
}

/// A line of JSON that tells one reader how many lines it missed: for a transport, which knows no records.
pub fn loss_line(node: &str, clock: Clock, sequence: &Sequence, time: u64, count: u64) -> Bytes {
    let body = Body::Loss(Loss { reason: loss_reason::SLOW_READER, count, ..Loss::default() });
    let mut line = Vec::new();
    let record = Record { common: Common { time, seq: sequence.take(), node }, body };
    JsonFormat::new(clock).encode(&record, &mut line);
    line.into()
}

#[cfg(test)]
mod tests {
    use super::super::queue::{Limits, queue};
    use super::super::record::Status;
    use super::*;

    fn lines(inbox: &mut super::super::queue::Inbox) -> Vec<serde_json::Value> {
        let mut found = Vec::new();
        while let Some(batch) = inbox.recv_blocking() {
            let text = String::from_utf8(batch.bytes.to_vec()).unwrap();
            found.extend(text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()));
        }
        found
    }

    const READY: Body<'_> = Body::Status(Status::Ready { attached: 1, sensors: 1, containers: 0 });
    fn loss() -> Body<'static> {
        Body::Loss(Loss { reason: loss_reason::RING_FULL, count: 1, ..Loss::default() })
    }

    #[test]
    fn without_a_reader_only_status_is_kept() {
        let (outbox, mut inbox) = queue(Limits::default());
        let demand = Demand::new();
        let mut emitter = Emitter::new("n", Clock::default(), Sequence::default());
        emitter.add(Lane {
            name: "socket",
            format: LaneFormat::Json,
            kinds: Kinds::ALL,
            demand: Some(demand.clone()),
            outbox,
        });
        assert!(!emitter.wants_event(EventKind::Exec));
        emitter.emit(1, loss());
        emitter.emit(2, READY);
        demand.set(1);
        assert!(emitter.wants_event(EventKind::Exec));
        emitter.emit(3, loss());
        emitter.flush(4);
        drop(emitter);
        let found = lines(&mut inbox);
        assert_eq!(found.iter().map(|v| v["type"].as_str().unwrap()).collect::<Vec<_>>(), ["status", "loss"]);
        assert_eq!(found[1]["seq"], 2);
    }

    #[test]
    fn a_sink_is_told_what_it_missed() {
        let (outbox, mut inbox) = queue(Limits { batch_bytes: 1, total_bytes: 4000, batches: 4 });
        let mut emitter = Emitter::new("n", Clock::default(), Sequence::default());
        emitter.add(Lane {
            name: "stdout",
            format: LaneFormat::Json,
            kinds: Kinds::ALL,
            demand: None,
            outbox,
        });
        for time in 0..7 {
            emitter.emit(time, loss());
        }
        emitter.flush(7);
        for _ in 0..4 {
            inbox.recv_blocking().unwrap();
        }
        emitter.flush(8);
        drop(emitter);
        let found = lines(&mut inbox);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0]["reason"], &found[0]["count"]), (&"sink_full".into(), &3.into()));
        assert_eq!(found[0]["by_type"]["loss"], 3);
    }
}
