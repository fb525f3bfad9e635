//! Randomness from the operating system, for keys, tokens, nonces and ids.

/// Fills `buffer` with random bytes.
///
/// # Panics
/// When the system has no randomness to give: nothing secret can be made then.
pub fn fill(buffer: &mut [u8]) {
    aws_lc_rs::rand::fill(buffer).expect("the operating system gives randomness");
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    fill(&mut buffer);
    buffer
}

/// `length` characters of `0-9A-Za-z`, each equally likely: the alphabet of Vault's tokens and accessors.
#[must_use]
pub fn base62(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// The largest multiple of 62 in a byte: what is above would favour the first letters.
    const FAIR: u8 = 248;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in bytes::<32>() {
            if byte < FAIR && text.len() < length {
                text.push(char::from(ALPHABET[usize::from(byte % 62)]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_has_its_length_and_alphabet() {
        for length in [0, 1, 24, 100] {
            let text = base62(length);
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        assert_ne!(base62(24), base62(24));
    }
}
