//! Base64 as Go reads it, so that what it refuses is refused at the same byte with the same words; and PEM.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::refusal::{Refusable, Refusal};

const PADDED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
const URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);
/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

/// Standard base64 with padding; line breaks are skipped, as Go does.
///
/// # Errors
/// `illegal base64 data at input byte N`.
pub(super) fn decode(text: &str) -> Refusable<Zeroizing<Vec<u8>>> {
    if text.contains(['\r', '\n']) {
        return decode_strict(&text.replace(['\r', '\n'], ""));
    }
    decode_strict(text)
}

fn decode_strict(text: &str) -> Refusable<Zeroizing<Vec<u8>>> {
    PADDED.decode(text).map(Zeroizing::new).map_err(|_| illegal(text))
}

pub(super) fn encode(bytes: &[u8]) -> String {
    PADDED.encode(bytes)
}

/// Of JSON web signatures: the URL's alphabet without padding. `None`: it is none.
pub(super) fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL.decode(text).ok()
}

pub(super) fn encode_url(bytes: &[u8]) -> String {
    URL.encode(bytes)
}

fn illegal(text: &str) -> Refusal {
    Refusal::user(format!("illegal base64 data at input byte {}", illegal_at(text.as_bytes())))
}

/// Where Go stops: at the first byte that cannot be there, or at the beginning of an unfinished group of four.
fn illegal_at(text: &[u8]) -> usize {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let Some(at) = text.iter().position(|byte| !is_letter(*byte)) else { return text.len() / 4 * 4 };
    if text.get(at) != Some(&b'=') || at % 4 < 2 {
        return at;
    }
    let padding = 4 - at % 4;
    match text.iter().skip(at).take(padding).position(|byte| *byte != b'=') {
        Some(other) => at + other - 1,
        None if text.len() < at + padding => text.len(),
        None => at + padding,
    }
}

/// `-----BEGIN <label>-----` and what belongs to it, with a line break at the end.
pub(super) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / PEM_LINE + 80));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for (at, letter) in body.char_indices() {
        if at > 0 && at % PEM_LINE == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The blocks of a PEM text: label and content, in order. What is not PEM between them is skipped.
pub(super) fn pem_blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((label, body, after)) = next_block(rest) {
        let body: String = body.split_whitespace().collect();
        if let Ok(der) = PADDED.decode(&body) {
            blocks.push((label.to_owned(), der));
        }
        rest = after;
    }
    blocks
}

fn next_block(text: &str) -> Option<(&str, &str, &str)> {
    let (_, begun) = text.split_once("-----BEGIN ")?;
    let (label, begun) = begun.split_once("-----")?;
    let (body, after) = begun.split_once("-----END ")?;
    let after = after.strip_prefix(label)?.strip_prefix("-----")?;
    Some((label, body, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_refused_where_go_refuses_it() {
        for (text, at) in [
            ("!!", 0),
            ("not base64!", 3),
            ("abc", 0),
            ("aGVsbG8", 4),
            ("aGVsbG8=x", 8),
            ("aG=sbG8=", 2),
            ("a===", 1),
            ("aG=", 3),
            ("aGVs=", 4),
        ] {
            let refused = decode(text).unwrap_err();
            assert_eq!(refused.text(), format!("illegal base64 data at input byte {at}"), "{text}");
        }
        assert_eq!(decode("aGVs\nbG8=\n").unwrap().as_slice(), b"hello");
        assert_eq!(decode("").unwrap().as_slice(), b"");
        assert_eq!(decode("aGVsbG9=").unwrap().as_slice(), b"hello", "bits left over are ignored");
    }

    proptest! {
        #[test]
        fn pem_comes_back(der in proptest::collection::vec(any::<u8>(), 1..300)) {
            let text = format!("comment\n{}{}", pem("A B", &der).as_str(), pem("C", &der).as_str());
            prop_assert_eq!(pem_blocks(&text), vec![("A B".to_owned(), der.clone()), ("C".to_owned(), der)]);
        }

        #[test]
        fn any_text_is_refused_or_read(text in "[A-Za-z0-9+/=\n ]{0,24}") {
            let read = decode(&text).is_ok();
            prop_assert!(!read || !text.contains(' '));
        }
    }
}
