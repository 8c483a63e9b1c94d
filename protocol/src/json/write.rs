//! JSON out, appended to a buffer of the caller.

use super::special::{is_special, quote_backslash_or_control};
use crate::timestamp::Timestamp;

/// Writes one object, key by key; [`Self::end`] closes it.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> ObjectWriter<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    #[inline]
    pub(crate) fn string(&mut self, key: &'static str, value: &str) {
        append_string(self.key(key), value);
    }

    #[inline]
    pub(crate) fn number(&mut self, key: &'static str, value: u64) {
        append_decimal(self.key(key), value);
    }

    /// `json` is a JSON value as it was written.
    #[inline]
    pub(crate) fn raw(&mut self, key: &'static str, json: &[u8]) {
        self.key(key).extend_from_slice(json);
    }

    #[inline]
    pub(crate) fn time(&mut self, key: &'static str, value: Timestamp) {
        let out = self.key(key);
        out.push(b'"');
        value.append_to(out);
        out.push(b'"');
    }

    /// `write` appends one element of the array.
    #[inline]
    pub(crate) fn array<T>(
        &mut self,
        key: &'static str,
        elements: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        let out = self.key(key);
        out.push(b'[');
        for (index, element) in elements.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write(out, element);
        }
        out.push(b']');
    }

    /// Writes a key, which holds nothing that must be escaped; the caller appends its value.
    ///
    /// Inlined, and those who call it, so that the length of the key is known.
    #[inline]
    pub(crate) fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        debug_assert!(
            !key.bytes().any(is_special),
            "a key of the contract needs no escapes"
        );
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a key that somebody else chose; the caller appends its value.
    pub(crate) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.separate();
        append_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    #[inline]
    fn separate(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends `text` as a JSON string, quotes included.
#[inline]
pub(crate) fn append_string(out: &mut Vec<u8>, text: &str) {
    // Room for the quotes, too: once for nearly all.
    out.reserve(text.len() + 2);
    out.push(b'"');
    match quote_backslash_or_control(text.as_bytes()) {
        None => out.extend_from_slice(text.as_bytes()),
        Some(_) => append_escaped(out, text),
    }
    out.push(b'"');
}

#[cold]
fn append_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(position) = quote_backslash_or_control(rest) {
        let (plain, special) = rest.split_at(position);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else {
            break;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 0xf].map(|nibble| HEX[usize::from(nibble)]));
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Appends `number` in decimal.
pub(crate) fn append_decimal(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut rest = number;
    loop {
        // A remainder by 10 fits.
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// How many bytes [`append_decimal`] takes.
pub(crate) fn decimal_len(number: u64) -> usize {
    number
        .checked_ilog10()
        .map_or(1, |exponent| exponent as usize + 1)
}

const HEX: [u8; 16] = *b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            append_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_are_as_long_as_said(number in prop_oneof![any::<u64>(), 0..1_000_u64]) {
            let mut out = Vec::new();
            append_decimal(&mut out, number);
            prop_assert_eq!(&out, &number.to_string().into_bytes());
            prop_assert_eq!(out.len(), decimal_len(number));
        }
    }
}
