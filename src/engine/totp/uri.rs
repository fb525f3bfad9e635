//! `otpauth://totp/Issuer:account?secret=…`: how authenticator programs take keys.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::key::Key;

/// What such a text says; what it does not say is `None`.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) secret: Option<Zeroizing<String>>,
    pub(super) issuer: Option<String>,
    pub(super) account: String,
    pub(super) algorithm: Option<String>,
    pub(super) digits: Option<String>,
    pub(super) period: Option<String>,
}

/// Reads it as leniently as the server: any scheme, any host. `None`: it is no URI.
pub(super) fn read(text: &str) -> Option<Said> {
    let text = text.split('#').next().unwrap_or(text);
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    if place.starts_with(':') || text.chars().any(char::is_control) {
        return None;
    }
    let path = match place.split_once("://") {
        Some((_, host_and_path)) => host_and_path.split_once('/').map_or("", |(_, path)| path),
        None => place,
    };
    let label = unescape(path)?;
    let (issuer, account) = match label.split_once(':') {
        Some((issuer, account)) => (Some(issuer.to_owned()), account.to_owned()),
        None => (None, label),
    };
    let mut said = Said { issuer, account, ..Said::default() };
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some(value) = unescape(&value.replace('+', " ")).filter(|value| !value.is_empty()) {
            take(&mut said, name, value);
        }
    }
    Some(said)
}

fn take(said: &mut Said, name: &str, value: String) {
    match name {
        "secret" => said.secret = Some(Zeroizing::new(value)),
        "issuer" => said.issuer = Some(value),
        "algorithm" => said.algorithm = Some(value),
        "digits" => said.digits = Some(value),
        "period" => said.period = Some(value),
        _ => {}
    }
}

/// `%41` is `A`. `None`: a percent sign without two digits, or no UTF-8.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.extend(hex::decode(digits).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// The key as such a text.
pub(super) fn write(key: &Key) -> Zeroizing<String> {
    let (issuer, account) = (escape(&key.issuer, PATH), escape(&key.account, PATH));
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{account}?algorithm={}&digits={}&issuer={}&period={}&secret={}",
        key.algorithm.name(),
        key.digits,
        escape(&key.issuer, ""),
        key.period_secs,
        key.secret.as_str(),
    ))
}

/// What a path holds as it is, beside letters and digits.
const PATH: &str = "$&+,/:;=@";

fn escape(text: &str, kept: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.~".contains(letter) || kept.contains(letter) {
            escaped.push(letter);
        } else {
            write!(escaped, "%{byte:02X}").expect("texts take what is written");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::totp::code::Algorithm;
    use proptest::prelude::*;

    #[test]
    fn uris_are_read_as_the_server_reads_them() {
        for (text, issuer, account, secret) in [
            (
                "otpauth://totp/Google:test@gmail.com?secret=AAAA&issuer=Google",
                Some("Google"),
                "test@gmail.com",
                Some("AAAA"),
            ),
            (
                "otpauth://totp/A%20C:b%40c?secret=AAAA&issuer=Other+One",
                Some("Other One"),
                "b@c",
                Some("AAAA"),
            ),
            ("https://totp/A:b:c?secret=AAAA", Some("A"), "b:c", Some("AAAA")),
            ("otpauth://totp?secret=AAAA", None, "", Some("AAAA")),
            ("otpauth://totp/x?secret=AA%zz&issuer=", None, "x", None),
            ("foo", None, "foo", None),
        ] {
            let said = read(text).unwrap();
            assert_eq!((said.issuer.as_deref(), said.account.as_str()), (issuer, account), "{text}");
            assert_eq!(said.secret.as_ref().map(|secret| secret.as_str()), secret, "{text}");
        }
        assert!(read("::bad").is_none() && read("otpauth://totp/A%zz").is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(issuer in "[^:\\p{C}]{1,12}", account in "\\P{C}{1,12}") {
            let key = Key {
                secret: Zeroizing::new("AAAA".to_owned()),
                issuer: issuer.clone(),
                account: account.clone(),
                algorithm: Algorithm::Sha256,
                digits: 8,
                period_secs: 45,
                skew: 1,
            };
            let said = read(&write(&key)).unwrap();
            prop_assert_eq!((said.issuer, said.account), (Some(issuer), account));
            prop_assert_eq!((said.digits.as_deref(), said.period.as_deref()), (Some("8"), Some("45")));
        }
    }
}
