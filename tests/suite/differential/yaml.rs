//! Random YAML files: every notation, and comments in every place.

use super::text::{any_text, comment};
use super::{json, yaml_text};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use std::fmt::Write;

#[derive(Clone, Debug)]
struct Document {
    start: &'static str,
    head: Vec<Line>,
    entries: Vec<Entry>,
    foot: Vec<Line>,
    /// How many columns a level has.
    step: usize,
    /// Whether lists stand at the column of their key.
    compact: bool,
    /// Whether lists hold comments. Where sops encrypts these, it cannot read the file again.
    comments_in_lists: bool,
    end: &'static str,
}

/// A line that holds no value.
#[derive(Clone, Debug)]
enum Line {
    Blank,
    /// A comment, moved from the column of its level.
    Comment(String, isize),
}

#[derive(Clone, Debug)]
struct Entry {
    above: Vec<Line>,
    key: String,
    value: Value,
    behind: Option<String>,
    anchor: bool,
}

#[derive(Clone, Debug)]
struct Item {
    above: Vec<Line>,
    value: Value,
    behind: Option<String>,
    anchor: bool,
}

#[derive(Clone, Debug)]
enum Value {
    /// As it stands in the file.
    Scalar(String),
    /// A block scalar: its header and its lines.
    Block(&'static str, Vec<String>),
    /// A map, and what stands below it at its column.
    Map(Vec<Entry>, Vec<Line>),
    List(Vec<Item>, Vec<Line>),
    /// The value with this anchor, if there are any above.
    Alias(usize),
}

/// A whole file.
pub(super) fn file() -> BoxedStrategy<Vec<u8>> {
    let document = (
        prop::sample::select(vec!["", "", "", "---\n", "--- # start\n", "%YAML 1.1\n---\n"]),
        lines(),
        vec(entry(value()), 1..6),
        lines(),
        prop::sample::select(vec![2, 4, 1, 3]),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::sample::select(vec!["", "", "", "...\n", "\n", "... # end\n"]),
    )
        .prop_map(|(start, head, entries, foot, step, compact, comments_in_lists, end)| Document {
            start,
            head,
            entries,
            foot,
            step,
            compact,
            comments_in_lists,
            end,
        });
    prop_oneof![3 => vec(document.clone(), 1..2), 1 => vec(document, 1..4)]
        .prop_map(|documents| {
            let mut printer = Printer::default();
            for (position, document) in documents.iter().enumerate() {
                printer.document(document, position);
            }
            printer.out.into_bytes()
        })
        .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        12 => yaml_text::scalar().prop_map(Value::Scalar),
        2 => (block_header(), vec(block_line(), 0..4)).prop_map(|(header, lines)| Value::Block(header, lines)),
        1 => json::value().prop_map(|value| {
            let mut out = String::new();
            value.write(&mut out);
            // A line break must be followed by more columns than the level has.
            Value::Scalar(out.replace("\r\n", " ").replace('\n', "\n                    ").replace('\t', " "))
        }),
        1 => yaml_text::flow().prop_map(Value::Scalar),
        1 => any::<usize>().prop_map(Value::Alias),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            (vec(entry(inner.clone().boxed()), 0..4), lines()).prop_map(|(entries, below)| Value::Map(entries, below)),
            (vec(item(inner.boxed()), 0..4), lines()).prop_map(|(items, below)| Value::List(items, below)),
        ]
    })
    .boxed()
}

fn entry(value: BoxedStrategy<Value>) -> impl Strategy<Value = Entry> + Clone {
    (lines(), yaml_text::key(), value, weighted(0.15, comment()), prop::bool::weighted(0.1))
        .prop_map(|(above, key, value, behind, anchor)| Entry { above, key, value, behind, anchor })
}

fn item(value: BoxedStrategy<Value>) -> impl Strategy<Value = Item> + Clone {
    (lines(), value, weighted(0.15, comment()), prop::bool::weighted(0.1))
        .prop_map(|(above, value, behind, anchor)| Item { above, value, behind, anchor })
}

fn lines() -> BoxedStrategy<Vec<Line>> {
    let shift = prop_oneof![6 => Just(0), 1 => -4isize..5];
    let line = prop_oneof![1 => Just(Line::Blank), 2 => (comment(), shift).prop_map(|(text, shift)| Line::Comment(text, shift))];
    prop_oneof![4 => Just(Vec::new()), 1 => vec(line, 0..4)].boxed()
}

fn block_header() -> BoxedStrategy<&'static str> {
    prop::sample::select(vec!["|", "|-", "|+", ">", ">-", ">+", "|2", ">2-"]).boxed()
}

fn block_line() -> BoxedStrategy<String> {
    let odd = any_text().prop_map(|text| text.replace(|c: char| c.is_control() && c != '\t' && c != '\u{85}', ""));
    prop_oneof![3 => "[a-z ]{0,12}", 1 => " {0,3}[a-z#:-]{0,6}[ \t]?", 2 => odd, 1 => Just(String::new())].boxed()
}

#[derive(Default)]
struct Printer {
    out: String,
    /// How many anchors the document has so far.
    anchors: usize,
    /// Those whose values are complete.
    complete: Vec<usize>,
    step: usize,
    compact: bool,
    comments_in_lists: bool,
}

impl Printer {
    fn document(&mut self, document: &Document, position: usize) {
        self.anchors = 0;
        (self.step, self.compact) = (document.step, document.compact);
        self.comments_in_lists = document.comments_in_lists;
        self.complete.clear();
        self.out.push_str(match (position, document.start) {
            (0, start) => start,
            (_, "" | "%YAML 1.1\n---\n") => "---\n",
            (_, start) => start,
        });
        self.lines(&document.head, 0);
        self.entries(&document.entries, 0);
        self.lines(&document.foot, 0);
        self.out.push_str(document.end);
    }

    fn lines(&mut self, lines: &[Line], column: usize) {
        for line in lines {
            if let Line::Comment(text, shift) = line {
                self.pad(column.saturating_add_signed(*shift));
                self.out.push('#');
                self.out.push_str(text);
            }
            self.out.push('\n');
        }
    }

    fn pad(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(' ', column));
    }

    fn entries(&mut self, entries: &[Entry], column: usize) {
        let mut seen: Vec<&str> = Vec::new();
        for entry in entries {
            // A key that stands twice would make sops refuse the whole file.
            if seen.contains(&entry.key.as_str()) {
                continue;
            }
            seen.push(&entry.key);
            self.lines(&entry.above, column);
            self.pad(column);
            self.out.push_str(&entry.key);
            self.out.push(':');
            self.value(&entry.value, column, self.compact, entry.anchor, entry.behind.as_deref());
        }
    }

    fn items(&mut self, items: &[Item], column: usize) {
        for item in items {
            if self.comments_in_lists {
                self.lines(&item.above, column);
            }
            self.pad(column);
            self.out.push('-');
            let start = self.out.len();
            self.value(
                &item.value,
                column,
                false,
                item.anchor,
                item.behind.as_deref().filter(|_| self.comments_in_lists),
            );
            // A collection may begin on the line of its dash.
            let nested = format!("\n{}", " ".repeat(column + self.step));
            let text = &self.out[start..];
            if self.step > 1 && text.starts_with(&nested) && !text[nested.len()..].starts_with([' ', '#', '\n', '?']) {
                self.out.replace_range(start..start + nested.len(), &" ".repeat(self.step - 1));
            }
        }
    }

    /// What follows a `:` or a `-` at `column`.
    fn value(&mut self, value: &Value, column: usize, compact: bool, anchor: bool, behind: Option<&str>) {
        let anchor = (anchor && !matches!(value, Value::Alias(_))).then_some(self.anchors);
        if let Some(number) = anchor {
            let _ = write!(self.out, " &a{number}");
            self.anchors += 1;
        }
        let inner = column + self.step;
        match value {
            Value::Scalar(text) => {
                let _ = write!(self.out, " {text}");
                self.behind(behind);
            }
            Value::Alias(number) => {
                let _ = match self.complete.get(number % self.complete.len().max(1)) {
                    None => write!(self.out, " none"),
                    Some(anchor) => write!(self.out, " *a{anchor}"),
                };
                self.behind(behind);
            }
            Value::Block(header, lines) => {
                let header = header.replace('2', &self.step.to_string());
                let _ = write!(self.out, " {header}");
                self.behind(behind);
                for line in lines {
                    self.pad(inner);
                    self.out.push_str(line);
                    self.out.push('\n');
                }
            }
            Value::Map(entries, _) if entries.is_empty() => {
                self.out.push_str(" {}\n");
            }
            Value::List(items, _) if items.is_empty() => {
                // A comment here would go into the list, and sops fails its own MAC.
                self.out.push_str(" []\n");
            }
            Value::Map(entries, below) => {
                self.behind(behind);
                self.entries(entries, inner);
                self.lines(below, inner);
            }
            Value::List(items, below) => {
                self.behind(behind);
                let column = if compact { column } else { inner };
                self.items(items, column);
                if self.comments_in_lists {
                    self.lines(below, column);
                }
            }
        }
        self.complete.extend(anchor);
    }

    fn behind(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            let _ = write!(self.out, " #{comment}");
        }
        self.out.push('\n');
    }
}
