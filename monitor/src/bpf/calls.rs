//! The last rung's switchboard: which system call goes to which program.

use aya::maps::{Array, MapData, ProgramArray};
use aya::programs::BtfTracePoint;
use aya::programs::links::FdLink;
use aya::{Btf, Ebpf};
use monitor_common::call::{Call, I386_SOCKETCALL, SOCKETCALLS, table};

use super::attach::unless_loaded;
use super::link::Links;
use super::loader::explain;
use super::maps::Maps;

/// The program that sees the end of every system call.
pub(super) const DISPATCHER: &str = "sys_exit";
/// The same while a task is held inside that.
const SECOND: &str = "sys_exit_2";
/// The program that goes on where a call has left its task changed.
pub(super) const COMPARE: &str = "call_compare";
/// The tracepoint they and the programs behind it are on.
pub(super) const TRACEPOINT: &str = "sys_exit";

/// The maps of the switchboard. They must live as long as the programs: the kernel empties an array of programs
/// when the last descriptor of it is closed.
pub(super) struct Calls {
    table: Array<MapData, u32>,
    programs: ProgramArray<MapData>,
    attached: bool,
}

impl Calls {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        Ok(Self { table: maps.take("CALL_TABLE")?, programs: maps.take("CALL_PROGRAMS")?, attached: false })
    }

    /// The programs that every call goes through, whichever sensors there are; those at the tracepoint come last.
    pub(super) fn dispatchers(twice: bool) -> impl Iterator<Item = &'static str> {
        [Some(COMPARE), Some(DISPATCHER), twice.then_some(SECOND)].into_iter().flatten()
    }

    /// Sends `calls` to `program` from now on. The dispatcher is attached with the first of them: while no sensor
    /// is on this rung, system calls cost nothing.
    pub(super) fn connect(&mut self, load: Load<'_>, program: &str, calls: &[Call]) -> Result<(), String> {
        let Load { bpf, links, kernel, twice } = load;
        let target = program_of(bpf, kernel, program)?.fd().map_err(explain)?;
        for call in calls {
            self.programs.set(*call as u32, target, 0).map_err(|e| format!("map CALL_PROGRAMS: {e}"))?;
            for (index, entry) in places(*call) {
                self.write(index, entry, *call as u32)?;
            }
        }
        if !self.attached {
            if cfg!(target_arch = "x86_64") {
                self.write(I386_SOCKETCALL, Entry::Compat, table::MULTIPLEXED)?;
            }
            let compare = program_of(bpf, kernel, COMPARE)?.fd().map_err(explain)?;
            self.programs.set(table::COMPARE, compare, 0).map_err(|e| format!("map CALL_PROGRAMS: {e}"))?;
            for name in Self::dispatchers(twice).skip(1) {
                let dispatcher = program_of(bpf, kernel, name)?;
                let id = dispatcher.attach().map_err(explain)?;
                links.push((name, FdLink::from(dispatcher.take_link(id).map_err(explain)?).into()));
            }
            self.attached = true;
        }
        Ok(())
    }

    fn write(&mut self, index: u32, entry: Entry, call: u32) -> Result<(), String> {
        let failed = |e| format!("map CALL_TABLE: {e}");
        let old = self.table.get(&index, 0).map_err(failed)?;
        let new = match entry {
            Entry::Native => table::place(call, table::compat(old)),
            Entry::Compat => table::place(table::native(old), call),
        };
        self.table.set(index, new, 0).map_err(failed)
    }
}

/// Where programs are loaded, and where their links go.
pub(super) struct Load<'a> {
    pub(super) bpf: &'a mut Ebpf,
    pub(super) links: &'a mut Links,
    pub(super) kernel: &'a Btf,
    /// True if programs of tracepoints can be preempted.
    pub(super) twice: bool,
}

/// Which half of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Native,
    Compat,
}

/// Where a call stands in the table.
fn places(call: Call) -> impl Iterator<Item = (u32, Entry)> {
    let (native, compat): (&[u32], &[u32]) =
        if cfg!(target_arch = "aarch64") { (call.aarch64(), &[]) } else { (call.x86_64(), call.i386()) };
    let operations = SOCKETCALLS.iter().filter(move |(_, c)| *c == call && !compat.is_empty());
    native
        .iter()
        .map(|nr| (*nr, Entry::Native))
        .chain(compat.iter().map(|nr| (*nr, Entry::Compat)))
        .chain(operations.map(|(operation, _)| (operation + table::NUMBERS, Entry::Compat)))
}

fn program_of<'a>(bpf: &'a mut Ebpf, kernel: &Btf, name: &str) -> Result<&'a mut BtfTracePoint, String> {
    let program = bpf.program_mut(name).ok_or_else(|| format!("no program {name} in the eBPF object"))?;
    let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
    unless_loaded(program.load(TRACEPOINT, kernel)).map_err(explain)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_call_has_places_of_its_own() {
        let mut taken = BTreeMap::new();
        for call in Call::ALL {
            let mut any = false;
            for place in places(*call) {
                any = true;
                assert!(place.0 < table::LEN, "{call:?} at {place:?}");
                assert_eq!(taken.insert(place, *call), None, "{call:?} at {place:?}");
            }
            assert!(any || cfg!(target_arch = "aarch64"), "{call:?} is in no table");
        }
    }
}
