//! Shares of a key: Shamir over GF(2^8), byte for byte as Vault and OpenBao cut them.
//!
//! A share is one byte of every polynomial, then the point they were taken at; a lone share is the key itself. The
//! arithmetic is constant-time and `vsss-rs`'s, which has the point in front.

use std::convert::Infallible;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand_core::{TryCryptoRng, TryRng};
use thiserror::Error;
use vsss_rs::Gf256;
use zeroize::{Zeroize, Zeroizing};

use super::config::Split;
use crate::barrier::{KEY_BYTES, SecretKey};
use crate::{entropy, secret};

/// Shortest thing taken for a share, in bytes.
pub const MIN_BYTES: usize = 16;
/// A share of a 256-bit key: its bytes and the point.
pub const MAX_BYTES: usize = KEY_BYTES + 1;

/// One share. Wiped when dropped.
#[derive(Clone)]
pub struct Share(Zeroizing<Vec<u8>>);

/// A text that is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareError {
    #[error("'key' must be a valid hex or base64 string")]
    Encoding,
    #[error("invalid key: key is shorter than minimum {MIN_BYTES} bytes")]
    Short,
    #[error("invalid key: key is longer than maximum {MAX_BYTES} bytes")]
    Long,
}

/// Shares that do not go together. That they give a wrong key is not seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CombineError {
    #[error("all parts must be the same length")]
    Lengths,
    #[error("duplicate part detected")]
    Duplicate,
    #[error("the parts are not shares of a key")]
    NotShares,
}

// === impl Share ===

impl Share {
    /// Hex or base64. What is both, and too short or long as hex, is base64.
    ///
    /// # Errors
    /// It is neither, or its length is no share's.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let fits = |bytes: &Vec<u8>| (MIN_BYTES..=MAX_BYTES).contains(&bytes.len());
        let bytes = match hex::decode(text).ok().filter(fits) {
            Some(bytes) => Zeroizing::new(bytes),
            None => Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| ShareError::Encoding)?),
        };
        match bytes.len() {
            length if length < MIN_BYTES => Err(ShareError::Short),
            length if length > MAX_BYTES => Err(ShareError::Long),
            _ => Ok(Self(bytes)),
        }
    }

    #[must_use]
    pub fn hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&*self.0))
    }

    #[must_use]
    pub fn base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(&*self.0))
    }

    /// Whether both are the same share, in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        secret::same(&self.0, &other.0)
    }

    /// The point moved to the front.
    fn turned(&self) -> Vec<u8> {
        let mut bytes = self.0.to_vec();
        bytes.rotate_right(1);
        bytes
    }

    fn point(&self) -> Option<u8> {
        self.0.last().copied()
    }
}

/// Shares in hex and in base64, as answers show them.
#[must_use]
pub fn written(shares: &[Share]) -> (Vec<String>, Vec<String>) {
    shares.iter().map(|share| (share.hex().to_string(), share.base64().to_string())).unzip()
}

/// The shares of `key`.
#[must_use]
pub(super) fn split(key: &SecretKey, into: Split) -> Vec<Share> {
    if into.shares() == 1 {
        return vec![Share(Zeroizing::new(key.expose().to_vec()))];
    }
    let (threshold, shares) = (usize::from(into.threshold()), usize::from(into.shares()));
    let shares = Gf256::split_bytes(threshold, shares, key.expose(), SystemRandom);
    let turned = |mut bytes: Vec<u8>| {
        bytes.rotate_left(1);
        Share(Zeroizing::new(bytes))
    };
    shares.expect("a split has 2 to 255 shares and no larger threshold").into_iter().map(turned).collect()
}

/// The key behind the shares. Any set of enough right ones gives it; too few or wrong ones give another key.
///
/// # Errors
/// The shares do not go together.
pub(super) fn combine(shares: &[Share]) -> Result<SecretKey, CombineError> {
    if let [lone] = shares {
        return SecretKey::of(&lone.0).ok_or(CombineError::NotShares);
    }
    check(shares)?;
    let mut turned: Vec<Vec<u8>> = shares.iter().map(Share::turned).collect();
    let combined = Gf256::combine_bytes(&turned);
    turned.iter_mut().for_each(Zeroize::zeroize);
    let key = Zeroizing::new(combined.map_err(|_| CombineError::NotShares)?);
    SecretKey::of(&key).ok_or(CombineError::NotShares)
}

fn check(shares: &[Share]) -> Result<(), CombineError> {
    let first = shares.first().ok_or(CombineError::NotShares)?;
    if shares.iter().any(|share| share.0.len() != first.0.len()) {
        return Err(CombineError::Lengths);
    }
    let mut points: Vec<Option<u8>> = shares.iter().map(Share::point).collect();
    points.sort_unstable();
    if points.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(CombineError::Duplicate);
    }
    Ok(())
}

/// The operating system's randomness, as `vsss-rs` asks for it.
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(entropy::bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(entropy::bytes()))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        entropy::fill(buffer);
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `bao operator init -key-shares=5 -key-threshold=3` of OpenBao 2.7.2, on a store that was then thrown away.
    const FIVE_OF_THREE: [&str; 5] = [
        "9484e713bb12314ea4ba7689dcfd138ec8f61bde6a53eeb8553789ab6d55f82230",
        "e6f9f4ae9ec209e4103fb3fc683c898641bbf4c9e1c5f8312ca10c15314ada2e51",
        "5d79037c1715e9ae290b2f2cacde656b8c6b8e82ca86a03d2bbe5a992c16aff44a",
        "2f0410c132c5d1049d8eea59181fff63052661954110b6b45228df2770098df82b",
        "bb21ed1dcb9ca14f72b458727843e120904100a9a9489a45f23834f04056467d92",
    ];

    fn shares(texts: &[&str]) -> Vec<Share> {
        texts.iter().map(|text| Share::parse(text).unwrap()).collect()
    }

    #[test]
    fn shares_of_the_real_server_combine() {
        let all = shares(&FIVE_OF_THREE);
        let key = combine(&all[..3]).unwrap();
        for a in 0..5 {
            for b in a + 1..5 {
                for c in b + 1..5 {
                    let three = [all[c].clone(), all[a].clone(), all[b].clone()];
                    assert!(combine(&three).unwrap().is(&key), "{a} {b} {c}");
                }
                assert!(!combine(&[all[a].clone(), all[b].clone()]).unwrap().is(&key), "{a} {b}: too few");
            }
        }
    }

    #[test]
    fn texts_are_read_as_the_server_reads_them() {
        let base64 = "lITnE7sSMU6kunaJ3P0Tjsj2G95qU+64VTeJq21V+CIw";
        let share = Share::parse(FIVE_OF_THREE[0]).unwrap();
        assert!(share.is(&Share::parse(base64).unwrap()));
        assert_eq!((share.hex().as_str(), share.base64().as_str()), (FIVE_OF_THREE[0], base64));
        assert!(Share::parse(&FIVE_OF_THREE[0].to_uppercase()).unwrap().is(&share));
        let long = "00".repeat(34);
        for (text, error) in [
            ("", ShareError::Short),
            ("zz!", ShareError::Encoding),
            ("00", ShareError::Encoding),
            ("AAECAwQFBgcICQ==", ShareError::Short),
            (long.as_str(), ShareError::Long),
        ] {
            assert_eq!(Share::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let all = shares(&FIVE_OF_THREE);
        let mut bent = all[0].clone();
        bent.0[0] ^= 1;
        let short = Share::parse("00112233445566778899001122334455").unwrap();
        for (shares, error) in [
            (vec![all[0].clone(), bent], CombineError::Duplicate),
            (vec![all[0].clone(), short.clone()], CombineError::Lengths),
            (vec![short], CombineError::NotShares),
            (vec![], CombineError::NotShares),
        ] {
            assert_eq!(combine(&shares).unwrap_err(), error);
        }
    }

    proptest! {
        #[test]
        fn any_threshold_of_the_shares_gives_the_key_and_fewer_do_not(
            key: [u8; 32], shares in 2u8..=20, more in 0u8..=20, seed: u64,
        ) {
            let threshold = (2 + more % shares).min(shares);
            let key = SecretKey::of(&key).unwrap();
            let mut all = split(&key, Split::check(i64::from(shares), i64::from(threshold)).unwrap());
            prop_assert_eq!(all.len(), usize::from(shares));
            fastrand::Rng::with_seed(seed).shuffle(&mut all);
            all.truncate(usize::from(threshold));
            prop_assert!(combine(&all).unwrap().is(&key));
            all.pop();
            prop_assert!(all.len() < 2 || !combine(&all).unwrap().is(&key));
        }
    }

    #[test]
    fn a_lone_share_is_the_key() {
        let key = SecretKey::generate();
        let all = split(&key, Split::check(1, 1).unwrap());
        assert_eq!(all[0].hex().len(), 64);
        assert!(combine(&all).unwrap().is(&key));
    }
}
