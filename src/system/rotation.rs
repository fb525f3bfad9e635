//! `sys/rotate/root/*` and `sys/rotate/recovery/*`: new keys for who holds enough shares and a token. Their kin without a
//! token is `sys/rekey/*`; both are steps of the same ceremony.
//!
//! What shares prove and new keys are is the seal's business; these are its words on the wire.

use std::sync::Arc;

use serde_json::{Value, json};

use super::whole;
use crate::logical::Access::{Sudo, Token};
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes, WRITE,
};
use crate::seal::{
    Ceremonies, ProofError, Rekey, RekeyError, RekeyProgress, RekeyRequest, RekeyStep, Share, Split,
    VerifyProgress, VerifyStep, written,
};

/// See the module.
#[derive(Debug)]
pub struct RotationEndpoints {
    ceremonies: Arc<Ceremonies>,
    routes: Routes<Self>,
}

const READ: &[Operation] = &[Operation::Read];
const DELETE: &[Operation] = &[Operation::Delete];

const INIT_FIELDS: &[Field] = &[
    Field { name: "secret_shares", kind: FieldKind::Int, description: "Shares of the new key." },
    Field { name: "secret_threshold", kind: FieldKind::Int, description: "How many of them are needed." },
    Field { name: "pgp_keys", kind: FieldKind::CommaList, description: "Not supported." },
    Field { name: "backup", kind: FieldKind::Bool, description: "Not supported." },
    Field {
        name: "require_verification",
        kind: FieldKind::Bool,
        description: "Whether the new shares must be shown before they count.",
    },
];

const SHARE_FIELDS: &[Field] = &[
    Field { name: "key", kind: FieldKind::String, description: "A share." },
    Field { name: "nonce", kind: FieldKind::String, description: "The nonce of the operation." },
];

/// The progress of a ceremony is in the active node's memory, so even its reads belong there.
const ONLY_ACTIVE: Effect = Effect::Write;

const BACKUP: &[Method<RotationEndpoints>] =
    &[Method::read(RotationEndpoints::no_backup), Method::delete(|_, _| Ok(Response::empty()))];

const fn backup(pattern: &'static str) -> Route<RotationEndpoints> {
    let summary = "Backups of new keys: there are none, because they are only made of PGP keys.";
    Route::new(pattern, Token, BACKUP, &[], summary)
}

/// The four routes of one ceremony.
macro_rules! ceremony {
    ($init:literal, $update:literal, $verify:literal, $backup:literal, $of:ident) => {
        [
            Route::new(
                $init,
                Token,
                &[
                    Method::new(READ, ONLY_ACTIVE, |this, call| this.progress(&this.ceremonies.$of, call)),
                    Method::new(WRITE, ONLY_ACTIVE, |this, call| this.start(&this.ceremonies.$of, call)),
                    Method::new(DELETE, ONLY_ACTIVE, |this, _| this.cancel(&this.ceremonies.$of)),
                ],
                INIT_FIELDS,
                "Begin replacing a key.",
            ),
            Route::new(
                $update,
                Token,
                &[Method::new(WRITE, ONLY_ACTIVE, |this, call| this.update(&this.ceremonies.$of, call))],
                SHARE_FIELDS,
                "Give a share of the old key.",
            ),
            Route::new(
                $verify,
                Token,
                &[
                    Method::new(READ, ONLY_ACTIVE, |this, _| this.verify_progress(&this.ceremonies.$of)),
                    Method::new(WRITE, ONLY_ACTIVE, |this, call| this.verify(&this.ceremonies.$of, call)),
                    Method::new(DELETE, ONLY_ACTIVE, |this, call| {
                        this.restart_verification(&this.ceremonies.$of, call)
                    }),
                ],
                SHARE_FIELDS,
                "Show a share of the new key.",
            ),
            backup($backup),
        ]
    };
}

const ROOT: [Route<RotationEndpoints>; 4] =
    ceremony!("rotate/root/init", "rotate/root/update", "rotate/root/verify", "rotate/root/backup", root);
const RECOVERY: [Route<RotationEndpoints>; 4] = ceremony!(
    "rotate/recovery/init",
    "rotate/recovery/update",
    "rotate/recovery/verify",
    "rotate/recovery/backup",
    recovery
);

const ROUTES: &[Route<RotationEndpoints>] = &{
    let [root_init, root_update, root_verify, root_backup] = ROOT;
    let [recovery_init, recovery_update, recovery_verify, recovery_backup] = RECOVERY;
    [
        root_init,
        root_update,
        root_verify,
        root_backup,
        recovery_init,
        recovery_update,
        recovery_verify,
        recovery_backup,
        Route::new(
            "rotate/root",
            Sudo,
            &[Method::write(RotationEndpoints::replace_root)],
            &[],
            "Replace the root key.",
        ),
        backup("rekey/backup"),
        backup("rekey/recovery-key-backup"),
    ]
};

// === impl RotationEndpoints ===

impl RotationEndpoints {
    #[must_use]
    pub fn new(ceremonies: Arc<Ceremonies>) -> Self {
        Self { ceremonies, routes: Routes::new(ROUTES) }
    }

    fn progress(&self, rekey: &Rekey, call: &mut Call<'_>) -> Answer {
        let progress = rekey.progress(whole(call)?).map_err(|error| fault(&error))?;
        if !progress.started {
            let none = json!({ "started": false, "t": 0, "n": 0, "required": progress.required });
            return Ok(Response::json(none));
        }
        Ok(Response::json(shown(&progress)))
    }

    fn start(&self, rekey: &Rekey, call: &mut Call<'_>) -> Answer {
        let (request, id) = (request(Fields::new(&call.request.data))?, call.request.id.clone());
        let tx = whole(call)?;
        if rekey.can_create(tx).map_err(|error| fault(&error))? {
            let made = rekey.create(tx, &request).map_err(|error| fault(&error))?;
            return Ok(Response::json(created(&made.0, &made.1)));
        }
        let progress = rekey.start(tx, &id, &request).map_err(|error| fault(&error))?;
        Ok(Response::json(shown(&progress)))
    }

    fn cancel(&self, rekey: &Rekey) -> Answer {
        rekey.cancel();
        Ok(Response::empty())
    }

    fn update(&self, rekey: &Rekey, call: &mut Call<'_>) -> Answer {
        let ((share, nonce), id) = (share(call)?, call.request.id.clone());
        match rekey.update(whole(call)?, &id, share, &nonce).map_err(|error| fault(&error))? {
            RekeyStep::Waiting(progress) => Ok(Response::json(shown(&progress))),
            RekeyStep::Done { progress, shares } => Ok(Response::json(done(&progress, &shares))),
        }
    }

    fn verify_progress(&self, rekey: &Rekey) -> Answer {
        rekey
            .verify_progress()
            .map(|progress| Response::json(shown_verify(&progress)))
            .map_err(|error| fault(&error))
    }

    fn restart_verification(&self, rekey: &Rekey, call: &Call<'_>) -> Answer {
        let restarted = rekey.restart_verification(&call.request.id);
        restarted.map(|progress| Response::json(shown_verify(&progress))).map_err(|error| fault(&error))
    }

    fn verify(&self, rekey: &Rekey, call: &mut Call<'_>) -> Answer {
        let ((share, nonce), id) = (share(call)?, call.request.id.clone());
        match rekey.verify(whole(call)?, &id, share, &nonce).map_err(|error| fault(&error))? {
            VerifyStep::Waiting(progress) => Ok(Response::json(shown_verify(&progress))),
            VerifyStep::Done(nonce) => Ok(Response::json(json!({ "nonce": nonce, "complete": true }))),
        }
    }

    fn replace_root(&self, call: &mut Call<'_>) -> Answer {
        self.ceremonies.root.replace_root(whole(call)?).map_err(|error| fault(&error))?;
        Ok(Response::empty())
    }

    fn no_backup(&self, _call: &mut Call<'_>) -> Answer {
        Err(Fault::invalid("no backed-up keys found"))
    }
}

fn request(fields: Fields<'_>) -> Result<RekeyRequest, Fault> {
    Ok(RekeyRequest {
        shares: fields.int("secret_shares")?.unwrap_or(0),
        threshold: fields.int("secret_threshold")?.unwrap_or(0),
        pgp_keys: fields.list("pgp_keys")?.map_or(0, |keys| keys.len()),
        // Without PGP keys there is nothing to back up, and here the server does not mind.
        backup: false,
        verify: fields.flag("require_verification")?.unwrap_or(false),
    })
}

fn share(call: &Call<'_>) -> Result<(Share, String), Fault> {
    let fields = Fields::new(&call.request.data);
    let required = |name: &str| {
        let text = fields.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Fault::invalid(format!("missing required field '{name}'")))
    };
    let key = zeroize::Zeroizing::new(required("key")?);
    let share = Share::parse(&key).map_err(|error| Fault::invalid(error.to_string()))?;
    Ok((share, required("nonce")?))
}

fn shown(progress: &RekeyProgress) -> Value {
    json!({
        "nonce": progress.nonce,
        "started": true,
        "t": progress.split.map_or(0, Split::threshold),
        "n": progress.split.map_or(0, Split::shares),
        "progress": progress.progress,
        "required": progress.required,
        "verification_required": progress.verify,
        "verification_nonce": progress.verification_nonce,
    })
}

fn done(progress: &RekeyProgress, shares: &[Share]) -> Value {
    let (keys, keys_base64) = written(shares);
    json!({
        "nonce": progress.nonce,
        "complete": true,
        "keys": keys,
        "keys_base64": keys_base64,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": progress.verify,
        "verification_nonce": progress.verification_nonce,
    })
}

/// A key that is made at once has no nonce.
fn created(split: &Split, shares: &[Share]) -> Value {
    let mut made = done(&RekeyProgress::default(), shares);
    if let Value::Object(made) = &mut made {
        made.remove("nonce");
        made.insert("t".to_owned(), split.threshold().into());
        made.insert("n".to_owned(), split.shares().into());
    }
    made
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

/// In the words of `sys/rotate`, where they are others than `sys/rekey`'s.
fn fault(error: &RekeyError) -> Fault {
    let text = match error {
        RekeyError::NoRecovery => "recovery keys not supported".to_owned(),
        RekeyError::InProgress => "rotation already in progress".to_owned(),
        RekeyError::NotInProgress | RekeyError::NoVerification => "no rotation in progress".to_owned(),
        RekeyError::NoConfiguration => "no rotation configuration found".to_owned(),
        RekeyError::Split(why) => format!("invalid rotate seal configuration: {why}"),
        RekeyError::Nonce(nonce) => {
            format!("incorrect nonce supplied; nonce for rotation is {nonce:?}")
        }
        RekeyError::Finished(nonce) => format!(
            "rotation already finished; verification must be performed; nonce for the verification operation is {nonce:?}"
        ),
        RekeyError::Known(_) => "given key has already been provided during this rotation".to_owned(),
        RekeyError::VerifyFailed => "rotation verification failed; incorrect key shares supplied".to_owned(),
        RekeyError::Proof(ProofError::WrongKey) => format!("failed to read root key: {error}"),
        RekeyError::Store(error) => return error.clone().into(),
        RekeyError::NeedsShares
        | RekeyError::PgpCount
        | RekeyError::BackupWithoutPgp
        | RekeyError::Pgp
        | RekeyError::VerifyNonce(_)
        | RekeyError::VerifyKnown
        | RekeyError::VerifyCombine(_)
        | RekeyError::Proof(_)
        | RekeyError::Kept(_)
        | RekeyError::Rotate(_) => error.to_string(),
    };
    if error.is_ours() { Fault::Internal(text) } else { Fault::Invalid(text) }
}

impl super::Tabled for RotationEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
