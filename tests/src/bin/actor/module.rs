//! Kernel modules: one that is whole, loaded and removed; and one whose first instruction is invalid, so that the kernel
//! oopses in the task that loads it. For guests only: nobody else's kernel is broken.

use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::{self, Ret, at, c_string, call};
use crate::{Usage, Words};

/// At the end of a signed module (kernel `include/linux/module_signature.h`); without it the module counts as unsigned.
const SIGNED: &[u8] = b"~Module signature appended~\n";
/// `SHT_SYMTAB`, `SHT_RELA`.
const SYMBOLS: u32 = 2;
const RELOCATIONS: u32 = 4;
/// `ud2`.
const INVALID: [u8; 2] = [0x0f, 0x0b];

/// An ELF file of 64 bits, little end first.
struct Module {
    bytes: Vec<u8>,
}

/// What is needed of a section's header.
#[derive(Clone, Copy)]
struct Section {
    name: usize,
    kind: u32,
    offset: usize,
    size: usize,
    link: usize,
    info: usize,
}

impl Module {
    fn read(path: &std::ffi::OsStr) -> Option<Self> {
        let mut bytes = std::fs::read(path).ok()?;
        if bytes.ends_with(SIGNED) {
            bytes.truncate(bytes.len() - SIGNED.len());
        }
        Some(Self { bytes })
    }

    fn number(&self, at: usize, len: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn section(&self, index: usize) -> Option<Section> {
        let at = self.number(0x28, 8)?.checked_add(index.checked_mul(self.number(0x3a, 2)?)?)?;
        Some(Section {
            name: self.number(at, 4)?,
            kind: self.number(at + 4, 4)? as u32,
            offset: self.number(at + 24, 8)?,
            size: self.number(at + 32, 8)?,
            link: self.number(at + 40, 4)?,
            info: self.number(at + 44, 4)?,
        })
    }

    fn sections(&self) -> impl Iterator<Item = Section> {
        (0..self.number(0x3c, 2).unwrap_or(0)).map_while(|index| self.section(index))
    }

    fn text(&self, strings: Section, at: usize) -> Option<&[u8]> {
        let text = self.bytes.get(strings.offset..)?.get(at..)?;
        text.split(|byte| *byte == 0).next()
    }

    fn named(&self, name: &[u8]) -> Option<Section> {
        let names = self.section(self.number(0x3e, 2)?)?;
        self.sections().find(|section| self.text(names, section.name) == Some(name))
    }

    /// Exchanges the module's name for one of the same length: the kernel knows a module by it, and one that oopsed as it
    /// began stays.
    fn rename(&mut self, name: &[u8]) -> Option<()> {
        let info = self.named(b".modinfo")?;
        let facts = self.bytes.get(info.offset..info.offset + info.size)?;
        let old = facts.split(|byte| *byte == 0).find_map(|fact| fact.strip_prefix(b"name="))?.to_vec();
        if old.len() != name.len() {
            return None;
        }
        for section in [info, self.named(b".gnu.linkonce.this_module")?] {
            let bytes = self.bytes.get_mut(section.offset..section.offset + section.size)?;
            let found = (0..bytes.len().saturating_sub(old.len()))
                .find(|at| bytes[*at..].starts_with(&old) && bytes.get(at + old.len()) == Some(&0))?;
            bytes[found..found + name.len()].copy_from_slice(name);
        }
        Some(())
    }

    /// Makes the first instruction of `init_module` that is the module's own an invalid one: those before it are the
    /// compiler's, for the kernel's tracer and against jumps.
    fn break_start(&mut self) -> Option<()> {
        let symbols = self.sections().find(|section| section.kind == SYMBOLS)?;
        let strings = self.section(symbols.link)?;
        let mut all = (0..symbols.size / 24).map(|n| symbols.offset + n * 24);
        let init = all.find(|at| {
            self.number(*at, 4).and_then(|name| self.text(strings, name)) == Some(b"init_module")
        })?;
        let (index, value) = (self.number(init + 6, 2)?, self.number(init + 8, 8)?);
        let code = self.section(index)?;
        let mut start = value;
        for (skipped, len) in [(&[0xf3, 0x0f, 0x1e, 0xfa][..], 4), (&[0xe8], 5)] {
            if self.bytes.get(code.offset + start..)?.starts_with(skipped) {
                start += len;
            }
        }
        // What the kernel would write over it when it puts addresses in.
        let is_hit = |at: usize| at < start + INVALID.len() && at + 4 > start;
        let of_code = |section: &Section| section.kind == RELOCATIONS && section.info == index;
        for section in self.sections().filter(of_code).collect::<Vec<_>>() {
            let mut places = (0..section.size / 24).map(|n| section.offset + n * 24);
            if places.any(|at| self.number(at, 8).is_none_or(is_hit)) {
                return None;
            }
        }
        let place = code.offset + start;
        self.bytes.get_mut(place..place + INVALID.len())?.copy_from_slice(&INVALID);
        Some(())
    }

    /// From memory: by a descriptor, later loads would wait for one that never came back.
    fn load(&self) -> Ret {
        let none = c"numdummies=0";
        let (bytes, len) = (self.bytes.as_ptr() as usize, self.bytes.len());
        // SAFETY: both buffers outlive the call, and have the length that is given, or end with a NUL.
        unsafe { call(libc::SYS_init_module, [bytes, len, none.as_ptr() as usize, 0, 0, 0]) }
    }
}

/// Loads a module that is whole, and removes it.
fn load_and_remove(module: &Module, name: &CString) -> Ret {
    let loaded = module.load();
    if loaded.failed() {
        return loaded;
    }
    // SAFETY: the string outlives the call.
    unsafe { call(libc::SYS_delete_module, [at(name), libc::O_NONBLOCK as usize, 0, 0, 0, 0]) }
}

/// Which thread of a child loads a broken module.
#[derive(Clone, Copy)]
enum Who {
    First,
    /// Another one, for which the first one waits.
    Beside,
    /// Another one, after the first one has ended.
    Last,
}

/// What the threads of a child share.
struct Errand<'a> {
    module: &'a Module,
    who: Who,
    /// Not 0 while the first thread runs: the kernel clears it.
    first: AtomicU32,
}

/// Loads a broken module; ends its process if it comes back.
fn load_broken(module: &Module) -> ! {
    module.load();
    // SAFETY: does not return.
    unsafe { libc::_exit(1) }
}

extern "C" fn load_in_thread(errand: *mut c_void) -> *mut c_void {
    // SAFETY: the errand of `in_thread`, whose function returns only when this thread has ended.
    let errand = unsafe { &*errand.cast::<Errand<'_>>() };
    while matches!(errand.who, Who::Last) && errand.first.load(Ordering::Acquire) != 0 {
        // SAFETY: the word outlives the call; it returns when the kernel has cleared the word, or at once if it has.
        unsafe {
            call(libc::SYS_futex, [errand.first.as_ptr() as usize, libc::FUTEX_WAIT as usize, 1, 0, 0, 0]);
        }
    }
    load_broken(errand.module)
}

/// What the first thread of a child does that has another one load the module.
fn in_thread(module: &Module, who: Who) -> ! {
    let errand = Errand { module, who, first: AtomicU32::new(1) };
    let mut thread = 0;
    // SAFETY: the thread reads the errand, which lives until the kernel says that the thread is gone (that it ended by no
    // function of the library is the same to pthread_join(3)), or for as long as the process: where the first thread ends
    // alone, its stack stays.
    unsafe {
        let shared = std::ptr::from_ref(&errand).cast_mut().cast();
        libc::pthread_create(&raw mut thread, std::ptr::null(), load_in_thread, shared);
        if matches!(who, Who::Last) {
            libc::syscall(libc::SYS_set_tid_address, errand.first.as_ptr());
            libc::syscall(libc::SYS_exit, 0);
        }
        libc::pthread_join(thread, std::ptr::null_mut());
    }
    sys::end_child()
}

/// Loads a broken module in a child; succeeds if the thread that did it did not come back.
fn break_kernel(module: &Module, who: Who) -> Ret {
    // SAFETY: this process has one thread; the child makes system calls, and at most one thread of its own.
    let child = unsafe { libc::fork() };
    if child == 0 {
        match who {
            Who::First => load_broken(module),
            Who::Beside | Who::Last => in_thread(module, who),
        }
    }
    if child < 0 {
        return Ret::refused(libc::EAGAIN);
    }
    let mut status = 0;
    // SAFETY: the status is written to a variable of ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    let came_back = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) != 0;
    if came_back { Ret::refused(libc::ENOEXEC) } else { Ret::OK }
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    let who = match verb {
        "load-module" => None,
        "break-module" => Some(Who::First),
        "break-module-in-thread" => Some(Who::Beside),
        "break-module-in-last-thread" => Some(Who::Last),
        _ => return Ok(None),
    };
    let path = words.word("module")?;
    let name = c_string(words.word("name of the same length")?);
    let unusable = || Usage(format!("{} is no module to be used here", path.display()));
    let mut module = Module::read(&path).ok_or_else(unusable)?;
    module.rename(name.as_bytes()).ok_or_else(unusable)?;
    let Some(who) = who else { return Ok(Some(load_and_remove(&module, &name))) };
    module.break_start().ok_or_else(unusable)?;
    Ok(Some(break_kernel(&module, who)))
}
