//! operator generate-root: a new root token, once enough holders of unseal keys agree. The server sends it mixed with
//! a one-time password that only this side knows.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::super::client::request::Call;
use super::super::input;
use super::super::line::Kind;
use super::super::output::table;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, failed};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};
use crate::secret::SecretString;

/// Vault's endpoints.
const OPEN: &str = "sys/generate-root";
/// Those of servers that want a token for it.
const AUTHENTICATED: &str = "sys/generate-root-token";
/// Of a password made without asking the server: the length of a token of this format.
const OTP_LENGTH: i64 = 26;
const FLAGS: &[Flag] = &[
    flag("init", Kind::Switch, "Start; prints a one-time password unless -otp gives one."),
    flag("cancel", Kind::Switch, "Stop."),
    flag("status", Kind::Switch, "Say how far it is."),
    flag("decode", Kind::Text, "Decode this encoded token with -otp."),
    flag("generate-otp", Kind::Switch, "Print a one-time password."),
    flag("otp", Kind::Text, "The one-time password."),
    flag("nonce", Kind::Text, "Nonce of the running attempt."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let usage = ("[options] [KEY]", "Make a new root token with unseal keys");
    vec![verb("operator generate-root", usage, Prints::Format, Arity::Between(0, 1, "0-1"), FLAGS, run)]
}

/// Which of the two this server has.
fn base(s: &Session<'_>) -> &'static str {
    let asked = s.client.ask_anyway(&Call::get(format!("{OPEN}/attempt")));
    // No answer at all is told by the request that follows.
    if asked.is_ok_and(|answer| matches!(answer.status.as_u16(), 404 | 405)) { AUTHENTICATED } else { OPEN }
}

fn attempt(s: &Session<'_>) -> String {
    format!("{}/attempt", base(s))
}

/// The status itself, with or without an envelope around it.
fn ask(s: &Session<'_>, call: &Call, what: &str) -> Result<Tree, Failure> {
    let answer = s.json(call, what)?;
    Ok(answer.get("data").filter(|data| !data.is_null()).cloned().unwrap_or(answer))
}

/// In Vault's field order.
fn envelope(status: &Tree) -> Tree {
    let text = |name| status.or(name, "".into());
    Tree::map([
        ("nonce", text("nonce")),
        ("started", status.or("started", false.into())),
        ("progress", status.or("progress", 0.into())),
        ("required", status.or("required", 0.into())),
        ("complete", status.or("complete", false.into())),
        ("encoded_token", text("encoded_token")),
        ("encoded_root_token", text("encoded_root_token")),
        ("pgp_fingerprint", text("pgp_fingerprint")),
        ("otp", text("otp")),
        ("otp_length", status.or("otp_length", 0.into())),
    ])
}

fn run(s: &mut Session<'_>) -> Outcome {
    if s.given.on("generate-otp") {
        let status = ask(s, &Call::get(attempt(s)), "Error getting root generation status")?;
        let length = status.integer_at("otp_length");
        let otp = one_time_password(if length > 0 { length } else { OTP_LENGTH })?;
        return s.print_value(&otp);
    }
    if let Some(encoded) = s.given.value("decode") {
        let token = decoded(encoded, s.given.value("otp").unwrap_or_default()).map_err(Failure::wrong)?;
        return s.print_value(token.expose());
    }
    if s.given.on("cancel") {
        s.client.call(&Call::delete(attempt(s))).map_err(failed("Error canceling root token generation"))?;
        s.say("Success! Root token generation canceled (if it was started)")?;
        return Ok(OK);
    }
    if s.given.on("status") {
        let status = ask(s, &Call::get(attempt(s)), "Error getting root generation status")?;
        return show(s, &status);
    }
    if s.given.on("init") { start(s) } else { provide(s) }
}

fn start(s: &mut Session<'_>) -> Outcome {
    let otp = s.given.value("otp").unwrap_or_default();
    let body = Tree::map([("otp", otp.into())]);
    let status = ask(s, &Call::put(attempt(s), &body), "Error initializing root generation")?;
    if !status.text_at("otp").is_empty() {
        s.warn(
            "A One-Time-Password has been generated for you and is shown in the OTP field.\nYou will need this value to \
             decode the resulting root token, so keep it safe.",
        );
    }
    show(s, &status)
}

fn provide(s: &mut Session<'_>) -> Outcome {
    let status = ask(s, &Call::get(attempt(s)), "Error getting root generation status")?;
    if !status.truth_at("started") {
        let why = "No root generation is in progress. Start a root generation by running \"operator generate-root \
                   -init\".";
        return Err(Failure::wrong(why));
    }
    let key = match s.given.arg(0).trim() {
        "" => {
            return Err(Failure::wrong(
                "The unseal key is the first argument; pass - to read it from standard input.",
            ));
        }
        "-" => input::limited(s.input).map_err(Failure::wrong)?.trim().to_owned(),
        key => key.to_owned(),
    };
    let nonce = s.given.value("nonce").unwrap_or_else(|| status.text_at("nonce")).to_owned();
    let body = Tree::map([("key", key.into()), ("nonce", nonce.into())]);
    let answer = ask(s, &Call::put(format!("{}/update", base(s)), &body), "Error posting unseal key")?;
    show(s, &answer)
}

fn show(s: &mut Session<'_>, status: &Tree) -> Outcome {
    s.show(&envelope(status), |status| {
        let cells: Vec<(&str, String)> = rows(status);
        let cells: Vec<Vec<String>> =
            cells.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        table::columns(&cells)
    })
}

fn rows(status: &Tree) -> Vec<(&'static str, String)> {
    let progress = format!("{}/{}", status.integer_at("progress"), status.integer_at("required"));
    let mut rows = vec![
        ("Nonce", status.text_at("nonce").to_owned()),
        ("Started", status.truth_at("started").to_string()),
        ("Progress", progress),
        ("Complete", status.truth_at("complete").to_string()),
    ];
    let token = [status.text_at("encoded_token"), status.text_at("encoded_root_token")];
    rows.extend(
        token.into_iter().find(|text| !text.is_empty()).map(|text| ("Encoded Token", text.to_owned())),
    );
    rows.extend(Some(status.text_at("otp")).filter(|otp| !otp.is_empty()).map(|otp| ("OTP", otp.to_owned())));
    let length = status.integer_at("otp_length");
    rows.extend((length > 0).then(|| ("OTP Length", length.to_string())));
    rows
}

/// Letters and digits from the operating system's randomness, without bias.
fn one_time_password(length: i64) -> Result<String, Failure> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // As many whole alphabets as fit into a byte.
    const FAIR: u8 = 248;
    let wanted = usize::try_from(length.clamp(1, 1024)).unwrap_or(1);
    let mut otp = String::with_capacity(wanted);
    while otp.len() < wanted {
        let mut drawn = [0; 64];
        getrandom::fill(&mut drawn).map_err(|error| Failure::wrong(format!("no randomness: {error}")))?;
        let fair = drawn.into_iter().filter(|byte| *byte < FAIR).take(wanted - otp.len());
        otp.extend(
            fair.filter_map(|byte| LETTERS.get(usize::from(byte) % LETTERS.len())).map(|b| char::from(*b)),
        );
    }
    Ok(otp)
}

/// The token behind its password.
fn decoded(encoded: &str, otp: &str) -> Result<SecretString, String> {
    let wrong = |why: String| format!("Error decoding root token: {why}");
    let bytes = STANDARD_NO_PAD.decode(encoded).or_else(|_| STANDARD.decode(encoded));
    let bytes = bytes.map_err(|error| wrong(format!("error decoding base64'd token: {error}")))?;
    if bytes.len() != otp.len() {
        let (left, right) = (bytes.len(), otp.len());
        let why = format!("error xoring token: length of byte slices is not equivalent: {left} != {right}");
        return Err(wrong(why));
    }
    let token: Vec<u8> = bytes.iter().zip(otp.bytes()).map(|(left, right)| left ^ right).collect();
    let token = String::from_utf8(token)
        .map_err(|_| wrong("the one-time password is not the right one".to_owned()))?;
    Ok(SecretString::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_from_its_password() {
        let otp = one_time_password(26).unwrap();
        assert!(otp.len() == 26 && otp.chars().all(|c| c.is_ascii_alphanumeric()));
        let token = "s.0123456789abcdefABCDEFgh";
        let mixed: Vec<u8> = token.bytes().zip(otp.bytes()).map(|(left, right)| left ^ right).collect();
        for encoded in [STANDARD.encode(&mixed), STANDARD_NO_PAD.encode(&mixed)] {
            assert_eq!(decoded(&encoded, &otp).unwrap().expose(), token);
        }
        let short =
            "Error decoding root token: error xoring token: length of byte slices is not equivalent: 3 != 26";
        assert_eq!(decoded("AAAA", &otp).unwrap_err(), short);
    }
}
