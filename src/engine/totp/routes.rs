//! The engine's paths.

use super::backend::Totp;
use crate::logical::{Access, Effect, Field, FieldKind, Method, Operation, Route};

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const fn field(name: &'static str, kind: FieldKind, description: &'static str) -> Field {
    Field { name, kind, description }
}

const NAME: Field = field("name", FieldKind::String, "Name of the key.");

pub(super) const ROUTES: &[Route<Totp>] = &[
    Route {
        pattern: "keys/?",
        access: Access::Token,
        methods: &[Method::new(&[Operation::List], Effect::Read, Totp::list)],
        exists: None,
        fields: &[
            field("after", FieldKind::String, "List entries after this one."),
            field("limit", FieldKind::Int, "How many entries to list."),
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
            field("generate", FieldKind::Bool, "Make the secret here."),
            field("exported", FieldKind::Bool, "Whether the answer shows a key made here."),
            field("key_size", FieldKind::Int, "Bytes of a secret made here."),
            field("key", FieldKind::String, "The secret, in base32."),
            field("url", FieldKind::String, "The key as a URI of authenticator programs."),
            field("issuer", FieldKind::String, "Who the codes are for."),
            field("account_name", FieldKind::String, "Whose codes they are."),
            field("period", FieldKind::DurationSecs, "How long a code lasts."),
            field("algorithm", FieldKind::String, "SHA1, SHA256 or SHA512."),
            field("digits", FieldKind::Int, "6 or 8."),
            field(
                "skew",
                FieldKind::Int,
                "Steps of time around the present one whose codes are accepted: 0 or 1.",
            ),
            field("qr_size", FieldKind::Int, "Pixels of the barcode's side; 0: no barcode."),
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
        fields: &[NAME, field("code", FieldKind::String, "The code to check.")],
        summary: "The code of this moment, or whether a code is right.",
    },
];
