//! A block of the configuration, read setting by setting. Every setting that was asked for is known; what is left over
//! when the section is closed is reported.
//!
//! The outermost section spans all files. There a later file's value replaces an earlier one, but for two kinds, as
//! Vault merges them: a switch that one file turns on stays on ([`Section::flag`]), and of two times the longer counts
//! ([`Section::longest`]). Blocks of all files add up; whether there may be several is the reader's rule.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::notes::{Given, Notes, Spot};
use super::value;
use crate::config::report::join;
use crate::hcl::{Body, Item, Value};

/// See the module.
#[derive(Debug)]
pub(super) struct Section<'d> {
    parts: Vec<Part<'d>>,
    pub(super) spot: Spot,
    /// The labels after the key.
    pub(super) labels: Vec<String>,
    pub(super) notes: &'d Notes,
    known: RefCell<Vec<&'static str>>,
}

/// What one file has of a section.
#[derive(Debug)]
pub(super) struct Part<'d> {
    pub(super) body: Cow<'d, Body>,
    pub(super) file: usize,
}

// === impl Section ===

impl<'d> Section<'d> {
    /// The whole configuration.
    pub(super) fn root(parts: Vec<Part<'d>>, notes: &'d Notes) -> Self {
        Self { parts, spot: Spot::file(0), labels: Vec::new(), notes, known: RefCell::default() }
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Given<String>> {
        self.read(key, value::text)
    }

    /// Text that is wiped when it is dropped.
    pub(super) fn secret(&self, key: &'static str) -> Option<Given<Zeroizing<String>>> {
        self.read(key, |value| value::text(value).map(Zeroizing::new))
    }

    pub(super) fn path(&self, key: &'static str) -> Option<Given<PathBuf>> {
        let text = self.text(key)?;
        if text.value.is_empty() {
            self.notes.error(&text.spot, "bad-value", "a file needs a name");
            return None;
        }
        Some(Given { value: text.value.into(), spot: text.spot })
    }

    pub(super) fn time(&self, key: &'static str) -> Option<Given<Duration>> {
        self.read(key, value::time)
    }

    pub(super) fn number(&self, key: &'static str) -> Option<Given<i64>> {
        self.read(key, value::integer)
    }

    pub(super) fn list(&self, key: &'static str) -> Option<Given<Vec<String>>> {
        self.read(key, value::list)
    }

    /// On when one of the files turns it on.
    pub(super) fn flag(&self, key: &'static str) -> Option<Given<bool>> {
        self.readings(key, value::flag)
            .into_iter()
            .reduce(|one, next| if next.value || !one.value { next } else { one })
    }

    pub(super) fn is_on(&self, key: &'static str, default: bool) -> bool {
        self.flag(key).map_or(default, |given| given.value)
    }

    /// The longest time of all files.
    pub(super) fn longest(&self, key: &'static str) -> Option<Given<Duration>> {
        self.readings(key, value::time).into_iter().max_by_key(|given| given.value)
    }

    /// A setting of Vault's that changes nothing here.
    pub(super) fn without_effect(&self, key: &'static str, why: &str) {
        self.note(key);
        for (item, spot) in self.items(key) {
            let spot = Spot { span: item.key().span, ..spot };
            self.notes.warning(&spot, "no-effect", format!("`{key}` has no effect here"), why);
        }
    }

    /// A setting of Vault's that this version does not have, and whose absence would surprise.
    pub(super) fn unsupported(&self, key: &'static str, instead: &str) {
        self.note(key);
        for (item, spot) in self.items(key) {
            let spot = Spot { span: item.key().span, ..spot };
            let message = format!("`{key}` is not supported by this version");
            self.notes.error_help(&spot, "unsupported", message, instead);
        }
    }

    /// The blocks called `key` with this many labels each, of all files.
    pub(super) fn blocks(&self, key: &'static str, labels: usize) -> Vec<Section<'_>> {
        self.note(key);
        let items = self.items(key).into_iter().enumerate();
        items.filter_map(|(number, (item, spot))| self.block(item, spot, labels, number)).collect()
    }

    /// A block that is only given once; of several files the last counts.
    pub(super) fn block_once(&self, key: &'static str, labels: usize) -> Option<Section<'_>> {
        let mut blocks = self.blocks(key, labels);
        for pair in blocks.windows(2) {
            if let [first, second] = pair
                && first.spot.file == second.spot.file
            {
                let message = format!("there is a `{key}` at line {} already", first.spot.span.line);
                self.notes.error_help(&second.spot, "repeated", message, "keep one of them");
            }
        }
        let mut block = blocks.pop()?;
        block.spot.path = join(&self.spot.path, key);
        Some(block)
    }

    /// All blocks called `key`, without labels, as if they were one.
    pub(super) fn merged(&self, key: &'static str) -> Option<Section<'_>> {
        self.blocks(key, 0).into_iter().reduce(|mut one, next| {
            one.parts.extend(next.parts);
            one
        })
    }

    /// The value that counts, as it is written; nothing is reported and nothing becomes known.
    pub(super) fn last(&self, key: &str) -> Option<&Value> {
        self.parts.iter().rev().find_map(|part| part.body.attribute(key))
    }

    /// First label and inside of every block called `key`, as [`last`](Self::last). In JSON the label is a key.
    pub(super) fn labelled(&self, key: &str) -> impl Iterator<Item = (String, Cow<'_, Body>)> {
        let items = self.parts.iter().flat_map(move |part| part.body.items.iter());
        items.filter(move |item| &*item.key().text == key).filter_map(|item| {
            let label = item.labels().first()?.text.to_string();
            Some((label, item.inside(1)?))
        })
    }

    /// The inside of every block called `key`, as [`last`](Self::last).
    pub(super) fn bodies(&self, key: &str) -> impl Iterator<Item = &Body> {
        let items = self.parts.iter().flat_map(move |part| part.body.items.iter());
        items.filter(move |item| &*item.key().text == key).filter_map(|item| item.value.as_body())
    }

    /// Every item of the section: for those whose keys are names.
    pub(super) fn entries(&self) -> Vec<(String, &Value, Spot)> {
        let of = |part: &'_ Part<'d>, item: &Item| self.spot_of(&item.key().text, part.file, item.key().span);
        let entry = |part, item: &'_ Item| (item.key().text.to_string(), of(part, item));
        let mut entries = Vec::new();
        for part in &self.parts {
            for item in &part.body.items {
                let (key, spot) = entry(part, item);
                entries.push((key, &item.value, spot));
            }
        }
        entries
    }

    /// Reports every key nobody asked for.
    pub(super) fn close(&self) {
        let known = self.known.borrow();
        for part in &self.parts {
            for item in part.body.items.iter().filter(|item| !known.contains(&&*item.key().text)) {
                let spot = self.spot_of(&item.key().text, part.file, item.key().span);
                self.notes.unknown_key(&spot, &item.key().text, &self.spot.path, &known);
            }
        }
    }

    fn block<'s>(&'s self, item: &'s Item, spot: Spot, labels: usize, number: usize) -> Option<Section<'s>> {
        let Some(body) = item.inside(labels) else {
            let key = &item.key().text;
            let label = if labels == 0 { "" } else { " \"...\"" };
            let message = format!("`{key}` is not written as a block");
            self.notes.error_help(&spot, "bad-value", message, format!("write {key}{label} {{ ... }}"));
            return None;
        };
        let path = format!("{}[{number}]", spot.path);
        Some(Section {
            parts: vec![Part { body, file: spot.file }],
            spot: Spot { span: item.key().span, path, ..spot },
            labels: item.labels().iter().take(labels).map(|label| label.text.to_string()).collect(),
            notes: self.notes,
            known: RefCell::default(),
        })
    }

    /// The value that counts: the last one of the last file that has one.
    fn read<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, value::Wrong>,
    ) -> Option<Given<T>> {
        self.readings(key, read).pop()
    }

    /// The last value of each file. Bad ones are reported and left out.
    fn readings<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, value::Wrong>,
    ) -> Vec<Given<T>> {
        self.note(key);
        let mut readings: Vec<Given<T>> = Vec::new();
        for (item, spot) in self.items(key) {
            match (item.labels().is_empty(), read(&item.value)) {
                (true, Ok(value)) => {
                    if let Some(before) = readings.pop_if(|before| before.spot.file == spot.file) {
                        self.repeated(key, &before.spot, &spot);
                    }
                    readings.push(Given { value, spot });
                }
                (false, _) => {
                    self.notes.error(&spot, "bad-value", format!("`{key}` is a setting, it takes no label"))
                }
                (true, Err(value::Wrong { message, help })) => {
                    self.notes.error_help(&spot, "bad-value", format!("`{key}` is {message}"), help);
                }
            }
        }
        readings
    }

    fn repeated(&self, key: &str, first: &Spot, second: &Spot) {
        let message = format!("`{key}` is given at line {} already", first.span.line);
        self.notes.warning(second, "repeated", message, "the last one counts; keep one of them");
    }

    fn items(&self, key: &str) -> Vec<(&Item, Spot)> {
        let mut items = Vec::new();
        for part in &self.parts {
            for item in part.body.items.iter().filter(|item| &*item.key().text == key) {
                items.push((item, self.spot_of(key, part.file, item.value.span)));
            }
        }
        items
    }

    fn spot_of(&self, key: &str, file: usize, span: crate::hcl::Span) -> Spot {
        Spot { file, span, path: join(&self.spot.path, key) }
    }

    fn note(&self, key: &'static str) {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
    }
}
