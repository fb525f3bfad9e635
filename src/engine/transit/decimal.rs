//! Decimal numbers of any length, as backups write them, and the big-endian bytes keys are made of.
//!
//! The numbers are parts of private keys: every buffer is wiped.

use zeroize::Zeroizing;

/// Most digits of a number read: those of 8192 bits.
const MAX_DIGITS: usize = 2467;

/// The bytes of a decimal number, without leading zeros. `None`: it is none, or too long for any key.
pub(super) fn parse(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.is_empty() || text.len() > MAX_DIGITS || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // Little-endian while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2 + 1));
    for digit in text.bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in bytes.iter_mut() {
            carry += u16::from(*byte) * 10;
            [*byte, _] = carry.to_le_bytes();
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry.to_le_bytes()[0]);
        }
    }
    bytes.reverse();
    Some(bytes)
}

/// The decimal text of big-endian bytes.
pub(super) fn write(bytes: &[u8]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(Vec::with_capacity(bytes.len() * 5 / 2 + 1));
    for byte in bytes {
        let mut carry = u16::from(*byte);
        for digit in digits.iter_mut() {
            carry += u16::from(*digit) * 256;
            *digit = (carry % 10) as u8;
            carry /= 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    if digits.is_empty() {
        digits.push(0);
    }
    Zeroizing::new(digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_and_strange_numbers() {
        for (text, bytes) in [
            ("0", Some(vec![])),
            ("007", Some(vec![7])),
            ("256", Some(vec![1, 0])),
            ("65537", Some(vec![1, 0, 1])),
            ("", None),
            ("-1", None),
            ("1e5", None),
        ] {
            assert_eq!(parse(text).map(|bytes| bytes.to_vec()), bytes, "{text}");
        }
        assert!(parse(&"9".repeat(MAX_DIGITS + 1)).is_none());
        assert_eq!(write(&[0, 0]).as_str(), "0");
    }

    proptest! {
        #[test]
        fn numbers_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
            let read = parse(&write(&bytes)).unwrap();
            prop_assert_eq!(read.as_slice(), digits.as_slice());
        }
    }
}
