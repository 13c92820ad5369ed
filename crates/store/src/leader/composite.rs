//! Values of composite types, as the functions of the schema take them.

use std::error::Error;
use std::fmt::Debug;

use bytes::{BufMut, BytesMut};
use pgasync_pg::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

pub(super) type EncodingError = Box<dyn Error + Sync + Send>;

/// A value with the fields of a composite type.
pub(super) trait Fields: Debug {
    /// The name of the type, without its schema.
    const TYPE: &'static str;

    /// Writes the field of that name.
    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError>;
}

/// A parameter of a composite type.
#[derive(Debug)]
pub(super) struct Composite<T>(pub(super) T);

impl<T: Fields> ToSql for Composite<T> {
    /// The number of fields; then of each the oid of its type, its length (-1: null), and its
    /// bytes.
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        let Kind::Composite(fields) = ty.kind() else { return Err(format!("{ty} is not a composite type").into()) };
        out.put_i32(i32::try_from(fields.len())?);
        for field in fields {
            out.put_u32(field.type_().oid());
            let length_at = out.len();
            out.put_i32(-1);
            if let IsNull::No = self.0.put(field.name(), field.type_(), out)? {
                let length = i32::try_from(out.len() - length_at - 4)?;
                out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == T::TYPE
    }

    to_sql_checked!();
}

/// The error for a field that this version does not know.
pub(super) fn unknown_field<T: Fields>(field: &str) -> EncodingError {
    format!("async.{} has an unknown field {field}", T::TYPE).into()
}
