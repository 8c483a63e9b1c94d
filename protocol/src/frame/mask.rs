//! Masking (RFC 6455, section 5.3): XOR with a repeating key of four bytes. Applying it twice
//! restores the payload, so one function serves both directions.

/// Applies `key` to `payload` in place and returns the key for the bytes that follow it.
///
/// Cost: eight bytes a step; the compiler widens it further.
pub(super) fn apply(key: [u8; 4], payload: &mut [u8]) -> [u8; 4] {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
    let mut next = key;
    next.rotate_left(payload.len() % 4);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_masked_like_the_whole() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let payload: Vec<u8> = (0..40).collect();
        let expected: Vec<u8> = payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        for split in 0..payload.len() {
            let mut masked = payload.clone();
            let (head, tail) = masked.split_at_mut(split);
            let next = apply(key, head);
            apply(next, tail);
            assert_eq!(masked, expected, "split at {split}");
        }
    }
}
