//! The engine's paths.

use super::backend::Transit;
use crate::logical::{Access, Effect, Field, FieldKind, Method, Operation, Route};

const READ: &[Operation] = &[Operation::Read];
const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const fn route(
    pattern: &'static str,
    methods: &'static [Method<Transit>],
    fields: &'static [Field],
    summary: &'static str,
) -> Route<Transit> {
    Route { pattern, access: Access::Token, methods, exists: None, fields, summary }
}

const NAME: Field = Field::new("name", FieldKind::Name, "Name of the key.");
const CONTEXT: Field = Field::new("context", FieldKind::String, "Base64 context for key derivation.");
const KEY_VERSION: Field =
    Field::new("key_version", FieldKind::Int, "Version of the key to use; 0 is the newest.");
const ASSOCIATED: Field =
    Field::new("associated_data", FieldKind::String, "Base64 data that are authenticated, not encrypted.");
const BATCH: Field = Field::new("batch_input", FieldKind::List, "Many items to process at once.");
const PARTIAL: Field =
    Field::new("partial_failure_response_code", FieldKind::Int, "Status when some items of a batch fail.");
const ROTATE_PERIOD: Field = Field::new(
    "auto_rotate_period",
    FieldKind::DurationSecs,
    "How often the key rotates by itself; 0: never.",
);
const EXPORTABLE: Field = Field::new("exportable", FieldKind::Bool, "Whether the key may be exported.");
const PLAINTEXT_BACKUP: Field =
    Field::new("allow_plaintext_backup", FieldKind::Bool, "Whether backups of the key may be taken.");
const KEY_TYPE: Field = Field::new("type", FieldKind::String, "Type of the key.");
const INPUT: Field = Field::new("input", FieldKind::String, "Base64 input.");
const URL_ALGORITHM: Field = Field::new("urlalgorithm", FieldKind::String, "Hash algorithm, in the path.");
const CIPHERTEXT: Field = Field::new("ciphertext", FieldKind::String, "The ciphertext.");
const PUBLIC_KEY: Field = Field::new("public_key", FieldKind::String, "Public key to import, as PEM.");
const HASH_FUNCTION: Field =
    Field::new("hash_function", FieldKind::String, "Hash of the OAEP wrapping of what is imported.");
const BACKUP_FIELDS: &[Field] = &[
    NAME,
    Field::new("backup", FieldKind::String, "A backup as it was given."),
    Field::new("force", FieldKind::Bool, "Replace an existing key."),
];

const KEY_FIELDS: &[Field] = &[
    NAME,
    KEY_TYPE,
    Field::new("derived", FieldKind::Bool, "Derive a key of each context."),
    Field::new("convergent_encryption", FieldKind::Bool, "Same plaintext and context, same ciphertext."),
    EXPORTABLE,
    PLAINTEXT_BACKUP,
    CONTEXT,
    ROTATE_PERIOD,
    Field::new("key_size", FieldKind::Int, "Bytes of an HMAC key."),
    Field::new("external_key_ref", FieldKind::String, "Reference to a key outside; not supported."),
];

const CONFIG_FIELDS: &[Field] = &[
    NAME,
    Field::new("min_decryption_version", FieldKind::Int, "Oldest version that may decrypt."),
    Field::new(
        "min_encryption_version",
        FieldKind::Int,
        "Oldest version that may encrypt; 0: the newest only.",
    ),
    Field::new("deletion_allowed", FieldKind::Bool, "Whether the key may be deleted."),
    EXPORTABLE,
    PLAINTEXT_BACKUP,
    ROTATE_PERIOD,
];

const IMPORT_FIELDS: &[Field] = &[
    NAME,
    KEY_TYPE,
    HASH_FUNCTION,
    CIPHERTEXT,
    PUBLIC_KEY,
    Field::new("allow_rotation", FieldKind::Bool, "Whether the key may be rotated here."),
    Field::new("derived", FieldKind::Bool, "Derive a key of each context."),
    EXPORTABLE,
    PLAINTEXT_BACKUP,
    CONTEXT,
    ROTATE_PERIOD,
];

const SIGN_FIELDS: &[Field] = &[
    NAME,
    INPUT,
    CONTEXT,
    KEY_VERSION,
    BATCH,
    URL_ALGORITHM,
    Field::new("hash_algorithm", FieldKind::String, "Hash of the input."),
    Field::new("algorithm", FieldKind::String, "Use \"hash_algorithm\" instead."),
    Field::new("prehashed", FieldKind::Bool, "The input is hashed already."),
    Field::new("signature_algorithm", FieldKind::String, "pss or pkcs1v15, of RSA keys."),
    Field::new("marshaling_algorithm", FieldKind::String, "asn1 or jws."),
    Field::new("salt_length", FieldKind::String, "Salt of pss: auto, hash or bytes."),
    Field::new("signature", FieldKind::String, "The signature to verify."),
    Field::new("hmac", FieldKind::String, "The HMAC to verify."),
];

const HMAC_FIELDS: &[Field] = &[
    NAME,
    INPUT,
    KEY_VERSION,
    BATCH,
    URL_ALGORITHM,
    Field::new("algorithm", FieldKind::String, "Hash algorithm."),
];

const RANDOM_FIELDS: &[Field] = &[
    Field::new("urlbytes", FieldKind::String, "How many bytes, in the path."),
    Field::new("bytes", FieldKind::Int, "How many bytes."),
    Field::new("format", FieldKind::String, "hex or base64."),
    Field::new("source", FieldKind::String, "platform, seal or all."),
];

const HASH_FIELDS: &[Field] = &[
    INPUT,
    URL_ALGORITHM,
    Field::new("algorithm", FieldKind::String, "Hash algorithm."),
    Field::new("format", FieldKind::String, "hex or base64."),
];

const EXPORT_FIELDS: &[Field] = &[
    Field::new("type", FieldKind::String, "What to export."),
    NAME,
    Field::new("version", FieldKind::String, "Version, or latest."),
];

const ENCRYPT_FIELDS: &[Field] = &[
    NAME,
    Field::new("plaintext", FieldKind::String, "Base64 plaintext."),
    CONTEXT,
    KEY_VERSION,
    ASSOCIATED,
    BATCH,
    PARTIAL,
    KEY_TYPE,
    Field::new("convergent_encryption", FieldKind::Bool, "Of a key that is made."),
];

pub(super) const ROUTES: &[Route<Transit>] = &[
    Route {
        pattern: "encrypt/{name}",
        access: Access::Token,
        methods: &[Method::new(WRITE, Effect::Mixed, Transit::encrypt)],
        exists: Some(Transit::encrypt_key_exists),
        fields: ENCRYPT_FIELDS,
        summary: "Encrypt a plaintext, or a batch of them; makes the key where there is none.",
    },
    route(
        "decrypt/{name}",
        &[Method::new(WRITE, Effect::Read, Transit::decrypt)],
        &[NAME, CIPHERTEXT, CONTEXT, ASSOCIATED, BATCH, PARTIAL],
        "Decrypt a ciphertext, or a batch of them.",
    ),
    route(
        "rewrap/{name}",
        &[Method::new(WRITE, Effect::Read, Transit::rewrap)],
        &[NAME, CIPHERTEXT, CONTEXT, KEY_VERSION, BATCH],
        "Encrypt anew with the newest version what an older one encrypted.",
    ),
    route(
        "datakey/{plaintext:segment}/{name}",
        &[Method::new(WRITE, Effect::Read, Transit::datakey)],
        &[
            NAME,
            Field::new("plaintext", FieldKind::String, "plaintext: show the key too; wrapped: do not."),
            CONTEXT,
            KEY_VERSION,
            ASSOCIATED,
            Field::new("bits", FieldKind::Int, "128, 256 or 512."),
        ],
        "Make a key for use elsewhere.",
    ),
    route("sign/{name}", &[Method::heavy(WRITE, Effect::Read, Transit::sign)], SIGN_FIELDS, "Sign an input."),
    route(
        "sign/{name}/{urlalgorithm:segment}",
        &[Method::heavy(WRITE, Effect::Read, Transit::sign)],
        SIGN_FIELDS,
        "Sign an input with this hash.",
    ),
    route(
        "verify/{name}",
        &[Method::new(WRITE, Effect::Read, Transit::verify)],
        SIGN_FIELDS,
        "Verify a signature or an HMAC.",
    ),
    route(
        "verify/{name}/{urlalgorithm:segment}",
        &[Method::new(WRITE, Effect::Read, Transit::verify)],
        SIGN_FIELDS,
        "Verify a signature or an HMAC of this hash.",
    ),
    route("hmac/{name}", &[Method::new(WRITE, Effect::Read, Transit::hmac)], HMAC_FIELDS, "Make an HMAC."),
    route(
        "hmac/{name}/{urlalgorithm:segment}",
        &[Method::new(WRITE, Effect::Read, Transit::hmac)],
        HMAC_FIELDS,
        "Make an HMAC with this hash.",
    ),
    route("hash", &[Method::new(WRITE, Effect::Read, Transit::hash)], HASH_FIELDS, "Hash an input."),
    route(
        "hash/{urlalgorithm:segment}",
        &[Method::new(WRITE, Effect::Read, Transit::hash)],
        HASH_FIELDS,
        "Hash an input with this algorithm.",
    ),
    route("random", &[Method::new(WRITE, Effect::Read, Transit::random)], RANDOM_FIELDS, "Random bytes."),
    route(
        "random/{source:segment}",
        &[Method::new(WRITE, Effect::Read, Transit::random)],
        RANDOM_FIELDS,
        "Random bytes of a source, or so many.",
    ),
    route(
        "random/{source:segment}/{urlbytes:segment}",
        &[Method::new(WRITE, Effect::Read, Transit::random)],
        RANDOM_FIELDS,
        "So many random bytes of a source.",
    ),
    route(
        "keys/?",
        &[Method::new(&[Operation::List], Effect::Read, Transit::list)],
        &[
            Field::new("after", FieldKind::String, "List entries after this one."),
            Field::new("limit", FieldKind::Int, "How many entries to list."),
        ],
        "List the keys.",
    ),
    route(
        "keys/{name}",
        &[
            Method::new(READ, Effect::Read, Transit::read_key),
            Method::heavy(WRITE, Effect::Write, Transit::write_key),
            Method::new(&[Operation::Delete], Effect::Write, Transit::delete_key),
        ],
        KEY_FIELDS,
        "Manage a key.",
    ),
    route(
        "keys/{name}/config",
        &[Method::new(WRITE, Effect::Write, Transit::configure)],
        CONFIG_FIELDS,
        "Configure a key.",
    ),
    route(
        "keys/{name}/rotate",
        &[Method::heavy(WRITE, Effect::Write, Transit::rotate)],
        &[NAME, Field::new("external_key_ref", FieldKind::String, "Not supported.")],
        "Make a new version of a key.",
    ),
    route(
        "keys/{name}/trim",
        &[Method::new(WRITE, Effect::Write, Transit::trim)],
        &[NAME, Field::new("min_available_version", FieldKind::Int, "Oldest version to keep.")],
        "Remove old versions of a key for good.",
    ),
    route(
        "keys/{name}/soft-delete",
        &[Method::new(&[Operation::Delete], Effect::Write, Transit::soft_delete)],
        &[NAME],
        "Refuse every use of a key.",
    ),
    route(
        "keys/{name}/soft-delete-restore",
        &[Method::new(WRITE, Effect::Write, Transit::restore_soft_deleted)],
        &[NAME],
        "Allow a soft-deleted key to be used again.",
    ),
    route(
        "keys/{name}/import",
        &[Method::heavy(WRITE, Effect::Write, Transit::import)],
        IMPORT_FIELDS,
        "Import a key made elsewhere.",
    ),
    route(
        "keys/{name}/import_version",
        &[Method::heavy(WRITE, Effect::Write, Transit::import_version)],
        &[
            NAME,
            CIPHERTEXT,
            PUBLIC_KEY,
            HASH_FUNCTION,
            Field::new("version", FieldKind::Int, "Version to complete with its private key."),
        ],
        "Import a version of an imported key.",
    ),
    route(
        "wrapping_key",
        &[Method::heavy(READ, Effect::Mixed, Transit::wrapping_key)],
        &[],
        "The public key to wrap imported keys with.",
    ),
    route(
        "export/{type:segment}/{name}",
        &[Method::new(READ, Effect::Read, Transit::export)],
        EXPORT_FIELDS,
        "Export every version of a key.",
    ),
    route(
        "export/{type:segment}/{name}/{version:segment}",
        &[Method::new(READ, Effect::Read, Transit::export)],
        EXPORT_FIELDS,
        "Export a version of a key.",
    ),
    route(
        "backup/{name}",
        &[Method::new(READ, Effect::Write, Transit::backup)],
        &[NAME],
        "Take a backup of a key.",
    ),
    route(
        "restore",
        &[Method::heavy(WRITE, Effect::Write, Transit::restore)],
        BACKUP_FIELDS,
        "Restore a key of a backup.",
    ),
    route(
        "restore/{name}",
        &[Method::heavy(WRITE, Effect::Write, Transit::restore)],
        BACKUP_FIELDS,
        "Restore a key of a backup under this name.",
    ),
    route(
        "cache-config",
        &[
            Method::new(READ, Effect::Read, Transit::read_cache),
            Method::new(WRITE, Effect::Write, Transit::write_cache),
        ],
        &[Field::new(
            "size",
            FieldKind::Int,
            "Keys to keep in memory; 0: as many as the release does by itself.",
        )],
        "How many keys are kept in memory.",
    ),
    route(
        "config/keys",
        &[
            Method::new(READ, Effect::Read, Transit::read_key_settings),
            Method::new(WRITE, Effect::Write, Transit::write_key_settings),
        ],
        &[Field::new("disable_upsert", FieldKind::Bool, "Whether encrypting must not make keys.")],
        "Settings of all keys of the mount.",
    ),
];
