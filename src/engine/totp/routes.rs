//! The engine's paths.

use super::backend::Totp;
use crate::logical::{Access, Effect, Field, FieldKind, Method, Operation, Route};

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const NAME: Field = Field::new("name", FieldKind::String, "Name of the key.");

pub(super) const ROUTES: &[Route<Totp>] = &[
    Route {
        pattern: "keys/?",
        access: Access::Token,
        methods: &[Method::new(&[Operation::List], Effect::Read, Totp::list)],
        exists: None,
        fields: &[
            Field::new("after", FieldKind::String, "List entries after this one."),
            Field::new("limit", FieldKind::Int, "How many entries to list."),
        ],
        summary: "List the keys.",
    },
    Route {
        pattern: "keys/{name:segment}",
        access: Access::Token,
        methods: &[
            Method::new(&[Operation::Read], Effect::Read, Totp::read_key),
            Method::new(WRITE, Effect::Write, Totp::write_key),
            Method::new(&[Operation::Delete], Effect::Write, Totp::delete_key),
        ],
        exists: None,
        fields: &[
            NAME,
            Field::new("generate", FieldKind::Bool, "Make the secret here."),
            Field::new("exported", FieldKind::Bool, "Whether the answer shows a key made here."),
            Field::new("key_size", FieldKind::Int, "Bytes of a secret made here."),
            Field::new("key", FieldKind::String, "The secret, in base32."),
            Field::new("url", FieldKind::String, "The key as a URI of authenticator programs."),
            Field::new("issuer", FieldKind::String, "Who the codes are for."),
            Field::new("account_name", FieldKind::String, "Whose codes they are."),
            Field::new("period", FieldKind::DurationSecs, "How long a code lasts."),
            Field::new("algorithm", FieldKind::String, "SHA1, SHA256 or SHA512."),
            Field::new("digits", FieldKind::Int, "6 or 8."),
            Field::new(
                "skew",
                FieldKind::Int,
                "Steps of time around the present one whose codes are accepted: 0 or 1.",
            ),
            Field::new("qr_size", FieldKind::Int, "Pixels of the barcode's side; 0: no barcode."),
        ],
        summary: "Manage a key.",
    },
    Route {
        pattern: "code/{name:segment}",
        access: Access::Token,
        methods: &[
            Method::new(&[Operation::Read], Effect::Read, Totp::read_code),
            Method::new(WRITE, Effect::Write, Totp::check_code),
        ],
        exists: None,
        fields: &[NAME, Field::new("code", FieldKind::String, "The code to check.")],
        summary: "The code of this moment, or whether a code is right.",
    },
];
