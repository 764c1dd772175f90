//! Strings that a helper of the kernel writes.

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
}
