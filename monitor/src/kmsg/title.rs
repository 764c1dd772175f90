//! The lines with which a report begins, as kernels from 5.8 on print them.

use monitor_common::event::fault_report as report;

use super::line::{cut, cut_last, number};

/// What the first line of a report says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Title<'a> {
    /// One of [`report`].
    pub(super) report: u32,
    /// Source file and line.
    pub(super) place: &'a [u8],
    /// The function.
    pub(super) function: &'a [u8],
    /// CPU and thread.
    pub(super) task: Option<(u32, u32)>,
}

/// First lines that end with an address (kernel `arch/*/mm/fault.c`). Each beginning is longer than the name of a task can be.
const ADDRESSES: &[(&[u8], u32)] = &[
    (b"BUG: kernel NULL pointer dereference, address: ", report::NULL_POINTER),
    (b"BUG: unable to handle page fault for address: ", report::PAGE_FAULT),
    (b"BUG: unable to handle kernel NULL pointer dereference at ", report::NULL_POINTER),
    (b"BUG: unable to handle kernel paging request at ", report::PAGE_FAULT),
    (b"Unable to handle kernel NULL pointer dereference at virtual address ", report::NULL_POINTER),
    (b"Unable to handle kernel paging request at virtual address ", report::PAGE_FAULT),
    (b"Unable to handle kernel read from unreadable memory at virtual address ", report::PAGE_FAULT),
    (b"Unable to handle kernel write to read-only memory at virtual address ", report::PAGE_FAULT),
    (b"Unable to handle kernel execute from non-executable memory at virtual address ", report::PAGE_FAULT),
    (b"Unable to handle kernel execution of user memory at virtual address ", report::PAGE_FAULT),
    (
        b"Unable to handle kernel access to user memory outside uaccess routines at virtual address ",
        report::PAGE_FAULT,
    ),
    (
        b"Unable to handle kernel access to user memory with fs=KERNEL_DS at virtual address ",
        report::PAGE_FAULT,
    ),
];

/// First lines in which the name of the task is followed by page table entries or a page's number (`mm/memory.c`,
/// `mm/page_alloc.c`).
const PAGES: &[&[u8]] = &[b"BUG: Bad page state in process ", b"BUG: Bad page map in process "];

/// Those after which the function comes (`mm/kasan/report.c`, `mm/kfence/report.c`, `mm/kmsan/report.c`).
const SANITIZERS: &[(&[u8], u32)] =
    &[(b"BUG: KASAN: ", report::KASAN), (b"BUG: KFENCE: ", report::KFENCE), (b"BUG: KMSAN: ", report::KMSAN)];

impl<'a> Title<'a> {
    /// Reads the first line of a report; `None` for every other line.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii_end();
        if let Some((start, report)) = ADDRESSES.iter().find(|(start, _)| text.starts_with(start)) {
            return is_hex(&text[start.len()..]).then_some(Self { report: *report, ..Self::default() });
        }
        if let Some(start) = PAGES.iter().find(|start| text.starts_with(start)) {
            return has_entries(&text[start.len()..])
                .then_some(Self { report: report::BUG, ..Self::default() });
        }
        if is_overflow(text) {
            return Some(Self { report: report::OOPS, ..Self::default() });
        }
        if let Some(place) = text.strip_prefix(b"kernel BUG at ").and_then(|rest| rest.strip_suffix(b"!")) {
            return is_place(place).then_some(Self { report: report::BUG, place, ..Self::default() });
        }
        if let Some((start, report)) = SANITIZERS.iter().find(|(start, _)| text.starts_with(start)) {
            // `slab-out-of-bounds in function+0x1/0x2 [module]`
            let (kind, function) = cut(&text[start.len()..], b" in ")?;
            let is_kind = kind.iter().all(|c| c.is_ascii_alphanumeric() || b"- ".contains(c));
            return (is_kind && is_function(function)).then_some(Self {
                report: *report,
                function,
                ..Self::default()
            });
        }
        if let Some(rest) = text.strip_prefix(b"UBSAN: ") {
            // `array-index-out-of-bounds in fs/x.c:1:2`
            let (kind, place) = cut(rest, b" in ")?;
            let is_kind = kind.iter().all(|c| c.is_ascii_lowercase() || *c == b'-');
            return (is_kind && is_place(place)).then_some(Self {
                report: report::UBSAN,
                place,
                ..Self::default()
            });
        }
        if let Some(rest) = text.strip_prefix(b"WARNING: ") {
            return warning(rest);
        }
        exception(text)
    }
}

/// `CPU: 0 PID: 1 at file:2 function+0x3/0x4`, and from 6.19 on `file:2 at function+0x3/0x4, CPU#0: name/1`; the file may
/// be left out (kernel `kernel/panic.c`, `__warn()`). Whatever the name of the task is, its number comes last.
fn warning(rest: &[u8]) -> Option<Title<'_>> {
    let (what, task) = if let Some(rest) = rest.strip_prefix(b"CPU: ") {
        let (cpu, rest) = cut(rest, b" PID: ")?;
        let (thread, what) = cut(rest, b" at ")?;
        (what, (number(cpu)?, number(thread)?))
    } else {
        let (what, rest) = cut(rest, b", CPU#")?;
        let (cpu, rest) = cut(rest, b": ")?;
        let (_, thread) = cut_last(rest, b"/")?;
        (what.strip_prefix(b"at ").unwrap_or(what), (number(cpu)?, number(thread)?))
    };
    let (place, function) = match cut(what, b" at ").or_else(|| cut(what, b" ")) {
        // A function in a module has a blank in it.
        Some((place, function)) if is_place(place) => (place, function),
        _ => (&[][..], what),
    };
    let task = (u32::try_from(task.0).ok()?, u32::try_from(task.1).ok()?);
    is_function(function).then_some(Title { report: report::WARNING, place, function, task: Some(task) })
}

/// `title: 0000 [#1] PREEMPT SMP NOPTI`, from 6.10 on behind `Oops: ` (kernel `arch/x86/kernel/dumpstack.c`,
/// `__die_header()`), and `Internal error: title: 0000000096000004 [#1] PREEMPT SMP` (`arch/arm64/kernel/traps.c`).
fn exception(text: &[u8]) -> Option<Title<'_>> {
    let (before, flags) = cut(text, b"]")?;
    let (before, count) = cut(before, b" [#")?;
    let (title, code) = cut_last(before, b": ")?;
    let is_code = code.len() >= 4 && code.len() <= 16 && code.iter().all(u8::is_ascii_hexdigit);
    // Where another task's name would go on with its number or with words.
    let is_flag =
        |word: &[u8]| word.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == b'_');
    let are_flags = flags.is_empty()
        || flags.strip_prefix(b" ").is_some_and(|flags| flags.split(|byte| *byte == b' ').all(is_flag));
    let is_title =
        title.iter().all(|c| c.is_ascii_alphanumeric() || b" ,:-#/_".contains(c)) && !title.is_empty();
    number(count).filter(|_| is_code && are_flags && is_title)?;
    let title = title.strip_prefix(b"Internal error: ").unwrap_or(title);
    let title = title.strip_prefix(b"Oops: ").unwrap_or(title);
    let report = if title.starts_with(b"general protection fault") {
        report::GENERAL_PROTECTION
    } else if title.starts_with(b"invalid opcode") {
        report::INVALID_OPCODE
    } else if title == b"Oops - BUG" {
        report::BUG
    } else {
        report::OOPS
    };
    Some(Title { report, ..Title::default() })
}

/// `name  pfn:12345`, `name  pte:8000000012345067 pmd:12345067`: the name may be any, two blanks and the rest are the kernel's.
fn has_entries(text: &[u8]) -> bool {
    let is_entry = |word: &[u8]| {
        cut(word, b":")
            .is_some_and(|(level, value)| level.iter().all(u8::is_ascii_lowercase) && is_hex(value))
    };
    cut_last(text, b"  ").is_some_and(|(_, entries)| entries.split(|byte| *byte == b' ').all(is_entry))
}

/// `BUG: TASK stack guard page was hit at 0123 (stack is 0123..4567)`, before 5.16 without the kind of stack
/// (`arch/x86/kernel/traps.c`, `handle_stack_overflow()`).
fn is_overflow(text: &[u8]) -> bool {
    let parts = || {
        let (kind, rest) = cut(text.strip_prefix(b"BUG: ")?, b"stack guard page was hit at ")?;
        let (at, rest) = cut(rest, b" (stack is ")?;
        let (low, high) = cut(rest.strip_suffix(b")")?, b"..")?;
        let is_kind = kind.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || b"#_ ".contains(c));
        Some(is_kind && [at, low, high].into_iter().all(is_hex))
    };
    parts().unwrap_or(false)
}

/// Digits of an address and nothing else.
fn is_hex(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit)
}

/// `mm/slub.c:77`, with a column or without: names of source files have no blanks.
fn is_place(text: &[u8]) -> bool {
    let Some((file, line)) = cut(text, b":") else { return false };
    let is_file = |c: &u8| c.is_ascii_alphanumeric() || b"/._-+".contains(c);
    !file.is_empty()
        && file.iter().all(is_file)
        && line.split(|byte| *byte == b':').all(|digits| number(digits).is_some())
}

/// `function+0x1/0x2`, with a module in brackets or without; or an address, where the kernel has no names.
pub(super) fn is_function(text: &[u8]) -> bool {
    let (symbol, module) = cut(text, b" [").map_or((text, None), |(symbol, module)| (symbol, Some(module)));
    let is_name = |c: &u8| c.is_ascii_alphanumeric() || b"_.$".contains(c);
    let is_hex = |text: &[u8]| text.strip_prefix(b"0x").is_some_and(is_hex);
    let is_symbol = match cut(symbol, b"+") {
        Some((name, rest)) => {
            let is_whole = cut(rest, b"/").is_some_and(|(offset, length)| is_hex(offset) && is_hex(length));
            !name.is_empty() && name.iter().all(is_name) && is_whole
        }
        None => is_hex(symbol),
    };
    // A module's name, and perhaps its build id.
    let is_module = |module: &[u8]| {
        module
            .strip_suffix(b"]")
            .is_some_and(|names| names.iter().all(|c| is_name(c) || b"- ()+".contains(c)))
    };
    is_symbol && module.is_none_or(is_module)
}
