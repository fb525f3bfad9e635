//! A new root token for who holds enough shares: started with a one-time pad, so that the token can be handed back in
//! the open, XORed with it.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::config::Method;
use super::gather::{Added, Gathering};
use super::kept::{self, KeptError};
use super::proof::{self, ProofError};
use super::shamir::Share;
use super::steps::Steps;
use crate::barrier::Transaction;
use crate::{entropy, secret};

/// Characters of a root token, and so of its pad: `s.` and 24 more.
pub const OTP_LENGTH: usize = 26;

/// The generation under way on this node.
#[derive(Debug)]
pub struct GenerateRoot {
    method: Arc<Method>,
    steps: Steps<Attempt>,
}

#[derive(Clone)]
struct Attempt {
    otp: Zeroizing<String>,
    round: Gathering,
}

/// What `sys/generate-root/attempt` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootProgress {
    pub started: bool,
    pub nonce: String,
    pub progress: usize,
    pub required: u8,
}

/// What a share led to.
#[derive(Debug)]
pub enum RootStep {
    Waiting(RootProgress),
    /// They are right: the caller may make a token, and [`encode`] it with the pad.
    Authorised {
        progress: RootProgress,
        otp: Zeroizing<String>,
    },
}

/// Why there is no token. The words are the server's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenerateError {
    #[error("root generation already in progress for this namespace")]
    InProgress,
    #[error("no root generation in progress")]
    NotInProgress,
    #[error("OTP string has incorrect length")]
    OtpLength,
    #[error("error parsing PGP key: encrypting tokens with PGP is not supported; use an OTP")]
    Pgp,
    #[error("incorrect nonce supplied; nonce for this root generation operation is {0:?}")]
    Nonce(String),
    #[error("given key has already been provided during this generation operation")]
    Known,
    #[error("{}", proof_text(.0))]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Kept(#[from] KeptError),
}

// === impl GenerateError ===

impl GenerateError {
    /// Whether the store is to blame, not who asks.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Proof(ProofError::Kept(_)) | Self::Kept(_))
    }
}

// === impl GenerateRoot ===

impl GenerateRoot {
    #[must_use]
    pub fn new(method: Arc<Method>) -> Self {
        Self { method, steps: Steps::default() }
    }

    /// # Errors
    /// The seal's records cannot be read.
    pub fn progress(&self, tx: &Transaction) -> Result<RootProgress, GenerateError> {
        let required = self.required(tx)?;
        Ok(self.steps.look(|attempt| {
            attempt.map_or_else(
                || RootProgress { required, ..Default::default() },
                |attempt| attempt.progress(required),
            )
        }))
    }

    /// Begins, with the caller's pad or, when `otp` is empty, with one made here, which is then returned.
    ///
    /// # Errors
    /// One is under way; the pad is of the wrong length; PGP was asked for.
    pub fn start(
        &self,
        tx: &Transaction,
        request: &str,
        otp: &str,
        pgp: bool,
    ) -> Result<(RootProgress, Option<Zeroizing<String>>), GenerateError> {
        let made = otp.is_empty().then(|| Zeroizing::new(entropy::base62(OTP_LENGTH)));
        if made.is_none() && otp.len() != OTP_LENGTH {
            return Err(GenerateError::OtpLength);
        }
        if made.is_some() && pgp {
            return Err(GenerateError::Pgp);
        }
        let required = self.required(tx)?;
        let otp = made.clone().unwrap_or_else(|| Zeroizing::new(otp.to_owned()));
        self.steps.step(request, |attempt| {
            if attempt.is_some() {
                return Err(GenerateError::InProgress);
            }
            let new = Attempt { otp, round: Gathering::named(Uuid::new_v4().to_string()) };
            Ok((attempt.insert(new).progress(required), made))
        })
    }

    /// Gives it up, if there is one.
    pub fn cancel(&self) {
        self.steps.forget();
    }

    /// Takes a share. Wrong ones end the round, not the generation.
    ///
    /// # Errors
    /// Not under way, another nonce, a share given before, or wrong shares.
    pub fn update(
        &self,
        tx: &Transaction,
        request: &str,
        share: Share,
        nonce: &str,
    ) -> Result<RootStep, GenerateError> {
        let required = self.required(tx)?;
        self.steps.step(request, |state| {
            let attempt = state.as_mut().ok_or(GenerateError::NotInProgress)?;
            if !secret::same(attempt.round.nonce().as_bytes(), nonce.as_bytes()) {
                return Err(GenerateError::Nonce(attempt.round.nonce().to_owned()));
            }
            let shares = match attempt.round.add(share, required) {
                Added::Known => return Err(GenerateError::Known),
                Added::Waiting => return Ok(RootStep::Waiting(attempt.progress(required))),
                Added::Enough(shares) => shares,
            };
            proof::check(&self.method, tx.keyring().root(), &**tx.snapshot(), &shares)?;
            let progress = RootProgress { progress: shares.len(), ..attempt.progress(required) };
            let otp = attempt.otp.clone();
            *state = None;
            Ok(RootStep::Authorised { progress, otp })
        })
    }

    /// 0: nobody holds shares, so nobody can authorise.
    fn required(&self, tx: &Transaction) -> Result<u8, GenerateError> {
        let split = kept::operator_split(&**tx.snapshot(), &self.method)?;
        Ok(split.map_or(0, super::config::Split::threshold))
    }
}

impl Attempt {
    fn progress(&self, required: u8) -> RootProgress {
        let (nonce, progress) = (self.round.nonce().to_owned(), self.round.progress());
        RootProgress { started: true, nonce, progress, required }
    }
}

fn proof_text(error: &ProofError) -> String {
    match error {
        ProofError::Combine(_) => error.to_string(),
        ProofError::WrongKey => {
            format!(
                "root generation aborted: unable to authenticate: unable to retrieve stored keys: {error}"
            )
        }
        ProofError::WrongRecovery | ProofError::NoRecovery | ProofError::Kept(_) => {
            format!("root generation aborted: unable to authenticate: {error}")
        }
    }
}

/// Two texts that cannot be XORed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("error decoding base64'd token: illegal base64 data at input byte {0}")]
    Base64(usize),
    #[error("error xoring token: length of byte slices is not equivalent: {0} != {1}")]
    Length(usize, usize),
    #[error("the token and the OTP do not belong together")]
    NotText,
}

/// The token under its pad, as base64 without padding.
///
/// # Errors
/// They differ in length.
pub fn encode(token: &str, otp: &str) -> Result<Zeroizing<String>, DecodeError> {
    let mixed = xor(token.as_bytes(), otp.as_bytes())?;
    Ok(Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*mixed)))
}

/// The token again.
///
/// # Errors
/// It is not base64, of another length than the pad, or the pad is another's.
pub fn decode(encoded: &str, otp: &str) -> Result<Zeroizing<String>, DecodeError> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(encoded).or_else(|_| BASE64_STANDARD.decode(encoded));
    let bytes = Zeroizing::new(bytes.map_err(|error| DecodeError::Base64(position(&error)))?);
    let token = xor(&bytes, otp.as_bytes())?;
    let text = std::str::from_utf8(&token).map_err(|_| DecodeError::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn xor(left: &[u8], right: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
    if left.len() != right.len() {
        return Err(DecodeError::Length(left.len(), right.len()));
    }
    Ok(Zeroizing::new(left.iter().zip(right).map(|(left, right)| left ^ right).collect()))
}

fn position(error: &base64::DecodeError) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => 0,
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt({} shares)", self.round.progress())
    }
}
