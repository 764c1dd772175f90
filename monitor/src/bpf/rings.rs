//! The rings, from the reader's side.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{ArrayOfMaps, Map, MapData, RingBuf};
use monitor_common::policy::BULK_RING_BYTES;
use rustix::event::{Timespec, epoll};

/// `BPF_MAP_TYPE_RINGBUF`, kernel `include/uapi/linux/bpf.h`.
const RINGBUF: u32 = 27;

/// The critical ring and one bulk ring for each CPU.
pub struct Rings {
    critical: RingBuf<MapData>,
    bulk: Vec<RingBuf<MapData>>,
    epoll: OwnedFd,
    /// Holds the inner maps' owner for as long as the programs may look them up.
    _outer: ArrayOfMaps<MapData>,
}

impl Rings {
    /// Takes the rings out of the loaded object and makes the bulk rings.
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Self, String> {
        let critical = bpf.take_map("CRITICAL").ok_or("no map CRITICAL in the eBPF object")?;
        let critical = RingBuf::try_from(critical).map_err(|e| e.to_string())?;
        let outer = bpf.take_map("BULK").ok_or("no map BULK in the eBPF object")?;
        let mut outer: ArrayOfMaps<MapData> =
            outer.try_into().map_err(|e: aya::maps::MapError| e.to_string())?;
        let cpus = Self::possible_cpus()?;
        let mut bulk = Vec::new();
        for cpu in 0..cpus {
            let shape = aya_obj::Map::new_from_params(RINGBUF, 0, 0, BULK_RING_BYTES, 0);
            let data = MapData::create(shape, "BULK_RING", None).map_err(|e| e.to_string())?;
            outer.set(cpu, &data, 0).map_err(|e| e.to_string())?;
            bulk.push(RingBuf::try_from(Map::RingBuf(data)).map_err(|e| e.to_string())?);
        }
        let epoll = watch(&critical, &bulk).map_err(|e| format!("epoll: {e}"))?;
        Ok(Self { critical, bulk, epoll, _outer: outer })
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

    /// Hands every record that is ready to `sink`: the critical ring first, then each CPU's.
    pub fn drain(&mut self, mut sink: impl FnMut(&[u8])) {
        while let Some(record) = self.critical.next() {
            sink(&record);
        }
        for ring in &mut self.bulk {
            while let Some(record) = ring.next() {
                sink(&record);
            }
        }
    }
}

/// Watches the rings together. A bulk ring holds records nearly always, and is drained on a timer: it wakes on
/// the edge, when the kernel side forces it at high water, and not because something is in it, as poll(2) would.
fn watch(critical: &RingBuf<MapData>, bulk: &[RingBuf<MapData>]) -> rustix::io::Result<OwnedFd> {
    use epoll::{EventData, EventFlags};
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, critical, EventData::new_u64(0), EventFlags::IN)?;
    for ring in bulk {
        epoll::add(&epoll, ring, EventData::new_u64(1), EventFlags::IN | EventFlags::ET)?;
    }
    Ok(epoll)
}
