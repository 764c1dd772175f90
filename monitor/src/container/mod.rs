//! Which containers there are, and what each of them was granted.
//!
//! [`Registry`] belongs to the hot thread and does no I/O. What needs files (OCI bundles, runtime state,
//! `/proc`) happens in [`Resolver`], on the edge, and comes back as an [`Update`].

pub mod bundle;
mod capability;
pub mod cgroup;
mod empty;
mod engine_files;
mod host;
mod identity;
mod kubepods;
mod pattern;
mod place;
mod procfs;
mod registry;
mod resident;
mod resolve;
pub mod runtime;
mod scan;
mod scan_within;
pub mod state_dir;
mod supervisor;
mod types;

pub(crate) use bundle::nullable;
pub use capability::{capability_bit, capability_name, capability_set};
pub use cgroup::{Layout, LayoutError, cgroup_id};
pub use host::{HostPaths, MAX_FILE, initial_namespace};
pub(crate) use host::{cached_status, read_file, read_start};
pub(crate) use identity::{engine_of_namespace, fill, keep_labels, keeps_label};
pub use kubepods::{Qos, pod_in_path};
pub use pattern::{PathMatch, container_in_path};
pub use procfs::{started, thread};
pub use registry::{Change, Registry, Suspect};
pub use resolve::{ResolveRequest, Resolver, RuntimeInvocation};
pub use scan::{Scanned, ScannedTask, Survey};
pub use supervisor::Supervisor;
pub use types::{
    Baseline, Compose, Container, ContainerKey, Declared, DeclaredDevice, DeclaredMount, Engine, Identity,
    Mismatch, Node, Owner, Pod, Status, Swarm, Update,
};
