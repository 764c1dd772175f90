//! The thread that looks at containers as they start, and says what they were granted. It alone opens paths inside them:
//! a file system that does not answer keeps this thread waiting, and nobody else.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::CONTROL_SOCKETS;
use super::hot::{Mailbox, Wake};
use crate::cli::{PostureChoice, RunArgs};
use crate::container::HostPaths;
use crate::diag::{Code, Diagnostic};
use crate::pipeline::PostureRules;
use crate::posture::Question;
use crate::posture::gather::{Inspector, Options};

/// Containers that may wait. What finds no room is counted, and never looked at: it would be another by then.
const QUEUE: usize = 1024;

/// What looks at containers; `None` if nobody wants to know.
///
/// # Errors
/// Containers cannot be told apart, because no cgroup file system is mounted.
pub(super) fn prepare(args: &RunArgs) -> Result<Option<Inspector>, Diagnostic> {
    if args.posture == PostureChoice::Off {
        return Ok(None);
    }
    let sockets = CONTROL_SOCKETS.iter().map(Into::into).chain(args.control_sockets.iter().cloned());
    let options = Options {
        host: HostPaths::default(),
        state_roots: args.state_roots.clone(),
        control_sockets: sockets.collect(),
    };
    let inspector =
        Inspector::new(options).map_err(|e| Diagnostic::new(Code::NoCgroupMount).note(e.to_string()))?;
    Ok(Some(inspector))
}

/// Which of the findings are wanted.
pub(super) fn rules(args: &RunArgs) -> PostureRules {
    let upper = args.disabled_rules.iter().filter_map(|id| crate::posture::find_rule(id));
    PostureRules { least: args.posture.least(), disabled: upper.map(|rule| rule.id.to_owned()).collect() }
}

/// Starts the thread. It ends with the process: a file system may keep it waiting for as long as it likes.
///
/// # Errors
/// No thread could be had.
pub(super) fn start(inspector: Inspector, mailbox: Mailbox) -> Result<SyncSender<Question>, Diagnostic> {
    let (sender, questions) = sync_channel(QUEUE);
    super::spawn("posture", move || run(inspector, &questions, &mailbox))?;
    Ok(sender)
}

fn run(mut inspector: Inspector, questions: &Receiver<Question>, mailbox: &Mailbox) {
    while let Ok(question) = questions.recv() {
        let answer = inspector.inspect(&question);
        let told = mailbox.send(Wake::Do(Box::new(move |pipeline, now| pipeline.inspected(now, &answer))));
        if !told {
            return;
        }
    }
}
