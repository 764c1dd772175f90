//! What an exec's own record has no room for: the rest of its arguments, and its environment.

use super::record::record;

/// What the bytes are of.
pub mod part {
    /// The arguments.
    pub const ARGV: u32 = 0;
    /// The environment.
    pub const ENVIRON: u32 = 1;
}

/// Bytes of the arguments that the exec's own record holds: enough for nearly every program, and for the command
/// lines of runtimes.
pub const INLINE: usize = 1024;
/// Most bytes of one piece.
pub const PIECE: usize = 4096;
/// Most bytes of all arguments, and of the whole environment.
pub const MOST: usize = 32 * 1024;

record! {
    /// A piece of the arguments or the environment of a program (`mm->arg_start`, `mm->env_start`, kernel `fs/exec.c`).
    /// Written before the `exec` record that it belongs to, and joined into it: it is no event of the output.
    pub struct ExecArgs {
        /// Which exec of its task: the same number as in the `exec` record.
        exec_id: u64 as Number,
        /// What the bytes are of.
        part: u32 as Choice(&[(0, "argv"), (1, "environ")]),
        /// Where the piece begins, bytes.
        offset: u32 as Number,
        /// Bytes of the whole.
        total: u32 as Number,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// The piece.
        bytes: Bytes,
    }
}
