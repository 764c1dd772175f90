//! The kernel's own statistics of BPF programs, and what `bpftool` tells of programs and maps.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::bench::process;
use crate::project::find_program;

/// `BPF_ENABLE_STATS` of `enum bpf_cmd`, and `BPF_STATS_RUN_TIME`, `include/uapi/linux/bpf.h`.
const BPF_ENABLE_STATS: libc::c_long = 32;
const BPF_STATS_RUN_TIME: u32 = 0;

/// The kernel measures BPF programs as long as this is open; it stops by itself even if xtask is killed.
pub(crate) struct Statistics(#[expect(dead_code, reason = "held open")] OwnedFd);

impl Statistics {
    /// Turns them on (kernel 5.8 and later).
    #[expect(unsafe_code, reason = "bpf(2)")]
    pub(crate) fn on() -> anyhow::Result<Self> {
        // `union bpf_attr` with `enable_stats.type`; the rest is zero.
        let attr = [BPF_STATS_RUN_TIME, 0];
        // SAFETY: the attribute outlives the call, and the size given is its own.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_ENABLE_STATS, attr.as_ptr(), size_of_val(&attr)) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error()).context("the kernel does not measure BPF programs");
        }
        // SAFETY: the kernel has just made this descriptor, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }
}

/// A loaded program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Nanoseconds run, while statistics were on.
    pub(crate) time: f64,
    /// Times run, while statistics were on.
    pub(crate) runs: f64,
}

fn bpftool(args: &[&str]) -> anyhow::Result<Value> {
    let bpftool = find_program("bpftool").context("bpftool is not there: run `cargo xtask setup`")?;
    let mut command = Command::new(bpftool);
    let done = command.arg("--json").args(args).env_remove("LD_LIBRARY_PATH").output()?;
    if !done.status.success() {
        bail!("bpftool {}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    serde_json::from_slice(&done.stdout).context("bpftool printed no JSON")
}

/// Every program on the machine.
pub(crate) fn all() -> anyhow::Result<Vec<Program>> {
    Ok(read(&bpftool(&["prog", "show"])?))
}

fn read(shown: &Value) -> Vec<Program> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let programs = shown.as_array().map(Vec::as_slice).unwrap_or_default();
    programs
        .iter()
        .filter_map(|program| {
            Some(Program {
                id: program["id"].as_u64()?,
                name: text(&program["name"]),
                kind: text(&program["type"]),
                time: program["run_time_ns"].as_f64().unwrap_or(0.0),
                runs: program["run_cnt"].as_f64().unwrap_or(0.0),
            })
        })
        .collect()
}

/// The daemon's programs.
pub(crate) fn of(pid: u32) -> anyhow::Result<Vec<Program>> {
    let ids = process::bpf_ids(pid, "prog_id")?;
    Ok(all()?.into_iter().filter(|program| ids.contains(&program.id)).collect())
}

/// What programs did between two looks; those that did not run are left out, the costliest comes first.
pub(crate) fn difference(before: &[Program], after: &[Program]) -> Vec<Program> {
    let old: BTreeMap<u64, &Program> = before.iter().map(|program| (program.id, program)).collect();
    let mut grown: Vec<Program> = after
        .iter()
        .map(|program| {
            let (time, runs) = old.get(&program.id).map_or((0.0, 0.0), |old| (old.time, old.runs));
            Program { time: program.time - time, runs: program.runs - runs, ..program.clone() }
        })
        .filter(|program| program.runs > 0.0)
        .collect();
    grown.sort_by(|a, b| b.time.total_cmp(&a.time));
    grown
}

/// Programs of somebody else's Bulkhead: of these names, but not of these ids.
pub(crate) fn foreign(names: &BTreeSet<String>, ours: &BTreeSet<u64>) -> anyhow::Result<usize> {
    Ok(all()?.iter().filter(|p| names.contains(&p.name) && !ours.contains(&p.id)).count())
}

/// Bytes that the daemon's maps hold in the kernel.
pub(crate) fn map_bytes(pid: u32) -> anyhow::Result<f64> {
    let ids = process::bpf_ids(pid, "map_id")?;
    let shown = bpftool(&["map", "show"])?;
    let maps = shown.as_array().map(Vec::as_slice).unwrap_or_default();
    let ours = maps.iter().filter(|map| map["id"].as_u64().is_some_and(|id| ids.contains(&id)));
    Ok(ours.filter_map(|map| map["bytes_memlock"].as_f64()).sum())
}

/// The kernel side's accounts, summed over CPUs and kinds, in the order of `monitor-common`'s `KindAccount`.
pub(crate) fn counters(pid: u32) -> anyhow::Result<Vec<f64>> {
    let ids = process::bpf_ids(pid, "map_id")?;
    let shown = bpftool(&["map", "show"])?;
    let maps = shown.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ours = |map: &&Value| map["id"].as_u64().is_some_and(|id| ids.contains(&id));
    let map = maps.iter().filter(is_ours).find(|map| map["name"] == "ACCOUNTS");
    let id = map.and_then(|map| map["id"].as_u64()).context("the daemon has no map ACCOUNTS")?;
    Ok(sums(&bpftool(&["map", "dump", "id", &id.to_string()])?))
}

/// `u64`s of a `CpuAccount` before its kinds, and of a `KindAccount`.
const HEAD: usize = 2;
const KIND: usize = 5;

/// The sums over CPUs and kinds in a dump of `ACCOUNTS`, as bpftool gives it: bytes in hexadecimal.
fn sums(dump: &Value) -> Vec<f64> {
    let byte = |value: &Value| {
        let digits = value.as_str()?.strip_prefix("0x")?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut sums = vec![0.0; KIND];
    let elements = dump.as_array().map(Vec::as_slice).unwrap_or_default();
    for cpu in elements.iter().flat_map(|element| element["values"].as_array().into_iter().flatten()) {
        let bytes: Vec<u8> = cpu["value"].as_array().into_iter().flatten().filter_map(byte).collect();
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word) as f64);
        for (at, word) in words.skip(HEAD).enumerate() {
            sums[at % KIND] += word;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn programs_and_what_they_did() {
        let shown = |time: u64, runs: u64| {
            read(&json!([
                { "id": 7, "type": "tracing", "name": "a", "run_time_ns": time, "run_cnt": runs },
                { "id": 8, "type": "tracing", "name": "idle" },
            ]))
        };
        let grown = difference(&shown(100, 1), &shown(400, 3));
        assert_eq!(grown.len(), 1);
        assert_eq!((grown[0].name.as_str(), grown[0].time, grown[0].runs), ("a", 300.0, 2.0));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn accounts_of_all_cpus_and_kinds() {
        let cpu = |low: &str| {
            let word = [low, "0x01", "0x00", "0x00", "0x00", "0x00", "0x00", "0x00"];
            let words: Vec<&str> = (0..HEAD + 2 * KIND).flat_map(|_| word).collect();
            json!({ "value": words })
        };
        let dump = json!([{ "key": ["0x00"], "values": [cpu("0x01"), cpu("0x02")] }]);
        assert_eq!(sums(&dump), [1030.0; KIND]);
    }
}
