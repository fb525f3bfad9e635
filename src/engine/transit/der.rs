//! As much of DER as keys and signatures need: sequences, numbers and what is inside of them.

/// Tags of universal types.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;

/// The first element of `bytes` when it has this tag: its content and what follows it. `None`: there is no such
/// element, or its length is not written the one way DER allows.
pub(super) fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = take_length(rest)?;
    (*first == tag).then_some(())?;
    rest.split_at_checked(length)
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let fits = (1..=4).contains(&digits.len()) && digits.first() != Some(&0);
    let length = digits.iter().fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit));
    (fits && length >= 0x80).then_some((length, rest))
}

/// A number that is not negative, without leading zeros: its bytes and what follows it.
pub(super) fn take_unsigned(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, rest) = take(bytes, INTEGER)?;
    let (sign, magnitude) = content.split_first()?;
    match (sign, magnitude.first()) {
        (0, None) => Some((&[], rest)),
        (0, Some(next)) if *next >= 0x80 => Some((magnitude, rest)),
        (1..0x80, _) => Some((content, rest)),
        _ => None,
    }
}

/// An element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = content.len().to_be_bytes();
    let digits = length.iter().position(|digit| *digit != 0).map_or(&[][..], |at| &length[at..]);
    match digits {
        [] => bytes.push(0),
        [short @ 0..0x80] => bytes.push(*short),
        _ => {
            bytes.push(0x80 | u8::try_from(digits.len()).expect("a length has eight bytes at most"));
            bytes.extend_from_slice(digits);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A number that is not negative.
pub(super) fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let digits = magnitude.get(zeros..).unwrap_or_default();
    let needs_sign = digits.first().is_none_or(|first| *first >= 0x80);
    let mut content = if needs_sign { vec![0] } else { Vec::new() };
    content.extend_from_slice(digits);
    element(INTEGER, &content)
}

/// The private key inside of a PKCS #8 document: PKCS #1 for RSA.
pub(super) fn inside_pkcs8(document: &[u8]) -> Option<&[u8]> {
    let (fields, _) = take(document, SEQUENCE)?;
    let (_version, fields) = take_unsigned(fields)?;
    let (_algorithm, fields) = take(fields, SEQUENCE)?;
    Some(take(fields, OCTETS)?.0)
}

/// The bit string of a `SubjectPublicKeyInfo`: PKCS #1 for RSA, a point for curves.
pub(super) fn inside_spki(document: &[u8]) -> Option<&[u8]> {
    const BITS: u8 = 0x03;
    let (fields, _) = take(document, SEQUENCE)?;
    let (_algorithm, fields) = take(fields, SEQUENCE)?;
    let (bits, _) = take(fields, BITS)?;
    bits.strip_prefix(&[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_one_spelling_is_read() {
        for (bytes, read) in [
            (&[2_u8, 1, 5][..], Some(&[5_u8][..])),
            (&[2, 1, 0], Some(&[])),
            (&[2, 2, 0, 0x80], Some(&[0x80])),
            (&[2, 2, 0, 5], None),
            (&[2, 1, 0x80], None),
            (&[2, 0x81, 1, 5], None),
            (&[2, 0x80], None),
            (&[2, 2, 5], None),
            (&[2, 0], None),
            (&[4, 1, 5], None),
            (&[], None),
        ] {
            assert_eq!(take_unsigned(bytes).map(|(number, _)| number), read, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_and_elements_come_back(content in proptest::collection::vec(any::<u8>(), 0..400), tail: Vec<u8>) {
            let written = [unsigned(&content), tail.clone()].concat();
            let digits: Vec<u8> = content.iter().copied().skip_while(|byte| *byte == 0).collect();
            prop_assert_eq!(take_unsigned(&written), Some((digits.as_slice(), tail.as_slice())));
            let written = [element(SEQUENCE, &content), tail.clone()].concat();
            prop_assert_eq!(take(&written, SEQUENCE), Some((content.as_slice(), tail.as_slice())));
        }
    }
}
