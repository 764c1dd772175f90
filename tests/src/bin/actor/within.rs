//! Words before an act that say who does it: another thread, a child that shares memory, a process with a name that
//! lies. `thread setns-path /hostns/uts uts` is an act of a second thread.

use std::ffi::c_void;

use crate::sys::{self, Ret, c_string, call};
use crate::{Usage, Words, act as any};

const STACK: usize = 256 << 10;

/// The act that follows, in a thread that ends with it.
fn thread(words: &mut Words) -> Result<Ret, Usage> {
    let verb = words.text("verb")?;
    std::thread::scope(|scope| scope.spawn(|| any(&verb, words)).join())
        .unwrap_or_else(|_| Err(Usage("the thread panicked".to_owned())))
}

struct Errand<'a> {
    verb: String,
    words: &'a mut Words,
    answer: Option<Result<Ret, Usage>>,
}

/// The act that follows, in a child that has this process's memory, which stands still meanwhile.
fn vfork(words: &mut Words) -> Result<Ret, Usage> {
    extern "C" fn run(errand: *mut c_void) -> libc::c_int {
        // SAFETY: `vfork` below passes its own, which outlives the child, and does not touch it meanwhile.
        let errand = unsafe { &mut *errand.cast::<Errand<'_>>() };
        errand.answer = Some(any(&errand.verb, errand.words));
        0
    }
    let mut errand = Errand { verb: words.text("verb")?, words, answer: None };
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack grows down from its end and is the child's alone; CLONE_VFORK keeps this thread from running
    // until the child has ended, so that nothing that they share is used by both.
    let child = unsafe {
        libc::clone(run, stack.as_mut_ptr_range().end.cast(), flags, std::ptr::from_mut(&mut errand).cast())
    };
    if child < 0 {
        return Ok(Ret::refused(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)));
    }
    sys::wait_for(i64::from(child));
    errand.answer.unwrap_or_else(|| Err(Usage("the child did nothing".to_owned())))
}

/// This thread's name, then the act that follows.
fn named(words: &mut Words) -> Result<Ret, Usage> {
    let name = c_string(words.word("name")?);
    // SAFETY: the string outlives the call.
    unsafe { call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, sys::at(&name), 0, 0, 0, 0]) };
    let verb = words.text("verb")?;
    any(&verb, words)
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "thread" => thread(words)?,
        "vfork" => vfork(words)?,
        "named" => named(words)?,
        _ => return Ok(None),
    }))
}
