//! The rings, from the reader's side.

use std::os::fd::{AsFd, BorrowedFd};

use aya::Ebpf;
use aya::maps::{ArrayOfMaps, Map, MapData, RingBuf};

/// Bytes of one bulk ring: 1 MiB holds 10,000 records of 100 bytes, which is what one CPU writes in 50 ms at
/// 200,000 a second.
const BULK_BYTES: u32 = 1024 * 1024;
/// `BPF_MAP_TYPE_RINGBUF`, kernel `include/uapi/linux/bpf.h`.
const RINGBUF: u32 = 27;

/// The critical ring and one bulk ring for each CPU.
pub struct Rings {
    critical: RingBuf<MapData>,
    bulk: Vec<RingBuf<MapData>>,
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
            let shape = aya_obj::Map::new_from_params(RINGBUF, 0, 0, BULK_BYTES, 0);
            let data = MapData::create(shape, "BULK_RING", None).map_err(|e| e.to_string())?;
            outer.set(cpu, &data, 0).map_err(|e| e.to_string())?;
            bulk.push(RingBuf::try_from(Map::RingBuf(data)).map_err(|e| e.to_string())?);
        }
        Ok(Self { critical, bulk, _outer: outer })
    }

    /// How many CPUs the kernel may ever bring up.
    pub(super) fn possible_cpus() -> Result<u32, String> {
        let cpus = aya::util::nr_cpus().map_err(|(path, error)| format!("{path}: {error}"))?;
        u32::try_from(cpus).map_err(|e| e.to_string())
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

impl AsFd for Rings {
    /// The critical ring's descriptor. Bulk rings never wake anybody: they are drained on a timer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.critical.as_fd()
    }
}
