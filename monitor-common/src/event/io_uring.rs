//! An io_uring was made, and what was asked for through it.

use super::record::record;

/// `IORING_SETUP_*`, from `include/uapi/linux/io_uring.h`.
const SETUP: &[(u64, &str)] = &[
    (1, "iopoll"),
    (1 << 1, "sqpoll"),
    (1 << 2, "sq_aff"),
    (1 << 3, "cqsize"),
    (1 << 4, "clamp"),
    (1 << 5, "attach_wq"),
    (1 << 6, "r_disabled"),
    (1 << 7, "submit_all"),
    (1 << 8, "coop_taskrun"),
    (1 << 9, "taskrun_flag"),
    (1 << 10, "sqe128"),
    (1 << 11, "cqe32"),
    (1 << 12, "single_issuer"),
    (1 << 13, "defer_taskrun"),
    (1 << 14, "no_mmap"),
    (1 << 15, "registered_fd_only"),
    (1 << 16, "no_sqarray"),
    (1 << 17, "hybrid_iopoll"),
];

/// `enum io_uring_op`, from `include/uapi/linux/io_uring.h`: those that are reported.
const OPERATIONS: &[(u64, &str)] = &[
    (9, "sendmsg"),
    (16, "connect"),
    (18, "openat"),
    (28, "openat2"),
    (30, "splice"),
    (35, "renameat"),
    (36, "unlinkat"),
    (37, "mkdirat"),
    (38, "symlinkat"),
    (39, "linkat"),
    (41, "fsetxattr"),
    (42, "setxattr"),
    (45, "socket"),
    (46, "uring_cmd"),
    (48, "sendmsg_zc"),
    (54, "fixed_fd_install"),
    (56, "bind"),
    (57, "listen"),
];

record! {
    /// Tracepoint `io_uring_create` (kernel `io_uring/io_uring.c`).
    pub struct IoUring {
        /// Entries of the submission queue.
        sq_entries: u32 as Number,
        /// Entries of the completion queue.
        cq_entries: u32 as Number,
        /// Flags of the set-up.
        flags: u32 as Flags(SETUP),
        /// Descriptor of the ring.
        fd: i32 as Number,
    }
    tail {}
}

record! {
    /// Tracepoint `io_uring_submit_req`, or `io_uring_submit_sqe` of older kernels (kernel `io_uring/io_uring.c`), for
    /// the operations that system calls do as well: no system call is seen for them.
    pub struct IoUringOp {
        /// Which operation.
        op: u32 as Choice(OPERATIONS),
        /// Descriptor that it works on; -1 if it takes none, or if this kernel does not tell.
        fd: i32 as Number,
    }
    tail {}
}
