//! Looks for bytes that mean something in a string. Eight bytes a step: names are shorter than what calling memchr(3)
//! takes, and values are seldom long.

/// Where the first quote or backslash stands.
#[inline]
pub(super) fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    find(bytes, quotes_or_backslashes, |byte| {
        matches!(byte, b'"' | b'\\')
    })
}

/// Where the first byte stands that can't be in a string as it is (RFC 8259 section 7): a quote, a backslash, or a
/// control character.
#[inline]
pub(super) fn quote_backslash_or_control(bytes: &[u8]) -> Option<usize> {
    find(bytes, specials, |byte| SPECIAL[usize::from(byte)])
}

/// Whether a byte must be escaped in a string.
pub(super) const fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\')
}

/// By byte, [`is_special`].
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte: u8 = 0;
    while byte.is_ascii() {
        special[byte as usize] = is_special(byte);
        byte += 1;
    }
    special
};

#[inline]
fn find(bytes: &[u8], in_word: impl Fn(u64) -> u64, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = in_word(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    Some(words.len() * 8 + rest.iter().position(|&byte| is_it(byte))?)
}

const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The high bit of each byte that is below `bound`, at most 0x80, and perhaps of bytes above the first that is.
#[inline]
fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(repeated(bound)) & !word & repeated(0x80)
}

#[inline]
fn quotes_or_backslashes(word: u64) -> u64 {
    below(word ^ repeated(b'"'), 1) | below(word ^ repeated(b'\\'), 1)
}

#[inline]
fn specials(word: u64) -> u64 {
    quotes_or_backslashes(word) | below(word, 0x20)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    proptest! {
        /// Bytes that differ from those looked for by little, and in the bits that subtraction carries to.
        #[test]
        fn the_first_is_found(
            bytes in vec(select(b"!\"#[\\]\x00\x01\x1f\x20\x7f\x80\x9f\xa0\xa2\xdc\xff".to_vec()), 0..40)
        ) {
            let expected = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&bytes), expected);
            let expected = bytes.iter().position(|&byte| is_special(byte));
            prop_assert_eq!(quote_backslash_or_control(&bytes), expected);
        }
    }
}
