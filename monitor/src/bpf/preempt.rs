//! Whether programs can be preempted.

use super::btf::Btf;

/// True if programs of tracepoints can be preempted: since 7.0 they are protected by an SRCU domain of their own. That
/// name is an older one too, of kernels before 6.14, which used it where RCU did not watch; those have no
/// `bpf_res_spin_lock()`.
pub(super) fn is_possible(types: &Btf) -> bool {
    types.has_variable("tracepoint_srcu_srcu_data") && types.has_function("bpf_res_spin_lock")
}
