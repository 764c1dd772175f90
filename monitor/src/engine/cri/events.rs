//! What happens to containers: told by the server, or found by comparing its lists where it tells nothing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::super::grpc::{GrpcError, Replies};
use super::super::{Event, Fault};
use super::{Cri, proto};

/// How often lists are compared. A container is asked about when the kernel shows it, too; but a sandbox is not known to
/// its own server before all of it is ready.
const EVERY: Duration = Duration::from_secs(3);

/// The ids that were listed last.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed(Arc<Mutex<BTreeSet<String>>>);

impl Listed {
    /// What has come and gone since; `now` is what is compared with next.
    pub(super) fn changes(&self, now: &[String]) -> Vec<Event> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<String> = now.iter().cloned().collect();
        let ended = last.difference(&now).cloned().map(Event::Ended);
        let events = ended.chain(now.difference(&last).cloned().map(Event::Changed)).collect();
        *last = now;
        events
    }
}

/// The events of a server.
#[derive(Debug)]
pub(in crate::engine) struct Events {
    /// `None` once the server said that it has none.
    stream: Option<Replies>,
    server: Cri,
    /// What lists told, and nobody has heard yet.
    found: VecDeque<Event>,
    due: Interval,
    /// The list that is on its way: in a task of its own, so that giving up waiting does not begin it again.
    listing: JoinSet<Result<Vec<String>, GrpcError>>,
}

impl Events {
    pub(super) fn new(stream: Replies, server: Cri) -> Self {
        let mut due = interval_at(Instant::now() + EVERY, EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { stream: Some(stream), server, found: VecDeque::new(), due, listing: JoinSet::new() }
    }

    /// The next one. May be given up and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Event, Fault> {
        if let Some(replies) = &mut self.stream {
            match replies.next::<proto::ContainerEvent>().await {
                Ok(Some(event)) => return Ok(told(event)),
                // A CRI-O that is not told to have events ends them without one. A server that goes ends them, too: the first
                // list says which.
                Ok(None) => {
                    self.stream = None;
                    self.due.reset_immediately();
                }
                // Unknown to containerd before 1.7.
                Err(GrpcError::Refused { .. }) => self.stream = None,
                Err(error) => return Err(error.into()),
            }
        }
        loop {
            if let Some(event) = self.found.pop_front() {
                return Ok(event);
            }
            if self.listing.is_empty() {
                self.due.tick().await;
                let server = self.server.clone();
                self.listing.spawn(async move { server.ids().await });
            }
            if let Some(Ok(ids)) = self.listing.join_next().await {
                self.found.extend(self.server.listed.changes(&ids?));
            }
        }
    }
}

fn told(event: proto::ContainerEvent) -> Event {
    match event.kind {
        proto::STARTED => Event::Changed(event.container_id),
        kind if proto::ENDED.contains(&kind) => Event::Ended(event.container_id),
        _ => Event::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_tells() {
        let event = |kind| told(proto::ContainerEvent { container_id: "c1".to_owned(), kind });
        assert_eq!(event(1), Event::Changed("c1".to_owned()));
        assert_eq!(event(2), Event::Ended("c1".to_owned()));
        assert_eq!(event(3), Event::Ended("c1".to_owned()));
        // Created only: it has no process yet.
        assert_eq!(event(0), Event::Other);
        assert_eq!(event(17), Event::Other);
    }

    #[test]
    fn what_lists_tell() {
        let listed = Listed::default();
        let changes =
            |ids: &[&str]| listed.changes(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        let (ended, changed) =
            (|id: &str| Event::Ended(id.to_owned()), |id: &str| Event::Changed(id.to_owned()));
        assert_eq!(changes(&["a", "b"]), [changed("a"), changed("b")]);
        assert_eq!(changes(&["b", "a"]), []);
        assert_eq!(changes(&["b", "c"]), [ended("a"), changed("c")]);
        assert_eq!(changes(&[]), [ended("b"), ended("c")]);
    }
}
