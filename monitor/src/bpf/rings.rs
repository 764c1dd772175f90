//! The rings, from the reader's side.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use aya::maps::{ArrayOfMaps, MapData};
use monitor_common::policy::BULK_RING_BYTES;
use rustix::event::{Timespec, epoll};

use super::maps::Maps;
use super::ring::Ring;

/// `BPF_MAP_TYPE_RINGBUF`, kernel `include/uapi/linux/bpf.h`.
const RINGBUF: u32 = 27;

/// The critical ring and one bulk ring for each CPU.
pub struct Rings {
    critical: Ring,
    bulk: Vec<Ring>,
    epoll: OwnedFd,
    /// Holds the inner maps' owner for as long as the programs may look them up.
    _outer: ArrayOfMaps<MapData>,
}

/// The name of a CPU's ring among the pinned maps.
fn bulk_name(cpu: u32) -> String {
    format!("BULK_{cpu}")
}

impl Rings {
    /// Takes the rings, and makes the bulk rings if they are not there yet.
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        let critical = maps.take_ring("CRITICAL")?.ok_or("no map CRITICAL in the eBPF object")?;
        let mut outer: ArrayOfMaps<MapData> = maps.take("BULK")?;
        let mut bulk = Vec::new();
        for cpu in 0..Self::possible_cpus()? {
            let data = match maps.take_ring(&bulk_name(cpu))? {
                Some(data) => data,
                None => {
                    let shape = aya_obj::Map::new_from_params(RINGBUF, 0, 0, BULK_RING_BYTES, 0);
                    let data = MapData::create(shape, "BULK_RING", None).map_err(|e| e.to_string())?;
                    outer.set(cpu, &data, 0).map_err(|e| e.to_string())?;
                    data
                }
            };
            bulk.push(open(data)?);
        }
        let critical = open(critical)?;
        let epoll = watch(&critical, &bulk).map_err(|e| format!("epoll: {e}"))?;
        Ok(Self { critical, bulk, epoll, _outer: outer })
    }

    /// Pins the bulk rings: the others are in the object.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn pin(&self, folder: &Path) -> Result<(), String> {
        for (ring, cpu) in self.bulk.iter().zip(0..) {
            let name = bulk_name(cpu);
            ring.map().pin(folder.join(&name)).map_err(|e| format!("map {name}: {e}"))?;
        }
        Ok(())
    }

    /// Hands every record that waits in the rings to `sink`, and leaves them there.
    pub fn peek(&self, mut sink: impl FnMut(&[u8])) {
        for ring in std::iter::once(&self.critical).chain(&self.bulk) {
            ring.peek(&mut sink);
        }
    }

    /// How many CPUs the kernel may ever bring up.
    pub(super) fn possible_cpus() -> Result<u32, String> {
        let cpus = aya::util::nr_cpus().map_err(|(path, error)| format!("{path}: {error}"))?;
        u32::try_from(cpus).map_err(|e| e.to_string())
    }

    /// Has [`Self::wait`] return when this can be read, too.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn also_wake_by(&self, bell: impl AsFd) -> std::io::Result<()> {
        let data = epoll::EventData::new_u64(2);
        Ok(epoll::add(&self.epoll, bell, data, epoll::EventFlags::IN)?)
    }

    /// Sleeps until there is a critical record, a bulk ring is a quarter full, the bell rings, or the time is
    /// over. Says nothing of what woke it: every ring is to be drained after every return.
    pub fn wait(&self, time: Duration) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let mut events = [MaybeUninit::uninit(); 8];
        // An interruption is as good as a timeout.
        let _ = epoll::wait(&self.epoll, &mut events, Some(&timeout));
    }

    /// Hands every record that is ready to `sink`: the critical ring first, then each CPU's. Those of the bulk rings
    /// are given back, those of the critical one with [`Self::release_critical`].
    pub fn drain(&mut self, mut sink: impl FnMut(&[u8])) {
        self.critical.read(&mut sink);
        for ring in &mut self.bulk {
            ring.read(&mut sink);
            ring.release(ring.position());
        }
    }

    /// How far the critical ring has been read.
    pub fn critical_position(&self) -> usize {
        self.critical.position()
    }

    /// True if less than half of the critical ring is kept back when nothing before `oldest` is.
    pub fn critical_room(&self, oldest: usize) -> bool {
        self.critical.position() - oldest < self.critical.bytes() / 2
    }

    /// Gives the space of the critical records before `position` back to the kernel. Until then a daemon that takes
    /// over finds them. True if more have come meanwhile: then there may be no wake-up for them.
    pub fn release_critical(&mut self, position: usize) -> bool {
        self.critical.release(position);
        self.critical.has_more()
    }
}

fn open(data: MapData) -> Result<Ring, String> {
    let bytes = data.info().map_err(|e| e.to_string())?.max_entries();
    Ring::open(data, bytes as usize).map_err(|e| format!("cannot map a ring: {e}"))
}

/// Watches the rings together. A bulk ring holds records nearly always, and is drained on a timer: it wakes on
/// the edge, when the kernel side forces it at high water, and not because something is in it, as poll(2) would.
fn watch(critical: &Ring, bulk: &[Ring]) -> rustix::io::Result<OwnedFd> {
    use epoll::{EventData, EventFlags};
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, critical, EventData::new_u64(0), EventFlags::IN)?;
    for ring in bulk {
        epoll::add(&epoll, ring, EventData::new_u64(1), EventFlags::IN | EventFlags::ET)?;
    }
    Ok(epoll)
}
