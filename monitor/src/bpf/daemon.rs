//! What the daemon says of itself in a map that outlives it (`monitor_common::policy::daemon`).

use aya::maps::{Array, MapData};
use monitor_common::event::EventKind;
use monitor_common::policy::{Config, daemon};

use super::loader::SensorState;
use super::maps::Maps;
use super::probes::SENSORS;
use crate::ingest::{NONE_TOLD, Told};

/// Where the bits for left-out programs begin.
const LEFT_OUT: u32 = 8;

const _: () = assert!(SENSORS.len() <= (daemon::TOLD_FULL - daemon::SENSORS) as usize);
const _: () = assert!(EventKind::COUNT <= 64);

/// The map.
pub struct Daemon(Array<MapData, u64>);

impl Daemon {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        maps.take("DAEMON").map(Self)
    }

    /// Says when the daemon last looked at the rings, nanoseconds since boot.
    pub fn alive(&mut self, now: u64) {
        // If the kernel refuses, the next daemon says a longer gap than there was.
        let _ = self.set(daemon::ALIVE, now);
    }

    /// Notes which losses have been reported, by kind of event.
    pub fn told(&mut self, losses: &Told) {
        for (index, (full, cut)) in (0..).zip(losses) {
            // If the kernel refuses, the next daemon reports these once more.
            let _ = self.set(daemon::TOLD_FULL + index, *full);
            let _ = self.set(daemon::TOLD_CUT + index, *cut);
        }
    }

    pub(super) fn read_told(&self) -> Result<Told, String> {
        let mut told = NONE_TOLD;
        for (index, (full, cut)) in (0..).zip(&mut told) {
            *full = self.get(daemon::TOLD_FULL + index)?;
            *cut = self.get(daemon::TOLD_CUT + index)?;
        }
        Ok(told)
    }

    pub(super) fn get(&self, place: u32) -> Result<u64, String> {
        self.0.get(&place, 0).map_err(|e| format!("map DAEMON: {e}"))
    }

    pub(super) fn set(&mut self, place: u32, value: u64) -> Result<(), String> {
        self.0.set(place, value, 0).map_err(|e| format!("map DAEMON: {e}"))
    }

    pub(super) fn save(&mut self, states: &[SensorState]) -> Result<(), String> {
        for (state, place) in states.iter().zip(daemon::SENSORS..) {
            self.set(place, encode(state))?;
        }
        Ok(())
    }

    /// What became of each sensor when the programs were loaded. Why a better rung was refused is not kept.
    pub(super) fn states(&self) -> Result<Vec<SensorState>, String> {
        SENSORS
            .iter()
            .zip(daemon::SENSORS..)
            .map(|(sensor, place)| {
                let value = self.get(place)?;
                let rung = (value as usize & 0xff).checked_sub(1).and_then(|rung| sensor.rungs.get(rung));
                let left_out = rung.map_or(&[][..], |rung| rung.probes).iter().zip(LEFT_OUT..);
                Ok(SensorState {
                    sensor,
                    rung,
                    left_out: left_out
                        .filter(|(_, bit)| value >> bit & 1 != 0)
                        .map(|(p, _)| p.program)
                        .collect(),
                    refused: Vec::new(),
                })
            })
            .collect()
    }
}

fn encode(state: &SensorState) -> u64 {
    let Some(rung) = state.rung else { return 0 };
    let number = state.sensor.rungs.iter().position(|known| known == rung).map_or(0, |n| n as u64 + 1);
    let left_out = rung.probes.iter().zip(LEFT_OUT..64);
    left_out
        .filter(|(probe, _)| state.left_out.contains(&probe.program))
        .fold(number, |bits, (_, bit)| bits | 1 << bit)
}

/// Which programs these are, by the object's bytes and by what they were told to write: FNV-1a, because it must be the
/// same in every build of this program.
pub(super) fn object_id(object: &[u8], config: &Config) -> u64 {
    object.iter().chain(&config.environ.to_ne_bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
