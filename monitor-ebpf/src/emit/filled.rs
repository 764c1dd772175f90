//! Strings that a helper of the kernel writes.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_skb_load_bytes};
use monitor_common::event::{STRING_PREFIX, TRUNCATED};

use super::{Out, opaque};

impl<T: 'static, const N: usize> Out<T, N> {
    /// Adds what `write` puts at the place that it is given: at most `MAX` bytes, of which the last is a NUL. It
    /// gives their number without the NUL, or a negative error: `-E2BIG` if they were cut off.
    #[inline(always)]
    pub(crate) fn filled<const MAX: usize>(&mut self, write: impl FnOnce(*mut u8) -> i64) {
        const E2BIG: i64 = 7;
        let Some(place) = self.open(MAX) else { return };
        // SAFETY: `open` left MAX bytes behind the prefix.
        let got = write(unsafe { place.add(STRING_PREFIX) });
        let mut len = if got > 0 { opaque(got as usize) } else { 0 };
        let cut = got == -E2BIG;
        if cut || len > MAX - 1 {
            len = MAX - 1;
        }
        self.close(place, len, if cut { TRUNCATED } else { 0 });
    }

    /// Adds bytes from kernel memory of which there are `len`, at most `MAX`.
    #[inline(always)]
    pub(crate) fn kernel_bytes<const MAX: usize>(&mut self, from: u64, len: u64) {
        let Some(place) = self.open(MAX) else { return };
        let mut size = opaque(len as usize);
        if size > MAX {
            size = MAX;
        }
        // SAFETY: `open` left MAX bytes behind the prefix; the helper checks the source.
        let got =
            unsafe { bpf_probe_read_kernel(place.add(STRING_PREFIX).cast(), size as u32, from as *const _) };
        if got != 0 {
            size = 0;
        }
        self.close(place, size, 0);
    }

    /// Adds `len` bytes of a packet from `from` on, at most `MAX`.
    #[inline(always)]
    pub(crate) fn packet_bytes<const MAX: usize>(&mut self, packet: *mut __sk_buff, from: u32, len: u32) {
        if len == 0 {
            return self.empty();
        }
        let Some(place) = self.open(MAX) else { return };
        let cut = if len as usize > MAX { TRUNCATED } else { 0 };
        // Bounded as one less than it is: the helper refuses none, and kernels before 6.8 learn nothing from `!= 0`.
        let mut last = opaque(len as usize - 1);
        if last > MAX - 1 {
            last = MAX - 1;
        }
        let size = last + 1;
        // SAFETY: `open` left MAX bytes behind the prefix; the helper checks the packet's.
        let got =
            unsafe { bpf_skb_load_bytes(packet.cast(), from, place.add(STRING_PREFIX).cast(), size as u32) };
        self.close(place, if got == 0 { size } else { 0 }, cut);
    }
}
