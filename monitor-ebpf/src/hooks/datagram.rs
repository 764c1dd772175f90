//! Datagrams sent without a connect, at the end of the call: where no program can be at the root of cgroup v2.

use monitor_common::call::Call;

use super::security::report_datagram;
use crate::filter::Subject;
use crate::kernel::read_user;

/// `sendto`, `sendmsg`, `sendmmsg`: of the last only the first message.
#[inline(always)]
pub(crate) fn leave_send(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    let name = match call {
        Call::Sendto => args[4],
        // `msg_name` is the first member of `struct user_msghdr`, and that the first of `struct mmsghdr` (kernel
        // `include/linux/socket.h`); so it is in their 32-bit forms.
        _ if subject.compat => u64::from(read_user::<u32>(args[1])),
        _ => read_user::<u64>(args[1]),
    };
    if name != 0 {
        report_datagram(subject, name, ret as i32);
    }
}
