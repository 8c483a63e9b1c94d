//! What this crate needs of JSON: a validator, a reader that checks the object it reads, a scanner over text that was
//! checked, and a writer.
//!
//! Values pass through as the bytes they were written with; nothing here builds a tree. The
//! scanner trusts the grammar, which has been checked, but not with its safety: on other
//! text it ends early.

mod checked;
mod scan;
mod special;
mod validate;
mod write;

#[cfg(test)]
mod properties;

pub(crate) use checked::{Unread, read_object};
pub(crate) use scan::{Array, Object, RawString, Value};
pub(crate) use validate::{Invalid, Validator};
pub(crate) use write::{ObjectWriter, append_decimal, append_string, decimal_len};
