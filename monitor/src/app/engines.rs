//! The thread that speaks with engines: nothing else waits for them.

use std::thread::JoinHandle;

use tokio::sync::mpsc::{Sender, channel};

use super::adopt::Running;
use super::hot::{Mailbox, Wake};
use super::{no_resources, spawn};
use crate::cli::RunArgs;
use crate::container::{Resolver, Status, Update};
use crate::diag::Diagnostic;
use crate::engine::{Desk, Known, Outlet, StatusChange, node_name};

/// Containers that may wait to be asked about.
const KNOWN: usize = 4096;

impl Outlet for Mailbox {
    fn update(&self, update: Update) -> bool {
        self.send(Wake::Found { update: Box::new(update), ancestors: Vec::new() })
    }

    fn status(&self, change: StatusChange) {
        self.send(Wake::Do(Box::new(|pipeline, now| pipeline.engine(now, change))));
    }
}

/// The way to the engines, and the thread. It ends when the way is closed.
pub(super) type Engines = (Sender<Known>, JoinHandle<()>);

/// Those of the containers found running that the files have named: the edge is not asked about them again.
pub(super) fn known(running: &[Running]) -> Vec<Known> {
    let named = running.iter().filter_map(|Running { scanned, update }| {
        let update = update.as_ref().filter(|update| update.status == Status::Resolved)?;
        Some(Known { request: scanned.request.clone(), update: update.clone() })
    });
    named.collect()
}

/// Starts the thread; `None` if no engine is to be asked.
pub(super) fn start(
    args: &RunArgs,
    resolver: &Resolver,
    mailbox: &Mailbox,
) -> Result<Option<Engines>, Diagnostic> {
    if args.no_engines && args.engines.is_empty() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_resources)?;
    let (sender, known) = channel(KNOWN);
    let (resolver, mailbox) = (resolver.clone(), mailbox.clone());
    let (endpoints, find) = (args.engines.clone(), !args.no_engines);
    let node = node_name(args.node.as_deref());
    let thread = spawn("engines", move || {
        // The desk starts tasks, which go when the runtime does.
        runtime.block_on(async move { Desk::new(resolver, endpoints, find, node, mailbox).run(known).await });
        // Nobody waits for a name that is being looked up.
        runtime.shutdown_background();
    })?;
    Ok(Some((sender, thread)))
}
