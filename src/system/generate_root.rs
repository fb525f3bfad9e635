//! `sys/generate-root-token/*`: a new root token for who holds enough shares and a token, and `sys/decode-token`. Their kin
//! without a token is `sys/generate-root/*`; both are steps of the same ceremony.

use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::whole;
use crate::core::token_store::TokenStore;
use crate::logical::Access::{Open, Token};
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes, WRITE,
};
use crate::seal::{Ceremonies, GenerateError, OTP_LENGTH, RootProgress, RootStep, Share, decode, encode};

/// See the module.
#[derive(Debug)]
pub struct GenerateRootEndpoints {
    ceremonies: Arc<Ceremonies>,
    tokens: Arc<TokenStore>,
    routes: Routes<Self>,
}

const ATTEMPT_FIELDS: &[Field] = &[
    Field {
        name: "otp",
        kind: FieldKind::String,
        description: "A pad of 26 characters to hide the token with.",
    },
    Field { name: "pgp_key", kind: FieldKind::String, description: "Not supported." },
];

const SHARE_FIELDS: &[Field] = &[
    Field { name: "key", kind: FieldKind::String, description: "A share." },
    Field { name: "nonce", kind: FieldKind::String, description: "The nonce of the attempt." },
];

const DECODE_FIELDS: &[Field] = &[
    Field { name: "encoded_token", kind: FieldKind::String, description: "The token under its pad." },
    Field { name: "otp", kind: FieldKind::String, description: "The pad." },
];

/// The progress of a ceremony is in the active node's memory, so even its reads belong there.
const ONLY_ACTIVE: Effect = Effect::Write;

const ROUTES: &[Route<GenerateRootEndpoints>] = &[
    Route::new(
        "generate-root-token/attempt",
        Token,
        &[
            Method::new(&[Operation::Read], ONLY_ACTIVE, GenerateRootEndpoints::progress),
            Method::new(WRITE, ONLY_ACTIVE, GenerateRootEndpoints::start),
            Method::new(&[Operation::Delete], ONLY_ACTIVE, GenerateRootEndpoints::cancel),
        ],
        ATTEMPT_FIELDS,
        "Begin making a root token.",
    ),
    Route::new(
        "generate-root-token/update",
        Token,
        &[Method::new(WRITE, ONLY_ACTIVE, GenerateRootEndpoints::update)],
        SHARE_FIELDS,
        "Give a share.",
    ),
    Route::new(
        "decode-token",
        Open,
        &[Method::asks(GenerateRootEndpoints::decode)],
        DECODE_FIELDS,
        "Take a token from under its pad.",
    ),
];

// === impl GenerateRootEndpoints ===

impl GenerateRootEndpoints {
    #[must_use]
    pub fn new(ceremonies: Arc<Ceremonies>, tokens: Arc<TokenStore>) -> Self {
        Self { ceremonies, tokens, routes: Routes::new(ROUTES) }
    }

    fn progress(&self, call: &mut Call<'_>) -> Answer {
        let progress = self.ceremonies.generate_root.progress(whole(call)?).map_err(|error| fault(&error))?;
        let mut shown = json!({
            "started": progress.started,
            "progress": progress.progress,
            "required": progress.required,
            "complete": false,
            "otp": "",
            "otp_length": OTP_LENGTH,
        });
        if progress.started {
            shown["nonce"] = progress.nonce.into();
            shown["pgp_fingerprint"] = "".into();
        }
        Ok(Response::json(shown))
    }

    fn start(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let otp = Zeroizing::new(fields.text("otp")?.unwrap_or_default());
        let pgp = fields.text("pgp_key")?.is_some_and(|key| !key.is_empty());
        let id = call.request.id.clone();
        let started = self.ceremonies.generate_root.start(whole(call)?, &id, &otp, pgp);
        let (progress, otp) = started.map_err(|error| fault(&error))?;
        let mut shown = shown(&progress);
        shown["otp"] = otp.as_ref().map_or("", |otp| otp.as_str()).into();
        shown["otp_length"] = OTP_LENGTH.into();
        Ok(Response::json(shown))
    }

    fn cancel(&self, _call: &mut Call<'_>) -> Answer {
        self.ceremonies.generate_root.cancel();
        Ok(Response::empty())
    }

    fn update(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let key = Zeroizing::new(fields.text("key")?.unwrap_or_default());
        if key.is_empty() {
            return Err(Fault::invalid("key is required"));
        }
        let share = Share::parse(&key).map_err(|error| Fault::Internal(error.to_string()))?;
        let (nonce, id, now) = (fields.text("nonce")?.unwrap_or_default(), call.request.id.clone(), call.now);
        let tx = whole(call)?;
        let step = self.ceremonies.generate_root.update(tx, &id, share, &nonce);
        // Here the server takes what is wrong with a share for its own failure.
        let (progress, encoded) = match step.map_err(|error| Fault::Internal(error.to_string()))? {
            RootStep::Waiting(progress) => (progress, Zeroizing::default()),
            RootStep::Authorised { progress, otp } => {
                let made = self.tokens.create_root(tx, None, now)?;
                let encoded = encode(&made.granted.client_token, &otp);
                (progress, encoded.map_err(|error| Fault::Internal(error.to_string()))?)
            }
        };
        let mut shown = shown(&progress);
        shown["complete"] = (!encoded.is_empty()).into();
        shown["encoded_token"] = encoded.as_str().into();
        Ok(Response::json(shown))
    }

    fn decode(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let encoded = Zeroizing::new(fields.text("encoded_token")?.unwrap_or_default());
        let otp = Zeroizing::new(fields.text("otp")?.unwrap_or_default());
        if encoded.is_empty() || otp.is_empty() {
            return Err(Fault::invalid("provided 'encoded_token' or 'otp' is empty"));
        }
        let token = decode(&encoded, &otp).map_err(|error| Fault::invalid(error.to_string()))?;
        Ok(Response::json(json!({ "token": token.as_str() })))
    }
}

fn shown(progress: &RootProgress) -> Value {
    json!({
        "nonce": progress.nonce,
        "started": progress.started,
        "progress": progress.progress,
        "required": progress.required,
        "complete": false,
        "pgp_fingerprint": "",
    })
}

fn fault(error: &GenerateError) -> Fault {
    let text = error.to_string();
    if error.is_ours() { Fault::Internal(text) } else { Fault::Invalid(text) }
}

impl super::Tabled for GenerateRootEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
