//! operator: bring a server up, open it, close it, change its keys.

use super::super::client::request::Call;
use super::super::input;
use super::super::line::Kind;
use super::super::output::Format;
use super::super::output::secret::key_value_table;
use super::super::output::table;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, REFUSED, Session, failed};
use super::status::{seal_table, with_leader};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const INIT: &[Flag] = &[
    flag("key-shares", Kind::Integer, "Unseal keys to make; default 5. -n for short."),
    flag("key-threshold", Kind::Integer, "Unseal keys needed; default 3. -t for short."),
    flag("recovery-shares", Kind::Integer, "Recovery keys to make, with auto-unseal; default 5."),
    flag("recovery-threshold", Kind::Integer, "Recovery keys needed; default 3."),
    flag("status", Kind::Switch, "Only say whether it is initialised: exit 0 yes, 2 no."),
];
const UNSEAL: &[Flag] = &[
    flag("reset", Kind::Switch, "Forget the keys entered so far."),
    flag("migrate", Kind::Switch, "Migrate to another seal."),
];
const REKEY: &[Flag] = &[
    flag("init", Kind::Switch, "Start."),
    flag("cancel", Kind::Switch, "Stop."),
    flag("status", Kind::Switch, "Say how far it is."),
    flag("key-shares", Kind::Integer, "Unseal keys to make; default 5."),
    flag("key-threshold", Kind::Integer, "Unseal keys needed; default 3."),
    flag("nonce", Kind::Text, "Nonce of the running operation."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let (zero, zero_one) = (Arity::Exact(0), Arity::Between(0, 1, "0-1"));
    vec![
        verb(
            "operator init",
            ("[options]", "Initialise a new server; prints its keys once"),
            Prints::Format,
            zero,
            INIT,
            init,
        ),
        verb(
            "operator unseal",
            ("[options] [KEY]", "Enter an unseal key; - reads it from standard input"),
            Prints::Format,
            zero_one,
            UNSEAL,
            unseal,
        ),
        verb(
            "operator seal",
            ("[options]", "Close the server until it is unsealed again"),
            Prints::Text,
            zero,
            &[],
            seal,
        ),
        verb(
            "operator step-down",
            ("[options]", "Make the active node give up its place"),
            Prints::Text,
            zero,
            &[],
            step_down,
        ),
        verb(
            "operator rotate",
            ("[options]", "Rotate the key that data is written with"),
            Prints::Format,
            zero,
            &[],
            rotate,
        ),
        verb(
            "operator key-status",
            ("[options]", "Show that key's term"),
            Prints::Format,
            zero,
            &[],
            key_status,
        ),
        verb(
            "operator rekey",
            ("[options] [KEY]", "Make new unseal keys"),
            Prints::Format,
            zero_one,
            REKEY,
            rekey,
        ),
        verb(
            "operator members",
            ("[options]", "List the nodes of the cluster"),
            Prints::Format,
            zero,
            &[],
            members,
        ),
    ]
}

fn init(s: &mut Session<'_>) -> Outcome {
    if s.given.on("status") {
        return init_status(s);
    }
    let auto = s.json(&Call::get("sys/seal-status"), "Error initializing")?.truth_at("recovery_seal");
    let number = |name, default| Tree::from(s.given.integer(name).unwrap_or(default));
    let body = if auto {
        Tree::map([
            ("recovery_shares", number("recovery-shares", 5)),
            ("recovery_threshold", number("recovery-threshold", 3)),
        ])
    } else {
        Tree::map([
            ("secret_shares", number("key-shares", 5)),
            ("secret_threshold", number("key-threshold", 3)),
        ])
    };
    let (shares, threshold) =
        if auto { ("recovery_shares", "recovery_threshold") } else { ("secret_shares", "secret_threshold") };
    let (shares, threshold) = (body.integer_at(shares), body.integer_at(threshold));
    let answer = s.json(&Call::put("sys/init", &body), "Error initializing")?;
    let count = |auto_counts: bool, number: i64| Tree::from(if auto_counts { number } else { 0 });
    let list = |name: &str| answer.get(name).filter(|list| !list.is_null()).cloned();
    let none = || if auto { Tree::List(Vec::new()) } else { Tree::Null };
    let whole = Tree::map([
        ("unseal_keys_b64", list("keys_base64").unwrap_or_else(none)),
        ("unseal_keys_hex", list("keys").unwrap_or_else(none)),
        ("unseal_shares", if auto { 1.into() } else { shares.into() }),
        ("unseal_threshold", if auto { 1.into() } else { threshold.into() }),
        ("recovery_keys_b64", list("recovery_keys_base64").unwrap_or(Tree::Null)),
        ("recovery_keys_hex", list("recovery_keys").unwrap_or(Tree::Null)),
        ("recovery_keys_shares", count(auto, shares)),
        ("recovery_keys_threshold", count(auto, threshold)),
        ("root_token", answer.or("root_token", "".into())),
    ]);
    s.show(&whole, |whole| init_text(whole, auto))
}

fn init_status(s: &mut Session<'_>) -> Outcome {
    let answer = s.json(&Call::get("sys/init"), "Error checking init status")?;
    let done = answer.truth_at("initialized");
    let said = if done { "Vault is initialized" } else { "Vault is not initialized" };
    s.show(&Tree::map([("Initialized", done.into())]), |_| said.to_owned())?;
    Ok(if done { OK } else { REFUSED })
}

fn init_text(whole: &Tree, auto: bool) -> String {
    let (keys, name) = if auto { ("recovery_keys_b64", "Recovery") } else { ("unseal_keys_b64", "Unseal") };
    let keys = whole.get(keys).map(Tree::items).unwrap_or_default();
    let lines: String = keys
        .iter()
        .enumerate()
        .map(|(at, key)| format!("{name} Key {}: {}\n", at + 1, key.text().unwrap_or_default()))
        .collect();
    let token = whole.text_at("root_token");
    let (shares, threshold) = (whole.integer_at("unseal_shares"), whole.integer_at("unseal_threshold"));
    let advice = if auto {
        "Success! Vault is initialized".to_owned()
    } else {
        format!(
            "Vault initialized with {shares} key shares and a key threshold of {threshold}. Please securely\ndistribute \
             the key shares printed above. When the Vault is re-sealed,\nrestarted, or stopped, you must supply at least \
             {threshold} of these keys to unseal it\nbefore it can start servicing requests.\n\nVault does not store the \
             generated root key. Without at least {threshold} keys to\nreconstruct the root key, Vault will remain \
             permanently sealed!\n\nIt is possible to generate new unseal keys, provided you have a quorum\nof existing \
             unseal keys shares. See \"understudy operator rekey\" for more\ninformation."
        )
    };
    format!("{lines}\nInitial Root Token: {token}\n\n{advice}")
}

/// The key of the command line, or the first line of standard input.
fn key(s: &mut Session<'_>) -> Result<String, Failure> {
    match s.given.arg(0).trim() {
        "" => Err(Failure::wrong(
            "The unseal key is the first argument; pass - to read it from standard input, so that it is in no history.",
        )),
        "-" => input::limited(s.input).map(|text| text.trim().to_owned()).map_err(Failure::wrong),
        key => Ok(key.to_owned()),
    }
}

fn unseal(s: &mut Session<'_>) -> Outcome {
    let body = if s.given.on("reset") {
        Tree::map([("reset", true.into())])
    } else {
        let key = key(s)?;
        let migrate = s.given.on("migrate");
        Tree::map([("key", key.into()), ("migrate", migrate.into()), ("reset", false.into())])
    };
    let what = if s.given.on("reset") { "Error resetting unseal process" } else { "Error unsealing" };
    let answer = s.json(&Call::put("sys/unseal", &body), what)?;
    let whole = with_leader(s, answer)?;
    s.show(&whole, seal_table)
}

fn seal(s: &mut Session<'_>) -> Outcome {
    s.client.call(&Call::put("sys/seal", &Tree::Map(Vec::new()))).map_err(failed("Error sealing"))?;
    s.say("Success! Vault is sealed.")?;
    Ok(OK)
}

fn step_down(s: &mut Session<'_>) -> Outcome {
    let call = Call::put("sys/step-down", &Tree::Map(Vec::new()));
    s.client.call(&call).map_err(failed("Error stepping down"))?;
    let address = s.client.settings.address.to_string();
    s.say(&format!("Success! Stepped down: {}", address.trim_end_matches('/')))?;
    Ok(OK)
}

fn rotate(s: &mut Session<'_>) -> Outcome {
    s.client.call(&Call::post("sys/rotate", &Tree::Map(Vec::new()))).map_err(failed("Error rotating key"))?;
    show_key(s, "Success! Rotated key\n\n")
}

fn key_status(s: &mut Session<'_>) -> Outcome {
    show_key(s, "")
}

fn show_key(s: &mut Session<'_>, before: &str) -> Outcome {
    let answer = s.json(&Call::get("sys/key-status"), "Error reading key status")?;
    let data = answer.get("data").cloned().unwrap_or(answer);
    let whole = Tree::map([
        ("term", data.or("term", 0.into())),
        ("install_time", data.or("install_time", "".into())),
        ("encryptions", data.or("encryptions", 0.into())),
    ]);
    s.show(&whole, |whole| {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let rows = [
            row("Key Term", whole.integer_at("term").to_string()),
            row("Install Time", rfc822(whole.text_at("install_time"))),
            row("Encryption Count", whole.integer_at("encryptions").to_string()),
        ];
        format!("{before}{}", table::columns(&rows))
    })
}

/// `23 Nov 26 02:17 UTC`, or the text itself when it is no time.
fn rfc822(rfc3339: &str) -> String {
    let form = time::macros::format_description!(
        "[day] [month repr:short] [year repr:last_two] [hour]:[minute] UTC"
    );
    time::OffsetDateTime::parse(rfc3339, &time::format_description::well_known::Rfc3339)
        .ok()
        .and_then(|when| when.to_offset(time::UtcOffset::UTC).format(&form).ok())
        .unwrap_or_else(|| rfc3339.to_owned())
}

fn rekey(s: &mut Session<'_>) -> Outcome {
    if s.given.on("cancel") {
        s.client.call(&Call::delete("sys/rekey/init")).map_err(failed("Error canceling rekey"))?;
        s.say("Success! Canceled rekeying (if it was started)")?;
        return Ok(OK);
    }
    if s.given.on("status") {
        let status = s.json(&Call::get("sys/rekey/init"), "Error reading rekey status")?;
        return show_rekey(s, &status);
    }
    if s.given.on("init") {
        let number = |name, default| Tree::from(s.given.integer(name).unwrap_or(default));
        let body = Tree::map([
            ("secret_shares", number("key-shares", 5)),
            ("secret_threshold", number("key-threshold", 3)),
        ]);
        let status = s.json(&Call::put("sys/rekey/init", &body), "Error initializing rekey")?;
        return show_rekey(s, &status);
    }
    provide_rekey(s)
}

fn provide_rekey(s: &mut Session<'_>) -> Outcome {
    let status = s.json(&Call::get("sys/rekey/init"), "Error getting rekey status")?;
    if !status.truth_at("started") {
        return Err(Failure::wrong(
            "No rekey is in progress. Start a rekey process by running \"operator rekey -init\".",
        ));
    }
    let key = key(s)?;
    let nonce = s.given.value("nonce").unwrap_or_else(|| status.text_at("nonce")).to_owned();
    let body = Tree::map([("key", key.into()), ("nonce", nonce.into())]);
    let answer = s.json(&Call::put("sys/rekey/update", &body), "Error posting unseal key")?;
    if !answer.truth_at("complete") {
        return show_rekey(s, &answer);
    }
    s.show(&answer, |answer| {
        let keys = answer.get("keys_base64").map(Tree::items).unwrap_or_default().iter().enumerate();
        let lines: String =
            keys.map(|(at, key)| format!("Key {}: {}\n", at + 1, key.text().unwrap_or_default())).collect();
        format!("{lines}\nOperation nonce: {}\n\nVault unseal keys rekeyed.", answer.text_at("nonce"))
    })
}

fn show_rekey(s: &mut Session<'_>, status: &Tree) -> Outcome {
    s.show(status, |status| {
        let mut rows = vec![
            ("Nonce", status.text_at("nonce").to_owned()),
            ("Started", status.truth_at("started").to_string()),
        ];
        if status.truth_at("started") {
            rows.push((
                "Progress",
                format!("{}/{}", status.integer_at("progress"), status.integer_at("required")),
            ));
            rows.push(("New Shares", status.integer_at("n").to_string()));
            rows.push(("New Threshold", status.integer_at("t").to_string()));
            rows.push(("Verification Required", status.truth_at("verification_required").to_string()));
        }
        key_value_table(rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    })
}

fn members(s: &mut Session<'_>) -> Outcome {
    let answer = s.json(&Call::get("sys/ha-status"), "Error listing members")?;
    let nodes = answer
        .get("nodes")
        .or_else(|| answer.at(&["data", "nodes"]))
        .cloned()
        .unwrap_or(Tree::List(Vec::new()));
    if s.format != Format::Table {
        return s.show(&Tree::map([("Nodes", nodes)]), |_| String::new());
    }
    let names = [
        "hostname",
        "api_address",
        "cluster_address",
        "active_node",
        "version",
        "upgrade_version",
        "last_echo",
    ];
    let header = [
        "Host Name",
        "API Address",
        "Cluster Address",
        "Active Node",
        "Version",
        "Upgrade Version",
        "Last Echo",
    ];
    let cell = |node: &Tree, name: &str| {
        node.get(name).filter(|v| !v.is_null()).map(super::super::output::go::show).unwrap_or_default()
    };
    let rows = nodes.items().iter().map(|node| names.iter().map(|name| cell(node, name)).collect());
    let all: Vec<Vec<String>> =
        std::iter::once(header.iter().map(|&h| h.to_owned()).collect()).chain(rows).collect();
    s.say(&table::with_header(&all))?;
    Ok(OK)
}
