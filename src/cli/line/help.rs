//! Help texts of the client verbs, made from their tables.

use super::{Flag, Kind, Verb, flags};

/// The next words below a group and what they do, by name. A group stands for its members.
#[must_use]
pub fn members<R>(verbs: &[Verb<R>], group: &str) -> Vec<(String, &'static str)> {
    let mut found: Vec<(String, &'static str)> = Vec::new();
    for verb in verbs {
        let Some(rest) = below(verb.path, group) else { continue };
        let (word, deeper) = rest.split_once(' ').map_or((rest, false), |(word, _)| (word, true));
        if !found.iter().any(|(known, _)| known == word) {
            let path = format!("{group} {word}");
            found.push((word.to_owned(), if deeper { about_group(path.trim()) } else { verb.about }));
        }
    }
    found.sort();
    found
}

fn below<'a>(path: &'a str, group: &str) -> Option<&'a str> {
    if group.is_empty() { Some(path) } else { path.strip_prefix(group)?.strip_prefix(' ') }
}

fn about_group(path: &str) -> &'static str {
    match path {
        "audit" => "Audit devices: enable, disable, list",
        "auth" => "Auth methods: enable, disable, list, tune, move",
        "kv" => "Keys and values, versions included",
        "kv metadata" => "What is kept about a key and its versions",
        "lease" => "Leases: lookup, renew, revoke",
        "operator" => "Initialise, unseal, seal, keys, raft, snapshots",
        "operator raft" => "Peers and snapshots of the raft storage",
        "operator raft snapshot" => "Save and restore snapshots",
        "policy" => "Policies: read, write, list, delete",
        "print" => "What this command line would use",
        "secrets" => "Secrets engines: enable, disable, list, tune, move",
        "token" => "Tokens: create, lookup, renew, revoke, capabilities",
        _ => "",
    }
}

/// Help of a group: its usage and its members.
#[must_use]
pub fn of_group<R>(verbs: &[Verb<R>], group: &str) -> String {
    format!(
        "Usage: understudy {group} <subcommand> [options] [args]\n\n  {}.\n\nSubcommands:\n{}\n\
         `understudy {group} <subcommand> -h` shows the options of each.\n",
        about_group(group),
        listed(&members(verbs, group))
    )
}

/// Two aligned columns.
#[must_use]
pub fn listed(members: &[(String, &'static str)]) -> String {
    let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    members.iter().map(|(name, about)| format!("    {name:width$}    {about}\n")).collect()
}

/// Help of one verb: usage, its own flags in full, the common ones.
#[must_use]
pub fn of_verb<R>(verb: &Verb<R>) -> String {
    let [own, format, field, http] = flags(verb);
    let mut text = format!("Usage: understudy {} {}\n\n  {}.\n", verb.path, verb.usage, verb.about);
    let own: Vec<&Flag> = own.iter().chain(format).chain(field).collect();
    if !own.is_empty() {
        text.push_str("\nOptions:\n");
        own.into_iter().for_each(|flag| text.push_str(&one(flag)));
    }
    text.push_str("\nHTTP options (the environment variable in brackets; BAO_ names come first):\n");
    http.iter().for_each(|flag| text.push_str(&one(flag)));
    text
}

fn one(flag: &Flag) -> String {
    let value = match flag.kind {
        Kind::Switch => "",
        Kind::Text => "=<text>",
        Kind::Integer => "=<number>",
        Kind::Duration => "=<duration>",
        Kind::List => "=<text>...",
        Kind::Pairs => "=<name=value>",
    };
    let name = format!("-{}{value}", flag.name);
    format!("    {name:30} {}\n", flag.help)
}
