//! `bulkhead posture`: reads the host once, and says what each running container was granted.

use super::CONTROL_SOCKETS;
use super::start::{self, boot_now};
use crate::cli::{self, OutputFormat, PostureArgs, term};
use crate::container::{HostPaths, Identity, initial_namespace};
use crate::diag::{Code, Diagnostic, Exit};
use crate::output::format::{Format as _, JsonFormat};
use crate::output::{Body, Clock, Common, Record};
use crate::posture::Subject;
use crate::posture::gather::{Options, gather, name};
use crate::posture::report::{self, Judged};
use crate::tail;

/// What reading other processes' root, namespaces and environment needs (ptrace(2), capabilities(7)).
const NEEDED: &[(u32, &str)] = &[(19, "CAP_SYS_PTRACE"), (2, "CAP_DAC_READ_SEARCH")];
/// Names of containers in a message.
const MAX_NAMED: usize = 20;

/// Says what each running container was granted.
///
/// # Errors
/// [`Code::NotPrivileged`] where other processes cannot be read, [`Code::NoCgroupMount`] where containers cannot be told
/// apart, [`Code::NoContainer`] if a pattern fits none.
pub fn posture(args: &PostureArgs) -> Result<Exit, Diagnostic> {
    start::require(NEEDED)?;
    // Process 1 may be out of reach; that of this process is the same, where it may look at all others.
    if start::namespace_inode(std::process::id(), "pid").is_ok_and(|inode| inode != initial_namespace("pid"))
    {
        return Err(Diagnostic::new(Code::NotPrivileged).note("this is not the host's process namespace"));
    }
    let sockets = CONTROL_SOCKETS.iter().map(Into::into).chain(args.control_sockets.iter().cloned());
    let options = Options {
        host: HostPaths::default(),
        state_roots: args.state_roots.clone(),
        control_sockets: sockets.collect(),
    };
    let (host, subjects) =
        gather(options).map_err(|e| Diagnostic::new(Code::NoCgroupMount).note(e.to_string()))?;
    let patterns: Vec<&str> = args.explain.iter().chain(&args.containers).map(String::as_str).collect();
    let wanted = choose(&subjects, &patterns)?;
    let in_full = args.explain.is_some();
    let judged: Vec<Judged<'_>> =
        wanted.into_iter().map(|subject| Judged::new(subject, &host, in_full)).collect();
    match args.format {
        OutputFormat::Json => cli::print(&as_json(&judged))?,
        OutputFormat::Text => {
            let style = term::stdout_style(args.color, None);
            let write = if in_full { report::explained } else { report::overview };
            cli::print(&write(&judged, style))?;
        }
    }
    let fails = args.fail_on.is_some_and(|least| judged.iter().any(|judged| judged.fails(least)));
    Ok(if fails { Exit::Findings } else { Exit::Ok })
}

fn as_json(judged: &[Judged<'_>]) -> String {
    let mut format = JsonFormat::new(Clock::now());
    let uname = rustix::system::uname();
    let (time, node) = (boot_now(), uname.nodename().to_string_lossy());
    let mut out = Vec::new();
    for (seq, judged) in (1..).zip(judged) {
        let body = Body::Posture { container: &judged.subject.container, posture: judged.record() };
        format.encode(&Record { common: Common { time, seq, node: &node }, body }, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The containers that one of the patterns fits; all if there is no pattern.
fn choose<'a>(subjects: &'a [Subject], patterns: &[&str]) -> Result<Vec<&'a Subject>, Diagnostic> {
    let fits = |subject: &&Subject, pattern: &str| {
        names(subject.identity()).any(|name| tail::matches(pattern, name))
            || tail::matches(pattern, &name(&subject.container))
    };
    if let Some(none) = patterns.iter().find(|pattern| !subjects.iter().any(|s| fits(&s, pattern))) {
        let known: Vec<String> = subjects.iter().take(MAX_NAMED).map(|s| name(&s.container)).collect();
        let said = if known.is_empty() {
            "no container is running".to_owned()
        } else {
            format!("running: {}", known.join(", "))
        };
        return Err(
            Diagnostic::titled(Code::NoContainer, format!("no running container fits `{none}`")).note(said)
        );
    }
    Ok(subjects
        .iter()
        .filter(|subject| patterns.is_empty() || patterns.iter().any(|pattern| fits(subject, pattern)))
        .collect())
}

/// What a container may be called by.
fn names(identity: &Identity) -> impl Iterator<Item = &str> {
    let own = [identity.name.as_deref(), identity.id.as_deref()];
    let pod = identity.pod.as_ref().map(|pod| pod.name.as_str());
    let service = identity.swarm.as_ref().map(|swarm| swarm.service.as_str());
    let compose = identity.compose.as_ref().map(|compose| compose.service.as_str());
    own.into_iter().chain([pod, service, compose]).flatten()
}
