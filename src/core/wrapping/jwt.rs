//! The signed form of a wrapping token: a JWT (ES512) whose `jti` is the token, for readers who want to see what it is
//! before they send it anywhere. The signature proves that this cluster made it; when it ends is the token's own matter.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::barrier::{StoreError, Transaction};
use crate::json_text::Node;
use crate::logical::{Fault, WrapInfo};

/// Where the key is stored, made by the first transaction that signs.
const KEY: &str = "sys/wrapping-key";
const HEADER: &str = r#"{"alg":"ES512","typ":"JWT"}"#;
const ALGORITHM: &str = "ES512";
/// The kind of token, in its claims.
const TYPE: &str = "wrapping";
/// How long before its time a token is valid: clocks differ.
const LEEWAY_SECS: i64 = 5;

/// Why a text is not a token of this cluster; the server's words as far as they do not depend on its parser.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadJwt {
    #[error("wrapping token could not be parsed: {0}")]
    Format(&'static str),
    #[error(
        "wrapping token could not be parsed: unexpected signature algorithm \"{0}\"; expected [\"ES512\"]"
    )]
    Algorithm(String),
    #[error(
        "wrapping token signature could not be validated: go-jose/go-jose: error in cryptographic primitive"
    )]
    Signature,
    #[error("unexpected type claim")]
    Type,
}

/// As stored.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    /// PKCS #8.
    key: Vec<u8>,
    /// Its other half, an uncompressed point: anybody may have a token looked at, and that shall not cost an import.
    public: Vec<u8>,
}

/// What the token says, in the order it is written.
#[derive(Serialize)]
struct Claims<'c> {
    /// Of the token in the wrapped answer; empty where there is none.
    accessor: &'c str,
    /// Where to open it.
    addr: &'c str,
    exp: i64,
    iat: i64,
    jti: &'c str,
    nbf: i64,
    r#type: &'static str,
}

/// What is read of a token's claims.
#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    jti: Zeroizing<String>,
    #[serde(default)]
    r#type: String,
}

/// Whether a token is written like a JWT: three parts, the first no letter of a token's kind.
#[must_use]
pub fn is_one(token: &str) -> bool {
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    parts.len() == 3 && parts.first().is_some_and(|first| !matches!(first.len(), 1 | 3))
}

/// The signed form of the token in `info`, made at `now` (seconds since 1970).
///
/// # Errors
/// The store refuses the key, or the library the signature.
pub fn sign(tx: &mut Transaction, info: &WrapInfo, addr: &str, now: i64) -> Result<Zeroizing<String>, Fault> {
    let failed = || Fault::Internal("the wrapping token could not be signed".to_owned());
    let claims = Claims {
        accessor: &info.wrapped_accessor,
        addr,
        exp: now.saturating_add(i64::try_from(info.ttl).unwrap_or(i64::MAX)),
        iat: now,
        jti: &info.token,
        nbf: now - LEEWAY_SECS,
        r#type: TYPE,
    };
    let claims = Zeroizing::new(serde_json::to_vec(&claims).map_err(|_| failed())?);
    let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode(HEADER));
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(&*claims, &mut text);
    let signature = key(tx)?.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| failed())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut text);
    Ok(text)
}

/// The token in a text that [`is_one`].
///
/// # Errors
/// It is none of this cluster, or the store cannot be read.
pub fn open(tx: &mut Transaction, text: &str) -> Result<Result<Zeroizing<String>, BadJwt>, StoreError> {
    let record = tx.view("").get_record::<Record>(KEY)?;
    Ok(verified(text, record.as_ref().map_or(&[][..], |record| &record.public)))
}

fn verified(text: &str, public: &[u8]) -> Result<Zeroizing<String>, BadJwt> {
    let (signed, signature) = text.rsplit_once('.').ok_or(BadJwt::Format("compact JWS format"))?;
    let (header, claims) = signed.split_once('.').ok_or(BadJwt::Format("compact JWS format"))?;
    let (header, claims, signature) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
    algorithm(&header)?;
    UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, public)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| BadJwt::Signature)?;
    let claims: Read = serde_json::from_slice(&claims)
        .map_err(|_| BadJwt::Format("the claims are not as they are made here"))?;
    if claims.r#type == TYPE { Ok(claims.jti) } else { Err(BadJwt::Type) }
}

fn decoded(part: &str) -> Result<Zeroizing<Vec<u8>>, BadJwt> {
    URL_SAFE_NO_PAD.decode(part).map(Zeroizing::new).map_err(|_| BadJwt::Format("illegal base64 data"))
}

/// Only one is spoken here: which one is not the sender's to choose.
fn algorithm(header: &[u8]) -> Result<(), BadJwt> {
    let header = Node::parse(header).map_err(|_| BadJwt::Format("invalid character in the header"))?;
    let named = match header.get("alg") {
        Some(Node::Text(name)) => *name,
        Some(Node::Object(_) | Node::List(_) | Node::Word(_)) | None => "",
    };
    if named == ALGORITHM { Ok(()) } else { Err(BadJwt::Algorithm(named.to_owned())) }
}

fn key(tx: &mut Transaction) -> Result<EcdsaKeyPair, StoreError> {
    let mut view = tx.view("");
    if let Some(record) = view.get_record::<Record>(KEY)? {
        return pair(&record);
    }
    let unmade = |_| StoreError::Format("no key for wrapping tokens could be made".to_owned());
    let made = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).map_err(unmade)?;
    let key = made.to_pkcs8v1().map_err(unmade)?.as_ref().to_vec();
    let record = Record { key, public: made.public_key().as_ref().to_vec() };
    view.put_record(KEY, &record)?;
    Ok(made)
}

fn pair(record: &Record) -> Result<EcdsaKeyPair, StoreError> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &record.key)
        .map_err(|_| StoreError::Format("the key of wrapping tokens".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::{Barrier, Keyring, Mode};
    use crate::storage::inmem;

    const NOW: i64 = 1_795_516_775;

    fn transaction() -> Transaction {
        let barrier = Barrier::new(inmem::open());
        barrier.open(Keyring::new([(1, &[7; 32])]));
        barrier.begin(Mode::ReadWrite).unwrap()
    }

    fn info() -> WrapInfo {
        WrapInfo { token: Zeroizing::new("s.token".to_owned()), ttl: 60, ..WrapInfo::default() }
    }

    fn part(text: &str, number: usize) -> String {
        let part = text.split('.').nth(number).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn the_signed_form_says_what_it_is_and_gives_the_token_back() {
        let mut tx = transaction();
        let text = sign(&mut tx, &info(), "http://a:8200", NOW).unwrap();
        assert!(is_one(&text));
        assert_eq!(part(&text, 0), r#"{"alg":"ES512","typ":"JWT"}"#);
        assert_eq!(
            part(&text, 1),
            r#"{"accessor":"","addr":"http://a:8200","exp":1795516835,"iat":1795516775,"jti":"s.token","nbf":1795516770,"type":"wrapping"}"#
        );
        assert_eq!(open(&mut tx, &text).unwrap().unwrap().as_str(), "s.token");
    }

    #[test]
    fn only_this_clusters_signature_counts() {
        let (mut tx, mut other) = (transaction(), transaction());
        let text = sign(&mut tx, &info(), "", NOW).unwrap();
        assert_eq!(open(&mut other, &text).unwrap(), Err(BadJwt::Signature), "no key at all");
        sign(&mut other, &info(), "", NOW).unwrap();
        assert_eq!(open(&mut other, &text).unwrap(), Err(BadJwt::Signature), "another key");
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let forged = URL_SAFE_NO_PAD.encode(URL_SAFE_NO_PAD.decode(claims).unwrap().repeat(2));
        assert_eq!(open(&mut tx, &format!("{header}.{forged}.{signature}")).unwrap(), Err(BadJwt::Signature));
        for (algorithm, said) in [("none", "none"), ("HS512", "HS512"), ("", "")] {
            let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{algorithm}\"}}"));
            let found = open(&mut tx, &format!("{header}.{claims}.{signature}")).unwrap();
            assert_eq!(found, Err(BadJwt::Algorithm(said.to_owned())));
        }
    }

    #[test]
    fn what_is_no_jwt_is_not_taken_for_one() {
        for (text, is) in
            [("s.abc", false), ("hvs.a.b", false), ("s.a.b", false), ("aa.b.c", true), ("aa.b.c.d", false)]
        {
            assert_eq!(is_one(text), is, "{text}");
        }
        for text in ["xx.yyyy.zz", "aaaa.%%.AAAA", "aaaa..cccc"] {
            assert!(matches!(open(&mut transaction(), text).unwrap(), Err(BadJwt::Format(_))), "{text}");
        }
    }
}
