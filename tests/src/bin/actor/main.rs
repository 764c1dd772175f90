//! `actor`: runs inside containers and performs exactly the acts it is told, one after the other in one process.
//!
//! `actor [--nonce=N] VERB ARGS… [VERB ARGS…]…`: each verb takes a fixed number of arguments (`exec` takes the
//! rest) and prints `pid=P verb=V ret=R errno=E`. A refusal by the kernel is a result, not a failure: the status
//! is 0 all the same. Status 2 is a wrong command line.

#![expect(unsafe_code, reason = "the acts are raw system calls, most of which no library offers")]

mod cgroup;
mod change;
mod compat;
mod cred;
mod detour;
mod dns;
mod file;
mod kernel;
mod module;
mod mount;
mod namespace;
mod net;
mod program;
mod session;
mod socket;
mod splice;
mod storm;
mod sys;
mod task;
mod uring;
mod within;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use sys::Ret;

/// What is left of the command line.
struct Words {
    rest: std::vec::IntoIter<OsString>,
}

/// A wrong command line.
struct Usage(String);

impl Words {
    fn word(&mut self, what: &str) -> Result<OsString, Usage> {
        self.rest.next().ok_or_else(|| Usage(format!("{what} is missing")))
    }

    fn text(&mut self, what: &str) -> Result<String, Usage> {
        self.word(what)?.into_string().map_err(|bad| Usage(format!("{what} {} is not text", bad.display())))
    }

    fn number(&mut self, what: &str) -> Result<u32, Usage> {
        let text = self.text(what)?;
        text.parse().map_err(|_| Usage(format!("{what} {text} is not a number")))
    }
}

fn act(verb: &str, words: &mut Words) -> Result<Ret, Usage> {
    let families = [
        storm::act,
        namespace::act,
        mount::act,
        cred::act,
        file::act,
        change::act,
        net::act,
        cgroup::act,
        compat::act,
        uring::act,
        program::act,
        detour::act,
        within::act,
        task::act,
        kernel::act,
        module::act,
        socket::act,
        splice::act,
        dns::act,
    ];
    for family in families {
        if let Some(ret) = family(verb, words)? {
            return Ok(ret);
        }
    }
    Err(Usage(format!("unknown verb {verb}")))
}

fn run(words: &mut Words) -> Result<(), Usage> {
    let mut verb = words.text("verb")?;
    loop {
        match verb.as_str() {
            "marker" => report(&verb, Ret::OK),
            "wait" => sys::wait_for_end(),
            "wait-for-line" => session::wait_for_line(),
            "session" => session::serve(),
            _ => {
                let ret = act(&verb, words)?;
                report(&verb, ret);
            }
        }
        match words.rest.next() {
            Some(next) => verb = next.to_string_lossy().into_owned(),
            None => return Ok(()),
        }
    }
}

fn report(verb: &str, ret: Ret) {
    let pid = std::process::id();
    // A reader that is gone changes nothing about the act.
    let _ = writeln!(std::io::stdout(), "pid={pid} verb={verb} ret={} errno={}", ret.value, ret.errno);
    let _ = std::io::stdout().flush();
}

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Only for who watches: it tells this process from others.
    if args.first().is_some_and(|first| first.to_string_lossy().starts_with("--nonce=")) {
        args.remove(0);
    }
    match run(&mut Words { rest: args.into_iter() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Usage(why)) => {
            let _ = writeln!(std::io::stderr(), "actor: {why}");
            ExitCode::from(2)
        }
    }
}
