//! Reading numbers out of record bytes without trusting them.

/// A number, or a fixed array of numbers, of which every bit pattern is valid.
pub trait Plain: Sized {
    /// Reads a value in native byte order at `at`; `None` if it would reach beyond `bytes`.
    fn read(bytes: &[u8], at: usize) -> Option<Self>;
    /// Writes the value in native byte order at `at`; nothing if it would reach beyond `out`.
    fn write(&self, out: &mut [u8], at: usize);
}

macro_rules! plain {
    ($($ty:ty),+) => {$(
        impl Plain for $ty {
            #[inline]
            fn read(bytes: &[u8], at: usize) -> Option<Self> {
                let end = at.checked_add(core::mem::size_of::<$ty>())?;
                Some(<$ty>::from_ne_bytes(bytes.get(at..end)?.try_into().ok()?))
            }
            #[inline]
            fn write(&self, out: &mut [u8], at: usize) {
                let Some(end) = at.checked_add(core::mem::size_of::<$ty>()) else { return };
                if let Some(slot) = out.get_mut(at..end) {
                    slot.copy_from_slice(&self.to_ne_bytes());
                }
            }
        }
    )+};
}
plain!(u16, u32, i32, u64, i64);

impl Plain for [u8; 16] {
    #[inline]
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        bytes.get(at..at.checked_add(16)?)?.try_into().ok()
    }
    #[inline]
    fn write(&self, out: &mut [u8], at: usize) {
        let Some(end) = at.checked_add(16) else { return };
        if let Some(slot) = out.get_mut(at..end) {
            slot.copy_from_slice(self);
        }
    }
}
