//! A file was made that lives in memory only.

use super::record::record;

record! {
    /// `memfd_create(2)` (kernel `mm/memfd.c`).
    pub struct Memfd {
        /// `MFD_*` flags (man 2 memfd_create).
        flags: u32 as Flags(&[(1, "cloexec"), (2, "allow_sealing"), (4, "hugetlb"), (8, "noexec_seal"), (16, "exec")]),
        /// The descriptor, or the error.
        ret: i32 as Return,
    }
    tail {
        /// The name, as the program gave it; it is only for show.
        name: Bytes,
    }
}
