//! What this store does, each behaviour by its smallest example. The expected texts are what sops 3.13.2 gave.

mod comments;
mod limits;
mod printing;
mod reading;
mod scalars;

use super::super::SyntaxError;
use super::{print, read};
use crate::sops::tree::{Comment, ListItem, Map, MapItem, Node, Scalar};

/// What [`read`] makes of `text`, documents joined by `---`: `{key: value}`, `[value]`, comments as `#text` on lines of
/// their own and `##text` behind a value, strings in Rust's quotes.
fn shown(text: &str) -> String {
    match read(text.as_bytes()) {
        Ok(documents) => documents.iter().map(show_map).collect::<Vec<_>>().join(" --- "),
        Err(error) => format!("error: {}", error.why),
    }
}

fn error(text: &str) -> SyntaxError {
    match read(text.as_bytes()) {
        Ok(_) => panic!("{text:?} was read"),
        Err(error) => error,
    }
}

/// What [`print()`] makes of what [`read`] makes of `text`.
fn printed(text: &str) -> String {
    let documents = read(text.as_bytes()).map_err(|error| error.why).unwrap();
    match print(&documents.iter().collect::<Vec<_>>()) {
        Ok(text) => text.expose_text().unwrap().to_owned(),
        Err(error) => format!("error: {} {}", error.key, error.why),
    }
}

fn show_map(map: &Map) -> String {
    let items = map.0.iter().map(|item| match item {
        MapItem::Comment(comment) => show_comment(comment),
        MapItem::Entry(entry) => format!("{}: {}", entry.key, show(&entry.value)),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
}

fn show(node: &Node) -> String {
    match node {
        Node::Map(map) => show_map(map),
        Node::List(list) => {
            let items = list.0.iter().map(|item| match item {
                ListItem::Comment(comment) => show_comment(comment),
                ListItem::Value(value) => show(value),
            });
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Node::Scalar(scalar) => match scalar {
            Scalar::Null => "null".to_owned(),
            Scalar::Str(text) => match text.expose_text() {
                Some(text) => format!("{text:?}"),
                None => format!("{:?}", text.expose()),
            },
            Scalar::Int(value) => format!("int {}", **value),
            Scalar::Float(value) => format!("float {:?}", **value),
            Scalar::Bool(value) => value.to_string(),
            Scalar::Time(time) => format!("time {}", time.as_str()),
        },
    }
}

fn show_comment(comment: &Comment) -> String {
    format!("{}{}", if comment.inline { "##" } else { "#" }, comment.text.expose_text().unwrap())
}
