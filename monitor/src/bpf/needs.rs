//! Which kernel fields each program reads, found out from its instructions: so that a kernel that lacks a field
//! blinds the sensors that need it, and no other.
//!
//! A program reads a field's offset from the table in `.rodata` by two instructions: the address of the table,
//! then a load of 16 bits from it. All ways through a program are followed with the addresses that each register
//! may hold. Looked at only where a field is missing: parsing the object takes some milliseconds.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aya_obj::generated::bpf_insn;
use monitor_common::offsets::{FIELD_COUNT, FieldId, STDIO};

use super::calls::{COMPARE, DISPATCHER};
use super::probes::{Attach, Probe, Rung, Sensor};

/// The map that the offset table is in, and the name of the table.
const SECTION: &str = ".rodata";
const TABLE: &str = "OFFSETS";
/// Stands for the map's descriptor while nothing is loaded.
const MAP: i32 = 7;
/// `BPF_PSEUDO_MAP_VALUE` and `BPF_PSEUDO_CALL`, kernel `include/uapi/linux/bpf.h`.
const MAP_VALUE: u8 = 2;
const LOCAL_CALL: u8 = 1;
/// The frame pointer.
const FRAME: u8 = 10;
/// Addresses of one register that are followed; no code of ours has a register with more.
const MAX_ADDRESSES: usize = 64;

/// A part of a program that is left out where a field for it is missing, by the name of its canary.
struct Part {
    program: &'static str,
    name: &'static str,
    fields: &'static [FieldId],
}

const PARTS: &[Part] = &[
    Part { program: "process_exec_record", name: "stdio", fields: &STDIO },
    Part { program: "process_exec_record_2", name: "stdio", fields: &STDIO },
];

/// The fields of every program.
pub(super) struct Needs(BTreeMap<String, BTreeSet<u16>>);

impl Needs {
    /// Looks at every program of an eBPF object.
    ///
    /// # Errors
    /// The object cannot be parsed, in words.
    pub(super) fn of(object: &[u8]) -> Result<Self, String> {
        let mut object = aya_obj::Object::parse(object).map_err(|e| e.to_string())?;
        // Numbered, the table can be found in the section, and so can each entry.
        let numbered: Vec<u8> = (0..FIELD_COUNT as u16).flat_map(|n| (n + 1).to_ne_bytes()).collect();
        object
            .patch_map_data([(TABLE, (numbered.as_slice(), true))].into_iter().collect())
            .map_err(|e| e.to_string())?;
        let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        let maps = object.maps.clone();
        // Other maps get another descriptor.
        let fd = |name: &str| if name == SECTION { MAP } else { MAP + 1 };
        object
            .relocate_maps(maps.iter().map(|(name, map)| (name.as_str(), fd(name), map)), &sections)
            .map_err(|e| e.to_string())?;
        object.relocate_calls(&sections).map_err(|e| e.to_string())?;
        let data = maps.get(SECTION).map_or(&[][..], |map| map.data());
        let start = data.windows(numbered.len()).position(|part| part == numbered);
        let start = start.ok_or("the offset table is not where it should be")? as i64;
        let mut needs = BTreeMap::new();
        needs.extend(object.programs.iter().filter_map(|(name, program)| {
            let function = object.functions.get(&program.function_key())?;
            let fields = loads(&function.instructions)
                .into_iter()
                .filter_map(|at| u16::try_from((at - start) / 2).ok().filter(|_| at >= start))
                .filter(|n| usize::from(*n) < FIELD_COUNT);
            Some((name.clone(), fields.collect::<BTreeSet<u16>>()))
        }));
        Ok(Self(needs))
    }

    /// True if the program reads the field.
    pub(super) fn reads(&self, program: &str, field: FieldId) -> bool {
        self.0.get(program).is_some_and(|fields| fields.contains(&(field as u16)))
    }
}

/// The fields that this kernel lacks, and who needs them.
pub(super) struct Lacking {
    fields: Vec<(FieldId, String)>,
    needs: Needs,
}

impl Lacking {
    /// Of these fields, each with the reason why it is missing.
    ///
    /// # Errors
    /// See [`Needs::of`].
    pub(super) fn of(object: &[u8], fields: Vec<(FieldId, String)>) -> Result<Self, String> {
        let needs = if fields.is_empty() { Needs(BTreeMap::new()) } else { Needs::of(object)? };
        Ok(Self { fields, needs })
    }

    /// The missing fields, by name.
    pub(super) fn names(&self) -> Vec<String> {
        self.fields.iter().map(|(field, why)| format!("{field:?} ({why})")).collect()
    }

    /// Those that a program cannot do without, with the reasons.
    pub(super) fn of_program<'a>(&'a self, program: &'a str) -> impl Iterator<Item = String> + 'a {
        let is_of_part = move |field: &FieldId| {
            PARTS.iter().any(|part| part.program == program && part.fields.contains(field))
        };
        let read = self.fields.iter().filter(|(field, _)| self.needs.reads(program, *field));
        read.filter(move |(field, _)| !is_of_part(field)).map(|(field, why)| format!("{field:?} ({why})"))
    }

    /// The parts that programs of a rung leave out, each with the reason.
    pub(super) fn parts(&self, rung: &Rung) -> BTreeMap<&'static str, String> {
        let is_there = |part: &Part| rung.probes.iter().any(|probe| probe.program == part.program);
        let of_part = |part: &'static Part| {
            let lacks = self.fields.iter().filter(|(field, _)| part.fields.contains(field));
            let lacks: Vec<String> = lacks.map(|(field, why)| format!("{field:?} ({why})")).collect();
            let reason = format!("{}: needs what this kernel lacks: {}", part.name, lacks.join(", "));
            (!lacks.is_empty()).then_some((part.name, reason))
        };
        PARTS.iter().filter(|part| is_there(part)).filter_map(of_part).collect()
    }

    /// Those that any program of a sensor reads.
    pub(super) fn of_sensor(&self, sensor: &Sensor) -> Vec<String> {
        let probes = sensor.rungs.iter().flat_map(|rung| rung.probes);
        let found: BTreeSet<String> = probes.flat_map(|probe| self.of_program(probe.program)).collect();
        found.into_iter().collect()
    }

    /// Refuses a program that would read a missing field.
    pub(super) fn check(&self, probe: &Probe) -> Result<(), String> {
        let is_call = matches!(probe.attach, Attach::Calls(_));
        let programs = [Some(probe.program), is_call.then_some(DISPATCHER), is_call.then_some(COMPARE)];
        let found: Vec<String> =
            programs.into_iter().flatten().flat_map(|name| self.of_program(name)).collect();
        if found.is_empty() {
            return Ok(());
        }
        Err(format!("needs what this kernel lacks: {}", found.join(", ")))
    }
}

/// What may hold an address of the section: a register, or a place in the frame by its offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Register(u8),
    Frame(i16),
}

/// Which addresses, as offsets in the section, each place may hold.
#[derive(Clone, Default, PartialEq)]
struct Held(BTreeSet<(Place, i64)>);

impl Held {
    fn of(&self, place: Place) -> Vec<i64> {
        self.0.range((place, i64::MIN)..=(place, i64::MAX)).map(|(_, at)| *at).collect()
    }

    fn set(&mut self, place: Place, addresses: impl IntoIterator<Item = i64>) {
        self.0.retain(|(held, _)| *held != place);
        self.0.extend(addresses.into_iter().take(MAX_ADDRESSES).map(|at| (place, at)));
    }
}

/// Offsets in the section from which 16 bits are loaded.
fn loads(code: &[bpf_insn]) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    let mut before: Vec<Option<Held>> = vec![None; code.len()];
    let mut todo = vec![(0usize, Held::default())];
    while let Some((at, held)) = todo.pop() {
        let (Some(insn), Some(known)) = (code.get(at), before.get_mut(at)) else { continue };
        let held = match known {
            Some(known) => {
                let old = known.0.len();
                known.0.extend(held.0);
                if known.0.len() == old {
                    continue;
                }
                known.clone()
            }
            None => known.insert(held).clone(),
        };
        step(code, at, insn, held, &mut found, &mut todo);
    }
    found
}

/// Follows one instruction. Numbers are those of `Documentation/bpf/standardization/instruction-set.rst`.
fn step(
    code: &[bpf_insn],
    at: usize,
    insn: &bpf_insn,
    mut held: Held,
    found: &mut BTreeSet<i64>,
    todo: &mut Vec<(usize, Held)>,
) {
    let (to, from) = (Place::Register(insn.dst_reg()), Place::Register(insn.src_reg()));
    let jump = |by: i64| usize::try_from(at as i64 + 1 + by).ok();
    let mut next = Some(at + 1);
    match insn.code {
        // 64 bits at once, over two instructions.
        0x18 => {
            let is_table = insn.src_reg() == MAP_VALUE && insn.imm == MAP;
            let address = code.get(at + 1).filter(|_| is_table).map(|half| i64::from(half.imm));
            held.set(to, address);
            next = Some(at + 2);
        }
        // mov, add a number, load 16 bits.
        0xbf => held.set(to, held.of(from)),
        0x07 => held.set(to, held.of(to).into_iter().map(|at| at + i64::from(insn.imm))),
        0x69 => {
            found.extend(held.of(from).into_iter().map(|at| at + i64::from(insn.off)));
            held.set(to, []);
        }
        // To the frame and back.
        0x7b if insn.dst_reg() == FRAME => held.set(Place::Frame(insn.off), held.of(from)),
        0x79 if insn.src_reg() == FRAME => held.set(to, held.of(Place::Frame(insn.off))),
        // Calls change the first six registers; a function of ours is followed on its own.
        0x85 => {
            if insn.src_reg() == LOCAL_CALL {
                todo.extend(jump(i64::from(insn.imm)).map(|entry| (entry, Held::default())));
            }
            (0..6).for_each(|n| held.set(Place::Register(n), []));
        }
        0x95 => next = None,
        0x05 => next = jump(i64::from(insn.off)),
        0x06 => next = jump(i64::from(insn.imm)),
        // Jumps on a condition, of 64 and of 32 bits.
        code if matches!(code & 7, 5 | 6) => {
            todo.extend(jump(i64::from(insn.off)).map(|target| (target, held.clone())));
        }
        // Arithmetic and loads.
        code if matches!(code & 7, 0 | 1 | 4 | 7) => held.set(to, []),
        _ => {}
    }
    todo.extend(next.map(|next| (next, held)));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use monitor_common::offsets::FIELD_IDS;

    use super::*;

    fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> bpf_insn {
        let registers = bpf_insn::new_bitfield_1(dst, src);
        bpf_insn { code, _bitfield_align_1: [], _bitfield_1: registers, off, imm }
    }

    fn table(register: u8, at: i32) -> [bpf_insn; 2] {
        [insn(0x18, register, MAP_VALUE, 0, MAP), insn(0, 0, 0, 0, at)]
    }

    const EXIT: (u8, u8, u8, i16, i32) = (0x95, 0, 0, 0, 0);

    #[track_caller]
    fn check(code: &[bpf_insn], want: &[i64]) {
        let (code5, dst, src, off, imm) = EXIT;
        let code = [code, &[insn(code5, dst, src, off, imm)]].concat();
        assert_eq!(loads(&code).into_iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn addresses_are_followed() {
        let [a, b] = table(6, 48);
        check(&[a, b, insn(0x69, 1, 6, 10, 0)], &[58]);
        check(&[a, b, insn(0x61, 1, 6, 10, 0)], &[]);
        check(&[a, b, insn(0xbf, 2, 6, 0, 0), insn(0x07, 2, 0, 0, 4), insn(0x69, 1, 2, 2, 0)], &[54]);
        // Another map's value.
        check(&[insn(0x18, 6, MAP_VALUE, 0, MAP + 1), b, insn(0x69, 1, 6, 10, 0)], &[]);
        // Kept over a helper call in r6, lost in r1.
        check(&[a, b, insn(0x85, 0, 0, 0, 5), insn(0x69, 1, 6, 0, 0)], &[48]);
        let [c, d] = table(1, 48);
        check(&[c, d, insn(0x85, 0, 0, 0, 5), insn(0x69, 2, 1, 0, 0)], &[]);
        // To the frame and back.
        let frame = [insn(0x7b, FRAME, 6, -8, 0), insn(0xb7, 6, 0, 0, 0), insn(0x79, 3, FRAME, -8, 0)];
        check(&[&[a, b], &frame[..], &[insn(0x69, 1, 3, 2, 0)]].concat(), &[50]);
    }

    #[test]
    fn all_ways_are_followed() {
        // if r2 == 0 { r6 = table + 100 } else { r6 = table }; load: both may be meant.
        let ([a, b], [c, d]) = (table(6, 0), table(6, 100));
        check(&[a, b, insn(0x15, 2, 0, 2, 0), c, d, insn(0x69, 1, 6, 2, 0)], &[2, 102]);
        // A loop back ends.
        check(&[a, b, insn(0x69, 1, 6, 2, 0), insn(0x55, 1, 0, -2, 0)], &[2]);
        // A function behind the program.
        let [e, f] = table(7, 8);
        let code = [insn(0x85, 0, LOCAL_CALL, 0, 1), insn(0x95, 0, 0, 0, 0), e, f, insn(0x69, 1, 7, 0, 0)];
        check(&code, &[8]);
    }

    fn sources(folder: &Path) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            text += &if entry.is_dir() { sources(&entry) } else { std::fs::read_to_string(&entry).unwrap() };
        }
        text
    }

    /// The object that is embedded in the daemon, if it had been built.
    #[test]
    fn the_programs_need_what_they_read() {
        static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bulkhead-ebpf.o"));
        if OBJECT.is_empty() {
            return;
        }
        let needs = Needs::of(OBJECT).unwrap();
        assert!(needs.reads("process_exec_record", FieldId::MmArgStart));
        assert!(!needs.reads("cgroup_mkdir", FieldId::MmArgStart));
        assert!(!needs.reads("process_exec", FieldId::SkFamily));
        for sensor in super::super::probes::SENSORS {
            for probe in sensor.rungs.iter().flat_map(|rung| rung.probes) {
                let fields =
                    needs.0.get(probe.program).unwrap_or_else(|| panic!("no program {}", probe.program));
                // Some of the others are told all by their context.
                assert!(!sensor.required || !fields.is_empty(), "{} reads nothing", probe.program);
            }
        }
        // Whatever the sources name is found in some program.
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitor-ebpf/src"))
            .replace("FieldId::", "F::");
        let named = |field: &&FieldId| {
            // Imported as `F` or by its own name.
            let name = format!("F::{field:?}");
            sources
                .match_indices(&name)
                .any(|(at, _)| !sources[at + name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        let missed = |field: &&FieldId| !needs.0.keys().any(|program| needs.reads(program, **field));
        let named: Vec<_> = FIELD_IDS.iter().filter(named).collect();
        assert!(named.len() > 100, "{named:?}");
        let missed: Vec<_> = named.into_iter().filter(missed).collect();
        assert!(
            missed.is_empty(),
            "not found in the object, which may be old (cargo xtask build): {missed:?}"
        );
    }
}
