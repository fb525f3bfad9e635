//! `sys/rekey/*`, `sys/rekey-recovery-key/*`, `sys/generate-root/*`: shares authorise them, no token does. A listener's
//! configuration may leave them out; `sys/rotate/*` and `sys/generate-root-token/*` are their kin with a token.

use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Ceremony;
use super::body::Fields;
use crate::barrier::{Mode, Transaction};
use crate::core::answer::Answered;
use crate::logical::Fault;
use crate::node::Node;
use crate::seal::{
    GenerateError, GenerateRoot, OTP_LENGTH, ProofError, Rekey, RekeyError, RekeyProgress, RekeyRequest,
    RekeyStep, RootProgress, RootStep, Share, Split, VerifyProgress, VerifyStep, encode, written,
};
use crate::storage::CommitError;

/// Which of these endpoints a listener has: none, unless the configuration says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unauthenticated {
    pub rekey: bool,
    pub generate_root: bool,
    /// `sys/metrics`
    pub metrics: bool,
}

/// How often a step that lost a race is run again.
const MAX_RUNS: u32 = 16;

/// One request of a ceremony: what it is given.
struct Step<'s> {
    node: &'s Node,
    /// Names the request, also when it is run again.
    id: String,
    method: &'s str,
    fields: Fields,
    now: OffsetDateTime,
}

type Outcome = Result<Value, Answered>;

// === impl Ceremony ===

impl Ceremony {
    fn is_root_token(self) -> bool {
        matches!(self, Self::RootAttempt | Self::RootUpdate)
    }
}

/// Runs one step, again while it loses races, and commits what it wrote.
pub(super) async fn answer(
    node: &Node,
    offered: Unauthenticated,
    ceremony: Ceremony,
    method: &str,
    body: &[u8],
    now: OffsetDateTime,
) -> Answered {
    if node.core.barrier.is_sealed() {
        return sealed();
    }
    if !(if ceremony.is_root_token() { offered.generate_root } else { offered.rekey }) {
        return Answered::errors(405, "unsupported operation");
    }
    let fields = if method == "GET" { Fields::read(b"", "") } else { Fields::read(body, form(ceremony)) };
    let fields = match fields {
        Ok(fields) => fields,
        Err(refused) => return refused,
    };
    let step = Step { node, id: Uuid::new_v4().to_string(), method, fields, now };
    for _ in 0..MAX_RUNS {
        let Ok(mut tx) = node.core.barrier.begin(Mode::ReadWrite) else { return sealed() };
        let outcome = step.run(ceremony, &mut tx);
        let shown = match outcome {
            Ok(shown) => shown,
            Err(refused) => return refused,
        };
        match node.core.barrier.commit(tx).await {
            Ok(_) if shown.is_null() => return Answered::new(204, bytes::Bytes::new()),
            Ok(_) => return Answered::json(200, &shown),
            Err(CommitError::Conflict) => {}
            Err(error) => return Answered::errors(500, &error.to_string()),
        }
    }
    Answered::errors(500, "too many concurrent changes of the keys; try again")
}

fn sealed() -> Answered {
    Answered::errors(503, "Vault is sealed")
}

/// The server's names for the bodies.
fn form(ceremony: Ceremony) -> &'static str {
    match ceremony {
        Ceremony::RekeyInit | Ceremony::RecoveryInit => "RekeyRequest",
        Ceremony::RekeyUpdate | Ceremony::RecoveryUpdate => "RekeyUpdateRequest",
        Ceremony::RekeyVerify | Ceremony::RecoveryVerify => "RekeyVerificationUpdateRequest",
        Ceremony::RootAttempt => "GenerateRootInitRequest",
        Ceremony::RootUpdate => "GenerateRootUpdateRequest",
    }
}

// === impl Step ===

impl Step<'_> {
    fn run(&self, ceremony: Ceremony, tx: &mut Transaction) -> Outcome {
        let (root, recovery) = (&self.node.ceremonies.root, &self.node.ceremonies.recovery);
        match ceremony {
            Ceremony::RekeyInit => self.rekey_init(root, tx),
            Ceremony::RecoveryInit => self.rekey_init(recovery, tx),
            Ceremony::RekeyUpdate => self.rekey_update(root, tx),
            Ceremony::RecoveryUpdate => self.rekey_update(recovery, tx),
            Ceremony::RekeyVerify => self.rekey_verify(root, tx),
            Ceremony::RecoveryVerify => self.rekey_verify(recovery, tx),
            Ceremony::RootAttempt => self.root_attempt(&self.node.ceremonies.generate_root, tx),
            Ceremony::RootUpdate => self.root_update(&self.node.ceremonies.generate_root, tx),
        }
    }

    fn rekey_init(&self, rekey: &Rekey, tx: &Transaction) -> Outcome {
        match self.method {
            "GET" => {
                rekey.progress(tx).map(|progress| shown_rekey(&progress)).map_err(|error| failed(&error))
            }
            "PUT" | "POST" => {
                let request = self.rekey_request()?;
                let started = rekey.start(tx, &self.id, &request);
                started.map(|progress| shown_rekey(&progress)).map_err(|error| failed_to_start(&error))
            }
            "DELETE" => {
                rekey.cancel();
                Ok(Value::Null)
            }
            _ => Err(unsupported()),
        }
    }

    fn rekey_request(&self) -> Result<RekeyRequest, Answered> {
        Ok(RekeyRequest {
            shares: self.fields.int("secret_shares")?,
            threshold: self.fields.int("secret_threshold")?,
            pgp_keys: self.fields.count("pgp_keys")?,
            backup: self.fields.flag("backup")?,
            verify: self.fields.flag("require_verification")?,
        })
    }

    fn rekey_update(&self, rekey: &Rekey, tx: &mut Transaction) -> Outcome {
        if !matches!(self.method, "PUT" | "POST") {
            return Err(unsupported());
        }
        let (share, nonce) = (self.share()?, self.fields.text("nonce")?);
        match rekey.update(tx, &self.id, share, &nonce).map_err(|error| failed_to_update(&error))? {
            RekeyStep::Waiting(progress) => Ok(shown_rekey(&progress)),
            RekeyStep::Done { progress, shares } => Ok(shown_new_shares(&progress, &shares)),
        }
    }

    fn rekey_verify(&self, rekey: &Rekey, tx: &mut Transaction) -> Outcome {
        let refused = |error: RekeyError| Answered::errors(400, &error.to_string());
        match self.method {
            "GET" => rekey.verify_progress().map(|progress| shown_verify(&progress)).map_err(refused),
            "DELETE" => {
                rekey.restart_verification(&self.id).map(|progress| shown_verify(&progress)).map_err(refused)
            }
            "PUT" | "POST" => {
                let (share, nonce) = (self.share()?, self.fields.text("nonce")?);
                match rekey.verify(tx, &self.id, share, &nonce).map_err(|error| failed(&error))? {
                    VerifyStep::Waiting(progress) => Ok(shown_verify(&progress)),
                    VerifyStep::Done(nonce) => Ok(json!({ "nonce": nonce, "complete": true })),
                }
            }
            _ => Err(unsupported()),
        }
    }

    fn root_attempt(&self, generate: &GenerateRoot, tx: &Transaction) -> Outcome {
        let refused = |error: GenerateError| failed_root(&error);
        match self.method {
            "GET" => Ok(shown_root(&generate.progress(tx).map_err(refused)?, "", OTP_LENGTH, "")),
            "PUT" | "POST" => {
                let (otp, pgp) = (self.fields.text("otp")?, !self.fields.text("pgp_key")?.is_empty());
                let (progress, otp) = generate.start(tx, &self.id, &otp, pgp).map_err(refused)?;
                Ok(shown_root(&progress, otp.as_ref().map_or("", |otp| otp), OTP_LENGTH, ""))
            }
            "DELETE" => {
                generate.cancel();
                Ok(Value::Null)
            }
            _ => Err(unsupported()),
        }
    }

    /// Any method: the server looks at the body only.
    fn root_update(&self, generate: &GenerateRoot, tx: &mut Transaction) -> Outcome {
        let (share, nonce) = (self.share()?, self.fields.text("nonce")?);
        match generate.update(tx, &self.id, share, &nonce).map_err(|error| failed_root(&error))? {
            RootStep::Waiting(progress) => Ok(shown_root(&progress, "", 0, "")),
            RootStep::Authorised { progress, otp } => {
                let encoded = self.root_token(tx, &otp)?;
                Ok(shown_root(&progress, "", 0, &encoded))
            }
        }
    }

    fn root_token(&self, tx: &mut Transaction, otp: &str) -> Result<Zeroizing<String>, Answered> {
        let failed = |fault: Fault| Answered::errors(500, &fault.to_string());
        let made = self.node.core.tokens.create_root(tx, None, self.now).map_err(failed)?;
        let encoded = encode(&made.granted.client_token, otp);
        encoded.map_err(|error| Answered::errors(500, &error.to_string()))
    }

    fn share(&self) -> Result<Share, Answered> {
        let key = self.fields.text("key")?;
        if key.is_empty() {
            return Err(Answered::errors(400, "'key' must be specified in request body as JSON"));
        }
        Share::parse(&key).map_err(|error| Answered::errors(400, &error.to_string()))
    }
}

fn unsupported() -> Answered {
    Answered::errors(405, "")
}

/// The server takes numbers that make no split for its own failure.
fn failed_to_start(error: &RekeyError) -> Answered {
    let theirs = !matches!(error, RekeyError::Split(_));
    if theirs { failed(error) } else { Answered::errors(500, &error.to_string()) }
}

/// And so shares that prove nothing.
fn failed_to_update(error: &RekeyError) -> Answered {
    if let RekeyError::Proof(ProofError::WrongKey) = error {
        return Answered::errors(500, &format!("failed to read root key: {error}"));
    }
    if let RekeyError::Proof(ProofError::Combine(_)) = error {
        return Answered::errors(500, &error.to_string());
    }
    if let RekeyError::NotInProgress = error {
        return Answered::errors(400, "no barrier rekey in progress");
    }
    failed(error)
}

fn failed(error: &RekeyError) -> Answered {
    Answered::errors(if error.is_ours() { 500 } else { 400 }, &error.to_string())
}

fn failed_root(error: &GenerateError) -> Answered {
    Answered::errors(if error.is_ours() { 500 } else { 400 }, &error.to_string())
}

fn shown_rekey(progress: &RekeyProgress) -> Value {
    let mut shown = json!({
        "nonce": progress.nonce,
        "started": progress.started,
        "t": progress.split.map_or(0, Split::threshold),
        "n": progress.split.map_or(0, Split::shares),
        "progress": progress.progress,
        "required": progress.required,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": progress.verify,
    });
    if !progress.verification_nonce.is_empty() {
        shown["verification_nonce"] = progress.verification_nonce.clone().into();
    }
    shown
}

fn shown_new_shares(progress: &RekeyProgress, shares: &[Share]) -> Value {
    let (keys, keys_base64) = written(shares);
    let mut shown = json!({
        "nonce": progress.nonce,
        "complete": true,
        "keys": keys,
        "keys_base64": keys_base64,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": progress.verify,
    });
    if !progress.verification_nonce.is_empty() {
        shown["verification_nonce"] = progress.verification_nonce.clone().into();
    }
    shown
}

fn shown_verify(progress: &VerifyProgress) -> Value {
    json!({
        "nonce": progress.nonce,
        "started": progress.started,
        "t": progress.split.map_or(0, Split::threshold),
        "n": progress.split.map_or(0, Split::shares),
        "progress": progress.progress,
    })
}

/// `encoded` is empty until the end.
fn shown_root(progress: &RootProgress, otp: &str, otp_length: usize, encoded: &str) -> Value {
    json!({
        "nonce": progress.nonce,
        "started": progress.started,
        "progress": progress.progress,
        "required": progress.required,
        "complete": !encoded.is_empty(),
        "encoded_token": encoded,
        "encoded_root_token": encoded,
        "pgp_fingerprint": "",
        "otp": otp,
        "otp_length": otp_length,
    })
}
