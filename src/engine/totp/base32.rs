//! Base32 of secrets (RFC 4648), read as Go reads it: in either case, with or without padding.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Without padding.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    for group in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(block);
        for letter in 0..(group.len() * 8).div_ceil(5) {
            let value = bits >> (35 - 5 * letter) & 31;
            text.push(char::from(ALPHABET[value as usize]));
        }
    }
    text
}

/// # Errors
/// The byte that cannot be there: a letter of no alphabet, or the end of an unfinished group.
pub(super) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, usize> {
    let text = text.trim_end_matches('=');
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for (at, letter) in text.bytes().enumerate() {
        bits = bits << 5 | u32::from(value(letter).ok_or(at)?);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    if matches!(text.len() % 8, 1 | 3 | 6) { Err(text.len()) } else { Ok(bytes) }
}

fn value(letter: u8) -> Option<u8> {
    match letter.to_ascii_uppercase() {
        letter @ b'A'..=b'Z' => Some(letter - b'A'),
        letter @ b'2'..=b'7' => Some(letter - b'2' + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_go_refuses_is_refused_at_the_same_byte() {
        for (text, at) in [("A", 1), ("AAA", 3), ("AB1", 2), ("AAAAAAAAA", 9), ("not base32 !", 3), ("!!", 0)]
        {
            assert_eq!(decode(text), Err(at), "{text}");
        }
        for (text, bytes) in [("MZXW6YTB", "fooba"), ("mzxw6===", "foo"), ("MY", "f"), ("", "")] {
            assert_eq!(decode(text).unwrap().as_slice(), bytes.as_bytes(), "{text}");
        }
        assert_eq!(decode("AB").unwrap().as_slice(), [0], "bits left over are ignored");
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            let read = decode(&encode(&bytes)).unwrap();
            prop_assert_eq!(read.as_slice(), bytes.as_slice());
        }
    }
}
