//! How much stack the programs take, as the kernel counts it: before 6.13 a program and all that it calls share 512
//! bytes, and a newer kernel, which allows more on x86, would hide that until somebody starts it on an older one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aya_obj::generated::bpf_insn;

/// `MAX_BPF_STACK`, kernel `include/linux/filter.h`.
const LIMIT: u32 = 512;
/// Each function's frame is rounded up to so many bytes (`check_max_stack_depth()`, kernel `kernel/bpf/verifier.c`).
const ROUND: u32 = 32;
/// The frame pointer; `BPF_PSEUDO_CALL`.
const FRAME: u8 = 10;
const LOCAL_CALL: u8 = 1;

/// One function: how deep it reaches into its frame, and where the functions start that it calls.
#[derive(Default)]
struct Function {
    frame: u32,
    calls: BTreeSet<usize>,
}

fn functions(code: &[bpf_insn]) -> BTreeMap<usize, Function> {
    let is_call = |insn: &bpf_insn| insn.code == 0x85 && insn.src_reg() == LOCAL_CALL;
    let target = |at: usize, insn: &bpf_insn| usize::try_from(at as i64 + 1 + i64::from(insn.imm)).unwrap();
    let calls = code.iter().enumerate().filter(|(_, insn)| is_call(insn));
    let starts: BTreeSet<usize> = calls.map(|(at, insn)| target(at, insn)).chain([0]).collect();
    let mut found: BTreeMap<usize, Function> = BTreeMap::new();
    for (at, insn) in code.iter().enumerate() {
        let start = *starts.range(..=at).next_back().unwrap();
        let function = found.entry(start).or_default();
        if is_call(insn) {
            function.calls.insert(target(at, insn));
        }
        // Loads from the frame, stores into it, and addresses in it: a copy of the frame pointer that is added to.
        let depth = match insn.code & 7 {
            1 if insn.src_reg() == FRAME => -i32::from(insn.off),
            2 | 3 if insn.dst_reg() == FRAME => -i32::from(insn.off),
            7 if insn.code == 0x07 && at > 0 => {
                let copy = code[at - 1];
                let is_copy =
                    copy.code == 0xbf && copy.src_reg() == FRAME && copy.dst_reg() == insn.dst_reg();
                if is_copy { -insn.imm } else { 0 }
            }
            _ => 0,
        };
        function.frame = function.frame.max(u32::try_from(depth).unwrap_or(0));
    }
    found
}

fn depth(functions: &BTreeMap<usize, Function>, start: usize) -> u32 {
    let function = &functions[&start];
    let below = function.calls.iter().map(|called| depth(functions, *called)).max().unwrap_or(0);
    function.frame.max(1).next_multiple_of(ROUND) + below
}

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> bpf_insn {
    bpf_insn { code, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(dst, src), off, imm }
}

#[test]
fn frames_add_up() {
    let code = [
        // The address of 40 bytes; a call of the function at 4; end.
        insn(0xbf, 1, FRAME, 0, 0),
        insn(0x07, 1, 0, 0, -40),
        insn(0x85, 0, LOCAL_CALL, 0, 1),
        insn(0x95, 0, 0, 0, 0),
        // A store at 72 below; end.
        insn(0x7b, FRAME, 1, -72, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    assert_eq!(depth(&functions(&code), 0), 64 + 96);
    assert_eq!(depth(&functions(&code[4..]), 0), 96);
}

/// The object that is embedded in the daemon, if it had been built.
#[test]
fn every_program_fits() {
    static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bulkhead-ebpf.o"));
    if OBJECT.is_empty() {
        return;
    }
    let mut object = aya_obj::Object::parse(OBJECT).unwrap();
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&sections).unwrap();
    let mut deepest = 0;
    let programs: BTreeMap<_, _> = object.programs.iter().collect();
    for (name, program) in programs {
        let depth = depth(&functions(&object.functions[&program.function_key()].instructions), 0);
        assert!(depth <= LIMIT, "{name} takes {depth} bytes of stack with what it calls");
        deepest = deepest.max(depth);
    }
    // It would be less if frames were not found.
    assert!(deepest > 256, "{deepest}");
}
