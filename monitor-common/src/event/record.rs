//! The `record!` macro: one definition gives a record's layout, its reader and its field table.

use super::field::{Field, TailField, Width};
use super::plain::Plain;

/// A type that a record's payload can hold, with its width.
pub trait FieldPlain: Plain {
    /// Width on the wire.
    const WIDTH: Width;
}

macro_rules! width {
    ($($ty:ty => $width:ident),+) => {$(
        impl FieldPlain for $ty {
            const WIDTH: Width = Width::$width;
        }
    )+};
}
width!(u16 => U16, u32 => U32, i32 => I32, u64 => U64, i64 => I64, [u8; 16] => Bytes16);

/// A payload that the kernel side writes and the user side reads.
pub trait Record: Sized + Copy + Default {
    /// Its fixed fields, in wire order.
    const FIELDS: &'static [Field];
    /// Its strings, in wire order.
    const TAIL: &'static [TailField];
    /// Bytes on the wire.
    const SIZE: usize = core::mem::size_of::<Self>();
    /// Reads it from the start of `bytes`; `None` if they are too few.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Writes it to the start of `out`, as the kernel side would: for replay, scans and tests.
    fn write(&self, out: &mut [u8]);
}

/// Defines a payload: a `repr(C)` struct without padding, its reader and its field table.
///
/// Each field is `name: type as FieldType`, each string of the tail `name: TailType`; both need a one-line
/// doc comment, which becomes the field reference.
macro_rules! record {
    (
        $(#[doc = $struct_doc:literal])+
        pub struct $name:ident {
            $( #[doc = $doc:literal] $field:ident : $ty:ty as $field_ty:ident $( ($arg:expr) )? ),+ $(,)?
        }
        tail { $( #[doc = $tail_doc:literal] $tail:ident : $tail_ty:ident ),* $(,)? }
    ) => {
        $(#[doc = $struct_doc])+
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $( #[doc = $doc] pub $field: $ty, )+
        }

        // No padding: the sizes of the fields add up, so nothing uninitialised reaches user space.
        const _: () = assert!(core::mem::size_of::<$name>() == 0 $( + core::mem::size_of::<$ty>() )+);
        const _: () = assert!(core::mem::align_of::<$name>() <= 8);

        impl $crate::event::record::Record for $name {
            const FIELDS: &'static [$crate::event::field::Field] = {
                &[ $( $crate::event::field::Field {
                    name: stringify!($field),
                    offset: core::mem::offset_of!($name, $field),
                    width: <$ty as $crate::event::record::FieldPlain>::WIDTH,
                    ty: $crate::event::field::FieldType::$field_ty $( ($arg) )?,
                    doc: $doc,
                }, )+ ]
            };
            const TAIL: &'static [$crate::event::field::TailField] = &[ $( $crate::event::field::TailField {
                name: stringify!($tail),
                ty: $crate::event::field::TailType::$tail_ty,
                doc: $tail_doc,
            }, )* ];

            #[inline]
            fn read(bytes: &[u8]) -> Option<Self> {
                if bytes.len() < Self::SIZE {
                    return None;
                }
                Some(Self { $( $field: $crate::event::plain::Plain::read(
                    bytes, core::mem::offset_of!($name, $field))?, )+ })
            }

            fn write(&self, out: &mut [u8]) {
                $( $crate::event::plain::Plain::write(&self.$field, out, core::mem::offset_of!($name, $field)); )+
            }
        }
    };
}
pub(crate) use record;
