//! login: get a token and keep it in the token helper's file. audit lives beside it in `audit`.

use http::Method;

use super::super::client::request::Call;
use super::super::client::settings::variable;
use super::super::input;
use super::super::line::Kind;
use super::super::output::secret::envelope;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, clean, failed};
use super::super::token_file;
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};
use crate::secret::SecretString;

const LOGIN: &[Flag] = &[
    flag("method", Kind::Text, "token (default), userpass, ldap, radius, approle, jwt, cert."),
    flag("path", Kind::Text, "Where the method is mounted; default: its name."),
    flag("no-store", Kind::Switch, "Do not keep the token."),
    flag("no-print", Kind::Switch, "Do not show the token."),
    flag("token-only", Kind::Switch, "Print the token and nothing else, and do not keep it."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let usage = ("[options] [TOKEN | - | KEY=VALUE...]", "Log in and keep the token");
    vec![verb("login", usage, Prints::Field, Arity::Any, LOGIN, login)]
}

fn login(s: &mut Session<'_>) -> Outcome {
    let method = s.given.value("method").unwrap_or("token").to_owned();
    let only = s.given.on("token-only");
    let answer = match method.as_str() {
        "token" => by_token(s)?,
        "userpass" | "ldap" | "radius" | "approle" | "jwt" | "oidc" | "cert" => by_method(s, &method)?,
        other => return Err(Failure::wrong(unknown(other))),
    };
    let token = answer.at(&["auth", "client_token"]).and_then(Tree::text).unwrap_or_default().to_owned();
    if token.is_empty() && answer.get("wrap_info").is_none_or(Tree::is_null) {
        return Err(Failure::refused(
            "Vault returned a secret, but the secret has no authentication information attached. This should never happen and is likely a bug.",
        ));
    }
    if only {
        return s.print_value(&token);
    }
    let kept = !s.given.on("no-store") && !token.is_empty();
    if kept {
        store(s, &token)?;
    }
    if s.given.on("no-print") {
        return Ok(OK);
    }
    announce(s, kept)?;
    s.secret(&answer)
}

fn unknown(method: &str) -> String {
    format!(
        "Unknown auth method: {method}. Use \"understudy auth list\" to see the complete list of\nauth methods. \
         Additionally, some auth methods are only available via the HTTP\nAPI."
    )
}

fn announce(s: &mut Session<'_>, kept: bool) -> Result<(), Failure> {
    if !kept {
        s.warn(
            "The token was not stored in token helper. Set the VAULT_TOKEN environment\nvariable or pass the token below \
             with each request to Vault.\n",
        );
    }
    if s.format != super::super::output::Format::Table || s.given.value("field").is_some() {
        return Ok(());
    }
    let text = if kept {
        "Success! You are now authenticated. The token information displayed below is\nalready stored in the token \
         helper. You do NOT need to run \"understudy login\" again.\nFuture Vault requests will automatically use this token.\n"
    } else {
        "Success! You are now authenticated. The token information displayed below is\nnot stored: set VAULT_TOKEN to \
         use it.\n"
    };
    s.say(text)
}

fn store(s: &mut Session<'_>, token: &str) -> Result<(), Failure> {
    let home = (s.env)("HOME").ok_or_else(|| Failure::refused("Error storing token: HOME is not set"))?;
    let file = token_file::path(std::path::Path::new(&home));
    token_file::store(&file, token).map_err(|why| Failure::refused(format!("Error storing token: {why}")))?;
    if variable(s.env, "TOKEN").is_some() {
        s.warn(
            "WARNING! The VAULT_TOKEN environment variable is set! The value of this variable\nwill take precedence; if \
             this is unwanted please unset VAULT_TOKEN or update its\nvalue accordingly.\n",
        );
    }
    Ok(())
}

/// The token itself; it is looked up, so that a wrong one is not kept.
fn by_token(s: &mut Session<'_>) -> Result<Tree, Failure> {
    let token = match s.given.args.as_slice() {
        [one] if one == "-" => input::limited(s.input).map_err(Failure::wrong)?.trim().to_owned(),
        [one] if !one.contains('=') => one.trim().to_owned(),
        [one] if one.starts_with("token=") => one.trim_start_matches("token=").to_owned(),
        [] => {
            return Err(Failure::refused(
                "Error authenticating: pass the token as the argument, or - to read it from standard input",
            ));
        }
        args => {
            let bad = args.iter().skip(1).find(|arg| !arg.contains('='));
            let why = bad.map_or_else(
                || "a token is one argument".to_owned(),
                |arg| format!("invalid key/value pair \"{arg}\": format must be key=value"),
            );
            return Err(Failure::wrong(format!("Error parsing configuration: {why}")));
        }
    };
    s.client.settings.token = Some(SecretString::new(token.clone()));
    let answer =
        s.json(&Call::get("auth/token/lookup-self"), "Error authenticating: error looking up token")?;
    let data = answer.get("data").cloned().unwrap_or(Tree::Null);
    let auth = Tree::map([
        ("client_token", token.into()),
        ("accessor", data.or("accessor", "".into())),
        ("policies", data.or("policies", Tree::Null)),
        ("token_policies", data.or("policies", Tree::Null)),
        ("identity_policies", data.or("identity_policies", Tree::Null)),
        ("metadata", data.or("meta", Tree::Null)),
        ("lease_duration", data.or("ttl", 0.into())),
        ("renewable", data.or("renewable", false.into())),
    ]);
    Ok(envelope(&Tree::map([("auth", auth)])))
}

fn by_method(s: &mut Session<'_>, method: &str) -> Result<Tree, Failure> {
    let data = s.data(0).map_err(|failure| Failure {
        text: failure.text.replace("Failed to parse K=V data", "Error parsing configuration"),
        ..failure
    })?;
    let mount = s
        .given
        .value("path")
        .map_or_else(|| method.to_owned(), |path| clean(path).trim_start_matches("auth/").to_owned());
    let named = matches!(method, "userpass" | "ldap" | "radius");
    let path = if named {
        let name = data.text_at("username");
        if name.is_empty() {
            return Err(Failure::refused("Error authenticating: 'username' must be specified"));
        }
        format!("auth/{mount}/login/{name}")
    } else {
        format!("auth/{mount}/login")
    };
    let password = data.text_at("password");
    let body = match (named, password) {
        (true, "") => Tree::map([("password", password_of(s)?.into())]),
        (true, password) => Tree::map([("password", password.into())]),
        (false, _) => data,
    };
    // An old token has no say in getting a new one.
    s.client.settings.token = None;
    s.client.json(&Call::new(Method::PUT, path).with_body(&body)).map_err(failed("Error authenticating"))
}

/// From standard input, when somebody piped it in.
fn password_of(s: &mut Session<'_>) -> Result<String, Failure> {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() {
        return Err(Failure::refused("Error authenticating: give password=- and pipe the password in"));
    }
    let text = input::limited(s.input).map_err(Failure::wrong)?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    if line.is_empty() {
        Err(Failure::refused("Error authenticating: 'password' must be specified"))
    } else {
        Ok(line)
    }
}
