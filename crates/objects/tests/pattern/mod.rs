//! Bytes that follow from a seed, for the crash test and its victim. Not a source of
//! randomness: the same seed gives the same bytes in both processes.

/// Bytes that do not repeat, so that no two chunks are alike.
pub(crate) fn pattern(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length as usize + 8);
    while (bytes.len() as u64) < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes
}
