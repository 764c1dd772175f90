//! The ways out: standard output on a thread of its own, the socket for `tail` on a small runtime; and the
//! signals that end everything.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle as Task;

use super::no_resources;
use super::start::boot_now;
use crate::cli::{OutputFormat, RunArgs, term};
use crate::diag::{Code, Diagnostic};
use crate::output::format::TextFormat;
use crate::output::transport::socket::{Bound, Options, bind};
use crate::output::transport::stdout::{Ended, pump};
use crate::output::{
    Clock, Demand, Emitter, Inbox, Kinds, Lane, LaneFormat, Limits, Sequence, loss_line, queue,
};

/// The runtime, and the signals it waits for from the first moment on, so that none is missed during the
/// start.
pub(super) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub(super) fn block() -> Result<Self, Diagnostic> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_resources)?;
        let guard = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(no_resources)?;
        let terminate = signal(SignalKind::terminate()).map_err(no_resources)?;
        let hangup = signal(SignalKind::hangup()).map_err(no_resources)?;
        drop(guard);
        Ok(Self { runtime, interrupt, terminate, hangup })
    }
}

/// Every way out.
pub(super) struct Sinks {
    node: String,
    clock: Clock,
    sequence: Sequence,
    socket: Option<Bound>,
    server: Option<(Runtime, Task<io::Result<()>>)>,
    socket_inbox: Option<(Inbox, Demand)>,
    stdout: Option<JoinHandle<io::Result<Ended>>>,
    stdout_ended: Option<oneshot::Receiver<()>>,
}

impl Sinks {
    /// Makes the socket, so that a second daemon is refused before anything is loaded.
    pub(super) fn open(args: &RunArgs, boot_to_epoch_ns: i64) -> Result<Self, Diagnostic> {
        let node = args
            .node
            .clone()
            .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
        let path: PathBuf = args.socket.clone();
        let socket = if args.no_socket { None } else { Some(bind(&path)?) };
        Ok(Self {
            node,
            clock: Clock { boot_to_epoch_ns },
            sequence: Sequence::default(),
            socket,
            server: None,
            socket_inbox: None,
            stdout: None,
            stdout_ended: None,
        })
    }

    /// Starts the way to standard output, and gives the emitter with every lane.
    pub(super) fn emitter(&mut self, args: &RunArgs) -> Result<Emitter, Diagnostic> {
        let mut emitter = Emitter::new(self.node.clone(), self.clock, self.sequence.clone());
        let (outbox, mut inbox) = queue(Limits::default());
        let format = match args.format {
            OutputFormat::Json => LaneFormat::Json,
            OutputFormat::Text => {
                let style = term::stdout_style(args.color, None);
                LaneFormat::Text(Box::new(TextFormat::new(self.clock, style)))
            }
        };
        emitter.add(Lane { name: "stdout", format, kinds: args.kinds()?, demand: None, outbox });
        let (ended, watch) = oneshot::channel();
        let writer = std::thread::Builder::new().name("stdout".into()).spawn(move || {
            super::come_first();
            let result = pump(&mut inbox, &mut io::stdout().lock());
            // Nobody waits for it once the daemon is stopping.
            let _ = ended.send(());
            result
        });
        self.stdout = Some(writer.map_err(no_resources)?);
        self.stdout_ended = Some(watch);
        if self.socket.is_some() {
            let (outbox, inbox) = queue(Limits::default());
            let demand = Demand::new();
            let format = LaneFormat::Json;
            let kinds = Kinds::ALL;
            emitter.add(Lane { name: "socket", format, kinds, demand: Some(demand.clone()), outbox });
            self.socket_inbox = Some((inbox, demand));
        }
        Ok(emitter)
    }

    /// Serves the socket until a signal comes, or nobody reads standard output any more. Says why it ended.
    pub(super) fn wait(&mut self, signals: Signals) -> Result<&'static str, Diagnostic> {
        let Signals { runtime, mut interrupt, mut terminate, mut hangup } = signals;
        let ended = self.stdout_ended.take();
        let server = match (self.socket.take(), self.socket_inbox.take()) {
            (Some(bound), Some((inbox, demand))) => {
                let (node, clock, sequence) = (self.node.clone(), self.clock, self.sequence.clone());
                let line = move |count| loss_line(&node, clock, &sequence, boot_now(), count);
                let options = Options::new(demand, Arc::new(line));
                Some(runtime.spawn(bound.serve(inbox, options)))
            }
            _ => None,
        };
        let reason = runtime.block_on(async {
            let gone = async {
                match ended {
                    // The writer's end is dropped only with the thread, which tells first.
                    Some(ended) => drop(ended.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => "interrupted",
                _ = terminate.recv() => "terminated",
                _ = hangup.recv() => "hung up",
                () = gone => "nobody reads the output",
            }
        });
        self.server = server.map(|task| (runtime, task));
        Ok(reason)
    }

    /// Lets everything that was written reach its reader. The emitter must be gone.
    pub(super) fn finish(self) -> Result<(), Diagnostic> {
        if let Some((runtime, task)) = self.server {
            // A reader that is stuck is given up by the server's own deadline.
            let _ = runtime.block_on(task);
        }
        match self.stdout.map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(Diagnostic::new(Code::CannotWrite).note(error.to_string())),
            _ => Ok(()),
        }
    }
}
