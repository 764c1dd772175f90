//! What a kubelet says to a CRI server, as far as scenarios need it: `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`. Not the
//! daemon's own messages: a wrong field number there must not be the same here.

use std::collections::BTreeMap;

use prost::Message;

/// `Int64Value`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Number {
    #[prost(int64, tag = "1")]
    pub(super) value: i64,
}

/// `PodSandboxMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
    #[prost(uint32, tag = "4")]
    pub(super) attempt: u32,
}

/// `PodSandboxConfig`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<SandboxMetadata>,
    #[prost(string, tag = "2")]
    pub(super) hostname: String,
    #[prost(string, tag = "3")]
    pub(super) log_directory: String,
    #[prost(btree_map = "string, string", tag = "6")]
    pub(super) labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "7")]
    pub(super) annotations: BTreeMap<String, String>,
    #[prost(message, optional, tag = "8")]
    pub(super) linux: Option<LinuxSandbox>,
}

/// `LinuxPodSandboxConfig`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LinuxSandbox {
    #[prost(string, tag = "1")]
    pub(super) cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    pub(super) security: Option<SandboxSecurity>,
}

/// `LinuxSandboxSecurityContext`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SandboxSecurity {
    #[prost(message, optional, tag = "1")]
    pub(super) namespaces: Option<Namespaces>,
}

/// `NamespaceOption`; see [`CONTAINER`].
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Namespaces {
    #[prost(int32, tag = "1")]
    pub(super) network: i32,
    #[prost(int32, tag = "2")]
    pub(super) pid: i32,
    #[prost(int32, tag = "3")]
    pub(super) ipc: i32,
}

/// `NamespaceMode`: the pod's, the container's own, the host's.
pub(super) const POD: i32 = 0;
pub(super) const CONTAINER: i32 = 1;
pub(super) const NODE: i32 = 2;

/// `RunPodSandboxRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RunSandbox {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<SandboxConfig>,
}

/// An id in field 1: of what was made, or of what is asked about.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Id {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// `ContainerMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint32, tag = "2")]
    pub(super) attempt: u32,
}

/// `ImageSpec`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(super) image: String,
}

/// `Mount`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Mount {
    #[prost(string, tag = "1")]
    pub(super) container_path: String,
    #[prost(string, tag = "2")]
    pub(super) host_path: String,
}

/// `ContainerConfig`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(super) image: Option<ImageSpec>,
    #[prost(string, repeated, tag = "3")]
    pub(super) command: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub(super) mounts: Vec<Mount>,
    #[prost(btree_map = "string, string", tag = "9")]
    pub(super) labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "10")]
    pub(super) annotations: BTreeMap<String, String>,
    #[prost(string, tag = "11")]
    pub(super) log_path: String,
    #[prost(message, optional, tag = "15")]
    pub(super) linux: Option<LinuxContainer>,
}

/// `LinuxContainerConfig`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LinuxContainer {
    #[prost(message, optional, tag = "2")]
    pub(super) security: Option<ContainerSecurity>,
}

/// `LinuxContainerSecurityContext`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerSecurity {
    #[prost(message, optional, tag = "1")]
    pub(super) capabilities: Option<Capabilities>,
    #[prost(message, optional, tag = "3")]
    pub(super) namespaces: Option<Namespaces>,
    #[prost(message, optional, tag = "5")]
    pub(super) user: Option<Number>,
    #[prost(message, optional, tag = "12")]
    pub(super) group: Option<Number>,
    #[prost(string, repeated, tag = "13")]
    pub(super) masked_paths: Vec<String>,
    #[prost(string, repeated, tag = "14")]
    pub(super) readonly_paths: Vec<String>,
    #[prost(message, optional, tag = "15")]
    pub(super) seccomp: Option<Profile>,
}

/// `Capability`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Capabilities {
    #[prost(string, repeated, tag = "1")]
    pub(super) add: Vec<String>,
}

/// `SecurityProfile`; see [`UNCONFINED`].
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Profile {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
}

/// `ProfileType`: the runtime's own.
pub(super) const RUNTIME_DEFAULT: i32 = 0;
/// None.
pub(super) const UNCONFINED: i32 = 1;

/// `CreateContainerRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CreateContainer {
    #[prost(string, tag = "1")]
    pub(super) sandbox: String,
    #[prost(message, optional, tag = "2")]
    pub(super) config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    pub(super) sandbox_config: Option<SandboxConfig>,
}

/// `ContainerStatusResponse`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
}

/// `ContainerStatus`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "3")]
    pub(super) state: i32,
}

/// `CONTAINER_EXITED`.
pub(super) const EXITED: i32 = 2;

/// A message without fields that are read.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Empty {}
