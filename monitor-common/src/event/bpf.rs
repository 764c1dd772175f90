//! `bpf(2)` was called.

use super::record::record;

/// Values of [`Bpf::object`].
pub mod object {
    /// None was reached.
    pub const NONE: u32 = 0;
    /// A map.
    pub const MAP: u32 = 1;
    /// A program.
    pub const PROGRAM: u32 = 2;
    /// A link: a program at its place.
    pub const LINK: u32 = 3;
}

/// `enum bpf_cmd`, from `include/uapi/linux/bpf.h`.
const COMMANDS: &[(u64, &str)] = &[
    (0, "map_create"),
    (5, "prog_load"),
    (6, "obj_pin"),
    (7, "obj_get"),
    (8, "prog_attach"),
    (9, "prog_detach"),
    (10, "prog_test_run"),
    (11, "prog_get_next_id"),
    (12, "map_get_next_id"),
    (13, "prog_get_fd_by_id"),
    (14, "map_get_fd_by_id"),
    (16, "prog_query"),
    (17, "raw_tracepoint_open"),
    (18, "btf_load"),
    (19, "btf_get_fd_by_id"),
    (20, "task_fd_query"),
    (22, "map_freeze"),
    (23, "btf_get_next_id"),
    (28, "link_create"),
    (29, "link_update"),
    (30, "link_get_fd_by_id"),
    (31, "link_get_next_id"),
    (32, "enable_stats"),
    (33, "iter_create"),
    (34, "link_detach"),
    (35, "prog_bind_map"),
    (36, "token_create"),
    (37, "prog_stream_read_by_fd"),
];

/// `enum bpf_prog_type`, from `include/uapi/linux/bpf.h`.
const PROGRAM_TYPES: &[(u64, &str)] = &[
    (0, "none"),
    (1, "socket_filter"),
    (2, "kprobe"),
    (3, "sched_cls"),
    (4, "sched_act"),
    (5, "tracepoint"),
    (6, "xdp"),
    (7, "perf_event"),
    (8, "cgroup_skb"),
    (9, "cgroup_sock"),
    (10, "lwt_in"),
    (11, "lwt_out"),
    (12, "lwt_xmit"),
    (13, "sock_ops"),
    (14, "sk_skb"),
    (15, "cgroup_device"),
    (16, "sk_msg"),
    (17, "raw_tracepoint"),
    (18, "cgroup_sock_addr"),
    (19, "lwt_seg6local"),
    (20, "lirc_mode2"),
    (21, "sk_reuseport"),
    (22, "flow_dissector"),
    (23, "cgroup_sysctl"),
    (24, "raw_tracepoint_writable"),
    (25, "cgroup_sockopt"),
    (26, "tracing"),
    (27, "struct_ops"),
    (28, "ext"),
    (29, "lsm"),
    (30, "sk_lookup"),
    (31, "syscall"),
    (32, "netfilter"),
];

/// `enum bpf_map_type`, from `include/uapi/linux/bpf.h`.
const MAP_TYPES: &[(u64, &str)] = &[
    (0, "none"),
    (1, "hash"),
    (2, "array"),
    (3, "prog_array"),
    (4, "perf_event_array"),
    (5, "percpu_hash"),
    (6, "percpu_array"),
    (7, "stack_trace"),
    (8, "cgroup_array"),
    (9, "lru_hash"),
    (10, "lru_percpu_hash"),
    (11, "lpm_trie"),
    (12, "array_of_maps"),
    (13, "hash_of_maps"),
    (14, "devmap"),
    (15, "sockmap"),
    (16, "cpumap"),
    (17, "xskmap"),
    (18, "sockhash"),
    (19, "cgroup_storage"),
    (20, "reuseport_sockarray"),
    (21, "percpu_cgroup_storage"),
    (22, "queue"),
    (23, "stack"),
    (24, "sk_storage"),
    (25, "devmap_hash"),
    (26, "struct_ops"),
    (27, "ringbuf"),
    (28, "inode_storage"),
    (29, "task_storage"),
    (30, "bloom_filter"),
    (31, "user_ringbuf"),
    (32, "cgrp_storage"),
    (33, "arena"),
];

record! {
    /// `bpf(2)` (kernel `kernel/bpf/syscall.c`) without the commands that read and write map elements.
    pub struct Bpf {
        /// What was asked for.
        cmd: u32 as Choice(COMMANDS),
        /// Result of the call.
        ret: i32 as Return,
        /// What the descriptor of the call, or the one that it returned, is to the kernel.
        object: u32 as Choice(&[(0, "none"), (1, "map"), (2, "program"), (3, "link")]),
        /// Id of that object; of a link, its own.
        id: u32 as Number,
        /// First word of the attributes: for the commands that get an object by its id, that id. Read from user memory.
        wanted: u32 as Number,
        /// Type of the program, of a link its program's. Without an object, what a refused load asked for.
        prog_type: u32 as Choice(PROGRAM_TYPES),
        /// `expected_attach_type` of the program.
        attach_type: u32 as Number,
        /// Instructions of the program.
        instructions: u32 as Number,
        /// Type of the map. Without an object, what a refused creation asked for.
        map_type: u32 as Choice(MAP_TYPES),
        /// Id of a link's program.
        prog_id: u32 as Number,
    }
    tail {
        /// Name of the program or map.
        name: Bytes,
    }
}
