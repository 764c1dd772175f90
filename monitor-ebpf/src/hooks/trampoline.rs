//! The end of watched system calls on the trampoline rung: nothing is added to any other call.
//!
//! `long __x64_sys_<call>(const struct pt_regs *regs)` (kernel `arch/x86/include/asm/syscall_wrapper.h`),
//! `__arm64_sys_<call>` likewise, `__ia32_sys_<call>` for 32-bit calls of x86. A call that seccomp refuses never
//! gets here.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;

use super::{call, exec_failed, memory, ptrace, sensitive, splice};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, read_kernel, regs};
use crate::preempt;

/// The registers, which are the function's argument. Read through a helper, because the verifier of 5.10 refuses a
/// direct read of an argument whose type the function's own source file only declares, as most do.
#[inline(always)]
fn registers(ctx: &FExitContext) -> Ptr {
    Ptr(read_kernel::<u64>(ctx.as_ptr() as u64))
}

#[inline(always)]
fn at_exit(
    ctx: &FExitContext,
    call: Call,
    compat: bool,
    leave: impl FnOnce(&Subject, Call, &[u64; 6], i64),
) -> Option<Subject> {
    let subject = Subject { compat, ..Subject::current()? };
    let regs = registers(ctx);
    let args = if compat { regs::compat_arguments(regs) } else { regs::arguments(regs) };
    leave(&subject, call, &args, ctx.arg::<i64>(1));
    Some(subject)
}

macro_rules! at_exit {
    ($compat:literal; $( $program:ident: $call:ident by $leave:path; )+) => {$(
        #[doc = concat!("End of [`Call::", stringify!($call), "`].")]
        #[fexit]
        fn $program(ctx: FExitContext) -> i32 {
            preempt::off(|| {
                at_exit(&ctx, Call::$call, $compat, $leave);
            });
            0
        }
    )+};
}

/// Calls that change what [`filter::compare`] looks at, and mounts, which matter most where nobody explains how the task
/// got there. What one changed is remembered, so that it is not reported again. Not after every call: the state record is
/// half of what the verifier looks at in such a program, and there are some seventy; what nobody explains is found when
/// the task next opens or executes a file.
macro_rules! at_change {
    ($compat:literal; $( $program:ident: $call:ident by $leave:path; )+) => {$(
        #[doc = concat!("End of [`Call::", stringify!($call), "`].")]
        #[fexit]
        fn $program(ctx: FExitContext) -> i32 {
            preempt::off(|| {
                if let Some(subject) = at_exit(&ctx, Call::$call, $compat, $leave) {
                    filter::compare(&subject, Task::known());
                }
            });
            0
        }
    )+};
}

at_exit! {
    false;
    exit_fsopen: Fsopen by call::leave_mount;
    exit_fsmount: Fsmount by call::leave_mount;
    exit_open_tree: OpenTree by call::leave_mount;
    exit_mount_setattr: MountSetattr by call::leave_mount;
    exit_setuid: Setuid by call::leave_cred;
    exit_setgid: Setgid by call::leave_cred;
    exit_setreuid: Setreuid by call::leave_cred;
    exit_setregid: Setregid by call::leave_cred;
    exit_setresuid: Setresuid by call::leave_cred;
    exit_setresgid: Setresgid by call::leave_cred;
    exit_setfsuid: Setfsuid by call::leave_cred;
    exit_setfsgid: Setfsgid by call::leave_cred;
    exit_setgroups: Setgroups by call::leave_cred;
    exit_capset: Capset by call::leave_cred;
    exit_memfd_create: MemfdCreate by memory::leave_memfd;
    exit_pidfd_getfd: PidfdGetfd by ptrace::leave_ptrace;
    exit_bpf: Bpf by sensitive::leave_bpf;
    exit_perf_event_open: PerfEventOpen by sensitive::leave_perf;
    exit_fanotify_mark: FanotifyMark by call::leave_fanotify;
    exit_open_by_handle_at: OpenByHandleAt by call::leave_open;
    exit_init_module: InitModule by sensitive::leave_rare;
    exit_finit_module: FinitModule by sensitive::leave_rare;
    exit_delete_module: DeleteModule by sensitive::leave_rare;
    exit_kexec_load: KexecLoad by sensitive::leave_rare;
    exit_kexec_file_load: KexecFileLoad by sensitive::leave_rare;
    exit_reboot: Reboot by sensitive::leave_rare;
    exit_iopl: Iopl by sensitive::leave_rare;
    exit_ioperm: Ioperm by sensitive::leave_rare;
    exit_modify_ldt: ModifyLdt by sensitive::leave_rare;
    exit_syslog: Syslog by sensitive::leave_rare;
    exit_settimeofday: Settimeofday by sensitive::leave_rare;
    exit_clock_settime: ClockSettime by sensitive::leave_rare;
    exit_clock_adjtime: ClockAdjtime by sensitive::leave_rare;
    exit_adjtimex: Adjtimex by sensitive::leave_rare;
    exit_quotactl: Quotactl by sensitive::leave_rare;
    exit_quotactl_fd: QuotactlFd by sensitive::leave_rare;
    exit_swapon: Swapon by sensitive::leave_rare;
    exit_swapoff: Swapoff by sensitive::leave_rare;
    exit_acct: Acct by sensitive::leave_rare;
    exit_sethostname: Sethostname by sensitive::leave_rare;
    exit_setdomainname: Setdomainname by sensitive::leave_rare;
    exit_fanotify_init: FanotifyInit by sensitive::leave_rare;
    exit_keyctl: Keyctl by sensitive::leave_rare;
    exit_add_key: AddKey by sensitive::leave_rare;
    exit_request_key: RequestKey by sensitive::leave_rare;
    exit_userfaultfd: Userfaultfd by sensitive::leave_rare;
    exit_io_uring_setup: IoUringSetup by sensitive::leave_rare;
}

at_change! {
    false;
    exit_mount: Mount by call::leave_mount;
    exit_umount: Umount by call::leave_mount;
    exit_pivot_root: PivotRoot by call::leave_root;
    exit_chroot: Chroot by call::leave_root;
    exit_move_mount: MoveMount by call::leave_mount;
    exit_setns: Setns by call::leave_namespace;
    exit_unshare: Unshare by call::leave_namespace;
}

macro_rules! at_sendfile {
    ($( $program:ident: $compat:literal, $arguments:path; )+) => {$(
        /// End of [`Call::Sendfile`], which servers make all the time: told by its arguments, before anything else is done.
        #[fexit]
        fn $program(ctx: FExitContext) -> i32 {
            preempt::off(|| {
                splice::leave_sendfile(&$arguments(registers(&ctx)), $compat, ctx.arg::<i64>(1));
            });
            0
        }
    )+};
}

at_sendfile! {
    exit_sendfile: false, regs::arguments;
    exit_sendfile_32: true, regs::compat_arguments;
    exit_sendfile_old_32: true, regs::compat_arguments;
}

macro_rules! at_failed_exec {
    ($( $program:ident: $call:ident; )+) => {$(
        #[doc = concat!("End of [`Call::", stringify!($call), "`], if it failed.")]
        #[fexit]
        fn $program(ctx: FExitContext) -> i32 {
            if exec_failed::is_wanted(ctx.arg::<i64>(1)) {
                preempt::off(|| {
                    at_exit(&ctx, Call::$call, false, exec_failed::leave_exec);
                });
            }
            0
        }
    )+};
}

at_failed_exec! {
    exit_execve: Execve;
    exit_execveat: Execveat;
}

// What credentials a 32-bit call changed is found by comparison at the task's next event; a mount is not.
at_change! {
    true;
    exit_mount_32: Mount by call::leave_mount;
    exit_umount_32: Umount by call::leave_mount;
    exit_pivot_root_32: PivotRoot by call::leave_root;
    exit_chroot_32: Chroot by call::leave_root;
    exit_move_mount_32: MoveMount by call::leave_mount;
    exit_setns_32: Setns by call::leave_namespace;
    exit_unshare_32: Unshare by call::leave_namespace;
}

at_exit! {
    true;
    exit_fsopen_32: Fsopen by call::leave_mount;
    exit_fsmount_32: Fsmount by call::leave_mount;
    exit_open_tree_32: OpenTree by call::leave_mount;
    exit_mount_setattr_32: MountSetattr by call::leave_mount;
}
