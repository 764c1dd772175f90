//! `bulkhead tail`: follows a daemon over its socket. It reads the same JSON lines as any other program.

mod client;
mod filter;
mod render;

pub use client::{Ended, follow};
pub use filter::{Filter, matches};
pub use render::Renderer;

use std::io::{self, Write};

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{OutputFormat, TailArgs, term};
use crate::diag::{Code, Diagnostic, Exit};

/// Follows until it is interrupted, nobody reads, or the daemon ends.
///
/// # Errors
/// A filter that cannot be understood, no daemon, a daemon that went away without a word, a failed write.
pub fn run(args: &TailArgs) -> Result<Exit, Diagnostic> {
    let filter = Filter::new(&args.containers, args.kind.as_deref(), args.severity)?.with_setup(args.setup);
    let renderer = match args.format {
        OutputFormat::Json => None,
        OutputFormat::Text => Some(Renderer::new(term::stdout_style(args.color, args.width))),
    };
    let refused = |error: io::Error| Diagnostic::new(Code::NoResources).note(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let stream = UnixStream::connect(&args.socket).await.map_err(|error| no_daemon(args, &error))?;
        let reader = BufReader::with_capacity(256 << 10, stream);
        let mut out = io::stdout().lock();
        let ended = tokio::select! {
            ended = follow(reader, &mut out, &filter, renderer) => ended?,
            _ = interrupt.recv() => Ended::NobodyReads,
            _ = terminate.recv() => Ended::NobodyReads,
        };
        match ended {
            Ended::NobodyReads => Ok(Exit::Ok),
            Ended::Stopped => {
                // That standard error is gone is no reason to fail at the end.
                let _ = writeln!(io::stderr(), "bulkhead: the daemon has stopped");
                Ok(Exit::Ok)
            }
            Ended::Lost => Err(Diagnostic::new(Code::DaemonLost)),
        }
    })
}

fn no_daemon(args: &TailArgs, error: &io::Error) -> Diagnostic {
    let title = format!("cannot connect to the daemon at {}", args.socket.display());
    let diagnostic = Diagnostic::titled(Code::NoDaemon, title).note(error.to_string());
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            diagnostic.help("only the user that runs the daemon may read it: use root")
        }
        _ => diagnostic,
    }
}
