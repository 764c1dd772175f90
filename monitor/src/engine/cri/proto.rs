//! The messages of CRI that are used, with the fields that are read: `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`.
//!
//! Written by hand, so that building needs no protobuf compiler. Field numbers never change their meaning.

use std::collections::BTreeMap;

use prost::Message;

/// `VersionRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct VersionRequest {
    /// Version of the kubelet's API, `0.1.0` in every kubelet.
    #[prost(string, tag = "1")]
    pub(super) version: String,
}

/// `VersionResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct VersionResponse {
    /// `containerd`, `cri-o` …
    #[prost(string, tag = "2")]
    pub(super) runtime_name: String,
    #[prost(string, tag = "3")]
    pub(super) runtime_version: String,
}

/// `ListContainersRequest` and `ListPodSandboxRequest`: a filter in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) filter: Option<Filter>,
}

/// `ContainerFilter` and `PodSandboxFilter`, which agree in these fields.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Filter {
    #[prost(message, optional, tag = "2")]
    pub(super) state: Option<StateValue>,
}

/// `ContainerStateValue` and `PodSandboxStateValue`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct StateValue {
    #[prost(int32, tag = "1")]
    pub(super) state: i32,
}

/// `CONTAINER_RUNNING`.
pub(super) const CONTAINER_RUNNING: i32 = 1;
/// `SANDBOX_READY`.
pub(super) const SANDBOX_READY: i32 = 0;

/// The items of `ListContainersResponse` and of `ListPodSandboxResponse`, as far as they are read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Listed {
    #[prost(string, tag = "1")]
    pub(super) id: String,
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

/// `PodSandboxStatusRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(bool, tag = "2")]
    pub(super) verbose: bool,
}

/// `PodSandboxStatusResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<SandboxStatus>,
    #[prost(btree_map = "string, string", tag = "2")]
    pub(super) info: BTreeMap<String, String>,
}

/// `PodSandboxStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxStatus {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<SandboxMetadata>,
    #[prost(btree_map = "string, string", tag = "7")]
    pub(super) labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "8")]
    pub(super) annotations: BTreeMap<String, String>,
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
    /// What the engine calls it: a name, or an id if the kubelet asked by id.
    #[prost(string, tag = "1")]
    pub(super) image: String,
    /// What the pod's author wrote.
    #[prost(string, tag = "18")]
    pub(super) user_specified_image: String,
}

/// `ContainerStatusRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(bool, tag = "2")]
    pub(super) verbose: bool,
}

/// `ContainerStatusResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
    #[prost(btree_map = "string, string", tag = "2")]
    pub(super) info: BTreeMap<String, String>,
}

/// `ContainerStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "8")]
    pub(super) image: Option<ImageSpec>,
    /// The image by digest, as the kubelet reports it.
    #[prost(string, tag = "9")]
    pub(super) image_ref: String,
    #[prost(btree_map = "string, string", tag = "12")]
    pub(super) labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "13")]
    pub(super) annotations: BTreeMap<String, String>,
    /// Since Kubernetes 1.29.
    #[prost(string, tag = "17")]
    pub(super) image_id: String,
}

/// `GetEventsRequest`, and every other message without fields.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Empty {}

/// `ContainerEventResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerEvent {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(int32, tag = "2")]
    pub(super) kind: i32,
}

/// `ContainerEventType`: a container was started.
pub(super) const STARTED: i32 = 1;
/// It has stopped, or was removed.
pub(super) const ENDED: [i32; 2] = [2, 3];
