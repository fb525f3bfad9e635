//! `vault:v<version>:<base64>`: how ciphertexts, signatures and HMACs say which version of the key made them.

const PREFIX: &str = "vault:v";

/// What is wrong with a text that should be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmarked {
    NoPrefix,
    WrongFields,
    NoVersion,
}

/// The version as it was written, and the text behind it.
pub(super) fn split(text: &str) -> Result<(i64, &str), Unmarked> {
    let rest = text.strip_prefix(PREFIX).ok_or(Unmarked::NoPrefix)?;
    let (version, body) = rest.split_once(':').ok_or(Unmarked::WrongFields)?;
    Ok((version.parse().map_err(|_| Unmarked::NoVersion)?, body))
}

pub(super) fn join(version: u32, body: &str) -> String {
    format!("{PREFIX}{version}:{body}")
}

// === impl Unmarked ===

impl Unmarked {
    /// `what` is the noun: `ciphertext`, `signature`.
    pub(super) fn text(self, what: &str) -> String {
        let why = match self {
            Self::NoPrefix => "no prefix",
            Self::WrongFields => "wrong number of fields",
            Self::NoVersion => "version number could not be decoded",
        };
        format!("invalid {what}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_once() {
        for (text, split_into) in [
            ("vault:v1:AA:B", Ok((1, "AA:B"))),
            ("vault:v-1:", Ok((-1, ""))),
            ("vault:v1", Err(Unmarked::WrongFields)),
            ("vault:vx:AA", Err(Unmarked::NoVersion)),
            ("vault:v:AA", Err(Unmarked::NoVersion)),
            ("Vault:v1:AA", Err(Unmarked::NoPrefix)),
        ] {
            assert_eq!(split(text), split_into, "{text}");
        }
        assert_eq!(split(&join(12, "x")), Ok((12, "x")));
    }
}
