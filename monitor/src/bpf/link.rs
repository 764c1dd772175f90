//! What keeps a program attached: aya's links, and one that aya makes but does not give away.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya::programs::links::FdLink;
use aya_obj::generated::{bpf_attach_type, bpf_attr};

/// Commands of bpf(2), kernel `include/uapi/linux/bpf.h`.
const OBJ_PIN: libc::c_long = 6;
const LINK_CREATE: libc::c_long = 28;

/// A link. Dropping it detaches its program, unless it is pinned.
#[derive(Debug)]
pub(super) enum Link {
    /// Of aya's making.
    Aya(FdLink),
    /// Made here.
    Own(OwnedFd),
}

/// Links by the program they run.
pub(super) type Links = Vec<(&'static str, Link)>;

impl From<FdLink> for Link {
    fn from(link: FdLink) -> Self {
        Self::Aya(link)
    }
}

impl Link {
    /// Attaches a program to sysctl writes and reads below a cgroup.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn sysctl(program: &impl AsRawFd, cgroup: &impl AsRawFd) -> io::Result<Self> {
        let fd = bpf(LINK_CREATE, |attr| {
            attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
            attr.link_create.__bindgen_anon_2.target_fd = cgroup.as_raw_fd().cast_unsigned();
            attr.link_create.attach_type = bpf_attach_type::BPF_CGROUP_SYSCTL as u32;
        })?;
        #[expect(unsafe_code, reason = "a descriptor that the kernel just gave")]
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self::Own(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Pins it: the program stays attached for as long as the pin is there.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn pin(self, path: &Path) -> Result<(), String> {
        match self {
            Self::Aya(link) => link.pin(path).map(drop).map_err(|e| e.to_string()),
            Self::Own(fd) => {
                let name = CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
                bpf(OBJ_PIN, |attr| {
                    attr.__bindgen_anon_4.pathname = name.as_ptr() as u64;
                    attr.__bindgen_anon_4.bpf_fd = fd.as_raw_fd().cast_unsigned();
                })
                .map(drop)
                .map_err(|e| e.to_string())
            }
        }
    }
}

/// Calls bpf(2) with an attribute that `fill` writes.
#[expect(unsafe_code, reason = "a system call without wrapper")]
fn bpf(command: libc::c_long, fill: impl FnOnce(&mut bpf_attr)) -> io::Result<i32> {
    // SAFETY: plain numbers, of which zeros are a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    fill(&mut attr);
    // SAFETY: `attr` is as long as is said, and what it points to lives until the call returns.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<bpf_attr>()) };
    i32::try_from(ret).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)
}
