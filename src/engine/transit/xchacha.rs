//! The key of XChaCha20-Poly1305: `HChaCha20` turns a key and the first 16 bytes of a 24-byte nonce into the key that
//! ChaCha20-Poly1305 is then used with. It is the part aws-lc-rs does not offer; the cipher itself is aws-lc-rs's.
//!
//! Additions, rotations and exclusive-ors of words only: nothing branches on or is indexed by the key.

use zeroize::Zeroizing;

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
const DOUBLE_ROUNDS: usize = 10;

/// See the module.
pub(super) fn subkey(key: &[u8; 32], nonce: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let mut state = Zeroizing::new([0_u32; 16]);
    let words = CONSTANTS.into_iter().chain(words(key)).chain(words(nonce));
    state.iter_mut().zip(words).for_each(|(slot, word)| *slot = word);
    for _ in 0..DOUBLE_ROUNDS {
        double_round(&mut state);
    }
    let mut subkey = Zeroizing::new([0; 32]);
    let kept = state[..4].iter().chain(&state[12..]);
    subkey.chunks_exact_mut(4).zip(kept).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
    subkey
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

fn double_round(state: &mut [u32; 16]) {
    for column in 0..4 {
        quarter_round(state, [column, column + 4, column + 8, column + 12]);
    }
    for [a, b, c, d] in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
        quarter_round(state, [a, b, c, d]);
    }
}

fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (left, right, mixed, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[left] = state[left].wrapping_add(state[right]);
        state[mixed] = (state[mixed] ^ state[left]).rotate_left(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 2.2.1 of draft-irtf-cfrg-xchacha-03.
    #[test]
    fn the_subkey_of_the_draft() {
        let key: Vec<u8> = (0..32).collect();
        let nonce = hex::decode("000000090000004a0000000031415927").unwrap();
        let subkey = subkey(&key.try_into().unwrap(), &nonce.try_into().unwrap());
        assert_eq!(hex::encode(*subkey), "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
    }
}
