//! The hot thread: waits for the rings, drains them, runs each record through the pipeline.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::adopt::Running;
use super::delivery::Delivery;
use super::start::boot_now;
use crate::bpf::{Daemon, Rings, Unwanted};
use crate::container::{ResolveRequest, Update};
use crate::ingest::{Look, Order, Received};
use crate::pipeline::Pipeline;
use crate::posture;
use crate::process::{Executable, Process};

/// How long a record waits for older ones from other rings: longer than a program takes from reading the
/// clock to submitting.
const SETTLE_NS: u64 = 1_000_000;
/// How often the rings are drained while records come, and while none do. Bulk rings wake nobody.
const BUSY: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(50);
/// Messages that may wait for the hot thread. Senders on the edge wait when it is full.
const MAILBOX: usize = 256;

/// Something for the pipeline to do between two records; the number is the time, nanoseconds since boot.
pub(super) type Act = Box<dyn FnOnce(&mut Pipeline, u64) + Send>;

/// Everything that can wake the hot thread besides the rings and its timer.
pub(super) enum Wake {
    /// The edge found out about a container.
    Found { update: Box<Update>, ancestors: Vec<Process> },
    /// Containers that were running before the daemon.
    Running(Vec<Running>),
    /// A look at the kernel side's accounts.
    Looked(Box<Look>),
    /// Something for the pipeline to do between two records: status, canaries.
    Do(Act),
    /// The end, with the reason.
    Stop(&'static str),
}

/// The way to the hot thread.
#[derive(Clone)]
pub(super) struct Mailbox {
    sender: SyncSender<Wake>,
    bell: Arc<OwnedFd>,
}

impl Mailbox {
    /// A mailbox and its other end.
    ///
    /// # Errors
    /// No descriptor could be had.
    pub(super) fn new() -> std::io::Result<(Self, Inbox)> {
        let (sender, receiver) = sync_channel(MAILBOX);
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Self { sender, bell: Arc::clone(&bell) }, Inbox { receiver, bell }))
    }

    /// Sends; waits while the mailbox is full. False if the hot thread has ended.
    pub(super) fn send(&self, wake: Wake) -> bool {
        let sent = self.sender.send(wake).is_ok();
        // The counter of an eventfd cannot overflow by ones.
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
        sent
    }
}

/// The hot thread's end of the mailbox.
pub(super) struct Inbox {
    receiver: Receiver<Wake>,
    bell: Arc<OwnedFd>,
}

#[cfg(test)]
impl Inbox {
    /// The next message, if there is one.
    pub(super) fn take(&self) -> Option<Wake> {
        self.receiver.try_recv().ok()
    }
}

/// What the hot thread owns of the kernel side.
pub(super) struct Source {
    pub(super) rings: Rings,
    pub(super) unwanted: Unwanted,
    /// Where the daemon leaves word for the next one, if programs are pinned.
    pub(super) pinned: Option<Daemon>,
    /// What counts as received already.
    pub(super) received: Received,
}

/// What the hot thread wants to know of names.
pub(super) enum Question {
    /// Who a container is.
    Container(ResolveRequest),
    /// Who a process is that records will not tell of, and those above it.
    Stranger(u32),
}

/// The ways to the threads that do what the hot one must not. Each is bounded, and none is waited for.
pub(super) struct Edges {
    /// Who containers and processes are. When that thread is behind, containers are asked in the next round.
    pub(super) names: SyncSender<Question>,
    /// What is in executables, if that is wanted.
    pub(super) hashes: Option<SyncSender<Executable>>,
    /// What containers were granted, if that is wanted.
    pub(super) postures: Option<SyncSender<posture::Question>>,
}

/// Runs until it is told to stop.
pub(super) fn run(source: Source, mut pipeline: Pipeline, inbox: &Inbox, edges: &Edges) {
    let Source { mut rings, mut unwanted, mut pinned, received } = source;
    super::come_first();
    let mut order = Order::new();
    *order.received() = received;
    let mut delivery = Delivery::default();
    // If it cannot, messages are found when the timer is over: later, and not lost.
    let _ = rings.also_wake_by(&*inbox.bell);
    let mut wait = BUSY;
    loop {
        rings.wait(wait);
        ring_off(inbox);
        let before = boot_now();
        let mut drained = 0u64;
        rings.drain(|record| {
            drained += 1;
            order.push(record);
        });
        delivery.read(boot_now(), rings.critical_position());
        // A look that came before this drain: what it counts as submitted is out of the rings.
        let looked = pipeline.check_accounts(before, order.received());
        let stop = take_messages(inbox, &mut pipeline, before);
        if stop.is_some() {
            // Nothing writes any more: what is in the rings is all there is.
            rings.drain(|record| order.push(record));
            pipeline.check_accounts(before, order.received());
        }
        let horizon = if stop.is_some() { u64::MAX } else { before.saturating_sub(SETTLE_NS) };
        order.release(horizon, |record| pipeline.record(record));
        pipeline.tell_faults(horizon);
        pipeline.short(before, order.take_short());
        while let Some(question) = pipeline.question() {
            if let Err(TrySendError::Full(question) | TrySendError::Disconnected(question)) =
                edges.names.try_send(Question::Container(question))
            {
                if let Question::Container(question) = question {
                    pipeline.put_back(&question);
                }
                break;
            }
        }
        while let Some(pid) = pipeline.stranger() {
            // Without room it stays a stranger.
            let _ = edges.names.try_send(Question::Stranger(pid));
        }
        for file in pipeline.executables() {
            if let Some(Err(TrySendError::Full(file) | TrySendError::Disconnected(file))) =
                edges.hashes.as_ref().map(|hashes| hashes.try_send(file))
            {
                pipeline.not_hashed(&file);
            }
        }
        for question in pipeline.postures() {
            if edges.postures.as_ref().is_some_and(|postures| postures.try_send(question).is_err()) {
                pipeline.not_inspected();
            }
        }
        if let Some(reason) = stop {
            pipeline.stopping(boot_now(), reason);
            rings.release_critical(rings.critical_position());
            if let Some(daemon) = &mut pinned {
                daemon.told(&pipeline.told());
                daemon.alive(boot_now());
            }
            return;
        }
        pipeline.flush(before);
        let more = match &mut pinned {
            None => rings.release_critical(rings.critical_position()),
            Some(daemon) => {
                daemon.alive(before);
                if looked {
                    daemon.told(&pipeline.told());
                }
                let (sent, delivered) = pipeline.delivery("stdout");
                delivery.released(horizon, sent);
                let done = delivery.done(delivered, |oldest| rings.critical_room(oldest));
                done.is_some_and(|position| rings.release_critical(position))
            }
        };
        let nobody = pipeline.unwanted();
        // If the kernel refuses, more is written than is wanted; it is tried again in the next round.
        let _ = unwanted.set(nobody);
        wait = if more {
            Duration::ZERO
        } else if order.is_waiting() || pipeline.has_faults() || delivery.is_open() && pinned.is_some() {
            Duration::from_nanos(SETTLE_NS)
        } else if drained > 0 {
            BUSY
        } else {
            IDLE
        };
    }
}

/// Stops the bell.
fn ring_off(inbox: &Inbox) {
    let mut count = [0; 8];
    // It may not have rung.
    let _ = rustix::io::read(&*inbox.bell, &mut count);
}

/// Does what the mailbox asks for; the reason if it asks to stop.
fn take_messages(inbox: &Inbox, pipeline: &mut Pipeline, now: u64) -> Option<&'static str> {
    while let Ok(wake) = inbox.receiver.try_recv() {
        match wake {
            Wake::Found { update, ancestors } => pipeline.resolved(now, *update, ancestors),
            Wake::Running(found) => {
                for Running { scanned, update } in found {
                    pipeline.scanned(now, scanned, update);
                }
            }
            Wake::Looked(look) => pipeline.looked(now, look),
            Wake::Do(act) => act(pipeline, now),
            Wake::Stop(reason) => return Some(reason),
        }
    }
    None
}
