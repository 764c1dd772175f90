//! The description of a record's fields: one table for the JSON writer, the text format and the rules.

/// How the number in a field is to be read by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A count or an id.
    Number,
    /// A bit mask without names.
    Hex,
    /// A bit mask with names, lowest first; unknown bits are shown as one hexadecimal rest.
    Flags(&'static [(u64, &'static str)]),
    /// One of the named values; an unknown one keeps its number.
    Choice(&'static [(u64, &'static str)]),
    /// The result of a system call: 0 or more, or a negative errno.
    Return,
    /// Kernel device number (major << 20 | minor).
    Device,
    /// Inode number of a namespace; 0 if unknown.
    Namespace,
    /// Capability set, bit n is capability n.
    Capabilities,
    /// IPv4 or IPv6 address in network byte order, IPv4 mapped into `::ffff:0:0/96`.
    Address,
    /// Seconds since the epoch.
    Seconds,
}

/// Width and sign of a field on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
    /// Four bytes, signed.
    I32,
    /// Eight bytes.
    U64,
    /// Eight bytes, signed.
    I64,
    /// Sixteen bytes.
    Bytes16,
}

/// One fixed field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in JSON, in rules and in the documentation.
    pub name: &'static str,
    /// Bytes from the start of the payload.
    pub offset: usize,
    /// Width on the wire.
    pub width: Width,
    /// How to read it.
    pub ty: FieldType,
    /// One line for the field reference.
    pub doc: &'static str,
}

/// What a string of the tail holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailType {
    /// Bytes as they are; often text, never trusted to be UTF-8.
    Bytes,
    /// A path as the kernel resolved it: its components from the last to the first, each ended by a NUL.
    Path,
    /// Several strings, each ended by a NUL (argv).
    List,
    /// A DNS message as it was sent (RFC 1035).
    Dns,
}

/// One string of a record's tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailField {
    /// Name in JSON, in rules and in the documentation.
    pub name: &'static str,
    /// What it holds.
    pub ty: TailType,
    /// One line for the field reference.
    pub doc: &'static str,
}
