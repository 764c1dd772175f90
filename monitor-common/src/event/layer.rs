//! Which layer of an overlay a file comes from.

/// The file system is no overlay.
pub const NONE: u32 = 0;
/// A lower layer: the image brought the file, and nobody has changed it.
pub const LOWER: u32 = 1;
/// The upper layer: the file was made, or copied up by a change, in the container.
pub const UPPER: u32 = 2;
/// An overlay, on a kernel that does not say where it keeps the layer.
pub const UNKNOWN: u32 = 3;

/// The names in output.
pub const NAMES: &[(u64, &str)] = &[(0, "none"), (1, "lower"), (2, "upper"), (3, "unknown")];
