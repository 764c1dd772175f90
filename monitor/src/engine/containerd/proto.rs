//! The messages of containerd's own API that are used, with the fields that are read: `containerd/api`.
//!
//! Written by hand, so that building needs no protobuf compiler. Field numbers never change their meaning.

use std::collections::BTreeMap;

use prost::Message;

/// `google.protobuf.Empty`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Empty {}

/// `google.protobuf.Any`: bytes, and the name of the message that they are.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `containerd.services.version.v1.VersionResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct VersionResponse {
    #[prost(string, tag = "1")]
    pub(super) version: String,
}

/// `containerd.services.namespaces.v1.Namespace`, an item of `ListNamespacesResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Namespace {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// `ListTasksRequest`, `ListNamespacesRequest`: a filter, of which nothing is used.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListRequest {
    #[prost(string, tag = "1")]
    pub(super) filter: String,
}

/// `GetContainerRequest`, `tasks.v1.GetRequest` and `GetImageRequest`: what is asked for, in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetRequest {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// `containerd.v1.types.Process`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Process {
    /// Empty in containerd before 2.0, which fills in `id` alone.
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) id: String,
    #[prost(uint32, tag = "3")]
    pub(super) pid: u32,
    #[prost(int32, tag = "4")]
    pub(super) status: i32,
}

/// Of `containerd.v1.types.Status`: a task without a process any more.
pub(super) const STOPPED: i32 = 3;

/// `tasks.v1.GetResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetTaskResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<Process>,
}

/// `containers.v1.Container`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(btree_map = "string, string", tag = "2")]
    pub(super) labels: BTreeMap<String, String>,
    #[prost(string, tag = "3")]
    pub(super) image: String,
    #[prost(message, optional, tag = "4")]
    pub(super) runtime: Option<Runtime>,
    /// The OCI configuration, as JSON.
    #[prost(message, optional, tag = "5")]
    pub(super) spec: Option<Any>,
}

/// `containers.v1.Container.Runtime`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Runtime {
    /// `io.containerd.runc.v2` …
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// `GetContainerResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) container: Option<Container>,
}

/// `GetImageResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) image: Option<Image>,
}

/// `images.v1.Image`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Image {
    #[prost(message, optional, tag = "3")]
    pub(super) target: Option<Descriptor>,
}

/// `containerd.types.Descriptor`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Descriptor {
    #[prost(string, tag = "2")]
    pub(super) digest: String,
}

/// `SubscribeRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SubscribeRequest {
    /// One of them must hold.
    #[prost(string, repeated, tag = "1")]
    pub(super) filters: Vec<String>,
}

/// `containerd.types.Envelope`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(string, tag = "2")]
    pub(super) namespace: String,
    /// `/tasks/start` …
    #[prost(string, tag = "3")]
    pub(super) topic: String,
    #[prost(message, optional, tag = "4")]
    pub(super) event: Option<Any>,
}

/// The events about tasks and containers, whose field 1 is the container's id, and which agree in field 2 as far as it
/// is a text: `TaskExit` has the process's id there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TaskExit {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) id: String,
}

/// `TaskStart`, `TaskDelete`, `ContainerUpdate`: the container's id is field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AboutContainer {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
}
