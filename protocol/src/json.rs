//! What this crate needs of JSON: a validator, a scanner over validated text, and a writer.
//!
//! Values pass through as the bytes they were written with; nothing here builds a tree. The
//! scanner trusts the grammar, which the validator has checked, but not with its safety: on other
//! text it ends early.

mod scan;
mod validate;
mod write;

#[cfg(test)]
mod properties;

pub(crate) use scan::{Array, Object, RawString, Value};
pub(crate) use validate::{Invalid, Validator};
pub(crate) use write::{ObjectWriter, append_decimal, append_string, decimal_len};
