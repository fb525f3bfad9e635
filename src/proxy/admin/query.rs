//! One parameter of a query string.

/// The decoded value of `key`; `None` when it is absent or not UTF-8 after decoding. The first one counts.
pub(super) fn value(query: Option<&str>, key: &str) -> Option<String> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, raw) = pairs.into_iter().find(|(name, _)| *name == key)?;
    decode(raw)
}

/// `+` is a space and `%XX` a byte (WHATWG URL, application/x-www-form-urlencoded); a broken escape stays as it is.
fn decode(raw: &str) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.split_at_checked(2).and_then(|(digits, tail)| Some((hex_byte(digits)?, tail)))) {
            (b'%', Some((byte, tail))) => {
                out.push(byte);
                rest = tail;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
    }
    String::from_utf8(out).ok()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let mut byte = [0; 1];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    Some(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let query = Some("last=5&path=/v1/secret%2Fa+b%3Flist=true&empty&bad=%zz%4");
        let cases = [
            ("last", Some("5")),
            ("path", Some("/v1/secret/a b?list=true")),
            ("empty", Some("")),
            ("bad", Some("%zz%4")),
            ("none", None),
        ];
        for (key, expected) in cases {
            assert_eq!(value(query, key).as_deref(), expected, "{key}");
        }
        assert_eq!(value(Some("x=%ff"), "x"), None);
        assert_eq!(value(None, "x"), None);
    }
}
