//! From the strings of a record to the strings of a process, into buffers that are used again.

use monitor_common::event::{TRUNCATED, TailString};

use super::Program;

/// Arguments kept of one process; the `exec` record itself has what the kernel side copied.
pub const MAX_ARGS: usize = 128;
/// Bytes of arguments kept of one process.
pub const MAX_ARGV_BYTES: usize = 4096;

/// Appends a path of a record (components from the last to the first) as text from the root on.
///
/// A path whose beginning the kernel side had to leave out gets no leading `/`, so that it cannot be taken
/// for an absolute one.
pub fn append_path(out: &mut Vec<u8>, path: TailString<'_>) {
    let truncated = path.flags & TRUNCATED != 0;
    let bytes = path.bytes.strip_suffix(&[0]).unwrap_or(path.bytes);
    if bytes.is_empty() {
        if !truncated {
            out.push(b'/');
        }
        return;
    }
    let start = out.len();
    for component in bytes.rsplit(|b| *b == 0) {
        if !(truncated && out.len() == start) {
            out.push(b'/');
        }
        out.extend_from_slice(component);
    }
}

/// Sets a list of strings, within [`MAX_ARGS`] and [`MAX_ARGV_BYTES`]. True if some did not fit.
pub(super) fn set_list<'a>(list: &mut Vec<Vec<u8>>, items: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut used = 0;
    let mut left = MAX_ARGV_BYTES;
    let mut cut = false;
    for item in items {
        if left == 0 || used == MAX_ARGS {
            cut = true;
            break;
        }
        cut = item.len() > left;
        let item = &item[..item.len().min(left)];
        left -= item.len();
        match list.get_mut(used) {
            Some(slot) => {
                slot.clear();
                slot.extend_from_slice(item);
            }
            None => list.push(item.to_vec()),
        }
        used += 1;
    }
    list.truncate(used);
    cut
}

/// Bytes that the strings of a program hold, with the overhead of each argument.
pub(super) fn weight(program: &Program) -> usize {
    let args: usize = program.argv.iter().map(|arg| arg.capacity() + size_of::<Vec<u8>>()).sum();
    program.exe.capacity() + program.cwd.capacity() + args
}
