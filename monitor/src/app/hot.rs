//! The hot thread: waits for the rings, drains them, runs each record through the pipeline.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::start::boot_now;
use crate::bpf::Rings;
use crate::container::{ResolveRequest, Scanned, Update};
use crate::ingest::{Counters, Order};
use crate::pipeline::Pipeline;
use crate::process::Process;

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
    Scanned(Vec<Scanned>),
    /// The kernel side's counters.
    Counters(Box<Counters>),
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

/// Runs until it is told to stop. `questions` go to the edge; when it is behind, they are asked again at the
/// container's next step.
pub(super) fn run(
    mut rings: Rings,
    mut pipeline: Pipeline,
    inbox: &Inbox,
    questions: &SyncSender<ResolveRequest>,
) {
    let mut order = Order::new();
    let mut wait = BUSY;
    loop {
        wait_for(&rings, inbox, wait);
        let before = boot_now();
        let mut drained = 0u64;
        rings.drain(|record| {
            drained += 1;
            order.push(record);
        });
        let stop = take_messages(inbox, &mut pipeline, before);
        let horizon = if stop.is_some() { u64::MAX } else { before.saturating_sub(SETTLE_NS) };
        order.release(horizon, |record| pipeline.record(record));
        pipeline.short(before, order.take_short());
        for question in pipeline.questions() {
            if let Err(TrySendError::Disconnected(_)) = questions.try_send(question) {
                break;
            }
        }
        if let Some(reason) = stop {
            pipeline.stopping(boot_now(), reason);
            return;
        }
        pipeline.flush(before);
        wait = if order.is_waiting() {
            Duration::from_nanos(SETTLE_NS)
        } else if drained > 0 {
            BUSY
        } else {
            IDLE
        };
    }
}

/// Sleeps until a critical record, a message, or the time.
fn wait_for(rings: &Rings, inbox: &Inbox, wait: Duration) {
    let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    let mut descriptors = [
        PollFd::from_borrowed_fd(rings.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(inbox.bell.as_fd(), PollFlags::IN),
    ];
    // An interruption is as good as a timeout: the rings are drained after every return.
    let _ = poll(&mut descriptors, Some(&timeout));
    let mut count = [0; 8];
    let _ = rustix::io::read(&*inbox.bell, &mut count);
}

/// Does what the mailbox asks for; the reason if it asks to stop.
fn take_messages(inbox: &Inbox, pipeline: &mut Pipeline, now: u64) -> Option<&'static str> {
    while let Ok(wake) = inbox.receiver.try_recv() {
        match wake {
            Wake::Found { update, ancestors } => pipeline.resolved(now, *update, ancestors),
            Wake::Scanned(found) => {
                for scanned in found {
                    pipeline.scanned(scanned);
                }
            }
            Wake::Counters(counters) => pipeline.counters(now, &counters),
            Wake::Do(act) => act(pipeline, now),
            Wake::Stop(reason) => return Some(reason),
        }
    }
    None
}
