//! YAML text → a tree in which every key and value knows its place.
//!
//! Anchors and merge keys are resolved here and duplicate keys are found here. What the keys mean is left to
//! `decode` and `raw`.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// Nodes after aliases are expanded. The largest sensible file has a few thousand; a file of nested aliases
/// ("billion laughs") runs into this instead of into memory.
const NODES_MAX: usize = 100_000;
/// Nesting depth; our own schema needs 8.
const DEPTH_MAX: usize = 64;

/// A stretch of one line: 1-based line and column, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// Characters meant, cut at the end of the line by the reporter.
    pub(crate) width: usize,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// This node and all below, aliases counted each time they are used.
    weight: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// A key without a value, `~` or `null`.
    Nothing,
    Scalar {
        text: String,
        /// Written without quotes, so it may be a number or a truth value.
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Rc<Node>,
}

/// What is wrong with the text as YAML, before any setting is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) code: &'static str,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// The first document of `text`; `None` when there is none. Flaws that leave a usable tree (duplicate keys) come
/// beside it, so that the rest of the file is still checked.
pub(crate) fn parse(text: &str) -> (Option<Rc<Node>>, Vec<Flaw>) {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, anchors: HashMap::new(), flaws: Vec::new(), spent: 0 };
    let root = builder.document();
    match root {
        Ok(root) => (root, builder.flaws),
        Err(flaw) => {
            builder.flaws.push(flaw);
            (None, builder.flaws)
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
    flaws: Vec<Flaw>,
    /// Nodes so far, aliases at full size.
    spent: usize,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Option<Rc<Node>>, Flaw> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::StreamEnd) {
                break;
            }
            match self.node(event, &span, 0)? {
                Some(_) if root.is_some() => {
                    let message = "a second document starts here; a configuration is one document";
                    return Err(flaw("syntax", place(&span), message));
                }
                Some(node) => root = Some(node),
                None => {}
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Flaw> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let mark = error.marker();
                let place = Place { line: mark.line(), column: mark.col() + 1, width: 1 };
                Err(flaw("syntax", place, &format!("not YAML: {}", error.info())))
            }
        }
    }

    /// The node this event starts; `None` for events that start none.
    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Option<Rc<Node>>, Flaw> {
        let place = place(span);
        if depth > DEPTH_MAX {
            return Err(flaw("limit", place, &format!("nested deeper than {DEPTH_MAX} levels")));
        }
        if let Some(tag) = event.tag() {
            let message = format!("tags are not used in this file (found `{}`)", tag.original());
            return Err(flaw("syntax", place, &message));
        }
        let anchor = event.anchor_id();
        let kind = if let Event::Alias(id) = event {
            return self.alias(id, place).map(Some);
        } else if let Event::Scalar(text, style, ..) = event {
            scalar(text.into_owned(), style)
        } else if let Event::SequenceStart(..) = event {
            Kind::List(self.list(depth)?)
        } else if let Event::MappingStart(..) = event {
            Kind::Map(self.map(depth)?)
        } else {
            return Ok(None);
        };
        self.spend(1, place)?;
        let node = Rc::new(Node { place, weight: weigh(&kind), kind });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(Some(node))
    }

    /// The anchored value with its own place: that is where a mistake in it is to be corrected.
    fn alias(&mut self, id: usize, place: Place) -> Result<Rc<Node>, Flaw> {
        let target = self.anchors.get(&id).cloned();
        let target =
            target.ok_or_else(|| flaw("syntax", place, "this alias names a value that contains itself"))?;
        self.spend(target.weight, place)?;
        Ok(target)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Rc<Node>>, Flaw> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.extend(self.node(event, &span, depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Flaw> {
        let mut map = MapBuilder::default();
        let mut merged = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key_place = place(&span);
            let key = event.scalar().map(|(text, _)| text.to_owned());
            let key = key.ok_or_else(|| flaw("syntax", key_place, "a key must be plain text"))?;
            let Some(value) = self.value(depth)? else { break };
            if key == "<<" {
                merged.push(value);
            } else if let Err(duplicate) = map.add(Entry { key, key_place, value }) {
                self.flaws.push(duplicate);
            }
        }
        for source in merged {
            self.merge(&mut map, &source)?;
        }
        Ok(map.entries)
    }

    fn value(&mut self, depth: usize) -> Result<Option<Rc<Node>>, Flaw> {
        match self.next()? {
            Some((event, span)) => self.node(event, &span, depth + 1),
            None => Ok(None),
        }
    }

    /// Adds what a merge key (`<<: *base`, or a list of such) brings and the map does not set itself.
    fn merge(&mut self, map: &mut MapBuilder, source: &Node) -> Result<(), Flaw> {
        match &source.kind {
            Kind::Map(base) => {
                self.spend(base.len(), source.place)?;
                base.iter().for_each(|entry| map.add_missing(entry));
                Ok(())
            }
            Kind::List(bases) => bases.iter().try_for_each(|base| self.merge(map, base)),
            Kind::Nothing | Kind::Scalar { .. } => {
                Err(flaw("syntax", source.place, "`<<` takes an alias of a mapping"))
            }
        }
    }

    /// Counts what the tree has grown by, aliases at full size: the bound on memory and time for any text.
    fn spend(&mut self, nodes: usize, place: Place) -> Result<(), Flaw> {
        self.spent = self.spent.saturating_add(nodes);
        if self.spent > NODES_MAX {
            return Err(flaw("limit", place, &format!("more than {NODES_MAX} values, aliases expanded")));
        }
        Ok(())
    }
}

/// A mapping in the making; the lines of its keys tell duplicates.
#[derive(Default)]
struct MapBuilder {
    entries: Vec<Entry>,
    lines: HashMap<String, usize>,
}

impl MapBuilder {
    fn add(&mut self, entry: Entry) -> Result<(), Flaw> {
        if let Some(first) = self.lines.get(&entry.key) {
            let help = Some(format!("first given on line {first}"));
            let message = format!("`{}` is given twice", entry.key);
            return Err(Flaw { help, ..flaw("duplicate-key", entry.key_place, &message) });
        }
        self.lines.insert(entry.key.clone(), entry.key_place.line);
        self.entries.push(entry);
        Ok(())
    }

    fn add_missing(&mut self, entry: &Entry) {
        if !self.lines.contains_key(&entry.key) {
            self.lines.insert(entry.key.clone(), entry.key_place.line);
            self.entries.push(entry.clone());
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Kind {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text.as_str(), "" | "~" | "null") {
        Kind::Nothing
    } else {
        Kind::Scalar { text, plain }
    }
}

fn weigh(kind: &Kind) -> usize {
    let below = match kind {
        Kind::Nothing | Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().fold(0_usize, |sum, item| sum.saturating_add(item.weight)),
        Kind::Map(entries) => {
            entries.iter().fold(0_usize, |sum, entry| sum.saturating_add(entry.value.weight))
        }
    };
    below.saturating_add(1)
}

fn place(span: &Span) -> Place {
    let one_line = span.start.line() == span.end.line();
    let width = if one_line { span.end.col().saturating_sub(span.start.col()) } else { usize::MAX };
    Place { line: span.start.line(), column: span.start.col() + 1, width: width.max(1) }
}

fn flaw(code: &'static str, place: Place, message: &str) -> Flaw {
    Flaw { code, place, message: message.to_owned(), help: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(node: &Node) -> &[Entry] {
        let Kind::Map(entries) = &node.kind else { panic!("not a map: {node:?}") };
        entries
    }

    #[test]
    fn keys_and_values_know_their_place() {
        let (root, flaws) = parse("a: 1\nbé:\n  - x\n  - {c: \"d\"}\n");
        assert_eq!(flaws, []);
        let root = root.unwrap();
        assert_eq!(map(&root)[1].key_place, Place { line: 2, column: 1, width: 2 });
        let Kind::List(items) = &map(&root)[1].value.kind else { panic!() };
        assert_eq!(items[0].place, Place { line: 3, column: 5, width: 1 });
        assert_eq!(map(&items[1])[0].value.place, Place { line: 4, column: 9, width: 3 });
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let (root, flaws) = parse("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n");
        assert_eq!(flaws, []);
        let root = root.unwrap();
        let keys: Vec<_> = map(&map(&root)[1].value).iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["y", "x"]);
    }

    #[test]
    fn flaws_are_placed() {
        let cases = [
            ("a: 1\na: 2\n", "duplicate-key", 2, "`a` is given twice"),
            ("a: [1\n", "syntax", 1, "not YAML"),
            ("a: *b\n", "syntax", 1, "not YAML"),
            ("a: &a [*a]\n", "syntax", 1, "contains itself"),
            ("a: !!binary x\n", "syntax", 1, "tags are not used"),
            ("? [a]\n: b\n", "syntax", 1, "a key must be plain text"),
            ("a: 1\n---\nb: 2\n", "syntax", 3, "a second document"),
            ("<<: 3\n", "syntax", 1, "takes an alias"),
        ];
        for (text, code, line, message) in cases {
            let (_, flaws) = parse(text);
            let [flaw] = flaws.as_slice() else { panic!("{text:?}: {flaws:?}") };
            assert_eq!((flaw.code, flaw.place.line), (code, line), "{text:?}: {flaw:?}");
            assert!(flaw.message.contains(message), "{text:?}: {flaw:?}");
        }
    }

    #[test]
    fn nested_aliases_do_not_explode() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = level - 1;
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 10].join(", ")));
        }
        let (root, flaws) = parse(&text);
        assert!(root.is_none());
        assert_eq!(flaws[0].code, "limit");
    }

    #[test]
    fn merged_keys_are_counted() {
        let keys: String = (0..1000).map(|key| format!("k{key}: 1, ")).collect();
        let uses = "- {<<: [*a, *a, *a, *a, *a]}\n  ".repeat(2_000);
        let (root, flaws) = parse(&format!("a: &a {{{keys}}}\nb:\n  {uses}\n"));
        assert!(root.is_none());
        assert_eq!(flaws[0].code, "limit");
    }

    #[test]
    fn depth_is_bounded() {
        let (root, flaws) = parse(&"[".repeat(100));
        assert!(root.is_none());
        assert!(flaws[0].code == "limit" || flaws[0].code == "syntax", "{flaws:?}");
    }
}
