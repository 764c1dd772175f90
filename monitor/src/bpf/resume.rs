//! Pinning what was loaded, and going on with what an earlier daemon pinned.

use std::os::fd::AsFd;

use aya::Ebpf;
use aya::programs::ProgramInfo;
use monitor_common::policy::daemon as place;

use super::control::{Control, Unwanted};
use super::daemon::Daemon;
use super::link::Links;
use super::loader::{Kernel, LoadError, Loaded, Parts, explain};
use super::maps::Maps;
use super::pins::Pins;
use super::rings::Rings;
use crate::ingest::Told;

/// The programs of an earlier daemon were taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// When that daemon last looked at the rings, nanoseconds since boot.
    pub alive: u64,
    /// The losses that it had reported.
    pub told: Told,
}

/// Goes on with what an earlier daemon pinned, if it came from the same object (see `daemon::object_id`); else takes it away, and gives `prepare`
/// back. What another version's rings still held is lost then: its records may mean something else.
pub(super) fn take_over<F>(pins: &Pins, object: u64, prepare: F) -> Result<Result<Kernel, F>, LoadError>
where
    F: FnOnce(&mut Control, &mut Unwanted) -> Result<(), String>,
{
    if !pins.any() {
        return Ok(Err(prepare));
    }
    if let Ok((maps, daemon)) = open(pins, object) {
        return go_on(pins, maps, daemon, prepare).map(Ok).map_err(LoadError::Pins);
    }
    pins.clear().map_err(|e| LoadError::Pins(e.to_string()))?;
    Ok(Err(prepare))
}

/// The maps, if everything was pinned and fits this object.
fn open(pins: &Pins, object: u64) -> Result<(Maps, Daemon), String> {
    let mut maps = Maps::pinned(&pins.maps())?;
    let daemon = Daemon::take(&mut maps)?;
    if daemon.get(place::OBJECT)? != object || daemon.get(place::PINNED)? == 0 {
        return Err("another version's, or not finished".into());
    }
    Ok((maps, daemon))
}

fn go_on(
    pins: &Pins,
    mut maps: Maps,
    mut daemon: Daemon,
    prepare: impl FnOnce(&mut Control, &mut Unwanted) -> Result<(), String>,
) -> Result<Kernel, String> {
    let Parts { mut accounts, rings, mut control, calls, mut unwanted, dead_threads } =
        Parts::take(&mut maps)?;
    let resumed = Resumed { alive: daemon.get(place::ALIVE)?, told: daemon.read_told()? };
    daemon.set(place::PID, u64::from(std::process::id()))?;
    prepare(&mut control, &mut unwanted)?;
    let mut programs = Vec::new();
    let folder = pins.programs();
    for entry in std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let program = ProgramInfo::from_pin(&path).and_then(|info| info.fd());
        let program = program.map_err(|e| format!("{}: {}", path.display(), explain(e)))?;
        programs.push((name, program.as_fd().try_clone_to_owned().map_err(|e| e.to_string())?));
    }
    accounts.watch(programs.into_iter());
    let loaded = Loaded::resumed(calls, daemon.states()?);
    Ok(Kernel { loaded, rings, control, accounts, unwanted, dead_threads, daemon, resumed: Some(resumed) })
}

/// Pins what is not a map of the object: rings, programs, links.
pub(super) fn pin(pins: &Pins, bpf: &mut Ebpf, rings: &Rings, links: Links) -> Result<(), String> {
    rings.pin(&pins.maps())?;
    for (name, program) in bpf.programs_mut().filter(|(_, program)| program.fd().is_ok()) {
        program.pin(pins.programs().join(name)).map_err(|e| format!("program {name}: {e}"))?;
    }
    for (name, link) in links {
        // The program runs for as long as the pin is there, whether this is kept or not.
        link.pin(&pins.links().join(name)).map_err(|e| format!("link {name}: {e}"))?;
    }
    Ok(())
}
